"""The program on the screen: which screens there are, its colours, its menu, and how it starts.

Only what the first paint needs is imported here; the session and all below it come when they are asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType

from .harmless import Harmless
from .messages import LabReady
from .screens.home import HomeScreen

if TYPE_CHECKING:
    from textual.driver import Driver
    from textual.screen import Screen

    from ..catalog import Scenario
    from ..drivers.base import Lab
    from ..session import Session

THEME_VARIABLE = "CKS_LAB_THEME"
_THEME = "textual-dark"


def _utcnow() -> datetime:
    return datetime.now(UTC)


class LabApp(App[None], inherit_bindings=False):
    """CKS Lab. Textual's own Ctrl-Q and Ctrl-P are left to the shell: this class inherits no bindings."""

    TITLE = "CKS Lab"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f4", "command_palette", "menu", show=False)]
    COMMAND_PALETTE_BINDING = "f4"
    CSS = """
    Toast { max-width: 70; }
    Footer { background: $panel; }
    """

    def __init__(
        self,
        session: Callable[[], Session] | None = None,
        *,
        now: Callable[[], datetime] = _utcnow,
        driver_class: type[Driver] | None = None,
    ) -> None:
        super().__init__(driver_class=driver_class)
        self._filters.append(Harmless())
        self.now = now
        self._make_session = session or self._default_session
        self._session: Session | None = None
        self._lab_screens: dict[str, str] = {}
        theme = os.environ.get(THEME_VARIABLE, "")
        self.theme = theme if theme in self.available_themes else _THEME

    def _default_session(self) -> Session:
        from ..session import Session

        return Session(now=self.now)

    @property
    def session(self) -> Session:
        """The session, made at its first use: importing it takes longer than the first paint may."""
        if self._session is None:
            self._session = self._make_session()
        return self._session

    @property
    def fault(self) -> Exception | None:
        """What ended the program, where nobody expected it."""
        return self._exception

    def _fatal_error(self) -> None:
        """End without Textual's traceback on the terminal: the command line keeps it in a file and says which."""
        self._close_messages_no_wait()

    def get_driver_class(self) -> type[Driver]:
        """Return the driver that reads the keyboard as vim needs it, where a terminal is read at all."""
        from textual import constants

        base = super().get_driver_class()
        if constants.DRIVER is not None:
            return base
        from .keyboard import KeyDriver

        return KeyDriver

    def get_key_display(self, binding: Binding) -> str:
        """Return how a key is written at the bottom."""
        key = binding.key
        if key[0] == "f" and key[1:].isdigit():
            return key.upper()
        return super().get_key_display(binding)

    def on_mount(self) -> None:
        """Show the start page."""
        self.push_screen(HomeScreen())

    # Screens

    def start_lab(self, scenario: Scenario, why: str, resume: Lab | None) -> None:
        """Show the start-up of a lab, which begins at once."""
        from .screens.starting import StartingScreen

        self.push_screen(StartingScreen(self.session, scenario, why, resume))

    def on_lab_ready(self, event: LabReady) -> None:
        """Open the lab that has just started."""
        from .screens.starting import StartingScreen

        if isinstance(self.screen, StartingScreen):
            self.screen.dismiss(None)
        self.open_lab(event.lab)
        self.tell_unrecorded()

    def open_lab(self, lab: Lab) -> None:
        """Show a lab; the screen it had before, with its shell, where there is one."""
        from .screens.lab import LabScreen

        name = f"lab-{lab.name}"
        known = f"{lab.started}"
        if self._lab_screens.get(name) not in (None, known):
            self.forget_lab(lab.name)
        if name not in self._lab_screens:
            scenario = self.session.scenario(lab.scenario, lab.seed)
            self.install_screen(LabScreen(lab, scenario), name)
            self._lab_screens[name] = known
        self.push_screen(name)

    def leave_lab(self) -> None:
        """Go back to the start page."""
        while not isinstance(self.screen, HomeScreen) and len(self.screen_stack) > 2:
            self.pop_screen()

    def forget_lab(self, name: str) -> None:
        """Close the screen of a lab that is gone, and its shell."""
        if self._lab_screens.pop(f"lab-{name}", None) is not None:
            screen = self.get_screen(f"lab-{name}")
            self.uninstall_screen(f"lab-{name}")
            if screen.is_attached and screen not in self.screen_stack:
                screen.remove()

    def tell_unrecorded(self) -> None:
        """Say what was done and could not be written into the record; once."""
        while self.session.unrecorded:
            self.notify(self.session.unrecorded.pop(0), severity="warning", timeout=15, markup=False)

    # Menu

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Yield everything that can be done on the screen, then what always can."""
        from .screens.lab import LabScreen

        if isinstance(screen, LabScreen):
            from .lab_keys import LAB_KEYS, MORE_KEYS

            for key in (*LAB_KEYS, *MORE_KEYS):
                if key.id != "palette":
                    shown = f"{key.about} ({key.key.upper()})" if key.key else key.about
                    yield SystemCommand(key.label.capitalize(), shown, self._runner(screen, key.action))
        yield SystemCommand("Colours", "Choose other colours, also for light terminals", self.action_change_theme)
        yield SystemCommand("Quit", "Leave the program; labs go on", self.action_quit)

    def _runner(self, screen: Screen[Any], action: str) -> Callable[[], None]:
        def run() -> None:
            screen.call_later(screen.run_action, action)

        return run


def run() -> None:
    """Show the program until it is left. Raises what ended it, where nobody expected it."""
    app = LabApp()
    app.run()
    if app.fault is not None:
        raise app.fault
