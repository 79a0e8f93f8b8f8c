"""Owns how much an input may cost: processor time and memory, measured around one call."""

from __future__ import annotations

import time
from pathlib import Path

from tests.fuzz.targets import Target

SECONDS = 1.0
"""Processor time, so that a busy machine is not taken for a slow answer."""
MEMORY = 300 << 20
"""Bytes: the peak of a process that does nothing else."""
_IDLE = 60 << 20
"""Bytes: what the interpreter and the libraries take of it. What an input costs is measured from what is held before it."""

_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


class TooMuch(AssertionError):
    """An input that costs more than it may."""


def bounded(target: Target, data: bytes, seconds: float = SECONDS) -> None:
    """Throw one input at a target. Raises TooMuch where it takes too long or too much, and whatever the target does."""
    _RESET.write_text("5")
    before = peak_memory()
    began = time.process_time()
    target(data)
    taken = time.process_time() - began
    peak = peak_memory() - before + _IDLE
    if taken > seconds:
        raise TooMuch(f"{taken:.2f} s of processor time for {len(data)} bytes")
    if peak > MEMORY:
        raise TooMuch(f"{peak >> 20} MiB of memory for {len(data)} bytes")


def peak_memory() -> int:
    """Return the process's peak of resident memory since the last reset, in bytes."""
    return _status("VmHWM:")


def held_memory() -> int:
    """Return the process's resident memory, in bytes."""
    return _status("VmRSS:")


def _status(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024
