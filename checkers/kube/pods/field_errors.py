"""Owns how an error about a field of a pod is written, and the checks of paths and selectors that many fields share.

Source: apimachinery 1.34, pkg/util/validation/field; pkg/apis/core/validation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from checkers.kube import gotext
from checkers.kube.pods.decode import Path, dotted, go_json
from checkers.kube.pods.names import (
    label_problems,
    label_value_problems,
    length,
    qualified_name_problems,
    subdomain_problems,
)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a pod: `text` as the kubelet writes it, `path` to find the line by."""

    text: str
    path: Path


class Named(str):
    """A text of a Go type of its own (`v1.DNSPolicy`), or behind a pointer: errors show it as JSON, not as `%q`."""

    __slots__ = ()


def struct_json(value: object) -> str:
    """Write a Go struct as JSON: as go_json, but in the order of its fields."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def keyed(path: Path, key: str) -> Path:
    """Return the path of a map's key as Kubernetes writes it: `limits[cpu]`."""
    return (*path[:-1], f"{path[-1]}[{key}]")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and not isinstance(value, Named):
        return gotext.quote(value)
    return struct_json(value)


class FieldErrors:
    """Collects what is wrong with fields, in order, in `found`; `at` names the place in the file where it differs."""

    def __init__(self) -> None:
        self.found: list[FieldError] = []

    def add(self, path: Path, text: str, *, at: Path | None = None) -> None:
        self.found.append(FieldError(f"{dotted(path)}: {text}", at or path))

    def required(self, path: Path, detail: str = "", *, at: Path | None = None) -> None:
        self.add(path, "Required value" + (f": {detail}" if detail else ""), at=at)

    def needed(self, values: Mapping[str, Any], path: Path, *fields: str) -> None:
        """Complain of each of the fields that is empty."""
        for field in fields:
            if not values.get(field):
                self.required((*path, field))

    def invalid(self, path: Path, value: object, detail: str, *, at: Path | None = None) -> None:
        self.add(path, f"Invalid value: {_shown(value)}: {detail}", at=at)

    def each(self, path: Path, value: object, problems: Iterable[str], *, at: Path | None = None) -> None:
        """Complain of each problem that a value has."""
        for problem in problems:
            self.invalid(path, value, problem, at=at)

    def forbidden(self, path: Path, detail: str, *, at: Path | None = None) -> None:
        self.add(path, f"Forbidden: {detail}", at=at)

    def duplicate(self, path: Path, value: str) -> None:
        self.add(path, f"Duplicate value: {_shown(value)}")

    def not_found(self, path: Path, value: str, detail: str = "") -> None:
        self.add(path, f"Not found: {_shown(value)}" + (f": {detail}" if detail else ""))

    def too_long(self, path: Path, most: int) -> None:
        self.add(path, f"Too long: may not be more than {most} bytes")

    def choice(
        self, path: Path, value: str, allowed: Iterable[str], *, at: Path | None = None, plain: bool = False
    ) -> None:
        """Complain of a value that is not one of those allowed; `plain`: it has no Go type of its own."""
        options = list(allowed)
        if value not in options:
            supported = ", ".join(gotext.quote(option) for option in options)
            shown = gotext.quote(value) if plain else go_json(value)
            self.add(path, f"Unsupported value: {shown}: supported values: {supported}", at=at)

    def chosen(self, path: Path, value: str, allowed: Iterable[str]) -> None:
        """Complain of a value that is empty, or not one of those allowed."""
        if value:
            self.choice(path, value, allowed)
        else:
            self.required(path)

    def label(self, path: Path, value: str) -> None:
        self.each(path, value, label_problems(value))

    def subdomain(self, path: Path, value: str) -> None:
        self.each(path, value, subdomain_problems(value))

    def no_backsteps(self, path: Path, value: str, *, at: Path | None = None) -> None:
        if ".." in value.split("/"):
            self.invalid(path, value, "must not contain '..'", at=at)

    def descending(self, path: Path, value: str, at: Path | None = None) -> None:
        if value.startswith("/"):
            self.invalid(path, value, "must be a relative path", at=at)
        self.no_backsteps(path, value, at=at)

    def not_reserved(self, path: Path, value: str) -> None:
        """Check a path below a volume: it goes down, and no name of the kubelet's own is its first."""
        self.descending(path, value)
        if value.startswith("..") and not value.startswith("../"):
            self.invalid(path, value, "must not start with '..'")

    def mode(self, path: Path, value: int | None) -> None:
        if value is not None and not 0 <= value <= 0o777:
            self.invalid(path, value, "must be a number between 0 and 0777 (octal), both inclusive")

    def qualified(self, path: Path, key: str, *, at: Path | None = None) -> None:
        """Check a label's key: `[prefix/]name`."""
        self.each(path, key, qualified_name_problems(key), at=at)

    def labels(self, path: Path, labels: Mapping[str, str] | None) -> None:
        """Check labels or a selector of them."""
        for key, value in sorted((labels or {}).items()):
            self.qualified(path, key, at=(*path, key))
            self.each(path, value, label_value_problems(value), at=(*path, key))

    def annotations(self, path: Path, annotations: Mapping[str, str] | None) -> None:
        size = 0
        for key, value in sorted((annotations or {}).items()):
            self.each(path, key, qualified_name_problems(key.lower()), at=(*path, key))
            size += length(key) + length(value)
        if size > 256 << 10:
            self.too_long(path, 256 << 10)

    def selector(self, path: Path, selector: Mapping[str, Any] | None) -> None:
        """Check a label selector: ValidateLabelSelector."""
        if selector is None:
            return
        self.labels((*path, "matchLabels"), selector.get("matchLabels"))
        for index, expression in enumerate(selector.get("matchExpressions") or ()):
            at: Path = (*path, "matchExpressions", index)
            self.operator(at, expression)
            self.qualified((*at, "key"), expression.get("key", ""))
            self.label_values(at, expression.get("values") or ())

    def operator(self, at: Path, expression: Mapping[str, Any], *, numeric: bool = False) -> None:
        """Check that an expression has the values that its operator wants; `numeric`: Gt and Lt are known too."""
        operator, values = expression.get("operator", ""), expression.get("values") or ()
        if operator in ("In", "NotIn"):
            if not values:
                self.required((*at, "values"), "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                self.forbidden((*at, "values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        elif numeric and operator in ("Gt", "Lt"):
            if len(values) != 1:
                self.required((*at, "values"), "must be specified single value when `operator` is 'Lt' or 'Gt'")
        else:
            self.invalid((*at, "operator"), Named(operator), "not a valid selector operator")

    def label_values(self, at: Path, values: Sequence[str]) -> None:
        for index, value in enumerate(values):
            self.each((*at, "values", index), value, label_value_problems(value))
