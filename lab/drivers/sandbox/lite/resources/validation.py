"""Owns validation: the common mistakes, in the API server's words."""

from __future__ import annotations

import re

from ..border import Json
from ..status import FieldError, invalid_value, required
from . import ResourceType

SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def validate_name(kind: ResourceType, meta: Json) -> list[FieldError]:
    """Return what is wrong with an object's name."""
    name = meta.get("name", "")
    if not name:
        return [required("metadata.name", "name or generateName is required")]
    if not _SUBDOMAIN.fullmatch(name):
        return [invalid_value("metadata.name", name, SUBDOMAIN)]
    return []


def validate_create(kind: ResourceType, obj: Json) -> list[FieldError]:
    """Return what is wrong with a new object."""
    return []


def validate_update(kind: ResourceType, obj: Json, old: Json, part: str) -> list[FieldError]:
    """Return what is wrong with a change."""
    return []
