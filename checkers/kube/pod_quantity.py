"""Owns quantities as Kubernetes writes them: `250m`, `1Gi`, `1e3`.

Source: apimachinery, pkg/api/resource.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

_SCALES: Final = {
    **{f"{letter}i": Decimal(1 << 10 * power) for power, letter in enumerate("KMGTPE", 1)},
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", 1)},
    "m": Decimal("0.001"),
    "u": Decimal("0.000001"),
    "n": Decimal("0.000000001"),
}


def quantity(text: str) -> Decimal:
    """Read a quantity; what is none is 0: the decoding has refused it already."""
    for suffix, scale in _SCALES.items():
        if text.endswith(suffix):
            text, factor = text.removesuffix(suffix), scale
            break
    else:
        factor = Decimal(1)
    try:
        return Decimal(text) * factor
    except ArithmeticError:
        return Decimal(0)
