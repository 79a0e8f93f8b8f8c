"""Owns what workers tell the screens: one message a happening, named for what happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from pathlib import Path

    from checkers.grade import Report
    from checkers.result import Where

    from ..attempts import AttemptRow
    from ..catalog import Scenario
    from ..drivers.base import DriverInfo, Lab, NodeHandle, Step
    from ..session import Graded as Grade
    from ..session import Hint


@dataclass
class HomeLoaded(Message):
    """What the home screen shows. `choice` is the driver for a new lab and why; None with `refusal` set."""

    scenarios: list[Scenario]
    labs: list[Lab]
    history: list[AttemptRow]
    choice: tuple[str, str] | None
    refusal: tuple[str, str] | None
    probes: list[DriverInfo]
    unreachable: dict[str, str]


@dataclass
class Failed(Message):
    """Something could not be done: what, why, and what to do next."""

    what: str
    message: str
    hint: str


@dataclass
class StepTaken(Message):
    """A long job got to its next step."""

    step: Step


@dataclass
class LabReady(Message):
    """kubectl answers on the lab's node."""

    lab: Lab


@dataclass
class StartCancelled(Message):
    """The start was called off and what it had made is removed."""


@dataclass
class LabStopped(Message):
    """A lab is gone."""

    name: str


@dataclass
class Graded(Message):
    """A grade is there."""

    grade: Grade


@dataclass
class HintShown(Message):
    """The hints so far; `fresh` is the one that was just given, None when all had been given before."""

    fresh: Hint | None
    seen: list[Hint]


@dataclass
class SolutionShown(Message):
    """The solution, as Markdown."""

    markdown: str


@dataclass
class NodeReset(Message):
    """The node is in its first state again; the learner's files are kept at `copy`."""

    copy: Path


@dataclass
class PolicySaved(Message):
    """The policy on the node is another one than before: its bytes, or why there are none."""

    content: bytes | None
    problem: str


@dataclass
class LogGrew(Message):
    """New lines of the audit log. `fresh`: the file is another one than before, or was cut."""

    lines: list[bytes]
    fresh: bool


@dataclass
class LogAbsent(Message):
    """There is no log to show, and why."""

    reason: str


@dataclass
class ApiServerState(Message):
    """How the API server does: `state` is up, starting, crashing, absent, or gone (the node); `detail` says more."""

    state: str
    detail: str


@dataclass
class NodeOpened(Message):
    """The node can be looked at and worked on."""

    node: NodeHandle


@dataclass
class ReportFound(Message):
    """The newest grade of this attempt; None where it has not been graded."""

    report: Report | None


@dataclass
class PlaceRead(Message):
    """The file that a result speaks of, as text."""

    where: Where
    text: str
