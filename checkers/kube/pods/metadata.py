"""Owns the validation of a pod's metadata: names, labels, owners, finalizers, and what annotations of old ask for.

Source: apimachinery 1.34, pkg/api/validation/objectmeta.go; pkg/apis/core/validation of Kubernetes 1.34.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from checkers.kube.gotext import quote
from checkers.kube.goyaml import Node, YAMLError
from checkers.kube.goyaml.json import decode_json
from checkers.kube.pods.decode import Path
from checkers.kube.pods.field_errors import FieldErrors, Named, keyed
from checkers.kube.pods.names import length, qualified_name_problems, subdomain_problems
from checkers.kube.pods.scheduling import check_tolerations

SECCOMP_POD: Final = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER: Final = "container.seccomp.security.alpha.kubernetes.io/"
APPARMOR_CONTAINER: Final = "container.apparmor.security.beta.kubernetes.io/"
_TOLERATIONS: Final = "scheduler.alpha.kubernetes.io/tolerations"
_DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
_INIT_CONTAINERS: Final = tuple(
    f"pod.{stage}.kubernetes.io/init-container{what}" for stage in ("alpha", "beta") for what in ("s", "-statuses")
)
_TOLERATION_TYPES: Final = {
    "key": "string",
    "operator": "core.TolerationOperator",
    "value": "string",
    "effect": "core.TaintEffect",
    "tolerationSeconds": "int64",
}
_ORPHAN, _FOREGROUND = "orphan", "foregroundDeletion"
_META: Final[Path] = ("metadata",)


def drop_old_annotations(meta: dict[str, Any]) -> None:
    """Leave out the annotations that init containers once were: the kubelet's decoder does."""
    for key in _INIT_CONTAINERS:
        meta.get("annotations", {}).pop(key, None)


def check_metadata(out: FieldErrors, meta: Mapping[str, Any]) -> None:
    """Check metadata as of any object: ValidateObjectMeta."""
    generate = meta.get("generateName", "")
    if generate:
        out.each((*_META, "generateName"), generate, subdomain_problems(generate, prefix=True))
    out.subdomain((*_META, "name"), meta.get("name", ""))
    out.label((*_META, "namespace"), meta.get("namespace", ""))
    if meta.get("generation", 0) < 0:
        out.invalid((*_META, "generation"), meta["generation"], "must be greater than or equal to 0")
    out.labels((*_META, "labels"), meta.get("labels"))
    out.annotations((*_META, "annotations"), meta.get("annotations"))
    _owners(out, meta.get("ownerReferences") or [], (*_META, "ownerReferences"))
    finalizers = meta.get("finalizers") or []
    at: Path = (*_META, "finalizers")
    for finalizer in finalizers:
        out.each(at, finalizer, qualified_name_problems(finalizer))
    if _ORPHAN in finalizers and _FOREGROUND in finalizers:
        out.invalid(at, finalizers, f"finalizer {_ORPHAN} and {_FOREGROUND} cannot be both set")
    _managers(out, meta.get("managedFields") or (), (*_META, "managedFields"))
    for index, finalizer in enumerate(finalizers):
        if "/" not in finalizer and finalizer not in ("kubernetes", _ORPHAN, _FOREGROUND):
            words = "name is neither a standard finalizer name nor is it fully qualified"
            out.invalid((*at, index), finalizer, words)


def _owners(out: FieldErrors, owners: list[dict[str, Any]], at: Path) -> None:
    controller = ""
    for index, owner in enumerate(owners):
        api_version, kind = owner.get("apiVersion", ""), owner.get("kind", "")
        version = "" if api_version.count("/") > 1 else api_version.rpartition("/")[2]
        where: Path = (*at, index)
        if not version:
            out.invalid((*at, "apiVersion"), api_version, "version must not be empty", at=where)
        for field in ("kind", "name", "uid"):
            if not owner.get(field):
                value = owner.get(field, "")
                out.invalid((*at, field), Named(value) if field == "uid" else value, "must not be empty", at=where)
        if (api_version, kind) == ("v1", "Event"):
            out.invalid(at, _owner_shown(owner), "/v1, Kind=Event is disallowed from being an owner", at=where)
        if owner.get("controller"):
            this = f"{kind}/{owner.get('name', '')}"
            if controller:
                words = 'Only one reference can have Controller set to true. Found "true" in references for'
                out.invalid(at, [_owner_shown(one) for one in owners], f"{words} {controller} and {this}", at=where)
            else:
                controller = this


def _owner_shown(owner: Mapping[str, Any]) -> dict[str, Any]:
    shown = {field: owner.get(field, "") for field in ("apiVersion", "kind", "name", "uid")}
    return shown | {field: owner[field] for field in ("controller", "blockOwnerDeletion") if field in owner}


def _managers(out: FieldErrors, entries: Any, at: Path) -> None:
    for index, entry in enumerate(entries):
        here: Path = (*at, index)
        operation = entry.get("operation", "")
        if operation not in ("Apply", "Update"):
            out.invalid((*here, "operation"), Named(operation), "must be `Apply` or `Update`")
        kind = entry.get("fieldsType", "")
        if kind and kind != "FieldsV1":
            out.invalid((*here, "fieldsType"), kind, "must be `FieldsV1`")
        manager = entry.get("manager", "")
        if length(manager) > 128:
            out.too_long((*here, "manager"), 128)
        offset = 0
        for char in manager:
            if not (char == " " or (char.isprintable() and not char.isspace())):
                words = f"invalid character U+{ord(char):04X} (at position {offset})"
                out.invalid((*here, "manager"), manager, words)
            offset += length(char)
        if length(entry.get("subresource", "")) > 256:
            out.too_long((*here, "subresource"), 256)


def check_annotations(out: FieldErrors, pod: Mapping[str, Any]) -> None:
    """Check what annotations mean to a pod: ValidatePodSpecificAnnotations."""
    annotations = pod["metadata"].get("annotations") or {}
    at: Path = (*_META, "annotations")
    if annotations.get(_TOLERATIONS):
        _tolerations(out, annotations[_TOLERATIONS], at)
    cost = annotations.get(_DELETION_COST)
    if cost is not None and not (
        re.fullmatch(r"-[0-9]+|0|[1-9][0-9]*", cost, re.ASCII) and -(1 << 31) <= int(cost[:20]) < 1 << 31
    ):
        out.invalid(keyed(at, _DELETION_COST), cost, "must be a 32bit integer", at=at)
    if SECCOMP_POD in annotations:
        _seccomp(out, annotations[SECCOMP_POD], (*at, SECCOMP_POD))
    for key, profile in sorted(annotations.items()):
        if key.startswith(SECCOMP_CONTAINER):
            _seccomp(out, profile, (*at, key))
    names = {container.get("name", "") for _, container in all_containers(pod["spec"])}
    for key, profile in sorted(annotations.items()):
        if not key.startswith(APPARMOR_CONTAINER):
            continue
        name = key.removeprefix(APPARMOR_CONTAINER)
        if name not in names:
            out.invalid(keyed(at, key), name, "container not found", at=(*at, key))
        if profile not in ("", "runtime/default", "unconfined") and not profile.startswith("localhost/"):
            out.invalid(keyed(at, key), profile, f"invalid AppArmor profile name: {quote(profile)}", at=(*at, key))


def all_containers(spec: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield every container with its path: those of initContainers first."""
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for index, container in enumerate(spec.get(group) or ()):
            yield ("spec", group, index), container


def _tolerations(out: FieldErrors, text: str, at: Path) -> None:
    """Check tolerations in an annotation: JSON of the internal type, whose fields Go finds in any case."""
    try:
        read = _read_tolerations(decode_json(text.encode("utf-8", "replace")).root)
    except YAMLError as error:
        out.invalid(at, _TOLERATIONS, error.text, at=(*at, _TOLERATIONS))
        return
    check_tolerations(out, read, (*at, _TOLERATIONS))


def _read_tolerations(root: Node) -> list[dict[str, Any]]:
    """Decode a list of core.Toleration. Raises YAMLError in encoding/json's words, for the first that is wrong."""
    problem = ""
    if root.items is None and root.value is not None:
        problem = f"{root.kind} into Go value of type []core.Toleration"
    read: list[dict[str, Any]] = []
    for item in root.items or ():
        toleration: dict[str, Any] = {}
        if item.pairs is None and item.value is not None:
            problem = problem or f"{item.kind} into Go value of type core.Toleration"
        for key, _, node in item.pairs or ():
            field = next((field for field in _TOLERATION_TYPES if field.lower() == key.lower()), None)
            if field is None or node.value is None:
                continue
            wanted = _TOLERATION_TYPES[field]
            if node.kind == ("number" if wanted == "int64" else "string"):
                toleration[field] = node.value
            else:
                where = f"Go struct field Toleration.{field[0].upper()}{field[1:]} of type {wanted}"
                problem = problem or f"{node.kind} into {where}"
        read.append(toleration)
    if problem:
        raise YAMLError(f"json: cannot unmarshal {problem}")
    return read


def _seccomp(out: FieldErrors, profile: str, at: Path) -> None:
    if profile in ("runtime/default", "docker/default", "unconfined"):
        return
    if profile.startswith("localhost/"):
        out.descending(at, profile.removeprefix("localhost/"))
    else:
        out.invalid(at, profile, "must be a valid seccomp profile")


def check_profiles_agree(out: FieldErrors, pod: Mapping[str, Any]) -> None:
    """Check that annotations and fields name the same seccomp and AppArmor profiles, where both are there."""
    annotations = pod["metadata"].get("annotations") or {}
    spec = pod["spec"]
    of_pod = spec.get("securityContext") or {}
    _agree(out, annotations.get(SECCOMP_POD), of_pod.get("seccompProfile"), ("spec", "securityContext"), "seccomp")
    containers = list(all_containers(spec))
    for at, container in containers:
        field = (container.get("securityContext") or {}).get("seccompProfile")
        annotation = annotations.get(SECCOMP_CONTAINER + container.get("name", ""))
        _agree(out, annotation, field, (*at, "securityContext"), "seccomp")
    if (spec.get("os") or {}).get("name") == "windows":
        return
    for at, container in containers:
        field = (container.get("securityContext") or {}).get("appArmorProfile") or of_pod.get("appArmorProfile")
        annotation = annotations.get(APPARMOR_CONTAINER + container.get("name", ""))
        _agree(out, annotation, field, (*at, "securityContext"), "apparmor")


def _agree(out: FieldErrors, annotation: str | None, field: dict[str, Any] | None, at: Path, what: str) -> None:
    if annotation is None or field is None:
        return
    at = (*at, "seccompProfile" if what == "seccomp" else "appArmorProfile")
    kind = field.get("type", "")
    defaults = ("runtime/default", "docker/default") if what == "seccomp" else ("runtime/default",)
    same = {
        "Unconfined": annotation == "unconfined",
        "RuntimeDefault": annotation in defaults,
        "Localhost": annotation.startswith("localhost/"),
    }.get(kind, True)
    if not same:
        out.forbidden((*at, "type"), f"{what} type in annotation and field must match")
    elif kind == "Localhost" and annotation.removeprefix("localhost/") != field.get("localhostProfile"):
        out.forbidden((*at, "localhostProfile"), f"{what} profile in annotation and field must match")
