"""Owns what a task asks for, as data: where the files have to be and what has to be recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from checkers.kube.policy_proof import Wish


@dataclass(frozen=True, slots=True)
class Wants:
    """What the task asks for.

    `wishes`: check id -> an ordered list; the first wish that selects a request speaks for it.
    `body_group`, `body_resource`, `body_verbs`: the requests whose body the log has to hold.
    """

    policy_file: str
    log_file: str
    wishes: Mapping[str, tuple[Wish, ...]]
    manifests: str = "/etc/kubernetes/manifests"
    body_group: str = ""
    body_resource: str = "configmaps"
    body_verbs: tuple[str, ...] = ("create", "update", "patch")
    variant: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scored:
    """A check of a task: its id, title, and the points it earns.

    `needs`: it earns them only once one of these passes too, so that an untouched node is worth nothing.
    """

    id: str
    title: str
    points: int
    needs: tuple[str, ...] = ()
    why: str = ""
