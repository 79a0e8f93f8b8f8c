"""Owns the telling of a start: its steps by name, and the time left as earlier starts had it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ...errors import LabError
from ...home import made, write_whole
from ..base import Progress, Step

_TICK = 1.0


class Steps:
    """The steps of one start. `durations`: the file that keeps how long each took the last time."""

    def __init__(
        self,
        titles: Sequence[str],
        progress: Progress,
        durations: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._titles = list(titles)
        self._progress = progress
        self._path = durations
        self._clock = clock
        self._usual = _read(durations)
        self._taken: dict[str, float] = {}
        self._at = 0
        self._began = clock()
        self._detail = ""
        self._is_usual = True
        self._lock = threading.Lock()

    @property
    def title(self) -> str:
        """The step that is under way; "" before the first."""
        return self._titles[self._at - 1] if self._at else ""

    def begin(self, title: str, detail: str = "", *, usual: bool = True) -> None:
        """Go on to a step; one that is behind already is left alone, one that is under way takes the detail.

        Not `usual`: it takes as long as it takes, which says nothing of another start.
        """
        number = self._titles.index(title) + 1
        with self._lock:
            if number < self._at:
                return
            if number > self._at:
                self._end()
                self._at, self._began = number, self._clock()
            self._detail, self._is_usual = detail, usual
            self._tell()

    def note(self, detail: str) -> None:
        """Say what the step is about right now."""
        with self._lock:
            if detail != self._detail:
                self._detail = detail
                self._tell()

    def done(self) -> None:
        """End the last step and keep how long each took. What cannot be kept is not worth a start."""
        with self._lock:
            self._end()
            usual = {title: (self._usual.get(title, seconds) + seconds) / 2 for title, seconds in self._taken.items()}
            with contextlib.suppress(LabError):
                made(self._path.parent)
                write_whole(self._path, json.dumps({**self._usual, **usual}, indent=1).encode())

    @contextlib.contextmanager
    def ticking(self) -> Iterator[None]:
        """Tell the time left each second while this block runs."""
        over = threading.Event()

        def tick() -> None:
            while not over.wait(_TICK):
                with self._lock:
                    if self._at and self.left() is not None and not over.is_set():
                        self._tell()

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def left(self) -> float | None:
        """Return the seconds that are left, as the last starts were; None where that is not known."""
        ahead = self._titles[self._at :]
        if not self._is_usual or any(title not in self._usual for title in [self.title, *ahead] if title):
            return None
        now = self._usual.get(self.title, 0.0) - (self._clock() - self._began)
        return max(0.0, now) + sum(self._usual[title] for title in ahead)

    def _end(self) -> None:
        if self._at and self._is_usual:
            self._taken[self.title] = self._clock() - self._began

    def _tell(self) -> None:
        left = self.left()
        words = [self._detail] if self._detail else []
        if left is not None and left >= 1:
            words.append(f"about {left:.0f} s left")
        self._progress(Step(self._at, len(self._titles), self.title, ", ".join(words)))


def _read(path: Path) -> dict[str, float]:
    try:
        said = json.loads(path.read_bytes())
        return {str(title): float(seconds) for title, seconds in said.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
