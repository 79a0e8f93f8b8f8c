"""The report for CI servers: JUnit XML, each check a test case.

There is no one schema. What is written here is valid by both that are in use, Ant's (windyroad/JUnit-Schema) and
Jenkins' (xunit-plugin, junit-10.xsd), and is what GitLab, GitHub's dorny/test-reporter and junitparser read: hence no
attributes on <testsuites>, one child at most in a <testcase>, and what a passed check has to say in <system-out>.
One thing is not made up for Ant's: a suite whose time nobody knows has no timestamp.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from checkers.result import Status

from . import PLAIN, Entry, Style
from .harmless import one_line, safe
from .text import render as render_text
from .words import fields, first_line, moment

if TYPE_CHECKING:
    from checkers.grade import Line, Report

_CHILDREN = {Status.FAIL: "failure", Status.ERROR: "error", Status.SKIP: "skipped"}


def render(report: Report, style: Style = PLAIN) -> str:
    """Return the report as a test suite, named for its task."""
    return "".join(_document([_suite(report, report.scenario, report.scenario, 0)], style))


def render_many(entries: Sequence[Entry], style: Style = PLAIN) -> Iterator[str]:
    """Yield a document with a test suite each.

    A server knows a test by class and name, so each suite's cases are of a class of their own.
    """
    return _document((_suite_of(entry, number) for number, entry in enumerate(entries)), style)


def _document(suites: Sequence[ElementTree.Element] | Iterator[ElementTree.Element], style: Style) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n'
    for suite in suites:
        ElementTree.indent(suite)
        text = ElementTree.tostring(suite, encoding="unicode")
        yield (text if style.symbols else text.encode("ascii", "xmlcharrefreplace").decode()) + "\n"
    yield "</testsuites>\n"


def _suite_of(entry: Entry, number: int) -> ElementTree.Element:
    if entry.report is not None:
        # The part of a class name before the last dot is shown as its package.
        package = entry.report.scenario
        return _suite(entry.report, entry.source, f"{package}.{entry.source.replace('.', '_')}", number)
    suite = _element(None, "testsuite", name=entry.source or "unknown", package="cks-lab", id=str(number))
    for name, value in {"tests": "1", "failures": "0", "errors": "1", "skipped": "0", "time": "0.000"}.items():
        suite.set(name, value)
    suite.set("hostname", "unknown")
    _properties(suite, {"bundle": entry.source, "verdict": str(Status.ERROR)})
    case = _element(suite, "testcase", name="grade", classname=f"cks-lab.{entry.source.replace('.', '_')}", time="0")
    error = _element(case, "error", message=entry.error, type=str(Status.ERROR))
    error.text = safe(f"{entry.error}\n{entry.hint}".strip())
    _element(suite, "system-out")
    _element(suite, "system-err")
    return suite


def _suite(report: Report, name: str, classname: str, number: int) -> ElementTree.Element:
    statuses = [line.result.status for line in report.lines]
    started, finished = moment(report.started), moment(report.finished)
    seconds = max(0.0, (finished - started).total_seconds()) if started and finished else 0.0
    suite = _element(None, "testsuite", name=name or "unknown", package=report.scenario, id=str(number))
    suite.set("tests", str(len(statuses)))
    suite.set("failures", str(statuses.count(Status.FAIL)))
    suite.set("errors", str(statuses.count(Status.ERROR)))
    suite.set("skipped", str(statuses.count(Status.SKIP)))
    suite.set("time", f"{seconds:.3f}")
    if started:
        suite.set("timestamp", started.strftime("%Y-%m-%dT%H:%M:%S"))
    suite.set("hostname", one_line(report.node.name) or "unknown")
    properties = {
        "scenario": report.scenario,
        **{key: "" if value is None else str(value) for key, value in report.variant.items()},
        "driver": report.node.driver,
        "node": report.node.name,
        "apiserver": report.node.apiserver or "",
        "verdict": str(report.verdict),
        "points": str(report.points),
        "possible": str(report.possible),
        "percent": str(report.percent),
        "cks-lab": report.version,
        **{f"points of {line.id}": f"{line.points}/{line.possible}" for line in report.lines},
    }
    _properties(suite, properties)
    for line in report.lines:
        _case(suite, line, classname)
    _element(suite, "system-out").text = safe(render_text(report))
    _element(suite, "system-err")
    return suite


def _case(suite: ElementTree.Element, line: Line, classname: str) -> None:
    case = _element(suite, "testcase", name=line.id, classname=classname, time="0")
    status = line.result.status
    if status in _CHILDREN:
        child = _element(case, _CHILDREN[status], message=first_line(line.result.found), type=str(status))
        child.text = "\n".join([safe(line.title), *(f"{name}: {text}" for name, text in fields(line))])


def _properties(suite: ElementTree.Element, values: dict[str, str]) -> None:
    properties = _element(suite, "properties")
    for name, value in values.items():
        _element(properties, "property", name=name, value=value)


def _element(parent: ElementTree.Element | None, tag: str, **attributes: str) -> ElementTree.Element:
    harmless = {name: one_line(value) for name, value in attributes.items()}
    return ElementTree.Element(tag, harmless) if parent is None else ElementTree.SubElement(parent, tag, harmless)
