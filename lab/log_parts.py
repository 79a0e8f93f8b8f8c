"""Owns the reading of big logs by several processes: files are cut at line ends, read apart, and answered in order.

What is read out of a part is the caller's own: a function at the top of a module (it is sent to the workers) that takes
a `LogPart`. Small logs are read in this process alone: see `WORTH_HELPERS`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Final, TypeVar

from checkers.kube.audit_log import LogStatistics, Start, Words, read_log
from checkers.kube.logs.files import Unpacked

from .errors import LabError

T = TypeVar("T")

#: Logs of this size in all (bytes, unpacked) and bigger are read by several processes.
WORTH_HELPERS: Final = 128 << 20
#: How much of a plain file is read at a time by one process, in bytes: less where less is left, since the last part is
#: waited for; not too little, since each part's answer costs as much as to read 2 MiB. The bar moves in such steps.
PART: Final = 16 << 20
BIGGEST_PART: Final = 64 << 20
_SHARE: Final = 8
_CHUNK: Final = 1 << 18
# How much smaller a gzip of a log is.
_PACKED: Final = 10
_GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class LogPart:
    """A piece of a log: the bytes from `start` to `end` of a file (`end` None: whatever there is).

    It begins at the beginning of a line, and `first` says that this one begins its file. A gzip is one piece.
    """

    path: Path
    start: int = 0
    end: int | None = None
    first: bool = True
    gzipped: bool = False

    @property
    def work(self) -> int:
        """About how many bytes there are to read."""
        return self.size * (_PACKED if self.gzipped else 1)

    @property
    def size(self) -> int:
        """The bytes on the disk; 0 where nobody knows, as of a pipe."""
        return 0 if self.end is None else self.end - self.start


def log_parts(paths: Iterable[Path], size: int = PART, biggest: int = BIGGEST_PART) -> list[LogPart]:
    """Cut files, the oldest first, into pieces of `size` to `biggest` bytes that end at line ends. Raises LabError.

    What is no regular file (a pipe) is one piece, and so is a gzip, which has no second place to begin at.
    """
    found: list[LogPart] = []
    for path in paths:
        try:
            if not path.is_file():
                # Opened here so that what cannot be read is told before anything is.
                if not path.exists() or path.is_dir():
                    path.open("rb").close()
                found.append(LogPart(path))
                continue
            with path.open("rb") as file:
                end = os.fstat(file.fileno()).st_size
                gzipped = file.read(len(_GZIP)) == _GZIP
                start = 0
                while not gzipped and end - start > (long := max(size, min((end - start) // _SHARE, biggest))):
                    file.seek(start + long)
                    cut = _line_end(file.read, start + long, end)
                    found.append(LogPart(path, start, cut, not start))
                    start = cut
                if end > start or not start:
                    found.append(LogPart(path, start, end, not start, gzipped))
        except OSError as error:
            raise _unreadable(path, error) from error
    return found


def _line_end(read: Callable[[int], bytes], position: int, end: int) -> int:
    """Return where the line that reaches over a position ends, the end of the file if nowhere before."""
    while position < end and (chunk := read(min(_CHUNK, end - position))):
        found = chunk.find(b"\n")
        if found >= 0:
            return position + found + 1
        position += len(chunk)
    return end


def part_chunks(part: LogPart, progress: Callable[[int], None] | None = None) -> Iterator[bytes]:
    """Yield the bytes of a piece as they lie on the disk (a gzip's too); `progress` is told how many were read.

    Raises LabError.
    """
    left = part.end - part.start if part.end is not None else None
    try:
        with part.path.open("rb", buffering=0) as file:
            if part.start:
                file.seek(part.start)
            while left is None or left > 0:
                chunk = file.read(_CHUNK if left is None else min(_CHUNK, left))
                if not chunk:
                    return
                if left is not None:
                    left -= len(chunk)
                yield chunk
                if progress is not None:
                    progress(len(chunk))
    except OSError as error:
        raise _unreadable(part.path, error) from error


def map_parts(
    read: Callable[[LogPart], T],
    parts: Sequence[LogPart],
    *,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[T]:
    """Yield what `read` answers for each piece, in order; by several processes where that pays.

    `read` and its answers are sent between processes: a function at the top of a module (or a `partial` of one), and
    what pickle knows. `workers` None: as many as there are cores. `progress` is told the bytes of each piece that is
    read. What `read` raises is raised here.
    """
    count = min(workers or _cores(), len(parts))
    answers: Iterator[T]
    if count < 2 or sum(part.work for part in parts) < WORTH_HELPERS:
        answers = (read(part) for part in parts)
    else:
        # Not at the top: a helper imports this module, and has no helpers.
        from .log_helpers import read_with_helpers

        answers = read_with_helpers(read, parts, count - 1)
    for part, answer in zip(parts, answers, strict=True):
        if progress is not None:
            progress(part.size)
        yield answer


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _unreadable(path: Path, error: OSError) -> LabError:
    return LabError(f"cannot read {path}: {error.strerror}", f"ls -l {path}")


@dataclass(frozen=True, slots=True)
class FileReading:
    """What was read of files: the statistics, and what is wrong with each gzip among them that is not whole."""

    statistics: LogStatistics
    damaged: dict[Path, str]


def read_log_files(
    paths: Iterable[Path],
    since: str | None = None,
    nonces: Sequence[str] = (),
    *,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> FileReading:
    """Read logs, the oldest first, as `read_logs` does, big ones by several processes. Raises LabError.

    `since` and `nonces` are those of `LogReader`; `workers` and `progress` those of `map_parts`.
    """
    parts = log_parts(paths)
    read = partial(read_part, since=since, nonces=tuple(nonces))
    damaged: dict[Path, str] = {}
    so_far = LogStatistics()
    for part, (found, damage) in zip(parts, map_parts(read, parts, workers=workers, progress=progress), strict=True):
        if damage is not None:
            damaged[part.path] = damage
        both = so_far.followed_by(found, same_file=not part.first)
        if both is None:
            # The last start that was seen decides about this part's events too.
            found, _ = read_part(part, since=since, nonces=nonces, start=so_far.start)
            both = so_far.continued_by(found, same_file=not part.first)
        so_far = both
    return FileReading(so_far, damaged)


def read_part(
    part: LogPart, *, since: str | None, nonces: Sequence[str], start: Start | None = None
) -> tuple[LogStatistics, str | None]:
    """Read one piece; return what is in it, and what is wrong with it where it is a gzip that is not whole."""
    unpacked = Unpacked(part_chunks(part))
    chunks = unpacked if not part.start else part_chunks(part)
    statistics = read_log(chunks, since, nonces, start=start, words=_words(bool(nonces)))
    return statistics, unpacked.damaged


@lru_cache
def _words(named: bool) -> Words:
    """Return the words that this process came to know, from one part to the next."""
    return Words(named=named)
