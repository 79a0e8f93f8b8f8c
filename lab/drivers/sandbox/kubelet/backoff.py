"""Owns the crash-loop back-off: the first restart is immediate, then 10, 20, 40, 80, 160 and 300 seconds.

An entry is kept per pod UID and container, so a changed manifest or a restarted kubelet starts from nothing.
Source: kubelet 1.34, doBackOff and client-go's flowcontrol.Backoff.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST = 10.0
LONGEST = 300.0
_FORGOTTEN_AFTER = 2 * LONGEST


@dataclass(slots=True)
class _Entry:
    nominal: float
    since: float


class Backoff:
    """Seconds here are nominal, as the log names them; `scale` makes them shorter in effect."""

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._entries: dict[tuple[str, str], _Entry] = {}

    def waits_until(self, key: tuple[str, str], exited: float) -> tuple[float, float] | None:
        """Return (when the wait is over, nominal seconds) of a container that exited at `exited`; None: no wait.

        Moments are on the clock that `exited` is on.
        """
        entry = self._entries.get(key)
        if entry is None or self._expired(entry, exited):
            return None
        return exited + self.effective(entry.nominal), entry.nominal

    def restarted(self, key: tuple[str, str], exited: float) -> None:
        """Note that the container was started again after the exit at `exited`: the next wait is twice as long."""
        entry = self._entries.get(key)
        if entry is None or self._expired(entry, exited):
            self._entries[key] = _Entry(FIRST, exited)
        else:
            entry.nominal = min(entry.nominal * 2, LONGEST)
            entry.since = exited

    def effective(self, nominal: float) -> float:
        """Return the seconds that a nominal wait really takes."""
        return max(nominal * self._scale, min(1.0, nominal))

    def _expired(self, entry: _Entry, now: float) -> bool:
        return now - entry.since > _FORGOTTEN_AFTER * self._scale
