"""Owns the reading of audit logs of any length: chunks of bytes become counts of classes of events, and a few events.

Only what the log says since the last start of the API server is counted by class; the start is given, or seen in the
log by what only a starting server asks of itself. Every line is decoded on its own, each event's time compared, and the
lines are numbered exactly, whatever the length; memory does not grow with the log. What is done for every event is done
by loops in C: that is where the speed comes from.
Source of the format: kube-apiserver 1.34, apiserver/pkg/apis/audit/v1 and plugin/pkg/audit/log.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from sys import intern
from typing import Final

from checkers.kube.logs.event import (
    NOT_AN_EVENT,
    START_RESOURCE,
    START_VERBS,
    FullEvent,
    Start,
    is_start,
    read_event,
    same_start,
)
from checkers.kube.logs.files import log_names, normal_time, unpacked
from checkers.kube.logs.lines import LONGEST_LINE, Line, LineSplitter
from checkers.kube.logs.statistics import MOST_KEPT, EventClass, LogStatistics, is_of
from checkers.kube.logs.words import CountedEvent, Key, ObjectRef, Words

__all__ = [
    "LONGEST_LINE",
    "EventClass",
    "FullEvent",
    "LogReader",
    "LogStatistics",
    "Start",
    "Words",
    "events",
    "is_of",
    "is_start",
    "log_names",
    "normal_time",
    "read_log",
    "read_logs",
    "unpacked",
]

_LEGACY: Final = re.compile(rb'\S+ AUDIT: id="[^"]*" stage="(\w*)"')
# Letters of a time as the API server writes it: 2026-11-23T02:26:42.934150Z.
_TIME_LENGTH: Final = 27


_NOTHING: Final = ObjectRef()


class LogReader:
    """Reads logs chunk by chunk, the oldest first; `finish` gives the answer.

    `since` is the start of the API server where it is known (RFC 3339, any precision and zone); without it the last
    start seen in the log counts, and `start` is the last one that was seen in what came before this part of a log.
    `nonces` are texts; an event with one in its auditID is kept whole. `words` are those that a reader with as many
    nonces (none, or any) came to know: they make the next one faster, and change nothing else.
    """

    def __init__(
        self,
        since: str | None = None,
        nonces: Iterable[str] = (),
        *,
        start: Start | None = None,
        words: Words | None = None,
    ) -> None:
        self._since = normal_time(since) if since is not None else start and start.began
        self._last_start = start.last if start is not None else ""
        self._given = since is not None
        self._nonces = [nonce for nonce in nonces if nonce]
        self._shared = _common_part(self._nonces)
        self._splitter = LineSplitter(LONGEST_LINE)
        self._lines = self._events = self._legacy = self._broken = self._size = 0
        self._file_lines: list[int] = []
        self._truncated = False
        self._older = self._older_completed = self._uncounted = self._uncounted_completed = 0
        self._first_broken: int | None = None
        self._first_time = self._last_time = ""
        self._first_start: str | None = None
        self._earliest: str | None = None
        self._starts = 0
        self._counts: Counter[Key] = Counter()
        self._examples: dict[Key, int] = {}
        # Classes that may be the server's start, and how many events of them were looked at.
        self._starting: list[Key] = []
        self._starting_seen = 0
        self._found: list[FullEvent] = []
        self._words = words or Words(named=bool(self._nonces))

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the log."""
        self._size += len(chunk)
        for lines in self._splitter.feed(chunk):
            self._block(lines)

    def end_file(self) -> None:
        """End a file: what comes next is the beginning of another. A last line without an end counts if it is whole."""
        rest = self._splitter.finish()
        if rest is not None:
            self._truncated = True
            self._block([rest])
        self._file_lines.append(self._lines - sum(self._file_lines))

    def finish(self) -> LogStatistics:
        """Return what was read."""
        if not self._file_lines or self._lines > sum(self._file_lines) or self._splitter.waits:
            self.end_file()
        classes = {key: EventClass._make(key) for key in self._counts}
        return LogStatistics(
            lines=self._lines,
            events=self._events,
            completed=_completed(self._counts) + self._older_completed + self._uncounted_completed,
            legacy=self._legacy,
            broken=self._broken,
            first_broken=self._first_broken,
            truncated=self._truncated,
            size=self._size,
            first_time=self._first_time or None,
            last_time=self._last_time or None,
            started=self._since,
            starts_seen=self._starts,
            older=self._older,
            classes=dict(zip(classes.values(), self._counts.values(), strict=True)),
            examples={classes[key]: line for key, line in self._examples.items()},
            found=tuple(self._found),
            first_start=self._first_start,
            last_start=self._last_start,
            earliest=self._earliest,
            file_lines=tuple(self._file_lines),
        )

    # Lines become events.

    def _block(self, lines: Sequence[Line]) -> None:
        """Take whole lines."""
        first = self._lines + 1
        self._lines += len(lines)
        numbers: Sequence[int] = range(first, self._lines + 1)
        words = self._words
        if words.looking:
            words.seen(self._counts)
        try:
            found = list(map(words.decode, lines))
        except NOT_AN_EVENT:
            lines, numbers, found = self._one_by_one(lines, first)
            if len(found) == self._lines + 1 - first and not words.looking:
                # All are events: some have words that were not known.
                words.refused()
        if not found:
            return
        if self._shared is not None:
            self._look_for_nonces(self._shared, found, lines)
        self._events += len(found)
        times = [event.request_received_timestamp for event in found]
        # Times in the API server's own form compare as they stand.
        if set(map(len, times)) != {_TIME_LENGTH} or "".join(times)[_TIME_LENGTH - 1 :: _TIME_LENGTH].strip("Z"):
            times = [_moment(time) for time in times]
        self._first_time = self._first_time or next(filter(None, times), "")
        self._last_time = times[-1] or next(filter(None, reversed(times)), self._last_time)
        # This makes the class of every event: no call, and no name of ours, is in it.
        keys = [
            (
                e.level,
                e.stage,
                e.verb,
                r.api_group,
                r.resource,
                r.subresource,
                r.namespace,
                e.request_object is not None,
            )
            for e in found
            for r in (e.object_ref or _NOTHING,)
        ]
        self._count(keys, times, lines, numbers)

    def _one_by_one(self, lines: Sequence[Line], number: int) -> tuple[list[Line], list[int], list[CountedEvent]]:
        """Return the lines that are events, with their numbers, where not all are; note what the others are."""
        good: list[Line] = []
        numbers: list[int] = []
        found: list[CountedEvent] = []
        for at, line in enumerate(lines, number):
            if line == b"\n":  # a refusal costs a hundred times as much, and there may be millions
                continue
            try:
                found.append(self._words.any(line))
            except NOT_AN_EVENT:
                if _LEGACY.match(line):
                    self._legacy += 1
                elif line.strip():
                    self._broken += 1
                    self._first_broken = self._first_broken or at
            else:
                good.append(line)
                numbers.append(at)
        return good, numbers, found

    # Events are counted.

    def _count(self, keys: Sequence[Key], times: Sequence[str], lines: Sequence[Line], numbers: Sequence[int]) -> None:
        """Count events of which each has a class, a time, a line and its number."""
        if not keys:
            return
        earliest = min(times)
        since = self._since
        if since and earliest < since:
            newer = [index for index, time in enumerate(times) if time >= since]
            self._older += len(keys) - len(newer)
            self._older_completed += _completed(Counter(keys)) - _completed(Counter(keys[index] for index in newer))
            if not newer:
                return
            keys, times = [keys[index] for index in newer], [times[index] for index in newer]
            lines, numbers = [lines[index] for index in newer], [numbers[index] for index in newer]
            earliest = min(times)
        counts = self._counts
        known = len(counts)
        counts.update(keys)
        if len(counts) > known:
            self._new_classes(known, keys, numbers)
        if self._starting and not self._given:
            seen = sum(map(counts.__getitem__, self._starting))
            if seen > self._starting_seen:
                self._starting_seen = seen
                if self._begins_anew(keys, times, lines, numbers):
                    return
        if self._earliest is None or earliest < self._earliest:
            self._earliest = earliest

    def _new_classes(self, known: int, keys: Sequence[Key], numbers: Sequence[int]) -> None:
        """Note where each class that was not known before was seen first, and drop those that are too many."""
        counts = self._counts
        firsts = dict(zip(reversed(keys), reversed(numbers), strict=True))
        for key in list(islice(reversed(counts), len(counts) - known))[::-1]:
            number = counts.pop(key)
            starts = _may_start(key)
            if len(counts) >= MOST_KEPT and not starts:
                self._uncounted += number
                self._uncounted_completed += number * (key[1] == "ResponseComplete")
                continue
            # Classes share their words: what is compared with every event stays in the cache.
            level, stage, verb, group, resource, subresource, namespace, body = key
            place = (intern(group), intern(resource), intern(subresource), intern(namespace))
            kept = (level, stage, intern(verb), *place, body)
            counts[kept] = number
            self._examples[kept] = firsts[key]
            if starts:
                self._starting.append(kept)

    # Starts of the API server.

    def _begins_anew(
        self, keys: Sequence[Key], times: Sequence[str], lines: Sequence[Line], numbers: Sequence[int]
    ) -> bool:
        """Look for a start among events that are counted already; at one, count only what comes from there on."""
        for index, key in enumerate(keys):
            if key not in self._starting:
                continue
            event = read_event(lines[index])
            time = normal_time(event.request_received_timestamp) if event is not None and is_start(event) else None
            if time is None:
                continue
            if same_start(self._last_start, time):
                self._last_start = max(self._last_start, time)
                continue
            self._starts += 1
            self._last_start = time
            self._since = time
            self._first_start = self._first_start or time
            self._counts.subtract(keys[index:])
            self._older += self._counts.total() + self._uncounted
            self._older_completed += _completed(self._counts) + self._uncounted_completed
            self._uncounted = self._uncounted_completed = self._starting_seen = 0
            self._counts, self._examples, self._starting, self._earliest = Counter(), {}, [], None
            self._count(keys[index:], times[index:], lines[index:], numbers[index:])
            return True
        return False

    def _look_for_nonces(self, shared: str, found: Sequence[CountedEvent], lines: Sequence[Line]) -> None:
        """Keep the events whose auditID has a nonce."""
        ids = [event.audit_id for event in found]  # type: ignore[attr-defined]
        if shared not in "\n".join(ids):
            return
        for index, name in enumerate(ids):
            if len(self._found) < MOST_KEPT and any(nonce in name for nonce in self._nonces):
                event = read_event(lines[index])
                if event is not None:
                    self._found.append(event)


def read_log(
    chunks: Iterable[bytes],
    since: str | None = None,
    nonces: Iterable[str] = (),
    *,
    start: Start | None = None,
    words: Words | None = None,
) -> LogStatistics:
    """Read a whole log, or a part of one, out of chunks of bytes of any size. For the others see `LogReader`."""
    return read_logs([chunks], since, nonces, start=start, words=words)


def read_logs(
    files: Iterable[Iterable[bytes]],
    since: str | None = None,
    nonces: Iterable[str] = (),
    *,
    start: Start | None = None,
    words: Words | None = None,
) -> LogStatistics:
    """Read several files one after the other, the oldest first; a line ends where its file ends."""
    reader = LogReader(since, nonces, start=start, words=words)
    for chunks in files:
        for chunk in chunks:
            reader.feed(chunk)
        reader.end_file()
    return reader.finish()


def events(chunks: Iterable[bytes]) -> Iterator[tuple[int, FullEvent]]:
    """Yield every event with its line number (1-based); other lines are passed over. Slower than `read_log`."""
    splitter = LineSplitter(LONGEST_LINE)
    number = 0
    for chunk in chunks:
        for lines in splitter.feed(chunk):
            for at, line in enumerate(lines, number + 1):
                event = read_event(line)
                if event is not None:
                    yield at, event
            number += len(lines)
    rest = splitter.finish()
    event = read_event(rest) if rest is not None else None
    if event is not None:
        yield number + 1, event


def _completed(counts: Counter[Key]) -> int:
    return sum(number for key, number in counts.items() if key[1] == "ResponseComplete")


def _may_start(key: Key) -> bool:
    """Whether an event of this class can be a start (see `is_start`): few classes can."""
    return key[2] in START_VERBS and key[3:7] == (*START_RESOURCE, "", "")


def _moment(time: str) -> str:
    """Return a time in the form of the log's own, as it stands where it is no time."""
    return time if len(time) == _TIME_LENGTH and time[-1] == "Z" else normal_time(time) or time


def _common_part(nonces: Sequence[str]) -> str | None:
    """Return the longest beginning that all nonces share, so that all ids are searched once; "" if they share none."""
    if not nonces:
        return None
    low, high = min(nonces), max(nonces)
    length = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:length]
