"""Owns the server's TLS: its own certificate, and the certificate authority that clients are checked against."""

from __future__ import annotations

import hashlib
import ssl

from .files import FileError, read


class TlsError(ValueError):
    """Certificates that a server cannot start with, in the real one's words."""


def server_context(certificate: str, key: str, client_ca: str) -> ssl.SSLContext:
    """Return what the listening socket needs. `client_ca` "" asks clients for no certificate. Raises TlsError.

    HTTP/2 is not offered; kubectl is as happy with HTTP/1.1.
    """
    for path in (certificate, key):
        _read(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    # A ticket per connection costs memory and time; kubectl does not come back with one.
    context.num_tickets = 0
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        reason = (
            "private key does not match public key"
            if "MISMATCH" in str(error)
            else "failed to find any PEM data in certificate input"
        )
        raise TlsError(f"tls: {reason}") from None
    if client_ca:
        pem = _read(client_ca)
        try:
            context.load_verify_locations(cadata=pem.decode("ascii", "replace"))
        except ssl.SSLError:
            raise TlsError(
                "unable to load client CA provider: data does not contain any valid RSA or ECDSA certificates"
            ) from None
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _read(path: str) -> bytes:
    try:
        return read(path)
    except FileError as error:
        raise TlsError(str(error)) from None


def credential_id(der: bytes) -> str:
    """Return what the API server calls a client certificate in `extra` and in the audit log."""
    return "X509SHA256=" + hashlib.sha256(der).hexdigest()
