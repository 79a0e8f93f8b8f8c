"""The app over a fake session, and how a test waits for what it looks at."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from textual.pilot import Pilot
from textual.widgets import OptionList

from lab.tui.app import LabApp
from lab.tui.screens.home import HomeScreen
from lab.tui.screens.lab import LabScreen
from lab.tui.screens.starting import StartingScreen
from lab.tui.widgets.lens import Lens
from tests.tui.fake_session import NOW, FakeSession, lab

WIDE = (120, 40)
SMALL = (80, 24)
PATIENCE = 120.0


def make_app(session: FakeSession | None = None, *, theme: str = "textual-dark") -> LabApp:
    """Return the app over a fake session (with a running lab if none is given), at a fixed time, without animations."""
    made = session or FakeSession([lab()])
    app = LabApp(lambda: made, now=lambda: NOW)  # type: ignore[arg-type, return-value]
    app.animation_level = "none"
    app.theme = theme
    return app


async def until(pilot: Pilot[Any], condition: Callable[[], object], what: str = "") -> None:
    """Wait until something is so; fail where it never is."""
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline, f"never happened: {what or condition}"
        await pilot.pause(0.02)
    await pilot.pause()


async def at_home(pilot: Pilot[Any]) -> HomeScreen:
    """Wait for the start page to be filled."""
    screen = pilot.app.screen
    assert isinstance(screen, HomeScreen)
    await until(pilot, lambda: screen._loaded is not None, "the start page")
    return screen


async def in_lab(pilot: Pilot[Any]) -> LabScreen:
    """Open the running lab and wait for its shell's prompt and the first look at the node."""
    home = await at_home(pilot)
    home.query_one("#labs", OptionList).focus()
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, LabScreen), "the lab screen")
    screen = pilot.app.screen
    assert isinstance(screen, LabScreen)
    await until(pilot, lambda: screen.terminal is not None and shown(screen), "the prompt")
    await until(pilot, lambda: screen.query_one(Lens).read, "the first look at the policy")
    return screen


async def starting(pilot: Pilot[Any]) -> StartingScreen:
    """Start the task and wait for the start-up screen."""
    await at_home(pilot)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, StartingScreen), "the start-up screen")
    screen = pilot.app.screen
    assert isinstance(screen, StartingScreen)
    return screen


def shown(screen: LabScreen) -> str:
    """Return what the terminal shows."""
    return screen.terminal.board.capture_text() if screen.terminal is not None else ""
