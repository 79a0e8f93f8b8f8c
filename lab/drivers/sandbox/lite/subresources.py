"""Owns the subresources that are views of an object: status, scale, binding, eviction, and the like."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime

from .applying import patch
from .bodies import decode, media_type
from .border import ApiError, Json, Outcome, Request
from .deleting import remove
from .patch import patched
from .patch import read as read_patch
from .reading import key_of, read, shown_as
from .resources import ResourceType, schema_name
from .resources.defaults import default
from .status import bad_request, method_not_allowed
from .store import Store
from .tables import form_of
from .writing import Writer

_VIEWS = frozenset({"status", "ephemeralcontainers", "resize", "approval"})


class Subresources:
    """Answers requests for a part of an object."""

    def __init__(self, store: Store, writer: Writer) -> None:
        self._store = store
        self._writer = writer

    def handle(self, request: Request, kind: ResourceType, now: datetime) -> Outcome:
        """Answer a request for a subresource. ApiError 405: a stream (log, exec, …) or a token, answered elsewhere."""
        name = request.subresource
        if name in _VIEWS:
            return self._view(request, kind, now)
        if name == "scale":
            return self._scale(request, kind, now)
        if name == "finalize":
            return self._finalize(request, kind, now)
        if name == "binding":
            return self._bind(request, kind, now)
        if name == "eviction":
            return self._evict(request, kind, now)
        raise method_not_allowed(request.group, request.resource, request.verb)

    def _view(self, request: Request, kind: ResourceType, now: datetime) -> Outcome:
        if request.verb == "get":
            obj = read(self._store, kind, request.namespace, request.name)
            return Outcome(200, form_of(request, kind, now).single(shown_as(obj, kind)))
        if request.verb == "patch":
            return patch(self._writer, request, kind, now)
        return self._writer.update(request, kind, now)

    def _scale(self, request: Request, kind: ResourceType, now: datetime) -> Outcome:
        obj = read(self._store, kind, request.namespace, request.name)
        scale = _scale_of(obj)
        if request.verb == "get":
            return Outcome(200, scale)
        expected = ("autoscaling", "v1", "Scale")
        if request.verb == "patch":
            audit = read_patch(request)
            decoded = patched(request, audit, scale, schema_name(*expected), expected)
        else:
            decoded = decode(request, kind, *expected)
            audit = deepcopy(decoded.object)
        try:
            wanted = decoded.object.get("spec", {}).get("replicas", 0)
            if wanted < 0:
                from .status import invalid, invalid_value

                what = invalid_value("spec.replicas", wanted, "must be greater than or equal to 0")
                raise invalid("autoscaling", "Scale", request.name, [what])
            fresh = deepcopy(obj)
            fresh["spec"]["replicas"] = wanted
            version = decoded.object["metadata"].get("resourceVersion")
            if version:
                fresh["metadata"]["resourceVersion"] = version
            made = self._writer.replace(
                request, kind, key_of(kind, request.namespace, request.name), obj, fresh, now, subresource="scale"
            )
        except ApiError as error:
            error.audit_object = audit
            raise
        return Outcome(200, _scale_of(made), audit_object=audit, warnings=decoded.warnings)

    def _finalize(self, request: Request, kind: ResourceType, now: datetime) -> Outcome:
        return self._writer.update(request, kind, now)

    def _bind(self, request: Request, kind: ResourceType, now: datetime) -> Outcome:
        decoded = decode(request, kind, "", "v1", "Binding")
        audit = deepcopy(decoded.object)
        obj = read(self._store, kind, request.namespace, request.name)
        node = decoded.object.get("target", {}).get("name", "")
        if not node:
            raise bad_request("target.name: Required value")
        fresh = deepcopy(obj)
        fresh["spec"]["nodeName"] = node
        conditions = fresh.setdefault("status", {}).setdefault("conditions", [])
        conditions.append({"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": None})
        key = key_of(kind, request.namespace, request.name)
        self._writer.replace(request, kind, key, obj, fresh, now, subresource="binding")
        return Outcome(201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201},
                       audit_object=audit)  # fmt: skip

    def _evict(self, request: Request, kind: ResourceType, now: datetime) -> Outcome:
        decoded = decode(request, kind, "policy", "v1", "Eviction")
        obj = read(self._store, kind, request.namespace, request.name)
        remove(self._writer, request, kind, obj, decoded.object.get("deleteOptions") or {}, now)
        return Outcome(201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201},
                       audit_object=decoded.object)  # fmt: skip


def _scale_of(obj: Json) -> Json:
    meta = obj["metadata"]
    spec, status = obj.get("spec", {}), obj.get("status", {})
    shown: Json = {"replicas": status.get("replicas", 0)}
    selector = spec.get("selector")
    labels = selector.get("matchLabels") if isinstance(selector, dict) and "matchLabels" in selector else selector
    if labels:
        shown["selector"] = ",".join(f"{k}={v}" for k, v in sorted(labels.items()))
    kept = {k: meta[k] for k in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp") if k in meta}
    desired: Json = {"replicas": spec["replicas"]} if spec.get("replicas") else {}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": kept, "spec": desired, "status": shown}


__all__ = ["Subresources", "default", "media_type"]
