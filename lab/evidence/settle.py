"""Waits until the node has taken an edit, so that a grade is of the edit and not of what ran before it.

What is waited for is said; nothing is waited for that cannot come: a manifest that the kubelet refuses, a server that
crashes over and over, an edit that is older than this kind of node needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from checkers.evidence import Missing, NotAFile, Unreadable
from checkers.kube.pod_folder import FolderEntry, folder_pods, read_folder
from checkers.kube.running import differs
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


def settle(node: Node, wants: Wants, *, patience: float, say: Callable[[str], None] = lambda text: None) -> Settled:
    """Wait until the API server of the manifest answers, or will not.

    `patience` is how long an edit takes on this node at most, in seconds, counted from the edit.
    """
    began = time.monotonic()
    while True:
        waited = time.monotonic() - began
        ended = _look(node, wants, waited)
        if not isinstance(ended, str):
            return Settled(ended.state, waited, ended.detail)
        if waited >= patience:
            return Settled("over", waited, ended)
        say(ended)
        time.sleep(_POLL)


def _look(node: Node, wants: Wants, waited: float) -> Settled | str:
    """Return how it stands, or what is waited for."""
    try:
        folder = folder_pods(read_folder(node.files, wants.manifests), "node", path=wants.manifests)
    except (Missing, NotAFile):
        return Settled("refused", waited, "no manifests folder")
    except Unreadable as error:
        raise LabError(f"cannot look at {error}", "cks-lab doctor") from error
    entries = folder.api_servers()
    if not entries:
        return Settled("refused", waited, "no manifest of the API server that the kubelet takes")
    seen = containers(node, newest_only=True)
    if seen is None:
        return Settled("over", waited, "crictl does not answer")
    return _compare(node, entries[-1], seen, waited)


def _compare(node: Node, entry: FolderEntry, seen: list[dict[str, Any]], waited: float) -> Settled | str:
    pod, container = entry.pod, entry.api_server
    assert pod is not None
    assert container is not None
    own = next((c for c in seen if c["name"] == container.name), None)
    if own is None:
        if waited > _NO_CONTAINER:
            return Settled("refused", waited, "the kubelet makes no container")
        return "the kubelet makes the API server's container"
    if differs(pod, container, own) is not None:
        if waited > _NO_CONTAINER and own["state"] != "running":
            return Settled("refused", waited, "the kubelet makes no container")
        return "the kubelet takes your edit"
    if own["state"] == "running":
        return Settled("running", waited) if _ready(node) else "the API server starts"
    if own["attempt"] >= 1:
        return Settled("crashing", waited, _last(own))
    return f"the API server ended and is started again: {_last(own)}"


def _ready(node: Node) -> bool:
    try:
        return node.api is not None and node.api.request("GET", "/readyz", timeout=1.0).status == 200
    except LabError:
        return False


def _last(container: Mapping[str, Any]) -> str:
    return next((line for line in reversed(container["last_lines"]) if line.strip()), "")
