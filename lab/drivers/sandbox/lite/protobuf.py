"""Owns reading protobuf bodies: `k8s\\0`, runtime.Unknown, and the object by its field table. Nothing is written."""

from __future__ import annotations

import base64
import struct
from datetime import UTC, datetime
from typing import Any

import msgspec

from .border import Json
from .resources.schema import SCALARS, Field, Schema, schema

MAGIC = b"k8s\0"
_SIGNED = {"int32", "int64", "int"}


def decode_unknown(body: bytes, type_name: str) -> Json:
    """Return the object in a protobuf body, `kind` and `apiVersion` as its envelope says. ValueError: it is none."""
    if not body.startswith(MAGIC):
        raise ValueError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    api_version = kind = ""
    raw = b""
    for number, value in _fields(memoryview(body)[4:]):
        if number == 1:
            for inner, part in _fields(value):
                text = bytes(part).decode()
                api_version, kind = (text, kind) if inner == 1 else (api_version, text)
        elif number == 2:
            raw = bytes(value)
    result: Json = {"kind": kind, "apiVersion": api_version} if kind or api_version else {}
    result.update(_message(memoryview(raw), schema(type_name)))
    return result


def _fields(data: memoryview) -> list[tuple[int, Any]]:
    """Split a message into its fields: (number, int for a varint, bytes for the rest)."""
    found: list[tuple[int, Any]] = []
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == 0:
            number, at = _varint(data, at)
            found.append((tag >> 3, number))
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"proto: illegal wireType {wire}")
        if at + size > len(data):
            raise ValueError("unexpected EOF")
        found.append((tag >> 3, data[at : at + size]))
        at += size
    return found


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("unexpected EOF")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
        if shift > 63:
            raise ValueError("proto: integer overflow")


def _message(data: memoryview, kind: Schema) -> Json:
    by_path: dict[tuple[int, ...], Field] = {field.number: field for field in kind.fields.values()}
    inline = {path[:i] for path in by_path for i in range(1, len(path))}
    result: Json = {}
    _read(data, (), by_path, inline, result)
    return {name: result[name] for name in kind.fields if name in result}


def _read(
    data: memoryview,
    prefix: tuple[int, ...],
    by_path: dict[tuple[int, ...], Field],
    inline: set[tuple[int, ...]],
    result: Json,
) -> None:
    for number, value in _fields(data):
        path = (*prefix, number)
        field = by_path.get(path)
        if field is None:
            if path in inline:
                _read(value, path, by_path, inline, result)
            continue
        if field.container[:1] == "[":
            values = result.setdefault(field.name, [])
            if field.type in _SIGNED and not isinstance(value, int):
                values += _packed(value)
            else:
                values.append(_value(value, field))
        elif field.container[:1] == "{":
            key, item = _entry(value, field)
            result.setdefault(field.name, {})[key] = item
        else:
            result[field.name] = _value(value, field)


def _packed(data: memoryview) -> list[int]:
    numbers = []
    at = 0
    while at < len(data):
        number, at = _varint(data, at)
        numbers.append(_signed(number))
    return numbers


def _entry(data: memoryview, field: Field) -> tuple[str, Any]:
    key: str = ""
    item: Any = _nothing(field)
    for number, value in _fields(data):
        if number == 1:
            key = bytes(value).decode()
        elif field.container[1:2] == "[":
            item = [bytes(part).decode() for _, part in _fields(value)]
        else:
            item = _value(value, field)
    return key, item


def _nothing(field: Field) -> Any:
    if field.container[1:2] == "[":
        return []
    return {"string": "", "bytes": "", "quantity": "0"}.get(field.type) if field.type in SCALARS else {}


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def _value(value: Any, field: Field) -> Any:
    kind = field.type
    if kind == "string":
        return bytes(value).decode()
    if kind == "bool":
        return bool(value)
    if kind == "bytes":
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, int):
        return _signed(value)
    if kind == "float64":
        return struct.unpack("<d", bytes(value))[0]
    if kind in ("time", "microtime"):
        return _time(value, micro=kind == "microtime")
    if kind == "quantity":
        return next((bytes(part).decode() for number, part in _fields(value) if number == 1), "0")
    if kind == "intorstring":
        parts = dict(_fields(value))
        return bytes(parts.get(3, b"")).decode() if parts.get(1) == 1 else _signed(parts.get(2, 0))
    if kind in ("raw", "json", "fieldsv1"):
        raw = next((bytes(part) for number, part in _fields(value) if number == 1), b"")
        return msgspec.json.decode(raw) if raw else None
    if kind == "duration":
        nanoseconds = _signed(dict(_fields(value)).get(1, 0))
        return f"{nanoseconds / 1e9:g}s"
    return _message(value, schema(kind))


def _time(value: memoryview, *, micro: bool) -> str | None:
    parts = dict(_fields(value))
    if not parts:
        return None
    moment = datetime.fromtimestamp(_signed(parts.get(1, 0)), UTC)
    if micro:
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{parts.get(2, 0) // 1000:06d}Z"
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
