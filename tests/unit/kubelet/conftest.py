"""Nodes without processes for the kubelet's tests, and what a real kubelet was seen to do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kubelet_node import MANIFEST, WITH_LOG, FakeNode, Life


@pytest.fixture
def node(tmp_path: Path) -> Iterator[FakeNode]:
    made = FakeNode(tmp_path / "node", "fast")
    yield made
    made.kubelet.stop()


@pytest.fixture
def real_node(tmp_path: Path) -> Iterator[FakeNode]:
    made = FakeNode(tmp_path / "node", "real")
    yield made
    made.kubelet.stop()


@pytest.fixture
def make_node(tmp_path: Path) -> Iterator[Callable[..., FakeNode]]:
    made: list[FakeNode] = []

    def make(pace: str = "real", cpus: int = 2) -> FakeNode:
        made.append(FakeNode(tmp_path / f"node{len(made)}", pace, cpus))
        return made[-1]

    yield make
    for item in made:
        item.kubelet.stop()


@pytest.fixture(scope="session")
def manifest() -> str:
    return MANIFEST


@pytest.fixture(scope="session")
def manifest_with_log() -> Callable[[str], str]:
    """A manifest that mounts /var/log/audit with a hostPath of the given type ("" for none)."""
    return lambda kind: WITH_LOG.replace("      type: TYPE\n", f"      type: {kind}\n" if kind else "")


@pytest.fixture(scope="session")
def life() -> type[Life]:
    return Life


@pytest.fixture(scope="session")
def recorded(shared: Path) -> dict[str, Any]:
    """What a real kubelet did with each manifest, by id."""
    lines = (shared / "golden/static-pods/truth.jsonl").read_text().splitlines()
    rows = {row["id"]: row for row in map(json.loads, lines)}
    for row in rows.values():
        logged = row["observed"]["kubelet_log"]
        row["observed"]["kubelet_log"] = [re.sub(r" \(x\d+\)$", "", line) for line in logged]
    return rows
