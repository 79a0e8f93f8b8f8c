"""Owns the files and times of audit logs: which names in a folder are a log's, what is in a gzip, how times compare.

Source: lumberjack 2.2 (names of rotated files), kube-apiserver's MicroTime (times).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

_GZIP: Final = b"\x1f\x8b"
# No more than this is unpacked at a time: a small gzip can hold much.
_UNPACKED: Final = 1 << 18
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_ROTATED: Final = re.compile(r"-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}")


class Unpacked:
    """The bytes of a log that may be gzip'ed, chunk by chunk, once.

    A damaged or cut gzip ends where it no longer can be read: `damaged` then says what is wrong with it, and is None
    before the end and for a file that is whole. What stands behind the last gzip member, but for the zeros of a tape
    block, is such a damage too. Memory does not grow with the file, nor with what it unpacks to.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.damaged: str | None = None
        self._chunks = iter(chunks)

    def __iter__(self) -> Iterator[bytes]:
        first = next(self._chunks, b"")
        while len(first) < len(_GZIP) and _GZIP.startswith(first) and (more := next(self._chunks, b"")):
            first += more
        if first.startswith(_GZIP):
            yield from self._members(first)
            return
        if first:
            yield first
        yield from self._chunks

    def _members(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what the members of a gzip hold, one after the other."""
        read = 0
        while chunk:
            decompressor = zlib.decompressobj(wbits=31)
            while not decompressor.eof:
                try:
                    data = decompressor.decompress(chunk, _UNPACKED)
                except zlib.error as error:
                    self.damaged = f"the gzip is damaged ({_reason(error)}): nothing after byte {read} can be read"
                    return
                chunk = decompressor.unconsumed_tail
                if data:
                    read += len(data)
                    yield data
                elif not chunk and not decompressor.eof and not (chunk := next(self._chunks, b"")):
                    self.damaged = f"the gzip is cut: nothing after byte {read} is there"
                    return
            chunk = decompressor.unused_data
            while len(chunk) < len(_GZIP) or not chunk.strip(b"\0"):
                more = next(self._chunks, b"")
                if not more:
                    break
                chunk = chunk.lstrip(b"\0") + more
            chunk = chunk.lstrip(b"\0")
            if chunk and not chunk.startswith(_GZIP):
                self.damaged = f"something else stands behind the gzip's end: nothing after byte {read} can be read"
                return


def unpacked(chunks: Iterable[bytes]) -> Unpacked:
    """Return the bytes of a log that may be gzip'ed; ask `damaged` of it when they are read."""
    return Unpacked(chunks)


def _reason(error: zlib.error) -> str:
    """Return zlib's own words: `Error -3 while decompressing data: invalid block type` without their beginning."""
    return str(error).rpartition(": ")[2]


def log_names(names: Iterable[str], log: str) -> tuple[str, ...]:
    """Return a log's own names among those in its folder, the oldest first: rotated ones (`.gz` too), then itself.

    `log` is the log's name without its folder. A gzip beside the file that it is made of is none: it is being written,
    or its writer was killed. Source: lumberjack 2.2: `audit-2026-11-23T02-36-32.662.log`, compressLogFile.
    """
    known = set(names)
    rotated = [name for name in known if _stamp(name, log) and not (name.endswith(".gz") and name[:-3] in known)]
    ordered = sorted(rotated, key=lambda name: _stamp(name, log))
    return (*ordered, log) if log in known else tuple(ordered)


def rotated_at(name: str, log: str) -> str:
    """Return when a rotated log was put aside, in the form of `normal_time`; "" for what is no rotated one of `log`.

    No event in it is younger. `name` and `log` are both paths, or both names. Source: lumberjack 2.2, backupName: UTC.
    """
    stamp = _stamp(name, log)
    return f"{stamp[1:11]}T{stamp[12:20].replace('-', ':')}{stamp[20:]}000Z" if stamp else ""


def _stamp(name: str, log: str) -> str:
    """Return the time in a rotated log's name, as it stands there."""
    stem, dot, suffix = log.rpartition(".")
    if not dot:
        stem, suffix = log, ""
    plain = name.removesuffix(".gz")
    if name == log or not (plain.startswith(stem) and plain.endswith(dot + suffix)):
        return ""
    stamp = plain[len(stem) : len(plain) - len(dot + suffix)]
    return stamp if _ROTATED.fullmatch(stamp) else ""


def normal_time(text: str) -> str | None:
    """Return an RFC 3339 time as the log writes it (`2026-11-23T02:26:42.934150Z`), None for what is none.

    Such texts compare as the times do.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, zone = match.groups()
    micros = ((fraction or "") + "000000")[:6]
    if zone in ("Z", "z"):
        return f"{day}T{clock}.{micros}Z"
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}.{micros}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
