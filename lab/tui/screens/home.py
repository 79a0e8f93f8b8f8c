"""The start page: the tasks with what was reached so far, the labs that are there, and what a new one would run on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from ...errors import LabError
from ..clock import ago
from ..errors import failed
from ..messages import Failed, HomeLoaded, LabStopped
from ..widgets.banner import Banner
from ..widgets.header import LabHeader
from ..widgets.key_bar import KeyBar

if TYPE_CHECKING:
    from ...attempts import AttemptRow
    from ...catalog import Scenario
    from ...drivers.base import DriverInfo, Lab
    from ..app import LabApp

_REFRESH = 5.0
"""Seconds between two looks at the machine."""
_KEYS = (
    ("F1", "help", "help"),
    ("Enter", "start or go on", "choose"),
    ("s", "stop the lab", "stop"),
    ("F4", "menu", "app.command_palette"),
    ("F10", "quit", "app.quit"),
)


class HomeScreen(Screen[None]):
    """Enter starts a task, or goes on with the lab that is there."""

    app: LabApp

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "help", id="home.help", tooltip="Show the keys"),
        Binding(
            "enter",
            "choose",
            "start or go on",
            id="home.enter",
            tooltip="Start the task or go on with the lab",
            priority=True,
        ),
        Binding("s,delete", "stop", "stop the lab", id="home.stop", tooltip="Remove the chosen lab"),
        Binding("f4", "app.command_palette", "menu", id="home.palette", tooltip="Everything that can be done"),
        Binding("f10,q,ctrl+c,ctrl+q", "app.quit", "quit", id="home.quit", tooltip="Quit; labs go on"),
        Binding("down,j", "move(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
    ]

    DEFAULT_CSS = """
    HomeScreen {
        #tasks-frame, #labs-frame {
            height: auto; margin: 1 1 0 1; border: round $primary; border-title-style: bold; padding: 0 1;
        }
        #tasks-frame { max-height: 50%; }
        #labs-frame { max-height: 35%; display: none; }
        OptionList { height: auto; max-height: 100%; border: none; padding: 0; background: $background; }
        #about { margin: 1 3 0 3; height: auto; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._scenarios: dict[str, Scenario] = {}
        self._labs: dict[str, Lab] = {}
        self._loaded: HomeLoaded | None = None
        self._enter_waits = False

    def compose(self) -> ComposeResult:
        """Lay out the lists; they are filled when the first look at the machine is done."""
        yield LabHeader("practise on a node of your own")
        yield Banner()
        with Vertical(id="tasks-frame") as tasks:
            tasks.border_title = "Tasks"
            yield OptionList(Option("looking for the tasks …", disabled=True), id="tasks", compact=True, markup=False)
        with Vertical(id="labs-frame") as labs:
            labs.border_title = "Your labs"
            yield OptionList(id="labs", compact=True, markup=False)
        yield Static(id="about", markup=False)
        yield KeyBar(_KEYS)

    def on_mount(self) -> None:
        """Look at the machine after the first paint."""
        self.call_after_refresh(self.look)
        self.set_interval(_REFRESH, self.look)

    def on_screen_resume(self) -> None:
        """Look again: a lab may have come or gone."""
        if self._loaded is not None:
            self.look()

    def on_resize(self) -> None:
        """Lay the rows out anew."""
        if self._loaded is not None:
            self._draw(self._loaded)

    def look(self) -> None:
        """Look at the machine in a thread."""
        if self.app.screen is self:
            self.run_worker(self._look, thread=True, exclusive=True, group="look")

    def _look(self) -> None:
        try:
            session, before = self.app.session, self._loaded
            # To ask every driver takes processes and time; what is possible is asked again when a lab is started.
            known = before is not None and before.choice is not None
            choice, refusal, probes = (before.choice, None, before.probes) if before and known else self._ask()
            scenarios, labs, history = session.scenarios(), session.labs(), session.history()
            self.post_message(HomeLoaded(scenarios, labs, history, choice, refusal, probes, dict(session.unreachable)))
        except Exception as error:
            self.post_message(failed("Looking at what is here", error))

    def _ask(self) -> tuple[tuple[str, str] | None, tuple[str, str] | None, list[DriverInfo]]:
        """Return what a new lab would run on and why, or the refusal and its remedy, and what every driver says."""
        session = self.app.session
        probes = session.probes()
        try:
            driver, why = session.choose()
        except LabError as error:
            return None, (error.message, error.hint), probes
        # What was passed over on the way to it is told apart.
        return (driver, next((probe.reason for probe in probes if probe.name == driver), "") or why), None, probes

    def on_failed(self, event: Failed) -> None:
        """Show what went wrong."""
        event.stop()
        self._enter_waits = False
        self.query_one(Banner).say("error", f"{event.what} failed: {event.message}", event.hint)

    def on_home_loaded(self, event: HomeLoaded) -> None:
        """Show what there is."""
        event.stop()
        self._loaded = event
        self._scenarios = {scenario.id: scenario for scenario in event.scenarios}
        self._labs = {lab.name: lab for lab in event.labs}
        banner = self.query_one(Banner)
        if event.refusal is not None:
            banner.say("error", event.refusal[0], event.refusal[1])
        elif event.unreachable:
            name, why = next(iter(event.unreachable.items()))
            banner.say("warning", f"{name} could not be asked for its labs: {why}", "cks-lab doctor")
        else:
            banner.clear()
        self._draw(event)
        if self._enter_waits:
            self._enter_waits = False
            self.action_choose()

    def _draw(self, loaded: HomeLoaded) -> None:
        width = max(20, self.size.width - 6)
        tasks, labs = self.query_one("#tasks", OptionList), self.query_one("#labs", OptionList)
        focused, first = self.focused, not self._scenarios or tasks.highlighted is None
        _fill(tasks, [Option(_task(s, loaded.history, width), id=s.id) for s in loaded.scenarios])
        if not loaded.scenarios:
            tasks.add_option(Option("there are no tasks; install CKS Lab again", disabled=True))
        _fill(labs, [Option(self._lab(lab, width), id=lab.name) for lab in loaded.labs])
        self.query_one("#labs-frame").display = bool(loaded.labs)
        if first or focused is None or (focused is labs and not loaded.labs):
            (labs if loaded.labs else tasks).focus()
        if loaded.choice is not None:
            driver, why = loaded.choice
            about = Text.assemble("A new lab runs on ", (driver, "bold"), f": {why}.")
            if others := [p.name for p in loaded.probes if p.name != driver and not p.available]:
                about.append(f"\nNot on {', '.join(others)}; what is missing for it: cks-lab doctor", style="dim")
        else:
            about = Text("No new lab can be started here; grading a directory or a bundle works: cks-lab grade --help")
        self.query_one("#about", Static).update(about)

    def _lab(self, lab: Lab, width: int) -> Text:
        scenario = self._scenarios.get(lab.scenario)
        left = f"{lab.name}  " + (scenario.title if scenario else lab.scenario)
        started = f", started {ago(lab.started, self.app.now())}" if lab.started else ""
        state = {"running": "running", "stopped": "stopped (Enter starts it again)"}.get(lab.state, lab.state)
        if lab.state == "broken":
            state = f"broken: {lab.detail or 'its node does not answer'} (s removes it)"
        return _spread(left, f"{lab.driver} · {state}{started}", width)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Start or go on."""
        event.stop()
        if event.option_list.id == "labs" and (lab := self._labs.get(str(event.option_id))):
            self._go_on(lab)
        elif scenario := self._scenarios.get(str(event.option_id)):
            running = [lab for lab in self._labs.values() if lab.scenario == scenario.id and lab.seed is None]
            usable = [lab for lab in running if lab.state in ("running", "stopped")]
            if usable:
                self._go_on(max(usable, key=lambda lab: lab.state == "running"))
            else:
                self._start(scenario)

    def _go_on(self, lab: Lab) -> None:
        scenario = self._scenarios.get(lab.scenario)
        if scenario is None:
            self.query_one(Banner).say(
                "error", f"the task {lab.scenario!r} of this lab is not known here", "cks-lab list"
            )
        elif lab.state == "running":
            self.app.open_lab(lab)
        elif lab.state == "stopped":
            self.app.start_lab(scenario, f"on {lab.driver}: it was started there before", lab)
        else:
            detail = lab.detail or "its node does not answer"
            self.query_one(Banner).say("error", f"the lab {lab.name} is {lab.state}: {detail}", "s removes it")

    def _start(self, scenario: Scenario) -> None:
        if self._loaded is not None and self._loaded.choice is not None:
            driver, why = self._loaded.choice
            self.app.start_lab(scenario, f"on {driver}: {why}", None)

    def action_choose(self) -> None:
        """Start or go on with what is chosen, wherever the keyboard is."""
        if self._loaded is None:
            self._enter_waits = True
        elif isinstance(self.focused, OptionList):
            self.focused.action_select()

    def action_move(self, by: int) -> None:
        """Move between the two lists."""
        if isinstance(self.focused, OptionList):
            (self.focused.action_cursor_down if by > 0 else self.focused.action_cursor_up)()

    def action_help(self) -> None:
        """Show the keys."""
        from .help import home_help

        self.app.push_screen(home_help())

    def action_stop(self) -> None:
        """Ask, then remove the chosen lab."""
        from .dialog import Confirm

        labs = self.query_one("#labs", OptionList)
        option = labs.highlighted_option
        if option is None or not self._labs:
            self.notify("There is no lab to stop.")
            return
        lab = self._labs[str(option.id)]
        text = f"Stop the lab {lab.name} and remove its node with every file on it?\nThe grades stay in the history."

        def answered(yes: bool | None) -> None:
            if yes:
                self.run_worker(partial(self._stop, lab), thread=True, group="stop")

        self.app.push_screen(Confirm("Stop the lab", text, "Stop it"), answered)

    def _stop(self, lab: Lab) -> None:
        try:
            self.app.session.stop(lab)
            self.post_message(LabStopped(lab.name))
        except Exception as error:
            self.post_message(failed(f"Stopping {lab.name}", error))

    def on_lab_stopped(self, event: LabStopped) -> None:
        """Say it, forget the lab's screen, look again."""
        event.stop()
        self.app.forget_lab(event.name)
        self.notify(f"The lab {event.name} is gone.", markup=False)
        self.app.tell_unrecorded()
        self.look()


def _fill(options: OptionList, rows: list[Option]) -> None:
    """Put rows into a list and keep the row that was chosen."""
    chosen = options.highlighted_option.id if options.highlighted_option else None
    options.clear_options()
    options.add_options(rows)
    ids = [row.id for row in rows]
    options.highlighted = ids.index(chosen) if chosen in ids else (0 if rows else None)


def _task(scenario: Scenario, history: list[AttemptRow], width: int) -> Text:
    graded = [row for row in history if row.scenario == scenario.id and row.percent is not None]
    right = f"{scenario.minutes} minutes · {scenario.points} points · "
    if graded:
        best = max(row.percent or 0 for row in graded)
        last = max(graded, key=lambda row: row.graded or row.started)
        right += f"best {best} %, last {last.percent} %"
    else:
        right += "not tried yet"
    return _spread(scenario.title, right, width)


def _spread(left: str, right: str, width: int) -> Text:
    """Return a row with one text at the left and one at the right; on two lines where one has no room for both."""
    gap = width - cell_len(left) - cell_len(right)
    text = Text(left, style="bold")
    text.append(" " * gap if gap > 1 else "\n  ")
    text.append(right, style="not bold")
    return text
