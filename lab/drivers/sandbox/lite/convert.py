"""Owns turning what a client sent into the object as the API server would write it.

Types are checked, unknown fields found, fields put in the order of the type, what Go would leave out left out
(Source: sigs.k8s.io/json and encoding/json as kube-apiserver 1.34 uses them).
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from .border import Json
from .resources.schema import NAMED_KINDS, Field, Schema, schema

_WORDS = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
_INTEGERS = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "int": (-(2**63), 2**63 - 1),
    "uint8": (0, 255),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
_QUANTITY = re.compile(r"^([+-]?)(\d+\.?\d*|\.\d+)(|[numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)$")
_SUFFIX = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
BAD_QUANTITY = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


class ConvertError(ValueError):
    """A value of the wrong type, in the words of Go's JSON decoder."""


class Converter:
    """One pass over one object; `unknown` holds the paths of fields that its type does not have."""

    def __init__(self) -> None:
        self.unknown: list[str] = []

    def object(self, value: Any, type_name: str) -> Json:
        """Return an object of a kind, `kind` and `apiVersion` first. Raises ConvertError."""
        kind = schema(type_name)
        head = {k: value[k] for k in ("kind", "apiVersion") if value.get(k)}
        return {**head, **self._struct(value, kind, "", "", top=True)}

    def struct(self, value: Json, type_name: str) -> Json:
        """Return a part of an object. Raises ConvertError."""
        return self._struct(value, schema(type_name), "", "", top=False)

    def _struct(self, value: Any, kind: Schema, path: str, dotted: str, *, top: bool) -> Json:
        if value is None:
            value = {}
        named = top or kind.name in NAMED_KINDS
        for name in value:
            if name not in kind.fields and not (named and name in ("kind", "apiVersion")):
                self.unknown.append(f"{path}.{name}" if path else name)
        result: Json = {}
        if named and not top:
            result = {name: value[name] for name in ("kind", "apiVersion") if value.get(name)}
        for name, field in kind.fields.items():
            given = value.get(name)
            where = f"{path}.{name}" if path else name
            go_path = f"{dotted}.{name}" if dotted else name
            if given is None:
                empty, kept = _zero(field)
                if kept:
                    result[name] = (
                        self._value(empty, field, field.container, where, go_path, kind) if empty == {} else empty
                    )
                continue
            made = self._value(given, field, field.container, where, go_path, kind)
            if field.omit_zero and not made:
                continue
            if field.omit_empty and not field.pointer and _empty(made, field):
                continue
            result[name] = made
        return result

    def _value(self, value: Any, field: Field, container: str, path: str, dotted: str, owner: Schema) -> Any:
        if container[:1] == "[":
            if not isinstance(value, list):
                raise self._mistyped(value, container, field, dotted, owner)
            inner = container[1:]
            return [
                self._null(field, inner, f"{path}[{i}]", dotted, owner)
                if item is None
                else self._value(item, field, inner, f"{path}[{i}]", dotted, owner)
                for i, item in enumerate(value)
            ]
        if container[:1] == "{":
            if not isinstance(value, dict):
                raise self._mistyped(value, container, field, dotted, owner)
            inner = container[1:]
            return {
                key: self._null(field, inner, f"{path}.{key}", dotted, owner)
                if value[key] is None
                else self._value(value[key], field, inner, f"{path}.{key}", dotted, owner)
                for key in sorted(value)
            }
        if field.is_struct:
            if not isinstance(value, dict):
                raise self._mistyped(value, "", field, dotted, owner)
            return self._struct(value, schema(field.type), path, dotted, top=False)
        return self._scalar(value, field, dotted, owner)

    def _null(self, field: Field, container: str, path: str, dotted: str, owner: Schema) -> Any:
        if container:
            return None
        if field.is_struct:
            return self._struct({}, schema(field.type), path, dotted, top=False)
        return _ZERO.get(field.type)

    def _scalar(self, value: Any, field: Field, dotted: str, owner: Schema) -> Any:
        kind = field.type
        if kind in ("raw", "json"):
            return value
        if kind == "string":
            good = isinstance(value, str)
        elif kind == "bool":
            good = isinstance(value, bool)
        elif kind in _INTEGERS:
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            if isinstance(value, float) or (
                isinstance(value, int) and not isinstance(value, bool) and _out(value, kind)
            ):
                raise ConvertError(
                    f"json: cannot unmarshal number {value} into Go struct field {owner.go_name}.{dotted} "
                    f"of type {kind}"
                )
            good = isinstance(value, int) and not isinstance(value, bool)
        elif kind == "float64":
            good = isinstance(value, int | float) and not isinstance(value, bool)
        elif kind == "bytes":
            if isinstance(value, str):
                return _base64(value)
            good = False
        elif kind in ("time", "microtime"):
            if isinstance(value, str):
                return _time(value, micro=kind == "microtime")
            raise ConvertError(f"json: cannot unmarshal {_word(value)} into Go value of type string")
        elif kind == "quantity":
            return quantity(value)
        elif kind == "intorstring":
            if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
                return value
            raise ConvertError(f"json: cannot unmarshal {_word(value)} into Go value of type string")
        else:
            good = isinstance(value, str) if kind == "duration" else isinstance(value, dict)
        if not good:
            raise self._mistyped(value, "", field, dotted, owner)
        return value

    @staticmethod
    def _mistyped(value: Any, container: str, field: Field, dotted: str, owner: Schema) -> ConvertError:
        return ConvertError(
            f"json: cannot unmarshal {_word(value)} into Go struct field {owner.go_name}.{dotted} "
            f"of type {_go_type(field, container)}"
        )


_ZERO: dict[str, Any] = {"string": "", "bool": False, "float64": 0, "intorstring": 0, "quantity": "0", "bytes": None}
_ZERO |= dict.fromkeys(_INTEGERS, 0)


def _zero(field: Field) -> tuple[Any, bool]:
    """Return what a field that is not there has, and whether it is written."""
    if field.container or field.pointer:
        return None, not (field.omit_empty or field.omit_zero)
    if field.is_struct:
        return {}, not field.omit_zero
    if field.type in ("time", "microtime"):
        return None, not field.omit_zero
    return _ZERO.get(field.type), not (field.omit_empty or field.omit_zero)


def _empty(made: Any, field: Field) -> bool:
    if field.container:
        return not made
    if field.is_struct or field.type in ("time", "microtime", "quantity", "intorstring", "raw", "json", "fieldsv1"):
        return False
    return not made


def _word(value: Any) -> str:
    return _WORDS.get(type(value), "null")


def _go_type(field: Field, container: str) -> str:
    prefix = container.replace("[", "[]").replace("{", "map[string]")
    if field.is_struct:
        package, _, name = field.type.rpartition(".")
        return f"{prefix}{package.rpartition('/')[2]}.{name}"
    return prefix + {"bytes": "[]uint8", "raw": "runtime.RawExtension", "duration": "v1.Duration"}.get(
        field.type, field.type
    )


def _out(value: int, kind: str) -> bool:
    low, high = _INTEGERS[kind]
    return not low <= value <= high


_BASE64 = re.compile(r"^[A-Za-z0-9+/]*={0,2}$")


def _base64(value: str) -> str:
    bare = value.replace("\n", "").replace("\r", "")
    try:
        return base64.b64encode(base64.b64decode(bare, validate=True)).decode()
    except (binascii.Error, ValueError):
        good = re.match(r"[A-Za-z0-9+/]*", bare)
        at = good.end() if good else 0
        raise ConvertError(
            f"illegal base64 data at input byte {at if at < len(bare) else len(bare) // 4 * 4}"
        ) from None


def _time(value: str, *, micro: bool) -> str:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConvertError(f'parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse "{value}" as "2006"')
    moment = moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if micro else "%Y-%m-%dT%H:%M:%SZ")


def stamp(moment: datetime) -> str:
    """Return a moment as metadata has it: RFC 3339, UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_quantity(text: str) -> Decimal:
    """Return the number a quantity stands for. Raises ConvertError."""
    match = _QUANTITY.match(text)
    if not match:
        raise ConvertError(BAD_QUANTITY)
    sign, digits, suffix = match.groups()
    number = Decimal(sign + digits)
    if suffix in _BINARY:
        return number * (1 << _BINARY[suffix])
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return number.scaleb(int(suffix[1:]))
    return number.scaleb(_SUFFIX[suffix])


def quantity(value: Any) -> str:
    """Return a quantity in its canonical form (`0.5` is `500m`, `1024Mi` is `1Gi`). Raises ConvertError."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ConvertError(BAD_QUANTITY)
    text = str(value)
    number = parse_quantity(text)
    if not number:
        return "0"
    suffix = text.lstrip("+-0123456789.")
    if suffix in _BINARY and number == number.to_integral_value() and abs(number) >= 1024:
        whole = int(number)
        for name, bits in reversed(_BINARY.items()):
            if whole % (1 << bits) == 0:
                return f"{whole >> bits}{name}"
        return str(whole)
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        exponent = 0
        while number == number.to_integral_value() and int(number) % 1000 == 0:
            number, exponent = number / 1000, exponent + 3
        return f"{int(number)}e{exponent}" if exponent else str(int(number))
    for name, power in reversed(_SUFFIX.items()):
        scaled = number.scaleb(-power)
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{name}"
    return f"{int(number.scaleb(9).to_integral_value())}n"
