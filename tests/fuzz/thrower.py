"""Throws inputs at one target in this process, and prints what came of it as one line of JSON.

    python -m tests.fuzz.thrower TARGET INPUTS SECONDS SEED FILE HANG

FILE holds the input that is under way, for the case that there is no answer at all: after HANG seconds the process ends
itself and says where it was.
"""

from __future__ import annotations

import faulthandler
import json
import sys
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from .inputs import inputs
from .limits import bounded, held_memory, peak_memory
from .targets import TARGETS

# Hypothesis holds on to what it made: some while a test runs, some for as long as the process lives.
_ROUND = 250
_MOST_FAILURES = 10


class _Over(BaseException):
    """The time is over."""


def throw(target: str, count: int, until: float, number: int, now: Path, hang: float) -> dict[str, object]:
    """Throw `count` inputs, or as many as there are before `until` (monotonic seconds)."""
    told: dict[str, object] = {}
    thrown, slowest, peak = 0, 0.0, 0
    failures: dict[str, tuple[bytes, str]] = {}
    failing: list[bytes] = []

    def one(data: bytes) -> None:
        nonlocal thrown, slowest, peak
        if time.monotonic() > until:
            raise _Over
        now.write_bytes(data)
        faulthandler.dump_traceback_later(hang, exit=True)
        thrown += 1
        began = time.process_time()
        try:
            bounded(TARGETS[target], data)
        except Exception:
            failing.append(data)
            raise
        finally:
            faulthandler.cancel_dump_traceback_later()
            slowest = max(slowest, time.process_time() - began)
            peak = max(peak, peak_memory())

    strategy = inputs(target)
    while thrown < count and time.monotonic() < until and len(failures) < _MOST_FAILURES:
        round_of = settings(
            max_examples=min(_ROUND, count - thrown),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
            report_multiple_bugs=False,
        )
        try:
            seed(number + thrown)(round_of(given(strategy)(one)))()
        except _Over:
            break
        except Exception as error:
            # The last that failed is the smallest: hypothesis tries it once more at the end.
            failures.setdefault(f"{type(error).__name__}: {error}"[:500], (failing[-1], ""))
    told |= {"inputs": thrown, "slowest": slowest, "peak": peak, "held": held_memory()}
    return told | {"failures": [(data.hex(), why) for why, (data, _) in failures.items()]}


if __name__ == "__main__":
    name, count, seconds, number, now, hang = sys.argv[1:]
    until = time.monotonic() + float(seconds)
    print(json.dumps(throw(name, int(count), until, int(number), Path(now), float(hang))))
