"""Owns how Go writes and reads plain values: quoted strings, numbers, durations.

The words of every Kubernetes error hang on it (`%q`, strconv, time.ParseDuration).
Source: Go 1.24, packages strconv and time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_ESCAPES: Final = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}

_INT_BASE_0: Final = re.compile(
    r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])*|[1-9](?:_?[0-9])*)", re.ASCII
)
_FLOAT: Final = re.compile(
    r"[+-]?(?:(?:{d}\.?{d}?|\.{d})(?:[eE][+-]?{d})?|0[xX]_?(?:{h}\.?{h}?|\.{h})[pP][+-]?{d}|(?i:inf|infinity))"
    r"|(?i:nan)".replace("{d}", "(?:[0-9](?:_?[0-9])*)").replace("{h}", "(?:[0-9a-fA-F](?:_?[0-9a-fA-F])*)"),
    re.ASCII,
)
_DURATION_PART: Final = re.compile(r"([0-9]*)(\.?)([0-9]*)([^0-9.]*)", re.ASCII)
_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_TRUE: Final = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE: Final = frozenset(("0", "f", "F", "FALSE", "false", "False"))


class GoValueError(ValueError):
    """A text that Go's parser of that type refuses; its text is Go's own."""


_NO_UTF8: Final = re.compile("[\udc80-\udcff]")


def go_text(data: bytes | str) -> str:
    """Return what encoding/json makes of a Go string: each byte that is no UTF-8 becomes a replacement character.

    In a str such bytes are those that "surrogateescape" has put there.
    """
    return _NO_UTF8.sub("\ufffd", data if isinstance(data, str) else data.decode("utf-8", "surrogateescape"))


# What may have to be escaped: quotes, backslashes, and all that is not printable ASCII.
_MARKED: Final = re.compile(r"""["'`\\]|[^ -~]""")


def quote(text: str, mark: str = '"') -> str:
    """Quote as `%q` does: escapes for control characters, everything printable as it is."""
    if _MARKED.search(text):
        # A text may be of megabytes; it has few characters that are different ones.
        text = text.translate({ord(char): _escaped(char, mark) for char in set(text) if _MARKED.match(char)})
    return f"{mark}{text}{mark}"


def _escaped(char: str, mark: str) -> str:
    code = ord(char)
    if char in (mark, "\\"):
        return "\\" + char
    if char in _ESCAPES:
        return _ESCAPES[char]
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, read with surrogateescape
        return f"\\x{code - 0xDC00:02x}"
    if char.isprintable():
        return char
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quote_list(texts: Iterable[str]) -> str:
    """Quote a []string as `%q` does: `["a" "b"]`."""
    return "[" + " ".join(quote(text) for text in texts) + "]"


def parse_bool(text: str) -> bool:
    """Read as strconv.ParseBool does. Raises GoValueError."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise GoValueError(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")


def parse_int(text: str, bits: int = 64, *, signed: bool = True, base: int = 0, function: str = "") -> int:
    """Read an integer as strconv.ParseInt (or ParseUint) does: with base 0 also 0x10, 0o17, 017, 1_000.

    `function` is whom the error names. Raises GoValueError in Go's words: what is too large before it is wrong is
    too large.
    """
    function = function or ("ParseInt" if signed else "ParseUint")
    rest = text[1:] if signed and text[:1] in ("+", "-") else text
    underscores = base == 0
    if base == 0:
        base, rest = _base_of(rest)
    elif not rest:
        base = 0
    number = 0
    for digit in rest:
        if underscores and digit == "_":
            continue
        value = int(digit, 36) if digit.isascii() and digit.isalnum() else 99
        if value >= base:
            raise GoValueError(f"strconv.{function}: parsing {quote(text)}: invalid syntax")
        number = number * base + value
        if number >= 1 << bits:
            raise GoValueError(f"strconv.{function}: parsing {quote(text)}: value out of range")
    if not base or ("_" in rest and not _INT_BASE_0.fullmatch(text)):
        raise GoValueError(f"strconv.{function}: parsing {quote(text)}: invalid syntax")
    if text[:1] == "-":
        number = -number
    if signed and not -(1 << bits - 1) <= number < 1 << bits - 1:
        raise GoValueError(f"strconv.{function}: parsing {quote(text)}: value out of range")
    return number


def _base_of(digits: str) -> tuple[int, str]:
    """Return the base that the digits name (0: there is no number), and the digits of the number itself."""
    if digits[:1] != "0":
        return (10 if digits else 0), digits
    base = {"x": 16, "b": 2, "o": 8}.get(digits[1:2].lower(), 0) if len(digits) > 2 else 0
    return (base, digits[2:]) if base else (8, digits[1:])


def parse_float(text: str, bits: int = 64) -> float:
    """Read as strconv.ParseFloat does. Raises GoValueError in Go's words."""
    if not _FLOAT.fullmatch(text):
        raise GoValueError(f"strconv.ParseFloat: parsing {quote(text)}: invalid syntax")
    plain = text.replace("_", "")
    number = float.fromhex(plain) if "x" in plain.lower() else float(plain)
    limit = 3.4028235677973366e38 if bits == 32 else float("inf")
    if "inf" not in text.lower() and (abs(number) >= limit or number in (float("inf"), float("-inf"))):
        raise GoValueError(f"strconv.ParseFloat: parsing {quote(text)}: value out of range")
    return number


def _quote_bytes(text: str) -> str:
    """Quote as package time does for its errors: byte by byte."""
    out = []
    for byte in text.encode("utf-8", "surrogateescape"):
        char = chr(byte)
        out.append(f"\\x{byte:02x}" if byte < 0x20 or byte > 0x7F else f"\\{char}" if char in '"\\' else char)
    return f'"{"".join(out)}"'


def parse_duration(text: str) -> int:
    """Read as time.ParseDuration does; returns nanoseconds. Raises GoValueError in Go's words."""
    rest = text
    sign = 1
    if rest[:1] in ("+", "-") and rest:
        sign = -1 if rest[0] == "-" else 1
        rest = rest[1:]
    if rest == "0":
        return 0
    if not rest:
        raise GoValueError(f"time: invalid duration {_quote_bytes(text)}")
    total = 0
    while rest:
        match = _DURATION_PART.match(rest)
        whole, _, fraction, unit = match.groups() if match else ("", "", "", "")
        if not match or not (whole or fraction):
            raise GoValueError(f"time: invalid duration {_quote_bytes(text)}")
        if int(whole or "0") > 1 << 63:
            raise GoValueError(f"time: invalid duration {_quote_bytes(text)}")
        if not unit:
            raise GoValueError(f"time: missing unit in duration {_quote_bytes(text)}")
        if unit not in _UNITS:
            raise GoValueError(f"time: unknown unit {_quote_bytes(unit)} in duration {_quote_bytes(text)}")
        scale = _UNITS[unit]
        total += int(whole or "0") * scale
        if fraction:
            total += int(fraction) * scale // 10 ** len(fraction)
        if total > 1 << 63:
            raise GoValueError(f"time: invalid duration {_quote_bytes(text)}")
        rest = rest[match.end() :]
    if sign > 0 and total == 1 << 63:
        raise GoValueError(f"time: invalid duration {_quote_bytes(text)}")
    return sign * total
