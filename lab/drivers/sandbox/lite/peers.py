"""Owns what the server needs of others before it serves: files for them, and an etcd that answers.

Words: client-go, etcd's client and kube-apiserver 1.34 [source]; a missing certificate of etcd and an etcd that is not
there were seen in real logs. There is no etcd here: CKS_LITE_ETCD names the addresses where the node's etcd would be
(without it every one is good), CKS_LITE_DIAL the seconds that the server tries (the real one 20).
"""

from __future__ import annotations

import os
import ssl
import time
from urllib.parse import urlsplit

from checkers.kube.apiserver_flags import Flags
from checkers.kube.gotext import quote

from .files import FileError, read
from .klog import Klog

ETCD = "CKS_LITE_ETCD"
DIAL = "CKS_LITE_DIAL"
_DIALING = "transport: Error while dialing: dial tcp"
_UNKNOWN = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by"
_OTHERS = ("token-auth-file", "oidc-ca-file", "authentication-config", "authorization-config")


class PeerError(Exception):
    """Why the server cannot do without, in the real one's words."""


def check_authentication(flags: Flags) -> None:
    """Read what tells who sends a request. Raises PeerError."""
    for name in ("requestheader-client-ca-file", *_OTHERS):
        _read(flags.get(name))


def check_configurations(flags: Flags) -> None:
    """Read the configurations that are files of their own. Raises PeerError."""
    path = flags.get("encryption-provider-config")
    before = f"error while parsing file: error opening encryption provider configuration file {quote(path)}: "
    _read(path, before)


def check_admission(flags: Flags) -> None:
    """Read the admission plugins' configuration. Raises PeerError."""
    path = flags.get("admission-control-config-file")
    before = "failed to apply admission: failed to read plugin config: unable to read admission control configuration"
    _read(path, f"{before} from {quote(path)} [", "]")


def check_peers(flags: Flags, klog: Klog) -> None:
    """Read the certificates for etcd, reach it, then those for kubelets and aggregated servers. Raises PeerError."""
    certificate, key = flags.get("etcd-certfile"), flags.get("etcd-keyfile")
    if certificate or key:
        if not (certificate and key):
            raise PeerError(f"KeyFile and CertFile must both be present[key: {key}, cert: {certificate}]")
        _pair(certificate, key)
    _read(flags.get("etcd-cafile"))
    _reach_etcd(flags, klog)
    _read(flags.get("kubelet-certificate-authority"))
    for certificate, key in (
        (flags.get("kubelet-client-certificate"), flags.get("kubelet-client-key")),
        (flags.get("proxy-client-cert-file"), flags.get("proxy-client-key-file")),
    ):
        if certificate and key:
            _pair(certificate, key)
        else:
            _read(certificate)
            _read(key)


def _read(path: str, before: str = "", after: str = "") -> None:
    if path:
        try:
            read(path)
        except FileError as error:
            raise PeerError(f"{before}{error}{after}") from None


def _pair(certificate: str, key: str) -> None:
    _read(certificate)
    _read(key)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        if "MISMATCH" in str(error):
            raise PeerError("tls: private key does not match public key") from None
        raise PeerError("tls: failed to find any PEM data in certificate input") from None


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
    raise PeerError("context deadline exceeded")


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
