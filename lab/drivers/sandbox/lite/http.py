"""Owns HTTP/1.1 as a server speaks it: requests in, answers out, streams that end when the client goes.

Our own and not aiohttp's, because memory counts (a hundred labs on one laptop: asyncio alone takes half of what aiohttp
does) and because the real server takes any method, any path and any header, and so must this one.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from checkers.kube.request_info import query_of

MAX_HEAD = 1 << 20
MAX_BODY = 3 * (1 << 20) + 1
"""One byte over what a handler takes (3 MiB), so that it can tell that a body is too large."""


_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_DIGITS = {10: re.compile("[0-9]{1,18}"), 16: re.compile("[0-9A-Fa-f]{1,15}")}


class Malformed(Exception):
    """Bytes that are no HTTP request."""


@dataclass(slots=True)
class HttpRequest:
    """One request. Header names are in lower case; `path` is decoded; `peer` is the client's address.

    `certificate` is the client's certificate (DER) that TLS has verified, `subject` its subject as pairs.
    """

    method: str
    target: str
    headers: Mapping[str, list[str]] = field(default_factory=dict)
    body: bytes = b""
    peer: str = ""
    certificate: bytes | None = None
    subject: tuple[tuple[str, str], ...] = ()
    path: str = ""
    query: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        path, _, query = self.target.partition("?")
        self.path = unquote(path)
        self.query = query_of(query) if query else {}

    def header(self, name: str, default: str = "") -> str:
        """Return the first value of a header (name in lower case)."""
        values = self.headers.get(name)
        return values[0] if values else default


Stream = AsyncGenerator[bytes, None]
Tunnel = Callable[[asyncio.StreamReader, Callable[[bytes], None]], Awaitable[None]]


@dataclass(slots=True)
class Response:
    """An answer: a body, or a stream of chunks, or (status 101) a tunnel that takes the connection over."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    stream: Stream | None = None
    tunnel: Tunnel | None = None


Handler = Callable[[HttpRequest], Awaitable[Response]]


def _number(text: str, base: int) -> int:
    """Read a length. Raises Malformed."""
    if not _DIGITS[base].fullmatch(text):
        raise Malformed("bad length")
    return int(text, base)


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


def head_of(response: Response, *, method: str, keep_alive: bool) -> bytes:
    """Return the status line and headers of an answer."""
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = f"status code {response.status}"
    lines = [f"HTTP/1.1 {response.status} {phrase}", f"Date: {_date(int(time.time()))}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    if response.content_type:
        lines.append(f"Content-Type: {response.content_type}")
    if response.status != 101:
        if response.stream is not None:
            lines.append("Transfer-Encoding: chunked")
        elif response.status not in (204, 304) and not (method == "HEAD" and not response.body):
            lines.append(f"Content-Length: {len(response.body)}")
        if not keep_alive:
            lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


class HttpProtocol(asyncio.Protocol):
    """One connection: reads requests one after the other and answers each before the next."""

    def __init__(self, handler: Handler, connections: set[HttpProtocol]) -> None:
        self._handler = handler
        self._connections = connections
        self._reader = asyncio.StreamReader(limit=MAX_HEAD)
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self.idle = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._reader.set_transport(transport)
        self._connections.add(self)
        self._task = asyncio.get_running_loop().create_task(self._serve(transport))

    def data_received(self, data: bytes) -> None:
        self._reader.feed_data(data)

    def eof_received(self) -> bool:
        self._reader.feed_eof()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        self._reader.feed_eof()
        self._writable.set()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def close(self) -> None:
        """Close the connection; a stream that runs on it ends."""
        if self._transport is not None:
            self._transport.close()
        if self._task is not None:
            self._task.cancel()

    @property
    def error(self) -> BaseException | None:
        """Return what ended the connection that should not have, for who looks."""
        return self._task.exception() if self._task is not None and self._task.done() else None

    async def finished(self) -> None:
        """Wait until nothing runs for this connection any more."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _serve(self, transport: asyncio.Transport) -> None:
        try:
            while not transport.is_closing() and await self._exchange(transport):
                pass
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass
        except Malformed as error:
            text = f"400 Bad Request: {error}" if str(error) else "400 Bad Request"
            response = Response(400, text.encode(), "text/plain; charset=utf-8")
            transport.write(head_of(response, method="GET", keep_alive=False) + response.body)
        finally:
            transport.close()

    async def _exchange(self, transport: asyncio.Transport) -> bool:
        self.idle = True
        head = await self._read_head()
        self.idle = False
        if head is None:
            return False
        method, target, version, headers = head
        if headers.get("expect", [""])[0].lower() == "100-continue":
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body, whole = await self._read_body(headers)
        connection = ",".join(headers.get("connection", ())).lower()
        keep_alive = whole and version == "HTTP/1.1" and "close" not in connection
        request = HttpRequest(method, target, headers, body, *self._peer(transport))
        response = await self._handler(request)
        if response.tunnel is not None:
            transport.write(head_of(response, method=method, keep_alive=True))
            await response.tunnel(self._reader, transport.write)
            return False
        transport.write(head_of(response, method=method, keep_alive=keep_alive))
        if response.stream is not None:
            await self._send_stream(transport, response.stream, silent=method == "HEAD")
        elif method != "HEAD":
            transport.write(response.body)
        await self._writable.wait()
        return keep_alive

    async def _send_stream(self, transport: asyncio.Transport, stream: Stream, *, silent: bool) -> None:
        try:
            async for chunk in stream:
                if chunk and not silent:
                    transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                    await self._writable.wait()
        finally:
            await stream.aclose()
        if not silent:
            transport.write(b"0\r\n\r\n")

    async def _read_head(self) -> tuple[str, str, str, dict[str, list[str]]] | None:
        try:
            text = (await self._reader.readuntil(b"\r\n\r\n")).decode("utf-8", "replace")
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError:
            raise Malformed("header too large") from None
        first, *rest = text[:-4].lstrip("\r\n").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[0] or words[1][0:1] not in ("/", "*"):
            raise Malformed
        if _BAD_ESCAPE.search(words[1].partition("?")[0]):
            raise Malformed
        headers: dict[str, list[str]] = {}
        for line in rest:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise Malformed("invalid header")
            headers.setdefault(name.lower(), []).append(value.strip())
        return words[0], words[1], words[2], headers

    async def _read_body(self, headers: Mapping[str, list[str]]) -> tuple[bytes, bool]:
        """Return the body, cut at MAX_BODY, and whether it was read to its end."""
        if headers.get("transfer-encoding", [""])[0].lower() == "chunked":
            return await self._read_chunks()
        length = headers.get("content-length", ["0"])[0]
        size = _number(length, 10)
        wanted = min(size, MAX_BODY)
        body = await self._reader.readexactly(wanted) if wanted else b""
        return body, wanted == size

    async def _read_chunks(self) -> tuple[bytes, bool]:
        chunks: list[bytes] = []
        total = 0
        while True:
            size = _number((await self._line()).split(";")[0].strip(), 16)
            if total + size > MAX_BODY:
                chunks.append(await self._reader.readexactly(MAX_BODY - total))
                return b"".join(chunks), False
            if size == 0:
                while await self._line():
                    pass
                return b"".join(chunks), True
            chunks.append(await self._reader.readexactly(size))
            total += size
            await self._reader.readexactly(2)

    async def _line(self) -> str:
        try:
            return (await self._reader.readuntil(b"\r\n"))[:-2].decode("latin-1")
        except asyncio.LimitOverrunError:
            raise Malformed("line too long") from None

    @staticmethod
    def _peer(transport: asyncio.Transport) -> tuple[str, bytes | None, tuple[tuple[str, str], ...]]:
        address: Any = transport.get_extra_info("peername")
        peer = address[0] if isinstance(address, tuple) else ""
        secure: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        der = secure.getpeercert(binary_form=True) if secure is not None else None
        if secure is None or der is None:
            return peer, None, ()
        shown: Any = secure.getpeercert() or {}
        return peer, der, tuple((key, value) for part in shown.get("subject", ()) for key, value in part)
