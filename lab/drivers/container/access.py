"""Owns the way to a node's API server from this machine: its published port and the administrator's own certificate."""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import __version__

from ...errors import LabError
from ..base import ApiResponse


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a kubeconfig has for its current context, each a PEM."""

    ca: bytes
    certificate: bytes
    key: bytes

    @classmethod
    def of(cls, kubeconfig: Path) -> Credentials:
        """Read a kubeconfig; what it keeps in other files is read there. Raises LabError."""
        try:
            said = yaml.safe_load(kubeconfig.read_bytes())
            context = _named(said["contexts"], said["current-context"])["context"]
            cluster = _named(said["clusters"], context["cluster"])["cluster"]
            user = _named(said["users"], context["user"])["user"]
            return cls(
                _pem(cluster, "certificate-authority", kubeconfig),
                _pem(user, "client-certificate", kubeconfig),
                _pem(user, "client-key", kubeconfig),
            )
        except (OSError, ValueError, KeyError, TypeError, LookupError, yaml.YAMLError) as error:
            raise LabError(f"{kubeconfig} cannot be used: {error}", "cks-lab status") from error


class ApiPort:
    """The API server behind a published port. One connection is kept; may be used from several threads.

    `where` looks the port up: it may be another one after a restart of the container. `server_name` is a name that the
    server's certificate has whatever its address is.
    """

    def __init__(
        self, lab: str, kubeconfig: Path, where: Callable[[], tuple[str, int]], server_name: str = "kubernetes"
    ) -> None:
        self._lab = lab
        self._kubeconfig = kubeconfig
        self._where = where
        self._name = server_name
        self._context: tuple[int, ssl.SSLContext] | None = None
        self._client: http.client.HTTPConnection | None = None
        self._place: tuple[str, int] | None = None
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 5.0,
    ) -> ApiResponse:
        """Send one request. Raises LabError if nothing answers."""
        sent = {"User-Agent": f"cks-lab/{__version__}", **(headers or {})}
        with self._lock:
            for last in (False, True):
                kept = self._client is not None
                try:
                    client = self._client = self._client or self._open(timeout)
                    if client.sock is not None:
                        client.sock.settimeout(timeout)
                    client.request(method, path, body, sent)
                    answer = client.getresponse()
                    content = answer.read()
                    if answer.will_close:
                        self._close()
                    return ApiResponse(answer.status, dict(answer.getheaders()), content)
                except (OSError, ValueError, http.client.HTTPException) as error:
                    self._close()
                    # A kept connection may have been closed in between: one more try with a new one.
                    if kept and not last and not isinstance(error, TimeoutError):
                        continue
                    said = str(error) or type(error).__name__
                    raise LabError(
                        f"the API server of {self._lab} does not answer {method} {path}: {said}",
                        f"cks-lab shell --lab {self._lab} -- crictl ps -a",
                    ) from error
        raise AssertionError

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _open(self, timeout: float) -> http.client.HTTPConnection:
        context = self._trust()
        first = self._place
        if first is not None:
            with contextlib.suppress(OSError):
                return self._connect(first, context, timeout)
        self._place = self._where()
        return self._connect(self._place, context, timeout)

    def _connect(self, place: tuple[str, int], context: ssl.SSLContext, timeout: float) -> http.client.HTTPConnection:
        plain = socket.create_connection(place, timeout)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client = http.client.HTTPConnection(*place, timeout=timeout)
            client.sock = context.wrap_socket(plain, server_hostname=self._name)
            return client
        except BaseException:
            plain.close()
            raise

    def _trust(self) -> ssl.SSLContext:
        try:
            made = self._kubeconfig.stat().st_mtime_ns
        except OSError as error:
            raise LabError(f"the lab {self._lab} is gone: no {self._kubeconfig}", "cks-lab status") from error
        if self._context is None or self._context[0] != made:
            self._context = (made, _context(Credentials.of(self._kubeconfig)))
        return self._context[1]


def _context(held: Credentials) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=held.ca.decode("ascii"))
    # The library reads a client's certificate and key from a file only: one of our own, gone at once.
    with tempfile.NamedTemporaryFile(prefix="cks-lab-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as file:
        file.write(held.certificate + b"\n" + held.key)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _named(items: Any, name: object) -> Any:
    return next(item for item in items if item["name"] == name)


def _pem(holder: Mapping[str, Any], name: str, kubeconfig: Path) -> bytes:
    if held := holder.get(f"{name}-data"):
        return base64.b64decode(held)
    return Path(kubeconfig.parent, os.path.expanduser(str(holder[name]))).read_bytes()
