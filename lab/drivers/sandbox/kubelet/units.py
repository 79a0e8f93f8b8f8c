"""Owns the units of the node that systemctl speaks of: kubelet and containerd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .clock import Clock, rfc3339_nano
from .log import Journal

DESCRIPTIONS = {
    "kubelet": "kubelet: The Kubernetes Node Agent",
    "containerd": "containerd container runtime",
}


class Units:
    """The state of each unit. containerd cannot be stopped: its containers would have nowhere to be."""

    def __init__(
        self, journal: Journal, clock: Clock, pid: int, start: Callable[[], None], stop: Callable[[], None]
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._pid = pid
        self._start = start
        self._stop = stop
        self._since = dict.fromkeys(DESCRIPTIONS, clock.wall())
        self._active = {"kubelet": False, "containerd": True}

    def starting(self, unit: str) -> None:
        """Note that a unit was started."""
        self._active[unit] = True
        self._since[unit] = self._clock.wall()
        self._journal.write(unit, "systemd", 1, f"Started {unit}.service - {DESCRIPTIONS[unit]}.")

    def stopped(self, unit: str) -> None:
        """Note that a unit was stopped."""
        self._active[unit] = False
        self._since[unit] = self._clock.wall()
        for words in (f"Stopping {unit}.service - {DESCRIPTIONS[unit]}...",):
            self._journal.write(unit, "systemd", 1, words)
        self._journal.write(unit, "systemd", 1, f"{unit}.service: Deactivated successfully.")
        self._journal.write(unit, "systemd", 1, f"Stopped {unit}.service - {DESCRIPTIONS[unit]}.")

    def handle(self, verb: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `show`, `start`, `stop`, `restart` of `request["unit"]` (without .service)."""
        unit = str(request.get("unit", ""))
        if unit not in DESCRIPTIONS:
            return {"missing": True}
        if verb == "show":
            return {
                "unit": unit,
                "description": DESCRIPTIONS[unit],
                "active": self._active[unit],
                "since": rfc3339_nano(self._since[unit]),
                "since_epoch": self._since[unit],
                "pid": self._pid,
            }
        if verb not in ("start", "stop", "restart"):
            return {"error": f"unknown verb {verb!r}"}
        if unit == "containerd":
            if verb != "start":
                self._journal.write(unit, "systemd", 1, f"{unit}.service: containers of this node go on running.")
            return {}
        if verb in ("stop", "restart"):
            self._stop()
        if verb in ("start", "restart"):
            self._start()
        return {}
