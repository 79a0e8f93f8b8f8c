"""Owns writes of whole objects, create and update, in the order of checks that kube-apiserver keeps."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime

from . import managed
from .bodies import decode, shaped
from .border import ApiError, Json, Outcome, Request
from .convert import stamp
from .reading import key_of, shown_as
from .resources import ResourceType
from .resources.conversions import to_stored
from .resources.defaults import default
from .resources.strategies import GENERATIONS, Strategy, prepare_create, prepare_update
from .resources.validation import validate_create, validate_name, validate_update
from .status import (
    MODIFIED,
    already_exists,
    bad_request,
    conflict,
    failure,
    invalid,
    not_found,
    qualified,
    quoted,
)
from .store import Key, Store
from .tables import form_of

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_CREATED_BY_UPDATE = frozenset({
    "leases", "events", "endpoints", "limitranges", "roles", "rolebindings", "clusterroles", "clusterrolebindings",
})  # fmt: skip
_STATUS_PARTS = frozenset({"status", "approval", "binding", "finalize"})


class Writer:
    """Carries out writes on a store. `after` is called with the key of every object that came, changed or went."""

    def __init__(self, store: Store, after: Callable[[Key, datetime], None]) -> None:
        self.store = store
        self.after = after

    # create

    def create(self, request: Request, kind: ResourceType, now: datetime) -> Outcome:
        """Answer a create."""
        decoded = decode(request, kind)
        obj = decoded.object
        default(kind, obj)
        audit = deepcopy(ordered(kind, obj))
        try:
            _settle_namespace(request, kind, obj)
            made = self._create(request, kind, obj, now)
        except ApiError as error:
            error.audit_object, error.object_name = audit, audit["metadata"].get("name", "")
            error.warnings = decoded.warnings
            raise
        return Outcome(
            code=201,
            object=form_of(request, kind, now).single(shown_as(made, kind)),
            audit_object=audit,
            object_name=audit["metadata"].get("name", ""),
            object_uid=audit["metadata"].get("uid", ""),
            object_resource_version=audit["metadata"].get("resourceVersion", ""),
            object_namespace=audit["metadata"].get("namespace", ""),
            warnings=decoded.warnings,
        )

    def _create(self, request: Request, kind: ResourceType, obj: Json, now: datetime) -> Json:
        meta = obj["metadata"]
        if kind.namespaced:
            self.check_namespace(request, kind, meta.get("name", ""))
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = self._generated(kind, meta)
        for field in ("selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"):
            meta.pop(field, None)
        if meta.pop("resourceVersion", "") not in ("", "0"):
            raise failure(400, "BadRequest", "resourceVersion should not be set on objects to be created")
        meta.pop("generation", None)
        mark_new(kind, meta, now)
        entries = managed.updated(
            kind.schema, None, _without_status(kind, obj), [], request.field_manager, kind.api_version, "", now
        )
        prepare_create(Strategy(self.store, kind, now), obj)
        errors = validate_name(kind, meta) + validate_create(kind, obj)
        if errors:
            raise invalid(kind.group, kind.kind, meta.get("name", ""), errors)
        key = key_of(kind, meta.get("namespace", ""), meta["name"])
        if self.store.exists(key):
            raise already_exists(kind.group, kind.name, meta["name"])
        obj = ordered(kind, obj)
        return self.keep(request, kind, key, obj, entries, now)

    def _generated(self, kind: ResourceType, meta: Json) -> str:
        for _ in range(8):
            name = meta["generateName"][:58] + "".join(secrets.choice(_ALPHABET) for _ in range(5))
            if not self.store.exists(key_of(kind, meta.get("namespace", ""), name)):
                break
        return str(name)

    def check_namespace(self, request: Request, kind: ResourceType, name: str) -> None:
        """Refuse what is to be created in a namespace that is not there, or on its way out."""
        namespace = self.store.get(Key("/namespaces", "", request.namespace))
        if namespace is None:
            raise not_found("", "namespaces", request.namespace)
        if namespace["metadata"].get("deletionTimestamp"):
            text = (
                f"{qualified(kind.group, kind.name)} {quoted(name)} is forbidden: unable to create new content in "
                f"namespace {request.namespace} because it is being terminated"
            )
            details: Json = {"name": name, "group": kind.group, "kind": kind.name, "causes": [{
                "reason": "NamespaceTerminating", "message": f"namespace {request.namespace} is being terminated",
                "field": "metadata.namespace"}]}  # fmt: skip
            raise failure(403, "Forbidden", text, {k: v for k, v in details.items() if v})

    def seed(self, kind: ResourceType, key: Key, obj: Json, manager: str, now: datetime) -> Json:
        """Keep an object of the cluster's own with its status, unchecked; return it."""
        made = ordered(kind, obj)
        default(kind, made)
        status = made.get("status")
        meta = made["metadata"]
        mark_new(kind, meta, now)
        entries = managed.updated(
            kind.schema, None, _without_status(kind, made), [], manager, kind.api_version, "", now
        )
        prepare_create(Strategy(self.store, kind, now), made)
        if obj.get("status") is not None:
            made["status"] = status
        if entries:
            meta["managedFields"] = entries
        meta["resourceVersion"] = "0"
        stored = to_stored(ordered(kind, made), kind)
        self.store.put(key, stored)
        self.after(key, now)
        return stored

    # update

    def update(self, request: Request, kind: ResourceType, now: datetime) -> Outcome:
        """Answer an update: of the object or of its status."""
        decoded = decode(request, kind)
        obj = decoded.object
        default(kind, obj)
        audit = deepcopy(ordered(kind, obj))
        outcome = self._rewritten(request, kind, obj, audit, now)
        outcome.warnings = decoded.warnings
        return outcome

    def _rewritten(self, request: Request, kind: ResourceType, obj: Json, audit: Json, now: datetime) -> Outcome:
        meta = audit["metadata"]
        code = 200
        try:
            _settle_namespace(request, kind, obj)
            if meta.get("name", "") != request.name:
                if not meta.get("name"):
                    raise bad_request("name must be provided")
                raise misnamed(meta["name"], request)
            key = key_of(kind, request.namespace, request.name)
            old = self.store.get(key)
            if old is None:
                if kind.name not in _CREATED_BY_UPDATE or meta.get("uid"):
                    raise not_found(kind.group, kind.name, request.name)
                obj["metadata"].pop("resourceVersion", None)
                made, code = self._create(request, kind, obj, now), 201
            else:
                made = self.replace(request, kind, key, shown_as(old, kind), obj, now)
        except ApiError as error:
            error.audit_object, error.object_name = audit, meta.get("name", "")
            raise
        return Outcome(
            code=code,
            object=form_of(request, kind, now).single(shown_as(made, kind)),
            audit_object=audit,
            object_name=meta.get("name", ""),
            object_uid=meta.get("uid", ""),
            object_resource_version=meta.get("resourceVersion", ""),
            object_namespace=meta.get("namespace", ""),
        )

    def replace(
        self, request: Request, kind: ResourceType, key: Key, old: Json, obj: Json, now: datetime, *,
        entries: list[Json] | None = None, subresource: str | None = None,
    ) -> Json:  # fmt: skip
        """Put `obj` in the place of `old`. `entries` are the managed fields where they are known (an apply)."""
        part = request.subresource if subresource is None else subresource
        meta, was = obj["metadata"], old["metadata"]
        if meta.get("resourceVersion") not in (None, "", "0", was["resourceVersion"]):
            raise conflict(kind.group, kind.name, key.name, MODIFIED)
        if meta.get("uid") and meta["uid"] != was["uid"]:
            text = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {was['uid']}"
            raise conflict(kind.group, kind.name, key.name, text)
        for field in (
            "name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
            "selfLink", "generation", "resourceVersion",
        ):  # fmt: skip
            if was.get(field) is None:
                meta.pop(field, None)
            else:
                meta[field] = was[field]
        given_entries = meta.pop("managedFields", None)
        old_entries = was.get("managedFields") or []
        prepare_update(Strategy(self.store, kind, now, part), obj, old)
        errors = validate_update(kind, obj, old, part)
        if errors:
            raise invalid(kind.group, kind.kind, key.name, errors)
        obj = ordered(kind, obj)
        if entries is None:
            reset = given_entries is not None and given_entries == [{}]
            entries = managed.updated(
                kind.schema, old, obj, [] if reset else old_entries, request.field_manager, kind.api_version, part, now
            )
        if kind.name in GENERATIONS and _desired(obj) != _desired(old) and part not in _STATUS_PARTS:
            obj["metadata"]["generation"] = was.get("generation", 0) + 1
        if _same(obj, old) and managed.same(entries, old_entries):
            return old
        return self.keep(request, kind, key, obj, entries, now)

    def keep(
        self, request: Request, kind: ResourceType, key: Key, obj: Json, entries: list[Json], now: datetime
    ) -> Json:
        """Store an object that is checked, unless it is a dry run or the last finalizer went; return it."""
        if entries:
            obj["metadata"]["managedFields"] = entries
        else:
            obj["metadata"].pop("managedFields", None)
        meta = obj["metadata"]
        if request.dry_run:
            return ordered(kind, obj)
        if meta.get("deletionTimestamp") and not meta.get("finalizers") and not _held(obj):
            gone = self.store.delete(key)
            self.after(key, now)
            return {
                **obj,
                "metadata": {**meta, **({"resourceVersion": gone["metadata"]["resourceVersion"]} if gone else {})},
            }
        meta["resourceVersion"] = "0"  # keeps its place among the fields; the store puts the real one there
        obj = ordered(kind, obj)
        stored = to_stored(obj, kind)
        self.store.put(key, stored)
        obj["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"]
        self.after(key, now)
        return ordered(kind, obj)


def _without_status(kind: ResourceType, obj: Json) -> Json:
    """Return what a writer of the object itself owns: not its status, where that is written apart."""
    return {k: v for k, v in obj.items() if k != "status"} if "status" in kind.subresources else obj


def _settle_namespace(request: Request, kind: ResourceType, obj: Json) -> None:
    meta = obj["metadata"]
    if not kind.namespaced:
        meta.pop("namespace", None)
        return
    given = meta.get("namespace", "")
    if not given:
        obj["metadata"] = {
            **{k: meta[k] for k in ("name", "generateName") if k in meta},
            "namespace": request.namespace,
        }
        obj["metadata"] |= {k: v for k, v in meta.items() if k not in ("name", "generateName", "namespace")}
    elif given != request.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def _desired(obj: Json) -> Json:
    return {k: v for k, v in obj.items() if k not in ("metadata", "status", "kind", "apiVersion")}


def _same(new: Json, old: Json) -> bool:
    def bare(obj: Json) -> Json:
        meta = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
        return {**obj, "metadata": meta}

    return bare(new) == bare(old)


def _held(obj: Json) -> bool:
    """Say whether a namespace still waits for its finalizers."""
    return obj["kind"] == "Namespace" and bool(obj.get("spec", {}).get("finalizers"))


def mark_new(kind: ResourceType, meta: Json, now: datetime) -> None:
    """Give a new object's metadata what the server decides."""
    meta["uid"] = str(uuid.uuid4())
    meta["creationTimestamp"] = stamp(now)
    if kind.name in GENERATIONS:
        meta["generation"] = 1


def misnamed(name: str, request: Request) -> ApiError:
    """Return the refusal of an object whose name is not the one asked for."""
    return bad_request(f"the name of the object ({name}) does not match the name on the URL ({request.name})")


def ordered(kind: ResourceType, obj: Json) -> Json:
    """Return an object with its fields as the API server writes them."""
    return shaped(obj, "Ignore", (kind.group, kind.version, kind.kind)).object
