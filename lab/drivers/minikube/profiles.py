"""Reads `minikube profile list -o json` and `minikube version -o json`.

What they say of a cluster's state misleads (an API server that is down reads `Stopped` though the node runs, a removed
container reads ""), so only that a profile is there, and how it was made, is taken from them. Docker knows its state.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Profile:
    """A cluster of minikube. `driver`: docker, podman, kvm2, …; `version` of Kubernetes: v1.34.4."""

    name: str
    driver: str
    version: str
    runtime: str
    nodes: int
    port: int
    valid: bool = True


def profiles(text: str) -> list[Profile]:
    """Return the profiles of `profile list -o json`, broken ones too. Raises ValueError where the text is no such list.

    `null` and missing lists are empty ones.
    """
    said = json.loads(text)
    if said is None:
        return []
    if not isinstance(said, dict) or not said.keys() & {"valid", "invalid"}:
        raise ValueError("no list of profiles")
    return [_profile(entry, kind == "valid") for kind in ("valid", "invalid") for entry in said.get(kind) or []]


def _profile(entry: dict[str, Any], valid: bool) -> Profile:
    config = entry.get("Config") or {}
    kubernetes = config.get("KubernetesConfig") or {}
    nodes = config.get("Nodes") or []
    return Profile(
        name=str(entry.get("Name", "")),
        driver=str(config.get("Driver", "")),
        version=str(kubernetes.get("KubernetesVersion", "")),
        runtime=str(kubernetes.get("ContainerRuntime", "")),
        nodes=len(nodes),
        port=int((nodes[0] if nodes else {}).get("Port") or config.get("APIServerPort") or 8443),
        valid=valid,
    )


def version(text: str) -> tuple[int, ...] | None:
    """Return the version in `minikube version -o json`, (1, 38, 1); None where it has none."""
    try:
        said = json.loads(text)
    except ValueError:
        return None
    found = re.match(r"v(\d+)\.(\d+)\.(\d+)", str(said.get("minikubeVersion", "")) if isinstance(said, dict) else "")
    return tuple(int(part) for part in found.groups()) if found else None
