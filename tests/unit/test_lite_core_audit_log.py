"""The audit log file: how it is made, when it is rotated, what happens when it cannot be written."""

from __future__ import annotations

import gzip
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from checkers.kube.server.flags import parse_flags
from lab.drivers.sandbox.lite.audit_log import LogFileError, RotatingFile, Writer, open_log

START = datetime(2026, 11, 23, 2, 36, 32, 662000, UTC)
MIB = 1 << 20


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def opened(path: Path | str, *flags: str) -> Writer:
    return open_log(parse_flags(["kube-apiserver", f"--audit-log-path={path}", *flags]).audit.log, Clock())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_missing_log_is_made_at_once_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "new/deep/audit.log"
    opened(path)
    assert (mode(path), mode(path.parent), path.read_bytes()) == (0o600, 0o700, b"")


def test_an_existing_log_is_appended_to_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(b"before\n")
    path.chmod(0o644)
    log = opened(path)
    log.write(b"after\n")
    log.close()
    assert (mode(path), path.read_bytes()) == (0o644, b"before\nafter\n")


@pytest.mark.parametrize("below", ["audit.log", "deep/audit.log"])
def test_a_log_under_a_file_is_refused_naming_the_file(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(LogFileError) as refused:
        opened(file / below)
    assert str(refused.value) == f"ensureLogFile: mkdir {file}: not a directory"


def test_a_folder_in_place_of_the_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LogFileError) as refused:
        opened(tmp_path)
    assert str(refused.value) == f"ensureLogFile: open {tmp_path}: is a directory"


def test_a_place_where_nothing_can_be_made_is_told_as_it_is() -> None:
    with pytest.raises(LogFileError, match=r"ensureLogFile: open /proc/audit\.log: no such file or directory"):
        opened("/proc/audit.log")


def test_a_deleted_log_is_not_made_again_while_the_server_runs(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = opened(path)
    log.write(b"1\n")
    path.unlink()
    log.write(b"2\n")
    assert not path.exists()


def rotating(path: Path, **options: Any) -> RotatingFile:
    given = {"max_bytes": 10, "max_backups": 0, "max_days": 0, "compress": False, **options}
    return RotatingFile(str(path), now=Clock(), **given)


def test_the_log_is_moved_aside_before_a_write_that_would_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = rotating(path)
    for line in (b"12345\n", b"678\n", b"next\n"):
        log.write(line)
    (backup,) = tmp_path.glob("audit-*.log")
    assert backup.name == "audit-2026-11-23T02-36-33.662.log"
    assert (backup.read_bytes(), path.read_bytes()) == (b"12345\n678\n", b"next\n")


def test_a_log_that_is_full_at_the_start_is_rotated_by_the_first_write(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(b"0123456789")
    rotating(path).write(b"new\n")
    assert path.read_bytes() == b"new\n"


def test_only_so_many_backups_are_kept_and_they_are_packed(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    (tmp_path / "audit-other.log").write_text("not ours")
    log = rotating(path, max_backups=2, compress=True)
    for number in range(5):
        log.write(b"line %d..\n" % number)
    log.close()
    backups = sorted(tmp_path.glob("audit-2026*"))
    assert [gzip.decompress(backup.read_bytes()) for backup in backups] == [b"line 2..\n", b"line 3..\n"]
    assert (tmp_path / "audit-other.log").exists()


def test_backups_that_are_too_old_go(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    old, young = tmp_path / "audit-2026-11-01T00-00-00.000.log", tmp_path / "audit-2026-11-22T00-00-00.000.log"
    old.touch()
    young.touch()
    log = rotating(path, max_days=7)
    log.write(b"1\n")
    log.close()
    assert (old.exists(), young.exists()) == (False, True)


def test_a_log_that_cannot_be_renamed_loses_events_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "audit.log"
    log = rotating(path)
    log.write(b"12345678\n")

    def busy(old: str, new: str) -> None:
        raise OSError(16, "busy")

    monkeypatch.setattr(os, "rename", busy)
    for _ in range(2):
        with pytest.raises(LogFileError, match=r"can't rename log file: rename .*: device or resource busy"):
            log.write(b"12345678\n")
    assert path.read_bytes() == b"12345678\n"


def test_a_line_larger_than_a_whole_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LogFileError, match="write length 11 exceeds maximum file size 10"):
        rotating(tmp_path / "audit.log").write(b"0123456789\n")


def test_a_size_of_nought_is_100_mebibytes(tmp_path: Path) -> None:
    log = opened(tmp_path / "audit.log", "--audit-log-maxsize=0")
    with pytest.raises(LogFileError, match=f"exceeds maximum file size {100 * MIB}"):
        log.write(bytes(100 * MIB + 1))


def test_a_dash_is_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    opened("-").write(b"event\n")
    assert capfdbinary.readouterr().out == b"event\n"
