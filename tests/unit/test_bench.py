"""The bench says what it measured as it was: ratios the right way round, medians, nothing left behind."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import logs


def test_a_time_is_a_part_of_its_bar() -> None:
    line = str(bench.Figure("grade", 0.1, "s", 0.2))
    assert line.split() == ["grade", "0.100", "s", "0.50", "of", "the", "bar", "(0.2", "s)"]


def test_a_speed_above_its_bar_has_a_ratio_below_one() -> None:
    line = str(bench.Figure("judge", 1000.0, "MB/s", 500.0, more_is_better=True))
    assert "1000.000 MB/s" in line
    assert "0.50 of the bar (500 MB/s)" in line


def test_a_speed_below_its_bar_has_a_ratio_above_one() -> None:
    assert "1.25 of the bar" in str(bench.Figure("judge", 400.0, "MB/s", 500.0, more_is_better=True))


def test_the_peer_stands_beside_the_figure_with_its_own() -> None:
    line = str(bench.Figure("paint", 0.3, "s", 0.4, peer=("an empty app", 0.2)))
    assert line.endswith("0.75 of the bar (0.4 s); 1.50× an empty app (0.200 s)")


def test_lines_of_different_figures_stand_in_columns() -> None:
    short = str(bench.Figure("a", 1.0, "s", 2.0))
    long = str(bench.Figure("a longer name", 1234.5, "MB/s", 500.0, more_is_better=True))
    assert short.index(" of the bar") == long.index(" of the bar")


def test_a_median_leaves_out_the_first_run_and_what_stands_out() -> None:
    runs = iter([99.0, 1.0, 3.0, 2.0, 50.0, 2.5])
    assert bench.median(lambda: next(runs)) == 2.5


def test_measures_take_turns() -> None:
    asked: list[str] = []

    def measure(name: str, value: float) -> float:
        asked.append(name)
        return value

    assert bench.medians(lambda: measure("a", 1.0), lambda: measure("b", 2.0), runs=2) == [1.0, 2.0]
    assert asked == ["a", "b"] * 3


def test_a_command_that_fails_ends_the_bench() -> None:
    with pytest.raises(SystemExit, match="exit 1"):
        bench.command("false")()


def test_an_exit_status_may_be_allowed() -> None:
    bench.command("false", ok=(0, 1))()


def test_what_a_killed_run_left_is_removed_and_what_is_in_use_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(bench.signal, "signal", lambda *_: None)
    removed: list[Path] = []
    monkeypatch.setattr(bench, "remove", removed.append)
    left = tmp_path / "cks-lab-bench-left"
    left.mkdir()
    (left / bench._LOCK).touch()
    monkeypatch.setenv("CKS_LAB_HOME", "")
    with bench.cleaned():
        own = Path(bench.os.environ["CKS_LAB_HOME"])
        assert removed == [left]
        with bench.cleaned():
            assert own not in removed
    assert removed.count(own) == 1


def test_labs_that_cannot_be_removed_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = subprocess.CompletedProcess([], 2, b"", b"process 1 does not end\n")
    monkeypatch.setattr(bench.subprocess, "run", lambda *_, **__: failed)
    bench.remove(tmp_path)
    assert tmp_path.is_dir()
    assert f"CKS_LAB_HOME={tmp_path}" in capsys.readouterr().err


def test_the_judge_and_json_count_the_same_events(shared: Path, tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_bytes((shared / "golden/logs/small.log").read_bytes())
    events = [json.loads(line) for line in log.read_text().splitlines()]
    since = min(event["requestReceivedTimestamp"] for event in events)
    assert logs.judge(log, since, events[100]["auditID"]) == logs.by_json(log) == len(events)


def test_a_log_without_the_request_that_was_looked_for_is_no_measure(shared: Path) -> None:
    with pytest.raises(SystemExit, match="0 found"):
        logs.judge(shared / "golden/logs/small.log", "2000-01-01T00:00:00Z", "of nobody")


def test_missing_recordings_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CKS_LAB_SHARED", str(tmp_path))
    with pytest.raises(SystemExit, match="CKS_LAB_SHARED"):
        logs.recorded()


def test_the_recorded_log_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CKS_LAB_SHARED", str(tmp_path))
    (tmp_path / "golden/logs").mkdir(parents=True)
    (tmp_path / "golden/logs/mixed.log.gz").write_bytes(gzip.compress(b"{}\n"))
    assert logs.recorded() == b"{}\n"
