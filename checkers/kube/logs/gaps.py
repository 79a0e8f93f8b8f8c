"""Owns the one thing in an audit log that is known to come again: leases are renewed, in a steady rhythm.

A lease that was renewed twenty times every few seconds and then is not for minutes, while the log goes on, says that
its holder was down, or that lines were taken out. Which one of them, no log can tell.
Source: kubelet (every 10 s), kube-controller-manager and kube-scheduler (every 2 s).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from checkers.kube.logs.findings import Problem

_STEADY: Final = 20
_LEASES: Final = 5_000
#: A gap is so many times as long as the longest wait before, and at least so many seconds.
_TIMES: Final = 4
_LEAST: Final = 60


@dataclass(slots=True)
class _Rhythm:
    last: int
    number: int = 0
    longest: int = 1


@dataclass(slots=True)
class LeaseGaps:
    """Takes the renewals of leases; gives those that come after a gap. Seconds since 1970."""

    _leases: dict[str, _Rhythm] = field(default_factory=dict)

    def restart(self) -> None:
        """The API server starts: nothing was renewed while it was away."""
        self._leases.clear()

    def renewed(self, lease: str, second: int) -> Problem | None:
        """Take a renewal; say what is wrong with the time since the last one."""
        rhythm = self._leases.get(lease)
        if rhythm is None:
            if len(self._leases) < _LEASES:
                self._leases[lease] = _Rhythm(second)
            return None
        wait = second - rhythm.last
        rhythm.last = second
        if rhythm.number >= _STEADY and wait >= _LEAST and wait > _TIMES * rhythm.longest:
            said = f"{lease} was renewed at least every {rhythm.longest} s, and then not for {wait} s"
            rhythm.number, rhythm.longest = 0, 1
            return Problem("gap", said)
        rhythm.number += 1
        rhythm.longest = max(rhythm.longest, wait)
        return None
