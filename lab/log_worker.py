"""The process that reads parts of a log for another: a function on standard input, then its parts; an answer each back.

All of them are pickled. It imports nothing but what reads the parts: it is to be ready soon.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from typing import Any


def main() -> None:
    """Say that all is imported, and answer until there are no more parts."""
    with os.fdopen(os.dup(1), "wb") as answers:
        # Whatever else writes to standard output must not be taken for an answer.
        os.dup2(2, 1)
        read: Callable[[Any], Any] = pickle.load(sys.stdin.buffer)
        pickle.dump("ready", answers)
        answers.flush()
        while True:
            try:
                part = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            try:
                said = (True, read(part))
            except Exception as error:
                said = (False, error)
            answers.write(pickle.dumps(said))
            answers.flush()
