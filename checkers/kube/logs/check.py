"""Owns the check of an audit log against a policy: every event judged, in order, with the places of what was found.

    check = LogCheck()
    check.begin("audit.log")
    check.take(judged)          what `LineJudge` made of the file's pieces, in order
    check.end()
    report = check.finish()

A bounded number of requests is remembered and a bounded number of findings kept; all are counted. Files come one after
the other, the oldest first. What the log says from before the API server's last start may have been written under
another policy: it is judged, and told apart. A start is seen when the server looks for its priority classes, a second
after its first requests; these are known to be its own by the uid of the user as which it asks itself.
What no log can tell: a request of which no event was written, or all were taken out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from checkers.kube.audit_policy import STAGES, Policy
from checkers.kube.logs.clock import LogClock
from checkers.kube.logs.event import same_start
from checkers.kube.logs.files import normal_time
from checkers.kube.logs.findings import KINDS, Finding, Problem
from checkers.kube.logs.gaps import LeaseGaps
from checkers.kube.logs.judged import JudgedLine, JudgedLines, LineJudge
from checkers.kube.logs.order import RequestOrder
from checkers.kube.logs.request import RECEIVED
from checkers.kube.logs.verdict import Verdict

#: So many findings are kept of a kind, the first ones; all are counted.
MOST_OF_A_KIND: Final = 100
MOST_FINDINGS: Final = 1000
# Where more of the requests than this lack a stage, the log is an extract, and nothing is known of what is missing.
_LOST_AT_MOST: Final = 0.05
_MISSING: Final = ("received-missing", "started-missing")


@dataclass(slots=True)
class FileSummary:
    """What one file holds. Times are the log's own, of the first and the last event by their lines."""

    name: str
    lines: int = 0
    events: int = 0
    size: int = 0
    first_time: str = ""
    last_time: str = ""


@dataclass(slots=True)
class Found:
    """Findings: all counted by kind, the first of each kind kept."""

    counts: Counter[str] = field(default_factory=Counter)
    kept: dict[str, list[Finding]] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        """Count a finding, and keep it if it is one of the first."""
        kind = finding.problem.kind
        self.counts[kind] += 1
        kept = self.kept.setdefault(kind, [])
        if len(kept) < MOST_OF_A_KIND:
            kept.append(finding)

    def rename(self, kinds: Iterable[str], kind: str) -> None:
        """Make findings of these kinds ones of another kind."""
        moved = [finding for one in kinds for finding in self.kept.pop(one, ())]
        number = sum(self.counts.pop(one, 0) for one in kinds)
        for finding in moved:
            self.add(replace(finding, problem=replace(finding.problem, kind=kind)))
        self.counts[kind] = number

    def absorb(self, later: Found) -> None:
        """Take what was found later."""
        for kind, number in later.counts.items():
            kept = self.kept.setdefault(kind, [])
            kept += later.kept[kind][: MOST_OF_A_KIND - len(kept)]
            self.counts[kind] += number

    def drop_policy_kinds(self) -> None:
        """Forget what another policy explains."""
        for kind in [kind for kind in self.counts if KINDS[kind].by_policy]:
            del self.counts[kind]
            self.kept.pop(kind, None)


@dataclass(frozen=True, slots=True)
class LogReport:
    """The answer. `judged` events are held against the policy; `older` ones are from before `started`.

    `counts` and `older_counts` are the numbers of findings by kind; `findings` are the first ones of each kind, the
    worst first. `starts` is how many starts of the API server the log shows; `started` the last one, or the given time.
    """

    files: tuple[FileSummary, ...]
    events: int
    judged: int
    older: int
    starts: int
    started: str | None
    counts: dict[str, int]
    older_counts: dict[str, int]
    findings: tuple[Finding, ...]

    @property
    def impossible(self) -> int:
        """Return how many findings no kube-apiserver with this policy explains."""
        return sum(number for kind, number in self.counts.items() if KINDS[kind].severity == "impossible")

    @property
    def warnings(self) -> int:
        """Return how many findings may have a harmless reason."""
        return sum(number for kind, number in self.counts.items() if KINDS[kind].severity == "warning")


class LogCheck:
    """Puts judged lines together. `since` is when the policy came into force (RFC 3339), where that is known.

    `everything`: hold events from before the API server's last start against the policy, too.
    """

    def __init__(self, *, since: str | None = None, everything: bool = False) -> None:
        self._order = RequestOrder()
        self._clock = LogClock()
        self._gaps = LeaseGaps()
        self._since = (normal_time(since) or since) if since is not None and not everything else None
        self._everything = everything
        # What was found in the events of the API server that runs, and in those from before it.
        self._found, self._before = Found(), Found()
        # The server that runs, by its uid: when it was seen first, and how many events came before.
        self._server = self._began = ""
        self._preceding = 0
        self._older_counts: Counter[str] = Counter()
        self._events = self._older = self._starts = 0
        self._last_start = ""
        self._started = self._since
        self._files: list[FileSummary] = []

    def begin(self, name: str) -> None:
        """Begin a file."""
        self._files.append(FileSummary(name))
        self._order.begin(name)
        self._add_all(self._clock.begin())

    def take(self, piece: JudgedLines) -> None:
        """Take the next lines of the file."""
        file, verdicts = self._files[-1], piece.verdicts
        base = file.lines
        for told in piece.judged:
            index = told[1]
            if index < 0:
                self._add_problems(told[9], base + told[0])
                self._order.unreadable()
            else:
                self._event(told, verdicts[index], base + told[0], file)
        file.lines += piece.lines
        file.size += piece.size

    def end(self, damaged: str | None = None) -> None:
        """End the file. `damaged` says why it could not be read to its end."""
        if damaged is not None:
            self._add_problems((Problem("damaged", damaged),), max(self._files[-1].lines, 1))
            self._order.unreadable()

    def finish(self) -> LogReport:
        """Return what was found."""
        self._add_all(self._clock.finish())
        self._add_all(self._order.finish())
        found = self._before
        found.absorb(self._found)
        missing = sum(found.counts[kind] for kind in _MISSING)
        if missing > self._order.whole * _LOST_AT_MOST:
            found.rename(_MISSING, "extract")
        kept = [finding for kind in KINDS for finding in found.kept.get(kind, ())]
        return LogReport(
            files=tuple(self._files),
            events=self._events,
            judged=self._events - self._older,
            older=self._older,
            starts=self._starts,
            started=self._started,
            counts={kind: found.counts[kind] for kind in KINDS if found.counts[kind]},
            older_counts={kind: self._older_counts[kind] for kind in KINDS if self._older_counts[kind]},
            findings=tuple(kept[:MOST_FINDINGS]),
        )

    def _event(self, told: JudgedLine, verdict: Verdict, line: int, file: FileSummary) -> None:
        """Take an event; this is what every event goes through."""
        _, _, audit_id, stage, received, written, received_second, second, asked, problems = told
        file.events += 1
        self._events += 1
        if second < 0 or received_second < 0:
            self._add_problems((*verdict.problems, *problems), line, audit_id)
            self._order.unreadable()
            return
        file.first_time = file.first_time or written
        file.last_time = written
        if verdict.server and verdict.server != self._server:
            self._another_server(verdict.server, received)
        if verdict.is_start and self._since is None:
            self._asks_at_start(verdict.server, received)
        older = self._since is not None and received < self._since
        if older:
            self._older += 1
        if problems or verdict.problems:
            self._add_problems((*verdict.problems, *problems), line, audit_id, older=older)
        clock = self._clock
        latest = clock.latest
        if not clock.quiet(second):
            self._add_all(clock.take(file.name, line, audit_id, second, written))
        if written < received and stage != RECEIVED:
            problem = Problem("time", f"{stage} at {written}, received at {received}: it ends before it began")
            allowed = 0 if RECEIVED in verdict.stages else 60
            near = bool(latest) and latest >= received_second - allowed
            clock.ends_early(Finding(file.name, line, problem, audit_id), received, near=near)
        if audit_id and stage in STAGES:
            found = self._order.take(audit_id, stage, received, received_second, clock.latest, line, asked, verdict)
            if found:
                self._add_problems(found, line, audit_id, older=older)
        if verdict.lease:
            gap = self._gaps.renewed(verdict.lease, received_second)
            if gap is not None:
                self._add_problems((gap,), line, audit_id)

    def _another_server(self, uid: str, received: str) -> None:
        """Another API server asks itself than before, or the first one that is seen: it may just have started."""
        self._server, self._began = uid, received
        self._preceding = self._events - 1
        self._before.absorb(self._found)
        self._found = Found()

    def _asks_at_start(self, server: str, received: str) -> None:
        """The API server starts: what was found by the policy in what came before may be another policy's doing."""
        if same_start(self._last_start, received):
            self._last_start = max(self._last_start, received)
            return
        if not server:
            self._another_server("", received)
        self._starts += 1
        self._last_start = received
        self._started = self._began
        for finding in self._order.restart():
            self._before.add(finding)
        self._add_all(self._clock.begin())
        self._gaps.restart()
        if self._everything:
            return
        self._older = self._preceding
        for kind, number in self._before.counts.items():
            if KINDS[kind].by_policy:
                self._older_counts[kind] += number
        self._before.drop_policy_kinds()

    def _add_problems(self, problems: Iterable[Problem], line: int, audit_id: str = "", *, older: bool = False) -> None:
        for problem in problems:
            if older and KINDS[problem.kind].by_policy:
                self._older_counts[problem.kind] += 1
            else:
                self._found.add(Finding(self._files[-1].name, line, problem, audit_id))

    def _add_all(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._found.add(finding)


def check_log(
    chunks: Iterable[bytes],
    policy: Policy,
    name: str = "audit.log",
    *,
    since: str | None = None,
    everything: bool = False,
) -> LogReport:
    """Check one log, in this process, out of chunks of any size."""
    judge, check = LineJudge(policy), LogCheck(since=since, everything=everything)
    check.begin(name)
    for chunk in chunks:
        judge.feed(chunk)
        check.take(judge.take())
    judge.end()
    check.take(judge.take())
    check.end()
    return check.finish()
