"""What init's sockets answer, also to those who ask nonsense, stop half-way or go away."""

from __future__ import annotations

import json
import select
import selectors
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.drivers.sandbox import file_service
from lab.drivers.sandbox.control import Door


class Bench:
    """A door and the loop that init would run for it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "s"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        listener.listen()
        self.files: list[socket.socket] = []
        self.door = Door(listener, lambda request: {"said": request["op"]}, lambda door: self.files.append(door.dup()))

    def client(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(str(self.path))
        return client

    def turn(self) -> None:
        """Go round until nothing is ready."""
        while True:
            poller = select.poll()
            for fd, events in self.door.fds().items():
                poller.register(fd, select.POLLIN if events == selectors.EVENT_READ else select.POLLOUT)
            ready = poller.poll(20)
            if not ready:
                return
            for fd, _ in ready:
                self.door.ready(fd)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def answer(client: socket.socket) -> Any:
    return json.loads(client.makefile("rb").readline())


def test_a_line_is_answered_by_a_line(bench: Bench) -> None:
    client = bench.client()
    client.sendall(b'{"op": "cri.ps"}\n')
    bench.turn()
    assert answer(client) == {"said": "cri.ps"}
    client.sendall(b'{"op": "status"}\n')
    bench.turn()
    assert answer(client) == {"said": "status"}


def test_a_line_may_come_in_pieces(bench: Bench) -> None:
    client = bench.client()
    for piece in (b'{"op": ', b'"uni', b't.stop"}\n'):
        client.sendall(piece)
        bench.turn()
    assert answer(client) == {"said": "unit.stop"}


@pytest.mark.parametrize("line", [b"\n", b"nonsense\n", b"[]\n", b'{"no": "op"}\n', b"\xff\xfe\n", b"3\n"])
def test_nonsense_is_told_so(bench: Bench, line: bytes) -> None:
    client = bench.client()
    client.sendall(line)
    bench.turn()
    assert "error" in answer(client)


def test_a_line_without_end_is_cut_off(bench: Bench) -> None:
    client = bench.client()
    client.setblocking(False)
    sent = 0
    while sent < 3 << 20:
        try:
            sent += client.send(b"x" * 65536)
        except BlockingIOError:
            bench.turn()
        except OSError:
            break
    assert sent < 3 << 20
    assert len(bench.door.fds()) == 1


def test_one_who_goes_away_leaves_nothing_behind(bench: Bench) -> None:
    client = bench.client()
    client.sendall(b'{"op"')
    bench.turn()
    client.close()
    bench.turn()
    assert len(bench.door.fds()) == 1


def test_one_who_asks_for_files_is_handed_on(bench: Bench) -> None:
    client = bench.client()
    client.sendall(b'{"op": "files"}\n')
    bench.turn()
    [handed] = bench.files
    handed.sendall(b"now from another\n")
    assert client.recv(100) == b"now from another\n"
    assert len(bench.door.fds()) == 1


def test_a_port_of_the_node_is_handed_out_as_a_socket(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = bench.client()
        client.sendall(json.dumps({"op": "connect", "port": server.getsockname()[1]}).encode() + b"\n")
        bench.turn()
        said, [fd], _, _ = socket.recv_fds(client, 100, 1)
        assert json.loads(said) == {"ok": True}
        with socket.socket(fileno=fd) as handed, server.accept()[0] as accepted:
            handed.sendall(b"hello")
            assert accepted.recv(10) == b"hello"


def test_a_closed_port_is_an_answer(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    client = bench.client()
    client.sendall(json.dumps({"op": "connect", "port": port}).encode() + b"\n")
    bench.turn()
    assert answer(client) == {"error": "Connection refused"}


@pytest.fixture
def asks() -> Iterator[socket.socket]:
    here, there = socket.socketpair()
    here.settimeout(5)
    worker = threading.Thread(target=file_service.serve, args=(there,))
    worker.start()
    yield here
    here.close()
    worker.join(5)
    assert not worker.is_alive()


@pytest.mark.parametrize("line", [b"{}\n", b"[]\n", b'{"op": "rm", "path": "/"}\n', b'{"op": "read"}\n', b"\n"])
def test_the_file_service_says_what_it_cannot_read_and_goes_on(
    asks: socket.socket, tmp_path: Path, line: bytes
) -> None:
    asks.sendall(line)
    lines = asks.makefile("rb")
    assert "unreadable" in json.loads(lines.readline())
    (tmp_path / "file").write_text("content")
    asks.sendall(json.dumps({"op": "read", "path": str(tmp_path / "file"), "limit": 4}).encode() + b"\n")
    assert json.loads(lines.readline()) == {"size": 4}
    assert lines.read(4) == b"cont"


def test_the_file_service_stops_when_its_reader_leaves_in_the_middle(asks: socket.socket, tmp_path: Path) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(64 << 20)
    asks.sendall(json.dumps({"op": "stream", "path": str(tmp_path / "big")}).encode() + b"\n")
    assert asks.recv(10)
