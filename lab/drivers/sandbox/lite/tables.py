"""Owns the forms an answer can have: plain, as a Table, as metadata only, after the Accept header."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from importlib import resources

from .border import Json, Request
from .cells import cells_of
from .convert import quantity
from .resources import ResourceType
from .status import failure

_CREATED_AT = "Created At"
_SERVED = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/cbor")


class Form:
    """How the objects of one request are shown; this one: as they are."""

    def __init__(self, kind: ResourceType) -> None:
        self.kind = kind

    def single(self, obj: Json) -> Json:
        """Return one object in this form."""
        return obj

    def page(self, items: list[Json], meta: Json) -> Json:
        """Return a page of objects in this form."""
        for item in items:
            item.pop("kind", None)
            item.pop("apiVersion", None)
        return {"kind": f"{self.kind.kind}List", "apiVersion": self.kind.api_version, "metadata": meta, "items": items}

    def watched(self, obj: Json) -> Json:
        """Return the object of a watch event in this form."""
        return obj

    def bookmark(self, shell: Json) -> Json:
        """Return the object of a bookmark in this form."""
        return shell


class MetadataForm(Form):
    """Objects with nothing but their metadata."""

    def single(self, obj: Json) -> Json:
        """Return one object's metadata."""
        return _partial(obj)

    def page(self, items: list[Json], meta: Json) -> Json:
        """Return a page of metadata."""
        rows = [{"metadata": item["metadata"]} for item in items]
        return {
            "kind": "PartialObjectMetadataList",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": meta,
            "items": rows,
        }

    def watched(self, obj: Json) -> Json:
        """Return one object's metadata."""
        return _partial(obj)

    def bookmark(self, shell: Json) -> Json:
        """Return a bookmark's metadata."""
        return _partial(shell)


class TableForm(Form):
    """Rows with cells, as kubectl prints them."""

    def __init__(self, kind: ResourceType, include: str, now: datetime) -> None:
        super().__init__(kind)
        self._include = include
        self._now = now
        self._columns = columns(kind)
        self._headed = False

    def single(self, obj: Json) -> Json:
        """Return a table of one row."""
        return self._table([obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")})

    def page(self, items: list[Json], meta: Json) -> Json:
        """Return a table of a page."""
        return self._table(items, meta)

    def watched(self, obj: Json) -> Json:
        """Return a table of one row; only the first one of a stream says what its columns are."""
        table = self.single(obj)
        if self._headed:
            table["columnDefinitions"] = None
        self._headed = True
        return table

    def bookmark(self, shell: Json) -> Json:
        """Return a table whose one row is the bookmark."""
        rows = [{"cells": [""] * len(self._columns), "object": _partial(shell)}]
        return self._shell(shell["metadata"], rows if self._include != "None" else [])

    def _table(self, items: list[Json], meta: Json) -> Json:
        rows = [self._row(item) for item in items]
        plain = self._columns[-1]["name"] == _CREATED_AT
        return self._shell(meta, rows if rows or not plain else None)

    def _shell(self, meta: Json, rows: list[Json] | None) -> Json:
        return {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": meta,
            "columnDefinitions": self._columns,
            "rows": rows,
        }

    def _row(self, obj: Json) -> Json:
        row: Json = {"cells": cells_of(self.kind, obj, self._now), "object": None}
        conditions = _row_conditions(self.kind, obj)
        if conditions:
            row = {"cells": row["cells"], "conditions": conditions, "object": None}
        if self._include == "Object":
            row["object"] = {"kind": self.kind.kind, "apiVersion": self.kind.api_version, **obj}
        elif self._include == "Metadata":
            row["object"] = _partial(obj)
        return row


def _partial(obj: Json) -> Json:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _row_conditions(kind: ResourceType, obj: Json) -> list[Json]:
    phase = obj.get("status", {}).get("phase")
    if kind.name == "pods" and phase in ("Succeeded", "Failed"):
        word = "completed successfully" if phase == "Succeeded" else "failed"
        return [{"type": "Completed", "status": "True", "reason": phase, "message": f"The pod has {word}."}]
    return []


@lru_cache(maxsize=1)
def _lines() -> dict[str, str]:
    text = resources.files(f"{__package__}.resources").joinpath("columns.txt").read_text()
    return dict(line.partition("=")[::2] for line in text.splitlines() if not line.startswith("#"))


def columns(kind: ResourceType) -> list[Json]:
    """Return the column definitions of a resource's Table."""
    line = _lines().get(f"{kind.api_version}/{kind.name}", f"Name:string/name:0|{_CREATED_AT}:date:0")
    found: list[Json] = []
    for part in line.split("|"):
        name, shape, priority = part.rsplit(":", 2)
        bare, _, form = shape.partition("/")
        found.append(
            {"name": name, "type": bare, "format": form, "description": _describe(name), "priority": int(priority)}
        )
    return found


def _describe(name: str) -> str:
    known = {"Name": "The object's name.", "Age": "How long ago the object was created."}
    return known.get(name, f"{name} of the object.")


def form_of(request: Request, kind: ResourceType, now: datetime) -> Form:
    """Return the first form of the Accept header that can be served. ApiError 406: there is none."""
    accept = request.accept or "*/*"
    for wanted in accept.split(","):
        bare, *parameters = re.sub(r"\s", "", wanted).split(";")
        options = dict(p.partition("=")[::2] for p in parameters)
        if bare not in ("application/json", "*/*", "application/*", "application/yaml"):
            continue
        shape = options.get("as")
        if shape is None:
            return Form(kind)
        if options.get("g") != "meta.k8s.io" or options.get("v") not in ("v1", "v1beta1"):
            continue
        if shape == "Table":
            include = request.param("includeObject", "Metadata")
            return TableForm(kind, include, now)
        if shape in ("PartialObjectMetadata", "PartialObjectMetadataList"):
            return MetadataForm(kind)
    raise failure(406, "NotAcceptable", f"only the following media types are accepted: {', '.join(_SERVED[:2])}")


__all__ = ["Form", "MetadataForm", "TableForm", "columns", "form_of", "quantity"]
