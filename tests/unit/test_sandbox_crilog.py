"""A container's log file reads as containerd's does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.drivers.sandbox.crilog import LogFile, timestamp

STAMP = "2026-11-24T04:16:10.694352385Z"
NOW = 1_795_493_770_694_352_385


@pytest.fixture
def log(tmp_path: Path) -> tuple[LogFile, Callable[[], list[str]]]:
    path = tmp_path / "0.log"
    return LogFile(str(path), lambda: NOW), lambda: path.read_text().splitlines()


def test_times_have_nine_decimals() -> None:
    assert timestamp(NOW) == STAMP
    assert timestamp(1_000_000_000) == "1970-01-01T00:00:01.000000000Z"


def test_lines_are_kept_with_their_stream_as_they_are_complete(
    log: tuple[LogFile, Callable[[], list[str]]],
) -> None:
    file, lines = log
    file.feed("stderr", b"one\ntw")
    assert lines() == [f"{STAMP} stderr F one"]
    file.feed("stdout", b"other\n")
    file.feed("stderr", b"o\n\n")
    assert lines()[1:] == [f"{STAMP} stdout F other", f"{STAMP} stderr F two", f"{STAMP} stderr F "]


def test_a_line_longer_than_16_kib_is_split_into_parts(log: tuple[LogFile, Callable[[], list[str]]]) -> None:
    file, lines = log
    file.feed("stdout", b"x" * 40_000)
    file.feed("stdout", b"y\n")
    tags = [(line.split(" ")[2], len(line.split(" ")[3])) for line in lines()]
    assert tags == [("P", 16384), ("P", 16384), ("F", 40_000 - 2 * 16384 + 1)]


def test_what_has_no_end_of_line_is_written_at_the_end(log: tuple[LogFile, Callable[[], list[str]]]) -> None:
    file, lines = log
    file.feed("stderr", b"Killed")
    file.close()
    assert lines() == [f"{STAMP} stderr P Killed"]


def test_a_second_run_goes_on_in_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    for word in (b"one\n", b"two\n"):
        file = LogFile(str(path), lambda: NOW)
        file.feed("stdout", word)
        file.close()
    assert [line.split(" ")[3] for line in path.read_text().splitlines()] == ["one", "two"]
