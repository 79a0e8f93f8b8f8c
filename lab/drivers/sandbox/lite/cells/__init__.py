"""Owns what stands in the cells of Tables: one function a resource (Source: kubectl's output in the recordings).

Each module has a table `CELLS` of its resources, by the kind of key they are kept under; `words` is what they share.
"""

from __future__ import annotations

from datetime import datetime

from ..border import Json
from ..resources import ResourceType
from . import access, core, networking, pods, scheduling, storage, workloads
from .words import Cells, CellsOf

_CELLS: dict[str, CellsOf] = {
    **access.CELLS,
    **core.CELLS,
    **networking.CELLS,
    **pods.CELLS,
    **scheduling.CELLS,
    **storage.CELLS,
    **workloads.CELLS,
}


def cells_of(kind: ResourceType, obj: Json, now: datetime) -> Cells:
    """Return the cells of an object's row, the name first."""
    name = obj["metadata"].get("name", "")
    function = _CELLS.get(kind.stored_as)
    if function is None:
        return [name, obj["metadata"].get("creationTimestamp") or "<unknown>"]
    return [name, *function(obj, now)] if kind.stored_as != "/events" else function(obj, now)
