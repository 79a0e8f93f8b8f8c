"""Owns the counting of one part of a log. It imports little: the processes that count are to be ready soon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from checkers.kube.logs.counts import LogCounter, LogCounts
from checkers.kube.logs.files import Unpacked

from .log_parts import LogPart, part_chunks


@dataclass(slots=True)
class CountedPart:
    """What is in a part; `damaged` says why it could not be read to its end."""

    counts: LogCounts
    damaged: str | None = None


def count_part(part: LogPart) -> CountedPart:
    """Count a part."""
    (counted,) = count_stream(part_chunks(part))
    return counted


def count_stream(chunks: Iterable[bytes]) -> Iterator[CountedPart]:
    """Count what cannot be cut; yield it once, at the end."""
    counter = LogCounter()
    unpacked = Unpacked(chunks)
    for chunk in unpacked:
        counter.feed(chunk)
    yield CountedPart(counter.finish(), unpacked.damaged)
