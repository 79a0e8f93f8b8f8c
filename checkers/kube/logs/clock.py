"""Owns the times of an audit log's lines: they run forward, but for what requests that ran at once mix up.

A machine's clock may be set. So a line that is far behind those before it, or ends before it began, accuses nobody
while the lines after it go on from there: then the clock was set back. Where they do not, the line alone is false.
Source: kube-apiserver 1.34, apiserver/pkg/audit (stage times are the wall clock's).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from checkers.kube.logs.findings import Finding, Problem

#: Seconds by which lines may be out of order unsaid: a slow disk, and events that wait for it. Recorded: 0.15.
TOLERANCE: Final = 60
#: Seconds off all lines around from which a lone line is false for sure.
FAR: Final = 3600
#: So many lines in a row that are behind are a clock that was set back.
_ROW: Final = 20
#: So many lines ahead of all others are lone ones.
_LONE: Final = 3
#: So many lines after an event that ends before it began tell whether the clock went back.
_WITNESSES: Final = 3
#: And so many of them at least, where the log goes on: a line that waited for the disk is no clock.
_ENOUGH: Final = 2


@dataclass(slots=True)
class _EndsEarly:
    """An event that ends before it began: the lines after it that were written before it began, too."""

    finding: Finding
    received: str
    explained: bool
    witnesses: int = 0


@dataclass(slots=True)
class LogClock:
    """Takes the times of lines in their order; gives what is wrong with them. Seconds are since 1970."""

    #: The latest second so far.
    latest: int = 0
    _before_jump: int = 0
    _ahead: list[Finding] = field(default_factory=list)
    _behind: list[tuple[Finding, int]] = field(default_factory=list)
    _early: list[_EndsEarly] = field(default_factory=list)

    def begin(self) -> Iterator[Finding]:
        """Begin anew: another file, or the API server's start."""
        yield from self.finish()
        self.latest = self._before_jump = 0

    def quiet(self, second: int) -> bool:
        """Say whether a line of that second needs no further look, and note it: the common case."""
        if not self.latest - TOLERANCE <= second <= self.latest + FAR or self._early or self._behind or self._ahead:
            return False
        if second > self.latest:
            self.latest = second
        return True

    def take(self, file: str, line: int, audit_id: str, second: int, text: str) -> Iterator[Finding]:
        """Take a line that is not quiet, written in that second, at the time `text`."""
        yield from self._witness(text)
        if not self.latest:
            self.latest = second
            return
        if self._ahead:
            if second <= self._before_jump + FAR:
                # The lines before this one were alone in the future.
                yield from self._ahead
                self.latest = self._before_jump
                self._ahead.clear()
            elif len(self._ahead) < _LONE:
                self._ahead.append(self._finding(file, line, audit_id, "ahead of", second - self._before_jump, text))
                self.latest = max(self.latest, second)
                return
            else:
                self._ahead.clear()
        if second > self.latest + FAR:
            self._before_jump = self.latest
            self._ahead.append(self._finding(file, line, audit_id, "ahead of", second - self.latest, text))
            self.latest = second
            return
        if second >= self.latest - TOLERANCE:
            yield from self._end_of_row()
            self.latest = max(self.latest, second)
            return
        behind = self.latest - second
        self._behind.append((self._finding(file, line, audit_id, "behind", behind, text), behind))
        if len(self._behind) >= _ROW:
            first = self._behind[0]
            problem = Problem("clock-back", f"by {first[1]} s, to {text}")
            yield Finding(first[0].file, first[0].line, problem, first[0].audit_id)
            self._behind.clear()
            self.latest = second

    def _finding(self, file: str, line: int, audit_id: str, where: str, seconds: int, text: str) -> Finding:
        problem = Problem("time-outside", f"{text}, {_span(seconds)} {where} the lines before")
        return Finding(file, line, problem, audit_id)

    def _end_of_row(self) -> Iterator[Finding]:
        """Yield the lines that were behind for themselves."""
        lone = len(self._behind) <= _LONE
        for finding, seconds in self._behind:
            if lone and seconds > FAR:
                yield finding
            else:
                kind = Problem("out-of-order", finding.problem.message)
                yield Finding(finding.file, finding.line, kind, finding.audit_id)
        self._behind.clear()

    def ends_early(self, finding: Finding, received: str, *, near: bool) -> None:
        """Take an event that ends before it began; `near`: its begin is a time that the log had reached."""
        self._early.append(_EndsEarly(finding, received, near))

    def _witness(self, text: str) -> Iterator[Finding]:
        waiting = []
        for early in self._early:
            before = early.explained and text < early.received
            early.witnesses += before
            if before and early.witnesses < _WITNESSES:
                waiting.append(early)
            else:
                yield self._told(early, _ENOUGH)
        self._early = waiting

    @staticmethod
    def _told(early: _EndsEarly, enough: int = 1) -> Finding:
        finding = early.finding
        if early.witnesses >= enough:
            problem = Problem("clock-back", finding.problem.message + ", as for the lines after it")
            return Finding(finding.file, finding.line, problem, finding.audit_id)
        return finding

    def finish(self) -> Iterator[Finding]:
        """Yield what the end of the log decides. A line that is ahead at the end may be true."""
        yield from map(self._told, self._early)
        self._early.clear()
        yield from self._end_of_row()
        self._ahead.clear()


def _span(seconds: int) -> str:
    """Return a time span as people say it."""
    for length, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds // length} {name}"
    return f"{seconds} s"
