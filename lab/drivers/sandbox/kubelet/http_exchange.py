"""Owns HTTP and HTTPS without waiting: one connection, driven by readiness, for probes and for the API server.

Errors are texts as Go's net/http prints them, because they end in the kubelet's log.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_MOST = 4 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: an HTTP answer, or (status 0) the error that came instead."""

    status: int
    body: bytes = b""
    error: str = ""


class Exchange:
    """One request and its answer on a connection of its own.

    Give `fd` and `wants` to a selector, call `ready` when the descriptor is, `expire` when the time is over; `done` is
    called once, with the answer. With `stream`, each chunk of a 200's body goes to it as it comes.
    """

    def __init__(
        self,
        address: tuple[str, int],
        request: bytes,
        context: ssl.SSLContext | None,
        deadline: float,
        done: Callable[[Answer], None],
        stream: Callable[[bytes], None] | None = None,
    ) -> None:
        self.deadline = deadline
        self.wants = WRITE
        self._host = address[0]
        self._where = f"{address[0]}:{address[1]}"
        self._out = request
        self._context = context
        self._done = done
        self._stream = stream
        self._state = "connect"
        self._received = bytearray()
        self._status = 0
        self._length: int | None = None
        self._chunked = False
        self._body = bytearray()
        self._ended = False
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._socket: socket.socket | ssl.SSLSocket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        # The request follows the handshake's last record: Nagle would hold it for the other side's delayed ACK.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.fd: int = self._socket.fileno()
        try:
            code = self._socket.connect_ex(address)
        except OSError as error:
            code = error.errno or errno.EINVAL
        if code not in (0, errno.EINPROGRESS):
            self._fail(f"dial tcp {self._where}: connect: {os.strerror(code).lower()}")

    @property
    def ended(self) -> bool:
        """Whether `done` was called."""
        return self._ended

    def ready(self) -> None:
        """Go on as far as it goes without waiting."""
        if self._ended:
            return
        try:
            self._advance()
        except (ssl.SSLWantReadError, BlockingIOError):
            self.wants = READ
        except ssl.SSLWantWriteError:
            self.wants = WRITE
        except ssl.SSLCertVerificationError as error:
            self._fail(f"tls: failed to verify certificate: x509: {error.verify_message}")
        except ssl.SSLError as error:
            self._fail("EOF" if "EOF" in str(error) else f"remote error: tls: {(error.reason or 'failure').lower()}")
        except OSError as error:
            self._fail(f"{'read' if self._state == 'read' else 'write'} tcp {self._where}: {_words(error)}")

    def expire(self, words: str = "context deadline exceeded") -> None:
        """Give up."""
        self._fail(words)

    def close(self) -> None:
        """Drop the connection without an answer."""
        self._ended = True
        self._socket.close()

    def _advance(self) -> None:
        if self._state == "connect":
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self._fail(f"dial tcp {self._where}: connect: {os.strerror(code).lower()}")
                return
            if self._context is not None:
                name = self._host if self._context.check_hostname else None
                self._socket = self._context.wrap_socket(
                    self._socket, do_handshake_on_connect=False, suppress_ragged_eofs=True, server_hostname=name
                )
                self._state = "handshake"
            else:
                self._state = "write"
        if self._state == "handshake":
            assert isinstance(self._socket, ssl.SSLSocket)
            self._socket.do_handshake()
            self._state = "write"
        while self._state == "write":
            sent = self._socket.send(self._out)
            self._out = self._out[sent:]
            if not self._out:
                self._state, self.wants = "read", READ
        while not self._ended:
            data = self._socket.recv(65536)
            self._received += data
            if len(self._received) + len(self._body) > _MOST:
                self._fail("http: response body too large")
            elif not data:
                self._closed()
            else:
                self._parse()

    def _closed(self) -> None:
        if self._status and self._length is None and not self._chunked:
            self._finish(Answer(self._status, bytes(self._body + self._received)))
        elif self._status:
            self._fail("unexpected EOF")
        else:
            self._fail("EOF")

    def _parse(self) -> None:
        if not self._status and not self._parse_head():
            return
        if self._chunked:
            self._parse_chunks()
        elif self._length is not None and len(self._received) >= self._length:
            self._finish(Answer(self._status, bytes(self._received[: self._length])))

    def _parse_head(self) -> bool:
        head, blank, rest = bytes(self._received).partition(b"\r\n\r\n")
        if not blank:
            return False
        lines = head.decode("latin-1").split("\r\n")
        words = lines[0].split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
            self._fail(f'malformed HTTP response "{lines[0][:40]}"')
            return False
        self._status = int(words[1])
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        self._chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        length = headers.get("content-length", "")
        self._length = int(length) if length.isdigit() and not self._chunked else None
        if self._status in (204, 304):
            self._length = 0
        self._received = bytearray(rest)
        return True

    def _parse_chunks(self) -> None:
        while not self._ended:
            size_line, found, rest = bytes(self._received).partition(b"\r\n")
            if not found:
                return
            size = int(size_line.split(b";")[0] or b"0", 16)
            if len(rest) < size + 2:
                return
            self._received = bytearray(rest[size + 2 :])
            if size == 0:
                self._finish(Answer(self._status, bytes(self._body)))
            elif self._stream is not None and self._status == 200:
                self._stream(rest[:size])
            else:
                self._body += rest[:size]

    def _finish(self, answer: Answer) -> None:
        if not self._ended:
            self.close()
            self._done(answer)

    def _fail(self, words: str) -> None:
        self._finish(Answer(0, b"", words))


def _words(error: OSError) -> str:
    name = "read" if isinstance(error, ConnectionResetError) else ""
    return f"{name}: {os.strerror(error.errno).lower()}".lstrip(": ") if error.errno else str(error)


def request(method: str, path: str, host: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """Return the bytes of an HTTP/1.1 request on a connection that is used once."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join([*lines, "Connection: close", "", ""])).encode("latin-1") + body
