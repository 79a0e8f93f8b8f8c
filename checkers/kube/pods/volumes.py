"""Owns the validation of a pod's volumes, of every kind but those made of several sources (pod_projections).

Source: Kubernetes 1.34, pkg/apis/core/validation (ValidateVolumes, validateVolumeSource).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from checkers.kube.pods.decode import Path
from checkers.kube.pods.defaults import SOURCES
from checkers.kube.pods.field_errors import FieldErrors, keyed
from checkers.kube.pods.names import length, range_problems, subdomain_problems
from checkers.kube.pods.projections import check_downward_items, check_key_items, check_projected, check_volume_claim
from checkers.kube.pods.quantity import parse_quantity

_HOST_PATH_TYPES: Final = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip
# Sources that are refused, or looked at, under another name than their own.
_SAID: Final = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}
_INSIDE: Final = {"gcePersistentDisk": "persistentDisk"}
# The fields that must be there, of sources of which nothing else is asked.
_NEEDED: Final = {
    "persistentVolumeClaim": ("claimName",),
    "glusterfs": ("endpoints", "path"),
    "rbd": ("monitors", "image"),
    "cephfs": ("monitors",),
    "azureFile": ("secretName", "shareName"),
    "vsphereVolume": ("volumePath",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "scaleIO": ("gateway", "system", "volumeName"),
}
_INITIATORS: Final = {
    "iqn": re.compile(r"iqn\.[0-9]{4}-[0-9]{2}\.([0-9A-Za-z\-.]+)(:[^,;*&$|\s]+)$", re.ASCII),
    "eui": re.compile(r"^eui.[0-9A-Za-z]{16}$"),
    "naa": re.compile(r"^naa.[0-9A-Za-z]{32}$"),
}
_HOST_PORT: Final = re.compile(r"(?:[^:\[\]]*|\[[^\[\]]*\]):[^:\[\]]*")


def check_volumes(out: FieldErrors, spec: Mapping[str, Any], pod_name: str) -> dict[str, dict[str, Any]]:
    """Check spec.volumes; returns those that are right, by name: mounts find no others."""
    volumes: Sequence[dict[str, Any]] = spec.get("volumes") or ()
    right: dict[str, dict[str, Any]] = {}
    claims = {f"{pod_name}-{volume.get('name', '')}" for volume in volumes if "ephemeral" in volume}
    for index, volume in enumerate(volumes):
        at: Path = ("spec", "volumes", index)
        before = len(out.found)
        _check_sources(out, volume, at, pod_name)
        name = volume.get("name", "")
        if not name:
            out.required((*at, "name"))
        else:
            out.label((*at, "name"), name)
        if name in right:
            out.duplicate((*at, "name"), name)
        if len(out.found) == before:
            right[name] = volume
        claim = volume.get("persistentVolumeClaim", {}).get("claimName", "")
        if "persistentVolumeClaim" in volume and claim in claims:
            words = "must not reference a PVC that gets created for an ephemeral volume"
            out.invalid((*at, "persistentVolumeClaim", "claimName"), claim, words)
    return right


def _check_sources(out: FieldErrors, volume: dict[str, Any], at: Path, pod_name: str) -> None:
    first = True
    name = volume.get("name", "")
    for kind in SOURCES:
        source = volume.get(kind)
        if source is None:
            continue
        if not first:
            words = "may not specify more than 1 volume type"
            out.forbidden((*at, _SAID.get(kind, kind)), words, at=(*at, kind))
        else:
            first = False
            here: Path = (*at, _INSIDE.get(kind, kind))
            if kind in _NEEDED:
                out.needed(source, here, *_NEEDED[kind])
            else:
                _CHECKS[kind](out, source, here)
            claim = f"{pod_name}-{name}"
            for problem in subdomain_problems(claim) if kind == "ephemeral" and name else ():
                out.invalid((*at, "name"), name, f'PVC name "{claim}": {problem}')
        if kind == "iscsi" and "initiatorName" in source and length(f"{name}:{source.get('targetPortal', '')}") > 64:
            words = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if "
            out.invalid((*at, "name"), name, f"{words}iscsi.initiatorName is specified.")


def _empty_dir(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    if parse_quantity(source.get("sizeLimit", "0")).nano < 0:
        out.forbidden((*at, "sizeLimit"), "SizeLimit field must be a valid resource quantity")


def _host_path(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    path = source.get("path", "")
    if not path:
        out.required((*at, "path"))
        return
    out.no_backsteps((*at, "path"), path)
    out.choice((*at, "type"), source["type"], _HOST_PATH_TYPES)


def _git_repo(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    out.needed(source, at, "repository")
    out.descending((*at, "directory"), source.get("directory", ""))


def _disk(needed: str) -> Callable[[FieldErrors, Mapping[str, Any], Path], None]:
    def check(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
        out.needed(source, at, needed)
        partition = source.get("partition", 0)
        if not 0 <= partition <= 255:
            out.each((*at, "partition"), partition, range_problems(partition, 1, 255))

    return check


def _keyed_source(needed: str) -> Callable[[FieldErrors, Mapping[str, Any], Path], None]:
    def check(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
        out.needed(source, at, needed)
        out.mode((*at, "defaultMode"), source.get("defaultMode"))
        check_key_items(out, source.get("items") or (), (*at, "items"))

    return check


def _nfs(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    out.needed(source, at, "server", "path")
    path = source.get("path", "")
    if not path.startswith("/"):
        out.invalid((*at, "path"), path, "must be an absolute path")


def _iscsi(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    out.needed(source, at, "targetPortal", "iqn")
    iqn = source.get("iqn", "")
    if iqn:
        _initiator(out, iqn, (*at, "iqn"))
    lun = source.get("lun", 0)
    out.each((*at, "lun"), lun, range_problems(lun, 0, 255))
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and "secretRef" not in source:
        out.required((*at, "secretRef"))
    if "initiatorName" in source:
        _initiator(out, source["initiatorName"], (*at, "initiatorname"))


def _initiator(out: FieldErrors, name: str, at: Path) -> None:
    pattern = _INITIATORS.get(name[:3])
    if pattern is None:
        out.invalid(at, name, "must be valid format starting with iqn, eui, or naa")
    elif not pattern.search(name) or name.endswith("\n"):
        out.invalid(at, name, "must be valid format")


def _flocker(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    name, uuid = source.get("datasetName", ""), source.get("datasetUUID", "")
    if not name and not uuid:
        out.required(at, "one of datasetName and datasetUUID is required")
    if name and uuid:
        out.invalid(at, "resource", "datasetName and datasetUUID can not be specified simultaneously")
    if "/" in name:
        out.invalid((*at, "datasetName"), name, "must not contain '/'")


def _cinder(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    out.needed(source, at, "volumeID")
    _secret_ref(out, source, at)


def _secret_ref(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    if "secretRef" in source and not source["secretRef"].get("name"):
        out.required((*at, "secretRef", "name"))


def _quobyte(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    registry, words = source.get("registry", ""), "must be a host:port pair or multiple pairs separated by commas"
    if not registry:
        out.required((*at, "registry"), words)
    elif length(source.get("tenant", "")) >= 65:
        out.required((*at, "tenant"), "must be a UUID and may not exceed a length of 64 characters")
    else:
        for pair in registry.split(","):
            if not _HOST_PORT.fullmatch(pair):
                out.invalid((*at, "registry"), registry, words)
    out.needed(source, at, "volume")


def _downward(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    out.mode((*at, "defaultMode"), source.get("defaultMode"))
    check_downward_items(out, source.get("items") or (), at)


def _fc(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    names, ids = source.get("targetWWNs") or [], source.get("wwids") or []
    if not names and not ids:
        out.required((*at, "targetWWNs"), "must specify either targetWWNs or wwids, but not both")
    if names and ids:
        out.invalid((*at, "targetWWNs"), names, "targetWWNs and wwids can not be specified simultaneously")
    if names:
        lun = source.get("lun")
        if lun is None:
            out.required((*at, "lun"), "lun is required if targetWWNs is specified")
        else:
            out.each((*at, "lun"), lun, range_problems(lun, 0, 255))


def _flex(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    out.needed(source, at, "driver")
    for key in sorted(source.get("options") or {}):
        domain = "." + key.partition("/")[0].lower()
        if domain.endswith((".kubernetes.io", ".k8s.io")):
            words = "kubernetes.io and k8s.io namespaces are reserved"
            out.invalid(keyed((*at, "options"), key), key, words, at=(*at, "options", key))


def _azure_disk(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    out.needed(source, at, "diskName", "diskURI")
    uri, kind = source.get("diskURI", ""), source["kind"]
    out.choice((*at, "cachingMode"), source["cachingMode"], ("None", "ReadOnly", "ReadWrite"))
    out.choice((*at, "kind"), kind, ("Dedicated", "Managed", "Shared"))
    disks = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        out.choice((*at, "diskURI"), uri, (disks,), plain=True)
    blobs = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
    if kind != "Managed" and not uri.startswith("https://"):
        out.choice((*at, "diskURI"), uri, (blobs,), plain=True)


def _storage_os(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    out.needed(source, at, "volumeName")
    for field in ("volumeName", "volumeNamespace"):
        if source.get(field):
            out.label((*at, field), source[field])
    _secret_ref(out, source, at)


def _csi(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    out.needed(source, at, "driver")
    driver = source.get("driver", "")
    if length(driver) > 63:
        out.too_long((*at, "driver"), 63)
    out.each((*at, "driver"), driver, subdomain_problems(driver.lower()))
    if "nodePublishSecretRef" in source:
        name = source["nodePublishSecretRef"].get("name", "")
        if not name:
            out.required((*at, "nodePublishSecretRef", "name"))
        else:
            out.subdomain((*at, "name"), name)


def _ephemeral(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    claim = source.get("volumeClaimTemplate")
    if claim is None:
        out.required((*at, "volumeClaimTemplate"))
    else:
        check_volume_claim(out, claim, (*at, "volumeClaimTemplate"))


def _image(out: FieldErrors, source: Mapping[str, Any], at: Path) -> None:
    out.chosen((*at, "pullPolicy"), source.get("pullPolicy", ""), ("Always", "IfNotPresent", "Never"))


_CHECKS: Final[dict[str, Callable[[FieldErrors, Mapping[str, Any], Path], None]]] = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    "gitRepo": _git_repo,
    "gcePersistentDisk": _disk("pdName"),
    "awsElasticBlockStore": _disk("volumeID"),
    "secret": _keyed_source("secretName"),
    "nfs": _nfs,
    "iscsi": _iscsi,
    "flocker": _flocker,
    "cinder": _cinder,
    "quobyte": _quobyte,
    "downwardAPI": _downward,
    "fc": _fc,
    "flexVolume": _flex,
    "configMap": _keyed_source("name"),
    "azureDisk": _azure_disk,
    "storageos": _storage_os,
    "projected": check_projected,
    "csi": _csi,
    "ephemeral": _ephemeral,
    "image": _image,
}
