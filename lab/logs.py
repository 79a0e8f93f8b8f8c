"""Owns audit logs as a person names them: files, folders, gzips, a pipe; put in the order of time, checked and counted.

Big plain files are read by several processes in pieces, a gzip or a pipe by this one. Memory does not grow with them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Final, TypeVar

from checkers.kube.audit_policy import load_policy
from checkers.kube.logs.check import LogCheck, LogReport
from checkers.kube.logs.counts import LogCounts
from checkers.kube.logs.event import read_event
from checkers.kube.logs.files import Unpacked, log_names, normal_time
from checkers.kube.logs.judged import JudgedLines, LineJudge

from .errors import LabError
from .log_counting import count_part, count_stream
from .log_parts import BIGGEST_PART, PART, LogPart, log_parts, map_parts, part_chunks

T = TypeVar("T")

STDIN: Final = "-"
#: A log's beginning, in which its first event is looked for.
_BEGINNING: Final = 4 << 20
#: What is found in a piece is kept until it is taken together: it takes as much memory as a part of the piece.
_PIECE: Final = 8 << 20
_CHUNK: Final = 1 << 18
#: A gzip of more than this (bytes on the disk) is judged as it is unpacked, not as one piece.
_BIG_GZIP: Final = 8 << 20
_HINT: Final = "name an audit log, its rotated files, or their folder"


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file, or standard input (no path). `first_time` is that of its first event, "" where none was seen."""

    name: str
    path: Path | None
    size: int = 0
    first_time: str = ""


def log_files(given: Sequence[str]) -> list[LogFile]:
    """Return the files that were named, the oldest first; of a folder its logs. Raises LabError."""
    if STDIN in given:
        if len(given) > 1:
            raise LabError("standard input is one log: it cannot be put in order with others", "give one of them only")
        return [LogFile("standard input", None)]
    found: list[LogFile] = []
    seen: set[tuple[int, int]] = set()
    for name in given:
        path = Path(name).expanduser()
        for one in _logs_of(path) if path.is_dir() else [path]:
            file, identity = _looked_at(one)
            if identity not in seen:
                seen.add(identity)
                found.append(file)
    begins = {file.path: file.first_time for file in found}
    found = [file for file in found if not _is_packed(file, begins)]
    # What shows no time stays where it was named, before the others.
    return sorted(found, key=lambda file: file.first_time)


def _is_packed(file: LogFile, begins: Mapping[Path | None, str]) -> bool:
    """Whether a file is the gzip of another one that was named too: it is being written, or both were kept."""
    if file.path is None or file.path.suffix != ".gz" or not file.first_time:
        return False
    return begins.get(file.path.with_suffix("")) == file.first_time


def _logs_of(folder: Path) -> list[Path]:
    """Return the audit logs in a folder: files that end in .log, or begin with an event, and the rotated ones."""
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise LabError(f"{folder}: {error.strerror}", _HINT) from error
    logs = [name for name in names if name.removesuffix(".gz").endswith(".log")]
    for name in [name for name in logs if not name.endswith(".gz")]:
        logs += [rotated for rotated in log_names(names, name) if rotated not in logs]
    with_events = [folder / name for name in logs if _looked_at(folder / name)[0].first_time]
    if not with_events:
        raise LabError(f"{folder}: no audit log in it", _HINT)
    return with_events


def _looked_at(path: Path) -> tuple[LogFile, tuple[int, int]]:
    """Return a file with its first event's time, and what tells it from others. Raises LabError."""
    try:
        status = path.stat()
        if not path.is_file():
            # A pipe is read once.
            return LogFile(str(path), path), (status.st_dev, status.st_ino)
        time = ""
        with path.open("rb") as file:
            for line in _first_lines(iter(partial(file.read, _CHUNK), b"")):
                event = read_event(line)
                if event is not None:
                    time = normal_time(event.stage_timestamp) or normal_time(event.request_received_timestamp) or ""
                if time:
                    break
    except OSError as error:
        raise LabError(f"{path}: {error.strerror}", _HINT) from error
    return LogFile(str(path), path, status.st_size, time), (status.st_dev, status.st_ino)


def _first_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a log's beginning."""
    rest, read = b"", 0
    for chunk in Unpacked(chunks):
        read += len(chunk)
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        yield from lines
        if read > _BEGINNING:
            return
    yield rest


# Reading: each file in pieces, or streamed.


@dataclass(slots=True)
class _Judged:
    lines: JudgedLines
    damaged: str | None = None


def _pieces(
    files: Sequence[LogFile],
    read: Callable[[LogPart], T],
    stream: Callable[[Iterable[bytes]], Iterator[T]],
    progress: Callable[[int], None],
    workers: int | None,
    sizes: tuple[int, int],
) -> Iterator[tuple[LogFile, T]]:
    """Yield what `read` makes of each piece of the files, in order; what cannot be cut goes through `stream`."""
    for group in _groups(files):
        if _is_streamed(group[0]):
            for answer in stream(_counted_chunks(group[0], progress)):
                yield group[0], answer
            continue
        by_path = {file.path: file for file in group}
        parts = log_parts([file.path for file in group if file.path is not None], *sizes)
        for part, answer in zip(parts, map_parts(read, parts, workers=workers, progress=progress), strict=True):
            yield by_path[part.path], answer


def _groups(files: Sequence[LogFile]) -> Iterator[list[LogFile]]:
    """Yield files that are read together: one that is streamed by itself, others in a row."""
    row: list[LogFile] = []
    for file in files:
        if _is_streamed(file):
            if row:
                yield row
            row = []
            yield [file]
        else:
            row.append(file)
    if row:
        yield row


def _is_streamed(file: LogFile) -> bool:
    if file.path is None or not file.path.is_file():
        return True
    return file.size > _BIG_GZIP and file.path.open("rb").read(2) == b"\x1f\x8b"


def _counted_chunks(file: LogFile, progress: Callable[[int], None]) -> Iterator[bytes]:
    if file.path is not None:
        yield from part_chunks(LogPart(file.path, 0, file.size or None), progress)
        return
    if sys.stdin is None:
        raise LabError("standard input is closed", "name a file")
    # Without a buffer: what is there is read at once, and not waited for until a chunk is full.
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as given:
        while chunk := given.read(_CHUNK):
            yield chunk


# Checking.


@lru_cache(maxsize=1)
def _line_judge(policy: bytes, version: tuple[int, int]) -> LineJudge:
    """Return this process's judge, which remembers from one piece to the next."""
    return LineJudge(load_policy(policy, version=version))


def _judge_part(policy: bytes, version: tuple[int, int], part: LogPart) -> _Judged:
    judge = _line_judge(policy, version)
    unpacked = Unpacked(part_chunks(part))
    for chunk in unpacked:
        judge.feed(chunk)
    judge.end()
    return _Judged(judge.take(), unpacked.damaged)


def _judge_stream(policy: bytes, version: tuple[int, int], chunks: Iterable[bytes]) -> Iterator[_Judged]:
    judge = _line_judge(policy, version)
    unpacked = Unpacked(chunks)
    for chunk in unpacked:
        judge.feed(chunk)
        yield _Judged(judge.take())
    judge.end()
    yield _Judged(judge.take(), unpacked.damaged)


def check_logs(
    files: Sequence[LogFile],
    policy: bytes,
    version: tuple[int, int],
    *,
    since: str | None = None,
    everything: bool = False,
    progress: Callable[[int], None] = lambda size: None,
    workers: int | None = None,
) -> LogReport:
    """Check files, the oldest first, against a policy that loads. `progress` is told the bytes read from the disk.

    Raises LabError for what cannot be read.
    """
    check = LogCheck(since=since, everything=everything)
    last: LogFile | None = None
    pieces = _pieces(
        files,
        partial(_judge_part, policy, version),
        partial(_judge_stream, policy, version),
        progress,
        workers,
        (_PIECE, _PIECE),
    )
    for file, judged in pieces:
        if file is not last:
            check.begin(file.name)
            last = file
        check.take(judged.lines)
        if judged.damaged is not None:
            check.end(judged.damaged)
    return check.finish()


# Counting.


@dataclass(frozen=True, slots=True)
class CountedFile:
    """What one file holds. `damaged` says why it could not be read to its end."""

    name: str
    counts: LogCounts
    damaged: str | None


def count_logs(
    files: Sequence[LogFile], *, progress: Callable[[int], None] = lambda size: None, workers: int | None = None
) -> tuple[LogCounts, tuple[CountedFile, ...]]:
    """Count files, the oldest first: all together, and each. Raises LabError for what cannot be read."""
    together = LogCounts()
    each: dict[str, CountedFile] = {}
    for file, counted in _pieces(files, count_part, count_stream, progress, workers, (PART, BIGGEST_PART)):
        together.add(counted.counts)
        known = each.get(file.name)
        if known is None:
            each[file.name] = CountedFile(file.name, counted.counts, counted.damaged)
        else:
            known.counts.add(counted.counts)
    return together, tuple(each.values())
