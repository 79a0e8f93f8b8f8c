"""Owns the mistakes in volumes, claims and storage classes."""

from __future__ import annotations

from ...border import Json
from ...status import FieldError, forbidden_field, required, unsupported
from .fields import Check, UpdateCheck

_SOURCES = ("hostPath", "local", "nfs", "csi", "iscsi", "fc", "cephfs", "rbd", "awsElasticBlockStore", "azureDisk",
            "azureFile", "cinder", "flexVolume", "flocker", "gcePersistentDisk", "glusterfs", "photonPersistentDisk",
            "portworxVolume", "quobyte", "scaleIO", "storageos", "vsphereVolume")  # fmt: skip


def _claim(obj: Json) -> list[FieldError]:
    spec = obj["spec"]
    errors = [] if spec.get("accessModes") else [required("spec.accessModes", "at least 1 access mode is required")]
    if not ((spec.get("resources") or {}).get("requests") or {}).get("storage"):
        errors.append(required("spec.resources[storage]"))
    return errors


def _claim_update(obj: Json, old: Json) -> list[FieldError]:
    def fixed(spec: Json) -> Json:
        return {k: v for k, v in spec.items() if k not in ("resources", "volumeName", "volumeAttributesClassName")}

    if fixed(obj["spec"]) == fixed(old["spec"]):
        return []
    words = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
    return [forbidden_field("spec", words)]


def _volume(obj: Json) -> list[FieldError]:
    spec = obj["spec"]
    errors = [] if spec.get("accessModes") else [required("spec.accessModes")]
    if not spec.get("capacity"):
        errors.append(required("spec.capacity"))
    elif set(spec["capacity"]) != {"storage"}:
        errors.append(unsupported("spec.capacity", ",".join(sorted(spec["capacity"])), ["storage"]))
    if not any(spec.get(source) for source in _SOURCES):
        errors.append(required("spec", "must specify a volume type"))
    if spec.get("hostPath") is not None and not spec["hostPath"].get("path"):
        errors.append(required("spec.hostPath.path"))
    return errors


def _storage_class(obj: Json) -> list[FieldError]:
    return [] if obj.get("provisioner") else [required("provisioner")]


CHECKS: dict[tuple[str, str], Check] = {
    ("", "persistentvolumeclaims"): _claim,
    ("", "persistentvolumes"): _volume,
    ("storage.k8s.io", "storageclasses"): _storage_class,
}
UPDATES: dict[tuple[str, str], UpdateCheck] = {
    ("", "persistentvolumeclaims"): _claim_update,
}
