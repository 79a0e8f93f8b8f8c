"""Owns the OpenAPI documents: made from the field tables when they are asked for, and not kept.

kubectl reads v3: to learn that the server checks fields itself (`fieldValidation` on a patch), for merge keys, and
for `explain`. The v2 document is the same types in the older form.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources
from typing import Any

import msgspec

from .border import Json
from .resources import ResourceType, group_versions, schema_name, table
from .resources.schema import NAMED_KINDS, SCALARS, Field, known, schema
from .resources.words import describe_field, describe_type

_PREFIXES = {
    "meta": "io.k8s.apimachinery.pkg.apis.meta",
    "apiregistration": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
}
_META = "io.k8s.apimachinery.pkg.apis.meta.v1"
_SHAPES: dict[str, Json] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int": {"type": "integer", "format": "int32"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "uint8": {"type": "integer", "format": "byte"},
    "uint32": {"type": "integer", "format": "int64"},
    "uint64": {"type": "integer", "format": "int64"},
    "float64": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "duration": {"type": "string"},
    "json": {},
}
_NAMED = {
    "time": f"{_META}.Time",
    "microtime": f"{_META}.MicroTime",
    "quantity": "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "intorstring": "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    "raw": "io.k8s.apimachinery.pkg.runtime.RawExtension",
    "fieldsv1": f"{_META}.FieldsV1",
}
_NAMED_SHAPES: dict[str, Json] = {
    _NAMED["time"]: {"type": "string", "format": "date-time"},
    _NAMED["microtime"]: {"type": "string", "format": "date-time"},
    _NAMED["quantity"]: {"oneOf": [{"type": "string"}, {"type": "number"}]},
    _NAMED["intorstring"]: {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    _NAMED["raw"]: {"type": "object"},
    _NAMED["fieldsv1"]: {"type": "object"},
}
_ZEROS: dict[str, Any] = {"string": "", "bool": False, "int32": 0, "int64": 0}
_V3 = "#/components/schemas/"
_V2 = "#/definitions/"


def openapi_document(path: str, accept: str) -> tuple[str, bytes] | None:
    """Return (content type, body) of an OpenAPI document; None: this path has none."""
    parts = path.strip("/").split("/")
    if parts == ["openapi", "v2"]:
        return "application/json", msgspec.json.encode(_version_2())
    if parts == ["openapi", "v3"]:
        return "application/json", msgspec.json.encode(_index())
    if len(parts) == 4 and parts[:3] == ["openapi", "v3", "api"]:
        group, version = "", parts[3]
    elif len(parts) == 5 and parts[:3] == ["openapi", "v3", "apis"]:
        group, version = parts[3], parts[4]
    else:
        return None
    if (group, version) not in group_versions():
        return None
    return "application/json", msgspec.json.encode(_version_3(group, version))


@lru_cache(maxsize=1)
def _digest() -> str:
    """Return a fingerprint of everything the documents are made from."""
    folder = resources.files(f"{__package__}.resources")
    digest = hashlib.sha512()
    for name in ("fields.txt", "types.txt", "words.txt"):
        digest.update(folder.joinpath(name).read_bytes())
    return digest.hexdigest().upper()


def _index() -> Json:
    paths: Json = {}
    for group, version in group_versions():
        path = f"apis/{group}/{version}" if group else f"api/{version}"
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={_digest()}"}
    return {"paths": dict(sorted(paths.items()))}


def definition_name(type_name: str) -> str:
    """Return a type's name in OpenAPI: `io.k8s.api.core.v1.Pod`."""
    package, _, rest = type_name.partition("/")
    return f"{_PREFIXES.get(package, f'io.k8s.api.{package}')}.{rest}"


def _version_3(group: str, version: str) -> Json:
    kinds = [k for k in table().values() if (k.group, k.version) == (group, version)]
    builder = _Definitions(_V3)
    for kind in kinds:
        builder.add_kind(kind)
    paths: Json = {}
    for kind in kinds:
        paths.update(_paths(kind))
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "1.34"},
        "paths": paths,
        "components": {"schemas": builder.finished()},
    }


def _version_2() -> Json:
    builder = _Definitions(_V2)
    for kind in table().values():
        builder.add_kind(kind)
    info = {"title": "Kubernetes", "version": "v1.34.4"}
    return {"swagger": "2.0", "info": info, "paths": {}, "definitions": builder.finished()}


def _paths(kind: ResourceType) -> Json:
    base = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    whole = f"{base}/{kind.name}"
    scoped = f"{base}/namespaces/{{namespace}}/{kind.name}" if kind.namespaced else whole
    gvk = {"group": kind.group, "kind": kind.kind, "version": kind.version}
    collection = _operations(kind, gvk, {"list": "get", "create": "post", "deletecollection": "delete"})
    single = _operations(kind, gvk, {"get": "get", "update": "put", "patch": "patch", "delete": "delete"})
    found: Json = {}
    if collection:
        found[scoped] = collection
    if single:
        found[f"{scoped}/{{name}}"] = single
    if kind.namespaced and "list" in kind.verbs:
        found[whole] = _operations(kind, gvk, {"list": "get"})
    return found


def _operations(kind: ResourceType, gvk: Json, methods: dict[str, str]) -> Json:
    found: Json = {}
    for verb, method in methods.items():
        if verb not in kind.verbs:
            continue
        operation: Json = {"x-kubernetes-action": verb, "x-kubernetes-group-version-kind": gvk, "responses": {}}
        if verb in ("create", "update", "patch"):
            names = ["dryRun", "fieldManager", "fieldValidation"]
            operation["parameters"] = [_parameter(name, "string") for name in names]
            if verb == "patch":
                operation["parameters"].append(_parameter("force", "boolean"))
        found[method] = operation
    return found


def _parameter(name: str, shape: str) -> Json:
    return {"name": name, "in": "query", "schema": {"type": shape, "uniqueItems": True}}


class _Definitions:
    """Collects the definitions that some kinds need; `prefix` is where they will be."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._found: Json = {}
        self._todo: list[str] = []

    def add_kind(self, kind: ResourceType) -> None:
        """Add a resource's kind, its list, and what its subresources take."""
        self._gvk(kind.schema, kind.group, kind.version, kind.kind)
        for sub in kind.subresources.values():
            group, version = sub.group or kind.group, sub.version or kind.version
            name = schema_name(group, version, sub.kind)
            if known(name):
                self._gvk(name, group, version, sub.kind)
        if "list" in kind.verbs:
            self._list(kind)
        self._drain()

    def finished(self) -> Json:
        """Return the definitions by name."""
        return dict(sorted(self._found.items()))

    def _gvk(self, type_name: str, group: str, version: str, kind: str) -> None:
        name = definition_name(type_name)
        if name not in self._found:
            self._found[name] = self._struct(type_name, top=True)
        self._found[name]["x-kubernetes-group-version-kind"] = [{"group": group, "kind": kind, "version": version}]

    def _list(self, kind: ResourceType) -> None:
        self._need("meta/v1.ListMeta")
        item = definition_name(kind.schema)
        gvk = {"group": kind.group, "kind": f"{kind.kind}List", "version": kind.version}
        self._found[f"{item}List"] = {
            "description": f"{kind.kind}List is a list of {kind.kind} objects.",
            "type": "object",
            "required": ["items"],
            "properties": {
                **_TOP,
                "items": {"type": "array", "items": {"$ref": self._prefix + item}},
                "metadata": self._reference(definition_name("meta/v1.ListMeta"), ""),
            },
            "x-kubernetes-group-version-kind": [gvk],
        }

    def _drain(self) -> None:
        while self._todo:
            type_name = self._todo.pop()
            name = definition_name(type_name)
            if name not in self._found:
                self._found[name] = self._struct(type_name, top=type_name in NAMED_KINDS)

    def _need(self, type_name: str) -> None:
        if definition_name(type_name) not in self._found:
            self._todo.append(type_name)

    def _struct(self, type_name: str, *, top: bool) -> Json:
        kind = schema(type_name)
        properties: Json = dict(_TOP) if top else {}
        for field in kind.fields.values():
            properties[field.name] = self._property(type_name, field)
        result: Json = {"description": describe_type(type_name), "type": "object"}
        required = [f.name for f in kind.fields.values() if f.required]
        if required:
            result["required"] = sorted(required)
        result["properties"] = dict(sorted(properties.items()))
        return result

    def _property(self, owner: str, field: Field) -> Json:
        words = describe_field(owner, field.name)
        result = self._shape(field, field.container, words)
        if field.container[:1] == "[":
            if field.list_type:
                result["x-kubernetes-list-type"] = field.list_type
            if field.keys:
                result["x-kubernetes-list-map-keys"] = list(field.keys)
        elif field.list_type == "atomic":
            result["x-kubernetes-map-type"] = "atomic"
        if field.merge_key is not None:
            strategy = "merge,retainKeys" if field.retain_keys else "merge"
            if field.merge_key:
                result["x-kubernetes-patch-merge-key"] = field.merge_key
            result["x-kubernetes-patch-strategy"] = strategy
        elif field.retain_keys:
            result["x-kubernetes-patch-strategy"] = "retainKeys"
        return result

    def _shape(self, field: Field, container: str, words: str) -> Json:
        head: Json = {"description": words} if words else {}
        if container[:1] == "[":
            return {**head, "type": "array", "items": self._shape(field, container[1:], "")}
        if container[:1] == "{":
            return {**head, "type": "object", "additionalProperties": self._shape(field, container[1:], "")}
        if field.type in SCALARS:
            name = _NAMED.get(field.type)
            if name is None:
                return {**head, **_SHAPES[field.type]}
            self._found.setdefault(name, _NAMED_SHAPES[name] if self._prefix == _V3 else _older(_NAMED_SHAPES[name]))
        else:
            name = definition_name(field.type)
            self._need(field.type)
        return self._reference(name, words)

    def _reference(self, name: str, words: str) -> Json:
        target = {"$ref": self._prefix + name}
        if self._prefix == _V2:
            return {"description": words, **target} if words else target
        return {"description": words, "allOf": [target]} if words else target


def _older(shape: Json) -> Json:
    """Return a shape without oneOf, which OpenAPI v2 does not have."""
    return {"type": "string", **{k: v for k, v in shape.items() if k != "oneOf"}}


_TOP: Json = {
    "apiVersion": {"description": describe_field("", "apiVersion"), "type": "string"},
    "kind": {"description": describe_field("", "kind"), "type": "string"},
}
