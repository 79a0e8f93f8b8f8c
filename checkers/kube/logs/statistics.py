"""Owns what is known of a log once it is read: counts of classes of events, and how those of two parts become one.

An event's class is its level, stage, verb, what it is about and whether its requestObject is there: that answers the
judge's questions without a second look at the log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from checkers.kube.logs.event import FullEvent, Start, same_start

#: No more events than this are kept for their nonce, and no more classes told apart: a log can be forged.
MOST_KEPT: Final = 10_000


class EventClass(NamedTuple):
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
    last line of a file has no end. `first_time` and `last_time` are those of the first and the last event, in UTC with
    six decimals. `started` is the start that the classes are counted from: the given one, else the last one seen in the
    log, else None; `older` events are from before. `classes` counts the others; `examples` has the line of the first of
    each. `found` are the events that carry one of the nonces, in the log's order. `first_start` is the first start that
    was seen in the log, `last_start` the last request of the last one, and `earliest` the least time of the events that
    are not older. `file_lines` are the lines of each file that was read.
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
    first_start: str | None = None
    last_start: str = ""
    earliest: str | None = None
    file_lines: tuple[int, ...] = ()

    @property
    def start(self) -> Start | None:
        """The last start of the API server that was seen in the log."""
        return Start(self.started or self.last_start, self.last_start) if self.last_start else None

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

    def place(self, line: int) -> tuple[int, int]:
        """Return which file (0-based) a line is in, and its number there; lines are counted through all files."""
        for index, lines in enumerate(self.file_lines[:-1]):
            if line <= lines:
                return index, line
            line -= lines
        return max(len(self.file_lines) - 1, 0), line

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

    def followed_by(self, later: LogStatistics, *, same_file: bool = False) -> LogStatistics | None:
        """Return what a reader finds who reads this part and then the other, which was read on its own.

        None where that cannot be known, since the start that this part ends with decides about events of the other:
        then it has to be read again, by a reader that is told this part's `start`. That is rare: some of its events
        are from before that start, or both saw the same one. `same_file`: the other goes on in this part's last file.
        """
        return self.continued_by(later, same_file=same_file) if self._decides_nothing_of(later) else None

    def continued_by(self, later: LogStatistics, *, same_file: bool = False) -> LogStatistics:
        """Return what is in this part and the other, which was read by a reader that was told this part's `start`."""
        begins_anew = later.first_start is not None
        classes = dict(later.classes) if begins_anew else _added(self.classes, later.classes)
        examples = {kind: line + self.lines for kind, line in later.examples.items() if kind in classes}
        if not begins_anew:
            examples = {**examples, **self.examples}
        earliest = [time for time in (self.earliest, later.earliest) if time is not None]
        files = (*self.file_lines, *later.file_lines)
        if same_file and self.file_lines and later.file_lines:
            joined = self.file_lines[-1] + later.file_lines[0]
            files = (*self.file_lines[:-1], joined, *later.file_lines[1:])
        broken_later = later.first_broken + self.lines if later.first_broken is not None else None
        return LogStatistics(
            lines=self.lines + later.lines,
            events=self.events + later.events,
            completed=self.completed + later.completed,
            legacy=self.legacy + later.legacy,
            broken=self.broken + later.broken,
            first_broken=broken_later if self.first_broken is None else self.first_broken,
            truncated=self.truncated or later.truncated,
            size=self.size + later.size,
            first_time=self.first_time or later.first_time,
            last_time=later.last_time or self.last_time,
            started=later.started if begins_anew else self.started or later.started,
            starts_seen=self.starts_seen + later.starts_seen,
            older=(self.events if begins_anew else self.older) + later.older,
            classes=classes,
            examples=examples,
            found=(self.found + later.found)[:MOST_KEPT],
            first_start=self.first_start or later.first_start,
            last_start=later.last_start or self.last_start,
            earliest=later.earliest if begins_anew else min(earliest, default=None),
            file_lines=files,
        )

    def _decides_nothing_of(self, later: LogStatistics) -> bool:
        """Whether the other part says the same to one who knows this part's start."""
        if self.started is None:
            return True
        if later.first_start is not None:
            return later.first_start > self.started and not same_start(self.last_start, later.first_start)
        return later.earliest is None or later.earliest >= self.started


def is_of(kind: EventClass, resource: str, group: str = "") -> bool:
    """Whether a class of events is about a resource, its subresources included."""
    return kind.resource == resource and kind.group == group


def _added(first: dict[EventClass, int], then: dict[EventClass, int]) -> dict[EventClass, int]:
    """Return the counts of both; of classes that only the other has, no more than may be told apart."""
    both = dict(first)
    for kind, number in then.items():
        if kind in both or len(both) < MOST_KEPT:
            both[kind] = both.get(kind, 0) + number
    return both
