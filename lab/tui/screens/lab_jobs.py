"""What the lab screen has done in threads, and what comes of it: grading, hints, solution, reset, the look at the node.

A thread calls the session or the node and posts messages; only the handlers here touch widgets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

from textual.message import Message
from textual.screen import Screen

from checkers.evidence import Missing, NotAFile, Unreadable
from checkers.result import Where

from ...overlay import MANIFEST
from ..errors import failed
from ..messages import (
    ApiServerState,
    Failed,
    Graded,
    HintShown,
    LogAbsent,
    LogGrew,
    NodeOpened,
    NodeReset,
    PlaceRead,
    PolicySaved,
    ReportFound,
    SolutionShown,
    StepTaken,
)
from ..widgets.banner import Banner
from ..widgets.checks import Checks
from ..widgets.lens import Lens
from ..widgets.log import AuditLog, EventList

if TYPE_CHECKING:
    from ...catalog import Scenario
    from ...drivers.base import Lab, NodeHandle, Step
    from ..app import LabApp

_LOOK_EVERY = 1.0
"""Seconds between two looks at the node."""

_API_WORDS = {
    "starting": ("info", "The API server is coming back", ""),
    "crashing": ("error", "The API server does not start", "crictl ps -a, then crictl logs ID"),
    "absent": ("error", "There is no API server on the node", "journalctl -u kubelet | tail"),
    "gone": ("error", "The node does not answer", "F10, then stop the lab there or: cks-lab status"),
}


class LabJobs(Screen[None]):
    """The part of the lab screen that works on the lab."""

    app: LabApp

    def __init__(self, lab: Lab, scenario: Scenario) -> None:
        super().__init__(name=f"lab-{lab.name}")
        self.lab, self.scenario = lab, scenario
        self.node: NodeHandle | None = None
        self.stopping = Event()
        self._busy = ""
        self._doing = ""
        self._api = ("up", "")
        self._shell_said = ("", "")

    def open_shell(self) -> None:
        """Open a shell on the node in the terminal."""
        raise NotImplementedError

    def draw_shell_note(self) -> None:
        """Say anew why there is no shell."""
        raise NotImplementedError

    def show_checks(self) -> None:
        """Bring the checks to where they are seen."""
        raise NotImplementedError

    def _job(self, what: str, work: Callable[[], Message]) -> None:
        """Run work in a thread and post what comes of it; one at a time."""
        if self._busy:
            self.notify(f"{self._busy} is not done yet.")
            return
        self._busy = what
        self._doing = f"{what} …"
        self._draw_banner()

        def run() -> None:
            try:
                outcome = work()
            except Exception as error:
                outcome = failed(what, error)
            self.post_message(outcome)

        self.run_worker(run, thread=True, group="job")

    def _done(self) -> None:
        self._busy = self._doing = ""
        self._draw_banner()

    def _progress(self, step: Step) -> None:
        self.post_message(StepTaken(step))

    def on_step_taken(self, event: StepTaken) -> None:
        """Show what a long job does now."""
        event.stop()
        detail = f": {event.step.detail}" if event.step.detail else ""
        self._doing = f"{event.step.title}{detail} … ({event.step.number} of {event.step.total})"
        self._draw_banner()

    def on_failed(self, event: Failed) -> None:
        """Show what went wrong and what to do."""
        event.stop()
        self._done()
        self.query_one(Banner).say("error", f"{event.what} failed: {event.message}", event.hint)

    def _draw_banner(self) -> None:
        banner = self.query_one(Banner)
        state, detail = self._api
        if self._doing:
            banner.say("info", self._doing)
        elif state in _API_WORDS:
            kind, words, hint = _API_WORDS[state]
            banner.say(kind, words, hint, detail)
        else:
            banner.clear()

    # The node

    def open_node(self) -> None:
        """Get hold of the node, then look at it until the screen goes; runs in a thread."""
        from ..watch import NodeWatch

        try:
            node = self.app.session.node(self.lab)
            self.post_message(NodeOpened(node))
            self.post_message(ReportFound(self.app.session.last_report(self.lab)))
            wants = self.scenario.wants
            watch = NodeWatch(node, wants.policy_file, wants.log_file, MANIFEST)
            while not self.stopping.is_set():
                for message in watch.look():
                    self.post_message(message)
                self.stopping.wait(_LOOK_EVERY)
        except Exception as error:
            self.post_message(failed("Looking at the node", error))

    def on_node_opened(self, event: NodeOpened) -> None:
        """Open the shell."""
        event.stop()
        self.node = event.node
        self.open_shell()

    def on_policy_saved(self, event: PolicySaved) -> None:
        """Let lens and log see the policy."""
        event.stop()
        lens = self.query_one(Lens)
        lens.show(event.content, event.problem)
        self.query_one(AuditLog).policy_changed(lens.policy)

    def on_log_grew(self, event: LogGrew) -> None:
        """Let the log grow."""
        event.stop()
        self.query_one(AuditLog).grow(event.lines, event.fresh)

    def on_log_absent(self, event: LogAbsent) -> None:
        """Say why there is no log."""
        event.stop()
        self.query_one(AuditLog).absent(event.reason)

    def on_event_list_opened(self, event: EventList.Opened) -> None:
        """Show an event of the log as JSON."""
        from .dialog import TextDialog

        event.stop()
        rule = self.query_one(EventList).rule(event.event)
        title = f"Event {event.event.number}" + (f" · written by rule {rule}" if rule not in ("", "?") else "")
        self.app.push_screen(TextDialog(title, event.event.pretty(), markdown=False))

    def on_api_server_state(self, event: ApiServerState) -> None:
        """Say how the API server does; say so when it is back."""
        event.stop()
        back = event.state == "up" and self._api[0] != "up"
        self._api = (event.state, event.detail)
        self._draw_banner()
        self.draw_shell_note()
        if back:
            self.notify("The API server is back.", timeout=3)

    # Grading

    def action_grade(self) -> None:
        """Grade the node as it is now."""
        self._job("Grading", lambda: Graded(self.app.session.grade(self.lab, progress=self._progress)))

    def on_graded(self, event: Graded) -> None:
        """Show the result."""
        event.stop()
        self._done()
        self.query_one(Checks).show(event.grade.report)
        self.show_checks()
        for note in event.grade.notes:
            self.notify(note, severity="warning", timeout=10, markup=False)

    def on_report_found(self, event: ReportFound) -> None:
        """Show the last grade of an attempt that is gone on with."""
        event.stop()
        if event.report is not None and self.query_one(Checks).report is None:
            self.query_one(Checks).show(event.report)

    def on_checks_opened(self, event: Checks.Opened) -> None:
        """Open a result; go on to its place in the file if asked."""
        from .result import ResultScreen

        event.stop()
        where = event.line.result.where

        def answered(answer: str | None) -> None:
            if answer == "place" and where is not None:
                self.open_place(where)

        self.app.push_screen(ResultScreen(event.line), answered)

    def open_place(self, where: Where) -> None:
        """Show the file that a result speaks of, at its line."""
        self._job(f"Reading {where.file}", partial(self._read_place, where))

    def _read_place(self, where: Where) -> Message:
        from .viewer import READ_LIMIT

        assert self.node is not None
        try:
            text = self.node.files.read(where.file, READ_LIMIT).decode("utf-8", "replace")
        except (Missing, NotAFile, Unreadable) as error:
            return Failed(f"Showing {where.file}", str(error), "F5 grades the node as it is now")
        return PlaceRead(where, text)

    def on_place_read(self, event: PlaceRead) -> None:
        """Show the file; open it in vi if asked."""
        from .viewer import Viewer

        event.stop()
        self._done()
        where = event.where

        def answered(answer: str | None) -> None:
            if answer == "vi":
                self.type_command(f"vi +{where.line or 1} {where.file}")

        self.app.push_screen(Viewer(where.file, event.text, where.line), answered)

    def type_command(self, command: str) -> None:
        """Type a command into the shell where it waits for one."""
        raise NotImplementedError

    # Hints, solution, reset

    def action_hint(self) -> None:
        """Show the next hint."""
        session, lab = self.app.session, self.lab

        def work() -> Message:
            seen = session.hints_seen(lab)
            return HintShown(session.next_hint(lab), seen)

        self._job("Getting a hint", work)

    def on_hint_shown(self, event: HintShown) -> None:
        """Show the hint, those before it above."""
        from .dialog import TextDialog

        event.stop()
        self._done()
        hints = [*event.seen, *([event.fresh] if event.fresh else [])]
        if not hints:
            self.notify("This task has no hints.")
            return
        newest = hints[-1]
        more = newest.total - newest.number
        title = f"Hint {newest.number} of {newest.total}"
        text = newest.text
        if event.fresh is None:
            title, text = "All hints", "\n\n".join(f"**{hint.number}.** {hint.text}" for hint in hints)
        answers: list[tuple[str, str | None]] = [("Back to work", None)]
        if more:
            answers.append((f"Next hint ({more} more)", "next"))
        if len(hints) > 1 and event.fresh is not None:
            text += "\n\n---\n\n" + "\n\n".join(f"*Before:* {hint.text}" for hint in reversed(hints[:-1]))

        def answered(answer: str | None) -> None:
            if answer == "next":
                self.action_hint()

        self.app.push_screen(TextDialog(title, text, answers), answered)

    def action_solution(self) -> None:
        """Show the solution; ask first where nothing has been tried."""
        from .dialog import Confirm

        session, lab = self.app.session, self.lab

        def show(yes: bool | None) -> None:
            if yes:
                self._job("Getting the solution", lambda: SolutionShown(session.solution(lab)))

        if self.query_one(Checks).report is not None:
            show(True)
            return
        text = "You have not graded yet. Seeing the solution is noted in this attempt.\nF6 gives a hint instead."
        self.app.push_screen(Confirm("Show the solution?", text, "Show it"), show)

    def on_solution_shown(self, event: SolutionShown) -> None:
        """Show the solution."""
        from .dialog import TextDialog

        event.stop()
        self._done()
        self.app.push_screen(TextDialog("Solution", event.markdown))

    def action_reset(self) -> None:
        """Ask, then put the node back to its first state."""
        from .dialog import Confirm

        def answered(yes: bool | None) -> None:
            if yes:
                session, lab = self.app.session, self.lab
                self._job("Resetting", lambda: NodeReset(session.reset(lab, self._progress)))

        text = (
            "Put the node back to how it was at the start?\n"
            "Your files in /etc/kubernetes, /root and /var/log/audit are copied to this machine first."
        )
        self.app.push_screen(Confirm("Reset the node", text, "Reset"), answered)

    def on_node_reset(self, event: NodeReset) -> None:
        """Say where the copy is and open a new shell."""
        event.stop()
        self._done()
        self.query_one(Checks).show(None)
        self.notify(
            f"Your files are kept at {event.copy}", title="The node is as at the start", timeout=15, markup=False
        )
        self.app.tell_unrecorded()
        self.open_shell()
