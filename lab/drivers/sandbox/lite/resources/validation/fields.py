"""Owns the checks of what many kinds share: names, labels, annotations, counts. The rules are checkers.kube's."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from checkers.kube.pods.names import (
    label_problems,
    label_value_problems,
    qualified_name_problems,
    subdomain_problems,
)

from ...border import Json
from ...status import FieldError, invalid_value, required
from .. import ResourceType

Check = Callable[[Json], list[FieldError]]
"""Says what is wrong with an object."""
UpdateCheck = Callable[[Json, Json], list[FieldError]]
"""Says what of a change from an old object (the second) to a new one is not allowed."""
_DNS_1035_WORDS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
IMMUTABLE = "field is immutable"

_RBAC = frozenset({"roles", "rolebindings", "clusterroles", "clusterrolebindings"})
_LABELLED = frozenset({"namespaces"})
_SERVICES = frozenset({"services"})


def validate_name(kind: ResourceType, meta: Json) -> list[FieldError]:
    """Return what is wrong with an object's name, labels and annotations."""
    name = meta.get("name", "")
    errors: list[FieldError] = []
    if not name:
        errors.append(required("metadata.name", "name or generateName is required"))
    else:
        errors += [invalid_value("metadata.name", name, text) for text in name_problems(kind, name)]
    return errors + check_labels(meta.get("labels"), "metadata.labels") + check_annotations(meta.get("annotations"))


def name_problems(kind: ResourceType, name: str) -> list[str]:
    """Return the words for what a name of this kind may not be."""
    if kind.name in _RBAC:
        if name in (".", ".."):
            return [f"may not be '{name}'"]
        return [f"may not contain '{letter}'" for letter in "/%" if letter in name]
    if kind.name in _LABELLED:
        return label_problems(name)
    if kind.name in _SERVICES:
        words = ["must be no more than 63 characters"] if len(name) > 63 else []
        return words if re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", name) else [*words, _DNS_1035_WORDS]
    return subdomain_problems(name)


def check_labels(labels: Json | None, path: str) -> list[FieldError]:
    """Return what is wrong with labels, or with a selector that has nothing but them."""
    errors: list[FieldError] = []
    for key in sorted(labels or {}):
        errors += [invalid_value(path, key, text) for text in qualified_name_problems(key)]
        value = (labels or {})[key]
        errors += [invalid_value(path, value, text) for text in label_value_problems(value)]
    return errors


def check_annotations(annotations: Json | None) -> list[FieldError]:
    """Return what is wrong with an object's annotations."""
    path = "metadata.annotations"
    errors: list[FieldError] = []
    for key in sorted(annotations or {}):
        errors += [invalid_value(path, key, text) for text in qualified_name_problems(key.lower())]
    if sum(len(k.encode()) + len(v.encode()) for k, v in (annotations or {}).items()) > 256 * 1024:
        errors.append(_too_long(path, 256 * 1024))
    return errors


def _too_long(path: str, limit: int) -> FieldError:
    return FieldError(path, "FieldValueTooLong", f"Too long: may not be more than {limit} bytes")


def check_count(value: Any, path: str) -> list[FieldError]:
    """Return what is wrong with a number that may not be negative."""
    if isinstance(value, int) and value < 0:
        return [invalid_value(path, value, "must be greater than or equal to 0")]
    return []
