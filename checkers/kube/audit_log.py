"""Owns the reading of audit logs of any length: chunks of bytes become counts of classes of events, and a few events.

The counts answer the judge's questions without a second look: an event's class is its level, stage, verb, resource and
whether its requestObject is there. Only what the log says since the last start of the API server is counted by class;
the start is given, or seen in the log by what only a starting server asks of itself. Memory does not grow with the log.
Source of the format: kube-apiserver 1.34, apiserver/pkg/apis/audit/v1 and plugin/pkg/audit/log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from .audit_event import FullEvent, Level, Stage, is_start, read_event
from .audit_log_files import log_names, normal_time, unpacked

__all__ = [
    "EventClass",
    "FullEvent",
    "LogReader",
    "LogStatistics",
    "events",
    "is_of",
    "is_start",
    "log_names",
    "normal_time",
    "read_log",
    "unpacked",
]


_BLOCK: Final = 1 << 16
# Blank lines, which only hands make, are looked for no further than this: counting lines costs a sixth of the speed.
_COUNTED: Final = 64 << 20
#: A line longer than this is passed over: the API server never writes one.
LONGEST_LINE: Final = 64 << 20
#: No more events than this are kept for their nonce, and no more classes told apart: a log can be forged.
MOST_KEPT: Final = 10_000

# Only a starting server looks for the priority classes of the system, and only once.
_START_RESOURCE: Final = "priorityclasses"
_SAME_START: Final = timedelta(seconds=60)
_LEGACY: Final = re.compile(rb'\S+ AUDIT: id="[^"]*" stage="(\w*)"')


class ObjectRef(msgspec.Struct, frozen=True, gc=False):
    """What a request is about, without its name: equal for all events of a class."""

    resource: str = ""
    apiGroup: str = ""  # noqa: N815 - the field's name in the log
    subresource: str = ""
    namespace: str = ""


class _Body(msgspec.Struct, gc=False):
    """An object of which nothing is asked but that it is there."""


class _Event(msgspec.Struct, gc=False):
    """The few fields that every event is read for."""

    level: Level
    stage: Stage
    verb: str = ""
    requestReceivedTimestamp: str = ""  # noqa: N815
    objectRef: ObjectRef | None = None  # noqa: N815
    # An object, or the list of a JSON patch.
    requestObject: _Body | list[msgspec.Raw] | None = None  # noqa: N815


# level, stage, verb, what about, whether requestObject is there.
_Key = tuple[str, str, str, ObjectRef | None, bool]

_decode_lines = msgspec.json.Decoder(_Event).decode_lines
_decode_line = msgspec.json.Decoder(_Event).decode


@dataclass(frozen=True, slots=True)
class EventClass:
    """What events have in common that are counted together. `group` is the API group, "" for core.

    `resource` is "" for a request that is about none (`/healthz`).
    """

    level: str
    stage: str
    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    has_request_object: bool

    @property
    def completed(self) -> bool:
        return self.stage == "ResponseComplete"


@dataclass(frozen=True, slots=True)
class LogStatistics:
    """What a log holds.

    `lines` are all lines; `events` those that are audit events, `completed` those at ResponseComplete, `legacy` lines
    of the legacy format, `broken` all others (`first_broken` is the number of the first). `truncated` says that the
    last line has no end. `first_time` and `last_time` are those of the
    first and the last event, in UTC with six decimals.
    `started` is the start that the classes are counted from: the given one, else the last one seen in the log, else
    None; `older` events are from before. `classes` counts the others; `examples` has the line of the first of each.
    `found` are the events that carry one of the nonces, in the log's order.
    """

    lines: int = 0
    events: int = 0
    completed: int = 0
    legacy: int = 0
    broken: int = 0
    first_broken: int | None = None
    truncated: bool = False
    size: int = 0
    first_time: str | None = None
    last_time: str | None = None
    started: str | None = None
    starts_seen: int = 0
    older: int = 0
    classes: dict[EventClass, int] = field(default_factory=dict)
    examples: dict[EventClass, int] = field(default_factory=dict)
    found: tuple[FullEvent, ...] = ()

    def count(self, wanted: Callable[[EventClass], bool]) -> int:
        """Count the events since the start whose class is wanted."""
        return sum(number for kind, number in self.classes.items() if wanted(kind))

    def first(self, wanted: Callable[[EventClass], bool]) -> tuple[EventClass, int] | None:
        """Return the class and line (1-based) of the first event since the start that is wanted; None without one."""
        lines = [(self.examples[kind], kind) for kind in self.classes if wanted(kind) and kind in self.examples]
        if not lines:
            return None
        line, kind = min(lines, key=lambda item: item[0])
        return kind, line

    def completed_of_others(self, resource: str, group: str = "") -> int:
        """Count completed events, since the start, of any resource but this one."""
        return self.count(lambda kind: kind.completed and bool(kind.resource) and not is_of(kind, resource, group))

    def bodies(
        self, resource: str, group: str = "", verbs: Sequence[str] = ("create", "update", "patch")
    ) -> tuple[int, int]:
        """Count completed events, since the start, of these verbs of a resource: (with requestObject, without)."""
        asked = [
            (kind, number)
            for kind, number in self.classes.items()
            if kind.completed and kind.verb in verbs and is_of(kind, resource, group) and not kind.subresource
        ]
        having = sum(number for kind, number in asked if kind.has_request_object)
        return having, sum(number for _, number in asked) - having


def is_of(kind: EventClass, resource: str, group: str = "") -> bool:
    """Whether a class of events is about a resource, its subresources included."""
    return kind.resource == resource and kind.group == group


class LogReader:
    """Reads logs chunk by chunk, the oldest first; `finish` gives the answer.

    `since` is the start of the API server where it is known (RFC 3339, any precision and zone); without it the last
    start seen in the log counts. `nonces` are texts; an event with one in its auditID, URI or object's name is kept.
    """

    def __init__(self, since: str | None = None, nonces: Iterable[str] = ()) -> None:
        self._since = normal_time(since) if since is not None else None
        self._given = since is not None
        self._nonces = [nonce.encode() for nonce in nonces if nonce]
        self._shared = _common_part(self._nonces)
        self._parts: list[bytes] = []
        self._waiting = 0
        self._skipping = False
        self._lines = self._events = self._legacy = self._broken = self._size = 0
        self._older = self._older_completed = self._uncounted_completed = 0
        self._first_broken: int | None = None
        self._first_time = self._last_time = ""
        self._starts = 0
        self._counts: dict[_Key, int] = {}
        self._starting: dict[_Key, int] = {}
        self._examples: dict[_Key, int] = {}
        self._found: list[FullEvent] = []

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the log."""
        self._size += len(chunk)
        start = 0
        if self._parts or self._skipping:
            end = chunk.find(b"\n")
            if end < 0:
                self._keep(chunk)
                return
            self._keep(chunk[:end])
            self._end_waiting()
            start = end + 1
        length = len(chunk)
        view = memoryview(chunk)
        shared = self._shared
        while start < length:
            end = chunk.rfind(b"\n", start, start + _BLOCK)
            if end < 0:
                end = chunk.find(b"\n", start + _BLOCK)
            if end < 0:
                self._keep(chunk[start:])
                return
            end += 1
            count = chunk.count(b"\n", start, end) if self._size <= _COUNTED else None
            has_nonce = shared is not None and chunk.find(shared, start, end) >= 0
            self._block(view[start:end], count, has_nonce=has_nonce)
            start = end

    def finish(self) -> LogStatistics:
        """Return what was read. A last line without an end counts where it is whole."""
        truncated = bool(self._parts) or self._skipping
        if truncated:
            self._end_waiting()
        counts = self._counts | self._starting
        completed = sum(number for key, number in counts.items() if key[1] == "ResponseComplete")
        return LogStatistics(
            lines=self._lines,
            events=self._events,
            completed=completed + self._older_completed + self._uncounted_completed,
            legacy=self._legacy,
            broken=self._broken,
            first_broken=self._first_broken,
            truncated=truncated,
            size=self._size,
            first_time=self._first_time or None,
            last_time=self._last_time or None,
            started=self._since,
            starts_seen=self._starts,
            older=self._older,
            classes=self._classes(counts),
            examples=self._classes(self._examples),
            found=tuple(self._found),
        )

    @staticmethod
    def _classes(table: dict[_Key, int]) -> dict[EventClass, int]:
        nothing = ObjectRef()
        return {
            EventClass(level, stage, verb, ref.apiGroup, ref.resource, ref.subresource, ref.namespace, body): number
            for (level, stage, verb, maybe, body), number in table.items()
            for ref in (maybe or nothing,)
        }

    # Lines that span chunks.

    def _keep(self, part: bytes) -> None:
        self._waiting += len(part)
        if self._waiting > LONGEST_LINE:
            self._parts.clear()
            self._skipping = True
        elif part:
            self._parts.append(part)

    def _end_waiting(self) -> None:
        line = b"".join(self._parts)
        skipped = self._skipping
        self._parts.clear()
        self._waiting = 0
        self._skipping = False
        if skipped:
            self._note_broken()
            self._lines += 1
        else:
            has_nonce = self._shared is not None and self._shared in line
            self._block(line + b"\n", 1, has_nonce=has_nonce)

    # Blocks of whole lines.

    def _block(self, block: memoryview | bytes, count: int | None, *, has_nonce: bool) -> None:
        """Take whole lines; `count` is their number where it was counted."""
        if not has_nonce:
            try:
                events = _decode_lines(block)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                events = []
            if events and (count is None or len(events) == count):
                self._count(events, block)
                self._lines += len(events)
                return
        for line in bytes(block).removesuffix(b"\n").split(b"\n"):
            self._line(line)
            self._lines += 1

    def _line(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            event = _decode_line(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            if _LEGACY.match(line):
                self._legacy += 1
            else:
                self._note_broken()
            return
        if any(nonce in line for nonce in self._nonces):
            self._look_for_nonce(line)
        self._count([event], line)

    def _note_broken(self) -> None:
        self._broken += 1
        if self._first_broken is None:
            self._first_broken = self._lines + 1

    def _count(self, events: list[_Event], block: memoryview | bytes) -> None:
        """Count the events of a block. This is the loop that every event goes through."""
        counts = self._counts
        since = self._since
        for index, event in enumerate(events):
            key = (event.level, event.stage, event.verb, event.objectRef, event.requestObject is not None)
            if since:
                time = event.requestReceivedTimestamp
                if len(time) != 27 or time[26] != "Z":
                    time = normal_time(time) or time
                if time < since:
                    self._older += 1
                    self._older_completed += event.stage == "ResponseComplete"
                    continue
            try:
                counts[key] += 1
            except KeyError:
                self._new_class(key, index, block)
                counts, since = self._counts, self._since
        self._events += len(events)
        first, last = events[0].requestReceivedTimestamp, events[-1].requestReceivedTimestamp
        self._first_time = self._first_time or normal_time(first) or first
        self._last_time = normal_time(last) or last

    def _new_class(self, key: _Key, index: int, block: memoryview | bytes) -> None:
        """Count the first event of a class; one that may be the server's start is looked at each time."""
        ref = key[3]
        if ref is not None and ref.resource == _START_RESOURCE:
            lines = [line for line in bytes(block).split(b"\n") if line.strip()]
            if index < len(lines):
                self._look_for_start(lines[index])
            self._starting[key] = self._starting.get(key, 0) + 1
        elif len(self._counts) < MOST_KEPT:
            self._counts[key] = 1
            self._examples[key] = self._lines + index + 1
        else:
            self._uncounted_completed += key[1] == "ResponseComplete"

    def _look_for_start(self, line: bytes) -> None:
        """Begin anew where the line is the first of what a starting server asks of itself."""
        event = read_event(line)
        if event is None or not is_start(event):
            return
        time = normal_time(event.requestReceivedTimestamp)
        if time is None or self._given or (self._since is not None and _between(self._since, time) < _SAME_START):
            return
        self._starts += 1
        self._since = time
        for table in (self._counts, self._starting):
            self._older += sum(table.values())
            self._older_completed += sum(number for key, number in table.items() if key[1] == "ResponseComplete")
        self._counts, self._starting, self._examples = {}, {}, {}

    def _look_for_nonce(self, line: bytes) -> None:
        event = read_event(line)
        if event is None or len(self._found) >= MOST_KEPT:
            return
        name = event.objectRef.name if event.objectRef is not None else ""
        texts = (event.auditID, event.requestURI, name)
        if any(nonce.decode() in text for nonce in self._nonces for text in texts):
            self._found.append(event)


def read_log(chunks: Iterable[bytes], since: str | None = None, nonces: Iterable[str] = ()) -> LogStatistics:
    """Read a whole log, or several one after the other (the oldest first), out of chunks of bytes of any size."""
    reader = LogReader(since, nonces)
    for chunk in chunks:
        reader.feed(chunk)
    return reader.finish()


def events(chunks: Iterable[bytes]) -> Iterator[tuple[int, FullEvent]]:
    """Yield every event with its line number (1-based); other lines are passed over. Slower than `read_log`."""
    number = 0
    rest = b""
    for chunk in chunks:
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        if len(rest) > LONGEST_LINE:
            rest = b""
        for line in lines:
            number += 1
            event = read_event(line)
            if event is not None:
                yield number, event
    event = read_event(rest) if rest else None
    if event is not None:
        yield number + 1, event


def _between(one: str, other: str) -> timedelta:
    """Return the time from one to the other, no matter which is first."""
    try:
        return abs(datetime.fromisoformat(other) - datetime.fromisoformat(one))
    except ValueError:
        return timedelta.max


def _common_part(nonces: Sequence[bytes]) -> bytes | None:
    """Return the longest beginning that all nonces share, so that a block is searched once; b"" if they share none."""
    if not nonces:
        return None
    low, high = min(nonces), max(nonces)
    length = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:length]
