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
from lab.overlay import MANIFEST, edit_manifest
from lab.session import Session

CKS_LAB = [sys.executable, "-m", "lab"]
POLICY = "/etc/kubernetes/audit/policy.yaml"

pytestmark = pytest.mark.sandbox


def typed(*args: str, stdin: str | None = None, ends: int = 0) -> str:
    """Type a command, see that it ends with this status, and return its output."""
    given = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [*CKS_LAB, *args],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **given,
    )
    assert done.returncode == ends, f"{args}: {done.returncode}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout


def report(*args: str, ends: int) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(typed("grade", *args, "--format", "json", ends=ends))
    return value


@pytest.fixture
def no_lab_is_left() -> Iterator[None]:
    yield
    Session().stop_all()


def solve() -> None:
    """Do the work: the manifest by hand from the node's own, the policy from the solution, both through the shell."""
    solution = catalog.load("audit-log").solution
    manifest = typed("shell", "--", "cat", MANIFEST)
    for edits in solution.edits:
        manifest = edit_manifest(manifest, edits)
    typed("shell", "--", "tee", POLICY, stdin=solution.files[POLICY].decode())
    typed("shell", stdin=f"cat > {MANIFEST} <<'END'\n{manifest}END\n")


def test_a_learner_from_start_to_stop(no_lab_is_left: None, tmp_path: Path) -> None:
    assert typed("start", "audit-log") == "audit-log\n"
    assert typed("start", "audit-log") == "audit-log\n", "the running one is used again"
    assert "/var/log/audit/audit.log" in typed("task")
    assert re.search(r"cks-control-plane +Ready", typed("shell", "--", "kubectl", "get", "nodes"))
    typed("shell", "--", "sh", "-c", "exit 42", ends=42)

    first = typed("grade", ends=1)
    assert first.startswith("FAIL  0 of ")
    assert "✗ policy.metadata-everywhere" in first
    typed("hint")

    solve()
    typed("shell", "--", "sh", "-c", "echo mine > /root/notes")
    done = report(ends=0)
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
    assert report(ends=1)["score"]["percent"] == 0

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


def test_two_labs_side_by_side(no_lab_is_left: None) -> None:
    for name in ("one", "two"):
        typed("start", "audit-log", "--lab", name)
    typed("start", "audit-log", "--lab", "one", ends=2)
    typed("shell", "--lab", "one", "--", "kubectl", "create", "namespace", "mine")
    assert "mine" in typed("shell", "--lab", "one", "--", "kubectl", "get", "namespaces")
    assert "mine" not in typed("shell", "--", "kubectl", "get", "namespaces"), "the one started last is meant"
    assert typed("stop", "--all", "--yes") == "one\ntwo\n"
