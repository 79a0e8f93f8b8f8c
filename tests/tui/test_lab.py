"""The lab screen by its keys and by the mouse, over a fake session."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import ContentSwitcher, DataTable, Input, OptionList, Static
from textual.widgets._toast import Toast

from lab.errors import LabError
from lab.tui.lab_keys import LAB_KEYS
from lab.tui.screens.dialog import Dialog, TextDialog
from lab.tui.screens.home import HomeScreen
from lab.tui.screens.lab import LabScreen
from lab.tui.screens.result import ResultScreen
from lab.tui.screens.viewer import NumberedLines, Scrollback, Viewer
from lab.tui.widgets.banner import Banner
from lab.tui.widgets.checks import Checks
from lab.tui.widgets.divider import Divider
from lab.tui.widgets.lens import Lens
from lab.tui.widgets.log import AuditLog
from lab.tui.widgets.terminal import NodeTerminal
from tests.tui.fake_session import LOG_FILE, POLICY, POLICY_FILE, FakeSession, event, lab, report
from tests.tui.support import SMALL, WIDE, at_home, in_lab, make_app, shown, until

PREFIX = "ctrl+right_square_bracket"


def record(screen: LabScreen) -> list[str]:
    """Return a list that takes what the terminal sends to the shell from now on."""
    assert screen.terminal is not None
    sent: list[str] = []
    screen.terminal.board.host.write = lambda data, flush=False: sent.append(data)
    return sent


async def graded(pilot: Pilot[Any]) -> LabScreen:
    screen = await in_lab(pilot)
    await pilot.press("f5")
    await until(pilot, lambda: screen.query_one(Checks).report is not None, "the grade")
    return screen


async def test_every_key_but_the_labs_own_goes_to_the_shell() -> None:
    keys = {
        "escape": "\x1b", "ctrl+c": "\x03", "ctrl+w": "\x17", "ctrl+q": "\x11", "ctrl+p": "\x10",
        "ctrl+s": "\x13", "tab": "\t", "shift+tab": "\x1b[Z", "up": "\x1b[A", "enter": "\r",
        "f3": "\x1bOR", "f11": "\x1b[23~", "f12": "\x1b[24~", "ctrl+backslash": "\x1c", "ctrl+l": "\x0c",
        "pageup": "\x1b[5~", "backspace": "\x7f", "delete": "\x1b[3~", "ctrl+z": "\x1a", "q": "q",
    }  # fmt: skip
    async with make_app().run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        sent = record(screen)
        for key, expected in keys.items():
            sent.clear()
            await pilot.press(key)
            assert sent == [expected], key
        assert isinstance(pilot.app.focused, NodeTerminal)


async def test_the_labs_keys_are_kept_from_the_shell() -> None:
    async with make_app().run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        sent = record(screen)
        for key in LAB_KEYS:
            await pilot.press(key.key)
            await until(pilot, lambda: not screen._busy)
            while not isinstance(pilot.app.screen, LabScreen | HomeScreen):
                await pilot.press("escape")
        assert sent == []
        assert isinstance(pilot.app.screen, HomeScreen)


async def test_what_is_typed_appears() -> None:
    async with make_app().run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        await pilot.press(*"echo hi")
        await until(pilot, lambda: "~# echo hi" in shown(screen), "the echo")


async def test_the_prefix_does_what_a_function_key_does_and_twice_is_itself() -> None:
    async with make_app().run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        sent = record(screen)
        await pilot.press(PREFIX, "l")
        assert screen.query_one("#panels", ContentSwitcher).current == "lens"
        await pilot.press(PREFIX, PREFIX)
        await until(pilot, lambda: sent == ["\x1d"], "the prefix in the shell")
        await pilot.press(PREFIX, "x")
        await until(pilot, lambda: pilot.app.screen is screen, "the end of the line of letters")
        assert sent == ["\x1d"]


async def test_a_grade_shows_the_failed_checks_first_with_their_place() -> None:
    async with make_app().run_test(size=WIDE) as pilot:
        screen = await graded(pilot)
        options = screen.query_one("#list", OptionList)
        assert [options.get_option_at_index(n).id for n in range(2)] == ["policy.configmaps-body", "mounts.log"]
        assert "policy.yaml:6" in str(options.get_option_at_index(0).prompt)
        assert isinstance(pilot.app.focused, NodeTerminal)


@pytest.mark.parametrize("panel", ["f7", "f8"])
async def test_a_grade_while_another_panel_shows_wraps_the_checks_at_the_panels_width(panel: str) -> None:
    async with make_app().run_test(size=WIDE) as pilot:
        screen = await graded(pilot)
        options = screen.query_one("#list", OptionList)

        def rows() -> list[str]:
            return [str(options.get_option_at_index(n).prompt) for n in range(options.option_count)]

        before = rows()
        await pilot.press(panel)
        await until(pilot, lambda: screen.query_one(Checks).size.width == 0, "the other panel")
        screen.query_one(Checks).show(None)
        await pilot.press("f5")
        await until(pilot, lambda: screen.query_one(Checks).report is not None, "the grade")
        await until(pilot, lambda: options.size.width > 0, "the checks")
        assert rows() == before


async def test_the_score_says_what_opens_a_result_from_where_the_keyboard_is() -> None:
    async with make_app().run_test(size=WIDE) as pilot:
        screen = await graded(pilot)
        score = screen.query_one("#score", Static)
        assert str(score.content).endswith("· F2, Enter: why")
        await pilot.press("f2")
        assert str(score.content).endswith("· Enter: why")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ResultScreen), "the result")
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen, "the lab")
        await pilot.press("shift+tab")
        assert str(score.content).endswith("· Tab, Enter: why")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ResultScreen), "the result")


async def test_a_grade_on_a_small_terminal_says_that_enter_is_enough() -> None:
    async with make_app().run_test(size=SMALL) as pilot:
        screen = await in_lab(pilot)
        screen.focus_terminal()
        await pilot.press("f5")
        await until(pilot, lambda: screen.query_one(Checks).report is not None, "the grade")
        await until(pilot, lambda: pilot.app.focused is screen.query_one("#list"), "the list")
        assert str(screen.query_one("#score", Static).content).endswith("· Enter: why")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ResultScreen), "the result")


async def test_a_right_answer_is_said_in_the_score_and_covers_no_check() -> None:
    session = FakeSession([lab()])
    session.next_report = report(perfect=True)
    async with make_app(session).run_test(size=SMALL) as pilot:
        screen = await graded(pilot)
        await pilot.pause()
        assert str(screen.query_one("#score", Static).content).endswith("11 of 11 points · all right")
        assert not screen.query(Toast)


async def test_grading_says_what_it_waits_for_and_the_shell_stays_usable() -> None:
    session = FakeSession([lab()])
    async with make_app(session).run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        session.hold.clear()
        await pilot.press("f5")
        await until(pilot, lambda: "Waiting for the API server" in str(screen.query_one(Banner).content))
        await pilot.press("f5", *"ls")
        await until(pilot, lambda: "~# ls" in shown(screen), "the echo")
        session.hold.set()
        await until(pilot, lambda: screen.query_one(Checks).report is not None, "the grade")
        assert not screen.query_one(Banner).display


async def test_a_result_opens_and_leads_to_the_line_and_to_vi() -> None:
    async with make_app().run_test(size=WIDE) as pilot:
        screen = await graded(pilot)
        await pilot.press("f2", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ResultScreen), "the result")
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, Viewer), "the file")
        assert pilot.app.screen.query_one(NumberedLines).line == 6
        await pilot.press("v")
        await until(pilot, lambda: f"vi +6 {POLICY_FILE}" in shown(screen), "the command")
        assert isinstance(pilot.app.focused, NodeTerminal)


async def test_vi_is_not_typed_into_a_program_that_runs() -> None:
    session = FakeSession([lab()])
    session.the_node.shell = ["sh", "-c", "printf 'some program'; exec cat"]
    async with make_app(session).run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        sent = record(screen)
        screen.type_command("vi +6 /x")
        assert sent == []
        assert pilot.app.clipboard == "vi +6 /x"


async def test_a_click_on_a_check_opens_it() -> None:
    async with make_app().run_test(size=WIDE) as pilot:
        await graded(pilot)
        await pilot.click("#list", offset=(5, 0))
        await until(pilot, lambda: isinstance(pilot.app.screen, ResultScreen), "the result")


async def test_a_click_on_a_key_at_the_bottom_does_it() -> None:
    async with make_app().run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        await pilot.click("KeyBar", offset=(len("F1 help F2 task F4 menu F"), 0))
        await until(pilot, lambda: screen.query_one(Checks).report is not None, "the grade")


async def test_a_file_that_is_gone_is_a_message() -> None:
    session = FakeSession([lab()])
    async with make_app(session).run_test(size=WIDE) as pilot:
        screen = await graded(pilot)
        del session.the_node.files.content[POLICY_FILE]
        where = report().lines[2].result.where
        assert where is not None
        screen.open_place(where)
        await until(pilot, lambda: "no such file" in str(screen.query_one(Banner).content), "the message")


async def test_a_failed_grade_says_what_and_what_next() -> None:
    session = FakeSession([lab()])
    session.grade_error = LabError("the node cannot be looked at", "cks-lab status")
    async with make_app(session).run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        await pilot.press("f5")
        await until(pilot, lambda: screen.query_one(Banner).has_class("-error"), "the message")
        assert "→ cks-lab status" in str(screen.query_one(Banner).content)


async def test_a_fault_of_ours_is_a_message_and_the_lab_goes_on() -> None:
    session = FakeSession([lab()])
    session.grade_error = RuntimeError("boom")
    async with make_app(session).run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        await pilot.press("f5")
        await until(pilot, lambda: "boom" in str(screen.query_one(Banner).content), "the message")
        session.grade_error = None
        await pilot.press("f5")
        await until(pilot, lambda: screen.query_one(Checks).report is not None, "the grade")


async def test_hints_come_one_at_a_time_and_all_at_the_end() -> None:
    session = FakeSession([lab()])
    async with make_app(session).run_test(size=WIDE) as pilot:
        await in_lab(pilot)
        for number in (1, 2, 3):
            await pilot.press("f6")
            await until(pilot, lambda: isinstance(pilot.app.screen, TextDialog), "the hint")
            assert pilot.app.screen.query_one("#frame").border_title == f"Hint {number} of 3"
            await pilot.press("escape")
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextDialog), "the hints")
        assert pilot.app.screen.query_one("#frame").border_title == "All hints"
        assert session.taken == 3


async def test_the_solution_asks_first_unless_something_was_graded() -> None:
    session = FakeSession([lab()])
    async with make_app(session).run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        await pilot.press(PREFIX, "s")
        await until(pilot, lambda: isinstance(pilot.app.screen, Dialog), "the question")
        await pilot.press("escape")
        assert session.solutions == 0
        await pilot.press("f5")
        await until(pilot, lambda: screen.query_one(Checks).report is not None, "the grade")
        await pilot.press(PREFIX, "s")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextDialog), "the solution")
        assert session.solutions == 1


async def test_a_reset_asks_first_and_opens_a_new_shell() -> None:
    session = FakeSession([lab()])
    async with make_app(session).run_test(size=WIDE) as pilot:
        screen = await graded(pilot)
        before = screen.terminal
        await pilot.press(PREFIX, "r")
        await until(pilot, lambda: isinstance(pilot.app.screen, Dialog), "the question")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert session.resets == 0, "Enter alone changes nothing"
        await pilot.press(PREFIX, "r")
        await until(pilot, lambda: isinstance(pilot.app.screen, Dialog), "the question")
        await pilot.press("left", "enter")
        await until(pilot, lambda: session.resets == 1 and screen.terminal is not before, "the new shell")
        assert screen.query_one(Checks).report is None


async def test_leaving_keeps_the_shell_and_coming_back_finds_it() -> None:
    async with make_app().run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        await pilot.press(*"kept")
        await until(pilot, lambda: "kept" in shown(screen), "the echo")
        await pilot.press("f10")
        assert isinstance(pilot.app.screen, HomeScreen)
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen, "the same lab screen")
        assert "kept" in shown(screen)
        await pilot.press(*" here")
        await until(pilot, lambda: "kept here" in shown(screen), "the same shell")


async def test_a_shell_that_ends_is_told_and_enter_opens_another() -> None:
    session = FakeSession([lab()])
    session.the_node.shell = ["sh", "-c", "printf 'bye '; exit 3"]
    async with make_app(session).run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        note = screen.query_one("#shell-note")
        await until(pilot, lambda: note.display, "the note")
        session.the_node.shell = ["sh", "-c", "printf 'again# '; exec cat"]
        await pilot.press("enter")
        await until(pilot, lambda: "again#" in shown(screen), "the new shell")
        assert not note.display


GONE = LabError("the node of lab audit-log does not run", "cks-lab start audit-log --lab audit-log")


async def test_a_shell_that_went_with_its_node_is_told_as_that_and_enter_does_no_harm() -> None:
    session = FakeSession([lab()])
    session.the_node.shell = ["sh", "-c", "printf 'first# '; read word; kill -9 $$"]
    async with make_app(session).run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        note = screen.query_one("#shell-note", Static)
        session.the_node.files.gone = GONE
        await pilot.press("enter")
        await until(pilot, lambda: note.display, "the note")
        for _ in range(2):
            said = str(note.content)
            assert "goes on" not in said
            assert GONE.message in said
            assert GONE.hint in said
            assert "F10" in said
            await pilot.press("enter")
            await pilot.pause()
            assert pilot.app.screen is screen
        session.the_node.files.gone = None
        session.the_node.shell = ["sh", "-c", "printf 'again# '; exec cat"]
        await pilot.press("enter")
        await until(pilot, lambda: "again#" in shown(screen), "the new shell")
        assert not note.display


async def test_the_note_of_an_ended_shell_follows_the_node() -> None:
    session = FakeSession([lab()])
    session.the_node.shell = ["sh", "-c", "printf 'bye '; exit 3"]
    async with make_app(session).run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        note = screen.query_one("#shell-note", Static)
        await until(pilot, lambda: "the node goes on" in str(note.content), "the note")
        session.the_node.files.gone = GONE
        await until(pilot, lambda: GONE.hint in str(note.content), "the loss of the node")
        assert "goes on" not in str(note.content)
        session.the_node.files.gone = None
        await until(pilot, lambda: "the node goes on" in str(note.content), "the node again")


async def test_a_node_that_is_gone_before_its_first_shell_is_told() -> None:
    session = FakeSession([lab()])
    session.the_node.files.gone = GONE
    async with make_app(session).run_test(size=WIDE) as pilot:
        await at_home(pilot)
        pilot.app.screen.query_one("#labs", OptionList).focus()
        await pilot.press("enter")
        await until(
            pilot,
            lambda: any(note.display for note in pilot.app.screen.query("#shell-note")),
            "the note",
        )
        assert GONE.hint in str(pilot.app.screen.query_one("#shell-note", Static).content)


async def test_a_shell_that_cannot_start_is_told() -> None:
    session = FakeSession([lab()])
    session.the_node.shell = ["/no/such/program"]
    async with make_app(session).run_test(size=WIDE) as pilot:
        await pilot.pause()
        await pilot.press("enter")
        await until(
            pilot,
            lambda: isinstance(pilot.app.screen, LabScreen) and pilot.app.screen.query_one("#shell-note").display,
            "the note",
        )


async def test_full_screen_gives_the_terminal_every_cell_and_takes_it_back() -> None:
    async with make_app().run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        assert screen.terminal is not None
        await pilot.press("f9")
        assert screen.terminal.size == WIDE
        await pilot.press("f9")
        assert screen.terminal.size.width == WIDE[0] - 52


async def test_the_divider_follows_the_mouse_and_the_keys() -> None:
    async with make_app().run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        panels = screen.query_one("#panels")
        assert panels.size.width == 51
        await pilot.mouse_down(Divider)
        await pilot.hover(screen, offset=(70, 10))
        await pilot.mouse_up(screen, offset=(70, 10))
        await until(pilot, lambda: panels.size.width == 70, "the drag")
        await pilot.press(PREFIX, "left")
        await until(pilot, lambda: panels.size.width == 66, "the key")


async def test_a_panel_opens_beside_the_shell_then_takes_the_keyboard_then_gives_it_back() -> None:
    async with make_app().run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        await pilot.press("f7")
        assert screen.query_one("#panels", ContentSwitcher).current == "lens"
        assert isinstance(pilot.app.focused, NodeTerminal)
        await pilot.press("f7")
        assert isinstance(pilot.app.focused, DataTable)
        await pilot.press("escape")
        assert isinstance(pilot.app.focused, NodeTerminal)
        assert screen.query_one("#panels", ContentSwitcher).current == "lens"


async def test_on_a_small_terminal_a_panel_takes_the_place_of_the_shell() -> None:
    async with make_app().run_test(size=SMALL) as pilot:
        screen = await in_lab(pilot)
        assert screen.query_one("#panels").display, "the task is read first"
        await pilot.press("escape")
        assert screen.terminal is not None
        assert screen.terminal.size == (80, 22)
        assert not screen.query_one("#panels").display
        await pilot.press("f8")
        assert screen.query_one("#panels").size.width == 80
        await pilot.press("f8")
        assert isinstance(pilot.app.focused, NodeTerminal)


async def test_a_terminal_that_grows_gets_its_panel_back() -> None:
    async with make_app().run_test(size=SMALL) as pilot:
        screen = await in_lab(pilot)
        await pilot.press("escape")
        await pilot.resize_terminal(*WIDE)
        await until(pilot, lambda: screen.query_one("#panels").display and screen.query_one("#pane").display)
        await pilot.resize_terminal(*SMALL)
        await until(pilot, lambda: not screen.query_one("#panels").display, "the small screen")


async def test_the_lens_follows_each_save() -> None:
    session = FakeSession([lab()])
    async with make_app(session).run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        lens = screen.query_one(Lens)
        await until(pilot, lambda: lens.policy is not None and len(lens.policy.rules) == 2, "the policy")
        session.the_node.files.write(POLICY_FILE, POLICY.replace(b"rules:", b"rules:\n  - level: None"))
        await until(pilot, lambda: lens.policy is not None and len(lens.policy.rules) == 3, "the saved policy")
        session.the_node.files.write(POLICY_FILE, b"kind: Nonsense")
        await until(pilot, lambda: lens.policy is None, "the refusal")


async def test_the_log_follows_and_filters() -> None:
    session = FakeSession([lab()])
    session.the_node.files.write(LOG_FILE, event(1) + b"\n")
    async with make_app(session).run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        log = screen.query_one(AuditLog)
        await until(pilot, lambda: log.lines.total == 1, "the event")
        await pilot.press("f8", "f8", "slash")
        assert isinstance(pilot.app.focused, Input)
        await pilot.press(*"secrets", "enter")
        session.the_node.files.write(LOG_FILE, event(1) + b"\n" + event(2, "secrets") + b"\n" + event(3) + b"\n")
        await until(pilot, lambda: log.lines.total == 3, "the new events")
        assert [shown.number for shown in log.lines.shown] == [2]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TextDialog), "the event as JSON")


async def test_what_scrolled_out_can_be_read() -> None:
    session = FakeSession([lab()])
    session.the_node.shell = ["sh", "-c", "seq 1 300; printf 'end# '; exec cat"]
    async with make_app(session).run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        await until(pilot, lambda: "end#" in shown(screen), "the prompt")
        assert screen.terminal is not None
        assert screen.terminal.history().split("\n")[:3] == ["1", "2", "3"]
        await pilot.press("shift+pageup")
        await until(pilot, lambda: isinstance(pilot.app.screen, Scrollback), "the lines")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.focused, NodeTerminal), "the shell")


async def test_the_menu_holds_every_action() -> None:
    async with make_app().run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        titles = {command.title for command in pilot.app.get_system_commands(screen)}
        assert {"Grade", "Hint", "Lens", "Log", "Solution", "Reset", "Leave", "Colours", "Quit"} <= titles


async def test_warnings_are_counted_in_the_list_and_told_in_the_result() -> None:
    session = FakeSession([lab()])
    said = report(perfect=True)
    warned = ("policy.yaml:6: '*' is no verb; instead: leave `verbs` out", "policy.yaml:9: there is no configmap")
    first = replace(said.lines[0], result=replace(said.lines[0].result, warnings=warned))
    session.next_report = replace(said, lines=(first, *said.lines[1:]))
    async with make_app(session).run_test(size=WIDE) as pilot:
        screen = await graded(pilot)
        options = screen.query_one(Checks).query_one(OptionList)
        assert str(options.get_option(first.id).prompt).endswith("! 2 warnings")
        assert "warning" not in str(options.get_option(said.lines[1].id).prompt)
        options.focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ResultScreen), "the result")
        texts = [str(part.content) for part in pilot.app.screen.query(Static)]
        assert texts[texts.index("Warnings") + 1] == "\n".join(f"• {text}" for text in warned)


async def test_a_command_with_brackets_is_told_as_it_is() -> None:
    async with make_app().run_test(size=WIDE) as pilot:
        screen = await in_lab(pilot)
        assert screen.terminal is not None
        screen.terminal.board.parser.feed("\r\nvim runs")
        screen.type_command("kubectl get pods -o jsonpath='{.items[/x]}'")
        await until(pilot, lambda: list(pilot.app._notifications), "the words")
        (told,) = [note.message for note in pilot.app._notifications]
        assert told.endswith("kubectl get pods -o jsonpath='{.items[/x]}'")
        await pilot.pause()
