"""Owns the objects of a fresh cluster."""

from __future__ import annotations

from collections.abc import Iterator

from .border import Json


def fresh_cluster() -> Iterator[Json]:
    """Yield the objects that every cluster starts with."""
    for name in ("default", "kube-node-lease", "kube-public", "kube-system"):
        yield {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}}
