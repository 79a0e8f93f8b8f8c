"""Owns service-account tokens: JSON Web Tokens that this server signs and reads.

Source: golden/protobuf/tokenrequest.json, golden/exchanges (create token, requests of `robot`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from . import files

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

    PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey
    PublicKey = RSAPublicKey | EllipticCurvePublicKey


class KeyFileError(ValueError):
    """A key file that the server cannot start with, in the real one's words."""


class InvalidToken(Exception):
    """A token that this server did not issue, or that is no longer good."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says."""

    namespace: str
    name: str
    uid: str
    token_id: str
    pod: tuple[str, str] | None = None
    node: tuple[str, str] | None = None


class Tokens:
    """Signs and reads tokens. Keys are read at the start and parsed at first use: cryptography costs 10 MB."""

    def __init__(self, issuer: str, audiences: Sequence[str], signing_key: str, key_files: Sequence[str]) -> None:
        self.issuer = issuer
        self.audiences = tuple(audiences) or (issuer,)
        self._signing_pem = (
            _read(signing_key, "failed to parse service-account-issuer-key-file") if signing_key else b""
        )
        self._key_pems = [_read(path, "failed to parse service-account-key-file") for path in key_files]
        self._signing: PrivateKey | None = None
        self._keys: list[PublicKey] | None = None

    @property
    def can_issue(self) -> bool:
        """Say whether there is a key to sign with."""
        return bool(self._signing_pem and self.issuer)

    def issue(self, claims: Claims, *, audiences: Sequence[str], now: int, seconds: int) -> str:
        """Return a signed token that is good from `now` (seconds since 1970) for `seconds`."""
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = self._signing_key()
        public = key.public_key()
        bound: dict[str, Any] = {"namespace": claims.namespace}
        if claims.node:
            bound["node"] = {"name": claims.node[0], "uid": claims.node[1]}
        if claims.pod:
            bound["pod"] = {"name": claims.pod[0], "uid": claims.pod[1]}
        bound["serviceaccount"] = {"name": claims.name, "uid": claims.uid}
        header = {"alg": "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256", "kid": _key_id(public)}
        payload = {
            "aud": list(audiences),
            "exp": now + seconds,
            "iat": now,
            "iss": self.issuer,
            "jti": claims.token_id,
            "kubernetes.io": bound,
            "nbf": now,
            "sub": f"system:serviceaccount:{claims.namespace}:{claims.name}",
        }
        text = f"{_pack(msgspec.json.encode(header))}.{_pack(msgspec.json.encode(payload))}"
        return f"{text}.{_pack(_sign(key, text.encode()))}"

    def read(self, token: str, *, now: int, audiences: Sequence[str] = ()) -> tuple[Claims, tuple[str, ...]]:
        """Return what a token says, and those audiences that it is for. Raises InvalidToken."""
        parts = token.split(".")
        if len(parts) != 3 or not self._key_pems:
            raise InvalidToken("invalid bearer token")
        try:
            payload: Mapping[str, Any] = msgspec.json.decode(_unpack(parts[1]))
            algorithm = msgspec.json.decode(_unpack(parts[0]))["alg"]
            signature = _unpack(parts[2])
            if payload["iss"] != self.issuer:
                raise InvalidToken("invalid bearer token")
            signed = f"{parts[0]}.{parts[1]}".encode()
            if not any(_verify(key, algorithm, signature, signed) for key in self._public_keys()):
                raise InvalidToken("invalid bearer token, square/go-jose: error in cryptographic primitive")
            if now >= payload["exp"]:
                raise InvalidToken("invalid bearer token, service account token has expired")
            if now < payload.get("nbf", 0):
                raise InvalidToken("invalid bearer token, service account token is not valid yet")
            matching = tuple(a for a in (audiences or self.audiences) if a in payload["aud"])
            if not matching:
                raise InvalidToken(
                    f"invalid bearer token, token audiences {payload['aud']!r} is invalid for the target audiences"
                )
            bound = payload["kubernetes.io"]
            account = bound["serviceaccount"]
            pod, node = (bound.get(kind) for kind in ("pod", "node"))
            claims = Claims(
                bound["namespace"],
                account["name"],
                account["uid"],
                payload.get("jti", ""),
                (pod["name"], pod["uid"]) if pod else None,
                (node["name"], node["uid"]) if node else None,
            )
        except (KeyError, TypeError, AttributeError, msgspec.DecodeError, binascii.Error, UnicodeDecodeError) as error:
            raise InvalidToken("invalid bearer token") from error
        return claims, matching

    def public_keys(self) -> list[dict[str, str]]:
        """Return the keys that tokens are checked with, as JSON Web Keys."""
        from cryptography.hazmat.primitives.asymmetric import rsa

        shown = []
        for key in self._public_keys():
            about = {"use": "sig", "kty": "RSA", "kid": _key_id(key), "alg": "RS256"}
            numbers = key.public_numbers()
            if isinstance(key, rsa.RSAPublicKey):
                modulus, exponent = key.public_numbers().n, key.public_numbers().e
                about |= {"n": _pack_number(modulus), "e": _pack_number(exponent)}
            elif not isinstance(numbers, rsa.RSAPublicNumbers):
                about |= {
                    "kty": "EC",
                    "alg": "ES256",
                    "crv": "P-256",
                    "x": _pack_number(numbers.x),
                    "y": _pack_number(numbers.y),
                }
            shown.append(about)
        return shown

    def _signing_key(self) -> PrivateKey:
        if self._signing is None:
            from cryptography.hazmat.primitives import serialization

            self._signing = serialization.load_pem_private_key(self._signing_pem, None)  # type: ignore[assignment]  # RSA or EC
        assert self._signing is not None
        return self._signing

    def _public_keys(self) -> list[PublicKey]:
        if self._keys is None:
            self._keys = [_public_key(pem) for pem in self._key_pems]
        return self._keys


def _read(path: str, saying: str) -> bytes:
    try:
        pem = files.read(path)
    except files.FileError as error:
        raise KeyFileError(f"{saying}: {error}") from None
    if b"-----BEGIN " not in pem:
        kind = "private key PEM" if "issuer" in saying else "valid private or public"
        raise KeyFileError(f"{saying}: data does not contain a {kind} key")
    return pem


def _public_key(pem: bytes) -> PublicKey:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    if b"PRIVATE KEY" in pem:
        return serialization.load_pem_private_key(pem, None).public_key()  # type: ignore[return-value]  # RSA or EC
    if b"BEGIN CERTIFICATE" in pem:
        return x509.load_pem_x509_certificate(pem).public_key()  # type: ignore[return-value]  # RSA or EC
    return serialization.load_pem_public_key(pem)  # type: ignore[return-value]  # RSA or EC


def _key_id(key: PublicKey) -> str:
    from cryptography.hazmat.primitives import serialization

    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return _pack(hashlib.sha256(der).digest())


def _sign(key: PrivateKey, text: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    r, s = utils.decode_dss_signature(key.sign(text, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _verify(key: PublicKey, algorithm: str, signature: bytes, text: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

    try:
        if isinstance(key, rsa.RSAPublicKey):
            if algorithm != "RS256":
                return False
            key.verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
        else:
            if algorithm != "ES256" or len(signature) != 64:
                return False
            pair = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            key.verify(utils.encode_dss_signature(*pair), text, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _pack(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _pack_number(number: int) -> str:
    return _pack(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _unpack(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
