"""Owns the events of one request in an audit log: that its stages are all there, once, in order, and of one request.

A request is told by its auditID and the time it was received. A kube-apiserver writes its events in order, in whatever
mode, so a stage that comes too late or twice was not written by one. A stage that is missing can only be known where
the log was whole at that time: after the first seconds of a file, and away from lines that cannot be read.
Only so many requests are remembered; what was forgotten accuses nobody.
Source: kube-apiserver 1.34, apiserver/pkg/endpoints/filters/audit.go, plugin/pkg/audit/buffered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from checkers.kube.logs.findings import Finding, Problem
from checkers.kube.logs.request import COMPLETE, PANIC, RECEIVED, STARTED
from checkers.kube.logs.verdict import Verdict

_BITS: Final = {RECEIVED: 1, STARTED: 2, COMPLETE: 4, PANIC: 8}
_ENDED: Final = 4 | 8
# In the future of any log: not known yet when.
_AT_ONCE: Final = 1 << 60
_NAMES: Final = {1: RECEIVED, 2: STARTED, 4: COMPLETE, 8: PANIC}
#: How many requests are remembered, twice over.
WINDOW: Final = 50_000
#: Seconds at a file's begin in which a request may have begun before it; and around a line that cannot be read.
_UNSURE: Final = 5
#: Seconds after which a request that has no end is worth a word: kube-apiserver's default --request-timeout.
_PATIENCE: Final = 60


class _Request(msgspec.Struct, gc=False):
    """What is known of a request: the stages seen, and where its last event is. Times are seconds."""

    received: str
    second: int
    seen: int
    asked: int
    file: str
    line: int
    verdict: Verdict
    #: Its API server is no more: it has no end.
    gone: bool = False

    @property
    def waits_for(self) -> str:
        """The stage that has to come after its begin, and has not; "" where none has to."""
        if self.seen != 1 or self.gone:
            return ""
        stage = STARTED if self.verdict.long_running else COMPLETE
        return stage if stage in self.verdict.stages else ""


@dataclass(slots=True)
class RequestOrder:
    """Takes events in the log's order; gives what is wrong with their order."""

    window: int = WINDOW
    _young: dict[str, _Request] = field(default_factory=dict)
    _old: dict[str, _Request] = field(default_factory=dict)
    # A request received up to then may have begun where nobody looks: seconds.
    _unknown: int = 0
    _unreadable: int = -(1 << 60)
    _now: int = 0
    _file: str = ""
    _begins: bool = False
    #: Requests whose begin was there where it had to be.
    whole: int = 0

    def begin(self, file: str) -> None:
        """A file begins; what came before may not be what was written before."""
        self._file = file
        self._begins = True

    def restart(self) -> Sequence[Finding]:
        """The API server starts: what ran before has no end. Return what had waited for too long by then.

        What it was asked in its first second, before it was seen to start, may have an end.
        """
        waiting = list(self.finish())
        for table in (self._young, self._old):
            for request in table.values():
                request.gone = True
        return waiting

    def unreadable(self) -> None:
        """A line could not be read: it may have been any event of this time."""
        self._unreadable = self._now
        if self._begins:
            self._unreadable = _AT_ONCE

    def take(
        self,
        audit_id: str,
        stage: str,
        received: str,
        second: int,
        now: int,
        line: int,
        asked: int,
        verdict: Verdict,
    ) -> Sequence[Problem]:
        """Take an event, received in that second and written at `now`; return what is wrong with its place."""
        if self._begins:
            self._begins = False
            self._unknown = now + _UNSURE
            if self._unreadable == _AT_ONCE:
                self._unreadable = now
        if now > self._now:
            self._now = now
        bit = _BITS[stage]
        request = self._young.get(audit_id) or self._old.get(audit_id)
        if request is not None and request.received == received:
            seen = request.seen
            if seen == 1:
                self.whole += 1
            found = self._again(request, bit, asked, verdict)
            request.seen = seen | bit
            request.file, request.line = self._file, line
            return found
        problems: list[Problem] = []
        if request is not None:
            problems.append(Problem("audit-id-again", f"also of the request received at {request.received}"))
        if bit != 1:
            problems += self._without_begin(stage, second, verdict)
        self._young[audit_id] = _Request(received, second, bit, asked, self._file, line, verdict)
        if len(self._young) >= self.window:
            self._turn()
        return problems

    def _again(self, request: _Request, bit: int, asked: int, verdict: Verdict) -> Sequence[Problem]:
        """Return what is wrong with a further event of a request."""
        seen = request.seen
        if seen & bit:
            problem = Problem("stage-twice", f"{_NAMES[bit]} is there already, {request.file}:{request.line}")
        elif seen & _ENDED and bit & _ENDED:
            problem = Problem("stage-order", f"a request ends once; its other end: {request.file}:{request.line}")
        elif seen > bit:
            last = _NAMES[1 << (seen.bit_length() - 1)]
            problem = Problem("stage-order", f"{_NAMES[bit]} after {last}, {request.file}:{request.line}")
        elif request.asked != asked:
            said = f"another level, verb, URI or user than at {request.file}:{request.line}"
            problem = Problem("stages-differ", said)
        elif bit == 4 and not seen & 2 and verdict.long_running and STARTED in verdict.stages:
            return self._absent("started-missing", STARTED, request.second, verdict)
        else:
            return ()
        return (problem,)

    def _without_begin(self, stage: str, second: int, verdict: Verdict) -> Sequence[Problem]:
        """Return what should have come before the first event of a request."""
        if RECEIVED in verdict.stages:
            return self._absent("received-missing", RECEIVED, second, verdict)
        if stage == COMPLETE and verdict.long_running and STARTED in verdict.stages:
            return self._absent("started-missing", STARTED, second, verdict)
        return ()

    def _absent(self, kind: str, stage: str, second: int, verdict: Verdict) -> Sequence[Problem]:
        """Return that an earlier stage is missing, if that can be known."""
        if second <= self._unknown:
            return ()
        rule = f"rule {verdict.rule} (line {verdict.policy_line})"
        if second <= self._unreadable + _UNSURE:
            kind = "received-unknown"
        said = f"{rule} records {stage} too: it is not in the log"
        return (Problem(kind, said, verdict.rule, verdict.policy_line),)

    def _turn(self) -> None:
        """Forget the older half of the requests, but those that still run."""
        running = {audit_id: request for audit_id, request in self._old.items() if not request.seen & _ENDED}
        kept = dict(list(running.items())[-(self.window // 2) :])
        if len(kept) < len(running):
            gone = list(running.values())[: len(running) - len(kept)]
            self._unknown = max(self._unknown, *(request.second for request in gone))
        self._old = self._young
        self._old.update(kept)
        self._young = {}

    def finish(self) -> Iterator[Finding]:
        """Yield the requests that have no end though they should, and the long-running ones that have no start."""
        for audit_id, request in (self._old | self._young).items():
            if self._now - request.second < _PATIENCE or not (stage := request.waits_for):
                continue
            rule, line = request.verdict.rule, request.verdict.policy_line
            kind = "unanswered" if stage == STARTED else "end-missing"
            said = f"received at {request.received}, no {stage} in the {self._now - request.second} s of log after"
            yield Finding(request.file, request.line, Problem(kind, said, rule, line), audit_id)
