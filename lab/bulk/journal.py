"""Owns what is kept of a run over many bundles while it goes on: a line a bundle, appended, so that nothing is lost.

It lies beside the output as `.NAME.partial.jsonl` until that is whole. Its first line says by which judge the rest was
graded: another version, other checks or another scenario make it worth nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, overload

import checkers

from .. import __version__
from ..catalog import scenarios_folder
from ..errors import LabError
from ..reports import Entry
from ..reports.stored import report_of
from .crew import Job

_KIND = "cks-lab/bulk/v1"
_SYNC_EVERY = 2.0
# What a verdict hangs on, besides the checkers and the scenarios.
_OF_LAB = ("evidence", "grading.py", "catalog.py")


class Journal:
    """The lines of one run. A context: closed at its end, and there again for the next run unless it was removed."""

    def __init__(self, file: IO[bytes], path: Path | None, scenario: str | None) -> None:
        """Read what an earlier run has left. `path` None: a file that nobody comes back to."""
        self.path = path
        self._file = file
        self._places: dict[str, tuple[int, int]] = {}
        self._known: dict[str, tuple[int, list[int], str]] = {}
        self._synced = time.monotonic()
        self._head = json.dumps({"kind": _KIND, "judge": judge(), "scenario": scenario}).encode() + b"\n"
        self._end = self._read() if path is not None else 0
        self._truncate()

    @classmethod
    def beside(cls, output: Path, scenario: str | None) -> Journal:
        """Open the journal of an output. Raises LabError where it cannot be written, or is another run's just now."""
        real = output.resolve()
        path = real.with_name(f".{real.name}.partial.jsonl")
        try:
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
            file = os.fdopen(os.open(path, flags, 0o600), "r+b", buffering=0)
        except OSError as error:
            raise LabError(
                f"cannot write {path}: {error.strerror}", f"choose another place, or look: ls -ld {path.parent}"
            ) from error
        try:
            _lock(file)
        except OSError:
            file.close()
            raise LabError(f"another cks-lab is grading into {output}", "wait for it, or choose another -o") from None
        try:
            return cls(file, path, scenario)
        except OSError as error:
            file.close()
            raise LabError(f"cannot read {path}: {error.strerror}", f"rm {path}") from error

    @classmethod
    def unseen(cls, scenario: str | None) -> Journal:
        """Return a journal that is gone with the program: for an output that nobody can come back to."""
        try:
            return cls(tempfile.TemporaryFile(buffering=0), None, scenario)
        except OSError as error:
            raise LabError(f"no room for what is graded: {error.strerror}", f"df -h {tempfile.gettempdir()}") from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._places)

    def verdict(self, job: Job) -> str | None:
        """Return what this very bundle was found to be; None where it was not graded, or has changed since."""
        size, times, verdict = self._known.get(job.source, (-1, [], ""))
        return verdict if size >= 0 and (size, times) == (job.size, list(job.times)) else None

    def add(self, line: bytes) -> str:
        """Keep one more line, and return its verdict. Raises LabError where the disk takes no more."""
        content = line + b"\n"
        try:
            self._file.seek(self._end)
            left = memoryview(content)
            while left:
                left = left[self._file.write(left) :]
            if self.path is not None and time.monotonic() - self._synced > _SYNC_EVERY:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            raise LabError(
                f"cannot keep what is graded: {error.strerror}", "make room; then the same command goes on"
            ) from error
        record = json.loads(line)
        self._note(record, self._end, len(content))
        self._end += len(content)
        return str(record["verdict"])

    def entries(self, sources: Sequence[str]) -> Sequence[Entry]:
        """Return the entries of these bundles, in this order; each is read when it is asked for, and none is kept."""
        return _Entries(self._file, [self._places[source] for source in sources])

    def remove(self) -> None:
        """Take the journal away: the output is whole, and nobody has to come back."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _read(self) -> int:
        """Take in what is there, and return where its last whole line ends."""
        self._file.seek(0)
        at = 0
        with os.fdopen(os.dup(self._file.fileno()), "rb") as lines:
            for line in lines:
                if not line.endswith(b"\n") or (at == 0 and line != self._head):
                    break
                if at:
                    try:
                        self._note(json.loads(line), at, len(line))
                    except (ValueError, KeyError, TypeError):
                        # Not a line of ours: the machine went down, say. What follows is graded anew.
                        break
                at += len(line)
        return at

    def _note(self, record: dict[str, Any], at: int, length: int) -> None:
        source = record["source"]
        self._places[source] = (at, length)
        self._known[source] = (-1 if record.get("again") else record["size"], record["times"], record["verdict"])

    def _truncate(self) -> None:
        """Let the file end with its last whole line, or begin anew with its head."""
        self._file.truncate(self._end)
        if not self._end:
            self._file.seek(0)
            self._file.write(self._head)
            self._end = len(self._head)


class _Entries(Sequence[Entry]):
    def __init__(self, file: IO[bytes], places: Sequence[tuple[int, int]]) -> None:
        self._file = file
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | Sequence[Entry]:
        if isinstance(index, slice):
            return _Entries(self._file, self._places[index])
        at, length = self._places[index]
        self._file.seek(at)
        content = b""
        while len(content) < length and (more := self._file.read(length - len(content))):
            content += more
        record = json.loads(content)
        source = os.fsencode(record["source"]).decode("utf-8", "replace")
        report = record.get("report")
        if report is not None:
            return Entry(source, report_of(report))
        return Entry(source, None, record["error"], record["hint"])


def judge() -> str:
    """Return what stands for the judge: the version, and a hash of all that a verdict hangs on besides the bundle."""
    package = Path(__file__).parents[1]
    found = hashlib.sha256()
    for place in (Path(checkers.__file__).parent, scenarios_folder(), *(package / name for name in _OF_LAB)):
        files = sorted(p for p in place.rglob("*") if p.suffix != ".pyc" and p.is_file()) if place.is_dir() else [place]
        for file in files:
            content = file.read_bytes()
            found.update(f"{file.relative_to(place.parent)} {len(content)}\n".encode())
            found.update(content)
    return f"{__version__} {found.hexdigest()[:16]}"


def _lock(file: IO[bytes]) -> None:
    try:
        import fcntl
    except ImportError:
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
