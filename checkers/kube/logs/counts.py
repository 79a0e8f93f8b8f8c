"""Owns what is counted in an audit log: events and bytes by level, stage, verb, resource, user and code; rates.

Counts of pieces of a log can be added, so that several processes can count. The number of classes is bounded: where a
log has more, the rest are counted as `OTHERS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeVar

import msgspec

from checkers.kube.logs.event import API_SERVER, START_RESOURCE, is_start, log_name, read_event, same_start
from checkers.kube.logs.files import normal_time
from checkers.kube.logs.line import unreadable
from checkers.kube.logs.lines import LONGEST_LINE

T = TypeVar("T", bound=Hashable)

OTHERS: Final = "(others)"
_MOST_CLASSES: Final = 50_000
#: Two months.
_MOST_MINUTES: Final = 90_000


class _User(msgspec.Struct, gc=False):
    username: str = ""


class _Status(msgspec.Struct, gc=False):
    code: int = 0


class _Ref(msgspec.Struct, rename=log_name, gc=False):
    resource: str = ""
    api_group: str = ""
    subresource: str = ""
    namespace: str = ""


class _Event(msgspec.Struct, rename=log_name, gc=False):
    level: str
    stage: str
    verb: str = ""
    user: _User | None = None
    object_ref: _Ref | None = None
    response_status: _Status | None = None
    stage_timestamp: str = ""


_decode = msgspec.json.Decoder(_Event).decode


class CountedClass(NamedTuple):
    """What events have in common that are counted together. `code` is 0 where no response is known yet.

    `user` is "" for a request that nobody was found for, `resource` "" for a request that is about none.
    """

    level: str
    stage: str
    verb: str
    user: str
    group: str
    resource: str
    subresource: str
    namespace: str
    code: int


@dataclass(slots=True)
class Tally:
    """A number of events, and their bytes in the log."""

    events: int = 0
    size: int = 0


@dataclass(slots=True)
class LogCounts:
    """What was counted. Times are as in the log: UTC, six decimals; `minutes` are `2026-11-23T06:36`."""

    lines: int = 0
    size: int = 0
    events: int = 0
    broken: int = 0
    legacy: int = 0
    first_time: str = ""
    last_time: str = ""
    classes: dict[CountedClass, Tally] = field(default_factory=dict)
    minutes: Counter[str] = field(default_factory=Counter)
    starts: list[str] = field(default_factory=list)
    #: The last request of the last start.
    last_start: str = ""

    def add(self, other: LogCounts) -> None:
        """Add what was counted in the next piece."""
        self.lines += other.lines
        self.size += other.size
        self.events += other.events
        self.broken += other.broken
        self.legacy += other.legacy
        times = [time for time in (self.first_time, other.first_time) if time]
        self.first_time = min(times, default="")
        self.last_time = max(self.last_time, other.last_time)
        for key, tally in other.classes.items():
            self._count(key, tally.events, tally.size)
        for minute, number in other.minutes.items():
            if minute in self.minutes or len(self.minutes) < _MOST_MINUTES:
                self.minutes[minute] += number
        if other.starts:
            same = same_start(self.last_start, other.starts[0])
            self.starts += other.starts[1:] if same else other.starts
            self.last_start = other.last_start

    def _count(self, key: CountedClass, events: int, size: int) -> None:
        tally = self.classes.get(key)
        if tally is None:
            if len(self.classes) >= _MOST_CLASSES:
                key = key._replace(user=OTHERS, resource=OTHERS, group="", subresource="", namespace=OTHERS)
            tally = self.classes.setdefault(key, Tally())
        tally.events += events
        tally.size += size

    def _start(self, line: bytes) -> None:
        """Take an event that may be of the API server's start; several requests show the same."""
        event = read_event(line)
        time = normal_time(event.request_received_timestamp) if event is not None and is_start(event) else None
        if time is None:
            return
        if same_start(self.last_start, time):
            self.last_start = max(self.last_start, time)
        else:
            self.starts.append(time)
            self.last_start = time

    def by(self, what: Callable[[CountedClass], T]) -> dict[T, Tally]:
        """Return the tallies by something of their classes, the most events first."""
        found: dict[T, Tally] = {}
        for key, tally in self.classes.items():
            sum_ = found.setdefault(what(key), Tally())
            sum_.events += tally.events
            sum_.size += tally.size
        return dict(sorted(found.items(), key=lambda item: (-item[1].events, str(item[0]))))

    @property
    def seconds(self) -> float:
        """Return the time from the first event to the last, in seconds."""
        if not self.first_time:
            return 0.0
        return (_moment(self.last_time) - _moment(self.first_time)).total_seconds()

    @property
    def busiest(self) -> tuple[str, int] | None:
        """Return the minute with the most events, and their number."""
        return max(self.minutes.items(), key=lambda item: (item[1], item[0]), default=None)


class LogCounter:
    """Counts a log chunk by chunk."""

    def __init__(self) -> None:
        self._counts = LogCounts()
        self._table: dict[tuple[object, ...], Tally] = {}
        self._parts: list[bytes] = []
        self._waiting = 0
        self._skipping = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._counts.size += len(chunk)
        if self._parts or self._skipping:
            head, newline, chunk = chunk.partition(b"\n")
            self._keep(head)
            if not newline:
                return
            self._end_waiting()
        lines = chunk.split(b"\n")
        tail = lines.pop()
        self._lines(lines)
        if tail:
            self._keep(tail)

    def finish(self) -> LogCounts:
        """Return what was counted."""
        if self._parts or self._skipping:
            self._end_waiting()
        return self._counts

    def _keep(self, part: bytes) -> None:
        self._waiting += len(part)
        if self._waiting > LONGEST_LINE:
            self._parts.clear()
            self._skipping = True
        elif part:
            self._parts.append(part)

    def _end_waiting(self) -> None:
        line, skipped = b"".join(self._parts), self._skipping
        self._parts.clear()
        self._waiting = 0
        self._skipping = False
        if skipped:
            self._counts.lines += 1
            self._counts.broken += 1
        else:
            self._lines([line])

    def _lines(self, lines: list[bytes]) -> None:
        """Count lines. This is the loop that every event goes through."""
        counts, table, minutes = self._counts, self._table, self._counts.minutes
        counts.lines += len(lines)
        events = 0
        for line in lines:
            try:
                event = _decode(line)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                if line.strip():
                    self._unreadable(line)
                continue
            events += 1
            ref, user, status = event.object_ref, event.user, event.response_status
            key = (
                event.level,
                event.stage,
                event.verb,
                "" if user is None else user.username,
                *(("", "", "", "") if ref is None else (ref.api_group, ref.resource, ref.subresource, ref.namespace)),
                0 if status is None else status.code,
            )
            tally = table.get(key)
            if tally is None:
                tally = self._new(key)
            tally.events += 1
            tally.size += len(line) + 1
            time = event.stage_timestamp
            if len(time) != 27 or time[26] != "Z":
                time = normal_time(time) or ""
                if not time:
                    continue
            minutes[time[:16]] += 1
            if time > counts.last_time:
                counts.last_time = time
            if not counts.first_time or time < counts.first_time:
                counts.first_time = time
            if ref is not None and ref.resource == START_RESOURCE[1] and key[3] == API_SERVER:
                counts._start(line)
        counts.events += events
        if len(minutes) > _MOST_MINUTES:
            counts.minutes = Counter(dict(minutes.most_common(_MOST_MINUTES // 2)))

    def _new(self, key: tuple[object, ...]) -> Tally:
        if len(self._table) >= _MOST_CLASSES:
            key = (*key[:3], OTHERS, "", OTHERS, "", OTHERS, key[8])
            if key in self._table:
                return self._table[key]
        tally = self._table[key] = self._counts.classes[CountedClass._make(key)] = Tally()
        return tally

    def _unreadable(self, line: bytes) -> None:
        if unreadable(line).kind == "legacy":
            self._counts.legacy += 1
        else:
            self._counts.broken += 1


def count_log(chunks: Iterable[bytes]) -> LogCounts:
    """Count a whole log."""
    counter = LogCounter()
    for chunk in chunks:
        counter.feed(chunk)
    return counter.finish()


def _moment(time: str) -> datetime:
    try:
        return datetime.fromisoformat(time)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
