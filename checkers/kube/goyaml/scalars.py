"""Owns what an unquoted YAML word means to go-yaml v2: YAML 1.1 booleans, Go's integers, floats, and nothing base 60.

Source: gopkg.in/yaml.v2 2.4, resolve; golden/policy/scalars.jsonl.
"""

from __future__ import annotations

import binascii
import re
from datetime import datetime
from typing import Any

from checkers.kube.gotext import GoValueError, parse_float

PREFIX = "tag:yaml.org,2002:"
STR, BOOL, INT, FLOAT, NULL, TIMESTAMP, BINARY, MERGE = (
    PREFIX + name for name in ("str", "bool", "int", "float", "null", "timestamp", "binary", "merge")
)
_RESOLVABLE = frozenset(("", STR, BOOL, INT, FLOAT, NULL, TIMESTAMP))

_WORDS: dict[str, tuple[str, Any]] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), (BOOL, True)),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), (BOOL, False)),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), (NULL, None)),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), (FLOAT, float("nan"))),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), (FLOAT, float("inf"))),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), (FLOAT, float("-inf"))),
}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([1-9][0-9]*|0))", re.ASCII)
_TIMESTAMP = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:(?:[Tt](\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?(?:Z|[-+]\d\d:\d\d))"
    r"|(?: (\d{1,2}):(\d{1,2}):(\d{1,2})(?:[.,]\d+)?))?",
    re.ASCII,
)


class ScalarError(ValueError):
    """A scalar that its tag forbids; the text is go-yaml's."""


def _integer(text: str) -> int | None:
    """Return what strconv.ParseInt or ParseUint with base 0 makes of the text: 64 bits, or nothing."""
    found = _INTEGER.fullmatch(text)
    if found is None:
        return None
    sign, hexadecimal, binary, octal, decimal = found.groups()
    digits, base = next((d, b) for d, b in ((hexadecimal, 16), (binary, 2), (octal, 8), (decimal, 10)) if d is not None)
    if len(digits) > 64:
        return None
    number = int(digits, base)
    if sign == "-":
        number = -number
    # ParseUint takes no sign, so that a signed number has 63 bits.
    limit = 1 << 63 if sign else 1 << 64
    return number if -(1 << 63) <= number < limit else None


def _float(text: str) -> float | None:
    if len(text) > 1000:
        return None
    number = float(text)
    return None if number in (float("inf"), float("-inf")) else number


def _is_timestamp(text: str) -> bool:
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        return False
    numbers = [int(g) for g in found.groups() if g is not None]
    try:
        datetime(*numbers)  # type: ignore[arg-type]
    except ValueError:
        return False
    return True


def _meaning(tag: str, text: str) -> tuple[str, Any]:
    if tag in (STR, BINARY):
        return STR, text
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first == ".":
        try:
            return FLOAT, parse_float(text)
        except GoValueError:
            return STR, text
    if not (first in "+-" or "0" <= first <= "9"):
        return STR, text
    if tag in ("", TIMESTAMP) and _is_timestamp(text):
        return TIMESTAMP, text
    plain = text.replace("_", "")
    integer = _integer(plain)
    if integer is not None:
        return INT, integer
    if _FLOAT.fullmatch(plain):
        number = _float(plain)
        if number is not None:
            return FLOAT, number
    return STR, text


def short(tag: str) -> str:
    """Return a tag as it is written in a file: `!!int`."""
    return "!!" + tag.removeprefix(PREFIX) if tag.startswith(PREFIX) else tag


def resolve(tag: str, text: str) -> Any:
    """Return the value of a plain or tagged scalar.

    Raises ScalarError where the tag and the text do not go together. Unknown tags are ignored. What is packed as
    `!!binary` is text with surrogates for the bytes that are no UTF-8.
    """
    if tag == BINARY:
        try:
            packed = re.sub("[\r\n]", "", text)
            if len(packed) % 4:
                raise ValueError("base64 comes in fours")
            raw = binascii.a2b_base64(packed, strict_mode=True)
        except (binascii.Error, ValueError) as error:
            raise ScalarError("!!binary value contains invalid base64 data") from error
        return raw.decode("utf-8", "surrogateescape")
    if tag not in _RESOLVABLE:
        return text
    found, value = _meaning(tag, text)
    if tag in ("", found, STR):
        return value
    # An uint64 is not made a float.
    if tag == FLOAT and found == INT and value < 1 << 63:
        return float(value)
    raise ScalarError(f"cannot decode {short(found)} `{text}` as a {short(tag)}")
