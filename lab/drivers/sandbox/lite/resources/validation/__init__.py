"""Owns validation of objects: the mistakes people make, in the API server's words (Source: Kubernetes 1.34).

Each module has tables of its kinds by (group, plural): `CHECKS` for an object, `UPDATES` for what a change may not do.
"""

from __future__ import annotations

from ...border import Json
from ...status import FieldError
from .. import ResourceType
from . import core, networking, pods, rbac, storage, workloads
from .fields import Check, UpdateCheck, check_annotations, check_labels, validate_name

__all__ = ["validate_create", "validate_name", "validate_update"]

_CHECKS: dict[tuple[str, str], Check] = {
    **core.CHECKS,
    **networking.CHECKS,
    **pods.CHECKS,
    **rbac.CHECKS,
    **storage.CHECKS,
    **workloads.CHECKS,
}
_UPDATES: dict[tuple[str, str], UpdateCheck] = {
    **core.UPDATES,
    **networking.UPDATES,
    **pods.UPDATES,
    **rbac.UPDATES,
    **storage.UPDATES,
    **workloads.UPDATES,
}


def validate_create(kind: ResourceType, obj: Json) -> list[FieldError]:
    """Return what is wrong with a new object, apart from its metadata."""
    check = _CHECKS.get((kind.group, kind.name))
    return check(obj) if check else []


def validate_update(kind: ResourceType, obj: Json, old: Json, part: str) -> list[FieldError]:
    """Return what is wrong with a change, the metadata included."""
    meta = obj["metadata"]
    errors = check_labels(meta.get("labels"), "metadata.labels") + check_annotations(meta.get("annotations"))
    if part:
        return errors
    check = _UPDATES.get((kind.group, kind.name))
    return errors + (check(obj, old) if check else []) + validate_create(kind, obj)
