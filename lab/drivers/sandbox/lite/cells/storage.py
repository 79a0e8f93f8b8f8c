"""Owns the cells of volumes and claims, and of storage.k8s.io."""

from __future__ import annotations

from datetime import datetime

from ..border import Json
from .words import NONE, Cells, CellsOf, age, field_and_age

_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _access(modes: list[str] | None) -> str:
    return ",".join(_MODES[m] for m in _MODES if m in (modes or []))


def _volume(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    claim = spec.get("claimRef") or {}
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    return [
        (spec.get("capacity") or {}).get("storage", ""),
        _access(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        phase,
        f"{claim.get('namespace', '')}/{claim['name']}" if claim.get("name") else "",
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or "<unset>",
        status.get("reason", ""),
        age(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def _claim(obj: Json, now: datetime) -> Cells:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    phase = "Terminating" if obj["metadata"].get("deletionTimestamp") else status.get("phase", "")
    bound = bool(spec.get("volumeName"))
    return [
        phase,
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "") if bound else "",
        _access(status.get("accessModes")) if bound else "",
        spec.get("storageClassName") or "",
        spec.get("volumeAttributesClassName") or "<unset>",
        age(obj, now),
        spec.get("volumeMode") or "<unset>",
    ]


def _storage_class(obj: Json, now: datetime) -> Cells:
    return [
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "<unset>"),
        bool(obj.get("allowVolumeExpansion")),
        age(obj, now),
    ]


def _csi_driver(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    modes = spec.get("volumeLifecycleModes") or []
    tokens = spec.get("tokenRequests") or []
    return [
        bool(spec.get("attachRequired", True)),
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        ",".join(t.get("audience", "") for t in tokens) or "<unset>",
        bool(spec.get("requiresRepublish")),
        ",".join(modes) or NONE,
        age(obj, now),
    ]


def _csi_node(obj: Json, now: datetime) -> Cells:
    return [len(obj.get("spec", {}).get("drivers") or []), age(obj, now)]


def _attachment(obj: Json, now: datetime) -> Cells:
    spec = obj.get("spec", {})
    source = spec.get("source") or {}
    return [
        spec.get("attacher", ""),
        source.get("persistentVolumeName") or "",
        spec.get("nodeName", ""),
        bool(obj.get("status", {}).get("attached")),
        age(obj, now),
    ]


CELLS: dict[str, CellsOf] = {
    "/persistentvolumeclaims": _claim,
    "/persistentvolumes": _volume,
    "storage.k8s.io/csidrivers": _csi_driver,
    "storage.k8s.io/csinodes": _csi_node,
    "storage.k8s.io/storageclasses": _storage_class,
    "storage.k8s.io/volumeattachments": _attachment,
    "storage.k8s.io/volumeattributesclasses": field_and_age("driverName"),
}
