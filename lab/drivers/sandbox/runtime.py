"""Owns the border between the kubelet and what runs containers: what a container is asked to be, and what became of it.

It stands where the CRI stands on a real node. The words of every error are containerd's and runc's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

State = Literal["created", "running", "exited"]

START_ERROR = 128
"""The exit code containerd gives to a container whose process could not be started."""


class ContainerError(Exception):
    """A container could not be made or started; the text is what containerd says, without `rpc error: …`."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One bind mount: `host` is a path on the node (it exists), `container` the path inside; links are followed."""

    host: str
    container: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What the kubelet asks for.

    `argv` is command and args with `$(VAR)` expanded; `mounts` are in the order of the pod (the runtime sorts them, so
    that a child lies on top of its parent). `log_path` is the absolute path of `<attempt>.log` on the node; its
    directory exists. `working_dir` "" is the image's, which is `/`. `run_as_user` is a user's number,
    `memory_limit` in bytes; 0 is no limit.
    """

    pod_uid: str
    pod_name: str
    namespace: str
    name: str
    attempt: int
    image: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    log_path: str = ""
    working_dir: str = ""
    host_network: bool = True
    sandbox_id: str = ""
    read_only_root: bool = False
    run_as_user: int = 0
    memory_limit: int = 0


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """What a container is right now.

    Times are seconds since the epoch, None if not yet. `pid` is the one in the node. `exit_code` is 128 + n after
    signal n; `reason` and `message` are set where the runtime knows more (StartError).
    """

    id: str
    spec: ContainerSpec
    state: State
    pid: int | None
    created: float
    started: float | None = None
    finished: float | None = None
    exit_code: int | None = None
    reason: str = ""
    message: str = ""


class Runtime(Protocol):
    """Makes, starts and ends containers. Nothing here waits: ends are seen in `list` after init reaped a child."""

    def create(self, spec: ContainerSpec) -> str:
        """Make a container and return its id, 64 hex digits. Raises ContainerError."""
        ...

    def start(self, container_id: str) -> None:
        """Start its process. Raises ContainerError; the container is then "exited" with START_ERROR."""
        ...

    def stop(self, container_id: str, grace: float) -> None:
        """Send SIGTERM now and SIGKILL after `grace` seconds; 0 is SIGKILL now. One that has ended is fine."""
        ...

    def remove(self, container_id: str) -> None:
        """Forget a container and kill what is left of it. Its log file stays. One that is gone is fine."""
        ...

    def list(self) -> list[ContainerStatus]:
        """Return all containers, the newest first."""
        ...
