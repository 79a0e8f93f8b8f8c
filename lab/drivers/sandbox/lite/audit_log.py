"""Owns the log backend: the file that events are appended to, its rotation, and what happens when it cannot be written.

Source: facts §C; golden/policy/flags.jsonl for file modes and words. The file is opened once and stays open, so a log
that is deleted is not made again before the next start or rotation.
"""

from __future__ import annotations

import errno
import gzip
import os
import re
import shutil
import stat
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from checkers.kube.server.options import LogOptions

from . import files, gojson
from .audit import Event, Unencodable
from .klog import Klog, os_error

_MIB = 1 << 20
_DEFAULT_MAX_MIB = 100
"""What --audit-log-maxsize 0 means to the real one up to 1.35."""
_STAMP = "%Y-%m-%dT%H-%M-%S.%f"
_BACKUP_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}")


class LogFileError(Exception):
    """A log that cannot be opened or written, in the real one's words."""


class Writer(Protocol):
    """Takes whole lines. Raises LogFileError."""

    def write(self, line: bytes) -> None: ...

    def close(self) -> None: ...


def open_log(options: LogOptions, now: Callable[[], datetime]) -> Writer:
    """Return where events are written: a file, made if missing, or standard output for `-`. Raises LogFileError."""
    if options.path == "-":
        return StandardOutput()
    _ensure(options.path)
    return RotatingFile(
        options.path,
        max_bytes=(options.max_size or _DEFAULT_MAX_MIB) * _MIB,
        max_backups=options.max_backups,
        max_days=options.max_age,
        compress=options.compress,
        now=now,
    )


def _ensure(path: str) -> None:
    """Make the file and its folders as the real one does at its start: 0700 and 0600; what exists is left as it is."""
    folder = os.path.dirname(path) or "."
    try:
        _make_folders(folder)
    except OSError as error:
        raise LogFileError("ensureLogFile: " + os_error(error, "mkdir", str(error.filename))) from None
    try:
        _allow(path)
        os.close(os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise LogFileError("ensureLogFile: " + os_error(error, "open", path)) from None


def _allow(path: str) -> None:
    """Raise PermissionError where the container's user may not write the file; one that it made would be root's."""
    if files.is_root():
        return
    if not os.path.exists(path):
        raise PermissionError(errno.EACCES, "", path)
    files.check(path, files.WRITE)


def _make_folders(folder: str) -> None:
    """Do what Go's MkdirAll does, which blames the part of the path that is in the way."""
    try:
        mode = os.stat(folder).st_mode
    except OSError:
        mode = 0
    if stat.S_ISDIR(mode):
        return
    if mode:
        raise NotADirectoryError(errno.ENOTDIR, "", folder)
    parent = os.path.dirname(folder.rstrip("/"))
    if parent and parent != folder:
        _make_folders(parent)
    if not files.is_root():
        raise PermissionError(errno.EACCES, "", folder)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        if not os.path.isdir(folder):
            raise


class StandardOutput:
    """Events between the lines of the server's own log."""

    def write(self, line: bytes) -> None:
        """Write one line. Raises LogFileError."""
        try:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
        except (OSError, ValueError) as error:
            raise LogFileError(f"write /dev/stdout: {error}") from None

    def close(self) -> None:
        """Leave standard output as it is."""


class RotatingFile:
    """A file that is moved aside before a write that would make it too large."""

    def __init__(
        self, path: str, *, max_bytes: int, max_backups: int, max_days: int, compress: bool, now: Callable[[], datetime]
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._max_backups = max_backups
        self._max_days = max_days
        self._compress = compress
        self._now = now
        self._file = -1
        self._size = 0
        self._tidying: threading.Thread | None = None

    def write(self, line: bytes) -> None:
        """Append one line, rotating first where it would not fit. Raises LogFileError."""
        if len(line) > self._max_bytes:
            raise LogFileError(f"write length {len(line)} exceeds maximum file size {self._max_bytes}")
        if self._file < 0:
            self._open(len(line))
        elif self._size + len(line) > self._max_bytes:
            self.close()
            self._rotate()
        left = memoryview(line)
        try:
            while left:
                written = os.write(self._file, left)
                self._size += written
                left = left[written:]
        except OSError as error:
            raise LogFileError(os_error(error, "write", self._path)) from None

    def close(self) -> None:
        """Close the file and wait for old ones to be packed."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self._tidying is not None:
            self._tidying.join()
            self._tidying = None

    def _open(self, coming: int) -> None:
        try:
            size = os.stat(self._path).st_size
        except FileNotFoundError:
            size = 0
        except OSError as error:
            raise LogFileError(f"error getting log file info: {os_error(error, 'stat', self._path)}") from None
        if size + coming >= self._max_bytes:
            self._rotate()
            return
        self._tidy()
        self._append(0o600)
        self._size = size

    def _append(self, mode: int) -> None:
        try:
            self._file = os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, mode)
        except OSError as error:
            raise LogFileError(f"can't open new logfile: {os_error(error, 'open', self._path)}") from None

    def _rotate(self) -> None:
        mode = 0o600
        try:
            mode = stat.S_IMODE(os.stat(self._path).st_mode)
            backup = self._backup_name()
            os.rename(self._path, backup)
        except FileNotFoundError:
            pass
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            raise LogFileError(f"can't rename log file: rename {self._path} {backup}: {reason}") from None
        self._append(mode)
        self._size = 0
        self._tidy()

    def _backup_name(self) -> str:
        folder, base = os.path.split(self._path)
        stem, extension = os.path.splitext(base)
        return os.path.join(folder, f"{stem}-{self._now().strftime(_STAMP)[:-3]}{extension}")

    def _tidy(self) -> None:
        if not (self._max_backups or self._max_days or self._compress):
            return
        if self._tidying is not None:
            self._tidying.join()
        self._tidying = threading.Thread(target=self._tidy_now, args=(self._now(),), daemon=True)
        self._tidying.start()

    def _tidy_now(self, now: datetime) -> None:
        """Remove the backups that are too many or too old, pack the others."""
        folder, base = os.path.split(self._path)
        stem, extension = os.path.splitext(base)
        backups: list[tuple[str, str]] = []
        try:
            for name in os.listdir(folder or "."):
                middle = name.removeprefix(f"{stem}-").removesuffix(".gz").removesuffix(extension)
                if name.startswith(f"{stem}-") and _BACKUP_TIME.fullmatch(middle):
                    backups.append((middle, name))
            backups.sort(reverse=True)
            times = list(dict.fromkeys(when for when, _ in backups))
            doomed = set(times[self._max_backups :]) if self._max_backups else set()
            if self._max_days:
                oldest = (now - timedelta(days=self._max_days)).strftime(_STAMP)[:-3]
                doomed |= {when for when in times if when < oldest}
            for when, name in backups:
                path = os.path.join(folder, name)
                if when in doomed:
                    os.unlink(path)
                elif self._compress and not name.endswith(".gz"):
                    _pack(path)
        except OSError:
            # As with the real one: a backup that cannot be removed stays, and the log goes on.
            return


def _pack(path: str) -> None:
    mode = stat.S_IMODE(os.stat(path).st_mode)
    target = os.open(path + ".gz", os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, mode)
    with open(path, "rb") as plain, os.fdopen(target, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb") as packed:
        shutil.copyfileobj(plain, packed)
    os.unlink(path)


class LogSink:
    """Writes events as JSON or legacy lines; what cannot be written is told on standard error and lost."""

    def __init__(self, writer: Writer, options: LogOptions, klog: Klog) -> None:
        self._writer = writer
        self._options = options
        self._klog = klog
        self.strict = options.batch.mode == "blocking-strict"
        self.written = 0

    def write(self, event: Event, stage: str, at: datetime) -> bool:
        """Write one event; returns False where it was lost and the mode is blocking-strict."""
        try:
            self._writer.write(self._line(event, stage, at))
            self.written += 1
        except (Unencodable, LogFileError, OSError) as error:
            plugin = "truncate" if isinstance(error, _TooLarge) else "log"
            self._klog.line(
                "E", "metrics.go:110", f"Error in audit plugin '{plugin}' affecting 1 audit events: {error}"
            )
            self._klog.plain("Impacted events:")
            return not self.strict
        return True

    def close(self) -> None:
        """Close the log."""
        self._writer.close()

    def _line(self, event: Event, stage: str, at: datetime) -> bytes:
        if self._options.format == "legacy":
            return event.as_legacy(stage)
        line = event.as_json(stage, at)
        limit = self._options.truncate
        if limit.enabled and len(line) > limit.max_event_size:
            line = _truncated(line)
            if len(line) > limit.max_event_size:
                raise _TooLarge("event is too large even after truncating")
        return line


class _TooLarge(LogFileError):
    pass


def _truncated(line: bytes) -> bytes:
    import msgspec

    event: dict[str, Any] = msgspec.json.decode(line)
    event.pop("requestObject", None)
    event.pop("responseObject", None)
    annotations = {**event.pop("annotations", {}), "audit.k8s.io/truncated": "true"}
    return gojson.encode({**event, "annotations": dict(sorted(annotations.items()))}) + b"\n"
