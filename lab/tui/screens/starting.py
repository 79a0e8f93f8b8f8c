"""The start-up screen: the steps by name as they are taken, a way to call it off, and what went wrong."""

from __future__ import annotations

from functools import partial
from threading import Event
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Button, ProgressBar, Static

from ...errors import LabError
from ..errors import failed
from ..messages import Failed, LabReady, StartCancelled, StepTaken
from ..widgets.header import LabHeader
from ..widgets.key_bar import KeyBar

if TYPE_CHECKING:
    from ...catalog import Scenario
    from ...drivers.base import Lab, Step
    from ...session import Session


class _CalledOff(LabError):
    """Raised in the driver's own progress call, so that it cleans up as after any failure."""


class StartingScreen(Screen[None]):
    """Starts a lab, or one that is stopped (`resume`), and opens it when kubectl answers."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "cancel", "cancel", id="starting.cancel", tooltip="Call it off and clean up"),
        Binding("f5,r", "again", "try again", id="starting.again", tooltip="Start it again after a failure"),
    ]

    DEFAULT_CSS = """
    StartingScreen {
        #steps-frame { height: auto; margin: 1 2; padding: 1 2; border: round $primary; border-title-style: bold; }
        #steps { height: auto; }
        ProgressBar { margin-top: 1; width: 100%; }
        ProgressBar Bar { width: 1fr; }
        #failure { height: auto; margin: 0 2; padding: 0 2; display: none; border: round $error; }
        #buttons { height: auto; margin: 1 2; }
        #buttons Button { margin-right: 2; }
        #again { display: none; }
    }
    """

    def __init__(self, session: Session, scenario: Scenario, why: str, resume: Lab | None = None) -> None:
        super().__init__()
        self._session, self._scenario, self._resume = session, scenario, resume
        self._why = why
        self._steps: list[Step] = []
        self._stop = Event()
        self._failed = False

    def compose(self) -> ComposeResult:
        """Lay out the steps, the failure that is not there yet, and the buttons."""
        yield LabHeader(f"{self._scenario.title} · starting")
        with Vertical(id="steps-frame") as frame:
            frame.border_title = self._scenario.title
            yield Static(self._why, id="why", markup=False)
            yield Static(id="steps", markup=False)
            yield ProgressBar(total=None, show_eta=False, show_percentage=False)
        yield Static(id="failure", markup=False)
        with Horizontal(id="buttons"):
            yield Button("Try again", id="again", variant="primary")
            yield Button("Cancel", id="cancel")
        yield KeyBar([("Esc", "cancel", "cancel"), ("F5", "try again after a failure", "again")])

    def on_mount(self) -> None:
        """Begin."""
        self._begin()

    def _begin(self) -> None:
        self._steps, self._failed = [], False
        self._stop.clear()
        self.query_one("#failure").display = False
        self.query_one("#again").display = False
        self.query_one("#cancel", Button).label = "Cancel"
        self.query_one("#cancel").focus()
        self._draw()
        self.run_worker(partial(self._start), thread=True, exclusive=True, group="start")

    def _start(self) -> None:
        """Start the lab; runs in a thread and only posts messages."""
        try:
            lab = self._session.start(
                self._scenario.id,
                seed=self._resume.seed if self._resume else None,
                name=self._resume.name if self._resume else None,
                progress=self._progress,
            )
            if self._stop.is_set():
                self._session.stop(lab)
                self.post_message(StartCancelled())
            else:
                self.post_message(LabReady(lab))
        except Exception as error:
            if self._stop.is_set() and isinstance(error, _CalledOff):
                self.post_message(StartCancelled())
            else:
                self.post_message(failed(f"Starting {self._scenario.title}", error))

    def _progress(self, step: Step) -> None:
        if self._stop.is_set():
            raise _CalledOff("the start was called off")
        self.post_message(StepTaken(step))

    def on_step_taken(self, event: StepTaken) -> None:
        """Show the step."""
        if self._steps and self._steps[-1].number == event.step.number:
            self._steps[-1] = event.step
        else:
            self._steps.append(event.step)
        self._draw()

    def _draw(self) -> None:
        text = Text()
        for step in self._steps:
            last = step is self._steps[-1]
            mark = ("✗" if self._failed else "▸") if last else "✓"
            text.append(f"{mark} {step.number}/{step.total} {step.title}", style="bold" if last else "dim")
            if step.detail and last:
                text.append(f"  {step.detail}")
            text.append("\n")
        if self._stop.is_set():
            text.append("… called off; cleaning up what was made", style="bold")
        elif not self._steps:
            text.append("▸ looking at what is here")
        self.query_one("#steps", Static).update(text)
        bar = self.query_one(ProgressBar)
        if self._steps:
            bar.update(total=self._steps[-1].total, progress=self._steps[-1].number - 1)

    def on_failed(self, event: Failed) -> None:
        """Show what went wrong and what to do."""
        event.stop()
        self._failed = True
        self._draw()
        text = Text(f"{event.what} failed: {event.message}", style="bold")
        if event.hint:
            text.append(f"\n\n→ {event.hint}", style="not bold")
        box = self.query_one("#failure", Static)
        box.update(text)
        box.display = True
        self.query_one(ProgressBar).display = False
        self.query_one("#again").display = True
        self.query_one("#cancel", Button).label = "Back"
        self.query_one("#again").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Do what the button says."""
        event.stop()
        if event.button.id == "again":
            self.action_again()
        else:
            self.action_cancel()

    def action_cancel(self) -> None:
        """Call the start off; after a failure go back."""
        if self._failed:
            self.dismiss(None)
            return
        self._stop.set()
        self.query_one("#cancel", Button).label = "Cancelling …"
        self._draw()

    def action_again(self) -> None:
        """Start again after a failure."""
        if self._failed:
            self.query_one(ProgressBar).display = True
            self._begin()

    def on_start_cancelled(self, event: StartCancelled) -> None:
        """Go back once everything is cleaned up."""
        event.stop()
        self.notify("The start was called off; nothing of it is left.")
        self.dismiss(None)
