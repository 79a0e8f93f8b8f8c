"""Owns what a fresh cluster is made for, and how an object of it is made."""

from __future__ import annotations

from dataclasses import dataclass

from ..border import Json


@dataclass(frozen=True, slots=True)
class Cluster:
    """What the objects are made for. `address` is the node's InternalIP; `ca_bundle` the cluster CA in PEM."""

    node: str = "cks-control-plane"
    address: str = "172.18.0.2"
    port: int = 6443
    version: str = "v1.34.4"
    ca_bundle: str = ""


def new_object(kind: str, api_version: str, name: str, namespace: str = "", **rest: object) -> Json:
    """Return an object; labels and annotations go into its metadata."""
    meta: Json = {"name": name}
    if namespace:
        meta["namespace"] = namespace
    for part in ("labels", "annotations"):
        if rest.get(part):
            meta[part] = rest.pop(part)
    return {"kind": kind, "apiVersion": api_version, "metadata": meta, **rest}
