"""Owns the discovery documents: what kubectl reads to learn which resources there are, old and aggregated form."""

from __future__ import annotations

import base64
import hashlib
import re

import msgspec

from .border import Json
from .resources import ResourceType, group_versions, table

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
ADDRESS = "127.0.0.1:6443"
_STORAGE_VERSIONS = {
    ("autoscaling", "horizontalpodautoscalers"): "autoscaling/v2",
    ("events.k8s.io", "events"): "/v1",
    ("storage.k8s.io", "volumeattributesclasses"): "storage.k8s.io/v1beta1",
    ("apiextensions.k8s.io", "customresourcedefinitions"): "apiextensions.k8s.io/v1beta1",
    **{
        ("resource.k8s.io", name): "resource.k8s.io/v1beta2"
        for name in ("deviceclasses", "resourceclaims", "resourceclaimtemplates", "resourceslices")
    },
}
"""What the storageVersionHash is made of, where it is not the served version."""


def document(path: str, accept: str, address: str = ADDRESS) -> tuple[str, bytes] | None:
    """Return (content type, body) of a discovery or OpenAPI document; None: this path has none.

    `path` is without its query; `address` is what `/api` says the server is reached at.
    """
    parts = path.strip("/").split("/")
    if path.startswith("/openapi"):
        from .openapi import openapi_document

        return openapi_document(path, accept)
    answer: Json | None = None
    if parts in (["api"], ["apis"]):
        if _wants_aggregated(accept):
            return AGGREGATED, _encode(_aggregated(core=parts == ["api"]))
        answer = _versions(address) if parts == ["api"] else _groups()
    elif len(parts) == 2 and parts[0] == "api":
        answer = _resources("", parts[1])
    elif len(parts) == 2 and parts[0] == "apis":
        answer = _group(parts[1])
    elif len(parts) == 3 and parts[0] == "apis":
        answer = _resources(parts[1], parts[2])
    return None if answer is None else ("application/json", _encode(answer))


def _encode(value: Json) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _wants_aggregated(accept: str) -> bool:
    for wanted in accept.split(","):
        bare = re.sub(r"\s", "", wanted)
        if "as=APIGroupDiscoveryList" in bare and "v=v2" in re.split(r"[;]", bare):
            return bare.startswith("application/json")
        if bare.split(";")[0] in ("application/json", "*/*") and "as=" not in bare:
            return False
    return False


def _kinds(group: str, version: str) -> list[ResourceType]:
    return [kind for kind in table().values() if (kind.group, kind.version) == (group, version)]


def _aggregated(*, core: bool) -> Json:
    items: list[Json] = []
    for group in dict.fromkeys(g for g, _ in group_versions() if (not g) is core):
        versions = [
            {"version": v, "resources": [_aggregated_resource(k) for k in _kinds(g, v)], "freshness": "Current"}
            for g, v in group_versions()
            if g == group
        ]
        items.append({"metadata": {"name": group} if group else {}, "versions": versions})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _aggregated_resource(kind: ResourceType) -> Json:
    entry: Json = {
        "resource": kind.name,
        "responseKind": {"group": "", "version": "", "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    entry |= _aliases(kind)
    if kind.subresources:
        entry["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": {"group": sub.group, "version": sub.version, "kind": sub.kind},
                "verbs": list(sub.verbs),
            }
            for sub in kind.subresources.values()
        ]
    return entry


def _aliases(kind: ResourceType) -> Json:
    """Return by which other words a resource is asked for."""
    words = {"shortNames": kind.short_names, "categories": kind.categories}
    return {key: list(names) for key, names in words.items() if names}


def _versions(address: str) -> Json:
    where = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": where}


def _bare_group(group: str) -> Json:
    versions = [{"groupVersion": f"{g}/{v}", "version": v} for g, v in group_versions() if g == group]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _groups() -> Json:
    groups = [_bare_group(group) for group in dict.fromkeys(g for g, _ in group_versions() if g)]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def _group(group: str) -> Json | None:
    if not any(g == group for g, _ in group_versions() if g):
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_bare_group(group)}


def _storage_hash(kind: ResourceType) -> str:
    """Return the hash of the version that objects are kept in."""
    stored = _STORAGE_VERSIONS.get((kind.group, kind.name)) or f"{kind.group}/{kind.version}"
    digest = hashlib.sha256(f"{stored}/{kind.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def _resources(group: str, version: str) -> Json | None:
    kinds = _kinds(group, version)
    if not kinds:
        return None
    entries: list[Json] = []
    for kind in kinds:
        entry: Json = {
            "name": kind.name,
            "singularName": kind.singular,
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": list(kind.verbs),
        }
        entry |= _aliases(kind)
        if "watch" in kind.verbs:
            entry["storageVersionHash"] = _storage_hash(kind)
        entries.append(entry)
        for sub in kind.subresources.values():
            part: Json = {"name": f"{kind.name}/{sub.name}", "singularName": "", "namespaced": kind.namespaced}
            if sub.group or sub.version:
                part |= {"group": sub.group, "version": sub.version}
            entries.append({**part, "kind": sub.kind, "verbs": list(sub.verbs)})
    version_name = f"{group}/{version}" if group else version
    head: Json = {"kind": "APIResourceList"}
    if group:
        head["apiVersion"] = "v1"
    return {**head, "groupVersion": version_name, "resources": entries}
