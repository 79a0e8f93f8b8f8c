"""Owns what init is asked from outside and by the tools on the node: one JSON line a request, one JSON line an answer.

{"op": "status"}     {"ok": true, "begun": bool}
{"op": "begin"}      the files are laid: start the kubelet. {"ok": true}
{"op": "files"}      {"ok": true}; from then on the connection belongs to file_service
{"op": "connect", "port": N}   {"ok": true} with a connected TCP socket (SCM_RIGHTS), or {"error": words}
{"op": "cri.…"} or {"op": "unit.…"}   what the kubelet's `handle` says
"""

from __future__ import annotations

import json
import os
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_LONGEST = 1 << 20
"""Bytes of a request: no tool of ours sends more."""
_AT_ONCE = 64

Handler = Callable[[dict[str, Any]], dict[str, Any]]
"""Answers an operation; raises nothing."""


@dataclass
class _Connection:
    socket: socket.socket
    received: bytearray = field(default_factory=bytearray)
    to_send: bytearray = field(default_factory=bytearray)


class Door:
    """A listening socket and its connections, for init's loop."""

    def __init__(self, listener: socket.socket, handler: Handler, detach: Callable[[socket.socket], None]) -> None:
        """`detach` is given a connection that asked for files, once it has been answered."""
        listener.setblocking(False)
        self._listener = listener
        self._handler = handler
        self._detach = detach
        self._connections: dict[int, _Connection] = {}

    def fds(self) -> dict[int, int]:
        """Return what to wait for: descriptor -> selectors events."""
        wanted = {
            fd: selectors.EVENT_WRITE if connection.to_send else selectors.EVENT_READ
            for fd, connection in self._connections.items()
        }
        if len(self._connections) < _AT_ONCE:
            wanted[self._listener.fileno()] = selectors.EVENT_READ
        return wanted

    def ready(self, fd: int) -> None:
        """Go on with a descriptor that is ready."""
        if fd == self._listener.fileno():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setblocking(False)
            self._connections[connection.fileno()] = _Connection(connection)
        elif fd in self._connections:
            self._go_on(self._connections[fd])

    def _go_on(self, connection: _Connection) -> None:
        try:
            if connection.to_send:
                self._send(connection)
            else:
                self._receive(connection)
        except BlockingIOError:
            return
        except OSError:
            # The other end is gone: nobody waits for an answer.
            self._close(connection)

    def _receive(self, connection: _Connection) -> None:
        data = connection.socket.recv(1 << 16)
        connection.received += data
        if not data or len(connection.received) > _LONGEST:
            self._close(connection)
            return
        line, end, rest = connection.received.partition(b"\n")
        if end:
            connection.received = bytearray(rest)
            self._answer(connection, bytes(line))

    def _answer(self, connection: _Connection, line: bytes) -> None:
        try:
            request = json.loads(line)
            operation = request["op"]
        except (ValueError, KeyError, TypeError):
            self._queue(connection, {"error": "the request cannot be read"})
            return
        if operation == "files":
            del self._connections[connection.socket.fileno()]
            self._detach(connection.socket)
            connection.socket.close()
        elif operation == "connect":
            self._connect(connection, int(request.get("port", 6443)))
        else:
            self._queue(connection, self._handler(request))

    def _connect(self, connection: _Connection, port: int) -> None:
        # To the node's own loopback: it is there or refused at once.
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as target:
            target.settimeout(0.25)
            try:
                target.connect(("127.0.0.1", port))
            except OSError as error:
                self._queue(connection, {"error": os.strerror(error.errno) if error.errno else str(error)})
                return
            target.settimeout(None)
            socket.send_fds(connection.socket, [b'{"ok": true}\n'], [target.fileno()])

    def _queue(self, connection: _Connection, answer: dict[str, Any]) -> None:
        connection.to_send += json.dumps(answer).encode() + b"\n"
        self._send(connection)

    def _send(self, connection: _Connection) -> None:
        try:
            sent = connection.socket.send(connection.to_send)
        except BlockingIOError:
            return
        del connection.to_send[:sent]

    def _close(self, connection: _Connection) -> None:
        del self._connections[connection.socket.fileno()]
        connection.socket.close()
