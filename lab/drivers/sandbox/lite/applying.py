"""Owns writes that name only a part of an object: patches of each kind, and server-side apply."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime

from . import managed
from . import patch as apply_patch
from .bodies import media_type, shaped
from .border import ApiError, Json, Outcome, Request
from .reading import key_of, shown_as
from .resources import ResourceType
from .resources.defaults import default
from .resources.strategies import Strategy, prepare_create
from .resources.validation import validate_create, validate_name
from .status import bad_request, invalid, not_found, required
from .store import Key
from .tables import form_of
from .writing import Writer, mark_new, misnamed, ordered


def patch(writer: Writer, request: Request, kind: ResourceType, now: datetime) -> Outcome:
    """Answer a patch: JSON, merge, strategic merge, or apply."""
    if media_type(request) == "application/apply-patch+yaml":
        return _apply(writer, request, kind, now)
    key = key_of(kind, request.namespace, request.name)
    old = writer.store.get(key)
    document = apply_patch.read(request)
    warnings: list[str] = []
    try:
        if old is None:
            raise not_found(kind.group, kind.name, request.name)
        shown = shown_as(old, kind)
        decoded = apply_patch.patched(request, document, shown, kind.schema, (kind.group, kind.version, kind.kind))
        obj, warnings = decoded.object, decoded.warnings
        if obj["metadata"].get("name") != request.name:
            raise misnamed(obj["metadata"].get("name", ""), request)
        default(kind, obj)
        made = writer.replace(request, kind, key, shown, obj, now)
    except ApiError as error:
        error.audit_object, error.warnings = document, warnings
        raise
    return Outcome(
        200, form_of(request, kind, now).single(shown_as(made, kind)), audit_object=document, warnings=warnings
    )


def _apply(writer: Writer, request: Request, kind: ResourceType, now: datetime) -> Outcome:
    config = apply_patch.read_apply(request)
    given = config.get("metadata")
    meta: Json = given if isinstance(given, dict) else {}
    config["metadata"] = meta
    manager = request.param("fieldManager")
    if not manager:
        raise invalid("meta.k8s.io", "PatchOptions", "", [required("fieldManager", "is required for apply patch")])
    try:
        if meta.get("name", request.name) != request.name:
            raise misnamed(meta["name"], request)
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
        old = writer.store.get(key)
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
            if kind.namespaced:
                writer.check_namespace(request, kind, request.name)
            made, code = _create_applied(writer, request, kind, key, obj, entries, now), 201
        else:
            shown = shown_as(old, kind)
            merged = managed.applied(
                kind.schema, shown, config, shown["metadata"].get("managedFields") or [], manager, kind.api_version,
                part, now, force=force,
            )  # fmt: skip
            obj = shaped(merged.object, "Ignore", (kind.group, kind.version, kind.kind)).object
            default(kind, obj)
            made, code = writer.replace(request, kind, key, shown, obj, now, entries=merged.entries), 200
    except ApiError as error:
        error.audit_object = config
        raise
    return Outcome(
        code, form_of(request, kind, now).single(shown_as(made, kind)),
        audit_object=apply_patch.read_apply(request), warnings=decoded.warnings,
    )  # fmt: skip


def _create_applied(
    writer: Writer, request: Request, kind: ResourceType, key: Key, obj: Json, entries: list[Json], now: datetime
) -> Json:
    meta = obj["metadata"]
    mark_new(kind, meta, now)
    prepare_create(Strategy(writer.store, kind, now), obj)
    errors = validate_name(kind, meta) + validate_create(kind, obj)
    if errors:
        raise invalid(kind.group, kind.kind, meta["name"], errors)
    return writer.keep(request, kind, key, ordered(kind, obj), entries, now)
