"""The commands about audit logs, to the letter of what scripts rely on; and what a person may name wrongly."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import logs
from lab.cli.run import run
from lab.logs import check_logs, count_logs, log_files

from .test_log_check import calm, request, start, written

POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n"

Typed = Callable[..., tuple[int, str, str]]


def lines(first: int, last: int) -> bytes:
    return b"".join(map(written, calm(first, last)))


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Return what types a command in a folder with policy.yaml, good.log, bad.log and a folder of rotated logs."""
    monkeypatch.chdir(tmp_path)
    Path("policy.yaml").write_text(POLICY)
    Path("good.log").write_bytes(lines(0, 50))
    forged = request(50.5, level="Request")
    Path("bad.log").write_bytes(lines(0, 50) + b"".join(map(written, forged)) + lines(51, 60))
    folder = Path("audit")
    folder.mkdir()
    # The names' order is not the time's.
    (folder / "audit.log").write_bytes(lines(200, 250))
    (folder / "audit-2026-11-23T10-01-40.000.log.gz").write_bytes(gzip.compress(lines(0, 100)))
    (folder / "audit-2026-11-23T10-03-20.000.log").write_bytes(lines(100, 200))
    (folder / "kubelet.log").write_text("I1123 started\n")
    (folder / "notes.txt").write_text("nothing\n")

    def type_in(*args: str) -> tuple[int, str, str]:
        status = run(["log", *args])
        said = capsys.readouterr()
        return status, said.out, said.err

    return type_in


class TestCheck:
    def test_a_log_that_the_policy_explains(self, typed: Typed) -> None:
        status, out, err = typed("check", "good.log", "--policy", "policy.yaml")
        assert (status, err) == (0, "")
        assert out.endswith("Every one of 100 events can be by policy.yaml.\n")

    def test_a_forged_line_is_told_with_its_place_and_the_rules(self, typed: Typed) -> None:
        status, out, _ = typed("check", "bad.log", "--policy", "policy.yaml")
        assert status == 1
        assert "bad.log:101: level Request, but rule 0 (line 4) gives Metadata: get configmaps a" in out
        assert "[policy.yaml:4]" in out
        assert "2 findings that a kube-apiserver with policy.yaml cannot explain" in out

    def test_for_scripts(self, typed: Typed) -> None:
        status, out, _ = typed("check", "bad.log", "--policy", "policy.yaml", "--format", "json")
        value = json.loads(out)
        assert (status, value["schema"], value["events"], value["judged"]) == (1, "cks-lab/log-check/v1", 120, 120)
        assert (value["impossible"], value["warnings"], value["counts"]) == (2, 0, {"level": 2})
        assert value["findings"][0] == {
            "file": "bad.log",
            "line": 101,
            "id": "level",
            "severity": "impossible",
            "message": value["findings"][0]["message"],
            "rule": 0,
            "policyLine": 4,
            "auditID": value["findings"][0]["auditID"],
        }
        assert value["files"][0]["lines"] == 120

    def test_a_folder_is_read_in_the_order_of_time(self, typed: Typed) -> None:
        status, out, _ = typed("check", "audit", "--policy", "policy.yaml", "--format", "json")
        value = json.loads(out)
        assert [file["file"].rpartition("/")[2] for file in value["files"]] == [
            "audit-2026-11-23T10-01-40.000.log.gz",
            "audit-2026-11-23T10-03-20.000.log",
            "audit.log",
        ]
        assert (status, value["events"], value["counts"]) == (0, 500, {})

    def test_files_are_read_in_the_order_of_time_and_once(self, typed: Typed) -> None:
        Path("later.log").write_bytes(lines(100, 110))
        Path("again.log").symlink_to("later.log")
        status, out, _ = typed(
            "check", "later.log", "good.log", "again.log", "--policy", "policy.yaml", "--format", "json"
        )
        assert [file["file"] for file in json.loads(out)["files"]] == ["good.log", "later.log"]
        assert status == 0

    def test_a_gzip_beside_the_log_that_it_is_made_of_is_read_once(self, typed: Typed) -> None:
        """lumberjack writes the gzip, then removes the log; a person's gzip -k leaves both."""
        rotated = Path("audit/audit-2026-11-23T10-03-20.000.log")
        whole = gzip.compress(rotated.read_bytes())
        for packed in (whole, whole[: len(whole) // 2]):
            rotated.with_name(rotated.name + ".gz").write_bytes(packed)
            for given in (["audit"], [str(path) for path in Path("audit").glob("audit*")]):
                status, out, _ = typed("check", *given, "--policy", "policy.yaml", "--format", "json")
                value = json.loads(out)
                assert (status, value["events"], value["counts"]) == (0, 500, {})
        Path("audit/audit.log.gz").write_bytes(gzip.compress(lines(260, 270)))
        assert json.loads(typed("stats", "audit", "--format", "json")[1])["events"] == 520

    def test_what_is_older_than_the_start_is_told_apart(self, typed: Typed) -> None:
        old = b"".join(written(event) for second in range(50) for event in request(second, level="Request"))
        Path("two.log").write_bytes(old + b"".join(map(written, start(60))) + lines(61, 70))
        status, out, _ = typed("check", "two.log", "--policy", "policy.yaml")
        assert status == 0
        assert "The API server started at 2026-11-23 10:01:00; 100 events from before" in out
        assert "100 would not fit policy.yaml; --all shows them" in out
        assert typed("check", "two.log", "--policy", "policy.yaml", "--all")[0] == 1
        assert typed("check", "two.log", "--policy", "policy.yaml", "--since", "2026-11-23T10:00:00Z")[0] == 1

    def test_a_damaged_gzip_is_a_warning(self, typed: Typed) -> None:
        packed = gzip.compress(lines(0, 5000))
        Path("cut.log.gz").write_bytes(packed[: len(packed) // 2])
        status, out, _ = typed("check", "cut.log.gz", "--policy", "policy.yaml")
        assert status == 0
        assert "[damaged]" in out

    @pytest.mark.parametrize("command", ["check", "stats"])
    def test_a_big_gzip_is_streamed_and_gives_the_same(
        self, typed: Typed, command: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        more = ("--policy", "policy.yaml") if command == "check" else ()
        Path("good.log.gz").write_bytes(gzip.compress(Path("good.log").read_bytes()))
        whole = typed(command, "good.log.gz", *more, "--format", "json")
        monkeypatch.setattr(logs, "_BIG_GZIP", 10)
        assert typed(command, "good.log.gz", *more, "--format", "json") == whole


class TestStats:
    def test_for_a_person(self, typed: Typed) -> None:
        status, out, _ = typed("stats", "audit", "--top", "1")
        assert status == 0
        assert "500 events in 4.2 minutes: 2.0 a second" in out
        assert "audit/audit.log" in out
        assert "configmaps  500     100.0 %" in out

    def test_for_scripts(self, typed: Typed) -> None:
        status, out, _ = typed("stats", "bad.log", "--format", "json")
        value = json.loads(out)
        assert (status, value["schema"], value["events"]) == (0, "cks-lab/log-stats/v1", 120)
        assert value["levels"]["Metadata"]["events"] == 118
        assert value["levels"]["Request"]["events"] == 2
        assert sum(level["bytes"] for level in value["levels"].values()) == Path("bad.log").stat().st_size
        assert value["users"] == {"jane": {"events": 120, "bytes": value["size"]}}
        assert value["resources"][0]["resource"] == "configmaps"
        assert sum(minute["events"] for minute in value["minutes"]) == 120
        assert value["busiest"] == {"minute": "2026-11-23T10:00", "events": 120}


def test_several_processes_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "audit.log"
    forged = b"".join(map(written, request(299.5, level="Request")))
    path.write_bytes(lines(0, 300) + forged + lines(300, 600) + b"garbage\n" + lines(600, 900))
    files = log_files([str(path)])
    alone = check_logs(files, POLICY.encode(), (1, 34), workers=1)
    counted = count_logs(files, workers=1)
    assert alone.counts == {"level": 2, "unreadable": 1}
    monkeypatch.setattr(logs, "_PIECE", 100_000)
    monkeypatch.setattr("lab.log_parts.WORTH_HELPERS", 0)
    read: list[int] = []
    assert check_logs(files, POLICY.encode(), (1, 34), workers=2, progress=read.append) == alone
    assert count_logs(files, workers=2) == counted
    assert sum(read) == path.stat().st_size
    assert len(read) > 3


class TestWrongThings:
    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (("check", "good.log"), "Missing option '--policy'"),
            (("check", "--policy", "policy.yaml"), "Missing argument 'LOG...'"),
            (("check", "nosuch.log", "--policy", "policy.yaml"), "nosuch.log: No such file or directory"),
            (("check", "good.log", "--policy", "nosuch.yaml"), "nosuch.yaml: No such file or directory"),
            (("check", "good.log", "--policy", "audit"), "audit: Is a directory"),
            (("check", "good.log", "--policy", "good.log"), "good.log:2: would not load: "),
            (("check", "good.log", "--policy", "-"), "the policy is a file"),
            (("check", "empty", "--policy", "policy.yaml"), "empty: no audit log in it"),
            (("check", "binary", "--policy", "policy.yaml"), "binary: no audit event in it"),
            (("stats", "binary"), "binary: no audit event in it"),
            (("check", "-", "good.log", "--policy", "policy.yaml"), "standard input is one log"),
            (("check", "good.log", "--policy", "policy.yaml", "--since", "noon"), "is no time"),
            (("stats", ""), "an empty path names nothing"),
            (("stats", "good.log", "--top", "0"), "--top"),
        ],
    )
    def test_are_said_and_never_a_crash(self, typed: Typed, args: tuple[str, ...], said: str) -> None:
        Path("empty").mkdir()
        Path("binary").write_bytes(bytes(range(256)) * 1000)
        status, out, err = typed(*args)
        assert (status, out) == (2, "")
        assert said in err

    def test_an_empty_log_has_nothing_to_judge(self, typed: Typed) -> None:
        Path("empty.log").touch()
        status, out, _ = typed("check", "empty.log", "--policy", "policy.yaml")
        assert status == 0
        assert out.endswith("The log is empty: nothing to judge.\n")
        assert typed("stats", "empty.log")[0] == 0

    @pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
    def test_a_log_that_may_not_be_read(self, typed: Typed) -> None:
        Path("good.log").chmod(0)
        assert "Permission denied" in typed("stats", "good.log")[2]


def test_standard_input_is_a_log(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    argv = [sys.executable, "-m", "lab", "log", "check", "-", "--policy", "policy.yaml", "--format", "json"]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    for data in (lines(0, 50), gzip.compress(lines(0, 50))):
        done = subprocess.run(argv, input=data, capture_output=True, timeout=60, cwd=tmp_path, env=environment)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["events"] == 100
