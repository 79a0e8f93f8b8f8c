"""Owns the check of an audit log against a policy: every event judged, in order, with the places of what was found.

    check = LogCheck(policy)
    check.begin("audit.log")
    for chunk in chunks: check.feed(chunk)
    check.end()
    report = check.finish()

Reads chunks of bytes of any size, remembers a bounded number of requests, and keeps a bounded number of findings; all
are counted. Files come one after the other, the oldest first. What the log says from before the API server's last
start may have been written under another policy: it is judged, and told apart.
What no log can tell: a request of which no event was written, or all were taken out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

import msgspec

from .audit_log import LONGEST_LINE
from .audit_log_files import normal_time
from .audit_policy import STAGES, Policy
from .log_clock import LogClock
from .log_findings import KINDS, Finding, Problem
from .log_gaps import LeaseGaps
from .log_line import LogLine, decode_line, encode_line, has_unescaped, strangeness, unreadable
from .log_order import RequestOrder
from .log_request import RECEIVED, STARTED
from .log_verdict import EventJudge, Verdict, managed_fields

#: So many findings are kept of a kind, the first ones; all are counted.
MOST_OF_A_KIND: Final = 100
MOST_FINDINGS: Final = 1000
# Where more of the requests than this lack a stage, the log is an extract, and nothing is known of what is missing.
_LOST_AT_MOST: Final = 0.05
_MISSING: Final = ("received-missing", "started-missing")
_SAME_START: Final = 60
_MANAGED: Final = b'"managedFields":'
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DAY: Final = 86_400


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
        kind = finding.problem.kind
        self.counts[kind] += 1
        kept = self.kept.setdefault(kind, [])
        if len(kept) < MOST_OF_A_KIND:
            kept.append(finding)

    def rename(self, kinds: Iterable[str], kind: str) -> None:
        """Make findings of these kinds ones of another kind."""
        moved = [finding for one in kinds for finding in self.kept.pop(one, ())]
        number = sum(self.counts.pop(one, 0) for one in kinds)
        for finding in sorted(moved, key=lambda finding: (finding.file, finding.line)):
            self.add(replace(finding, problem=replace(finding.problem, kind=kind)))
        self.counts[kind] = number

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
        return sum(number for kind, number in self.counts.items() if KINDS[kind].severity == "impossible")

    @property
    def warnings(self) -> int:
        return sum(number for kind, number in self.counts.items() if KINDS[kind].severity == "warning")


class LogCheck:
    """Checks logs by one policy. `since` is when the policy came into force (RFC 3339), where that is known.

    `everything`: hold events from before the API server's last start against the policy, too.
    """

    def __init__(self, policy: Policy, *, since: str | None = None, everything: bool = False) -> None:
        self._judge = EventJudge(policy)
        self._order = RequestOrder()
        self._clock = LogClock()
        self._gaps = LeaseGaps()
        self._since = normal_time(since) if since is not None else None
        self._given = since is not None
        self._everything = everything
        self._found = Found()
        self._older_counts: Counter[str] = Counter()
        self._older = self._starts = 0
        self._last_start = -(1 << 60)
        self._started = self._since
        self._files: list[FileSummary] = []
        self._parts: list[bytes] = []
        self._waiting = 0
        self._skipping = False
        self._seconds: dict[str, int | None] = {}

    # Files.

    def begin(self, name: str) -> None:
        """Begin a file."""
        self._files.append(FileSummary(name))
        self._order.begin(name)
        self._add_all(self._clock.begin())

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the file."""
        self._files[-1].size += len(chunk)
        head, newline, rest = chunk.partition(b"\n") if self._parts or self._skipping else (b"", b"", chunk)
        if head or newline:
            self._keep(head)
            if not newline:
                return
            self._end_waiting()
        lines = rest.split(b"\n")
        tail = lines.pop()
        for line in lines:
            self._line(line)
        if tail:
            self._keep(tail)

    def end(self, damaged: str | None = None) -> None:
        """End the file. `damaged` says why it could not be read to its end."""
        if self._parts or self._skipping:
            self._end_waiting(cut=True)
        if damaged is not None:
            self._note(Problem("damaged", damaged))
            self._order.unreadable()

    def finish(self) -> LogReport:
        """Return what was found."""
        self._add_all(self._clock.finish())
        self._add_all(self._order.finish())
        found = self._found
        missing = sum(found.counts[kind] for kind in _MISSING)
        if missing > self._order.whole * _LOST_AT_MOST:
            found.rename(_MISSING, "extract")
        kept = [finding for kind in KINDS for finding in found.kept.get(kind, ())]
        events = sum(file.events for file in self._files)
        return LogReport(
            files=tuple(self._files),
            events=events,
            judged=events if self._everything else events - self._older,
            older=self._older,
            starts=self._starts,
            started=self._started,
            counts={kind: found.counts[kind] for kind in KINDS if found.counts[kind]},
            older_counts={kind: self._older_counts[kind] for kind in KINDS if self._older_counts[kind]},
            findings=tuple(kept[:MOST_FINDINGS]),
        )

    def _keep(self, part: bytes) -> None:
        self._waiting += len(part)
        if self._waiting > LONGEST_LINE:
            self._parts.clear()
            self._skipping = True
        elif part:
            self._parts.append(part)

    def _end_waiting(self, *, cut: bool = False) -> None:
        line = b"".join(self._parts)
        skipped, length = self._skipping, self._waiting
        self._parts.clear()
        self._waiting = 0
        self._skipping = False
        if skipped:
            self._files[-1].lines += 1
            self._note(Problem("huge", f"{length >> 20} MiB"))
            self._order.unreadable()
        elif line or not cut:
            self._line(line, cut=cut)

    # Lines.

    def _line(self, line: bytes, *, cut: bool = False) -> None:
        file = self._files[-1]
        file.lines += 1
        try:
            event = decode_line(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            if line.strip():
                self._not_an_event(line, cut=cut)
            return
        if (not event.auditID and not event.stage) or (not event.level and not event.kind):
            self._note(Problem("not-an-event", unreadable(line).message))
            return
        file.events += 1
        verdict = self._judge.verdict(event)
        if encode_line(event) != line or has_unescaped(line):
            strange = strangeness(line)
            if strange is not None:
                self._note(Problem("written", strange), event.auditID)
        audit_id = event.auditID
        if len(audit_id) != 36 or not _UUID.fullmatch(audit_id):
            self._note(Problem("audit-id", repr(audit_id)[:80]), audit_id)
        self._event(event, verdict, line, file)

    def _not_an_event(self, line: bytes, *, cut: bool) -> None:
        problem = unreadable(line)
        if cut and problem.kind == "unreadable":
            problem = Problem("truncated", problem.message)
        self._note(problem)
        self._order.unreadable()

    def _event(self, event: LogLine, verdict: Verdict, line: bytes, file: FileSummary) -> None:
        """Take an event by its time and its place; this is what every event goes through."""
        received_text, text = event.requestReceivedTimestamp, event.stageTimestamp
        received, second = self._second(received_text), self._second(text)
        if received is None or second is None:
            if received_text and text:
                wrong = received_text if received is None else text
                self._note(Problem("time", f"{wrong!r} is no time"), event.auditID)
            self._add_problems(verdict.problems, event.auditID, older=False)
            self._order.unreadable()
            return
        if not file.first_time:
            file.first_time = text
        file.last_time = text
        if verdict.is_start and not self._given and abs(received - self._last_start) > _SAME_START:
            self._start(received, received_text)
        older = self._given and received_text < (self._since or "")
        if older:
            self._older += 1
        if verdict.problems:
            self._add_problems(verdict.problems, event.auditID, older=older)
        if verdict.omits_managed_fields and _MANAGED in line:
            problem = managed_fields(event, verdict)
            if problem is not None:
                self._add_problems((problem,), event.auditID, older=older)
        self._times(event, verdict, received, second)
        stage = event.stage
        if stage in STAGES and event.auditID:
            for problem in self._order.take(
                event.auditID, stage, received_text, received, self._clock.latest, file.lines, verdict
            ):
                self._add_problems((problem,), event.auditID, older=older)
        if verdict.lease:
            problem = self._gaps.renewed(verdict.lease, received)
            if problem is not None:
                self._note(problem, event.auditID)

    def _times(self, event: LogLine, verdict: Verdict, received: int, second: int) -> None:
        """Hold an event's times against each other, and against those of the lines before."""
        received_text, text = event.requestReceivedTimestamp, event.stageTimestamp
        place = (self._files[-1].name, self._files[-1].lines)
        if len(text) != 27 or len(received_text) != 27 or text[26] != "Z" or received_text[26] != "Z":
            odd = text if len(text) != 27 or text[26] != "Z" else received_text
            self._note(Problem("written", f"the time {odd} has not six decimals and a Z"), event.auditID)
            text, received_text = normal_time(text) or text, normal_time(received_text) or received_text
        latest = self._clock.latest
        if not self._clock.quiet(second):
            self._add_all(self._clock.take(*place, event.auditID, second, text))
        if event.stage == RECEIVED:
            if text != received_text:
                said = f"at RequestReceived both times are one, not {received_text} and {text}"
                self._note(Problem("time", said), event.auditID)
        elif text < received_text:
            nobody = event.stage == STARTED and not verdict.stages
            allowed = 0 if RECEIVED in verdict.stages and not nobody else 60
            problem = Problem("time", f"{event.stage} at {text}, received at {received_text}: it ends before it began")
            near = bool(latest) and latest >= received - allowed
            self._clock.ends_early(Finding(*place, problem, event.auditID), received_text, near=near)

    def _second(self, text: str) -> int | None:
        """Return the second of a time since 1970; None where it is no RFC 3339 time."""
        head = text[:19]
        if len(text) == 27 and text[19] == "." and text[26] == "Z" and text[20:26].isdecimal() and text.isascii():
            try:
                return self._seconds[head]
            except KeyError:
                pass
        else:
            normal = normal_time(text)
            if normal is None:
                return None
            head = normal[:19]
        if len(self._seconds) > _DAY:
            self._seconds.clear()
        found = self._seconds[head] = _seconds(head)
        return found

    def _start(self, second: int, text: str) -> None:
        """The API server starts: what was found so far by the policy may be another policy's doing."""
        self._starts += 1
        self._last_start = second
        self._started = text
        self._order.restart()
        self._add_all(self._clock.begin())
        self._gaps.restart()
        if self._everything:
            return
        self._older = sum(file.events for file in self._files) - 1
        for kind, number in self._found.counts.items():
            if KINDS[kind].by_policy:
                self._older_counts[kind] += number
        self._found.drop_policy_kinds()

    # Findings.

    def _note(self, problem: Problem, audit_id: str = "") -> None:
        file = self._files[-1]
        self._found.add(Finding(file.name, max(file.lines, 1), problem, audit_id))

    def _add_problems(self, problems: Iterable[Problem], audit_id: str, *, older: bool) -> None:
        for problem in problems:
            if older and not self._everything and KINDS[problem.kind].by_policy:
                self._older_counts[problem.kind] += 1
            else:
                self._note(problem, audit_id)

    def _add_all(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self._found.add(finding)


def _seconds(head: str) -> int | None:
    """Return the seconds since 1970 of `2026-11-23T02:26:42`; None where there is no such moment."""
    try:
        return int(datetime.fromisoformat(head).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None
