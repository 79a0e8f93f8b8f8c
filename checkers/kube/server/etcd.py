"""Owns whether the API server reaches its etcd: the node's own, as its manifest in the same folder makes it listen.

An etcd on another machine is nobody's to judge. Source: kube-apiserver v1.34.4 and etcd 3.6 with each kind of address
and certificate: tests/golden/server_start_files.jsonl.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from checkers.kube.pods.folder import Folder
from checkers.kube.server.flags import Flags
from checkers.kube.static_pod import argv


@dataclass(frozen=True, slots=True)
class Etcd:
    """An etcd: the hosts and ports it listens at, whether it speaks TLS and asks for a certificate."""

    addresses: frozenset[tuple[str, int]]
    tls: bool = True
    asks_for_certificate: bool = True

    def answers(self, flags: Flags) -> bool:
        """Whether one of --etcd-servers is this etcd and lets the server in, or may be one on another machine."""
        return any(self._serves(server, flags) for server in flags.get_list("etcd-servers"))

    def _serves(self, server: str, flags: Flags) -> bool:
        address = address_of(server)
        if address is None:
            return False
        host, port = address
        if not _is_local(host) and host not in {known for known, _ in self.addresses}:
            return True
        if address not in self.addresses and ("0.0.0.0", port) not in self.addresses:
            return False
        if is_tls(server) != self.tls:
            return False
        identified = bool(flags.get("etcd-certfile") and flags.get("etcd-keyfile"))
        return not self.tls or (bool(flags.get("etcd-cafile")) and (identified or not self.asks_for_certificate))


def _is_local(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def is_tls(server: str) -> bool:
    """Whether an address of etcd asks for TLS: one without a scheme does."""
    scheme, separator, _ = server.partition("://")
    return scheme.lower() == "https" or not separator


def address_of(server: str) -> tuple[str, int] | None:
    """Return host and port of an address of etcd, `localhost` as 127.0.0.1; None for what is none."""
    scheme, separator, rest = server.partition("://")
    if separator and scheme.lower() not in ("http", "https"):
        return None
    try:
        parts = urlsplit(f"//{rest if separator else server}")
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or port is None:
        return None
    return parts.hostname.replace("localhost", "127.0.0.1"), port


def etcd_of(folder: Folder) -> Etcd | None:
    """Return the etcd that a folder of manifests defines; None where it defines none."""
    for entry in folder.after_relist():
        assert entry.pod is not None
        for container in entry.pod.containers:
            words = argv(entry.pod, container)
            if words and words[0].rpartition("/")[2] == "etcd" and entry.pod.host_network:
                return _etcd(words)
    return None


def _etcd(words: Sequence[str]) -> Etcd | None:
    flags = dict(word.lstrip("-").partition("=")[::2] for word in words[1:] if word.startswith("-"))
    urls = [url for url in flags.get("listen-client-urls", "").split(",") if url]
    if not urls:
        return None
    addresses = frozenset(address for address in map(address_of, urls) if address is not None)
    asks = flags.get("client-cert-auth", "") in ("true", "1", "t", "True", "TRUE") or "trusted-ca-file" in flags
    return Etcd(addresses, all(map(is_tls, urls)), asks)
