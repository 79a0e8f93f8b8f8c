"""Owns writes: create, update, patch and delete, in the order of checks that kube-apiserver keeps."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime

from . import managed
from . import patch as apply_patch
from .bodies import decode, media_type, shaped
from .border import ApiError, Json, Outcome, Request
from .convert import stamp
from .reading import Selection, key_of, read, shown_as
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
    required,
)
from .store import Key, Store
from .tables import form_of

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_GRACE = 30


class Writer:
    """Carries out writes on a store. `after` is called with the key of every object that came, changed or went."""

    def __init__(self, store: Store, after: Callable[[Key, datetime], None]) -> None:
        self.store = store
        self._after = after

    # create

    def create(self, request: Request, kind: ResourceType, now: datetime) -> Outcome:
        """Answer a create."""
        decoded = decode(request, kind)
        obj = decoded.object
        default(kind, obj)
        audit = deepcopy(_ordered(kind, obj))
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
            self._check_namespace(request, kind, meta.get("name", ""))
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = self._generated(kind, meta)
        for field in ("selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"):
            meta.pop(field, None)
        if meta.pop("resourceVersion", "") not in ("", "0"):
            raise failure(400, "BadRequest", "resourceVersion should not be set on objects to be created")
        meta["uid"] = str(uuid.uuid4())
        meta["creationTimestamp"] = stamp(now)
        meta.pop("generation", None)
        if kind.name in GENERATIONS:
            meta["generation"] = 1
        entries = managed.updated(
            kind.schema, None, _without_status(kind, obj), [], _manager(request), kind.api_version, "", now
        )
        prepare_create(Strategy(self.store, kind, now), obj)
        errors = validate_name(kind, meta) + validate_create(kind, obj)
        if errors:
            raise invalid(kind.group, kind.kind, meta.get("name", ""), errors)
        key = key_of(kind, meta.get("namespace", ""), meta["name"])
        if self.store.exists(key):
            raise already_exists(kind.group, kind.name, meta["name"])
        obj = _ordered(kind, obj)
        return self._keep(request, kind, key, obj, entries, now)

    def _generated(self, kind: ResourceType, meta: Json) -> str:
        for _ in range(8):
            name = meta["generateName"][:58] + "".join(secrets.choice(_ALPHABET) for _ in range(5))
            if not self.store.exists(key_of(kind, meta.get("namespace", ""), name)):
                break
        return str(name)

    def _check_namespace(self, request: Request, kind: ResourceType, name: str) -> None:
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
        made = _ordered(kind, obj)
        default(kind, made)
        status = made.get("status")
        meta = made["metadata"]
        meta["uid"] = str(uuid.uuid4())
        meta["creationTimestamp"] = stamp(now)
        if kind.name in GENERATIONS:
            meta["generation"] = 1
        entries = managed.updated(
            kind.schema, None, _without_status(kind, made), [], manager, kind.api_version, "", now
        )
        prepare_create(Strategy(self.store, kind, now), made)
        if obj.get("status") is not None:
            made["status"] = status
        if entries:
            meta["managedFields"] = entries
        meta["resourceVersion"] = "0"
        stored = to_stored(_ordered(kind, made), kind)
        self.store.put(key, stored)
        self._after(key, now)
        return stored

    # update

    def update(self, request: Request, kind: ResourceType, now: datetime) -> Outcome:
        """Answer an update: of the object or of its status."""
        decoded = decode(request, kind)
        obj = decoded.object
        default(kind, obj)
        audit = deepcopy(_ordered(kind, obj))
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
                raise bad_request(
                    f"the name of the object ({meta['name']}) does not match the name on the URL ({request.name})"
                )
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
        obj = _ordered(kind, obj)
        if entries is None:
            reset = given_entries is not None and given_entries == [{}]
            entries = managed.updated(
                kind.schema, old, obj, [] if reset else old_entries, _manager(request), kind.api_version, part, now
            )
        if kind.name in GENERATIONS and _desired(obj) != _desired(old) and part not in _STATUS_PARTS:
            obj["metadata"]["generation"] = was.get("generation", 0) + 1
        if _same(obj, old) and managed.same(entries, old_entries):
            return old
        return self._keep(request, kind, key, obj, entries, now)

    def _keep(
        self, request: Request, kind: ResourceType, key: Key, obj: Json, entries: list[Json], now: datetime
    ) -> Json:
        if entries:
            obj["metadata"]["managedFields"] = entries
        else:
            obj["metadata"].pop("managedFields", None)
        meta = obj["metadata"]
        if request.dry_run:
            return _ordered(kind, obj)
        if meta.get("deletionTimestamp") and not meta.get("finalizers") and not _held(obj):
            gone = self.store.delete(key)
            self._after(key, now)
            return {
                **obj,
                "metadata": {**meta, **({"resourceVersion": gone["metadata"]["resourceVersion"]} if gone else {})},
            }
        meta["resourceVersion"] = "0"  # keeps its place among the fields; the store puts the real one there
        obj = _ordered(kind, obj)
        stored = to_stored(obj, kind)
        self.store.put(key, stored)
        obj["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"]
        self._after(key, now)
        return _ordered(kind, obj)

    # patch

    def patch(self, request: Request, kind: ResourceType, now: datetime) -> Outcome:
        """Answer a patch: JSON, merge, strategic merge, or apply."""
        if media_type(request) == "application/apply-patch+yaml":
            return self._apply(request, kind, now)
        key = key_of(kind, request.namespace, request.name)
        old = self.store.get(key)
        document = apply_patch.read(request)
        warnings: list[str] = []
        try:
            if old is None:
                raise not_found(kind.group, kind.name, request.name)
            shown = shown_as(old, kind)
            decoded = apply_patch.patched(request, document, shown, kind.schema, (kind.group, kind.version, kind.kind))
            obj, warnings = decoded.object, decoded.warnings
            if obj["metadata"].get("name") != request.name:
                raise bad_request(
                    f"the name of the object ({obj['metadata'].get('name', '')}) does not match the name on the URL "
                    f"({request.name})"
                )
            default(kind, obj)
            made = self.replace(request, kind, key, shown, obj, now)
        except ApiError as error:
            error.audit_object, error.warnings = document, warnings
            raise
        return Outcome(
            200, form_of(request, kind, now).single(shown_as(made, kind)), audit_object=document, warnings=warnings
        )

    def _apply(self, request: Request, kind: ResourceType, now: datetime) -> Outcome:
        config = apply_patch.read_apply(request)
        given = config.get("metadata")
        meta: Json = given if isinstance(given, dict) else {}
        config["metadata"] = meta
        manager = request.param("fieldManager")
        if not manager:
            raise invalid("meta.k8s.io", "PatchOptions", "", [required("fieldManager", "is required for apply patch")])
        try:
            if meta.get("name", request.name) != request.name:
                raise bad_request(
                    f"the name of the object ({meta['name']}) does not match the name on the URL ({request.name})"
                )
            if not config.get("kind") or not config.get("apiVersion"):
                raise bad_request("invalid object type: apiVersion and kind must be set")
            if meta.get("managedFields"):
                raise bad_request("metadata.managedFields must be nil")
            meta["name"] = request.name
            if kind.namespaced:
                meta.setdefault("namespace", request.namespace)
            decoded = shaped(
                deepcopy(config), request.param("fieldValidation", "Warn"), (kind.group, kind.version, kind.kind)
            )
            key = key_of(kind, request.namespace, request.name)
            old = self.store.get(key)
            force = request.param("force") in ("true", "1")
            part = request.subresource
            if old is None:
                if part:
                    raise not_found(kind.group, kind.name, request.name)
                entries = managed.applied(
                    kind.schema, None, config, [], manager, kind.api_version, part, now, force=force
                ).entries
                obj = decoded.object
                default(kind, obj)
                self._check_namespace(request, kind, request.name) if kind.namespaced else None
                made, code = self._create_applied(request, kind, key, obj, entries, now), 201
            else:
                shown = shown_as(old, kind)
                merged = managed.applied(
                    kind.schema, shown, config, shown["metadata"].get("managedFields") or [], manager, kind.api_version,
                    part, now, force=force,
                )  # fmt: skip
                obj = shaped(merged.object, "Ignore", (kind.group, kind.version, kind.kind)).object
                default(kind, obj)
                made, code = self.replace(request, kind, key, shown, obj, now, entries=merged.entries), 200
        except ApiError as error:
            error.audit_object = config
            raise
        return Outcome(
            code, form_of(request, kind, now).single(shown_as(made, kind)),
            audit_object=apply_patch.read_apply(request), warnings=decoded.warnings,
        )  # fmt: skip

    def _create_applied(
        self, request: Request, kind: ResourceType, key: Key, obj: Json, entries: list[Json], now: datetime
    ) -> Json:
        meta = obj["metadata"]
        meta["uid"] = str(uuid.uuid4())
        meta["creationTimestamp"] = stamp(now)
        if kind.name in GENERATIONS:
            meta["generation"] = 1
        prepare_create(Strategy(self.store, kind, now), obj)
        errors = validate_name(kind, meta) + validate_create(kind, obj)
        if errors:
            raise invalid(kind.group, kind.kind, meta["name"], errors)
        return self._keep(request, kind, key, _ordered(kind, obj), entries, now)

    # delete

    def delete(self, request: Request, kind: ResourceType, now: datetime) -> Outcome:
        """Answer a delete."""
        options, audit = _delete_options(request)
        try:
            obj = read(self.store, kind, request.namespace, request.name)
            _check_preconditions(kind, obj, options)
            gone, whole = self.remove(request, kind, obj, options, now)
        except ApiError as error:
            error.audit_object = audit
            raise
        if whole and kind.name not in _ANSWERED_WHOLE:
            details: Json = {"name": request.name}
            if kind.group:
                details["group"] = kind.group
            details |= {"kind": kind.name, "uid": obj["metadata"]["uid"]}
            answer: Json = {
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
            }  # fmt: skip
            return Outcome(200, answer, audit_object=audit)
        return Outcome(200, form_of(request, kind, now).single(shown_as(gone, kind)), audit_object=audit)

    def remove(
        self, request: Request, kind: ResourceType, obj: Json, options: Json, now: datetime
    ) -> tuple[Json, bool]:
        """Delete an object, or mark it where something holds it; return it, and whether it is gone."""
        meta = obj["metadata"]
        key = key_of(kind, meta.get("namespace", ""), meta["name"])
        dry_run = request.dry_run or "All" in (options.get("dryRun") or ())
        finalizers = [f for f in meta.get("finalizers") or [] if f not in ("orphan", "foregroundDeletion")]
        if kind.name == "namespaces" and not kind.group:
            if meta.get("deletionTimestamp"):
                return obj, False
            meta["deletionTimestamp"] = stamp(now)
            obj.setdefault("status", {})["phase"] = "Terminating"
            if dry_run:
                return obj, False
            obj = _ordered(kind, obj)
            self.store.put(key, obj)
            self._after(key, now)
            return obj, False
        if finalizers:
            if not meta.get("deletionTimestamp"):
                meta["deletionTimestamp"] = stamp(now)
                meta["deletionGracePeriodSeconds"] = 0
                if meta.get("generation"):
                    meta["generation"] += 1
                obj = _ordered(kind, obj)
                if not dry_run:
                    self.store.put(key, obj)
            return obj, False
        if kind.name == "pods" and not kind.group:
            meta["deletionTimestamp"] = stamp(now)
            meta["deletionGracePeriodSeconds"] = 0
            meta["generation"] = meta.get("generation", 0) + 1
            obj = _ordered(kind, obj)
        if dry_run:
            return obj, True
        gone = self.store.delete(key)
        self._after(key, now)
        if gone and kind.name != "pods":
            obj["metadata"]["resourceVersion"] = gone["metadata"]["resourceVersion"]
        return obj, True

    def delete_collection(self, request: Request, kind: ResourceType, now: datetime) -> Outcome:
        """Answer a deletecollection."""
        options, audit = _delete_options(request)
        selection = Selection(request, kind)
        gone = []
        for key in selection.keys(self.store):
            obj = self.store.get(key)
            if obj is not None and selection.matches(obj):
                gone.append(shown_as(self.remove(request, kind, obj, options, now)[0], kind))
        meta: Json = {"resourceVersion": str(self.store.revision)}
        return Outcome(200, form_of(request, kind, now).page(gone, meta), audit_object=audit)


_CREATED_BY_UPDATE = frozenset({
    "leases", "events", "endpoints", "limitranges", "roles", "rolebindings", "clusterroles", "clusterrolebindings",
})  # fmt: skip
_ANSWERED_WHOLE = frozenset({"pods", "namespaces", "serviceaccounts", "services", "persistentvolumes",
                             "persistentvolumeclaims", "podtemplates", "resourcequotas", "customresourcedefinitions",
                             "storageclasses", "volumeattachments", "csinodes"})  # fmt: skip
_STATUS_PARTS = frozenset({"status", "approval", "binding", "finalize"})


def _without_status(kind: ResourceType, obj: Json) -> Json:
    """Return what a writer of the object itself owns: not its status, where that is written apart."""
    return {k: v for k, v in obj.items() if k != "status"} if "status" in kind.subresources else obj


def _manager(request: Request) -> str:
    return request.field_manager


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


def _ordered(kind: ResourceType, obj: Json) -> Json:
    return shaped(obj, "Ignore", (kind.group, kind.version, kind.kind)).object


def _delete_options(request: Request) -> tuple[Json, Json | None]:
    """Return the options of a delete, and their audited form (None without a body)."""
    if not request.body:
        options: Json = {}
        if request.param("propagationPolicy"):
            options["propagationPolicy"] = request.param("propagationPolicy")
        if request.param("gracePeriodSeconds"):
            options["gracePeriodSeconds"] = int(request.param("gracePeriodSeconds"))
        return options, None
    from .resources.deletion import read_options

    options = read_options(request)
    audit = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/__internal"}
    return options, {**audit, **{k: v for k, v in options.items() if k not in ("kind", "apiVersion")}}


def _check_preconditions(kind: ResourceType, obj: Json, options: Json) -> None:
    wanted = options.get("preconditions") or {}
    meta = obj["metadata"]
    for field, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        if wanted.get(field) and wanted[field] != meta[field]:
            text = (
                f"Precondition failed: {label} in precondition: {wanted[field]}, {label} in object meta: {meta[field]}"
            )
            raise conflict(kind.group, kind.name, meta["name"], text)
