"""Owns the forms an answer can have: plain, as a Table, as metadata only, after the Accept header."""

from __future__ import annotations

from datetime import datetime

from .border import Json, Request
from .resources import ResourceType


class Form:
    """How the objects of one request are shown; this one: as they are."""

    def __init__(self, kind: ResourceType) -> None:
        self.kind = kind

    def single(self, obj: Json) -> Json:
        """Return one object in this form."""
        return obj

    def list(self, items: list[Json], meta: Json) -> Json:
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


def form_of(request: Request, kind: ResourceType, now: datetime) -> Form:
    """Return the first form of the Accept header that can be served."""
    return Form(kind)
