"""Owns the validation of volumes that are made of other things: keys, fields of the pod, tokens, claims of storage.

Source: Kubernetes 1.34, pkg/apis/core/validation (validateProjectionSources, ValidatePersistentVolumeClaimSpec).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from checkers.kube.pods.decode import Path
from checkers.kube.pods.field_errors import FieldErrors, keyed
from checkers.kube.pods.names import label_problems, qualified_name_problems, signer_name_problems, subdomain_problems
from checkers.kube.pods.quantity import parse_quantity

_FIELDS: Final = (
    "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid",
    "spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "spec.schedulerName", "status.phase",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
_VOLUME_FIELDS: Final = _FIELDS[:5]
_RESOURCES: Final = tuple(
    f"{kind}.{name}" for kind in ("limits", "requests") for name in ("cpu", "ephemeral-storage", "memory")
)
_DIVISORS: Final = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_KEY_TYPES: Final = ("RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")
_ACCESS_MODES: Final = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
# Fields of metadata that a template may not have, as Go's field names begin in lower case.
_TEMPLATE_FIELDS: Final = {
    "name": "name", "generateName": "generateName", "namespace": "namespace", "selfLink": "selfLink", "uid": "uID",
    "resourceVersion": "resourceVersion", "generation": "generation", "creationTimestamp": "creationTimestamp",
    "deletionTimestamp": "deletionTimestamp", "deletionGracePeriodSeconds": "deletionGracePeriodSeconds",
    "ownerReferences": "ownerReferences", "finalizers": "finalizers", "managedFields": "managedFields",
}  # fmt: skip


def subscripted(path: str) -> tuple[str, str] | None:
    """Split `metadata.labels['key']`; None for a path without a subscript."""
    if not path.endswith("']"):
        return None
    name, bracket, key = path.removesuffix("']").partition("['")
    return (name, key) if bracket and name else None


def check_field_ref(out: FieldErrors, ref: Mapping[str, Any], at: Path, fields: Sequence[str]) -> None:
    """Check a field of the pod that is asked for: validateObjectFieldSelector."""
    version, path = ref.get("apiVersion", ""), ref.get("fieldPath", "")
    if not path:
        out.required((*at, "fieldPath"))
        return
    split = subscripted(path)
    problem = ""
    if version != "v1":
        problem = f"unsupported pod version: {version}"
    elif split is not None and split[0] not in ("metadata.annotations", "metadata.labels"):
        problem = f"field label does not support subscript: {path}"
    elif split is None and path not in _FIELDS and path != "spec.host":
        problem = f"field label not supported: {path}"
    if problem:
        out.invalid((*at, "fieldPath"), path, f"error converting fieldPath: {problem}")
    elif split is not None:
        key = split[1].lower() if split[0] == "metadata.annotations" else split[1]
        out.each(at, key, qualified_name_problems(key))
    else:
        path = "spec.nodeName" if path == "spec.host" else path
        out.choice((*at, "fieldPath"), path, sorted(fields), plain=True)


def check_resource_ref(out: FieldErrors, ref: Mapping[str, Any], at: Path, *, volume: bool) -> None:
    """Check a resource of a container that is asked for: validateContainerResourceFieldSelector."""
    resource = ref.get("resource", "")
    huge = resource.startswith(("requests.hugepages-", "limits.hugepages-"))
    if volume and not ref.get("containerName"):
        out.required((*at, "containerName"))
    elif not resource:
        out.required((*at, "resource"))
    elif resource not in _RESOURCES and not huge:
        out.choice((*at, "resource"), resource, _RESOURCES, plain=True)
    divisor = parse_quantity(ref.get("divisor", "0"))
    if not divisor.nano:
        return
    kind = resource.partition(".")[2] if resource in _RESOURCES else "hugepages" if huge else ""
    if kind == "cpu" and str(divisor) not in ("1m", "1"):
        words = "only divisor's values 1m and 1 are supported with the cpu resource"
        out.invalid((*at, "divisor"), resource, words)
    elif kind not in ("", "cpu") and str(divisor) not in _DIVISORS:
        said = {"memory": "memory", "hugepages": "hugepages"}.get(kind, "local ephemeral storage")
        words = f"only divisor's values {', '.join(_DIVISORS)} are supported with the {said} resource"
        out.invalid((*at, "divisor"), resource, words)


def check_key_items(out: FieldErrors, items: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Check which keys become which files: validateKeyToPath."""
    for index, item in enumerate(items):
        at: Path = (*path, index)
        out.needed(item, at, "key", "path")
        out.not_reserved((*at, "path"), item.get("path", ""))
        out.mode((*at, "mode"), item.get("mode"))


def check_downward_items(out: FieldErrors, items: Sequence[Mapping[str, Any]], at: Path) -> None:
    """Check which fields become which files; errors name the volume and not the item."""
    for item in items:
        _downward_item(out, item, at)


def _downward_item(out: FieldErrors, item: Mapping[str, Any], at: Path) -> None:
    out.needed(item, at, "path")
    out.not_reserved((*at, "path"), item.get("path", ""))
    if "fieldRef" in item:
        check_field_ref(out, item["fieldRef"], (*at, "fieldRef"), _VOLUME_FIELDS)
        if "resourceFieldRef" in item:
            out.invalid(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
    elif "resourceFieldRef" in item:
        check_resource_ref(out, item["resourceFieldRef"], (*at, "resourceFieldRef"), volume=True)
    else:
        out.required(at, "one of fieldRef and resourceFieldRef is required")
    out.mode((*at, "mode"), item.get("mode"))


def check_projected(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    """Check a projected volume: validateProjectedVolumeSource."""
    out.mode((*at, "defaultMode"), source.get("defaultMode"))
    paths: set[str] = set()
    for index, part in enumerate(source.get("sources") or ()):
        _Projection(out, at, paths).check(part, (*at, "sources", index))


class _Projection:
    """One source of a projected volume; `paths` are those that are taken."""

    def __init__(self, out: FieldErrors, volume: Path, paths: set[str]) -> None:
        self._out = out
        self._volume = volume
        self._paths = paths

    def check(self, part: Mapping[str, Any], at: Path) -> None:
        out = self._out
        for kind in ("secret", "configMap"):
            if kind in part:
                out.needed(part[kind], (*at, kind), "name")
                for index, item in enumerate(part[kind].get("items") or ()):
                    here: Path = (*at, kind, "items", index)
                    out.needed(item, here, "key", "path")
                    out.not_reserved((*here, "path"), item.get("path", ""))
                    out.mode((*here, "mode"), item.get("mode"))
                    if item.get("path"):
                        self._take(item["path"], part[kind].get("name", ""))
        for item in part.get("downwardAPI", {}).get("items") or ():
            _downward_item(out, item, (*at, "downwardAPI"))
            if item.get("path"):
                self._take(item["path"])
        if "serviceAccountToken" in part:
            self._token(part["serviceAccountToken"], (*at, "serviceAccountToken"))
        if "clusterTrustBundle" in part:
            self._bundle(part["clusterTrustBundle"], (*at, "clusterTrustBundle"))
        if "podCertificate" in part:
            self._certificate(part["podCertificate"], (*at, "podCertificate"))
        if len(part) > 1:
            out.forbidden(at, "may not specify more than 1 volume type per source")

    def _take(self, path: str, shown: str | None = None) -> None:
        if path in self._paths:
            self._out.invalid(self._volume, path if shown is None else shown, "conflicting duplicate paths")
        self._paths.add(path)

    def _token(self, token: Mapping[str, Any], at: Path) -> None:
        seconds = token["expirationSeconds"]
        if seconds < 600:
            words = "may not specify a duration less than 10 minutes"
            self._out.invalid((*at, "expirationSeconds"), seconds, words)
        if seconds > 1 << 32:
            words = "may not specify a duration larger than 2^32 seconds"
            self._out.invalid((*at, "expirationSeconds"), seconds, words)
        if token.get("path"):
            self._out.not_reserved((*self._volume, "path"), token["path"])
        else:
            self._out.required((*self._volume, "path"))

    def _signer(self, name: str, at: Path) -> None:
        if not name:
            self._out.required(at)
            return
        for shown, problem in signer_name_problems(name):
            if shown:
                self._out.invalid(at, shown, problem)
            else:
                self._out.add(at, f"Too long: {problem}")

    def _bundle(self, bundle: Mapping[str, Any], at: Path) -> None:
        out, name, signer = self._out, bundle.get("name"), bundle.get("signerName")
        selector = bundle.get("labelSelector")
        if name is not None and signer is not None:
            out.invalid(at, _bundle_shown(bundle), "only one of name and signerName may be used")
        elif name is not None:
            if not name:
                out.required((*at, "name"), "must be a valid object name")
            last = name.rpartition(":")[2]
            for problem in subdomain_problems(last):
                out.invalid((*at, "name"), name, f"not a valid clustertrustbundlename: {problem}")
            if selector is not None:
                words = "labelSelector must be unset if name is specified"
                out.invalid((*at, "labelSelector"), _selector_shown(selector), words)
        elif signer is not None:
            if not signer:
                out.required((*at, "signerName"), "must be a valid signer name")
            self._signer(signer, (*at, "signerName"))
            out.selector((*at, "labelSelector"), selector)
        else:
            out.required(at, "either name or signerName must be specified")
        path = bundle.get("path", "")
        out.needed(bundle, at, "path")
        out.not_reserved((*at, "path"), path)
        self._take(path)

    def _certificate(self, wish: Mapping[str, Any], at: Path) -> None:
        out, signer = self._out, wish.get("signerName", "")
        self._signer(signer, (*at, "signerName"))
        out.choice((*at, "keyType"), wish.get("keyType", ""), _KEY_TYPES, plain=True)
        seconds = wish.get("maxExpirationSeconds")
        if seconds is not None:
            host = signer.partition("/")[0]
            days = 1 if host == "kubernetes.io" or host.endswith(".kubernetes.io") else 91
            here: Path = (*at, "maxExpirationSeconds")
            if seconds < 3600:
                out.invalid(here, seconds, "if provided, maxExpirationSeconds must be >= 3600")
            if seconds > days * 86400:
                out.invalid(here, seconds, f"if provided, maxExpirationSeconds must be <= {days * 86400}")
        fields = [name for name in ("credentialBundlePath", "keyPath", "certificateChainPath") if wish.get(name)]
        for name in fields:
            out.not_reserved((*at, name), wish[name])
            self._take(wish[name])
        if not fields:
            out.required(at, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath")


def _selector_shown(selector: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if selector.get("matchLabels"):
        shown["matchLabels"] = dict(sorted(selector["matchLabels"].items()))
    if selector.get("matchExpressions"):
        shown["matchExpressions"] = [
            {"key": one.get("key", ""), "operator": one.get("operator", "")}
            | ({"values": one["values"]} if one.get("values") else {})
            for one in selector["matchExpressions"]
        ]
    return shown


def _bundle_shown(bundle: Mapping[str, Any]) -> dict[str, Any]:
    selector = bundle.get("labelSelector")
    return {
        "Name": bundle.get("name"),
        "SignerName": bundle.get("signerName"),
        "LabelSelector": None if selector is None else _selector_shown(selector),
        "Optional": bundle.get("optional"),
        "Path": bundle.get("path", ""),
    }


def check_volume_claim(out: FieldErrors, claim: Mapping[str, Any], at: Path) -> None:
    """Check the claim that is made for a pod: ValidatePersistentVolumeClaimTemplate."""
    meta, spec, here = claim.get("metadata") or {}, claim.get("spec") or {}, (*at, "spec")
    out.annotations((*at, "metadata", "annotations"), meta.get("annotations"))
    out.labels((*at, "metadata", "labels"), meta.get("labels"))
    for field, said in _TEMPLATE_FIELDS.items():
        if field in meta:
            out.forbidden((*at, "metadata", said), "cannot be set", at=(*at, "metadata", field))
    modes: Sequence[str] = spec.get("accessModes") or ()
    if not modes:
        out.required((*here, "accessModes"), "at least 1 access mode is required")
    out.selector((*here, "selector"), spec.get("selector"))
    for mode in modes:
        out.choice((*here, "accessModes"), mode, _ACCESS_MODES)
    if "ReadWriteOncePod" in modes and set(modes) & set(_ACCESS_MODES[:3]):
        out.forbidden((*here, "accessModes"), "may not use ReadWriteOncePod with other access modes")
    storage, where = (spec.get("resources") or {}).get("requests", {}).get("storage"), (*here, "resources")
    if storage is None:
        out.required(keyed(where, "storage"), at=where)
    elif parse_quantity(storage).nano <= 0:
        out.invalid(keyed(where, "storage"), str(parse_quantity(storage)), "must be greater than zero", at=where)
    if spec.get("storageClassName"):
        out.subdomain((*here, "storageClassName"), spec["storageClassName"])
    out.choice((*here, "volumeMode"), spec.get("volumeMode", "Filesystem"), ("Block", "Filesystem"))
    source, ref = spec.get("dataSource"), spec.get("dataSourceRef")
    for field, value in (("dataSource", source), ("dataSourceRef", ref)):
        if value is not None:
            _data_source(out, value, (*here, field))
    if ref is not None and ref.get("namespace"):
        out.each((*here, "dataSourceRef", "namespace"), ref["namespace"], label_problems(ref["namespace"]))
        if source is not None:
            out.invalid(here, {}, "may not be specified when dataSourceRef.namespace is specified")
    elif source is not None and ref is not None and _differ(source, ref):
        out.invalid(here, {}, "must match dataSourceRef")
    if spec.get("volumeAttributesClassName"):
        out.subdomain((*here, "volumeAttributesClassName"), spec["volumeAttributesClassName"])


def _differ(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return any(one.get(key) != other.get(key) for key in ("apiGroup", "kind", "name"))


def _data_source(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    out.needed(source, at, "name", "kind")
    group, kind = source.get("apiGroup") or "", source.get("kind", "")
    if not group and kind != "PersistentVolumeClaim":
        out.invalid(at, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup")
    if group:
        out.subdomain((*at, "apiGroup"), group)
