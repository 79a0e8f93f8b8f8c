"""Owns what the formats say alike: the headline, a check's fields, the tallies."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from checkers.result import Status, Where

from .harmless import one_line, safe

if TYPE_CHECKING:
    from checkers.grade import Line, Report

    from . import Entry

WORDS = {Status.PASS: "PASS", Status.FAIL: "FAIL", Status.SKIP: "SKIP", Status.ERROR: "ERROR"}
MARKS = {Status.PASS: "✓", Status.FAIL: "✗", Status.SKIP: "–", Status.ERROR: "!"}
ASCII_MARKS = {Status.PASS: "+", Status.FAIL: "x", Status.SKIP: "-", Status.ERROR: "!"}
TALLIED = {
    Status.PASS: "passed",
    Status.FAIL: "failed",
    Status.SKIP: "skipped",
    Status.ERROR: "could not be judged",
}
LONGEST = 2000
"""Of a field, in characters: what is longer is cut in the formats for people; JSON has it whole."""
_MOST_LINES = 40


def shortened(text: str) -> str:
    """Return text with what is beyond the longest that a person would read cut, and said to be."""
    lines = text.split("\n")
    kept = "\n".join(lines[:_MOST_LINES])[:LONGEST]
    return text if kept == text else f"{kept}… ({len(text) - len(kept)} more characters)"


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for a wide character, none for a combining one."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def headline(report: Report) -> str:
    """Return the verdict with the score, in one line; one that is ERROR with the first reason."""
    word = WORDS[report.verdict]
    erred = [line for line in report.lines if line.result.status is Status.ERROR]
    unjudged = f"{erred[0].id if len(erred) == 1 else f'{len(erred)} checks'} could not be judged" if erred else ""
    if report.verdict is not Status.ERROR:
        return f"{word}  {score(report)}" + (f"; {unjudged}" if erred else "")
    reason = next((first for line in erred or report.lines if (first := first_line(line.result.found))), "")
    why = f": {reason}" if reason else ""
    if not any(line.result.status is Status.PASS for line in report.lines):
        return f"{word}  nothing could be judged{why}"
    return f"{word}  {unjudged}{why}; the others: {score(report)}"


def score(report: Report) -> str:
    """Return the points, and of how many."""
    return f"{report.points} of {report.possible} points, {report.percent} %"


def subject(report: Report) -> str:
    """Return what was graded: the task, its variant, the node and its API server."""
    node = report.node
    seed = report.variant.get("seed")
    variant = f", seed {seed}" if seed is not None else ""
    server = f", kube-apiserver {node.apiserver}" if node.apiserver else ""
    return one_line(f"{report.scenario}{variant} on {node.driver} {node.name}{server}")


def first_line(text: str) -> str:
    """Return the first line of a text that says something, harmless and not too long."""
    said = next((part.strip() for part in text.splitlines() if part.strip()), "")
    return shortened(safe(said))


def fields(line: Line, whole: bool = False) -> list[tuple[str, str]]:
    """Return what a person is told of a check, by name, in order. Indented lines are commands or quotations.

    Of a check that passed that is next to nothing, but for where the `whole` is wanted.
    """
    result = line.result
    told = [("expected", result.expected)]
    if result.status is Status.SKIP:
        told = [*(told if whole else []), ("skipped", result.found)]
    elif result.status is not Status.PASS or whole:
        told += [("found", result.found), ("where", place(result.where)), ("why", result.why), ("fix", result.fix)]
    else:
        told = []
    if result.status is Status.PASS and line.points < line.possible:
        told.append(("note", "an untouched node passes this too: its points come with the work"))
    told += [("warning", warning) for warning in result.warnings]
    return [(name, shortened(safe(text))) for name, text in told if text]


def place(where: Where | None) -> str:
    """Return a place as editors understand it, with the field's path."""
    if where is None:
        return ""
    at = where.file if where.line is None else f"{where.file}:{where.line}"
    return f"{at}, {where.path}" if where.path else at


def points(line: Line) -> str:
    """Return a check's points, or nothing where it has none."""
    return f"{line.points}/{line.possible}" if line.possible else ""


def tally(statuses: Iterable[Status]) -> str:
    """Return how many there are of each status."""
    counts = Counter(statuses)
    return ", ".join(f"{counts[status]} {word}" for status, word in TALLIED.items() if counts[status])


def verdict(entry: Entry) -> Status:
    """Return the verdict of one of several: ERROR where it could not be graded."""
    return entry.report.verdict if entry.report is not None else Status.ERROR


def totals(entries: Sequence[Entry]) -> str:
    """Return in one line how many there are, and what came of them."""
    number = f"{len(entries)} report{'s' * (len(entries) != 1)}"
    return f"{number}: {outcome(entries)}" if entries else number


def outcome(entries: Sequence[Entry]) -> str:
    """Return what came of several: the verdicts, and the mean of those that could earn points."""
    percents = [entry.report.percent for entry in entries if entry.report is not None and entry.report.possible]
    mean = f"; mean {sum(percents) // len(percents)} %" if percents else ""
    return tally(verdict(entry) for entry in entries) + mean


def lost(report: Report) -> list[str]:
    """Return the ids of the checks that failed or could not be judged."""
    return [line.id for line in report.lines if line.result.status in (Status.FAIL, Status.ERROR)]


def moment(time: str | None) -> datetime | None:
    """Return a report's time, in UTC; None where it is none."""
    try:
        parsed = datetime.fromisoformat(time or "")
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
