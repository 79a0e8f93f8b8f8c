"""Owns how findings in audit logs, and counts of them, are shown: text for a person, JSON for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from checkers.kube.logs.findings import KINDS, Finding

from .talk import style, table

if TYPE_CHECKING:
    from checkers.kube.logs.check import LogReport
    from checkers.kube.logs.counts import CountedClass, LogCounts, Tally

    from ..logs import CountedFile

CHECK_SCHEMA = "cks-lab/log-check/v1"
STATS_SCHEMA = "cks-lab/log-stats/v1"

_SHOWN = 3
_BARS = "▁▂▃▄▅▆▇█"
_PLAIN_BARS = ".:-=+*#@"
_WIDTH = 60
_MINUTES = 1440


def check_text(report: LogReport, policy: str) -> str:
    """Return the report of a check: what was read, what was found by kind with the first places, and the answer."""
    lines = [_what_was_read(report)]
    if report.older:
        lines.append(_older(report, policy))
    for severity, heading in (("impossible", f"Not by {policy}, or not whole:"), ("warning", "Warnings:")):
        kinds = [kind for kind in report.counts if KINDS[kind].severity == severity]
        if kinds:
            lines += ["", heading]
        for kind in kinds:
            lines += _of_kind(kind, report, policy)
    lines += ["", _answer(report, policy)]
    return "\n".join(lines)


def _what_was_read(report: LogReport) -> str:
    rows = [["LOG", "EVENTS", "LINES", "SIZE", "FROM", "TO"]]
    rows += [
        [f.name, f"{f.events:,}", f"{f.lines:,}", _size(f.size), _time(f.first_time), _time(f.last_time)]
        for f in report.files
    ]
    return table(rows)


def _older(report: LogReport, policy: str) -> str:
    began = f"{_time(report.started or '')}"
    if report.starts:
        what = f"The API server started at {began}; {_number(report.older, 'event')} from before"
    else:
        what = f"{_number(report.older, 'event')} from before {began}"
    found = sum(report.older_counts.values())
    but = f" ({found:,} would not fit {policy}; --all shows them)" if found else ""
    return f"{what}: older, not held against this policy{but}."


def _of_kind(kind: str, report: LogReport, policy: str) -> list[str]:
    number, about = report.counts[kind], KINDS[kind]
    mark = _mark(about.severity)
    lines = [f"{mark} {_number(number, 'line' if kind in _OF_LINES else 'event')} {about.title}  [{kind}]"]
    shown = [finding for finding in report.findings if finding.problem.kind == kind][:_SHOWN]
    for finding in shown:
        lines.append(f"    {finding.file}:{finding.line}: {finding.problem.message}{_by(finding, policy)}")
    if number > len(shown):
        lines.append(f"    and {number - len(shown):,} more")
    if about.hint:
        lines.append(f"  {about.hint}")
    return lines


_OF_LINES = ("unreadable", "truncated", "huge", "legacy", "not-an-event", "damaged", "out-of-order", "clock-back")


def _by(finding: Finding, policy: str) -> str:
    line = finding.problem.policy_line
    return "" if line is None else f" [{policy}:{line}]"


def _mark(severity: str) -> str:
    marks = ("✗", "!") if style().symbols else ("x", "!")
    return marks[severity == "warning"]


def _answer(report: LogReport, policy: str) -> str:
    warned = f"; {_number(report.warnings, 'warning')}" if report.warnings else ""
    if report.impossible:
        return f"{_number(report.impossible, 'finding')} that a kube-apiserver with {policy} cannot explain{warned}."
    if not report.events:
        return "The log is empty: nothing to judge."
    if not report.judged:
        return f"Nothing was held against {policy}: all events are older{warned}."
    return f"Every one of {_number(report.judged, 'event')} can be by {policy}{warned}."


def check_json(report: LogReport, policy: str) -> dict[str, Any]:
    """Return the report of a check for scripts; `findings` are the first ones, `counts` all of them by id."""
    return {
        "schema": CHECK_SCHEMA,
        "policy": policy,
        "files": [
            {
                "file": file.name,
                "events": file.events,
                "lines": file.lines,
                "size": file.size,
                "first": file.first_time or None,
                "last": file.last_time or None,
            }
            for file in report.files
        ],
        "events": report.events,
        "judged": report.judged,
        "older": report.older,
        "started": report.started,
        "startsSeen": report.starts,
        "impossible": report.impossible,
        "warnings": report.warnings,
        "counts": report.counts,
        "olderCounts": report.older_counts,
        "findings": [
            {
                "file": finding.file,
                "line": finding.line,
                "id": finding.problem.kind,
                "severity": finding.kind.severity,
                "message": finding.problem.message,
                "rule": finding.problem.rule,
                "policyLine": finding.problem.policy_line,
                "auditID": finding.audit_id or None,
            }
            for finding in report.findings
        ],
    }


# Counts.


def stats_text(counts: LogCounts, each: Sequence[CountedFile], top: int) -> str:
    """Return the counts as tables, the most first, `top` rows of each."""
    blocks = [_files(each)]
    unread = [f"{_number(counts.broken, 'line')} cannot be read"] if counts.broken else []
    unread += [f"{_number(counts.legacy, 'line')} in the legacy format"] if counts.legacy else []
    unread += [f"{file.name}: {file.damaged}" for file in each if file.damaged]
    if unread:
        blocks.append("\n".join(f"! {text}" for text in unread))
    if not counts.events:
        return "\n\n".join([*blocks, "No events."])
    blocks.append(_rates(counts))
    blocks += [
        _tallies(counts, "LEVEL", counts.by(lambda c: c.level), top),
        _tallies(counts, "STAGE", counts.by(lambda c: c.stage), top),
        _tallies(counts, "VERB", counts.by(lambda c: c.verb or "(none)"), top),
        _tallies(counts, "RESOURCE", counts.by(_resource), top),
        _tallies(counts, "NAMESPACE", counts.by(lambda c: c.namespace or "(none)"), top),
        _tallies(counts, "USER", counts.by(lambda c: c.user or "(nobody)"), top),
        _tallies(counts, "CODE", counts.by(lambda c: str(c.code) if c.code else "(not yet)"), top),
    ]
    return "\n\n".join(blocks)


def _files(each: Sequence[CountedFile]) -> str:
    rows = [["LOG", "EVENTS", "LINES", "SIZE", "FROM", "TO"]]
    for file in each:
        c = file.counts
        rows.append(
            [file.name, f"{c.events:,}", f"{c.lines:,}", _size(c.size), _time(c.first_time), _time(c.last_time)]
        )
    return table(rows)


def _rates(counts: LogCounts) -> str:
    seconds = counts.seconds
    lines = []
    if seconds:
        lines.append(
            f"{_number(counts.events, 'event')} in {_span(seconds)}: {counts.events / seconds:,.1f} a second, "
            f"{_size(round(counts.size / seconds * 3600))} an hour"
        )
    busiest = counts.busiest
    if busiest is not None:
        minute, number = busiest
        lines.append(f"busiest minute: {minute.replace('T', ' ')}, {_number(number, 'event')}")
    bars, each = _over_time(counts.minutes)
    if len(bars) > 1:
        lines.append(f"{bars}  each {each}")
    if counts.starts:
        lines.append(
            f"the API server started {_number(len(counts.starts), 'time')}, last at {_time(counts.starts[-1])}"
        )
    return "\n".join(lines)


def _over_time(minutes: Mapping[str, int]) -> tuple[str, str]:
    """Return a row of bars, and the time that each stands for."""
    from datetime import datetime

    at = {int(datetime.fromisoformat(f"{minute}:00+00:00").timestamp()) // 60: n for minute, n in minutes.items()}
    if not at:
        return "", ""
    first, last = min(at), max(at)
    width = -(-(last - first + 1) // _WIDTH)
    sums = [0] * ((last - first) // width + 1)
    for minute, number in at.items():
        sums[(minute - first) // width] += number
    bars = _BARS if style().symbols else _PLAIN_BARS
    most = max(sums)
    row = "".join(bars[min(len(bars) - 1, number * len(bars) // (most + 1))] if number else " " for number in sums)
    return row, "minute" if width == 1 else _span(width * 60)


def _tallies(counts: LogCounts, heading: str, tallies: Mapping[str, Tally], top: int) -> str:
    rows = [[heading, "EVENTS", "SHARE", "SIZE", "SHARE"]]
    for name, tally in list(tallies.items())[:top]:
        rows.append([name, f"{tally.events:,}", *_share(tally.events, counts.events), _size(tally.size)])
        rows[-1] += _share(tally.size, sum(one.size for one in tallies.values()))
    text = table(rows)
    return text if len(tallies) <= top else f"{text}\nand {len(tallies) - top:,} more"


def _share(part: int, whole: int) -> list[str]:
    return [f"{100 * part / whole:.1f} %" if whole else ""]


def _resource(kind: CountedClass) -> str:
    if not kind.resource:
        return "(no resource)"
    name = kind.resource + (f"/{kind.subresource}" if kind.subresource else "")
    return f"{name} ({kind.group})" if kind.group else name


def stats_json(counts: LogCounts, each: Sequence[CountedFile]) -> dict[str, Any]:
    """Return the counts for scripts; minutes the last ones of a day and a night."""
    seconds, busiest = counts.seconds, counts.busiest
    by_resource = counts.by(lambda c: (c.group, c.resource, c.subresource))
    return {
        "schema": STATS_SCHEMA,
        "files": [
            {
                "file": file.name,
                "events": file.counts.events,
                "lines": file.counts.lines,
                "size": file.counts.size,
                "first": file.counts.first_time or None,
                "last": file.counts.last_time or None,
                "damaged": file.damaged,
            }
            for file in each
        ],
        "events": counts.events,
        "lines": counts.lines,
        "size": counts.size,
        "broken": counts.broken,
        "legacy": counts.legacy,
        "first": counts.first_time or None,
        "last": counts.last_time or None,
        "seconds": round(seconds, 6),
        "perSecond": round(counts.events / seconds, 3) if seconds else None,
        "busiest": None if busiest is None else {"minute": busiest[0], "events": busiest[1]},
        "starts": counts.starts,
        "levels": _by_name(counts.by(lambda c: c.level)),
        "stages": _by_name(counts.by(lambda c: c.stage)),
        "verbs": _by_name(counts.by(lambda c: c.verb)),
        "codes": _by_name(counts.by(lambda c: str(c.code))),
        "namespaces": _by_name(counts.by(lambda c: c.namespace)),
        "users": _by_name(counts.by(lambda c: c.user)),
        "resources": [
            {"group": group, "resource": resource, "subresource": subresource, **_tally(tally)}
            for (group, resource, subresource), tally in by_resource.items()
        ],
        "minutes": [{"minute": minute, "events": n} for minute, n in sorted(counts.minutes.items())[-_MINUTES:]],
    }


def _by_name(tallies: Mapping[str, Tally]) -> dict[str, dict[str, int]]:
    return {name: _tally(tally) for name, tally in tallies.items()}


def _tally(tally: Tally) -> dict[str, int]:
    return {"events": tally.events, "bytes": tally.size}


# Words.


def _number(number: int, of: str) -> str:
    return f"{number:,} {of}" + ("" if number == 1 else "s")


def _size(size: float) -> str:
    unit = "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"


def _span(seconds: float) -> str:
    for length, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {name}".replace(".0 ", " ")
    return f"{seconds:.0f} seconds"


def _time(text: str) -> str:
    """Return a time to the second, as people read it; all are in UTC."""
    return text[:19].replace("T", " ")
