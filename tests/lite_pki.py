"""Small certificates for tests: one authority, one server, a few users. Made once a process (elliptic keys: fast)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_USERS = {
    "admin": ("kubernetes-admin", "kubeadm:cluster-admins"),
    "super": ("super-admin", "system:masters"),
    "jane": ("jane", "developers"),
    "bob": ("bob", ""),
}


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _name(common: str, organization: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organization:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


@lru_cache(maxsize=1)
def pairs() -> dict[str, Pair]:
    """Return `ca`, `server` (127.0.0.1, localhost), `other-ca` and the users."""
    now = datetime.now(UTC)
    made: dict[str, Pair] = {}
    authority = ec.generate_private_key(ec.SECP256R1())

    def issue(
        what: str, subject: x509.Name, signer: ec.EllipticCurvePrivateKey | None = None, *, ca: bool = False
    ) -> None:
        key = authority if what == "ca" else ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if signer is None else _name("kubernetes"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
        )
        if what == "server":
            names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(signer or key, hashes.SHA256())
        made[what] = Pair(certificate.public_bytes(serialization.Encoding.PEM), _pem(key))

    issue("ca", _name("kubernetes"), ca=True)
    issue("other-ca", _name("somebody"), ca=True)
    issue("server", _name("kube-apiserver"), authority)
    for user, (common, organization) in _USERS.items():
        issue(user, _name(common, organization), authority)
    return made


def lay(folder: Path) -> Path:
    """Write all of them into a folder as NAME.crt and NAME.key, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pair in pairs().items():
        (folder / f"{name}.crt").write_bytes(pair.certificate)
        (folder / f"{name}.key").write_bytes(pair.key)
    return folder


def kubeconfig(folder: Path, user: str, port: int, *, token: str = "") -> Path:
    """Write a kubeconfig for a user of `lay`, or for a token, and return its path."""
    who = f'token: "{token}"' if token else f"client-certificate: {folder}/{user}.crt, client-key: {folder}/{user}.key"
    path = folder / f"{user}.conf"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: lab\n"
        f"clusters: [{{name: lab, cluster: {{certificate-authority: {folder}/ca.crt, "
        f'server: "https://127.0.0.1:{port}"}}}}]\n'
        f"users: [{{name: {user}, user: {{{who}}}}}]\n"
        f"contexts: [{{name: lab, context: {{cluster: lab, user: {user}}}}}]\n"
    )
    return path
