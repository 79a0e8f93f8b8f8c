"""What a node says never acts on the person's terminal, and is seen where it is to be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.pilot import Pilot
from textual.widgets import OptionList

from checkers.grade import Report
from checkers.result import Where
from lab.drivers.base import Step
from lab.reports.harmless import UNSAFE
from lab.tui.harmless import Harmless
from lab.tui.screens.dialog import Dialog
from lab.tui.screens.result import ResultScreen
from lab.tui.screens.viewer import Viewer
from lab.tui.widgets.banner import Banner
from lab.tui.widgets.checks import Checks
from lab.tui.widgets.log import AuditLog
from tests.tui.fake_session import LOG_FILE, POLICY_FILE, FakeSession, event, lab, report
from tests.tui.support import WIDE, in_lab, make_app, until

EVIL = "\x1b]0;owned\x07\x1b[2J\u202ecod\x9b31m"
SEEN = r"\x1b]0;owned\x07\x1b[2J\u202ecod\x9b31m"


def screen_text(pilot: Pilot[Any]) -> str:
    strips = pilot.app.screen._compositor.render_strips(pilot.app.size)
    return "\n".join("".join(segment.text for segment in strip if not segment.control) for strip in strips)


def test_the_last_gate_takes_out_what_acts_and_keeps_the_width() -> None:
    row = [Segment(f"a{EVIL}b", Style(bold=True)), Segment("漢 ✓ e\u0301 \u200d", None)]
    shown = Harmless().apply(row, Color.parse("black"))
    text = "".join(segment.text for segment in shown)
    assert not UNSAFE.search(text)
    assert text.startswith("a]0;owned[2Jcod")
    assert text.endswith("漢 ✓ e\u0301 \u200d")
    assert [segment.style for segment in shown] == [segment.style for segment in row]
    assert sum(segment.cell_length for segment in shown) == sum(segment.cell_length for segment in row)


async def test_an_event_and_a_line_that_is_none_are_written_out() -> None:
    session = FakeSession([lab()])
    session.the_node.files.content[LOG_FILE] = event(1, f"po{EVIL}ds") + f"\nline {EVIL}\n".encode()
    async with make_app(session).run_test(size=(160, 40)) as pilot:
        screen = await in_lab(pilot)
        await until(pilot, lambda: screen.query_one(AuditLog).lines.total == 2, "the log")
        await pilot.press("f8", "f8")
        await until(pilot, lambda: r"line \x1b]0;owned" in screen_text(pilot), "the line")
        assert not UNSAFE.search(screen_text(pilot).replace("\n", ""))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Dialog), "the event")
        assert SEEN in screen_text(pilot)
        assert not UNSAFE.search(screen_text(pilot).replace("\n", ""))


async def test_a_result_and_its_place_are_written_out() -> None:
    session = FakeSession([lab()])
    session.the_node.files.content[POLICY_FILE] = f"kind: {EVIL}\n".encode()
    session.next_report = _with_found(report(), EVIL)
    async with make_app(session).run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        await pilot.press("f5")
        await until(pilot, lambda: screen.query_one(Checks).report is not None, "the grade")
        screen.query_one(Checks).query_one(OptionList).focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ResultScreen), "the result")
        assert SEEN in screen_text(pilot)
        assert not UNSAFE.search(screen_text(pilot).replace("\n", ""))
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, Viewer), "the file")
        await until(pilot, lambda: f"kind: {SEEN}" in screen_text(pilot), "the line")
        assert not UNSAFE.search(screen_text(pilot).replace("\n", ""))


async def test_what_a_container_said_last_is_written_out_in_the_banner() -> None:
    async with make_app().run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        screen._progress(Step(1, 3, "Waiting", f"it ended: {EVIL}"))
        await until(pilot, lambda: SEEN in str(screen.query_one(Banner).content), "the step")
        assert not UNSAFE.search(screen_text(pilot).replace("\n", ""))


def _with_found(said: Report, found: str) -> Report:
    lines = [
        replace(line, result=replace(line.result, found=found, where=Where(POLICY_FILE, 1, "")))
        if str(line.result.status) == "fail"
        else line
        for line in said.lines
    ]
    return replace(said, lines=tuple(lines))
