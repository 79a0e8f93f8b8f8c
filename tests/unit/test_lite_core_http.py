"""HTTP/1.1 of the lite API server, spoken byte by byte over a real connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.drivers.sandbox.lite.http import MAX_BODY, HttpProtocol, HttpRequest, Response

DEADLINE = 60.0


class Echo:
    """Answers with what was asked, and streams until its client goes."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []
        self.streaming = asyncio.Event()
        self.gone = asyncio.Event()

    async def __call__(self, request: HttpRequest) -> Response:
        self.requests.append(request)
        if request.path == "/stream":
            return Response(200, content_type="text/plain", stream=self.stream())
        return Response(200, f"{request.method} {request.path} {len(request.body)}".encode(), "text/plain")

    async def stream(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b"one"
            self.streaming.set()
            await asyncio.sleep(DEADLINE)
        finally:
            self.gone.set()


@asynccontextmanager
async def serving(echo: Echo) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    server = await asyncio.get_running_loop().create_server(lambda: HttpProtocol(echo, set()), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.close()


async def answer(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Read one answer of a known length: its status line and body."""
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), DEADLINE)).decode()
    length = next((int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("Content-Length")), 0)
    return head.split("\r\n")[0], await reader.readexactly(length)


async def exchange(sent: bytes) -> tuple[str, bytes]:
    async with serving(Echo()) as (reader, writer):
        writer.write(sent)
        return await answer(reader)


async def test_several_requests_come_over_one_connection_even_at_once() -> None:
    async with serving(Echo()) as (reader, writer):
        writer.write(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
        assert await answer(reader) == ("HTTP/1.1 200 OK", b"GET /a 0")
        assert await answer(reader) == ("HTTP/1.1 200 OK", b"POST /b 3")


async def test_a_body_may_come_in_chunks() -> None:
    sent = b"PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    assert await exchange(sent) == ("HTTP/1.1 200 OK", b"PUT /c 5")


async def test_any_method_and_any_path_are_passed_on() -> None:
    assert await exchange(b"FOO //api//v1?x=1 HTTP/1.1\r\n\r\n") == ("HTTP/1.1 200 OK", b"FOO //api//v1 0")


async def test_a_path_is_decoded_and_the_target_kept() -> None:
    echo = Echo()
    async with serving(echo) as (reader, writer):
        writer.write(b"GET /a%2Fb%20c?q=%3D&q&r=1 HTTP/1.1\r\n\r\n")
        await answer(reader)
    (request,) = echo.requests
    assert (request.target, request.path) == ("/a%2Fb%20c?q=%3D&q&r=1", "/a/b c")
    assert request.query == {"q": ["=", ""], "r": ["1"]}


async def test_headers_are_read_as_utf_8() -> None:
    echo = Echo()
    async with serving(echo) as (reader, writer):
        writer.write("GET / HTTP/1.1\r\nUser-Agent: kübectl\r\nX: ".encode() + b"\xff\r\n\r\n")
        await answer(reader)
    assert (echo.requests[0].header("user-agent"), echo.requests[0].header("x")) == ("kübectl", "\ufffd")


async def test_who_asks_first_is_told_to_go_on() -> None:
    async with serving(Echo()) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        assert await answer(reader) == ("HTTP/1.1 100 Continue", b"")
        writer.write(b"x")
        assert await answer(reader) == ("HTTP/1.1 200 OK", b"POST / 1")


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /%zz HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_no_request_is_a_400_and_the_end(sent: bytes) -> None:
    async with serving(Echo()) as (reader, writer):
        writer.write(sent)
        text = await asyncio.wait_for(reader.read(), DEADLINE)
    assert text.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"Connection: close" in text


async def test_a_body_that_is_too_large_is_cut_and_the_connection_closed() -> None:
    async with serving(Echo()) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY + 10))
        writer.write(bytes(MAX_BODY))
        assert await answer(reader) == ("HTTP/1.1 200 OK", b"POST / %d" % MAX_BODY)
        assert await asyncio.wait_for(reader.read(), DEADLINE) == b""


async def test_close_is_honoured() -> None:
    async with serving(Echo()) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert (await answer(reader))[1] == b"GET / 0"
        assert await asyncio.wait_for(reader.read(), DEADLINE) == b""


async def test_a_stream_comes_in_chunks_and_ends_when_its_client_goes() -> None:
    echo = Echo()
    async with serving(echo) as (reader, writer):
        writer.write(b"GET /stream HTTP/1.1\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), DEADLINE)
        assert b"Transfer-Encoding: chunked" in head
        assert await reader.readexactly(8) == b"3\r\none\r\n"
        await asyncio.wait_for(echo.streaming.wait(), DEADLINE)
        writer.close()
        await asyncio.wait_for(echo.gone.wait(), DEADLINE)


class Wire(asyncio.Transport):
    """A connection that is never there."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview[int]) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


_PIECES = st.sampled_from(
    [
        b"GET ",
        b"/a",
        b" HTTP/1.1",
        b"\r\n",
        b"\r\n\r\n",
        b"Content-Length: ",
        b"Transfer-Encoding: chunked",
        b"3",
        b"\xff",
        b"%",
    ]
)


@settings(deadline=None)
@given(st.lists(_PIECES | st.binary(max_size=8), max_size=12))
def test_no_bytes_bring_it_down(pieces: list[bytes]) -> None:
    async def converse() -> None:
        wire = Wire()
        protocol = HttpProtocol(Echo(), set())
        protocol.connection_made(wire)
        for piece in pieces:
            protocol.data_received(piece)
        protocol.eof_received()
        await asyncio.wait_for(protocol.finished(), DEADLINE)
        assert wire.closed
        assert protocol.error is None

    asyncio.run(converse())
