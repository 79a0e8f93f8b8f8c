"""Owns the checks of what many kinds share: names, labels, annotations, counts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ...border import Json
from ...status import FieldError, invalid_value, required
from .. import ResourceType

Check = Callable[[Json], list[FieldError]]
"""Says what is wrong with an object."""
UpdateCheck = Callable[[Json, Json], list[FieldError]]
"""Says what of a change from an old object (the second) to a new one is not allowed."""
_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    f"'{_LABEL}(\\.{_LABEL})*')"
)
DNS_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
DNS_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_NAME_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
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
        return dns_label(name)
    if kind.name in _SERVICES:
        return [] if re.fullmatch("[a-z]([-a-z0-9]*[a-z0-9])?", name) and len(name) <= 63 else [DNS_1035]
    return subdomain(name)


def subdomain(name: str) -> list[str]:
    """Return the words for what is wrong with a DNS subdomain."""
    words = ["must be no more than 253 characters"] if len(name) > 253 else []
    return words + ([] if re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", name) else [SUBDOMAIN])


def dns_label(name: str) -> list[str]:
    """Return the words for what is wrong with a DNS label."""
    words = ["must be no more than 63 characters"] if len(name) > 63 else []
    return words + ([] if re.fullmatch(_LABEL, name) else [DNS_LABEL])


def _key_problems(key: str) -> list[str]:
    prefix, slash, name = key.rpartition("/")
    words: list[str] = []
    if slash and not prefix:
        words.append("prefix part must be non-empty")
    elif slash:
        words += [f"prefix part {text}" for text in subdomain(prefix)]
    if "/" in prefix:
        return [
            "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
            "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. "
            "'example.com/MyName')"
        ]
    if not name:
        words.append("name part must be non-empty")
    elif len(name) > 63:
        words.append("name part must be no more than 63 characters")
    if not re.fullmatch("([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]", name):
        words.append(_NAME_PART)
    return words


def check_labels(labels: Json | None, path: str) -> list[FieldError]:
    """Return what is wrong with labels, or with a selector that has nothing but them."""
    errors: list[FieldError] = []
    for key in sorted(labels or {}):
        errors += [invalid_value(path, key, text) for text in _key_problems(key)]
        value = (labels or {})[key]
        if len(value) > 63:
            errors.append(invalid_value(path, value, "must be no more than 63 characters"))
        if not re.fullmatch("(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", value):
            errors.append(invalid_value(path, value, _LABEL_VALUE))
    return errors


def check_annotations(annotations: Json | None) -> list[FieldError]:
    """Return what is wrong with an object's annotations."""
    path = "metadata.annotations"
    errors: list[FieldError] = []
    for key in sorted(annotations or {}):
        errors += [invalid_value(path, key, text) for text in _key_problems(key.lower())]
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
