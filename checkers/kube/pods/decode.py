"""Owns the decoding of a pod's YAML into plain values, as the kubelet's JSON decoder does it: typed, but not strict.

A field it does not know is left out and remembered with its line; a value of the wrong type is refused in Go's words.
Sources: sigs.k8s.io/json (UnmarshalCaseSensitivePreserveInts), encoding/json, apimachinery's serializer, 1.34.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final

from checkers.kube.goyaml import Node, YAMLError
from checkers.kube.goyaml.json import GO_SPACE, WrittenNumber
from checkers.kube.goyaml.types import TypeMismatch, decode_time, interpret
from checkers.kube.pods.quantity import QuantityError, parse_quantity
from checkers.kube.pods.schema import STRUCTS, GoType

Path = tuple[str | int, ...]

_WHOLE: Final = re.compile(r"-?[0-9]{1,40}", re.ASCII)
_ZEROS: Final[dict[str, Callable[[], Any]]] = {"string": str, "bool": bool, "int32": int, "int64": int, "struct": dict}
_INT_RANGE: Final = {"int32": 31, "int64": 63, "int": 63}

# Fields that people put one storey too high or too low, and what stands there instead.
_FAMOUS: Final = {
    "readonly": "readOnly",
    "read_only": "readOnly",
    "volumeMount": "volumeMounts",
    "mountpath": "mountPath",
    "hostpath": "hostPath",
    "volume": "volumes",
    "container": "containers",
    "arg": "args",
    "commands": "command",
    "envs": "env",
    "environment": "env",
}


class DecodeError(ValueError):
    """A manifest that does not decode; `text` is the decoder's words, `line` the line to blame where one is."""

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.line = line


@dataclass(frozen=True, slots=True)
class UnknownField:
    """A field that the kubelet ignores: where it stands (`spec.volumes[1].hostpath`), and what was likely meant."""

    path: str
    line: int
    meant: str | None

    def __str__(self) -> str:
        hint = f", did you mean {self.meant}?" if self.meant else ""
        return f"line {self.line}: {self.path} is not a field and is ignored{hint}"


def dotted(path: Path) -> str:
    """Write a path as Kubernetes does: `spec.containers[0].name`."""
    out = ""
    for step in path:
        out += f"[{step}]" if isinstance(step, int) else f".{step}" if out else step
    return out


def kind_and_version(root: Node, original: Callable[[], str]) -> tuple[str, str]:
    """Return (apiVersion, kind) of a document; `original` makes the JSON that an error repeats.

    Raises DecodeError where they are missing or no strings.
    """
    try:
        meta = interpret(root)
    except YAMLError as error:
        raise DecodeError(error.text, error.line) from None
    for name, found in (("Kind", meta.kind), ("apiVersion", meta.version)):
        if not found:
            raise DecodeError(f"Object '{name}' is missing in '{original()}'", root.line)
    return f"{meta.group}/{meta.version}" if meta.group else meta.version, meta.kind


def go_json(value: Any) -> str:
    """Write JSON as Go does: keys sorted, compact, `<`, `>` and `&` escaped."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for char, escape in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028")):
        text = text.replace(char, escape)
    return text.replace("\u2029", "\\u2029")


def json_text(value: Any) -> str:
    """Write what a file decoded to as the JSON that Go makes of YAML: `go_json` with Go's numbers in it."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{go_json(key)}:{json_text(item)}" for key, item in sorted(value.items())) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    return number_text(value) if isinstance(value, float) else go_json(value)


def number_text(number: float) -> str:
    """Write a number as it stands in the JSON: as in the file, or as Go writes what YAML has read."""
    if isinstance(number, WrittenNumber):
        return number.text
    if isinstance(number, int):
        return str(number)
    if number and not 1e-6 <= abs(number) < 1e21:
        return re.sub(r"e([-+])0", r"e\1", repr(number).replace(".0e", "e"))
    return format(Decimal(repr(number)).normalize(), "f")


class Decoder:
    """One decoding of a document into the struct `Pod`: `value` is what is left, `unknown` what was ignored.

    A value that Go does not tell from none (`readOnly: false`) is left out. Raises DecodeError.
    """

    def __init__(self, root: Node) -> None:
        self.unknown: list[UnknownField] = []
        self.lines: dict[Path, int] = {}
        self._saved: DecodeError | None = None
        self.value: dict[str, Any] = self._struct(root, "Pod", (), root.line, None)
        if self._saved is not None:
            raise self._saved

    def _struct(self, node: Node, struct: str, path: Path, line: int, existing: Any) -> dict[str, Any]:
        self.lines[path] = line
        fields = STRUCTS[struct]
        value: dict[str, Any] = existing if isinstance(existing, dict) else {}
        for key, key_line, child in node.pairs or ():
            expected = fields.get(key)
            if expected is None:
                meant = _likely(key, child, struct, path)
                self.unknown.append(UnknownField(dotted((*path, key)), key_line, meant))
                continue
            decoded = self._decode(child, expected, struct, (*path, key), key_line, value.get(key))
            if decoded is None or (not expected.pointer and expected.kind in _ZEROS and not decoded):
                value.pop(key, None)
            else:
                value[key] = decoded
        return value

    def _decode(self, node: Node, expected: GoType, struct: str, path: Path, line: int, existing: Any) -> Any:
        """Return the value; `existing` for what Go leaves alone, None for nil (the first refusal is raised at the end).

        `existing` is what an earlier key of the same name has set: only JSON has such.
        """
        self.lines[path] = line
        kind = expected.kind
        if node.value is None and kind != "any":
            return None if expected.pointer or kind in ("list", "map") else existing
        if kind in ("quantity", "intOrString", "time"):
            return self._custom(node, kind, struct, path, line)
        if kind == "any":
            return node.value
        if kind == "struct":
            if node.pairs is None:
                return self._refuse(node, expected, struct, path, line, existing)
            return self._struct(node, expected.name.removeprefix("v1."), path, line, existing)
        if kind == "list":
            if node.items is None or expected.item is None:
                return self._refuse(node, expected, struct, path, line, existing)
            before = existing if isinstance(existing, list) else []
            items = []
            for index, item in enumerate(node.items):
                old = before[index] if index < len(before) else None
                items.append(self._decode(item, expected.item, struct, (*path, index), item.line, old))
            return [_zero(expected.item) if item is None else item for item in items]
        if kind == "map":
            if node.pairs is None or expected.item is None:
                return self._refuse(node, expected, struct, path, line, existing)
            return self._map(node, expected.item, struct, path, existing)
        return self._scalar(node, expected, struct, path, line, existing)

    def _map(self, node: Node, item: GoType, struct: str, path: Path, existing: Any) -> dict[str, Any]:
        value = existing if isinstance(existing, dict) else {}
        for key, key_line, child in node.pairs or ():
            decoded = self._decode(child, item, struct, (*path, key), key_line, None)
            value[key] = _zero(item) if decoded is None else decoded
        return value

    def _scalar(self, node: Node, expected: GoType, struct: str, path: Path, line: int, existing: Any) -> Any:
        value, kind = node.value, expected.kind
        if kind == "string" and isinstance(value, str):
            return value
        if kind == "bool" and isinstance(value, bool):
            return value
        if kind in _INT_RANGE and node.kind == "number":
            text = number_text(value)
            number = int(text) if _WHOLE.fullmatch(text) else None
            if number is not None and -(1 << _INT_RANGE[kind]) <= number < 1 << _INT_RANGE[kind]:
                return number
            return self._refuse(node, expected, struct, path, line, existing, f"number {text}")
        return self._refuse(node, expected, struct, path, line, existing)

    def _refuse(
        self, node: Node, expected: GoType, struct: str, path: Path, line: int, existing: Any, what: str | None = None
    ) -> Any:
        if self._saved is None:
            where = f"{self._place(struct, path)} of type {expected.name}"
            self._saved = DecodeError(f"json: cannot unmarshal {what or node.kind} into Go {where}", line)
        return existing

    def _place(self, struct: str, path: Path) -> str:
        """Name a field as Go's errors do: without the keys of maps and the numbers of lists."""
        field = ".".join(step for step in path if isinstance(step, str))
        if self._inside_map(path):
            field = field[: -len(str(path[-1])) - 1]
        return f"struct field {struct}.{field}"

    def _inside_map(self, path: Path) -> bool:
        """Whether the last step of a path is a map's key, which Go leaves out of the field's name."""
        current: GoType | None = GoType("struct", "v1.Pod")
        parent = current
        for step in path:
            parent = current
            if current is None:
                return False
            if current.kind == "struct":
                current = STRUCTS[current.name.removeprefix("v1.")].get(str(step))
            else:
                current = current.item
        return parent is not None and parent.kind == "map"

    def _custom(self, node: Node, kind: str, struct: str, path: Path, line: int) -> Any:
        """Decode a type with an UnmarshalJSON of its own: its error ends the decoding at once."""
        value = node.value
        if kind == "quantity":
            text = value.strip(GO_SPACE) if isinstance(value, str) else json_text(value)
            try:
                parse_quantity(text)
            except QuantityError as error:
                raise DecodeError(str(error), line) from None
            return text
        if kind == "time":
            try:
                return decode_time(node, None, self._place(struct, path))
            except TypeMismatch as error:
                raise DecodeError(error.text, line) from None
        if isinstance(value, str):
            return value
        what = node.kind
        if what == "number":
            text = number_text(value)
            if _WHOLE.fullmatch(text) and -(1 << 31) <= int(text) < 1 << 31:
                return int(text)
            what = f"number {text}"
        raise DecodeError(f"json: cannot unmarshal {what} into Go {self._place(struct, path)} of type int32", line)


def _zero(expected: GoType) -> Any:
    """Return Go's zero value, which a null in a list or map becomes."""
    if expected.kind == "list":
        return None
    return "0" if expected.kind == "quantity" else _ZEROS.get(expected.kind, lambda: None)()


def _likely(key: str, node: Node, struct: str, path: Path) -> str | None:
    """Guess what a field that is none was meant to be."""
    fields = STRUCTS[struct]
    famous = _FAMOUS.get(key)
    if famous in fields:
        return famous
    for field in fields:
        if field.lower() == key.lower().replace("_", "").replace("-", ""):
            return field
    for other, place in (
        ("PodSpec", "spec"),
        ("Container", "spec.containers[*]"),
        ("HostPathVolumeSource", "hostPath, two columns further in"),
        ("VolumeMount", "a volumeMounts item"),
        ("ObjectMeta", "metadata"),
        ("Pod", "the top of the file"),
    ):
        if key in STRUCTS[other] and other != struct and not (other == "Pod" and key == "status"):
            if other == "HostPathVolumeSource" and struct != "Volume":
                continue
            return f"{key} under {place}" if other != "Pod" else f"{key} at {place}"
    close = get_close_matches(key, list(fields), n=1, cutoff=0.75)
    return close[0] if close else None
