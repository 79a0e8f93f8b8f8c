"""Owns which programs the images of the control plane hold here, and what each of them does in its container.

kube-apiserver is the lite one, or the real one with a real etcd. The others are processes that stay up: nothing needs
their work here, and they say so in their log; but a real API server needs a little of kube-controller-manager's.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Collection, Sequence
from typing import NoReturn

from checkers.kube.server.fate import LEAST_MEMORY

from .runtime import START_ERROR, ContainerError, ContainerSpec

_START = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: "
)

_IDLE = {
    "etcd": "the lite API server keeps its objects itself",
    "kube-controller-manager": "the lite API server does what is needed of it itself",
    "kube-scheduler": "no pods are scheduled on a sandbox node",
    "kube-proxy": "no services are proxied on a sandbox node",
    "coredns": "no names are served on a sandbox node",
    "pause": "",
}
_ENTRYPOINTS = {"coredns": "/coredns", "pause": "/pause"}
"""Images that have an entrypoint: a pod may give no command for them."""

_SERVER = "kube-apiserver"
_CONTROLLERS = "kube-controller-manager"
_FOLDERS = ("/usr/local/bin/", "/usr/bin/", "/bin/", "/")


def start_error(text: str) -> ContainerError:
    """Return the error of a container that runc could not start."""
    return ContainerError(f"{_START}{text}: unknown")


def image_name(image: str) -> str:
    """Return the last part of an image's name, without tag and digest."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def command(spec: ContainerSpec) -> tuple[str, tuple[str, ...]]:
    """Return the program's name and the whole command line of a container.

    Raises ContainerError in runc's words where its image has no such program.
    """
    image = image_name(spec.image)
    argv = spec.argv
    if image in _ENTRYPOINTS and (not argv or argv[0].startswith("-")):
        argv = (_ENTRYPOINTS[image], *argv)
    if not argv:
        raise ContainerError("failed to generate container spec: no command specified")
    known = image == _SERVER or image in _IDLE
    asked = argv[0]
    if known and (asked == image or asked in {folder + image for folder in _FOLDERS}):
        return image, argv
    if "/" in asked:
        raise start_error(f'exec: "{asked}": stat {asked}: no such file or directory')
    raise start_error(f'exec: "{asked}": executable file not found in $PATH')


def execute(path: str, argv: Sequence[str], *, memory_limit: int, user: int) -> NoReturn:
    """Become a real program. `memory_limit` in bytes and the number of the `user`; 0 is none, and root."""
    if os.path.basename(path) == _SERVER:
        if user:
            _as_user(user, argv)
        if 0 < memory_limit < LEAST_MEMORY:
            # There are no cgroups here to do it: a real one gets as far as its first requests.
            os._exit(128 + signal.SIGKILL)
    try:
        os.execv(path, [*argv])
    except OSError as error:
        print(f"{argv[0]}: {path}: {error.strerror}; cks-lab doctor", file=sys.stderr, flush=True)
    os._exit(START_ERROR)


def _as_user(user: int, argv: Sequence[str]) -> None:
    """End as an API server of that user does, where it may not read its files: no process here can be another user."""
    from .lite.files import RUN_AS
    from .lite.server import refusal

    os.environ[RUN_AS] = str(user)
    refused = refusal([_SERVER, *argv[1:]])
    del os.environ[RUN_AS]
    if refused is not None:
        print(refused[1], end="", file=sys.stderr, flush=True)
        os._exit(refused[0])


def run(program: str, argv: Sequence[str], *, stands_in: bool = False) -> NoReturn:
    """Be the program until it ends, and end the process with its exit code (2 after a crash of ours, as in Go).

    `stands_in`: the API server is a real one, which leaves some of a cluster's work to other programs.
    """
    code = 2
    try:
        if program == _SERVER:
            code = _server()([program, *argv[1:]])
        elif stands_in and program == _CONTROLLERS:
            code = _controllers()([program, *argv[1:]])
        else:
            _idle(program)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def preload(real: Collection[str] = ()) -> None:
    """Import what the programs need that are ours, so that every container shares the memory of it."""
    if _SERVER in real:
        _controllers()
    else:
        _server()


def _controllers() -> Callable[[list[str]], int]:
    from .controllers import serve

    return serve


def _server() -> Callable[[list[str]], int]:
    from .lite.server import serve

    return serve


def _idle(program: str) -> NoReturn:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    if _IDLE[program]:
        print(f"{program} (stand-in): {_IDLE[program]}", file=sys.stderr, flush=True)
    while True:
        signal.pause()
