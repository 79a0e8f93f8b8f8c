"""Owns what the server needs of others before it serves: files for them, and an etcd that answers.

Words: checkers/kube/server/files, those of a real kube-apiserver 1.34; of etcd's client, seen in real logs. There is no
etcd here: CKS_LITE_ETCD names the addresses where the node's etcd would be (without it every one is good),
CKS_LITE_DIAL the seconds that the server tries (the real one 20).
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from checkers.kube.server.files import AFTER_ETCD, AFTER_LOG, ETCD_WORDS, Read, pair_problem, paths
from checkers.kube.server.flags import Flags

from .files import FileError, read
from .klog import Klog, os_error

ETCD = "CKS_LITE_ETCD"
DIAL = "CKS_LITE_DIAL"
_DIALING = "transport: Error while dialing: dial tcp"
_UNKNOWN = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by"


class PeerError(Exception):
    """Why the server cannot do without, in the real one's words."""


class EtcdError(PeerError):
    """Why the server has no storage: the real one ends at once then, by a fatal line of its log."""


def check_files(reads: Sequence[Read], flags: Flags) -> None:
    """Read files in the real one's order. Raises PeerError."""
    for each in reads:
        for path in paths(each, flags):
            _read(each, path)


def check_peers(flags: Flags, klog: Klog) -> None:
    """Read the certificates for etcd, reach it, then those for kubelets and aggregated servers. Raises PeerError."""
    problem = pair_problem(flags)
    if problem:
        raise EtcdError(problem)
    try:
        check_files(AFTER_LOG[1:], flags)
        _pair(flags.get("etcd-certfile"), flags.get("etcd-keyfile"), ETCD_WORDS)
    except PeerError as error:
        raise EtcdError(str(error)) from None
    _reach_etcd(flags, klog)
    check_files(AFTER_ETCD, flags)
    _pair(flags.get("proxy-client-cert-file"), flags.get("proxy-client-key-file"), "{error}")


def _read(each: Read, path: str) -> None:
    try:
        if each.call == "stat":
            os.stat(path)
        else:
            read(path)
    except FileError as error:
        raise PeerError(each.say(path, str(error))) from None
    except OSError as error:
        raise PeerError(each.say(path, os_error(error, each.call, path))) from None


def _pair(certificate: str, key: str, words: str) -> None:
    if not (certificate and key):
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        said = "tls: failed to find any PEM data in certificate input"
        if "MISMATCH" in str(error):
            said = "tls: private key does not match public key"
        raise PeerError(words.replace("{error}", said)) from None


def _reach_etcd(flags: Flags, klog: Klog) -> None:
    """Try for as long as the real one does, and say of each address why it is no good."""
    there = os.environ.get(ETCD)
    servers = flags.get_list("etcd-servers")
    if not there or any(_serves(server, there.split(","), flags) for server in servers):
        return
    for number, server in enumerate(servers):
        host = _host(server)
        where = f"[Channel #1 SubChannel #{number + 2}]grpc: addrConn.createTransport failed to connect to"
        address = f'{{Addr: "{host}", ServerName: "{host}", }}'
        error = f"{_DIALING} {host}: connect: connection refused"
        if host in {_host(known) for known in there.split(",")}:
            error = _no_welcome(server, flags)
        words = f'connection error: desc = "{error}"'
        klog.line("W", "logging.go:55", f"[core] {where} {address}. Err: {words}")
    time.sleep(float(os.environ.get(DIAL) or 0))
    raise EtcdError(ETCD_WORDS.replace("{error}", "context deadline exceeded"))


def _no_welcome(server: str, flags: Flags) -> str:
    """Say how a connection to an etcd that is there ends."""
    if server.startswith("http:"):
        return "error reading server preface: EOF"
    if not flags.get("etcd-cafile"):
        return f"{_UNKNOWN} unknown authority"
    return "error reading server preface: remote error: tls: certificate required"


def _serves(server: str, there: list[str], flags: Flags) -> bool:
    """etcd speaks TLS only, and only with those who show a certificate."""
    scheme, separator, _ = server.partition("://")
    tls = scheme == "https" or not separator
    identified = bool(flags.get("etcd-certfile") and flags.get("etcd-cafile"))
    return tls and identified and _host(server) in {_host(known) for known in there}


def _host(server: str) -> str:
    parts = urlsplit(server if "://" in server else f"//{server}")
    return parts.netloc.lower().replace("localhost", "127.0.0.1")
