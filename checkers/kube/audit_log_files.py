"""Owns the files and times of audit logs: which names in a folder are a log's, what is in a gzip, how times compare.

Source: lumberjack 2.2 (names of rotated files), kube-apiserver's MicroTime (times).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_ROTATED: Final = re.compile(r"-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}")


def unpacked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a log that may be gzip'ed; a damaged or cut gzip ends where it no longer can be read."""
    iterator = iter(chunks)
    first = next(iterator, b"")
    if not first.startswith(b"\x1f\x8b"):
        yield first
        yield from iterator
        return
    decompressor = zlib.decompressobj(wbits=31)
    chunk = first
    while True:
        try:
            data = decompressor.decompress(chunk, 1 << 20)
            while data:
                yield data
                data = decompressor.decompress(decompressor.unconsumed_tail, 1 << 20)
        except zlib.error:
            return
        chunk = decompressor.unused_data
        if decompressor.eof:
            if not chunk:
                chunk = next(iterator, b"")
            decompressor = zlib.decompressobj(wbits=31)
        else:
            chunk = next(iterator, b"")
        if not chunk:
            return


def log_names(names: Iterable[str], log: str) -> tuple[str, ...]:
    """Return a log's own names among those in its folder, the oldest first: rotated ones (`.gz` too), then itself.

    `log` is the log's name without its folder. Source: lumberjack 2.2: `audit-2026-11-23T02-36-32.662.log`.
    """
    stem, dot, suffix = log.rpartition(".")
    if not dot:
        stem, suffix = log, ""
    rotated = []
    has_log = False
    for name in names:
        if name == log:
            has_log = True
            continue
        plain = name.removesuffix(".gz")
        if plain.startswith(stem) and plain.endswith(dot + suffix):
            stamp = plain[len(stem) : len(plain) - len(dot + suffix)]
            if _ROTATED.fullmatch(stamp):
                rotated.append((stamp, name))
    ordered = [name for _, name in sorted(rotated)]
    return (*ordered, log) if has_log else tuple(ordered)


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
