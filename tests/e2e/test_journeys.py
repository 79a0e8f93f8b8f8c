"""The journeys of a learner and of a script from start to end, typed as they type them, on a real sandbox."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import catalog
from lab.cli.run import run
from lab.overlay import MANIFEST, edit_manifest
from lab.session import Session

CKS_LAB = [sys.executable, "-m", "lab"]
POLICY = "/etc/kubernetes/audit/policy.yaml"

pytestmark = pytest.mark.sandbox


class Terminal:
    """Commands as they are typed. `python -m lab` itself is started for the shell, which becomes another program;
    test_docs.py starts it for every command of the README.
    """

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd

    def __call__(self, *args: str, stdin: str | None = None, ends: int = 0) -> str:
        """Type a command, see that it ends with this status, and return its output."""
        if args[0] != "shell":
            status = run(args)
            out, err = self._capfd.readouterr()
        else:
            done = subprocess.run(
                [*CKS_LAB, *args], capture_output=True, text=True, timeout=600, check=False, input=stdin or ""
            )
            status, out, err = done.returncode, done.stdout, done.stderr
        assert status == ends, f"{args}: {status}\n{out}{err}"
        assert "Traceback" not in err
        return out

    def report(self, *args: str, ends: int) -> dict[str, Any]:
        """Grade, and return the report."""
        value: dict[str, Any] = json.loads(self("grade", *args, "--format", "json", ends=ends))
        return value

    def solve(self) -> None:
        """Do the work: the manifest by hand from the node's own, the policy from the solution, both through the shell."""
        solution = catalog.load("audit-log").solution
        manifest = self("shell", "--", "cat", MANIFEST)
        for edits in solution.edits:
            manifest = edit_manifest(manifest, edits)
        self("shell", "--", "tee", POLICY, stdin=solution.files[POLICY].decode())
        self("shell", stdin=f"cat > {MANIFEST} <<'END'\n{manifest}END\n")


@pytest.fixture
def typed(capfd: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capfd)


@pytest.fixture
def no_lab_is_left() -> Iterator[None]:
    yield
    Session().stop_all()


def test_a_learner_from_start_to_stop(no_lab_is_left: None, typed: Terminal, tmp_path: Path) -> None:
    assert typed("start", "audit-log") == "audit-log\n"
    assert typed("start", "audit-log") == "audit-log\n", "the running one is used again"
    assert "/var/log/audit/audit.log" in typed("task")
    assert re.search(r"cks-control-plane +Ready", typed("shell", "--", "kubectl", "get", "nodes"))
    typed("shell", "--", "sh", "-c", "exit 42", ends=42)

    first = typed("grade", ends=1)
    assert first.startswith("FAIL  0 of ")
    assert "✗ policy.metadata-everywhere" in first
    typed("hint")

    typed.solve()
    typed("shell", "--", "sh", "-c", "echo mine > /root/notes")
    done = typed.report(ends=0)
    assert done["verdict"] == "pass"
    assert done["score"]["percent"] == 100
    assert (done["node"]["driver"], done["node"]["apiserver"]) == ("sandbox", "lite v1.34")
    typed("shell", "--", "kubectl", "create", "configmap", "mine", "--from-literal=a=b")

    bundle = tmp_path / "monday.tar.gz"
    typed("collect", "-o", str(bundle))
    with tarfile.open(bundle) as tar:
        assert not [name for name in tar.getnames() if name.endswith((".key", "admin.conf"))]
    assert "The rule for configmaps goes before" in typed("solution")

    copy = typed("reset", "--yes").strip()
    with tarfile.open(copy) as tar:
        notes = tar.extractfile("root/notes")
        assert notes is not None
        assert notes.read() == b"mine\n"
    assert typed.report(ends=1)["score"]["percent"] == 0

    (row,) = json.loads(typed("history", "--format", "json"))
    assert (row["gradings"], row["percent"], row["verdict"]) == (3, 100, "fail")
    assert (row["hints"], row["solution"], row["resets"], row["ended"]) == (1, True, 1, None)
    (lab,) = json.loads(typed("status", "--format", "json"))
    assert (lab["name"], lab["state"], lab["driver"]) == ("audit-log", "running", "sandbox")
    assert typed("stop") == "audit-log\n"
    assert json.loads(typed("status", "--format", "json")) == []
    assert json.loads(typed("history", "--format", "json"))[0]["ended"] is not None

    graded = typed("grade", "--bundle", str(bundle), "--format", "json")
    assert json.loads(graded)["verdict"] == "pass"
    assert typed("grade", "--bundle", str(bundle), "--format", "json") == graded, "to the byte"


def test_two_labs_side_by_side(no_lab_is_left: None, typed: Terminal) -> None:
    for name in ("one", "two"):
        typed("start", "audit-log", "--lab", name)
    typed("start", "audit-log", "--lab", "one", ends=2)
    typed("shell", "--lab", "one", "--", "kubectl", "create", "namespace", "mine")
    assert "mine" in typed("shell", "--lab", "one", "--", "kubectl", "get", "namespaces")
    assert "mine" not in typed("shell", "--", "kubectl", "get", "namespaces"), "the one started last is meant"
    assert typed("stop", "--all", "--yes") == "one\ntwo\n"
