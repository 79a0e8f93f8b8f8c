"""Owns the words of a forecast: what may become of the API server, and what must be known of the node for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from checkers.kube.audit_policy import Policy
from checkers.kube.pods.container_view import Place
from checkers.kube.pods.decode import Path
from checkers.kube.pods.folder import FolderEntry
from checkers.kube.server.flags import Flags
from checkers.kube.static_pod import Container

LEAST_MEMORY: Final = Decimal(200 << 20)
"""Bytes: kube-apiserver of 1.34 at rest needs about 250 MiB; with a limit below this it does not get so far."""


class Server(StrEnum):
    """What becomes of the API server."""

    RUNS = "runs"
    UNREACHABLE = "runs, not reachable at 127.0.0.1:6443"
    CRASHES = "exits again and again"
    EXITS = "exits"
    NOT_RUNNING = "not running"
    NOT_CREATED = "container not created"
    NO_POD = "no pod"


class Auditing(StrEnum):
    """Where events go: to the asked file on the node, somewhere else, or nowhere."""

    ON_THE_NODE = "on the node"
    ELSEWHERE = "elsewhere"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of the node beside its files; None is unknown and then taken as good.

    `images` are those that are there, `can_pull` says whether others can be fetched; `cpus` and `memory` (bytes) are
    what one more pod may ask for; `recursive_read_only` says whether the runtime supports it; `labels` are the node's;
    `port` is where the server is looked for on 127.0.0.1.
    """

    images: frozenset[str] | None = None
    can_pull: bool | None = None
    cpus: Decimal | None = None
    memory: Decimal | None = None
    recursive_read_only: bool | None = None
    labels: Mapping[str, str] | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What will happen, and why.

    `message` is what the kubelet, the runtime or the server says where it does not run; `path` is the field of the pod
    to blame. `notes` are what only luck decides. `auditing` is None where no server answers.
    """

    server: Server
    auditing: Auditing | None = None
    request_object: bool = False
    message: str | None = None
    path: Path | None = None
    entry: FolderEntry | None = None
    container: Container | None = None
    flags: Flags | None = None
    policy: Policy | None = None
    policy_place: Place | None = None
    log_place: Place | None = None
    notes: tuple[str, ...] = ()
