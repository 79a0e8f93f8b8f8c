"""Owns the seam to nodes: what a driver, a lab and a node are. Nothing above the drivers asks which one it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Protocol

from checkers.evidence import NodeFiles

from ..overlay import Overlay
from ..procs import Completed


@dataclass(frozen=True, slots=True)
class DriverInfo:
    """Whether a driver can be used here, and if not: why, and the command or setting that changes it.

    `capabilities`: what of `NodeOptions` it can do: lite, image, kubernetes-version, config, adopt.
    """

    name: str
    available: bool
    reason: str
    hint: str = ""
    capabilities: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Step:
    """One named step of a start-up: `number` of `total`, and what it is about right now."""

    number: int
    total: int
    title: str
    detail: str = ""


Progress = Callable[[Step], None]


def silent(step: Step) -> None:
    """Take a step's news and say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """What a person may ask of a node; not every driver can do each: `needs` says what this takes.

    `apiserver`: auto, lite or real. `pace`: fast or real. `image` of the node, `kubernetes_version` ("1.34" or
    "v1.34.4"), `config`: a kind config file of the user's, `adopt`: the name of a cluster of the user's own, which is
    worked on and never destroyed.
    """

    apiserver: str = "auto"
    pace: str = "fast"
    retain: bool = False
    image: str | None = None
    kubernetes_version: str | None = None
    config: Path | None = None
    adopt: str | None = None

    @property
    def needs(self) -> frozenset[str]:
        """The capabilities (see `DriverInfo`) that a driver must have for it."""
        asked = {
            "lite": self.apiserver == "lite",
            "image": self.image is not None,
            "kubernetes-version": self.kubernetes_version is not None,
            "config": self.config is not None,
            "adopt": self.adopt is not None,
        }
        return frozenset(name for name, wanted in asked.items() if wanted)


DEFAULTS = NodeOptions()


@dataclass(frozen=True, slots=True)
class LabSpec(NodeOptions):
    """What is asked of `create`. `seed` None is the task exactly as printed."""

    name: str
    scenario: str
    seed: int | None = None
    start: Overlay = field(default_factory=Overlay)

    @classmethod
    def of(cls, name: str, scenario: str, seed: int | None, start: Overlay, options: NodeOptions) -> LabSpec:
        """Return the spec of a lab with these options."""
        return cls(name, scenario, seed, start, **{each.name: getattr(options, each.name) for each in fields(options)})


@dataclass(frozen=True, slots=True)
class Lab:
    """A lab that exists. `state`: starting, running, stopped (it can be started again) or broken (see `detail`).

    `adopted`: its cluster is the user's own: to stop the lab is to leave the cluster.
    """

    name: str
    driver: str
    scenario: str
    seed: int | None
    node: str
    apiserver: str | None
    state: str
    started: datetime | None
    detail: str = ""
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What the API server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ApiAccess(Protocol):
    """The node's API server, as its administrator."""

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 5.0,
    ) -> ApiResponse:
        """Send one request. Raises LabError if nothing answers."""
        ...


class NodeHandle(Protocol):
    """A node that can be looked at and worked on."""

    @property
    def name(self) -> str:
        """The node's name in Kubernetes."""
        ...

    @property
    def files(self) -> NodeFiles: ...

    @property
    def api(self) -> ApiAccess | None: ...

    @property
    def patience(self) -> float:
        """How long, in seconds, an edited manifest may take here until its API server answers."""
        ...

    def shell_argv(self, command: Sequence[str] = ()) -> list[str]:
        """Return the command that opens the node's root shell on this terminal, or runs `command` there in its place.

        What it runs has this process's standard streams and passes on its exit status.
        """
        ...

    def run(self, argv: Sequence[str], *, timeout: float, stdin: bytes | None = None) -> Completed:
        """Run a command on the node as root. Raises LabError if the node is gone or the time is over."""
        ...


class Driver(Protocol):
    """Makes, finds and removes nodes of one kind."""

    name: str

    def probe(self) -> DriverInfo:
        """Say whether this driver works here. Never raises, starts nothing, takes under a second."""
        ...

    def create(self, spec: LabSpec, progress: Progress = silent) -> Lab:
        """Make a node, lay the start files, and return when kubectl answers on it.

        What a failed start made is removed again unless `spec.retain`. A stopped lab of that name is started again
        with its files as they were. Raises LabError.
        """
        ...

    def find(self) -> list[Lab]:
        """Return the labs that this driver made and that are still there."""
        ...

    def node(self, lab: Lab) -> NodeHandle: ...

    def reset(self, lab: Lab, start: Overlay) -> None:
        """Put the node back to its first state with the start files, and wait for the API server."""
        ...

    def destroy(self, lab: Lab) -> None:
        """Remove the lab: no process, mount or file of it stays. A lab that is gone already is fine.

        An adopted cluster stays; its API server gets back the manifest that it had before.
        """
        ...
