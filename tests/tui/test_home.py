"""The start page and the start-up screen, over a fake session."""

from __future__ import annotations

import threading

import pytest
from textual.widgets import Button, Static

from lab.drivers.base import DriverInfo
from lab.errors import LabError
from lab.tui.screens.dialog import Dialog
from lab.tui.screens.home import HomeScreen
from lab.tui.screens.lab import LabScreen
from lab.tui.widgets.banner import Banner
from tests.tui.fake_session import FakeSession, attempt, lab
from tests.tui.support import SMALL, WIDE, at_home, in_lab, make_app, starting, until


async def test_enter_starts_the_task_and_opens_its_lab() -> None:
    session = FakeSession()
    async with make_app(session).run_test(size=SMALL) as pilot:
        await at_home(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, LabScreen), "the lab")
        await pilot.press("f10")
        home = await at_home(pilot)
        await until(pilot, lambda: "audit-log" in home._labs, "the lab in the list")


async def test_enter_before_the_page_is_filled_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    session = FakeSession()
    slow = threading.Event()
    probes = session.probes

    def waiting() -> list[DriverInfo]:
        slow.wait(20)
        return probes()

    monkeypatch.setattr(session, "probes", waiting)
    async with make_app(session).run_test(size=SMALL) as pilot:
        await pilot.press("enter")
        slow.set()
        await until(pilot, lambda: isinstance(pilot.app.screen, LabScreen), "the lab")


async def test_enter_on_a_task_whose_lab_runs_goes_on_with_it() -> None:
    async with make_app().run_test(size=SMALL) as pilot:
        home = await at_home(pilot)
        home.query_one("#tasks").focus()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, LabScreen), "the lab")


async def test_the_page_says_what_a_new_lab_runs_on_and_why() -> None:
    async with make_app(FakeSession()).run_test(size=SMALL) as pilot:
        home = await at_home(pilot)
        assert "sandbox: namespaces of this machine" in str(home.query_one("#about", Static).content)


async def test_progress_over_attempts_is_shown() -> None:
    session = FakeSession()
    session.rows = [attempt(40, id=1), attempt(80, id=2), attempt(60, id=3)]
    async with make_app(session).run_test(size=SMALL) as pilot:
        home = await at_home(pilot)
        option = home.query_one("#tasks").get_option_at_index(0)  # type: ignore[attr-defined]
        assert "best 80 %" in str(option.prompt)


async def test_a_machine_that_can_run_nothing_says_so_and_starts_nothing() -> None:
    session = FakeSession()
    session.choose_error = LabError("no kind of node can be made here", "sudo sysctl -w x=0")
    async with make_app(session).run_test(size=SMALL) as pilot:
        home = await at_home(pilot)
        assert "→ sudo sysctl -w x=0" in str(home.query_one(Banner).content)
        await pilot.press("enter")
        assert pilot.app.screen is home


async def test_a_failed_look_is_a_message_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    session = FakeSession()
    fine, broken = session.history, [True]

    def history() -> list[object]:
        if broken:
            raise LabError("attempts.db: the disk is full", "free some space")
        return list(fine())

    monkeypatch.setattr(session, "history", history)
    async with make_app(session).run_test(size=SMALL) as pilot:
        home = pilot.app.screen
        assert isinstance(home, HomeScreen)
        await until(pilot, lambda: "the disk is full" in str(home.query_one(Banner).content), "the message")
        broken.clear()
        home.look()
        await at_home(pilot)
        assert not home.query_one(Banner).display


async def test_a_start_shows_its_steps_and_can_be_called_off() -> None:
    session = FakeSession()
    session.hold.clear()
    async with make_app(session).run_test(size=SMALL) as pilot:
        screen = await starting(pilot)
        await until(pilot, lambda: len(screen._steps) == 3, "the third step")
        assert "Starting the kubelet" in str(screen.query_one("#steps", Static).content)
        await pilot.press("escape")
        assert "cleaning up" in str(screen.query_one("#steps", Static).content)
        session.hold.set()
        await until(pilot, lambda: isinstance(pilot.app.screen, HomeScreen), "the start page")
        assert session.labs() == []


async def test_ctrl_c_calls_a_start_off_and_does_not_kill_the_program() -> None:
    session = FakeSession()
    session.hold.clear()
    async with make_app(session).run_test(size=SMALL) as pilot:
        screen = await starting(pilot)
        await pilot.press("ctrl+c")
        assert screen._stop.is_set()
        session.hold.set()
        await until(pilot, lambda: isinstance(pilot.app.screen, HomeScreen), "the start page")


async def test_a_start_that_was_done_before_the_cancel_came_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    session = FakeSession()
    session.steps = session.steps[:1]
    made = session.start

    def start(scenario_id: str, **more: object) -> object:
        done = made(scenario_id, **more)  # type: ignore[arg-type]
        session.hold.wait(20)
        return done

    monkeypatch.setattr(session, "start", start)
    session.hold.clear()
    async with make_app(session).run_test(size=SMALL) as pilot:
        await starting(pilot)
        await pilot.press("escape")
        session.hold.set()
        await until(pilot, lambda: isinstance(pilot.app.screen, HomeScreen), "the start page")
        assert session.stopped == ["audit-log"]


async def test_what_could_not_be_recorded_is_told_and_the_lab_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    session = FakeSession()
    made = session.start

    def start(scenario_id: str, **more: object) -> object:
        session.unrecorded.append("the start of audit-log was not recorded: /home/[me]/attempts.db: full")
        return made(scenario_id, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(session, "start", start)
    async with make_app(session).run_test(size=SMALL) as pilot:
        await at_home(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, LabScreen), "the lab")
        (told,) = [note.message for note in pilot.app._notifications]
        assert told == "the start of audit-log was not recorded: /home/[me]/attempts.db: full"
        assert session.unrecorded == []


async def test_a_failed_start_says_why_and_can_be_tried_again() -> None:
    session = FakeSession()
    session.start_error = LabError("port 6443 is taken", "cks-lab stop --all")
    async with make_app(session).run_test(size=SMALL) as pilot:
        screen = await starting(pilot)
        await until(pilot, lambda: screen._failed, "the failure")
        said = str(screen.query_one("#failure", Static).content)
        assert "port 6443 is taken" in said
        assert "→ cks-lab stop --all" in said
        assert isinstance(pilot.app.focused, Button)
        session.start_error = None
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, LabScreen), "the lab")


async def test_stop_asks_and_the_labs_screen_goes_with_it() -> None:
    session = FakeSession([lab()])
    async with make_app(session).run_test(size=SMALL) as pilot:
        before = await in_lab(pilot)
        await pilot.press("f10", "s")
        await until(pilot, lambda: isinstance(pilot.app.screen, Dialog), "the question")
        await pilot.press("left", "enter")
        await until(pilot, lambda: session.stopped == ["audit-log"], "the stop")
        await until(pilot, lambda: before.stopping.is_set(), "the end of the look at the node")
        home = pilot.app.screen
        assert isinstance(home, HomeScreen)
        await until(pilot, lambda: not home._labs, "the empty list")


async def test_a_broken_lab_says_what_to_do() -> None:
    async with make_app(FakeSession([lab(state="broken", detail="its init is gone")])).run_test(size=WIDE) as pilot:
        home = await at_home(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "its init is gone" in str(home.query_one(Banner).content), "the message")


async def test_q_quits() -> None:
    app = make_app()
    async with app.run_test(size=SMALL) as pilot:
        await at_home(pilot)
        await pilot.press("q")
    assert app.return_code == 0
