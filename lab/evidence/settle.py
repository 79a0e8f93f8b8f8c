"""Waits until the node has taken an edit, so that a grade is of the edit and not of what ran before it.

What is waited for is said; nothing is waited for that cannot come: a manifest that the kubelet refuses, a server that
crashes over and over, what has been as it is for longer than this kind of node needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from checkers.evidence import Missing, NodeFiles, NotAFile, Unreadable
from checkers.kube.goyaml.nodes import TooBig
from checkers.kube.pods.folder import FolderEntry, folder_pods, read_folder
from checkers.kube.server.running import differs
from checkers.wants import Wants

from ..errors import LabError
from .live import Node, containers


@dataclass(frozen=True, slots=True)
class Pace:
    """How quick a kind of node is, in seconds: between two looks, and without any container of a manifest until it is
    plain that none will come (the kubelet says why there is none). `usual`: how long an edit usually takes, in words.
    """

    pause: float
    no_container: float
    usual: str = ""


FAST = Pace(0.15, 3.0)
REAL = Pace(1.0, 60.0, ", usually 15 to 50 s")
"""A real kubelet gives the old container 30 seconds to end. Source: facts E, return time."""
_REAL_PATIENCE = 30.0
"""A node that needs so much patience is as slow as a real one."""
_NONE_MADE = "the kubelet makes no container"
_TIMEOUT = 10.0


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

    def now(self) -> float:
        """Return the node's own time of day, in seconds since the epoch."""
        ...


def settle(node: Node, wants: Wants, *, patience: float, say: Callable[[str], None] = lambda text: None) -> Settled:
    """Wait until the API server of the manifest answers, or will not.

    `patience` is how long an edit takes on this node at most, in seconds, counted from the edit.
    """
    pace = REAL if patience >= _REAL_PATIENCE else FAST
    return settle_looks(lambda: _NodeLook(node), wants, patience=patience, pace=pace, say=say)


def settle_looks(
    look: Callable[[], Look],
    wants: Wants,
    *,
    patience: float,
    pace: Pace,
    say: Callable[[str], None] = lambda text: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Settled:
    """Wait as `settle` does, with looks at that pace. `say` is told what is waited for, and for how long already."""
    began = clock()
    while True:
        seen = look()
        waited = clock() - began
        ended = _look(seen, wants, waited, pace.no_container, patience)
        if not isinstance(ended, str):
            return Settled(ended.state, waited, ended.detail)
        if waited >= patience:
            return Settled("over", waited, ended)
        say(f"{ended} ({waited:.0f} s{pace.usual})" if pace.usual else ended)
        sleep(pace.pause)


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

    def now(self) -> float:
        said = self._node.run(["date", "+%s"], timeout=_TIMEOUT).text
        # A node whose `date` says something else has to be waited for: nothing there is known to be old.
        return float(said) if said.strip().isdecimal() else 0.0


def _look(look: Look, wants: Wants, waited: float, no_container: float, patience: float) -> Settled | str:
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

    def still() -> float:
        return look.now() - _changed(look.files, wants, seen)

    stands = _compare(look, entries[-1], seen, still, no_container, patience)
    return stands if isinstance(stands, str) else Settled(stands[0], waited, stands[1])


def _compare(
    look: Look,
    entry: FolderEntry,
    seen: list[dict[str, Any]],
    still: Callable[[], float],
    no_container: float,
    patience: float,
) -> tuple[str, str] | str:
    """Return how it ended, with a detail, or what is waited for. `still`: seconds in which nothing has changed."""
    pod, container = entry.pod, entry.api_server
    assert pod is not None
    assert container is not None
    own = next((c for c in seen if c["name"] in (container.name, None)), None)
    if own is None:
        return ("refused", _NONE_MADE) if still() > no_container else "the kubelet makes the API server's container"
    if differs(pod, container, own) is not None:
        if own["state"] != "running" and still() > no_container:
            return "refused", _NONE_MADE
        # `cp -p` gives a new manifest an old time: while the old container runs, that nothing changes says nothing.
        return "the kubelet takes your edit"
    if own["state"] == "running":
        if look.ready():
            return "running", ""
        return ("over", "the API server does not answer") if still() > patience else "the API server starts"
    if own["attempt"] >= 1 or still() > no_container:
        return "crashing", _last(own)
    return f"the API server ended and is started again: {_last(own)}"


def _changed(files: NodeFiles, wants: Wants, seen: list[dict[str, Any]]) -> float:
    """Return when something last changed that the API server follows, in seconds since the epoch, by the node's clock.

    That is an edit of the manifests or of the policy, and a container's start or end.
    """
    paths = [wants.manifests, wants.policy_file]
    paths += [f"{wants.manifests}/{name}" for name in files.list(wants.manifests)]
    changes = [0.0]
    for path in paths:
        with suppress(Missing):
            changes.append(files.stat(path).mtime / 1e9)
    for container in seen:
        for moment in filter(None, (container["created"], container["started"], container["finished"])):
            with suppress(ValueError):
                changes.append(datetime.fromisoformat(moment).timestamp())
    return max(changes)


def _last(container: Mapping[str, Any]) -> str:
    return next((line for line in reversed(container["last_lines"]) if line.strip()), "")
