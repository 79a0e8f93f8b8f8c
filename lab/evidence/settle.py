"""Waits until the node has taken an edit, so that a grade is of the edit and not of what ran before it.

What is waited for is said; nothing is waited for that cannot come: a manifest that the kubelet refuses, a server that
crashes over and over, an edit that is older than this kind of node needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from checkers.evidence import Missing, NodeFiles, NotAFile, Unreadable
from checkers.kube.goyaml.nodes import TooBig
from checkers.kube.pods.folder import FolderEntry, folder_pods, read_folder
from checkers.kube.server.running import differs
from checkers.wants import Wants

from ..errors import LabError
from .live import Node, containers

_POLL = 0.15
_NO_CONTAINER = 3.0
"""Seconds without any container of a manifest after which one is not waited for: the kubelet says why there is none."""


@dataclass(frozen=True, slots=True)
class Settled:
    """How the wait ended: `running`, `crashing`, `refused` or `over` (the time), after `seconds`."""

    state: str
    seconds: float
    detail: str = ""


class Look(Protocol):
    """What is seen of a node at one moment, or from it on."""

    @property
    def files(self) -> NodeFiles: ...

    def containers(self) -> list[dict[str, Any]] | None:
        """Return the API server's containers, the newest at least, newest first; None where crictl does not answer."""
        ...

    def ready(self) -> bool:
        """Say whether the API server answers."""
        ...


def settle(node: Node, wants: Wants, *, patience: float, say: Callable[[str], None] = lambda text: None) -> Settled:
    """Wait until the API server of the manifest answers, or will not.

    `patience` is how long an edit takes on this node at most, in seconds, counted from the edit.
    """
    return settle_looks(lambda: _NodeLook(node), wants, patience=patience, say=say)


def settle_looks(
    look: Callable[[], Look],
    wants: Wants,
    *,
    patience: float,
    say: Callable[[str], None] = lambda text: None,
    pause: float = _POLL,
    no_container: float = _NO_CONTAINER,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Settled:
    """Wait as `settle` does, with looks that are `pause` seconds apart.

    `no_container`: how long there may be no container of the manifest until it is plain that none will come.
    """
    began = clock()
    while True:
        seen = look()
        waited = clock() - began
        ended = _look(seen, wants, waited, no_container)
        if not isinstance(ended, str):
            return Settled(ended.state, waited, ended.detail)
        if waited >= patience:
            return Settled("over", waited, ended)
        say(ended)
        sleep(pause)


class _NodeLook:
    """A node of ours, asked when it matters."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.files = node.files

    def containers(self) -> list[dict[str, Any]] | None:
        return containers(self._node, newest_only=True)

    def ready(self) -> bool:
        try:
            return self._node.api is not None and self._node.api.request("GET", "/readyz", timeout=1.0).status == 200
        except LabError:
            return False


def _look(look: Look, wants: Wants, waited: float, no_container: float) -> Settled | str:
    """Return how it stands, or what is waited for."""
    try:
        folder = folder_pods(read_folder(look.files, wants.manifests), "node", path=wants.manifests)
    except (Missing, NotAFile):
        return Settled("refused", waited, "no manifests folder")
    except Unreadable as error:
        raise LabError(f"cannot look at {error}", "cks-lab doctor") from error
    except TooBig as error:
        raise LabError(f"a file in {wants.manifests} is {error}", f"ls -l {wants.manifests}") from error
    entries = folder.api_servers()
    if not entries:
        return Settled("refused", waited, "no manifest of the API server that the kubelet takes")
    seen = look.containers()
    if seen is None:
        return Settled("over", waited, "crictl does not answer")
    return _compare(look, entries[-1], seen, waited, no_container)


def _compare(
    look: Look, entry: FolderEntry, seen: list[dict[str, Any]], waited: float, no_container: float
) -> Settled | str:
    pod, container = entry.pod, entry.api_server
    assert pod is not None
    assert container is not None
    own = next((c for c in seen if c["name"] in (container.name, None)), None)
    if own is None:
        if waited > no_container:
            return Settled("refused", waited, "the kubelet makes no container")
        return "the kubelet makes the API server's container"
    if differs(pod, container, own) is not None:
        if waited > no_container and own["state"] != "running":
            return Settled("refused", waited, "the kubelet makes no container")
        return "the kubelet takes your edit"
    if own["state"] == "running":
        return Settled("running", waited) if look.ready() else "the API server starts"
    if own["attempt"] >= 1:
        return Settled("crashing", waited, _last(own))
    return f"the API server ended and is started again: {_last(own)}"


def _last(container: Mapping[str, Any]) -> str:
    return next((line for line in reversed(container["last_lines"]) if line.strip()), "")
