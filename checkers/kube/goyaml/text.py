"""Owns how Go prints decoded values (%#v, JSON, floats): a refused file is refused in the API server's words."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping

from checkers.kube.gotext import quote

_JSON = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def json_string(text: str) -> str:
    """Return the text as encoding/json writes it: `<`, `>`, `&` and U+2028/9 are escaped, other letters stay."""
    return '"' + "".join(_JSON.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in text) + '"'


def json_text(value: object) -> str:
    """Return a decoded value as encoding/json's Marshal writes it: compact, keys sorted; any depth of nesting."""
    out: list[str] = []
    waiting: list[object] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, _Piece):
            out.append(item)
        elif isinstance(item, Mapping):
            waiting.append(_Piece("}"))
            for position, key in reversed(list(enumerate(sorted(item)))):
                waiting += (item[key], _Piece(f"{',' if position else ''}{json_string(key)}:"))
            waiting.append(_Piece("{"))
        elif isinstance(item, list | tuple):
            waiting.append(_Piece("]"))
            for position in range(len(item) - 1, -1, -1):
                waiting += (item[position], _Piece("," if position else ""))
            waiting.append(_Piece("["))
        else:
            out.append(_json_scalar(item))
    return "".join(out)


class _Piece(str):
    """Finished JSON among the values that still wait to be written."""

    __slots__ = ()


def _json_scalar(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json_string(value)
    return json_float(value) if isinstance(value, float) else str(value)


def _shortest(value: float, bits: int) -> tuple[str, str, int]:
    """Return sign, digits and decimal exponent (0.digits × 10^exponent) of the shortest text that reads back."""
    text = repr(value)
    if bits == 32:
        single = struct.unpack("f", struct.pack("f", value))[0]
        text = next(
            t for t in (f"{single:.{n}e}" for n in range(10)) if struct.pack("f", float(t)) == struct.pack("f", single)
        )
    mantissa, _, exponent = text.lower().partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    point = len(whole) + int(exponent or 0)
    digits = (whole + fraction).rstrip("0")
    point -= len(digits) - len(digits.lstrip("0"))
    digits = digits.lstrip("0")
    return sign, digits or "0", point if digits else 1


def _plain(sign: str, digits: str, point: int) -> str:
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    return f"{sign}{digits[:point]}.{digits[point:]}"


def json_float(value: float) -> str:
    """Return a float as encoding/json writes it: no exponent from 1e-6 up to 1e21."""
    if value == 0 or 1e-6 <= abs(value) < 1e21:
        return _plain(*_shortest(value, 64))
    sign, digits, point = _shortest(value, 64)
    return f"{sign}{digits[0]}{'.' + digits[1:] if digits[1:] else ''}e{point - 1:+d}"


def format_float(value: float, bits: int = 64) -> str:
    """Return a float as strconv.FormatFloat(value, 'g', -1, bits) does."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    if bits == 32 and math.isinf(struct.unpack("f", struct.pack("f", value))[0]):
        return "+Inf" if value > 0 else "-Inf"
    sign, digits, point = _shortest(value, bits)
    exponent = point - 1
    if exponent < -4 or exponent >= 6:
        tail = f".{digits[1:]}" if digits[1:] else ""
        return f"{sign}{digits[0]}{tail}e{exponent:+03d}"
    return _plain(sign, digits, point)


def go_syntax(value: object) -> str:
    """Return a scalar of YAML as the verb %#v prints it inside an interface{}."""
    if value is None:
        return "interface {}(nil)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, float):
        return format_float(value)
    assert isinstance(value, int)
    # What does not fit into an int is an uint64, and those are printed in base 16.
    return f"{value:#x}" if value >= 1 << 63 else str(value)
