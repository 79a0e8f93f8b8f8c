"""Owns the cells of what pods are placed by: priorities, runtimes, devices."""

from __future__ import annotations

from datetime import datetime

from ..border import Json
from .words import Cells, CellsOf, age, field_and_age


def _priority_class(obj: Json, now: datetime) -> Cells:
    return [
        obj.get("value", 0),
        bool(obj.get("globalDefault")),
        age(obj, now),
        obj.get("preemptionPolicy", ""),
    ]


def _only_age(obj: Json, now: datetime) -> Cells:
    return [age(obj, now)]


def _claim_state(obj: Json, now: datetime) -> Cells:
    status = obj.get("status", {})
    words = []
    if obj["metadata"].get("deletionTimestamp"):
        words.append("deleted")
    words.append("allocated" if status.get("allocation") else "pending")
    if status.get("reservedFor"):
        words.append("reserved")
    return [",".join(words), age(obj, now)]


def _resource_slice(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    pool = (spec.get("pool") or {}).get("name", "")
    return [spec.get("nodeName", ""), spec.get("driver", ""), pool, age(obj, now)]


CELLS: dict[str, CellsOf] = {
    "node.k8s.io/runtimeclasses": field_and_age("handler"),
    "resource.k8s.io/deviceclasses": _only_age,
    "resource.k8s.io/resourceclaims": _claim_state,
    "resource.k8s.io/resourceclaimtemplates": _only_age,
    "resource.k8s.io/resourceslices": _resource_slice,
    "scheduling.k8s.io/priorityclasses": _priority_class,
}
