"""Owns quantities as Kubernetes reads, rounds, compares and writes them: `250m`, `1Gi`, `1e3`, `.5`, even `m`.

Source: apimachinery 1.34, pkg/api/resource (ParseQuantity, CanonicalizeBytes, RoundUp).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

FORMAT_WORDS: Final = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
SUFFIX_WORDS: Final = "unable to parse quantity's suffix"
# Numbers that a pod needs have no more than this; what has more is cut, where Go would fill the memory.
_MOST_EXPONENT: Final = 400

_SHAPE: Final = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*(?:[-+]?[0-9]*)?)", re.ASCII)
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {f"{letter}i": 10 * power for power, letter in enumerate("KMGTPE", 1)}
_DECIMAL_SUFFIX: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX: Final = {0: "", **{exponent // 10: suffix for suffix, exponent in _BINARY.items()}}
_LARGEST: Final = (1 << 63) - 1
_NANO: Final = 10**9


class QuantityError(ValueError):
    """A text that is no quantity; its text is Kubernetes' own."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One quantity: `nano` is its value in units of 10^-9, `form` how it is written (SI, Ki or e).

    `text` is kept where Kubernetes keeps what was written (`1Gi`, but not `1024Mi`); `scale` is the power of ten that
    the number was stored with, None where it needed more than 64 bits. Two quantities of the same value and another
    text or scale make another pod.
    """

    nano: int
    form: str
    text: str
    scale: int | None

    def rounded(self) -> Quantity:
        """Round up to thousandths, away from zero, as is done to all limits and requests."""
        if self.scale is not None and self.scale >= -3:
            return self
        milli = -(-abs(self.nano) // 10**6)
        return Quantity((milli if self.nano >= 0 else -milli) * 10**6, self.form, "", -3 if self.scale else None)

    @property
    def value(self) -> int:
        """The value as a whole number, rounded up (away from zero)."""
        whole = -(-abs(self.nano) // _NANO)
        return whole if self.nano >= 0 else -whole

    def __str__(self) -> str:
        """Return the canonical text: `String()`."""
        if self.text or not self.nano:
            return self.text or "0"
        whole, rest = divmod(abs(self.nano), _NANO)
        sign = "-" if self.nano < 0 else ""
        if self.form == "Ki" and not rest and whole >= 1024:
            power = 0
            while whole % 1024 == 0:
                whole, power = whole // 1024, power + 1
            return f"{sign}{whole}{_BINARY_SUFFIX.get(power, '')}"
        number, exponent = abs(self.nano), -9
        while number % 1000 == 0:
            number, exponent = number // 1000, exponent + 3
        if self.form == "e":
            return f"{sign}{number}" + (f"e{exponent}" if exponent else "")
        return f"{sign}{number}{_DECIMAL_SUFFIX.get(exponent, '')}"


def parse_quantity(text: str) -> Quantity:
    """Read a quantity as ParseQuantity does. Raises QuantityError."""
    if text == "0":
        return Quantity(0, "SI", text, 0)
    found = _SHAPE.fullmatch(text) if text else None
    if found is None:
        raise QuantityError(FORMAT_WORDS)
    sign, whole, fraction, suffix = found.group(1), found.group(2), found.group(3) or "", found.group(4)
    exponent, form = _unit(suffix)
    digits = (whole.lstrip("0") or "0") + fraction
    number = int(digits)
    if form == "Ki":
        return _binary(text, sign, number, len(fraction), exponent, len(digits))
    scale = exponent - len(fraction)
    shift = max(-_MOST_EXPONENT, min(_MOST_EXPONENT, scale + 9))
    nano = number * 10**shift if shift >= 0 else -(-number // 10**-shift)
    small = len(digits) <= 18 and scale >= -9
    kept = small and scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0"
    return Quantity(-nano if sign == "-" else nano, form, text if kept else "", scale if small else None)


def _binary(text: str, sign: str, number: int, places: int, exponent: int, length: int) -> Quantity:
    nano = -(-(number * _NANO << exponent) // 10**places)
    small = not places and 15 - length - int(exponent * 3 / 10) - 1 >= 0 and number << exponent <= _LARGEST
    form = "Ki"
    if not small:
        nano = min(nano, _LARGEST * _NANO)
        form = "SI" if 0 < nano < _NANO else form
    kept = small and number & 7 != 0
    return Quantity(-nano if sign == "-" else nano, form, text if kept else "", 0 if small else None)


def _unit(suffix: str) -> tuple[int, str]:
    """Return the exponent of a suffix and the form it belongs to."""
    if suffix in _DECIMAL:
        return _DECIMAL[suffix], "SI"
    if suffix in _BINARY:
        return _BINARY[suffix], "Ki"
    if suffix[0] in "eE" and re.fullmatch(r"[-+]?[0-9]+", suffix[1:], re.ASCII) and len(suffix) < 19:
        return int(suffix[1:]), "e"
    raise QuantityError(SUFFIX_WORDS)


def quantity(text: str) -> Decimal:
    """Read a quantity; what is none is 0: the decoding has refused it already."""
    try:
        return Decimal(parse_quantity(text).nano) / _NANO
    except QuantityError:
        return Decimal(0)
