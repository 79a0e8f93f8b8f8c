"""The one door to the minikube program. Tests put recordings of the real one in its place.

Every call gets a kubeconfig of ours: minikube writes into the first file that KUBECONFIG names, so that the person's
own and its current context stay as they are. Source: minikube pkg/minikube/kubeconfig, PathFromEnv.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from ... import procs
from ...errors import LabError
from ...procs import Completed

PROGRAM = "minikube"
_GRACE = 10.0
"""Seconds that an interrupted minikube may take to end."""


class Cli(Protocol):
    """The minikube program."""

    def run(self, args: Sequence[str], *, timeout: float, kubeconfig: Path | None = None) -> Completed:
        """Run it to its end; a status other than 0 is an answer.

        Raises LabError where the program is missing or takes too long.
        """
        ...

    def stream(
        self, args: Sequence[str], line: Callable[[str], None], *, timeout: float, kubeconfig: Path | None = None
    ) -> Completed:
        """Run it as `run` does, and tell each line of its standard output as it comes."""
        ...


class Minikube:
    """The program on PATH."""

    def run(self, args: Sequence[str], *, timeout: float, kubeconfig: Path | None = None) -> Completed:
        """Run it to its end."""
        return procs.run([PROGRAM, *args], timeout=timeout, env=_environment(kubeconfig), check=False)

    def stream(
        self, args: Sequence[str], line: Callable[[str], None], *, timeout: float, kubeconfig: Path | None = None
    ) -> Completed:
        """Run it and tell each line as it comes. When this is interrupted it is ended, with all that it started."""
        argv = [PROGRAM, *args]
        said: list[str] = []
        over = threading.Event()
        with tempfile.TemporaryFile() as errors:
            process = procs.start(argv, stdout=procs.PIPE, stderr=errors, env=_environment(kubeconfig))

            def end() -> None:
                procs.end(process, _GRACE)
                procs.kill_group(process)

            def too_long() -> None:
                over.set()
                end()

            clock = threading.Timer(timeout, too_long)
            clock.start()
            try:
                for each in procs.lines(process):
                    said.append(each)
                    line(each)
                process.wait()
            except BaseException:
                end()
                raise
            finally:
                clock.cancel()
            errors.seek(0)
            done = Completed(tuple(argv), process.returncode, "".join(f"{x}\n" for x in said).encode(), errors.read())
        if over.is_set():
            raise LabError(f"no end after {timeout:g} s: {' '.join(argv)}", "run it by hand to see where it waits")
        return done


def _environment(kubeconfig: Path | None) -> dict[str, str]:
    """Return this process's environment with a kubeconfig of ours, and without what changes the form of the output."""
    env = {name: value for name, value in os.environ.items() if name not in ("MINIKUBE_PROFILE", "KUBECONFIG")}
    quiet = {"MINIKUBE_IN_STYLE": "false", "MINIKUBE_WANTUPDATENOTIFICATION": "false"}
    return {**env, **quiet, "KUBECONFIG": str(kubeconfig or os.devnull)}
