"""Owns how decoded JSON goes into Go structs: sigs.k8s.io/json's type errors, unknown and duplicate fields.

Types are data here, so that a policy, or any other object that Kubernetes decodes strictly, is a table of fields.
Source: sigs.k8s.io/json (a fork of encoding/json, case-sensitive); golden/policy.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from checkers.kube.gotext import quote
from checkers.kube.goyaml.json import WrittenNumber
from checkers.kube.goyaml.nodes import Node, YAMLError
from checkers.kube.goyaml.text import json_float

# sigs.k8s.io/json keeps no more strict errors than this.
_MOST_STRICT = 100


@dataclass(frozen=True)
class GoType:
    """A Go type: `name` as Go prints it, `kind` what JSON it takes.

    kind: string, bool, int32, int64, list, map, struct, time (RFC 3339), raw (anything), by what the value decodes to.
    `pointer`: a null takes away the value that an earlier key of the same name has set. `embedded` names the embedded
    struct that a field is in, for the API servers (1.35 on) that name it in errors.
    """

    name: str
    kind: str
    item: GoType | None = None
    fields: Mapping[str, GoType] = field(default_factory=dict, repr=False)
    struct: str = ""
    pointer: bool = False
    embedded: Mapping[str, str] = field(default_factory=dict, repr=False)


TEXT = GoType("string", "string")
BOOL = GoType("bool", "bool")
BOOL_POINTER = GoType("bool", "bool", pointer=True)
INT64 = GoType("int64", "int64")
TIME = GoType("v1.Time", "time")
RAW = GoType("v1.FieldsV1", "raw")
TEXT_MAP = GoType("map[string]string", "map", TEXT)


def text_type(name: str) -> GoType:
    """Return a named string type, such as v1.Level."""
    return GoType(name, "string")


def list_of(item: GoType) -> GoType:
    """Return the slice type of an item."""
    return GoType(f"[]{item.name}", "list", item)


def struct_type(name: str, fields: Mapping[str, GoType]) -> GoType:
    """Return a struct type by its name with package (v1.PolicyRule) and its JSON fields."""
    return GoType(name, "struct", None, fields, name.rpartition(".")[2])


_BITS = {"int32": 31, "int64": 63}


class TypeMismatch(ValueError):
    """A value of the wrong type; `text` is Go's, `line` the 1-based line of the value."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.text = text
        self.line = line


class Struct(dict[str, Any]):
    """The fields of a decoded struct that are there, and the node (with its lines) they come from."""

    node: Node


def decode_struct(root: Node, into: GoType) -> tuple[Struct, list[str]]:
    """Decode an object strictly.

    Returns the struct and the strict errors (`unknown field "rules[0].resource"`), which a lenient reader ignores.
    Raises TypeMismatch with the error that Go would return.
    """
    decoder = _Decoder()
    value = decoder.value(root, into, None, "")
    if decoder.mismatch is not None:
        raise decoder.mismatch
    if not isinstance(value, Struct):
        value = Struct()
        value.node = root
    return value, list(decoder.strict)


class _Decoder:
    def __init__(self) -> None:
        self.mismatch: TypeMismatch | None = None
        self.strict: dict[str, None] = {}
        self._struct = ""
        self._fields: list[str] = []

    def value(self, node: Node, into: GoType, existing: Any, path: str) -> Any:
        """Return the node's value as the type; the value that is there already where Go would leave it alone."""
        kind = node.kind
        if into.kind == "time":
            where = f"struct field {self._struct}.{'.'.join(self._fields)}"
            return decode_time(node, existing, where)
        if into.kind == "raw":
            return node.value
        if kind == "null":
            return None if into.pointer or into.kind in ("list", "map") else existing
        if into.kind == "struct" and kind == "object":
            return self._object(node, into, existing, path)
        if into.kind == "map" and kind == "object":
            return self._map(node, into, existing, path)
        if into.kind == "list" and kind == "array":
            return self._list(node, into, existing, path)
        if into.kind in _BITS and kind == "number":
            number, bits = node.value, _BITS[into.kind]
            if isinstance(number, int) and -(1 << bits) <= number < 1 << bits:
                return number
            if isinstance(number, float):
                number = number.text if isinstance(number, WrittenNumber) else json_float(number)
            return self._wrong(node, into, f"number {number}", existing)
        if into.kind == kind:
            return node.value
        return self._wrong(node, into, kind, existing)

    def _wrong(self, node: Node, into: GoType, kind: str, existing: Any) -> Any:
        if self.mismatch is None:
            if self._struct or self._fields:
                where = f"struct field {self._struct}.{'.'.join(self._fields)}"
            else:
                where = "value"
            self.mismatch = TypeMismatch(
                f"json: cannot unmarshal {kind} into Go {where} of type {into.name}", node.line
            )
        return existing

    def _complain(self, text: str) -> None:
        if len(self.strict) < _MOST_STRICT:
            self.strict.setdefault(text)

    def _object(self, node: Node, into: GoType, existing: Any, path: str) -> Struct:
        done = existing if isinstance(existing, Struct) else Struct()
        done.node = node
        seen: set[str] = set()
        outer = self._struct
        for key, _, child in node.pairs or ():
            inner = f"{path}.{key}" if path else key
            field_type = into.fields.get(key)
            if field_type is None:
                self._complain(f"unknown field {quote(inner)}")
                continue
            if key in seen:
                self._complain(f"duplicate field {quote(inner)}")
            seen.add(key)
            self._struct = into.struct
            self._fields.append(f"{into.embedded[key]}.{key}" if key in into.embedded else key)
            value = self.value(child, field_type, done.get(key), inner)
            self._fields.pop()
            self._struct = outer
            if value is None:
                done.pop(key, None)
            else:
                done[key] = value
        return done

    def _map(self, node: Node, into: GoType, existing: Any, path: str) -> dict[str, Any]:
        assert into.item is not None
        done: dict[str, Any] = existing if isinstance(existing, dict) else {}
        seen: set[str] = set()
        for key, _, child in node.pairs or ():
            inner = f"{path}.{key}" if path else key
            if key in seen:
                self._complain(f"duplicate field {quote(inner)}")
            seen.add(key)
            done[key] = self.value(child, into.item, None, inner)
        return done

    def _list(self, node: Node, into: GoType, existing: Any, path: str) -> list[Any]:
        assert into.item is not None
        # A list that is decoded a second time reuses the structs of the first: Go does not empty them.
        before = existing if isinstance(existing, list) else []
        return [
            self.value(child, into.item, before[i] if i < len(before) else None, f"{path}[{i}]")
            for i, child in enumerate(node.items or ())
        ]


_STEPS = (
    ("2006", re.compile(r"\d{4}", re.ASCII)),
    ("-", re.compile("-")),
    ("01", re.compile(r"\d\d", re.ASCII)),
    ("-", re.compile("-")),
    ("02", re.compile(r"\d\d", re.ASCII)),
    ("T", re.compile("T")),
    ("15", re.compile(r"\d\d?", re.ASCII)),
    (":", re.compile(":")),
    ("04", re.compile(r"\d\d", re.ASCII)),
    (":", re.compile(":")),
    ("05", re.compile(r"\d\d(?:[.,]\d+)?", re.ASCII)),
    ("Z07:00", re.compile(r"Z|[-+]\d\d:\d\d", re.ASCII)),
)
_RANGES = {
    "01": ("month", 1, 12),
    "15": ("hour", 0, 23),
    "04": ("minute", 0, 59),
    "05": ("second", 0, 59),
}


def decode_time(node: Node, existing: Any, where: str) -> Any:
    """Read a time as metav1.Time does; `where` is the struct field as Go's errors name it.

    Raises TypeMismatch at once: an error of its own decoder ends Go's decoding.
    """
    if node.kind == "null":
        return existing
    if node.kind != "string":
        raise TypeMismatch(f"json: cannot unmarshal {node.kind} into Go {where} of type string", node.line)
    text, rest = node.value, node.value
    date: list[int] = []
    out_of_range = ""
    for element, pattern in _STEPS:
        found = pattern.match(rest)
        if found is None:
            layout = "2006-01-02T15:04:05Z07:00"
            said = f'cannot parse {_time_quote(rest)} as "{element}"'
            raise TypeMismatch(f'parsing time {_time_quote(text)} as "{layout}": {said}', node.line)
        rest = rest[found.end() :]
        if element in ("2006", "01", "02"):
            date.append(int(found[0]))
        if element == "Z07:00" and found[0] != "Z":
            for zone, number, largest in (("hour", found[0][1:3], 24), ("minute", found[0][4:6], 60)):
                if int(number) > largest:
                    said = f"parsing time {_time_quote(text)}: time zone offset {zone} out of range"
                    raise TypeMismatch(said, node.line)
        name, least, most = _RANGES.get(element, ("", 0, 0))
        if name and not out_of_range and not least <= int(found[0][:2]) <= most:
            out_of_range = name
            raise TypeMismatch(f"parsing time {_time_quote(text)}: {name} out of range", node.line)
    if rest:
        raise TypeMismatch(f"parsing time {_time_quote(text)}: extra text: {_time_quote(rest)}", node.line)
    year, month, day = date
    # The Gregorian calendar repeats after 400 years, and Python's begins with the year 1.
    if not 1 <= day <= monthrange(year % 400 + 2000, month)[1]:
        raise TypeMismatch(f"parsing time {_time_quote(text)}: day out of range", node.line)
    return text


def _time_quote(text: str) -> str:
    """Quote as Go's time package does: a byte that is a control character or no ASCII by its number."""
    escaped = "".join(f"\\{c}" if c in '"\\\\' else c for c in text)
    return '"' + "".join(c if " " <= c < "\x80" else "".join(f"\\x{b:02x}" for b in c.encode()) for c in escaped) + '"'


OBJECT_META = struct_type(
    "v1.ObjectMeta",
    {
        "name": TEXT,
        "generateName": TEXT,
        "namespace": TEXT,
        "selfLink": TEXT,
        "uid": text_type("types.UID"),
        "resourceVersion": TEXT,
        "generation": INT64,
        "creationTimestamp": TIME,
        "deletionTimestamp": TIME,
        "deletionGracePeriodSeconds": INT64,
        "labels": TEXT_MAP,
        "annotations": TEXT_MAP,
        "ownerReferences": list_of(
            struct_type(
                "v1.OwnerReference",
                {
                    "apiVersion": TEXT,
                    "kind": TEXT,
                    "name": TEXT,
                    "uid": text_type("types.UID"),
                    "controller": BOOL,
                    "blockOwnerDeletion": BOOL,
                },
            )
        ),
        "finalizers": list_of(TEXT),
        "managedFields": list_of(
            struct_type(
                "v1.ManagedFieldsEntry",
                {
                    "manager": TEXT,
                    "operation": text_type("v1.ManagedFieldsOperationType"),
                    "apiVersion": TEXT,
                    "time": TIME,
                    "fieldsType": TEXT,
                    "fieldsV1": RAW,
                    "subresource": TEXT,
                },
            )
        ),
    },
)


@dataclass(frozen=True)
class TypeMeta:
    """What a file says it is. `group` and `version` come from apiVersion; each may be empty."""

    group: str
    version: str
    kind: str


def interpret(document_root: Node) -> TypeMeta:
    """Find apiVersion and kind as runtime's meta factory does: in any case, the last one counts.

    Raises YAMLError with its words (`couldn't get version/kind; json parse error: …`).
    """
    found = {"apiVersion": "", "kind": ""}
    kind = document_root.kind
    prefix = "couldn't get version/kind; json parse error: json: cannot unmarshal"
    if kind not in ("object", "null"):
        anonymous = (
            'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        )
        raise YAMLError(f"{prefix} {kind} into Go value of type {anonymous}", document_root.line)
    for key, line, node in document_root.pairs or ():
        name = {"apiversion": "apiVersion", "kind": "kind"}.get(key.casefold())
        if name is None or node.kind == "null":
            continue
        if node.kind != "string":
            raise YAMLError(f"{prefix} {node.kind} into Go struct field .{name} of type string", line)
        found[name] = node.value
    api_version = found["apiVersion"]
    if api_version in ("", "/"):
        return TypeMeta("", "", found["kind"])
    if api_version.count("/") > 1:
        entry = document_root.entry("apiVersion")
        raise YAMLError(f"unexpected GroupVersion string: {api_version}", entry[0] if entry else None)
    group, slash, version = api_version.partition("/")
    return TypeMeta(group, version, found["kind"]) if slash else TypeMeta("", group, found["kind"])
