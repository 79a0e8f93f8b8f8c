"""Captures a node of ours at one instant: what grading looks at, and nothing that it does not need."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from checkers.wants import Wants

from ..errors import LabError
from ..home import write_whole
from .collector.files import collect, rfc3339, utcnow
from .collector.host import NoAnswer, Unreadable
from .live import Node, NodeHost

__all__ = ["About", "capture", "rfc3339", "utcnow"]


@dataclass(frozen=True, slots=True)
class About:
    """What the capture is of: it goes into the facts and from there into the report. `node` "": as it names itself.

    `apiserver`: what the node was made with, for where the server itself does not answer.
    """

    scenario: str
    driver: str
    node: str
    variant: Mapping[str, object]
    apiserver: str | None = None

    def task(self, wants: Wants) -> dict[str, object]:
        """Return what the collector is told (see `collector.files.collect`)."""
        return {
            "scenario": self.scenario,
            "driver": self.driver,
            "node": self.node,
            "apiserver": self.apiserver,
            "variant": dict(self.variant),
            "policy_file": wants.policy_file,
            "log_file": wants.log_file,
            "manifests": wants.manifests,
        }


def capture(node: Node, about: About, wants: Wants, out: Path, *, now: Callable[[], datetime] = utcnow) -> None:
    """Capture a live node into a bundle: facts and probes first, then the files they left.

    Raises LabError where the node is gone or the bundle cannot be written; then no bundle is there.
    """
    content = io.BytesIO()
    try:
        collect(NodeHost(node), about.task(wants), content, now)
    except (Unreadable, NoAnswer) as error:
        raise LabError(f"cannot look at {error}", "grade again; if it stays: cks-lab doctor") from error
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"cannot make the folder {out.parent}: {error.strerror}", f"ls -ld {out.parent}") from error
    write_whole(out, content.getvalue())
