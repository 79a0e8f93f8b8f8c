"""Owns deletes: of one object, of many, and what becomes of one that something still holds."""

from __future__ import annotations

from datetime import datetime

from .border import ApiError, Json, Outcome, Request
from .convert import stamp
from .reading import Selection, key_of, read, shown_as
from .resources import ResourceType
from .resources.deletion import read_options
from .status import conflict
from .tables import form_of
from .writing import Writer, ordered

_ANSWERED_WHOLE = frozenset({"pods", "namespaces", "serviceaccounts", "services", "persistentvolumes",
                             "persistentvolumeclaims", "podtemplates", "resourcequotas", "customresourcedefinitions",
                             "storageclasses", "volumeattachments", "csinodes"})  # fmt: skip


def delete(writer: Writer, request: Request, kind: ResourceType, now: datetime) -> Outcome:
    """Answer a delete."""
    options, audit = _delete_options(request)
    try:
        obj = read(writer.store, kind, request.namespace, request.name)
        _check_preconditions(kind, obj, options)
        gone, whole = remove(writer, request, kind, obj, options, now)
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
    writer: Writer, request: Request, kind: ResourceType, obj: Json, options: Json, now: datetime
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
        obj = ordered(kind, obj)
        writer.store.put(key, obj)
        writer.after(key, now)
        return obj, False
    if finalizers:
        if not meta.get("deletionTimestamp"):
            meta["deletionTimestamp"] = stamp(now)
            meta["deletionGracePeriodSeconds"] = 0
            if meta.get("generation"):
                meta["generation"] += 1
            obj = ordered(kind, obj)
            if not dry_run:
                writer.store.put(key, obj)
        return obj, False
    if kind.name == "pods" and not kind.group:
        meta["deletionTimestamp"] = stamp(now)
        meta["deletionGracePeriodSeconds"] = 0
        meta["generation"] = meta.get("generation", 0) + 1
        obj = ordered(kind, obj)
    if dry_run:
        return obj, True
    gone = writer.store.delete(key)
    writer.after(key, now)
    if gone and kind.name != "pods":
        obj["metadata"]["resourceVersion"] = gone["metadata"]["resourceVersion"]
    return obj, True


def delete_collection(writer: Writer, request: Request, kind: ResourceType, now: datetime) -> Outcome:
    """Answer a deletecollection."""
    options, audit = _delete_options(request)
    selection = Selection(request, kind)
    gone = []
    for key in selection.keys(writer.store):
        obj = writer.store.get(key)
        if obj is not None and selection.matches(obj):
            gone.append(shown_as(remove(writer, request, kind, obj, options, now)[0], kind))
    meta: Json = {"resourceVersion": str(writer.store.revision)}
    return Outcome(200, form_of(request, kind, now).page(gone, meta), audit_object=audit)


def _delete_options(request: Request) -> tuple[Json, Json | None]:
    """Return the options of a delete, and their audited form (None without a body)."""
    if not request.body:
        options: Json = {}
        if request.param("propagationPolicy"):
            options["propagationPolicy"] = request.param("propagationPolicy")
        if request.param("gracePeriodSeconds"):
            options["gracePeriodSeconds"] = int(request.param("gracePeriodSeconds"))
        return options, None
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
