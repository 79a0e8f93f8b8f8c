"""The whole job, narrated: a node is started, graded, worked on wrongly and then rightly, and removed again.

Everything that it does on the node is what a person would do: files are edited, kubectl is run. Nothing of it enters
the person's own record.
"""

from __future__ import annotations

import difflib
import json
import secrets
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checkers.evidence import Missing
from checkers.result import Status

from .drivers.base import Lab, NodeHandle, Step
from .errors import LabError
from .home import Home
from .overlay import MANIFEST, Overlay, edit_manifest
from .session import Session

if TYPE_CHECKING:
    from checkers.grade import Line, Report

    from .catalog import Scenario

SCENARIO = "audit-log"
QUICKEST = "sandbox"
PUBLISHED = "published-answer"
_READY_SECONDS = 180.0
_POLL = 0.1
_DIFF_LINES = 60

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Timed:
    """One step of the demonstration and how long it took, in seconds."""

    title: str
    seconds: float


class Demonstration:
    """One run. `held` is False once a grade did not come out as it must."""

    def __init__(self, say: Say, *, on: str = "auto", clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._on = on
        self._clock = clock
        self.times: list[Timed] = []
        self.held = True

    def run(self) -> bool:
        """Do the whole job and say whether every grade came out as it must. Raises LabError."""
        with tempfile.TemporaryDirectory(prefix="cks-lab-demo-") as folder:
            session = Session(Home(Path(folder), Path(folder) / "cache"))
            scenario = session.scenario(SCENARIO)
            self._say(f"The task, as the exam would put it:\n\n{_indented(scenario.task)}")
            with self._lab(session) as lab:
                self._work(session, scenario, lab)
        self._say("\nHow long each step took:")
        for timed in self.times:
            self._say(f"  {timed.seconds:7.2f} s  {timed.title}")
        self._say(f"  {sum(timed.seconds for timed in self.times):7.2f} s  in all")
        self._say("\nEvery grade came out as it must." if self.held else "\nA grade did not come out as it must.")
        return self.held

    @contextmanager
    def _lab(self, session: Session) -> Iterator[Lab]:
        """Start a lab under a name of its own, and remove it whatever happens."""
        name = f"demo-{secrets.token_hex(3)}"
        with self._step("Start a node"):
            driver, why = self._choose(session)
            self._say(f"  {driver}: {why}")
            lab = session.start(SCENARIO, on=driver, name=name, progress=self._progress)
            self._say(f"  the lab {lab.name}: node {lab.node}, kube-apiserver {lab.apiserver or 'not known'}")
        try:
            yield lab
        finally:
            with _not_interrupted(), self._step("Remove the node"):
                session.stop(lab)
                left = [found.name for found in session.labs() if found.name == lab.name]
                self._say("  it is gone" if not left else f"  it is still there: cks-lab stop --lab {lab.name}")
                self.held = self.held and not left

    def _choose(self, session: Session) -> tuple[str, str]:
        """Return the driver and why: of those that nobody asked for, the one that needs no minutes for an edit."""
        if self._on == "auto" and session.probe(QUICKEST).available:
            return QUICKEST, "the quickest kind of node"
        return session.choose(self._on)

    def _work(self, session: Session, scenario: Scenario, lab: Lab) -> None:
        node = session.node(lab)
        with self._step("Ask the node's own kubectl"):
            self._command(node, ["kubectl", "get", "nodes"])
        before = node.files.read(MANIFEST).decode()

        with self._step("Grade the untouched node"):
            report = self._grade(session, lab)
            self._must(report.percent == 0, f"{report.percent} %, and doing nothing is worth 0 %")
            self._must_fail(report, scenario.start_fails)

        mistake = next(mistake for mistake in scenario.mistakes if mistake.name == PUBLISHED)
        with self._step(f"Apply a wrong answer. {mistake.title}"):
            self._apply(node, before, mistake.overlay)
        with self._step("Grade the wrong answer, once the kubelet has settled"):
            report = self._grade(session, lab)
            self._must_fail(report, mistake.fails)
        with self._step("Look at the proof that the configmaps rule never fires"):
            self._proof(report)

        with self._step("Apply the right answer"):
            self._apply(node, before, scenario.solution)
        with self._step("Wait for the API server"):
            self._wait(node, scenario.wants.log_file)
        with self._step("Create a configmap with kubectl"):
            self._command(node, ["kubectl", "create", "configmap", "demo", "--from-literal=colour=green"])
            self._event(node, scenario.wants.log_file)
        with self._step("Grade the right answer"):
            report = self._grade(session, lab)
            self._must(report.percent == 100, f"{report.percent} %, and the right answer is worth 100 %")
            self._must_fail(report, ())

    @contextmanager
    def _step(self, title: str) -> Iterator[None]:
        self._say(f"\n{title}")
        began = self._clock()
        yield
        self.times.append(Timed(title.partition(".")[0], self._clock() - began))
        self._say(f"  ({self.times[-1].seconds:.2f} s)")

    def _progress(self, step: Step) -> None:
        if not step.detail:
            self._say(f"  [{step.number}/{step.total}] {step.title}")

    def _command(self, node: NodeHandle, argv: list[str]) -> bytes:
        """Run a command on the node and show it with what it said."""
        self._say(f"  # {' '.join(argv)}")
        done = node.run(argv, timeout=30)
        said = (done.stdout + done.stderr).decode("utf-8", "replace").rstrip()
        self._say(_indented(said))
        self._must(done.exit_code == 0, f"exit status {done.exit_code}, and it must be 0")
        return done.stdout

    def _apply(self, node: NodeHandle, manifest: str, answer: Overlay) -> None:
        """Edit the files that the answer changes, the manifest last, and show the changes."""
        for edits in answer.edits:
            manifest = edit_manifest(manifest, edits)
        files = {path: content.decode() for path, content in answer.files.items()} | {MANIFEST: manifest}
        for path, wanted in files.items():
            try:
                there = node.files.read(path).decode()
            except Missing:
                there = ""
            if wanted == there:
                continue
            done = node.run(["tee", path], timeout=10, stdin=wanted.encode())
            self._must(done.exit_code == 0, f"{path} could not be written: {done.stderr.decode('utf-8', 'replace')}")
            self._say(f"  {path}")
            changes = list(difflib.unified_diff(there.splitlines(), wanted.splitlines(), n=0, lineterm=""))
            for line in changes[2 : 2 + _DIFF_LINES]:
                if not line.startswith("@@"):
                    self._say(f"    {line}")

    def _grade(self, session: Session, lab: Lab) -> Report:
        graded = session.grade(lab)
        report = graded.report
        self._say(f"  {report.verdict.upper()}: {report.points} of {report.possible} points, {report.percent} %")
        for line in report.lines:
            if line.result.status in (Status.FAIL, Status.ERROR):
                self._say(f"  ✗ {line.id}: {line.result.found}")
        return report

    def _proof(self, report: Report) -> None:
        line = _line(report, "policy.configmaps-body")
        result = line.result
        self._must(result.status is Status.FAIL, "the proof is there: policy.configmaps-body failed")
        if result.where:
            self._say(f"  {result.where.file}:{result.where.line}")
        self._say(f"  expected: {result.expected}\n  found: {result.found}\n  fix: {result.fix}")

    def _wait(self, node: NodeHandle, log: str) -> None:
        """Wait until an API server that writes the log answers kubectl, as a person would."""
        began = self._clock()
        while self._clock() - began < _READY_SECONDS:
            answered = node.run(["kubectl", "get", "--raw", "/readyz"], timeout=10)
            if answered.stdout == b"ok" and _is_there(node, log):
                self._say(f"  it answers, and {log} is there")
                return
            time.sleep(_POLL)
        raise LabError(
            f"no API server that writes {log} answered within {_READY_SECONDS:g} s", "cks-lab demo, once more"
        )

    def _event(self, node: NodeHandle, log: str) -> None:
        """Show the line that the create left in the log."""
        for raw in reversed(node.files.read(log, 64 << 20).splitlines()):
            event: dict[str, Any] = json.loads(raw)
            about = event.get("objectRef") or {}
            if about.get("resource") == "configmaps" and about.get("name") == "demo" and event.get("verb") == "create":
                body = json.dumps((event.get("requestObject") or {}).get("data"))
                self._say(f"  {log}: level {event['level']}, create configmaps/demo, the body's data: {body}")
                self._must("requestObject" in event, "the event holds the request's body")
                return
        self._must(False, f"{log} holds the event of the create")

    def _must_fail(self, report: Report, ids: tuple[str, ...]) -> None:
        failed = {line.id for line in report.lines if line.result.status is Status.FAIL}
        erred = {line.id for line in report.lines if line.result.status is Status.ERROR}
        self._must(failed == set(ids), f"failed: {_listed(failed)}; what must fail: {_listed(set(ids))}")
        self._must(not erred, f"could not be judged: {_listed(erred)}")

    def _must(self, holds: bool, text: str) -> None:
        if not holds:
            self._say(f"  NOT AS IT MUST BE: {text}")
            self.held = False


@contextmanager
def _not_interrupted() -> Iterator[None]:
    """Let no second Ctrl-C leave half a lab behind."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _line(report: Report, check_id: str) -> Line:
    return next(line for line in report.lines if line.id == check_id)


def _is_there(node: NodeHandle, path: str) -> bool:
    try:
        node.files.stat(path)
    except Missing:
        return False
    return True


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.rstrip().splitlines())


def _listed(ids: set[str]) -> str:
    return ", ".join(sorted(ids)) or "none"
