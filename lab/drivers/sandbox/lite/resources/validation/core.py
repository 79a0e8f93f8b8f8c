"""Owns the mistakes in config maps and secrets, events, leases and priority classes."""

from __future__ import annotations

from checkers.kube.pods.names import config_key_problems

from ...border import Json
from ...status import FieldError, forbidden_field, invalid_value, required
from .fields import IMMUTABLE, Check, UpdateCheck

_MEBIBYTE = 1024 * 1024
_TOO_BIG = f"Too long: may not be more than {_MEBIBYTE} bytes"
_SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def _keys(obj: Json, *parts: str) -> list[FieldError]:
    errors: list[FieldError] = []
    size = 0
    for part in parts:
        for key, value in sorted((obj.get(part) or {}).items()):
            path = f"{part}[{key}]"
            errors += [invalid_value(path, key, text) for text in config_key_problems(key)]
            if len(parts) > 1 and part == parts[1] and key in (obj.get(parts[0]) or {}):
                errors.append(invalid_value(path, key, f"duplicate of key present in {parts[0]}"))
            size += len(value.encode()) if part == "data" and obj["kind"] == "ConfigMap" else len(value) * 3 // 4
    if size > _MEBIBYTE:
        errors.append(FieldError("[]" if obj["kind"] == "ConfigMap" else "data", "FieldValueTooLong", _TOO_BIG))
    return errors


def _config_map(obj: Json) -> list[FieldError]:
    return _keys(obj, "data", "binaryData")


def _frozen(obj: Json, old: Json, *parts: str) -> list[FieldError]:
    if not old.get("immutable"):
        return []
    words = "field is immutable when `immutable` is set"
    errors = [] if obj.get("immutable") else [forbidden_field("immutable", words)]
    return errors + [forbidden_field(part, words) for part in parts if (obj.get(part) or {}) != (old.get(part) or {})]


def _config_map_update(obj: Json, old: Json) -> list[FieldError]:
    return _frozen(obj, old, "data", "binaryData")


def _secret(obj: Json) -> list[FieldError]:
    errors = _keys(obj, "data")
    data = obj.get("data") or {}
    kind = obj.get("type", "")
    errors += [required(f"data[{key}]") for key in _SECRET_KEYS.get(kind, ()) if key not in data]
    if kind == "kubernetes.io/basic-auth" and not ({"username", "password"} & set(data)):
        errors += [required("data[username]"), required("data[password]")]
    account = "kubernetes.io/service-account.name"
    if kind == "kubernetes.io/service-account-token" and not (obj["metadata"].get("annotations") or {}).get(account):
        errors.append(required(f"metadata.annotations[{account}]"))
    return errors


def _secret_update(obj: Json, old: Json) -> list[FieldError]:
    errors = []
    if obj.get("type") != old.get("type"):
        errors.append(invalid_value("type", obj.get("type", ""), IMMUTABLE))
    return errors + _frozen(obj, old, "data")


def _event(obj: Json) -> list[FieldError]:
    about = obj.get("involvedObject") or {}
    namespace = obj["metadata"].get("namespace", "")
    if about.get("namespace", "") != namespace and not (not about.get("namespace") and namespace == "default"):
        return [invalid_value("involvedObject.namespace", about.get("namespace", ""), "does not match event.namespace")]
    return []


def _lease(obj: Json) -> list[FieldError]:
    seconds = (obj.get("spec") or {}).get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        return [invalid_value("spec.leaseDurationSeconds", seconds, "must be greater than 0")]
    return []


def _priority_class(obj: Json) -> list[FieldError]:
    if obj["metadata"].get("name", "").startswith("system-") and obj.get("value", 0) <= 1000000000:
        words = "priority class names with 'system-' prefix are reserved for system use only"
        return [forbidden_field("metadata.name", words)]
    if obj.get("value", 0) > 1000000000 and not obj["metadata"].get("name", "").startswith("system-"):
        words = "maximum allowed value of a user defined priority is 1000000000"
        return [forbidden_field("value", words)]
    return []


CHECKS: dict[tuple[str, str], Check] = {
    ("", "configmaps"): _config_map,
    ("", "secrets"): _secret,
    ("", "events"): _event,
    ("scheduling.k8s.io", "priorityclasses"): _priority_class,
    ("coordination.k8s.io", "leases"): _lease,
}
UPDATES: dict[tuple[str, str], UpdateCheck] = {
    ("", "configmaps"): _config_map_update,
    ("", "secrets"): _secret_update,
}
