"""Owns the node's certificates, keys and kubeconfigs: the same names, subjects and extensions that kubeadm writes.

Keys are ECDSA P-256, as kubeadm's `encryptionAlgorithm: ECDSA-P256` makes them: fourteen of them cost a few
milliseconds. Source: kubeadm 1.34, cmd/kubeadm/app/phases/certs and phases/kubeconfig.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

CLUSTER = "kubernetes"
DOMAIN = "cluster.local"
SERVICE_IP = "10.96.0.1"
PKI = "etc/kubernetes/pki"
KUBELET_CERTIFICATE = "/var/lib/kubelet/pki/kubelet-client-current.pem"

_YEAR = timedelta(days=365)
_SERVER = ExtendedKeyUsageOID.SERVER_AUTH
_CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
_ADMINS = "kubeadm:cluster-admins"
_MANAGER = "system:kube-controller-manager"
_SCHEDULER = "system:kube-scheduler"


@dataclass(frozen=True, slots=True)
class File:
    """A file of the node: its content and permission bits."""

    content: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def crt(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def pem(self) -> bytes:
        """The key as PEM, `BEGIN EC PRIVATE KEY`."""
        return _pem(self.key)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the program itself needs to speak to the API server as its administrator, whatever the learner changes.

    `master` is the pair of one whom no authorization stops; it is there before there are any roles.
    """

    ca: bytes
    certificate: bytes
    key: bytes
    master: Pair

    def files(self) -> dict[str, bytes]:
        """Return them by the names of their files."""
        admin = {"admin.crt": self.certificate, "admin.key": self.key}
        return {"ca.crt": self.ca, **admin, "master.crt": self.master.crt, "master.key": self.master.pem}


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def authority(name: str, now: datetime) -> Pair:
    """Make a certificate authority as kubeadm does: ten years, its name as a DNS name."""
    return _issue(name, (), (), (name,), (), now, issuer=None)


def _client(name: str, organization: str | None, now: datetime, issuer: Pair) -> Pair:
    return _issue(name, (organization,) if organization else (), (_CLIENT,), (), (), now, issuer)


def _issue(
    name: str,
    organizations: Sequence[str],
    usages: Sequence[ObjectIdentifier],
    dns: Sequence[str],
    addresses: Sequence[str],
    now: datetime,
    issuer: Pair | None,
) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in organizations]
        + [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )
    is_ca = issuer is None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + (10 * _YEAR if is_ca else _YEAR))
        .add_extension(
            x509.KeyUsage(True, False, True, False, False, is_ca, False, False, False),
            critical=True,
        )
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if is_ca:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if issuer is not None:
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False
        )
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Pair(builder.sign(key if issuer is None else issuer.key, hashes.SHA256()), key)


def make(node: str, address: str, now: datetime) -> tuple[dict[str, File], Credentials]:
    """Make all of it for a control-plane node.

    Returns the files by path without the leading slash, and the administrator's credentials. `now` is aware, in UTC.
    """
    ca, front, etcd = (authority(name, now) for name in (CLUSTER, "front-proxy-ca", "etcd-ca"))
    services = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{DOMAIN}")
    members = ((node, "localhost"), (address, "127.0.0.1", "::1"))
    pairs = {
        "ca": ca,
        "front-proxy-ca": front,
        "etcd/ca": etcd,
        "apiserver": _issue(
            "kube-apiserver",
            (),
            (_SERVER,),
            (node, *services, "localhost"),
            (SERVICE_IP, address, "127.0.0.1"),
            now,
            ca,
        ),
        "apiserver-kubelet-client": _client("kube-apiserver-kubelet-client", _ADMINS, now, ca),
        "front-proxy-client": _client("front-proxy-client", None, now, front),
        "apiserver-etcd-client": _client("kube-apiserver-etcd-client", None, now, etcd),
        "etcd/healthcheck-client": _client("kube-etcd-healthcheck-client", None, now, etcd),
        "etcd/server": _issue(node, (), (_SERVER, _CLIENT), *members, now, etcd),
        "etcd/peer": _issue(node, (), (_SERVER, _CLIENT), *members, now, etcd),
    }
    files: dict[str, File] = {}
    for name, pair in pairs.items():
        files[f"{PKI}/{name}.crt"] = File(pair.crt)
        files[f"{PKI}/{name}.key"] = File(pair.pem, 0o600)
    signer = ec.generate_private_key(ec.SECP256R1())
    public = signer.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    files[f"{PKI}/sa.key"] = File(_pem(signer), 0o600)
    files[f"{PKI}/sa.pub"] = File(public, 0o600)

    server = f"https://{address}:6443"
    admin = _client("kubernetes-admin", _ADMINS, now, ca)
    master = _client("kubernetes-super-admin", "system:masters", now, ca)
    users = {
        "admin": ("kubernetes-admin", admin),
        "super-admin": ("kubernetes-super-admin", master),
        "controller-manager": (_MANAGER, _client(_MANAGER, None, now, ca)),
        "scheduler": (_SCHEDULER, _client(_SCHEDULER, None, now, ca)),
        "kubelet": (f"system:node:{node}", None),
    }
    for name, (user, who) in users.items():
        files[f"etc/kubernetes/{name}.conf"] = File(kubeconfig(ca.crt, server, user, who), 0o600)
    files["root/.kube/config"] = files["etc/kubernetes/admin.conf"]

    kubelet = _client(f"system:node:{node}", "system:nodes", now, ca)
    serving_ca = authority(f"{node}-ca", now)
    serving = _issue(node, (), (_SERVER,), (node,), (address,), now, serving_ca)
    files[KUBELET_CERTIFICATE.lstrip("/")] = File(kubelet.crt + kubelet.pem, 0o600)
    files["var/lib/kubelet/pki/kubelet.crt"] = File(serving.crt + serving_ca.crt)
    files["var/lib/kubelet/pki/kubelet.key"] = File(serving.pem, 0o600)
    return files, Credentials(ca.crt, admin.crt, admin.pem, master)


def kubeconfig(ca: bytes, server: str, user: str, pair: Pair | None) -> bytes:
    """Write a kubeconfig as kubeadm does; without a pair it names the kubelet's rotating certificate by its path."""
    if pair is None:
        credentials = f"    client-certificate: {KUBELET_CERTIFICATE}\n    client-key: {KUBELET_CERTIFICATE}\n"
    else:
        credentials = f"    client-certificate-data: {_base64(pair.crt)}\n    client-key-data: {_base64(pair.pem)}\n"
    return (
        "apiVersion: v1\n"
        "clusters:\n"
        "- cluster:\n"
        f"    certificate-authority-data: {_base64(ca)}\n"
        f"    server: {server}\n"
        f"  name: {CLUSTER}\n"
        "contexts:\n"
        "- context:\n"
        f"    cluster: {CLUSTER}\n"
        f"    user: {user}\n"
        f"  name: {user}@{CLUSTER}\n"
        f"current-context: {user}@{CLUSTER}\n"
        "kind: Config\n"
        "users:\n"
        f"- name: {user}\n"
        "  user:\n"
        f"{credentials}"
    ).encode()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
