"""Owns how JSON is written: the bytes that Go's encoder writes, since audit logs and answers are compared with them."""

from __future__ import annotations

import re
from typing import Any

import msgspec

_ESCAPES = (
    (b"&", b"\\u0026"),
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
)
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|\s+', re.DOTALL)


def encode(value: Any) -> bytes:
    """Return compact JSON. `&`, `<`, `>` and the two line separators, which only strings can hold, are escaped."""
    return escape(msgspec.json.encode(value))


def encode_pretty(value: Any) -> bytes:
    """Return JSON indented by two blanks, as `?pretty=true` and curl get it."""
    return escape(msgspec.json.format(msgspec.json.encode(value), indent=2))


def escape(data: bytes) -> bytes:
    """Escape what Go's encoder escapes for the sake of HTML."""
    for plain, escaped in _ESCAPES:
        if plain in data:
            data = data.replace(plain, escaped)
    return data


def raw(body: bytes) -> msgspec.Raw | None:
    """Return a JSON text without blanks between its tokens, numbers and escapes as they were; None if it is no JSON."""
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return msgspec.Raw(_TOKEN.sub(lambda found: found[0] if found[0][:1] == b'"' else b"", body))
