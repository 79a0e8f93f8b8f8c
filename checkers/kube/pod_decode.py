"""Owns the decoding of a pod's YAML into plain values, as the kubelet's JSON decoder does it: typed, but not strict.

A field it does not know is left out and remembered with its line; a value of the wrong type is refused in Go's words.
Sources: sigs.k8s.io/json (UnmarshalCaseSensitivePreserveInts), encoding/json, apimachinery's serializer, 1.34.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from .goyaml import Node
from .pod_schema import STRUCTS, GoType

Path = tuple[str | int, ...]

_QUANTITY: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?")
_QUANTITY_WORDS: Final = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
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


def kind_and_version(root: Node) -> tuple[str, str]:
    """Return (apiVersion, kind) of a document, found in any case as encoding/json does.

    Raises DecodeError where they are missing or no strings.
    """
    if root.pairs is None and root.value is not None:
        words = (
            'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        )
        raise DecodeError(
            "couldn't get version/kind; json parse error: "
            f"json: cannot unmarshal {root.kind} into Go value of type {words}",
            root.line,
        )
    found = {"apiversion": "", "kind": ""}
    for key, line, node in root.pairs or ():
        if key.lower() not in found or node.value is None:
            continue
        if not isinstance(node.value, str):
            field = "apiVersion" if key.lower() == "apiversion" else "kind"
            raise DecodeError(
                f"couldn't get version/kind; json parse error: json: cannot unmarshal {node.kind} "
                f"into Go struct field .{field} of type string",
                line,
            )
        found[key.lower()] = node.value
    version, kind = found["apiversion"], found["kind"]
    if version.count("/") > 1:
        raise DecodeError(f"unexpected GroupVersion string: {version}")
    if not kind:
        raise DecodeError(f"Object 'Kind' is missing in '{go_json(root.value)}'", root.line)
    if version in ("", "/"):
        raise DecodeError(f"Object 'apiVersion' is missing in '{go_json(root.value)}'", root.line)
    return version, kind


def go_json(value: Any) -> str:
    """Write JSON as Go does: keys sorted, compact, `<`, `>` and `&` escaped."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for char, escape in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028")):
        text = text.replace(char, escape)
    return text


class Decoder:
    """One decoding of a document into the struct `Pod`: `value` is what is left, `unknown` what was ignored."""

    def __init__(self, root: Node) -> None:
        self.unknown: list[UnknownField] = []
        self.lines: dict[Path, int] = {}
        self._saved: DecodeError | None = None
        self.value: dict[str, Any] = self._struct(root, "Pod", (), root.line)
        if self._saved is not None:
            raise self._saved

    def _struct(self, node: Node, struct: str, path: Path, line: int) -> dict[str, Any]:
        self.lines[path] = line
        fields = STRUCTS[struct]
        value: dict[str, Any] = {}
        for key, key_line, child in node.pairs or ():
            expected = fields.get(key)
            if expected is None:
                meant = _likely(key, child, struct, path)
                self.unknown.append(UnknownField(dotted((*path, key)), key_line, meant))
                continue
            decoded = self._decode(child, expected, struct, (*path, key), key_line)
            if decoded is not None:
                value[key] = decoded
        return value

    def _decode(self, node: Node, expected: GoType, struct: str, path: Path, line: int) -> Any:
        """Return the value, None for null and for what was refused (the first refusal is raised at the end)."""
        self.lines[path] = line
        if node.value is None and expected.kind != "any":
            return None
        kind = expected.kind
        if kind in ("quantity", "intOrString", "time"):
            return self._custom(node, kind, struct, path, line)
        if kind == "any":
            return node.value
        if kind == "struct":
            if node.pairs is None:
                return self._refuse(node, expected, struct, path, line)
            return self._struct(node, expected.name.removeprefix("v1."), path, line)
        if kind == "list":
            if node.items is None or expected.item is None:
                return self._refuse(node, expected, struct, path, line)
            items = [
                self._decode(item, expected.item, struct, (*path, index), item.line)
                for index, item in enumerate(node.items)
            ]
            return [_zero(expected.item) if item is None else item for item in items]
        if kind == "map":
            if node.pairs is None or expected.item is None:
                return self._refuse(node, expected, struct, path, line)
            return self._map(node, expected.item, struct, path)
        return self._scalar(node, expected, struct, path, line)

    def _map(self, node: Node, item: GoType, struct: str, path: Path) -> dict[str, Any]:
        value = {}
        for key, key_line, child in node.pairs or ():
            decoded = self._decode(child, item, struct, (*path, key), key_line)
            value[key] = _zero(item) if decoded is None else decoded
        return value

    def _scalar(self, node: Node, expected: GoType, struct: str, path: Path, line: int) -> Any:
        value, kind = node.value, expected.kind
        if kind == "string" and isinstance(value, str):
            return value
        if kind == "bool" and isinstance(value, bool):
            return value
        if kind in _INT_RANGE and node.kind == "number":
            whole = isinstance(value, int)
            if whole and -(1 << _INT_RANGE[kind]) <= value < 1 << _INT_RANGE[kind]:
                return value
            return self._refuse(node, expected, struct, path, line, f"number {go_json(value)}")
        return self._refuse(node, expected, struct, path, line)

    def _refuse(
        self, node: Node, expected: GoType, struct: str, path: Path, line: int, what: str | None = None
    ) -> None:
        if self._saved is None:
            field = ".".join(step for step in path if isinstance(step, str))
            if expected.kind != "struct" and self._inside_map(path):
                field = field.rpartition(".")[0]
            where = f"Go struct field {struct}.{field} of type {expected.name}"
            self._saved = DecodeError(f"json: cannot unmarshal {what or node.kind} into {where}", line)

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
        field = ".".join(step for step in path if isinstance(step, str))
        if kind == "quantity":
            if node.kind in ("string", "number"):
                text = value if isinstance(value, str) else go_json(value)
                if _QUANTITY.fullmatch(text):
                    return text
            raise DecodeError(_QUANTITY_WORDS, line)
        if kind == "intOrString":
            if isinstance(value, str) or (node.kind == "number" and isinstance(value, int)):
                return value
            what = f"number {go_json(value)}" if node.kind == "number" else node.kind
            raise DecodeError(
                f"json: cannot unmarshal {what} into Go struct field {struct}.{field} of type int32", line
            )
        if not isinstance(value, str):
            words = f"json: cannot unmarshal {node.kind} into Go struct field {struct}.{field} of type string"
            raise DecodeError(words, line)
        if not _TIME.fullmatch(value):
            quoted = json.dumps(value, ensure_ascii=False)
            layout = '"2006-01-02T15:04:05Z07:00"'
            raise DecodeError(f'parsing time {quoted} as {layout}: cannot parse {quoted} as "2006"', line)
        return value


def _zero(expected: GoType) -> Any:
    """Return Go's zero value, which a null in a list or map becomes."""
    zeros: dict[str, Any] = {"string": "", "bool": False, "int32": 0, "int64": 0, "struct": {}, "quantity": "0"}
    return zeros.get(expected.kind)


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
