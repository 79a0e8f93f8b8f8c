"""Owns label and field selectors, as list, watch and deletecollection take them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .border import Json
from .resources import ResourceType
from .status import bad_request, quoted

Match = Callable[[Json], bool]

_TOKEN = re.compile(r"\s*(!=|==|=|!|,|\(|\)|<|>|[^\s,()=!<>]+)")

_COMMON = ("metadata.name", "metadata.namespace")
_FIELDS: dict[str, tuple[str, ...]] = {
    "/pods": (
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.nominatedNodeName",
    ),
    "/events": (
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
        "reportingComponent", "source", "type",
    ),
    "/namespaces": ("status.phase", "name"),
    "/nodes": ("spec.unschedulable",),
    "/secrets": ("type",),
    "/services": ("spec.clusterIP", "spec.type"),
    "/replicationcontrollers": ("status.replicas",),
    "apps/replicasets": ("status.replicas",),
    "batch/jobs": ("status.successful",),
    "resource.k8s.io/resourceslices": ("spec.nodeName", "spec.driver"),
    "certificates.k8s.io/certificatesigningrequests": ("spec.signerName",),
}  # fmt: skip


def label_selector(text: str) -> Match | None:
    """Return what a label selector accepts; None for an empty one. ApiError 400: it cannot be parsed."""
    if not text.strip():
        return None
    parts = _requirements(text)

    def match(obj: Json) -> bool:
        labels = obj.get("metadata", {}).get("labels") or {}
        return all(part(labels) for part in parts)

    return match


def field_selector(text: str, kind: ResourceType) -> tuple[Match | None, str]:
    """Return what a field selector accepts, and the name it asks for where it asks for one ("" else)."""
    if not text:
        return None, ""
    known = (*_COMMON, *_FIELDS.get(kind.stored_as, ()))
    terms: list[tuple[str, bool, str]] = []
    name = ""
    for term in re.split(r"(?<!\\),", text):
        parsed = re.match(r"^([^=!]*)(!=|==|=)(.*)$", term)
        if not term:
            continue
        if not parsed:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{term}'")
        field, operator, value = parsed.groups()
        if field not in known:
            if kind.stored_as in _FIELDS:
                raise bad_request(f"field label not supported: {field}")
            only = ", ".join(quoted(name) for name in _COMMON)
            raise bad_request(f"{quoted(field)} is not a known field selector: only {only}")
        value = re.sub(r"\\([\\,=])", r"\1", value)
        if field == "metadata.name" and operator != "!=":
            name = value
        terms.append((field, operator != "!=", value))

    def match(obj: Json) -> bool:
        return all((_field(obj, field) == value) is equal for field, equal, value in terms)

    return match, name


def _field(obj: Json, path: str) -> str:
    if path == "name":
        path = "metadata.name"
    if path == "source":
        path = "source.component"
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return {"spec.unschedulable": "false", "spec.hostNetwork": "false", "status.replicas": "0"}.get(path, "")
    return str(value)


class _Requirement:
    """One term of a label selector: `want` says how the value, None when absent, is looked at."""

    def __init__(self, key: str, want: Callable[[str | None], bool]) -> None:
        self._key = key
        self._want = want

    def __call__(self, labels: Json) -> bool:
        return self._want(labels.get(self._key))


def _requirements(text: str) -> list[_Requirement]:
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != re.sub(r"\s", "", text):
        raise _unparsable(text, "!, identifier, or 'end of string'")
    found: list[_Requirement] = []
    at = 0

    def take() -> str:
        nonlocal at
        token = tokens[at] if at < len(tokens) else ""
        at += 1
        return token

    while at < len(tokens):
        key = take()
        if key == "!":
            found.append(_Requirement(_identifier(take()), lambda value: value is None))
        else:
            key = _identifier(key)
            operator = take()
            if operator in ("", ","):
                at -= 1
                found.append(_Requirement(key, lambda value: value is not None))
            elif operator in ("=", "==", "!="):
                found.append(_Requirement(key, _equal(_word(take, tokens, at), wanted=operator != "!=")))
            elif operator in ("in", "notin"):
                found.append(_Requirement(key, _among(_values(take), wanted=operator == "in")))
            elif operator in ("<", ">"):
                found.append(_Requirement(key, _compared(operator, _identifier(take()))))
            else:
                raise _unparsable(operator, "in, notin, =, ==, !=, gt, lt")
        if at < len(tokens):
            if take() != ",":
                raise _unparsable(tokens[at - 1], "',' or 'end of string'")
            if at == len(tokens):
                raise _unparsable("", "identifier after ','")
    return found


def _identifier(token: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][-A-Za-z0-9_./]*", token):
        raise _unparsable(token, "!, identifier, or 'end of string'")
    return token


def _values(take: Callable[[], str]) -> frozenset[str]:
    """Take the values of a set, with its brackets."""
    opening = take()
    if opening != "(":
        raise bad_request(f"unable to parse requirement: found '{opening}' expected: '('")
    values = set()
    while (token := take()) != ")":
        if token == "" or token in "(=!<>":
            raise _unparsable(token, "',', or ')'")
        if token != ",":
            values.add(token)
    return frozenset(values)


def _word(take: Callable[[], str], tokens: list[str], at: int) -> str:
    """Take a value, which may be empty (`a=`)."""
    if at == len(tokens) or tokens[at] == ",":
        return ""
    value = take()
    if not value[0].isalnum():
        raise _unparsable(value, "identifier")
    return value


def _equal(value: str, *, wanted: bool) -> Callable[[str | None], bool]:
    return lambda given: (given == value) is wanted


def _among(values: frozenset[str], *, wanted: bool) -> Callable[[str | None], bool]:
    return lambda given: (given in values) is wanted


def _compared(operator: str, bound: str) -> Callable[[str | None], bool]:
    def want(given: str | None) -> bool:
        try:
            number, limit = int(given or ""), int(bound)
        except ValueError:
            return False
        return number > limit if operator == ">" else number < limit

    return want


def _unparsable(found: str, expected: str) -> Exception:
    return bad_request(f"unable to parse requirement: found '{found}', expected: {expected}")
