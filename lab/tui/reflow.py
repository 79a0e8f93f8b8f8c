"""Owns what becomes of a terminal's lines where it gets narrower or lower: they are wrapped anew, nothing is cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Cell: TypeAlias = tuple[object, str]
"""A style and a character; the second cell of a wide character is empty."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `goes_on`: the line had no room in it, and the next row is more of it."""

    cells: list[Cell]
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Rows from the top, the blank ones at the end left out, and the cursor's place in them."""

    rows: list[Row]
    column: int
    row: int


def reflow(page: Page, width: int, blank: Cell) -> Page:
    """Return the page for another width. Its lines are whole; the cursor stays on its character."""
    rows: list[Row] = []
    column = row = 0
    number = 0
    for line in lines(page.rows):
        cells = [cell for part in line for cell in part.cells]
        while cells and cells[-1] == blank:
            cells.pop()
        within = number <= page.row < number + len(line)
        offset = 0
        if within:
            offset = sum(len(part.cells) for part in line[: page.row - number]) + page.column
            cells += [blank] * (offset - len(cells))
        starts = _starts(cells, width)
        if within:
            at = max(n for n, start in enumerate(starts) if start <= offset)
            row, column = len(rows) + at, min(offset - starts[at], width - 1)
        for start, end in zip(starts, [*starts[1:], len(cells)], strict=True):
            kept = cells[start:end]
            rows.append(Row(kept + [blank] * (width - len(kept)), end < len(cells)))
        number += len(line)
    return Page(rows, column, row)


def lines(rows: Sequence[Row]) -> Iterable[list[Row]]:
    """Yield the rows of each line."""
    line: list[Row] = []
    for row in rows:
        line.append(row)
        if not row.goes_on:
            yield line
            line = []
    if line:
        yield line


def text(rows: Sequence[Row]) -> list[str]:
    """Return the lines as text, each in one, however many rows it took."""
    return ["".join(char for row in line for _, char in row.cells).rstrip() for line in lines(rows)]


def _starts(cells: Sequence[Cell], width: int) -> list[int]:
    """Return where the rows of a line begin; a wide character is not taken apart."""
    starts = [0]
    while starts[-1] + width < len(cells):
        end = starts[-1] + width
        if cells[end][1] == "" and width > 1:
            end -= 1
        starts.append(end)
    return starts
