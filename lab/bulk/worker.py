"""The process that grades bundles, one after the other: a question a line on standard input, an answer a line back.

It bounds itself: memory by a limit of its own, time by an alarm that ends it, whatever it is busy with.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from checkers.registry import CHECKS

from ..errors import LabError

READY = b"ready"
MEMORY = 1 << 30
"""Address space, in bytes: what a bundle of usual size needs ten times over."""


def main(limit: float) -> None:
    """Answer until there is no more question. `limit`: the seconds that one may take."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.dup(1)
    # Whatever else writes to standard output must not be taken for an answer.
    os.dup2(2, 1)
    _bound()
    # What every bundle needs is imported now, and not in the time of the first.
    import_module("lab.grading")
    for place in CHECKS.values():
        import_module(place.partition(":")[0])
    _write(answers, READY)
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_REAL, limit)
        said = answer(json.loads(line))
        signal.setitimer(signal.ITIMER_REAL, 0)
        _write(answers, said)


def answer(question: dict[str, Any]) -> bytes:
    """Grade one bundle, and return the journal's line of it: the question again with the report or the error."""
    from ..grading import grade_bundle

    path = question["source"]
    try:
        report = grade_bundle(Path(path), question["scenario"]).to_dict()
        told = {"verdict": report["verdict"], "report": report}
    except LabError as error:
        told = refused(error.message, error.hint)
    except MemoryError:
        told = refused(f"{path}: needs more than {MEMORY >> 20} MiB of memory to grade", _alone(path))
    except Exception as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        told = refused(f"{path}: a fault of CKS Lab itself: {said}", f"{_alone(path)} keeps the details in a file")
    return json.dumps(question | told, separators=(",", ":")).encode()


def refused(error: str, hint: str, *, again: bool = False) -> dict[str, Any]:
    """Return what is kept of a bundle that was not judged; `again`: another run is to try it once more."""
    return {"verdict": "error", "error": error, "hint": hint, "again": again}


def _alone(path: str) -> str:
    return f"cks-lab grade --bundle {shlex.quote(path)}"


def _bound() -> None:
    try:
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        bound = MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most)
        resource.setrlimit(resource.RLIMIT_AS, (bound, most))
        # A crash of ours must not fill the folder with cores.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    except (ImportError, OSError, ValueError):
        # A system without such limits (macOS has none for memory) grades without them.
        pass


def _write(descriptor: int, line: bytes) -> None:
    left = memoryview(line + b"\n")
    while left:
        left = left[os.write(descriptor, left) :]
