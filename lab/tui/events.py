"""Owns the events of an audit log as the screen keeps them: a bounded number of lines, each with its meaning.

A line that is no event is kept as text: a learner's log may hold anything.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from checkers.kube.audit_policy import Policy

KEPT = 2_000
LINE_LIMIT = 64 << 10
"""Bytes of one line that are kept: 2,000 lines at most, so 128 MiB if every one were that long."""


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One line of the log. `fields` is {} for a line that is no audit event; `raw` is the line, cut at the limit."""

    number: int
    raw: bytes
    fields: dict[str, Any]

    @property
    def time(self) -> str:
        """The time of day of the event, hh:mm:ss in UTC."""
        stamp = str(self.fields.get("stageTimestamp") or self.fields.get("requestReceivedTimestamp") or "")
        return stamp[11:19]

    @property
    def level(self) -> str:
        return str(self.fields.get("level", ""))

    @property
    def stage(self) -> str:
        return str(self.fields.get("stage", ""))

    @property
    def verb(self) -> str:
        return str(self.fields.get("verb", ""))

    @property
    def user(self) -> str:
        user = self.fields.get("user")
        return str(user.get("username", "")) if isinstance(user, dict) else ""

    @property
    def code(self) -> str:
        status = self.fields.get("responseStatus")
        return str(status.get("code", "")) if isinstance(status, dict) else ""

    @property
    def target(self) -> str:
        """What the request was about: namespace/resource/name, or the path of a non-resource request."""
        ref = self.fields.get("objectRef")
        if not isinstance(ref, dict):
            return str(self.fields.get("requestURI", ""))
        resource = "/".join(filter(None, (str(ref.get("resource", "")), str(ref.get("subresource", "")))))
        return " ".join(
            filter(None, (resource, "/".join(filter(None, (ref.get("namespace", ""), ref.get("name", ""))))))
        )

    def text(self) -> str:
        """Return the line as the filter sees it."""
        if not self.fields:
            return self.raw.decode("utf-8", "replace")
        return " ".join((self.time, self.level, self.stage, self.verb, self.target, self.user, self.code))

    def pretty(self) -> str:
        """Return the event as indented JSON; a line that is none as it is."""
        return json.dumps(self.fields, indent=2, ensure_ascii=False) if self.fields else self.text()


def rule_of(event: LogEvent, policy: Policy | None) -> str:
    """Return the number of the rule that wrote the event; `?` where the policy would not have written it so.

    The API server reads its policy when it starts: a `?` means that the event was written under another one.
    """
    if policy is None or not event.fields:
        return ""
    from checkers.kube.audit_policy import Attributes, evaluate

    ref, user = event.fields.get("objectRef"), event.fields.get("user")
    ref, user = ref if isinstance(ref, dict) else {}, user if isinstance(user, dict) else {}
    path = "" if ref.get("resource") else str(event.fields.get("requestURI", "")).partition("?")[0]
    decision = evaluate(
        policy,
        Attributes(
            user=str(user.get("username", "")),
            groups=tuple(map(str, user.get("groups") or ())),
            verb=event.verb,
            group=str(ref.get("apiGroup", "")),
            resource=str(ref.get("resource", "")),
            subresource=str(ref.get("subresource", "")),
            namespace=str(ref.get("namespace", "")),
            name=str(ref.get("name", "")),
            path=path,
        ),
    )
    if decision.rule is None or str(decision.level) != event.level or event.stage not in decision.stages:
        return "?"
    return str(decision.rule.index)


class LogLines:
    """The newest events of a log, and which of them a filter lets through."""

    def __init__(self) -> None:
        self._events: deque[LogEvent] = deque(maxlen=KEPT)
        self.total = 0
        self.needle = ""
        self.shown: list[LogEvent] = []

    def clear(self) -> None:
        """Forget all of them."""
        self._events.clear()
        self.shown = []
        self.total = 0

    def add(self, lines: Iterable[bytes]) -> None:
        """Take new lines of the log."""
        fresh = list(self._parsed(lines))
        self._events.extend(fresh)
        self.shown += [event for event in fresh if self._matches(event)]
        if self.shown and self._events and self.shown[0].number < self._events[0].number:
            oldest = self._events[0].number
            self.shown = [event for event in self.shown if event.number >= oldest]

    def filter(self, needle: str) -> None:
        """Show only the events that hold every word of the text, in any case."""
        self.needle = needle.lower()
        self.shown = [event for event in self._events if self._matches(event)]

    def _matches(self, event: LogEvent) -> bool:
        if not self.needle:
            return True
        text = event.text().lower()
        return all(word in text for word in self.needle.split())

    def _parsed(self, lines: Iterable[bytes]) -> Iterator[LogEvent]:
        for line in lines:
            self.total += 1
            fields: Any = None
            try:
                fields = json.loads(line) if line.startswith(b"{") and len(line) <= LINE_LIMIT else None
            except (ValueError, RecursionError):
                fields = None
            yield LogEvent(self.total, line[:LINE_LIMIT], fields if isinstance(fields, dict) else {})
