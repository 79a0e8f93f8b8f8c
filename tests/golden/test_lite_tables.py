"""Tables of the lite API server against a real one's: the same columns, and the same cells for the same objects."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lab.drivers.sandbox.lite.border import Request
from lab.drivers.sandbox.lite.cells import cells_of
from lab.drivers.sandbox.lite.cells.words import duration
from lab.drivers.sandbox.lite.registry import Registry
from lab.drivers.sandbox.lite.resources import lookup, table
from lab.drivers.sandbox.lite.tables import columns, form_of

pytestmark = pytest.mark.shared

_KINDS = {
    "configmap": ("", "configmaps"),
    "deployment": ("apps", "deployments"),
    "namespace": ("", "namespaces"),
    "node": ("", "nodes"),
    "pod": ("", "pods"),
    "role": ("rbac.authorization.k8s.io", "roles"),
    "rolebinding": ("rbac.authorization.k8s.io", "rolebindings"),
    "secret": ("", "secrets"),
    "service": ("", "services"),
    "serviceaccount": ("", "serviceaccounts"),
}
_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def _shape(column: dict[str, Any]) -> tuple[Any, ...]:
    return column["name"], column["type"], column["format"], column["priority"]


def test_every_listable_resource_has_the_real_columns(shared: Path) -> None:
    recorded = json.loads((shared / "golden" / "tables" / "columns.json").read_text())
    listable = [kind for kind in table().values() if "list" in kind.verbs]
    assert {f"{k.api_version}/{k.name}" for k in listable} == set(recorded)
    for kind in listable:
        want = recorded[f"{kind.api_version}/{kind.name}"]
        want = want if isinstance(want, list) else want.get("columns") or want["columnDefinitions"]
        assert [_shape(c) for c in columns(kind)] == [_shape(c) for c in want], kind.name


@pytest.mark.parametrize("name", sorted(_KINDS))
def test_an_object_has_the_real_cells(shared: Path, name: str) -> None:
    group, resource = _KINDS[name]
    kind = lookup(group, "v1", resource)
    assert kind is not None
    recorded = json.loads((shared / "golden" / "tables" / f"{name}-object.json").read_text())
    row = recorded["rows"][0]
    age = next((int(cell[:-1]) for cell in row["cells"] if isinstance(cell, str) and cell[:-1].isdigit()), 0)
    now = datetime.fromisoformat(row["object"]["metadata"]["creationTimestamp"]) + timedelta(seconds=age)
    assert cells_of(kind, row["object"], now) == row["cells"]


@pytest.mark.parametrize("include", ["none", "metadata", "object"])
@pytest.mark.parametrize("name", sorted(_KINDS))
def test_a_table_of_one_object_is_the_real_one(shared: Path, name: str, include: str) -> None:
    group, resource = _KINDS[name]
    kind = lookup(group, "v1", resource)
    assert kind is not None
    folder = shared / "golden" / "tables"
    recorded = json.loads((folder / f"{name}-{include}.json").read_text())
    whole = json.loads((folder / f"{name}-object.json").read_text())["rows"][0]["object"]
    cells = recorded["rows"][0]["cells"]
    age = next((int(cell[:-1]) for cell in cells if isinstance(cell, str) and cell[:-1].isdigit()), 0)
    now = datetime.fromisoformat(whole["metadata"]["creationTimestamp"]) + timedelta(seconds=age)
    query = {"includeObject": [include.capitalize()]}
    request = Request("get", group, "v1", resource, query=query, accept=_TABLE)
    got = form_of(request, kind, now).single(whole)
    del recorded["columnDefinitions"], got["columnDefinitions"]
    assert got == recorded


def test_a_list_that_is_empty_says_so_as_the_real_one() -> None:
    registry = Registry()
    rows = {}
    for group, resource in (("", "pods"), ("", "limitranges")):
        outcome = registry.handle(Request("list", group, "v1", resource, accept=_TABLE))
        rows[resource] = outcome.object["rows"]
    assert rows == {"pods": [], "limitranges": None}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (183, "3m3s"),
        (600, "10m"),
        (10799, "179m"),
        (10800, "3h"),
        (15000, "4h10m"),
        (100000, "27h"),
        (200000, "2d7h"),
        (800000, "9d"),
        (70000000, "2y80d"),
        (-5, "<invalid>"),
    ],
)
def test_ages_are_written_as_kubectl_writes_them(seconds: int, text: str) -> None:
    assert duration(seconds) == text
