"""Reads what `minikube … -o json` prints: CloudEvents, one a line, as named steps of ours and as errors with advice.

minikube counts 19 steps, leaves some out, and may step back (5, then 4): its step is a detail of ours, and ours only go
on. Source: recordings of minikube v1.38.1; minikube pkg/minikube/out/register.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from ...errors import LabError
from ...procs import Completed

_TYPE = "io.k8s.sigs.minikube."

PHASES: Final = (
    "minikube begins",
    "node image",
    "node container",
    "Kubernetes",
    "control plane",
    "control plane answers",
)
"""What a person is shown of a start."""
_PHASE_OF: Final = {
    "Initial Minikube Setup": 0,
    "Selecting Driver": 0,
    "Downloading Artifacts": 1,
    "Starting Node": 1,
    "Pulling Base Image": 1,
    "Updating Driver": 2,
    "Running on Localhost": 2,
    "Local OS Release": 2,
    "Creating Container": 2,
    "Creating VM": 2,
    "Preparing Kubernetes": 3,
    "Generating certificates": 3,
    "Booting control plane": 4,
    "Configuring RBAC rules": 4,
    "Configuring CNI": 4,
    "Configuring Localhost Environment": 4,
    "Verifying Kubernetes": 5,
    "Enabling Addons": 5,
    "Done": 5,
}

_AS_ROOT = "root privileges"
_SHOWN = 600
_BOX = "╭"

_HINTS: Final = {
    "DRV_AS_ROOT": "run cks-lab as yourself and not as root; you have to be in the group docker for it: "
    "sudo usermod -aG docker $USER",
    "PROVIDER_DOCKER_NOT_RUNNING": "start Docker, then: docker ps",
    "PROVIDER_DOCKER_ERROR": "look whether Docker is well: docker info",
    "DRV_NOT_HEALTHY": "look whether Docker is well: docker info",
    "GUEST_PROVISION": "look whether Docker is well and has room: docker info; docker system df",
    "RSRC_INSUFFICIENT_CORES": "give Docker 2 processors or more",
    "RSRC_INSUFFICIENT_CONTAINER_MEMORY": "give Docker more memory: 2 GB at least",
    "RSRC_DOCKER_STORAGE": "make room: docker system prune",
    "RSRC_DOCKER_CORES": "give Docker 2 processors or more",
    "RSRC_INSUFFICIENT_STORAGE": "make room: docker system prune",
}
"""What to do next, where it is more than minikube's own advice. Source: minikube pkg/minikube/reason."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a start, stop or delete. `kind`: step, info, warning, error, download or download.progress.

    `name`: of a step its title, of a final error its reason (GUEST_START); `exit_code` is there on a final error only.
    """

    kind: str
    message: str
    name: str = ""
    advice: str = ""
    url: str = ""
    exit_code: int | None = None
    progress: float | None = None


def parse(line: str) -> Event | None:
    """Return a line's event; None for one that is none: `null`, text, another object."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    if not isinstance(said, dict) or not str(said.get("type", "")).startswith(_TYPE):
        return None
    held = said.get("data")
    data: dict[str, Any] = held if isinstance(held, dict) else {}
    code, done = str(data.get("exitcode", "")), str(data.get("progress", ""))
    return Event(
        kind=str(said["type"]).removeprefix(_TYPE),
        message=str(data.get("message", "")).strip(),
        name=str(data.get("name", "")),
        advice=str(data.get("advice", "")).strip(),
        url=str(data.get("url", "")),
        exit_code=int(code) if code.isdecimal() else None,
        progress=_number(done),
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


class Reader:
    """Follows one run of the CLI: which phase it is in, what it said of it, and what went wrong."""

    def __init__(self) -> None:
        self.phase = 0
        self.reached = ""
        """The name of minikube's own last step."""
        self._errors: list[Event] = []
        self.warnings: list[str] = []

    @classmethod
    def of(cls, done: Completed) -> Reader:
        """Read a run that has ended."""
        reader = cls()
        for line in done.text.splitlines():
            reader.read(line)
        return reader

    def read(self, line: str) -> str | None:
        """Take a line; return what there is to show of the phase (see `phase`), or None if nothing is new."""
        event = parse(line)
        if event is None:
            return None
        if event.kind == "step":
            self.reached = event.name
            self.phase = max(self.phase, _PHASE_OF.get(event.name, self.phase))
            # Its last words are of a kubectl that was told of the cluster: the person's own was not.
            return "" if event.name == "Done" else event.message.rstrip(" .")
        if event.kind == "download.progress" and event.progress is not None:
            self.phase = max(self.phase, 1)
            return f"downloading: {event.progress:.0%}"
        if event.kind == "error":
            self._errors.append(event)
        if event.kind == "warning":
            self.warnings.append(event.message)
        return None

    @property
    def failure(self) -> Event | None:
        """The error that minikube ended with; without a final one the last that says something of this run."""
        final = [event for event in self._errors if event.exit_code is not None]
        # As root it says each time that one should not be: that ends nothing.
        telling = [e for e in self._errors if _BOX not in e.message and _AS_ROOT not in e.message and " " in e.message]
        found = final or telling
        return found[-1] if found else None


def failed(what: str, reader: Reader, done: Completed, hint: str = "") -> LabError:
    """Return the error of a run that failed. `what`: the sentence's begin; `hint`: the next command, if no better one.

    Standard error tells where no event does.
    """
    event = reader.failure
    if event is None:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        said = f": {_cut(words[-1])}" if words else ""
        return LabError(f"{what}: minikube ended with {done.exit_code}{said}", hint)
    name = f" ({event.name})" if event.exit_code is not None else ""
    advice = _HINTS.get(event.name) or event.advice
    return LabError(f"{what}: {_cut(event.message)}{name}", "; ".join(filter(None, (advice, event.url, hint))))


def _cut(message: str) -> str:
    """Return a message of readable length: what failed stands first, why it did stands last."""
    line = " ".join(message.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN // 2]} … {line[-_SHOWN // 2 :]}"
