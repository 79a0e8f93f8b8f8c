"""Owns the lines of a piece of an audit log, each judged by itself; what is left is to hold them against each other.

The piece may be read by another process than the one that puts the pieces together: `JudgedLines` is small and can be
sent. Whatever depends on other lines (times, stages of one request, the API server's start) is `log_check`'s.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import msgspec

from checkers.kube.audit_policy import Policy
from checkers.kube.logs.bodies import Bodies, has_managed_fields
from checkers.kube.logs.files import normal_time
from checkers.kube.logs.findings import Problem
from checkers.kube.logs.line import (
    LogLine,
    address_problem,
    answer,
    decode_line,
    encode_line,
    has_unescaped,
    is_there,
    strangeness,
    unreadable,
)
from checkers.kube.logs.request import RECEIVED
from checkers.kube.logs.verdict import EventJudge, Verdict

#: A line longer than this is passed over: the API server never writes one.
LONGEST_LINE: Final = 64 << 20
_AUDIT_ID: Final = b'"auditID":"'
_RECEIVED: Final = b'"requestReceivedTimestamp":"'
_BETWEEN: Final = b'","stageTimestamp":"'
#: An auditID further on is none of kube-apiserver's.
_HEAD: Final = 120
#: Longer lines are not remembered.
_SHORT: Final = 2500
_MANAGED: Final = b'"managedFields":'
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# The requests of a grade say who they are of: see lab/evidence/collector.
_OURS: Final = re.compile(r"cks-lab-[0-9a-f]{16}-\d+")
_DAY: Final = 86_400
_REMEMBERED: Final = 20_000
_FEW: Final = 4096


# No class of its own: there is one for every line, and they are sent between processes.
JudgedLine = tuple[int, int, str, str, str, str, int, int, int, tuple[Problem, ...]]
"""One line: its number (1-based in the piece), the index of its verdict among the piece's (-1 for no event), auditID,
stage, the times it was received and written, both in seconds since 1970 (-1 where there is no such time), a number that
is equal for the events of one request, and the problems that are not the verdict's.
"""

# What is known of a line that differs from another one in its auditID and its times alone.
_Alike = tuple[int, str, int]


@dataclass(slots=True)
class JudgedLines:
    """The lines of a piece of a log: events, and what is no event. `size` is in bytes."""

    lines: int = 0
    size: int = 0
    judged: list[JudgedLine] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)


class LineJudge:
    """Judges the lines of a log by one policy, chunk by chunk. What was judged before is remembered."""

    def __init__(self, policy: Policy) -> None:
        self._judge = EventJudge(policy)
        self._known: dict[tuple[object, ...], tuple[int, int, Bodies | None]] = {}
        self._alike: dict[tuple[bytes, bytes, bytes], _Alike] = {}
        self._indices: dict[Verdict, int] = {}
        self._verdicts: list[Verdict] = []
        self._seconds: dict[str, int] = {}
        self._piece = JudgedLines(verdicts=self._verdicts)
        self._parts: list[bytes] = []
        self._waiting = 0
        self._skipping = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._piece.size += len(chunk)
        if self._parts or self._skipping:
            head, newline, chunk = chunk.partition(b"\n")
            self._keep(head)
            if not newline:
                return
            self._end_waiting()
        lines = chunk.split(b"\n")
        tail = lines.pop()
        for line in lines:
            self._line(line)
        if tail:
            self._keep(tail)

    def take(self) -> JudgedLines:
        """Return what was judged since the last time. Verdicts that were given before keep their indices."""
        piece = self._piece
        if len(self._verdicts) > _FEW:
            self._known, self._indices, self._verdicts, self._alike = {}, {}, [], {}
        self._piece = JudgedLines(verdicts=self._verdicts)
        return piece

    def end(self) -> None:
        """End the file: a last line without an end is judged as it is."""
        if self._parts or self._skipping:
            self._end_waiting(cut=True)

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
            self._piece.lines += 1
            self._no_event(Problem("huge", f"{length >> 20} MiB"))
        else:
            self._line(line, cut=cut)

    def _no_event(self, problem: Problem) -> None:
        self._piece.judged.append((self._piece.lines, -1, "", "", "", "", -1, -1, 0, (problem,)))

    def _line(self, line: bytes, *, cut: bool = False) -> None:
        """Judge a line; this is what every line goes through."""
        piece = self._piece
        piece.lines += 1
        # Most lines have no body, and are as one before but for auditID and times: these are cut out.
        begin = line.find(_AUDIT_ID, 0, _HEAD)
        times = line.rfind(_RECEIVED) + len(_RECEIVED)
        shape = None
        if begin > 0 and len(line) < _SHORT and line[times + 27 : times + 47] == _BETWEEN:
            shape = (line[:begin], line[begin + 47 : times], line[times + 74 :])
            alike = self._alike.get(shape)
            if alike is not None:
                audit_id = line[begin + 11 : begin + 47].decode("ascii", "replace")
                received = line[times : times + 27].decode("ascii", "replace")
                text = line[times + 47 : times + 74].decode("ascii", "replace")
                index, stage, asked = alike
                received_second = second = self._second(received)
                if text != received:
                    second = self._second(text) if stage != RECEIVED else -1
                if second >= 0 and received_second >= 0 and _UUID.fullmatch(audit_id) is not None:
                    piece.judged.append(
                        (piece.lines, index, audit_id, stage, received, text, received_second, second, asked, ())
                    )
                    return
        self._parsed(line, shape, cut=cut)

    def _parsed(self, line: bytes, shape: tuple[bytes, bytes, bytes] | None, *, cut: bool) -> None:
        """Judge a line by all that is in it."""
        piece = self._piece
        try:
            event = decode_line(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            if line.strip():
                self._no_event(_not_an_event(line, cut=cut))
            return
        if (not event.audit_id and not event.stage) or (not event.level and not event.kind):
            self._no_event(Problem("not-an-event", unreadable(line).message))
            return
        index, asked, bodies = self._verdict(event)
        received, text, audit_id, stage = (
            event.request_received_timestamp,
            event.stage_timestamp,
            event.audit_id,
            event.stage,
        )
        received_second, second = self._second(received), self._second(text)
        problems: tuple[Problem, ...] = ()
        address = address_problem(bytes(event.source_ips))
        contradicted = bodies.problem(event) if bodies is not None else None
        if (
            encode_line(event) != line
            or address is not None
            or contradicted is not None
            or has_unescaped(line)
            or _UUID.fullmatch(audit_id) is None
            or len(text) != 27
            or len(received) != 27
            or second < 0
            or received_second < 0
            or (stage == RECEIVED and text != received)
            or (_MANAGED in line and self._verdicts[index].omits_managed_fields)
        ):
            found = self._problems(event, line, self._verdicts[index], received_second, second)
            problems = (*found, *(problem for problem in (address, contradicted) if problem is not None))
            received, text = normal_time(received) or received, normal_time(text) or text
        elif shape is not None and not is_there(event.request_object) and not is_there(event.response_object):
            begin, times = len(shape[0]) + 11, line.rfind(_RECEIVED) + len(_RECEIVED)
            if line[begin : begin + 36].decode() == audit_id and line[times : times + 27].decode() == received:
                if len(self._alike) >= _REMEMBERED:
                    self._alike.clear()
                self._alike[shape] = index, stage, asked
        piece.judged.append(
            (piece.lines, index, audit_id, stage, received, text, received_second, second, asked, problems)
        )

    def _verdict(self, event: LogLine) -> tuple[int, int, Bodies | None]:
        """Return the index of the verdict on an event, what tells its request from others, and what its bodies are."""
        key = (
            event.level,
            event.stage,
            event.verb,
            bytes(event.request_uri),
            bytes(event.user),
            bytes(event.object_ref),
            answer(bytes(event.response_status)),
            bytes(event.annotations),
            is_there(event.request_object),
            is_there(event.response_object),
            is_there(event.impersonated_user),
            is_there(event.response_status),
            event.kind == "Event" and event.api_version == "audit.k8s.io/v1",
            bool(event.audit_id),
            bool(event.request_received_timestamp),
            bool(event.stage_timestamp),
        )
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            verdict, bodies = self._judge.verdict(event)
            index = self._indices.get(verdict)
            if index is None:
                index = self._indices[verdict] = len(self._verdicts)
                self._verdicts.append(verdict)
            # No hash(): another process gives another one.
            asked = zlib.crc32(b"%b %b" % (bytes(event.request_uri), bytes(event.user)))
            asked = zlib.crc32(f"{event.verb} {event.level}".encode("utf-8", "replace"), asked)
            found = self._known[key] = index, asked, bodies
        return found

    def _problems(
        self, event: LogLine, line: bytes, verdict: Verdict, received_second: int, second: int
    ) -> list[Problem]:
        """Return what is wrong with an event beside its verdict."""
        found = []
        strange = strangeness(line)
        if strange is not None:
            found.append(Problem("written", strange))
        if event.audit_id and not (_UUID.fullmatch(event.audit_id) or _OURS.fullmatch(event.audit_id)):
            found.append(Problem("audit-id", repr(event.audit_id)[:80]))
        received, text = event.request_received_timestamp, event.stage_timestamp
        wrong = [time for time, there in ((received, received_second), (text, second)) if time and there < 0]
        found += [Problem("time", f"{time[:60]!r} is no time") for time in dict.fromkeys(wrong)]
        if received_second >= 0 and second >= 0:
            for time in dict.fromkeys((received, text)):
                if normal_time(time) != time:
                    found.append(Problem("written", f"the time {time} has not six decimals and a Z"))
            if event.stage == RECEIVED and text != received:
                found.append(Problem("time", f"at RequestReceived both times are one, not {received} and {text}"))
        if verdict.omits_managed_fields and _MANAGED in line:
            name = has_managed_fields(event, keeps_patch=verdict.keeps_patch)
            if name is not None:
                found.append(Problem("managed-fields", f"{name} has managedFields", verdict.rule, verdict.policy_line))
        return found

    def _second(self, text: str) -> int:
        """Return the second of a time since 1970; -1 where it is no RFC 3339 time."""
        found = self._seconds.get(text[:20])
        if found is not None and len(text) == 27 and text[26] == "Z" and text[20:26].isdecimal():
            return found
        normal = normal_time(text)
        if normal is None:
            return -1
        try:
            moment = datetime.fromisoformat(normal[:19]).replace(tzinfo=UTC)
        except ValueError:
            return -1
        if len(self._seconds) > _DAY:
            self._seconds.clear()
        second = self._seconds[normal[:20]] = max(int(moment.timestamp()), 0)
        return second


def _not_an_event(line: bytes, *, cut: bool) -> Problem:
    problem = unreadable(line)
    if cut and problem.kind == "unreadable":
        return Problem("truncated", problem.message)
    return problem
