"""The API server of a node, asked with what lies on the node: its administrator's kubeconfig.

kubeadm, kind and minikube all leave one there. It is read for the time of the asking, and kept nowhere.
"""

import base64
import contextlib
import http.client
import os
import re
import socket
import ssl
import tempfile
from typing import Callable, List, Mapping, Optional, Tuple

if __package__:  # In the one file that is sent to nodes, what this needs stands above.
    from .host import Host, Missing, NoAccess, NoAnswer, Unreadable

KUBECONFIGS = ("/etc/kubernetes/admin.conf", "/etc/kubernetes/super-admin.conf", "/var/lib/minikube/kubeconfig")
"""Where kubeadm, kind and minikube keep the administrator's access on the node."""
_PARTS = ("certificate-authority", "client-certificate", "client-key")
_KUBECONFIG_LIMIT = 1 << 20
_MOST_MANIFESTS = 100


class KubeApi:
    """The node's own API server, as the administrator whose kubeconfig lies on the node.

    `connect(address, port, timeout)` opens a socket to it. The server is the node's own even where the kubeconfig
    names a load balancer: its address is the loopback, its name `kubernetes`, which every certificate of kubeadm has.
    """

    def __init__(self, host: Host, manifests: str, connect: Callable[[str, int, float], socket.socket]) -> None:
        self._host = host
        self._manifests = manifests
        self._connect = connect
        self._context: Optional[ssl.SSLContext] = None
        self._client: Optional[http.client.HTTPConnection] = None
        self._from = ""
        self._places: List[Tuple[str, int]] = []

    def request(
        self, method: str, path: str, body: Optional[bytes], headers: Mapping[str, str], timeout: float
    ) -> Tuple[int, bytes]:
        """Send one request over the connection that is open, else over a new one. Raises NoAnswer or NoAccess."""
        if self._context is None:
            self._context = self._trust()
        while True:
            kept = self._client is not None
            try:
                client = self._client = self._client or self._open(self._context, timeout)
                client.request(method, path, body, dict(headers, **{"User-Agent": "cks-lab"}))
                answer = client.getresponse()
                content = answer.read()
                if answer.will_close:
                    self.close()
            except (OSError, ValueError, http.client.HTTPException) as error:
                self.close()
                if isinstance(error, ssl.CertificateError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
                    raise NoAccess(f"the API server's certificate is not the cluster's: {error}") from error
                if kept:
                    # The server may have closed it in between: one more try with a new one.
                    continue
                words = str(error) or type(error).__name__
                raise NoAnswer(f"the API server does not answer {method} {path}: {words}") from error
            if answer.status == 401:
                raise NoAccess(f"the API server does not know the administrator of {self._from} (401)")
            return answer.status, content

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _open(self, context: ssl.SSLContext, timeout: float) -> http.client.HTTPConnection:
        refused: Optional[OSError] = None
        for address, port in self._places:
            try:
                plain = self._connect(address, port, timeout)
            except OSError as error:
                refused = refused or error
                continue
            try:
                plain.settimeout(timeout)
                client = http.client.HTTPConnection(address, port, timeout=timeout)
                client.sock = context.wrap_socket(plain, server_hostname="kubernetes")
            except BaseException:
                plain.close()
                raise
            return client
        raise refused or OSError("no port of it is known")

    def _trust(self) -> ssl.SSLContext:
        lacks: List[str] = []
        for path in KUBECONFIGS:
            try:
                text = self._host.read(path, _KUBECONFIG_LIMIT).decode("utf-8", "replace")
                ca, crt, key = (
                    self._part(text, path, name)
                    for name in ("certificate-authority", "client-certificate", "client-key")
                )
                self._from = path
                self._places = self._where(text)
                return _context(ca, crt, key)
            except Missing:
                lacks.append("no " + path)
            except Unreadable as error:
                lacks.append(str(error))
            except (LookupError, ValueError, OSError) as error:
                lacks.append(f"{path}: {error}")
        raise NoAccess("no administrator's kubeconfig on the node ({})".format("; ".join(lacks)))

    def _part(self, text: str, path: str, name: str) -> bytes:
        """Return a PEM that a kubeconfig holds or names. kubeadm, kind and minikube write one user and one cluster."""
        held = re.search(rf"""["']?\b{name}-data["']?:\s*["']?([A-Za-z0-9+/=]+)""", text)
        if held:
            return base64.b64decode(held.group(1))
        named = re.search(rf"""["']?\b{name}["']?:\s*["']?([^\s"',]+)""", text)
        if not named:
            raise LookupError("has no " + name)
        return self._host.read(os.path.join(os.path.dirname(path), named.group(1)), _KUBECONFIG_LIMIT)

    def _where(self, kubeconfig: str) -> List[Tuple[str, int]]:
        """Return where the server may listen: as the manifests say, as the kubeconfig says, as kubeadm does."""
        texts = []
        with contextlib.suppress(Missing, Unreadable):
            for name in self._host.names(self._manifests)[:_MOST_MANIFESTS]:
                with contextlib.suppress(Missing, Unreadable):
                    if self._host.stat(f"{self._manifests}/{name}").kind == "file":
                        texts.append(self._host.read(f"{self._manifests}/{name}", 1 << 20))
        flags = b"\n".join(text for text in texts if b"--etcd-servers" in text)
        bound = re.search(rb"""--bind-address[= "',]+([0-9a-fA-F.:]+)""", flags)
        address = bound.group(1).decode() if bound else "127.0.0.1"
        ports = [int(port) for port in re.findall(rb"""--secure-port[= "',]+(\d+)""", flags)]
        ports += [int(port) for port in re.findall(r"""\bserver["']?:\s*["']?https://\S+?:(\d+)""", kubeconfig)]
        places = [("127.0.0.1" if address in ("0.0.0.0", "::") else address, port) for port in [*ports, 6443]]
        return [place for number, place in enumerate(places) if place not in places[:number]]


def _context(ca: bytes, crt: bytes, key: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ca.decode("ascii"))
    # The library reads a client's certificate and key from a file only: one of our own, gone at once.
    with tempfile.NamedTemporaryFile(prefix="cks-lab-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as file:
        file.write(crt + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)
    return context
