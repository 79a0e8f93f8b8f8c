"""Owns the last gate before the terminal: whatever a text holds, nothing in it acts on the person's own terminal."""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from ..reports.harmless import UNSAFE


class Harmless(LineFilter):
    """Takes out of every row what a terminal would act on. Screens write it out before, where it is to be seen."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the row, harmless, and as wide as it was."""
        if all(text.isascii() and text.isprintable() for text, _, control in segments if not control):
            return segments
        return [
            segment if segment.control else Segment(UNSAFE.sub(_as_wide, segment.text), segment.style)
            for segment in segments
        ]


def _as_wide(found: re.Match[str]) -> str:
    return "·" * cell_len(found[0])
