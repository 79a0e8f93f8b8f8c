"""Owns how a setup tells what it does, and how far it has got: whoever shows it listens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal, Protocol

Unit = Literal["bytes", "packages"]
Told = Callable[[int], None]


class News(Protocol):
    """Listens to a setup."""

    def say(self, text: str) -> None:
        """Take one sentence for the person."""
        ...

    def work(self, label: str, total: int, unit: Unit, done: int = 0) -> AbstractContextManager[Told]:
        """Begin a piece of work of that length, `done` of it from an earlier run; what it returns is told more done."""
        ...


def size(count: float) -> str:
    """Return bytes for people."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
