"""Owns the containers of a node: it forks them from init, keeps their logs, and knows when they end.

Everything happens in init's one thread, so a fork is safe. A container is two forks: the first enters a pid namespace
and leaves at once, the second is process 1 in it and a child of init.
"""

from __future__ import annotations

import contextlib
import gc
import os
import secrets
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import setproctitle

from . import namespaces as ns
from . import programs
from .container_root import enter
from .crilog import LogFile
from .runtime import START_ERROR, ContainerError, ContainerSpec, ContainerStatus, Mount

STORAGE = "/run/cks-lab/storage"
PODLOGS = "/run/cks-lab/podlogs"

_HIDDEN = (Mount("/var/lib/etcd", STORAGE), Mount("/var/log/pods", PODLOGS, read_only=True))
_HIDDEN_ENV = {"CKS_LITE_STORAGE": STORAGE, "CKS_LITE_PODLOGS": PODLOGS}
_PATIENCE = "60"
"""Seconds; the kubelet's SIGKILL comes earlier."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SETUP_LIMIT = 10.0
"""Seconds that a container's process may take to build its root: it takes milliseconds."""
_CHUNK = 1 << 16


@dataclass
class _Container:
    status: ContainerStatus
    program: str
    argv: tuple[str, ...]
    log: LogFile | None = None
    pipes: dict[int, str] = field(default_factory=dict)
    kill_at: float | None = None


@dataclass(frozen=True, slots=True)
class _Inside:
    """What a container has beside what its pod says.

    `hidden` mounts and environment are the lite API server's; `executable` is the real program to become, "" for ours.
    `stands_in`: ours does, for an API server that is real, what of its work nobody else would.
    """

    hidden: tuple[Mount, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    executable: str = ""
    stands_in: bool = False


class Containers:
    """The node's runtime: see `Runtime` for what the kubelet may ask."""

    def __init__(
        self,
        *,
        wall: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
        patient: bool = False,
        address: str = "",
        real: Mapping[str, str] | None = None,
    ) -> None:
        """`patient`: the lite API server lets its clients' watches hold up its end, and tries to reach an etcd that is
        not there, as long as the real one does. `address` is the node's, where its etcd listens beside 127.0.0.1;
        without it the server asks for no etcd. `real`: which programs are the real ones, and where the node has them.
        """
        self._real = dict(real or {})
        pace = {"CKS_LITE_GRACE": _PATIENCE, "CKS_LITE_DIAL": "20"} if patient else {"CKS_LITE_DIAL": "1"}
        etcd = {"CKS_LITE_ETCD": f"https://127.0.0.1:2379,https://{address}:2379"} if address else {}
        self._hidden_env = {**_HIDDEN_ENV, **pace, **etcd}
        self._wall = wall
        self._monotonic = monotonic
        self._containers: dict[str, _Container] = {}

    def create(self, spec: ContainerSpec) -> str:
        """Make a container and return its id. Raises ContainerError."""
        container_id = secrets.token_hex(32)
        status = ContainerStatus(container_id, spec, "created", None, self._now())
        self._containers[container_id] = _Container(status, "", spec.argv)
        return container_id

    def start(self, container_id: str) -> None:
        """Start the process; when this returns, its root is built and it runs. Raises ContainerError."""
        container = self._containers[container_id]
        try:
            container.program, container.argv = programs.command(container.status.spec)
            self._fork(container)
        except ContainerError as error:
            now = self._now()
            container.status = replace(
                container.status,
                state="exited",
                started=None,
                finished=now,
                exit_code=START_ERROR,
                reason="StartError",
                message=str(error),
            )
            raise

    def stop(self, container_id: str, grace: float) -> None:
        """Send SIGTERM, and SIGKILL after `grace` seconds."""
        container = self._containers.get(container_id)
        if container is None or container.status.state != "running":
            return
        self._signal(container, signal.SIGTERM if grace > 0 else signal.SIGKILL)
        deadline = self._monotonic() + grace
        container.kill_at = deadline if container.kill_at is None else min(container.kill_at, deadline)

    def remove(self, container_id: str) -> None:
        """Forget a container."""
        container = self._containers.pop(container_id, None)
        if container is not None:
            self._signal(container, signal.SIGKILL)
            self._close(container)

    # What init's loop calls.

    def fds(self) -> list[int]:
        """Return the pipes to watch for reading."""
        return [fd for container in self._containers.values() for fd in container.pipes]

    def ready(self, fd: int) -> None:
        """Take what a container wrote."""
        for container in self._containers.values():
            if fd in container.pipes:
                self._read(container, fd)
                return

    def reaped(self, pid: int, exit_code: int) -> None:
        """Note the end of a child of init, if it was a container; `exit_code` is 128 + n after signal n."""
        for container in self._containers.values():
            if container.status.pid == pid and container.status.state == "running":
                for fd in list(container.pipes):
                    while self._read(container, fd):
                        pass
                self._close(container)
                container.kill_at = None
                container.status = replace(
                    container.status, state="exited", finished=self._now(), exit_code=exit_code, pid=None
                )
                return

    def tick(self) -> float | None:
        """Kill those whose grace is over; returns when the next one's is, on the monotonic clock."""
        now = self._monotonic()
        deadlines = []
        for container in self._containers.values():
            if container.kill_at is None:
                continue
            if container.kill_at <= now:
                self._signal(container, signal.SIGKILL)
                container.kill_at = None
            else:
                deadlines.append(container.kill_at)
        return min(deadlines, default=None)

    def list(self) -> list[ContainerStatus]:
        """Return all containers, the newest first."""
        return [container.status for container in reversed(self._containers.values())]

    def _now(self) -> float:
        return self._wall() / 1e9

    def _signal(self, container: _Container, number: int) -> None:
        if container.status.state == "running" and container.status.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(container.status.pid, number)

    def _read(self, container: _Container, fd: int) -> bool:
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            os.close(fd)
            del container.pipes[fd]
            return False
        if container.log is not None:
            container.log.feed(container.pipes[fd], data)
        return True

    def _close(self, container: _Container) -> None:
        for fd in container.pipes:
            os.close(fd)
        container.pipes.clear()
        if container.log is not None:
            container.log.close()
            container.log = None

    def _fork(self, container: _Container) -> None:
        spec = container.status.spec
        inside = self._inside(container)
        for mount in inside.hidden:
            Path(mount.host).mkdir(parents=True, exist_ok=True)
        log = None
        if spec.log_path:
            try:
                log = LogFile(spec.log_path, self._wall)
            except OSError as error:
                raise ContainerError(f"failed to create container log: {error}") from error
        report, told = os.pipe()
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        try:
            pid = os.fork()
        except OSError as error:
            for fd in (report, told, out, out_end, err, err_end):
                os.close(fd)
            raise programs.start_error(f"fork: {error.strerror}") from error
        if pid == 0:
            _first_fork(container, inside, told, out_end, err_end)
        for fd in (told, out_end, err_end):
            os.close(fd)
        container.log = log
        container.pipes = {out: "stdout", err: "stderr"}
        for fd in container.pipes:
            os.set_blocking(fd, False)
        try:
            child = _await_start(report)
        except ContainerError:
            self._close(container)
            raise
        finally:
            os.close(report)
        container.status = replace(container.status, state="running", pid=child, started=self._now())

    def _inside(self, container: _Container) -> _Inside:
        program, spec = container.program, container.status.spec
        if program in self._real:
            return _Inside(executable=self._real[program])
        if program != "kube-apiserver":
            return _Inside(stands_in=bool(self._real))
        limits = {"CKS_LITE_RUN_AS": str(spec.run_as_user), "CKS_LITE_MEMORY": str(spec.memory_limit)}
        return _Inside(_HIDDEN, {**self._hidden_env, **limits})


def _await_start(report: int) -> int:
    """Return the container's pid once its process has built its root. Raises ContainerError with what it said."""
    said = b""
    deadline = time.monotonic() + _SETUP_LIMIT
    while select.select([report], [], [], max(0.0, deadline - time.monotonic()))[0]:
        data = os.read(report, 4096)
        if not data:
            break
        said += data
    words = dict(line.partition(" ")[::2] for line in said.decode("utf-8", "replace").splitlines())
    if "error" in words:
        raise ContainerError(words["error"])
    if "pid" in words and "started" in words:
        return int(words["pid"])
    raise programs.start_error("the container's process ended before it was set up")


def _first_fork(container: _Container, inside: _Inside, told: int, out: int, err: int) -> NoReturn:
    """Enter the namespaces, leave the pid namespace's first process behind, and end."""
    try:
        flags = ns.CLONE_NEWPID | ns.CLONE_NEWIPC
        if not container.status.spec.host_network:
            flags |= ns.CLONE_NEWNET | ns.CLONE_NEWUTS
        ns.unshare(flags)
        pid = os.fork()
        if pid == 0:
            _container(container, inside, told, out, err)
        os.write(told, f"pid {pid}\n".encode())
    except OSError as error:
        os.write(told, f"error {programs.start_error(str(error))}\n".encode())
    os._exit(0)


def _container(container: _Container, inside: _Inside, told: int, out: int, err: int) -> NoReturn:
    """Be the container's process."""
    spec = container.status.spec
    try:
        for number in range(1, signal.NSIG):
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        null = os.open("/dev/null", os.O_RDONLY)
        for source, target in ((null, 0), (out, 1), (err, 2)):
            os.dup2(source, target)
        ns.close_all_but(told)
        ns.unshare(ns.CLONE_NEWNS)
        pod = "" if spec.host_network else spec.pod_name
        if pod:
            socket.sethostname(pod)
            ns.bring_up_loopback()
        enter(
            container.status.id,
            spec.mounts,
            inside.hidden,
            read_only=spec.read_only_root,
            pod=pod,
        )
        _work_in(spec.working_dir or "/")
        # The first process of a pid namespace gets no signal that it has no handler for: until the program has its
        # own, a stop ends it at once.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
        _take_title(container.program, container.argv)
        os.environ.clear()
        os.environ.update({"PATH": _PATH, "HOME": "/", **spec.env, **inside.env})
        gc.enable()
        os.write(told, b"started\n")
        os.close(told)
    except ContainerError as error:
        os.write(told, f"error {error}\n".encode())
        os._exit(START_ERROR)
    except OSError as error:
        os.write(told, f"error {programs.start_error(str(error))}\n".encode())
        os._exit(START_ERROR)
    if inside.executable:
        programs.execute(inside.executable, container.argv, memory_limit=spec.memory_limit, user=spec.run_as_user)
    programs.run(container.program, container.argv, stands_in=inside.stands_in)


def _work_in(folder: str) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    os.chdir(folder)


def _take_title(program: str, argv: Sequence[str]) -> None:
    setproctitle.setproctitle(" ".join(argv))
    ns.name_thread(program)
