"""Owns starting a node's init and handing it over: until it has begun, it ends with this program."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import lab as package

from ... import procs
from ...errors import LabError
from . import interpreter, manifests, skeleton
from .binaries import ControlPlane
from .boot import Plan
from .handle import ask
from .rootfs import OPT
from .state import StateFolder

NODE = "cks-control-plane"
ADDRESS = "172.30.0.2"
_BEGIN_LIMIT = 30.0
"""Seconds that the first stage and init may take: they take a tenth of one."""
_END_LIMIT = 10.0


class Process(Protocol):
    """A process that `procs.start` made."""

    def wait(self, timeout: float | None = None) -> int: ...


@contextlib.contextmanager
def spawned(state: StateFolder, pace: str, real: ControlPlane | None) -> Iterator[Process]:
    """Start the first stage. Init ends with this block, unless it has begun by then. Raises LabError."""
    process, leash = _spawn(state, pace, real)
    try:
        yield process
    except BaseException:
        # Whoever cleans up has to know init, and the first stage notes it down before it ends.
        with contextlib.suppress(Exception):
            process.wait(_END_LIMIT)
        raise
    finally:
        os.close(leash)


def _spawn(state: StateFolder, pace: str, real: ControlPlane | None) -> tuple[Process, int]:
    """Start the first stage; returns its process and our end of the leash. Raises LabError."""
    runtime = interpreter.find()
    _tools(state, runtime)
    (state.path / "mnt").mkdir(exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        (state.path / "control.sock").unlink()
    plan = Plan(
        state=str(state.path),
        node=NODE,
        address=ADDRESS,
        pace=pace,
        own=skeleton.OWN,
        trees=interpreter.visible_trees(),
        binds=(
            *runtime.binds,
            (str(state.path / "bin"), f"{OPT}/bin"),
            (str(interpreter.kubectl()), f"{OPT}/bin/kubectl"),
            *(real.binds() if real else ()),
        ),
        real={} if real is None else {Path(shown).name: shown for _, shown in real.binds()},
        version=manifests.KUBERNETES if real is None else real.version,
        wrapper=(interpreter.WRAPPER, runtime.wrapper()),
        executable=runtime.executable,
        import_path=runtime.import_path,
        library_path=runtime.library_path,
        path=skeleton.PATH,
    )
    home = Path(package.__file__).resolve().parent.parent
    code = (
        f"import sys; sys.path[1:1] = [{str(home)!r}]; "
        "from lab.drivers.sandbox.boot import main; sys.exit(main(sys.argv))"
    )
    reading, leash = os.pipe()
    with _listening(state.path) as listener, state.log.open("ab") as log:
        try:
            process = procs.start(
                [sys.executable, "-S", "-s", "-P", "-c", code, plan.to_json(), str(listener.fileno()), str(reading)],
                stdout=log,
                stderr=log,
                pass_fds=(listener.fileno(), reading),
            )
        except BaseException:
            os.close(leash)
            raise
        finally:
            os.close(reading)
    return process, leash


@contextlib.contextmanager
def _listening(folder: Path) -> Iterator[socket.socket]:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{door}/control.sock")
        listener.listen(64)
        yield listener
    finally:
        os.close(door)
        listener.close()


def _tools(state: StateFolder, runtime: interpreter.Interpreter) -> None:
    """Write the programs that the node has beside the host's."""
    from .tools import TOOLS, launcher

    folder = state.path / "bin"
    folder.mkdir(exist_ok=True)
    for name in TOOLS:
        (folder / name).write_text(launcher(name, interpreter.WRAPPER, runtime.import_path))
        (folder / name).chmod(0o755)
    for name in skeleton.missing_editors():
        (folder / name).write_text(f'#!/bin/sh\nexec {interpreter.WRAPPER} -m lab.tui.edit "$@"\n')
        (folder / name).chmod(0o755)
    (folder / "kubectl").touch()


def begin(state: StateFolder, process: Process) -> None:
    """Tell init that the files are laid. Raises LabError with what the first stage said, if it ended."""
    code = process.wait(_BEGIN_LIMIT)
    try:
        if code == 0 and ask(state.path, {"op": "begin"}, timeout=_BEGIN_LIMIT).get("ok"):
            return
        said = state.last_words()
    except (OSError, ValueError) as error:
        said = state.last_words() or str(error)
    raise LabError(f"the node {state.path.name} did not start:\n{said}", "cks-lab doctor")
