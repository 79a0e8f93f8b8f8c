"""What people and machines put before the commands: never a traceback, never a hang, always what and what next."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from checkers.evidence import Unreadable
from lab import catalog
from lab.cli.run import run
from lab.home import Home
from lab.overlay import MANIFEST
from tests.fakes import MANIFEST_TEXT

POLICY = "etc/kubernetes/audit/policy.yaml"
LOG = "var/log/audit/audit.log"
APISERVER = MANIFEST.lstrip("/")
SECONDS = 60.0

BOMB = b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 10)) for c in range(ord("b"), ord("m"))
)
LONG_LINE = (
    b"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, users: [" + b"u" * (5 << 20) + b"]}]\n"
)
NONES = ["bomb", "binary", "empty", "zero", "not UTF-8", "deep"]
BINARY = bytes(range(256)) * 64
EVENT = json.dumps(
    {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Request",
        "stage": "ResponseComplete",
        "verb": "create",
        "user": {"username": "kubernetes-admin"},
        "objectRef": {"resource": "configmaps", "namespace": "default", "name": "x", "apiVersion": "v1"},
        "requestObject": {"data": {"a": "b"}},
        "responseStatus": {"code": 201},
        "requestReceivedTimestamp": "2026-11-23T10:00:00.000000Z",
        "stageTimestamp": "2026-11-23T10:00:00.000000Z",
    }
).encode()


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """Return a directory that holds the right answer, as a node's root."""
    root = tmp_path / "node"
    (root / APISERVER).parent.mkdir(parents=True)
    (root / APISERVER).write_text(MANIFEST_TEXT)
    laid = io.BytesIO(catalog.load("audit-log").solution.tar(MANIFEST_TEXT))
    with tarfile.open(fileobj=laid) as tar:
        tar.extractall(root, filter="data")
    (root / LOG).parent.mkdir(parents=True)
    (root / LOG).write_bytes(EVENT + b"\n")
    return root


Grade = Callable[[Path], dict[str, dict[str, object]]]


@pytest.fixture
def graded(capsys: pytest.CaptureFixture[str]) -> Grade:
    """Return what grades a directory and gives its checks by id."""

    def grade(root: Path) -> dict[str, dict[str, object]]:
        began = time.monotonic()
        status = run(["grade", "audit-log", "--root", str(root), "--format", "json"])
        said = capsys.readouterr()
        assert status in (0, 1), said.err
        assert time.monotonic() - began < SECONDS
        return {check["id"]: check for check in json.loads(said.out)["checks"]}

    return grade


def fails(check: dict[str, object], path: str) -> None:
    assert check["status"] == "fail"
    where = check["where"]
    assert isinstance(where, dict)
    assert where["file"] == f"/{path}"


class TestFilesOfANode:
    @pytest.mark.parametrize("content", [BOMB, BINARY, b"", b"\0", b"\xff\xfe", b"- " * 100_000], ids=NONES)
    def test_a_policy_that_is_none(self, node: Path, graded: Grade, content: bytes) -> None:
        (node / POLICY).write_bytes(content)
        fails(graded(node)["policy.valid"], POLICY)

    @pytest.mark.parametrize("content", [BOMB, BINARY, b"", b"\0", b"\xff\xfe", b"{" * 100_000], ids=NONES)
    def test_a_manifest_that_is_none(self, node: Path, graded: Grade, content: bytes) -> None:
        (node / APISERVER).write_bytes(content)
        assert graded(node)["manifest.valid"]["status"] == "fail"

    def test_a_line_of_five_megabytes(self, node: Path, graded: Grade) -> None:
        (node / POLICY).write_bytes(LONG_LINE)
        checks = graded(node)
        assert checks["policy.valid"]["status"] == "pass"
        assert len(json.dumps(checks)) < 200_000
        (node / LOG).write_bytes(b"x" * (5 << 20) + b"\n" + EVENT + b"\n")
        assert graded(node)["log.configmaps-body"]["status"] == "pass"

    def test_a_log_with_a_truncated_event_and_bytes_of_anything(self, node: Path, graded: Grade) -> None:
        (node / LOG).write_bytes(EVENT[:200] + b"\n" + BINARY + b"\n" + EVENT + b"\n" + EVENT[:-30])
        assert graded(node)["log.written"]["status"] == "pass"

    def test_a_log_that_is_no_log(self, node: Path, graded: Grade) -> None:
        (node / LOG).write_bytes(BINARY)
        assert graded(node)["log.written"]["status"] == "fail"

    @pytest.mark.parametrize(("path", "check"), [(POLICY, "policy.valid"), (LOG, "log.written")])
    def test_a_directory_in_place_of_a_file(self, node: Path, graded: Grade, path: str, check: str) -> None:
        (node / path).unlink()
        (node / path).mkdir()
        checks = graded(node)
        assert checks[check]["status"] in ("fail", "skip")
        assert "fail" in {other["status"] for other in checks.values()}

    def test_a_directory_in_place_of_the_manifest(self, node: Path, graded: Grade) -> None:
        (node / APISERVER).unlink()
        (node / APISERVER).mkdir()
        assert graded(node)["manifest.valid"]["status"] == "fail"

    @pytest.mark.parametrize("target", ["{outside}", "../../../../outside.yaml"])
    def test_a_link_out_of_the_root_is_not_followed(
        self, node: Path, graded: Grade, tmp_path: Path, target: str
    ) -> None:
        outside = tmp_path / "outside.yaml"
        (node / POLICY).rename(outside)
        (node / POLICY).symlink_to(target.format(outside=outside))
        fails(graded(node)["policy.valid"], POLICY)

    def test_a_pipe_in_place_of_a_file_does_not_hold_us(self, node: Path, graded: Grade) -> None:
        for path in (POLICY, LOG):
            (node / path).unlink()
            os.mkfifo(node / path)
        assert graded(node)["policy.valid"]["status"] == "fail"

    def test_an_empty_directory(self, tmp_path: Path, graded: Grade) -> None:
        (tmp_path / "empty").mkdir()
        assert graded(tmp_path / "empty")["policy.valid"]["status"] == "fail"


class TestArguments:
    @pytest.mark.parametrize(
        ("args", "says"),
        [
            (["grade", "audit-log", "--root", "nowhere"], "nowhere"),
            (["grade", "audit-log", "--root", "file"], "is not a directory"),
            (["grade", "nope", "--root", "."], "audit-log"),
            (["grade", "--bundle", "nowhere"], "nowhere"),
            (["grade", "--bundle", "."], "is a directory"),
            (["grade", "nope"], "no scenario 'nope'\n  known: audit-log"),
            (["grade", "nope", "--lab", "monday"], "no scenario 'nope'\n  known: audit-log"),
            (["grade", "--bundle", "file"], "Error: file: is no bundle (not a tar archive)\n  make it again"),
            (["grade", "--bundle", "/etc/passwd"], "/etc/passwd: is no bundle (not a tar archive)\n  make it again"),
            (["grade", "--bundle", "/dev/zero"], "/dev/zero: is no regular file"),
            (["grade", "--bundle", "pipe"], "pipe: is no regular file"),
            (["grade", "--bundle", "zeros", "audit-log"], "zeros: is no bundle"),
            (["grade", "--bundle", "file/below"], "file/below: Not a directory"),
            (["grade", "--bundle", "evil.tar"], "leads out of the archive"),
            (["grade", "--bundle", "file", "--root", "."], "exclude"),
            (["grade", "audit-log", "--root", ".", "-o", "nowhere/report"], "nowhere"),
            (["grade", "audit-log", "--root", ".", "-o", "."], "directory"),
            (["grade", "audit-log", "--root", ""], "'--root': an empty path names nothing"),
            (["grade", "audit-log", "--root", ".", "-o", ""], "an empty path names nothing"),
            (["grade", "--bundle", ""], "'--bundle': an empty path names nothing"),
            (["collect", "-o", ""], "an empty path names nothing"),
            (["policy", "check", ""], "an empty path names nothing"),
            (["policy", "explain", "policy.yaml", "--requests", ""], "an empty path names nothing"),
            (["policy", "explain", "-", "--requests", "-"], "standard input"),
            (["policy", "compare", "-", "-"], "standard input"),
            (["collect", "-o", "/dev/null"], "is no file"),
            (["grade", "--seed", "1"], "--root"),
            (["grade", "audit-log", "--root", ".", "--seed", "-1"], "-1"),
            (["policy", "check", "nowhere"], "nowhere"),
            (["policy", "check", "."], "directory"),
            (["policy", "explain", "policy.yaml", "--requests", "nowhere"], "nowhere"),
            (["policy", "explain", "policy.yaml", "--request", "{"], "not JSON"),
            (["policy", "explain", "policy.yaml", "--request", "[" * 100_000], "not JSON"),
            (["policy", "explain", "policy.yaml", "--request", "[]"], "not a JSON object"),
            (["policy", "explain", "policy.yaml", "--request", '{"verb": 1}'], "'verb' is not a text"),
            (["policy", "explain", "policy.yaml", "--request", '{"groups": "a"}'], "'groups' is not a list"),
            (["policy", "explain", "policy.yaml", "--request", '{"verbs": []}'], "'verbs' is no field"),
            (["policy", "explain", "policy.yaml", "--requests", "file"], "file:1: not JSON"),
            (["policy", "check", "policy.yaml", "--kubernetes-version", "new"], "1.34"),
        ],
        ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
    )
    def test_what_cannot_be_answered_is_said_in_words(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        args: list[str],
        says: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("file").write_bytes(BINARY)
        os.mkfifo("pipe")
        with Path("zeros").open("wb") as zeros:
            zeros.truncate(1 << 40)
        Path("policy.yaml").write_text("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n")
        with tarfile.open("evil.tar", "w") as tar:
            tar.addfile(tarfile.TarInfo("../etc/passwd"))
        began = time.monotonic()
        status = run(args)
        said = capsys.readouterr()
        assert time.monotonic() - began < SECONDS
        assert status == 2
        assert said.out == ""
        assert says in said.err
        assert "fault of CKS Lab" not in said.err
        assert not Home.of().crashes.exists()


class TestWhatCannotBeJudged:
    @pytest.fixture
    def unreadable(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
        """Return what makes the files below a path refuse to be read, as a disk that fails does; root reads through any mode."""
        from lab.evidence.directory import DirectoryFiles

        opened = DirectoryFiles._open

        def refuse(refused: str) -> None:
            def open_(self: DirectoryFiles, path: str) -> int:
                if path.startswith(f"/{refused}"):
                    raise Unreadable(path, "Input/output error")
                return opened(self, path)

            monkeypatch.setattr(DirectoryFiles, "_open", open_)

        return refuse

    def test_the_first_line_says_why_nothing_could_be(
        self, node: Path, unreadable: Callable[[str], None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        unreadable("")
        assert run(["grade", "audit-log", "--root", str(node)]) == 2
        first = capsys.readouterr().out.splitlines()[0]
        assert first == f"ERROR  nothing could be judged: /{POLICY}: Input/output error"

    def test_the_first_line_says_why_a_part_could_not_be(
        self, node: Path, unreadable: Callable[[str], None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        unreadable(LOG)
        assert run(["grade", "audit-log", "--root", str(node)]) == 2
        first = capsys.readouterr().out.partition("\naudit-log on")[0]
        said = f"ERROR  3 checks could not be judged: /{LOG}: Input/output error; the others: 14 of 14 points, 100 %"
        assert first.split() == said.split()

    def test_a_report_in_a_file_is_announced_with_the_reason(
        self, node: Path, unreadable: Callable[[str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        unreadable("")
        out = tmp_path / "report.txt"
        assert run(["grade", "audit-log", "--root", str(node), "-o", str(out)]) == 2
        said = capsys.readouterr().err
        assert f"ERROR  nothing could be judged: /{POLICY}: Input/output error; the report: {out}" in said


class TestStandardInput:
    GOOD = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"

    @pytest.mark.parametrize(
        ("args", "content", "status", "out"),
        [
            (["check", "-"], GOOD, 0, "standard input: loads, 1 rule\n"),
            (["check", "-"], GOOD.replace("Metadata", "metadata"), 1, "standard input:3: would not load: rules[0]"),
            (["check", "-"], "", 1, "standard input:1: would not load: "),
            (["explain", "-", "--request", "{}"], GOOD, 0, "Metadata: rule 0, standard input:3"),
            (["compare", "-", "policy.yaml"], GOOD, 0, "standard input and policy.yaml record the same of every"),
            (["compare", "policy.yaml", "-"], GOOD, 0, "policy.yaml and standard input record the same of every"),
        ],
    )
    def test_a_policy_comes_from_a_pipe(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        args: list[str],
        content: str,
        status: int,
        out: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("policy.yaml").write_text(self.GOOD)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
        assert run(["policy", *args]) == status
        assert capsys.readouterr().out.startswith(out)

    def test_a_file_called_dash_can_still_be_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("./-").write_text(self.GOOD)
        assert run(["policy", "check", "./-"]) == 0
        assert capsys.readouterr().out == "./-: loads, 1 rule\n"

    @pytest.mark.parametrize("args", [["check", "-"], ["explain", "policy.yaml", "--requests", "-"]])
    def test_a_closed_one_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], args: list[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("policy.yaml").write_text(self.GOOD)
        monkeypatch.setattr(sys, "stdin", None)
        assert run(["policy", *args]) == 2
        assert "standard input is closed" in capsys.readouterr().err


class TestTheDisk:
    def test_a_full_disk_under_the_report_is_told_and_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def full(*args: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        out = tmp_path / "report.json"
        status = run(["grade", "audit-log", "--root", str(tmp_path), "-o", str(out)])
        said = capsys.readouterr().err
        assert status == 2
        assert f"cannot write {out}: No space left on device" in said
        assert list(tmp_path.iterdir()) == []

    def test_a_device_is_written_to_and_not_replaced(self, tmp_path: Path, node: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        argv = [sys.executable, "-m", "lab", "grade", "audit-log", "--root", str(node), "-o", str(pipe)]
        process = subprocess.Popen(argv, stderr=subprocess.PIPE)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        process.communicate(timeout=SECONDS)
        assert os.read(reader, 100).startswith((b"PASS", b"FAIL"))
        os.close(reader)
        assert pipe.is_fifo()


SLOW_START = """
import sys, time
from lab.drivers import DRIVERS
DRIVERS["sandbox"] = "tests.fakes:FakeDriver"
from tests.fakes import FakeDriver
from lab.cli.run import run
create = FakeDriver.create
def slowly(self, spec, progress):
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        print("cleaned up", flush=True)
FakeDriver.create = slowly
sys.exit(run(["start", "audit-log"]))
"""


def test_ctrl_c_during_a_start_cleans_up_and_ends_with_130() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_START], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert out == "cleaned up\n"
    assert "Interrupted." in err
    assert "Traceback" not in err


def test_ctrl_c_while_a_library_evaluates_source_text_ends_with_130_too(tmp_path: Path) -> None:
    (tmp_path / "stopped.py").write_text(
        "import lab.cli, lab.cli.run\n"
        "def stopped(args):\n"
        "    try:\n"
        "        exec('raise KeyboardInterrupt')\n"
        "    except KeyboardInterrupt:\n"
        "        return 130\n"
        "lab.cli.run.run = stopped\n"
        "lab.cli.main()\n"
    )
    argv = [sys.executable, "-m", "stopped"]
    done = subprocess.run(argv, timeout=SECONDS, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 130
