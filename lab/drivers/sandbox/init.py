"""Process 1 of a node: it reaps, answers the control sockets, and carries the runtime and the kubelet.

One thread and one loop, because containers are forked from here; all that they need is imported before the first one,
so that they share its memory.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import select
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import setproctitle

from . import file_service, programs
from .containers import Containers
from .control import Door
from .kubelet import log_server
from .kubelet.agent import Kubelet
from .kubelet.clock import SystemClock
from .kubelet.config import Config
from .kubelet.probes import ASKED
from .namespaces import close_all_but, name_thread
from .rootfs import RUN

_FILES_LIMIT = 600
"""Seconds after which a forgotten reader of the node's files is ended."""
_RESTART_AFTER = 1.0


class Init:
    """The node's first process."""

    def __init__(self, told: dict[str, Any], listener: socket.socket, leash: int) -> None:
        self._begun = False
        self._leash: int | None = leash
        self._restart_at: float | None = None
        self._address: str = told["address"]
        self._real = real = dict(told["real"])
        self._containers = Containers(patient=told["pace"] == "real", address=self._address, real=real)
        config = Config(
            node_name=told["node"],
            node_ip=self._address,
            pace=told["pace"],
            version=told["version"],
            asked=frozenset({ASKED, *real}),
        )
        self._kubelet = Kubelet(config, self._containers, SystemClock())
        node_socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        node_socket.bind(f"/{RUN}/node.sock")
        node_socket.listen(64)
        self._doors = [Door(listener, self._answer, _serve_files), Door(node_socket, self._answer, _serve_files)]
        self._woken, wake = socket.socketpair()
        for end in (self._woken, wake):
            end.setblocking(False)
        self._wake = wake
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def run(self) -> NoReturn:
        """Go round for ever; the node ends when this process is killed, or when its leash is cut before it began."""
        wake_at: float | None = None
        while True:
            timeout = None if wake_at is None else max(0.0, wake_at - time.monotonic()) * 1000
            for fd, _ in self._poller().poll(timeout):
                self._ready(fd)
            self._reap()
            due = [self._containers.tick()]
            if self._begun:
                due.append(self._guarded(self._kubelet.tick))
            wake_at = min((moment for moment in due if moment is not None), default=None)

    def _poller(self) -> select.poll:
        # A new one each time: a descriptor that was closed and whose number is in use again cannot be mistaken.
        wanted: dict[int, int] = {self._woken.fileno(): selectors.EVENT_READ}
        if self._leash is not None:
            wanted[self._leash] = selectors.EVENT_READ
        for door in self._doors:
            wanted.update(door.fds())
        wanted.update(dict.fromkeys(self._containers.fds(), selectors.EVENT_READ))
        if self._begun:
            wanted.update(self._kubelet.fds())
        poller = select.poll()
        for fd, events in wanted.items():
            reading = select.POLLIN if events & selectors.EVENT_READ else 0
            writing = select.POLLOUT if events & selectors.EVENT_WRITE else 0
            poller.register(fd, reading | writing)
        return poller

    def _ready(self, fd: int) -> None:
        if fd == self._woken.fileno():
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
        elif fd == self._leash:
            # The driver went away before it had laid the files: nobody will ever begin.
            os._exit(1)
        elif fd in self._containers.fds():
            self._containers.ready(fd)
        elif self._begun and fd in self._kubelet.fds():
            self._guarded(lambda: self._kubelet.ready(fd))
        else:
            for door in self._doors:
                door.ready(fd)

    def _guarded(self, call: Callable[[], float | None]) -> float | None:
        """Call the kubelet. If it crashes it is started anew, as systemd does; the node must not end with it."""
        now = time.monotonic()
        if self._restart_at is not None:
            if now < self._restart_at:
                return self._restart_at
            self._restart_at = None
            self._kubelet.start()
        try:
            return call()
        except Exception:
            traceback.print_exc()
            self._kubelet.stop()
            self._restart_at = now + _RESTART_AFTER
            return self._restart_at

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            self._containers.reaped(pid, code if code >= 0 else 128 - code)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        operation = str(request["op"])
        if operation == "status":
            return {"ok": True, "begun": self._begun}
        if operation == "begin":
            self._begin()
            return {"ok": True}
        if operation.startswith(("cri.", "unit.")):
            return self._kubelet.handle(request)
        return {"error": f"no operation {operation!r}"}

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            if self._leash is not None:
                os.close(self._leash)
                self._leash = None
            self._kubelet.start()
            if self._real:
                _serve_logs(self._address)


def _serve_logs(address: str) -> None:
    """Leave the kubelet's port to a child."""
    if os.fork():
        return
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        close_all_but()
        name_thread("kubelet-logs")
        log_server.serve(address)
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def _serve_files(connection: socket.socket) -> None:
    """Leave a connection to a child that looks at files: a slow disk or reader must not hold init up."""
    if os.fork():
        return
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        signal.alarm(_FILES_LIMIT)
        close_all_but(connection.fileno())
        name_thread("files")
        connection.setblocking(True)
        connection.sendall(b'{"ok": true}\n')
        file_service.serve(connection)
        code = 0
    except OSError as error:
        # The other end went away in the middle of an answer: that is how a reader stops.
        code = 0 if error.errno in (errno.EPIPE, errno.ECONNRESET) else 1
    except BaseException:
        traceback.print_exc()
    os._exit(code)


def main(argv: list[str]) -> NoReturn:
    """Be process 1: `TOLD LISTENER LEASH`, see boot."""
    told, listener, leash = json.loads(argv[1]), int(argv[2]), int(argv[3])
    for fd in (listener, leash):
        os.set_inheritable(fd, False)
    setproctitle.setproctitle(f"cks-lab node {told['node']}: init, containerd and kubelet")
    name_thread("init")
    os.chdir("/")
    os.umask(0o022)
    programs.preload(told["real"])
    gc.collect()
    gc.freeze()
    init = Init(told, socket.socket(fileno=listener), leash)
    init.run()


if __name__ == "__main__":
    main(sys.argv)
