"""Big logs read in pieces, by this process and by several: what one reader finds in one go."""

from __future__ import annotations

import gzip
from functools import partial
from pathlib import Path

import pytest

from checkers.kube.audit_log import read_logs
from lab import log_parts as parts_of_logs
from lab.errors import LabError
from lab.log_parts import LogPart, log_parts, map_parts, part_chunks, read_log_files
from tests.unit.test_audit_log import event, log, start


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    times = [f"2026-11-23T10:{minute:02d}:00.000000Z" for minute in range(60)]
    old = log(*(event(auditID=f"old-{i}", requestReceivedTimestamp=times[i]) for i in range(30)))
    new = log(
        *(event(auditID=f"new-{i}", requestReceivedTimestamp=times[30 + i // 10]) for i in range(200)),
        start(times[50]),
        event(requestReceivedTimestamp=times[49]),
        *(event(auditID=f"last-{i}", level="Request", requestReceivedTimestamp=times[51]) for i in range(40)),
    )
    first, second = tmp_path / "audit-1.log.gz", tmp_path / "audit.log"
    first.write_bytes(gzip.compress(old))
    second.write_bytes(new + b'{"cut')
    return [first, second]


def whole(files: list[Path]) -> object:
    content = [gzip.decompress(files[0].read_bytes()), files[1].read_bytes()]
    return read_logs([[each] for each in content], None, ["last-7"])


@pytest.mark.parametrize("size", [1, 700, 5000, 1 << 20])
def test_pieces_are_cut_at_line_ends_and_none_is_lost(files: list[Path], size: int) -> None:
    parts = log_parts(files, size)
    assert parts[0].gzipped
    assert [part.first for part in parts].count(True) == 2
    pieces = [b"".join(part_chunks(part)) for part in parts[1:]]
    assert b"".join(pieces) == files[1].read_bytes()
    assert all(piece.endswith(b"\n") for piece in pieces[:-1])
    assert all(pieces)


@pytest.mark.parametrize("size", [500, 5000, 1 << 20])
def test_what_is_read_in_pieces_is_what_one_reader_finds(
    files: list[Path], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts_of_logs, "log_parts", partial(log_parts, size=size))
    reading = read_log_files(files, nonces=["last-7"])
    expected = read_logs([part_bytes(files[0]), part_bytes(files[1])], None, ["last-7"])
    found = reading.statistics
    # The size of a gzip's log is that of what is in it.
    assert found == expected == whole(files)
    assert found.started == "2026-11-23T10:50:00.000000Z"
    assert found.truncated
    assert not reading.damaged


def part_bytes(path: Path) -> list[bytes]:
    content = path.read_bytes()
    return [gzip.decompress(content) if path.suffix == ".gz" else content]


def test_several_processes_find_the_same_and_tell_how_far_they_are(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts_of_logs, "WORTH_HELPERS", 0)
    monkeypatch.setattr(parts_of_logs, "log_parts", partial(log_parts, size=20_000))
    told: list[int] = []
    reading = read_log_files(files, nonces=["last-7"], workers=2, progress=told.append)
    assert reading.statistics == whole(files)
    assert sum(told) == sum(path.stat().st_size for path in files)


def test_a_damaged_gzip_is_named(files: list[Path]) -> None:
    files[0].write_bytes(files[0].read_bytes()[:-20])
    reading = read_log_files(files)
    assert list(reading.damaged) == [files[0]]
    assert "cut" in reading.damaged[files[0]]
    assert reading.statistics.events > 200


def test_what_a_worker_cannot_read_is_said(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LabError, match="No such file"):
        log_parts([files[0].parent / "none.log"])
    with pytest.raises(LabError, match="Is a directory"):
        log_parts([files[0].parent])
    monkeypatch.setattr(parts_of_logs, "WORTH_HELPERS", 0)
    gone = [LogPart(files[0].parent / "gone", 0, 10), LogPart(files[0].parent / "gone too", 0, 10)]
    with pytest.raises(LabError, match="gone"):
        list(map_parts(partial(parts_of_logs.read_part, since=None, nonces=()), gone, workers=2))


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "audit.log").touch()
    assert read_log_files([tmp_path / "audit.log"]).statistics.file_lines == (0,)
