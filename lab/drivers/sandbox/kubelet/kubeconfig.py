"""Owns the kubelet's way to the API server: where it is, and the TLS with the node's own certificate."""

from __future__ import annotations

import base64
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from .hostpath import on_node


@dataclass(frozen=True, slots=True)
class Access:
    """The API server's address and the TLS to speak to it; `url` has no path. `authority` is its CA in PEM."""

    url: str
    host: str
    port: int
    context: ssl.SSLContext | None
    authority: str = ""


def load(path: str, root: Path) -> Access:
    """Read a kubeconfig on the node. Raises ValueError or OSError (ssl's errors included) where it is not usable."""
    text = on_node(root, path).read_bytes()
    try:
        config = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        cluster = config["clusters"][0]["cluster"]
        user = config["users"][0]["user"]
        url = str(cluster["server"]).rstrip("/")
    except (yaml.YAMLError, LookupError, TypeError) as error:
        raise ValueError(f"{path}: not a kubeconfig: {error!r}") from error
    parts = urlsplit(url)
    context, authority = None, ""
    if parts.scheme == "https":
        authority = _bytes(cluster, "certificate-authority", root).decode()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=authority)
        _load_pair(context, _bytes(user, "client-certificate", root), _bytes(user, "client-key", root))
    return Access(url, parts.hostname or "", parts.port or (443 if context else 80), context, authority)


def _bytes(item: dict[str, Any], key: str, root: Path) -> bytes:
    data = item.get(f"{key}-data")
    if data:
        return base64.b64decode(data)
    if not item.get(key):
        raise ValueError(f"no {key} in the kubeconfig")
    return on_node(root, str(item[key])).read_bytes()


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # ssl takes files only; this one has no name on any disk.
    descriptor = os.memfd_create("kubelet-client", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, certificate + b"\n" + key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
