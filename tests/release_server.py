"""A server on loopback that has what a release consists of, and fails as it is told to."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lab.setup.release import Urls, architecture

MACHINE = architecture() or "amd64"
SERVER = f"/kube/v1.34.4/bin/linux/{MACHINE}/kube-apiserver"
ETCD_NAME = f"etcd-v3.6.5-linux-{MACHINE}.tar.gz"
ETCD = f"/etcd/v3.6.5/{ETCD_NAME}"
SUMS = "/etcd/v3.6.5/SHA256SUMS"


@dataclass
class Releases:
    """The server's files by path. `cut`: path -> after how many bytes the connection ends, once for each number.

    `status`: path -> what is answered instead; `ranges` False: it knows no parts. `asked`: (path, Range) as they came.
    """

    files: dict[str, bytes]
    address: str = ""
    cut: dict[str, list[int]] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    ranges: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def urls(self) -> Urls:
        """Where to get them."""
        return Urls(f"{self.address}/kube", f"{self.address}/etcd")

    def ask(self, path: str) -> list[str]:
        """Return the ranges that were asked of a file, "" for the whole."""
        return [wanted for asked, wanted in self.asked if asked == path]


def program(says: str) -> bytes:
    """Return a program that only knows its version, and is of a size that takes a while."""
    return f"#!/bin/sh\necho '{says}'\nexit 0\n".encode() + b"#" * 300_000


def releases() -> Releases:
    """Return whole and good releases."""
    server = program("Kubernetes v1.34.4")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        content = program("etcd Version: 3.6.5")
        entry = tarfile.TarInfo(f"etcd-v3.6.5-linux-{MACHINE}/etcd")
        entry.size, entry.mode = len(content), 0o755
        tar.addfile(entry, io.BytesIO(content))
    archive = out.getvalue()
    sums = f"{'0' * 64}  etcd-v3.6.5-darwin-amd64.zip\n{hashlib.sha256(archive).hexdigest()}  {ETCD_NAME}\n"
    return Releases(
        {
            SERVER: server,
            f"{SERVER}.sha256": hashlib.sha256(server).hexdigest().encode(),
            ETCD: archive,
            SUMS: sums.encode(),
        }
    )


@contextmanager
def serving(found: Releases) -> Iterator[Releases]:
    """Serve them while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            found.asked.append((self.path, wanted))
            content = found.files.get(self.path)
            if self.path in found.status or content is None:
                self.send_response(found.status.get(self.path, 404))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and found.ranges else 0
            if begin and begin >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if begin else 200)
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            cuts = found.cut.get(self.path, [])
            until = cuts.pop(0) if cuts else len(content)
            self.wfile.write(content[begin : max(until, begin)])
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()
