"""Owns the run of a lab from start to grade to stop: the one core under the command line and the screen.

Both faces call these methods and show what comes back; neither talks to a driver, a bundle or the store by itself.
Heavy modules (the store, the drivers, the evidence) are imported when a method needs them.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from checkers.evidence import Missing

from .drivers.base import DEFAULTS, Lab, LabSpec, NodeHandle, NodeOptions, Progress, Step, silent
from .errors import LabError
from .home import Home, made, write_whole
from .labs import Labs, Plan

if TYPE_CHECKING:
    from checkers.grade import Report
    from checkers.wants import Wants

    from .attempts import AttemptRow, Attempts, Subject
    from .evidence.capture import About

_LEARNERS_FOLDERS = ("etc/kubernetes", "root", "home", "var/log/audit")


def utcnow() -> datetime:
    """Return the time of day, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Graded:
    """A grade that was recorded. `bundle`, `attempt` are None where the disk took no more: `notes` says so."""

    report: Report
    bundle: Path | None
    attempt: int | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hint:
    """One hint, `number` of `total` (from 1): Markdown under its title."""

    number: int
    total: int
    text: str
    title: str = ""


class Session(Labs):
    """The labs and attempts of one person on this machine."""

    def __init__(self, home: Home | None = None, *, now: Callable[[], datetime] = utcnow) -> None:
        super().__init__(home)
        self._now = now
        self._store: Attempts | None = None
        self.unrecorded: list[str] = []
        """What was done and could not be written into the record, and why; for people."""

    # Start and stop

    def start(
        self,
        scenario_id: str,
        *,
        on: str = "auto",
        seed: int | None = None,
        name: str | None = None,
        options: NodeOptions = DEFAULTS,
        progress: Progress = silent,
    ) -> Lab:
        """Start a lab, or return the running one of the same task and variant, once kubectl answers on its node.

        What a failed start made is removed again unless `options.retain`. Raises LabError; not where the record takes
        no more, see `unrecorded`.
        """
        while True:
            plan = self.plan(scenario_id, on=on, seed=seed, name=name, needs=options.needs, apiserver=options.apiserver)
            if plan.lab is not None and plan.lab.state == "running":
                return plan.lab
            with self._claimed(plan.name):
                # Another program may have started it while we waited for the name: then the plan is another one now.
                now = next((lab for lab in self.labs() if lab.name == plan.name), None)
                if now == plan.lab:
                    return self._create(plan, scenario_id, seed, options, progress)

    def _create(self, plan: Plan, scenario_id: str, seed: int | None, options: NodeOptions, progress: Progress) -> Lab:
        resumed = plan.lab is not None
        seed = plan.lab.seed if plan.lab else seed
        spec = LabSpec.of(plan.name, scenario_id, seed, self.scenario(scenario_id, seed).start, options)
        lab = self._driver(plan.driver).create(spec, progress)
        with self._recording(f"the start of {lab.name}"):
            if resumed:
                self._attempts().note(self._subject(lab), "start", "again")
            else:
                self._attempts().begin(self._subject(lab))
        return lab

    def stop(self, lab: Lab) -> None:
        """Remove the lab with everything on its node; its attempts stay in the history. Raises LabError."""
        self._driver(lab.driver).destroy(lab)
        with self._recording(f"the end of {lab.name}"):
            self._attempts().end(self._subject(lab))

    def stop_all(self) -> list[str]:
        """Remove every lab and return their names. Goes on after one that cannot be removed, then raises LabError."""
        gone: list[str] = []
        failed: list[str] = []
        for lab in self.labs():
            try:
                self.stop(lab)
                gone.append(lab.name)
            except LabError as error:
                failed.append(f"{lab.name}: {error.message}")
        failed += [f"{name}: {reason}" for name, reason in self.unreachable.items()]
        if failed:
            raise LabError("not everything could be removed: " + "; ".join(failed), "cks-lab status")
        return gone

    def reset(self, lab: Lab, progress: Progress = silent) -> Path:
        """Put the node back to its first state; return the copy of the learner's files, made before.

        Raises LabError, and leaves the node alone, where the copy cannot be made.
        """
        progress(Step(1, 2, "Keeping a copy of your files"))
        copy = self._keep_files(lab)
        progress(Step(2, 2, "Putting the node back", "the API server starts again"))
        self._driver(lab.driver).reset(lab, self.scenario(lab.scenario, lab.seed).start)
        with self._recording(f"the reset of {lab.name}"):
            self._attempts().note(self._subject(lab), "reset", str(copy))
        return copy

    # Grade

    def grade(self, lab: Lab, *, progress: Progress = silent) -> Graded:
        """Grade a live lab: wait until its API server has settled, capture once, keep the bundle, judge, record.

        Raises LabError where the node cannot be looked at. A grade that cannot be kept is returned all the same.
        """
        from .evidence.settle import settle
        from .grading import grade_bundle

        node = self.node(lab)
        progress(Step(1, 3, "Waiting for the API server to settle"))
        # The store's library takes a while to import: that is done while the node's tools are at work.
        threading.Thread(target=import_module, args=("lab.attempts",), daemon=True).start()
        settle(
            node,
            self.scenario(lab.scenario, lab.seed).wants,
            patience=node.patience,
            say=lambda text: progress(Step(1, 3, "Waiting for the API server to settle", text)),
        )
        progress(Step(2, 3, "Looking at the node"))
        name = f"{lab.name}-{self._stamp()}.tar.gz"
        notes: list[str] = []
        try:
            bundle = self._capture(lab, node, made(self.home.bundles) / name)
        except LabError as error:
            if not isinstance(error.__cause__, OSError):
                raise
            notes.append(f"the evidence was not kept: {error.message}")
            with tempfile.TemporaryDirectory(prefix="cks-lab-") as folder:
                report = grade_bundle(self._capture(lab, node, Path(folder) / name))
            return self._record(lab, report, None, notes)
        progress(Step(3, 3, "Judging"))
        return self._record(lab, grade_bundle(bundle), bundle, notes)

    def _capture(self, lab: Lab, node: NodeHandle, out: Path) -> Path:
        from .evidence.capture import About, capture

        wants = self.scenario(lab.scenario, lab.seed).wants
        about = About(lab.scenario, lab.driver, lab.node, wants.variant, lab.apiserver)
        capture(node, about, wants, out, now=self._now)
        return out

    def grade_directory(self, root: Path, scenario_id: str, seed: int | None = None) -> Report:
        """Grade a directory laid out as a node's root. Raises LabError where there is no such directory."""
        from .grading import grade_directory

        return grade_directory(root, scenario_id, seed, now=self._now)

    def grade_bundle(self, path: Path, scenario_id: str | None = None) -> Report:
        """Grade a bundle by the task that it names; a bare tar, which names none, by the one given. Raises LabError."""
        from .grading import grade_bundle

        return grade_bundle(path, scenario_id)

    def grade_node(
        self,
        url: str,
        scenario_id: str,
        seed: int | None = None,
        *,
        at_terminal: bool = False,
        progress: Progress = silent,
    ) -> Report:
        """Grade a node that is no lab of ours: docker://NAME, ssh://[user@]host[:port] or local. Nothing is recorded.

        `at_terminal`: a person is there whom ssh may ask. Raises LabError where it cannot be reached or looked at.
        """
        from .grading import grade_bundle

        with tempfile.TemporaryDirectory(prefix="cks-lab-") as folder:
            bundle = Path(folder, "node.tar.gz")
            self.collect_node(url, scenario_id, bundle, seed, at_terminal=at_terminal, progress=progress)
            progress(Step(3, 3, "Judging"))
            return grade_bundle(bundle)

    def collect_node(
        self,
        url: str,
        scenario_id: str | None,
        out: Path,
        seed: int | None = None,
        *,
        at_terminal: bool = False,
        progress: Progress = silent,
    ) -> Path:
        """Capture what a grade looks at on a node that is no lab of ours into a file. Raises LabError."""
        from .evidence.given import capture_given

        about, wants = self._about(scenario_id, seed)
        progress(Step(1, 3, "Reaching the node", url))
        capture_given(
            url,
            about,
            wants,
            out,
            at_terminal=at_terminal,
            say=lambda text: progress(Step(2, 3, "Waiting for the API server to settle", text)),
            now=self._now,
        )
        return out

    def collector(self, scenario_id: str | None = None, seed: int | None = None) -> str:
        """Return the Python program that makes a bundle on a node where nothing of ours is. Raises LabError."""
        from .evidence.collector import script

        about, wants = self._about(scenario_id, seed)
        return script(about.task(wants))

    def _about(self, scenario_id: str | None, seed: int | None) -> tuple[About, Wants]:
        """Return what a capture is told of a task; without an id, of the only one there is."""
        from .evidence.capture import About

        if scenario_id is None:
            known = [scenario.id for scenario in self.scenarios()]
            if len(known) != 1:
                raise LabError("which task is it for?", f"name one of: {', '.join(known)}")
            scenario_id = known[0]
        scenario = self.scenario(scenario_id, seed)
        # Where the collector runs by itself, the node is the machine it runs on.
        return About(scenario.id, "local", "", scenario.wants.variant), scenario.wants

    def collect(self, lab: Lab | None, out: Path) -> Path:
        """Capture what a grade looks at into a file. Raises LabError."""
        from .evidence.settle import settle

        lab = lab or self.lab()
        node = self.node(lab)
        settle(node, self.scenario(lab.scenario, lab.seed).wants, patience=node.patience)
        return self._capture(lab, node, out)

    # Help

    def hints_seen(self, lab: Lab) -> list[Hint]:
        """Return the hints that were shown in this attempt, in order."""
        hints = self.scenario(lab.scenario, lab.seed).hints
        return [Hint(n + 1, len(hints), hint.text, hint.title) for n, hint in enumerate(hints[: self.hints_taken(lab)])]

    def hints_taken(self, lab: Lab) -> int:
        """Return how many hints were shown in this attempt."""
        return self._attempts().count(self._subject(lab), "hint")

    def next_hint(self, lab: Lab) -> Hint | None:
        """Return the next hint and note it in the attempt; None when all have been shown."""
        hints = self.scenario(lab.scenario, lab.seed).hints
        number = self._attempts().note_next(self._subject(lab), "hint", len(hints))
        if number is None:
            return None
        return Hint(number, len(hints), hints[number - 1].text, hints[number - 1].title)

    def attempted(self, lab: Lab) -> bool:
        """Say whether this attempt has been graded at least once."""
        return self._attempts().gradings(self._subject(lab)) > 0

    def solution(self, lab: Lab) -> str:
        """Return the solution as Markdown and note in the attempt that it was shown."""
        text = self.scenario(lab.scenario, lab.seed).solution_text
        self._attempts().note(self._subject(lab), "solution", "")
        return text

    # The record

    def history(self) -> list[AttemptRow]:
        """Return every attempt, oldest first."""
        return self._attempts().history()

    def last_report(self, lab: Lab) -> Report | None:
        """Return the newest grade of this attempt."""
        from .reports.stored import report_of

        kept = self._attempts().last_report(self._subject(lab))
        return None if kept is None else report_of(kept)

    # Behind it

    def _attempts(self) -> Attempts:
        if self._store is None:
            from .attempts import Attempts

            self._store = Attempts.open(self.home, now=self._now)
        return self._store

    @contextmanager
    def _recording(self, what: str) -> Iterator[None]:
        """Record what has been done already: a record that takes no more does not undo it, and is told."""
        try:
            yield
        except (LabError, OSError) as error:
            why = error.message if isinstance(error, LabError) else str(error)
            self.unrecorded.append(f"{what} was not recorded: {why}")

    def _subject(self, lab: Lab) -> Subject:
        from .attempts import Subject

        return Subject(lab.name, lab.driver, lab.scenario, lab.seed, lab.started)

    def _keep_files(self, lab: Lab) -> Path:
        node = self.node(lab)
        there = [folder for folder in _LEARNERS_FOLDERS if _is_there(node, f"/{folder}")]
        done = node.run(["tar", "-C", "/", "-czf", "-", "--ignore-failed-read", *there], timeout=60.0)
        if done.exit_code not in (0, 1) or not done.stdout:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise LabError(
                f"the files of {lab.name} could not be copied: tar ended with {done.exit_code}: {said}",
                f"cks-lab stop --lab {lab.name} removes the lab without a copy",
            )
        path = made(self.home.backups) / f"{lab.name}-{self._stamp()}.tar.gz"
        return write_whole(path, done.stdout)

    def _record(self, lab: Lab, report: Report, bundle: Path | None, notes: list[str]) -> Graded:
        attempt: int | None = None
        try:
            attempt = self._attempts().record(self._subject(lab), report.to_dict(), bundle)
        except LabError as error:
            notes.append(f"the grade was not recorded: {error.message}")
        return Graded(report, bundle, attempt, tuple(notes))

    def _stamp(self) -> str:
        return self._now().strftime("%Y%m%dT%H%M%S.%fZ")


def _is_there(node: NodeHandle, path: str) -> bool:
    try:
        node.files.stat(path)
    except Missing:
        return False
    return True
