"""Owns how an error about a field of a pod is written, and the rules for names and paths that many fields share.

Source: apimachinery 1.34, pkg/util/validation and its package field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from . import gotext
from .pod_decode import Path, dotted, go_json

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_WORDS: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN_WORDS: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_VALUE_WORDS: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_NAME_WORDS: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a pod: `text` as the kubelet writes it, `path` to find the line by."""

    text: str
    path: Path


class FieldErrors:
    """Collects what is wrong with fields, in order, in `found`; `at` names the place in the file where it differs."""

    def __init__(self) -> None:
        self.found: list[FieldError] = []

    def add(self, path: Path, text: str, *, at: Path | None = None) -> None:
        self.found.append(FieldError(f"{dotted(path)}: {text}", at or path))

    def required(self, path: Path, detail: str = "") -> None:
        self.add(path, "Required value" + (f": {detail}" if detail else ""))

    def invalid(self, path: Path, value: object, detail: str, *, at: Path | None = None) -> None:
        shown = gotext.quote(value) if isinstance(value, str) else str(value)
        self.add(path, f"Invalid value: {shown}: {detail}", at=at)

    def forbidden(self, path: Path, detail: str, *, at: Path | None = None) -> None:
        self.add(path, f"Forbidden: {detail}", at=at)

    def duplicate(self, path: Path, value: str) -> None:
        self.add(path, f"Duplicate value: {gotext.quote(value)}")

    def choice(self, path: Path, value: str, allowed: Iterable[str], *, at: Path | None = None) -> None:
        options = list(allowed)
        if value not in options:
            supported = ", ".join(gotext.quote(option) for option in options)
            self.add(path, f"Unsupported value: {go_json(value)}: supported values: {supported}", at=at)

    def label(self, path: Path, value: str) -> None:
        if len(value.encode()) > 63:
            self.invalid(path, value, "must be no more than 63 characters")
        if not _LABEL.fullmatch(value):
            self.invalid(path, value, "must not contain dots" if SUBDOMAIN.fullmatch(value) else _LABEL_WORDS)

    def no_backsteps(self, path: Path, value: str, *, at: Path | None = None) -> None:
        if ".." in value.split("/"):
            self.invalid(path, value, "must not contain '..'", at=at)

    def descending(self, path: Path, value: str, at: Path) -> None:
        if value.startswith("/"):
            self.invalid(path, value, "must be a relative path", at=at)
        self.no_backsteps(path, value, at=at)

    def qualified(self, path: Path, key: str, shown: str | None = None) -> None:
        """Check a label's or annotation's key: `[prefix/]name`."""
        for problem in qualified_name_problems(key):
            self.invalid(path, shown or key, problem, at=(*path, shown or key))

    def labels(self, path: Path, labels: Mapping[str, str]) -> None:
        """Check labels or a selector of them."""
        for key, value in sorted(labels.items()):
            self.qualified(path, key)
            for problem in label_value_problems(value):
                self.invalid(path, value, problem, at=(*path, key))


def qualified_name_problems(key: str) -> list[str]:
    """Return what is wrong with a qualified name: IsQualifiedName."""
    prefix, slash, name = key.partition("/")
    problems = []
    if "/" in name:
        optional = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a qualified name {_NAME_WORDS} {optional}"]
    if not slash:
        name = key
    elif not prefix:
        problems.append("prefix part must be non-empty")
    elif not SUBDOMAIN.fullmatch(prefix):
        problems.append(f"prefix part {SUBDOMAIN_WORDS}")
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append("name part must be no more than 63 characters")
    if not _QUALIFIED.fullmatch(name):
        problems.append(f"name part {_NAME_WORDS}")
    return problems


def label_value_problems(value: str) -> list[str]:
    """Return what is wrong with a label's value: IsValidLabelValue."""
    problems = []
    if len(value) > 63:
        problems.append("must be no more than 63 characters")
    if value and not _QUALIFIED.fullmatch(value):
        problems.append(_LABEL_VALUE_WORDS)
    return problems
