"""The only door to processes: argument lists, always a timeout, and errors that show a command one can paste."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal, NoReturn, TypeAlias

from .errors import LabError

PIPE: Final = subprocess.PIPE
STDOUT: Final = subprocess.STDOUT
Process: TypeAlias = "subprocess.Popen[bytes]"
_OUTPUT_SHOWN = 2_000


@dataclass(frozen=True, slots=True)
class Completed:
    """A process that has ended: its arguments, exit status (negative: the signal) and output."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text; bytes that are not UTF-8 are shown as U+FFFD."""
        return self.stdout.decode("utf-8", "replace")


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
) -> Completed:
    """Run a process to its end and return what it said.

    `timeout` is in seconds; the process and its group are killed when it is over. Raises LabError when the program
    is missing, takes too long, or (with `check`) does not end with 0.
    """
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise LabError(f"{argv[0]}: no such program", f"install it, then: {shlex.join(argv)}") from None
    except OSError as error:
        raise LabError(f"cannot start {argv[0]}: {error.strerror}", shlex.join(argv)) from error
    try:
        stdout, stderr = process.communicate(stdin, timeout)
    except subprocess.TimeoutExpired:
        kill_group(process)
        message = f"no end after {timeout:g} s: {shlex.join(argv)}"
        raise LabError(message, "run it by hand to see where it waits") from None
    except BaseException:
        kill_group(process)
        raise
    done = Completed(tuple(argv), process.returncode, stdout, stderr)
    if check and done.exit_code:
        said = (stderr or stdout).decode("utf-8", "replace").strip()[-_OUTPUT_SHOWN:]
        raise LabError(f"exit status {done.exit_code}: {shlex.join(argv)}\n{said}", shlex.join(argv))
    return done


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that `run` or `start` made, with all that it started, and reap it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.communicate()


def reap(process: subprocess.Popen[bytes], patience: float) -> int:
    """Wait for a process that is about to end, and return its exit status (negative: the signal).

    After `patience` seconds it is killed, with its group.
    """
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        pass
    kill_group(process)
    return process.returncode


def end(process: subprocess.Popen[bytes], grace: float = 5.0) -> None:
    """Ask a process that `start` made to end, and reap it; kill it after `grace` seconds."""
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def start(
    argv: Sequence[str],
    *,
    stdin: int | IO[bytes] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    preexec: Callable[[], None] | None = None,
    new_session: bool = True,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process that outlives the call; the caller ends it or lets it be.

    It has a session of its own, unless it has to ask a person at this terminal.
    """
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.DEVNULL if stdout is None else stdout,
            stderr=subprocess.DEVNULL if stderr is None else stderr,
            env=None if env is None else dict(env),
            pass_fds=pass_fds,
            preexec_fn=preexec,
            start_new_session=new_session,
            cwd=cwd,
        )
    except OSError as error:
        raise LabError(f"cannot start {argv[0]}: {error.strerror}", shlex.join(argv)) from error


def attach(argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
    """Run a process on this very terminal until it ends and return its exit status (128 + n after signal n)."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = subprocess.call(
            argv,
            env=None if env is None else dict(env),
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
        )
    except OSError as error:
        raise LabError(f"cannot start {argv[0]}: {error.strerror}", shlex.join(argv)) from error
    finally:
        signal.signal(signal.SIGINT, previous)
    return code if code >= 0 else 128 - code


def lines(process: subprocess.Popen[bytes], *, of: Literal["stdout", "stderr"] = "stdout") -> Iterator[str]:
    """Yield the lines of a started process's standard output, or error, as they come."""
    stream = process.stdout if of == "stdout" else process.stderr
    assert stream is not None
    for line in stream:
        yield line.decode("utf-8", "replace").rstrip("\n")


def replace(argv: Sequence[str]) -> NoReturn:
    """Become another program."""
    try:
        os.execvp(argv[0], list(argv))
    except OSError as error:
        raise LabError(f"cannot start {argv[0]}: {error.strerror}", shlex.join(argv)) from error
