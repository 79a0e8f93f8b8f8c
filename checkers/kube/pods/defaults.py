"""Owns what is done to a static pod around its validation: the defaults before it, the ban on API objects after it.

Source: Kubernetes 1.34, pkg/apis/core/v1 (defaults, conversion), pkg/api/pod/util.go, pkg/kubelet/config.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from checkers.kube.pods.decode import Path
from checkers.kube.pods.quantity import parse_quantity

#: The volume sources in the order in which they are looked at; a second one is refused under the name beside it.
SOURCES: Final = (
    "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi",
    "glusterfs", "flocker", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc",
    "flexVolume", "configMap", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk",
    "storageos", "projected", "scaleIO", "csi", "ephemeral", "image",
)  # fmt: skip
GROUPS: Final = ("initContainers", "containers", "ephemeralContainers")

# What is filled into a volume source where it is empty (a string) or not there (a pointer).
_SOURCE_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "hostPath": {"type": ""},
    "secret": {"defaultMode": 0o644},
    "configMap": {"defaultMode": 0o644},
    "downwardAPI": {"defaultMode": 0o644},
    "projected": {"defaultMode": 0o644},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}
# API objects that a volume stands for, by its source.
_API_VOLUMES: Final = {
    "configMap": "configmaps (via configmap volumes)",
    "secret": "secrets (via secret volumes)",
    "csi": "csidrivers (via CSI volumes)",
    "glusterfs": "endpoints (via glusterFS volumes)",
    "persistentVolumeClaim": "persistentvolumeclaims",
    "ephemeral": "persistentvolumeclaims (via ephemeral volumes)",
    "azureFile": "secrets (via azureFile volumes)",
}
_API_PROJECTIONS: Final = {
    "configMap": "configmaps (via projected volumes)",
    "secret": "secrets (via projected volumes)",
    "serviceAccountToken": "serviceaccounts (via projected volumes)",
    "clusterTrustBundle": "clustertrustbundles",
    "podCertificate": "podcertificates",
}
# Where a volume source names a secret, in the order of VisitPodSecretNames: only the first of them is looked at.
_SECRET_NAMES: Final = {
    "azureFile": "secretName",
    "cephfs": "secretRef",
    "cinder": "secretRef",
    "flexVolume": "secretRef",
    "projected": "",
    "rbd": "secretRef",
    "secret": "secretName",
    "scaleIO": "secretRef",
    "iscsi": "secretRef",
    "storageos": "secretRef",
    "csi": "nodePublishSecretRef",
}
_DIGEST_LENGTHS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST: Final = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_IMAGE: Final = re.compile(
    rf"(?:(?:{_HOST}(?:\.{_HOST})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)?({_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(\w[\w.-]{0,127}))?(?:@([A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*):([0-9a-fA-F]{32,}))?",
    re.ASCII,
)


def default_pod(pod: dict[str, Any]) -> None:
    """Fill in what Kubernetes fills in: in place, on the decoded pod."""
    pod.setdefault("metadata", {})
    spec = pod.setdefault("spec", {})
    _fill(spec, {"dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler"})
    _fill(spec, {"securityContext": {}, "terminationGracePeriodSeconds": 30, "enableServiceLinks": True})
    spec["terminationGracePeriodSeconds"] = (
        1 if spec["terminationGracePeriodSeconds"] < 0 else spec["terminationGracePeriodSeconds"]
    )
    if "serviceAccount" in spec:
        spec["serviceAccountName"] = spec.get("serviceAccountName") or spec["serviceAccount"]
        del spec["serviceAccount"]
    for volume in spec.get("volumes") or ():
        _default_volume(volume)
    for group in GROUPS:
        for container in spec.get(group) or ():
            _default_container(container, group, host_network=bool(spec.get("hostNetwork")))
    _round(spec, "overhead")
    for key in ("limits", "requests"):
        _round(spec.get("resources") or {}, key)


def _fill(values: dict[str, Any], defaults: dict[str, Any]) -> None:
    for key, value in defaults.items():
        values.setdefault(key, value)


def _default_volume(volume: dict[str, Any]) -> None:
    if not any(source in volume for source in SOURCES):
        volume["emptyDir"] = {}
    for source, defaults in _SOURCE_DEFAULTS.items():
        if source in volume:
            _fill(volume[source], defaults)
    items = list(volume.get("downwardAPI", {}).get("items") or ())
    for part in volume.get("projected", {}).get("sources") or ():
        items += part.get("downwardAPI", {}).get("items") or ()
        if "serviceAccountToken" in part:
            part["serviceAccountToken"].setdefault("expirationSeconds", 3600)
    for item in items:
        if "fieldRef" in item:
            item["fieldRef"].setdefault("apiVersion", "v1")
    claim = volume.get("ephemeral", {}).get("volumeClaimTemplate")
    if claim is not None:
        claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
        for key in ("limits", "requests"):
            _round(claim["spec"].get("resources") or {}, key)


def _default_container(container: dict[str, Any], group: str, *, host_network: bool) -> None:
    tag, digest = _image_tag(container.get("image", ""))
    latest = tag == "latest" or (tag == "" and not digest)
    _fill(container, {"imagePullPolicy": "Always" if latest else "IfNotPresent"})
    _fill(container, {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"})
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
        if host_network and group != "ephemeralContainers" and port.get("containerPort"):
            port.setdefault("hostPort", port["containerPort"])
    for variable in container.get("env") or ():
        source = variable.get("valueFrom") or {}
        if "fieldRef" in source:
            source["fieldRef"].setdefault("apiVersion", "v1")
        if "fileKeyRef" in source:
            source["fileKeyRef"].setdefault("optional", False)
    resources = container.get("resources") or {}
    if "limits" in resources and group != "ephemeralContainers":
        _fill(resources.setdefault("requests", {}), resources["limits"])
    for key in ("limits", "requests"):
        _round(resources, key)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is not None:
            _fill(probe, {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3})
            _default_http(probe)
            if "grpc" in probe:
                probe["grpc"].setdefault("service", "")
    for hook in ("postStart", "preStop"):
        _default_http((container.get("lifecycle") or {}).get(hook) or {})


def _default_http(handler: dict[str, Any]) -> None:
    if "httpGet" in handler:
        _fill(handler["httpGet"], {"path": "/", "scheme": "HTTP"})


def _round(resources: dict[str, Any], key: str) -> None:
    """Round amounts up to thousandths; what is exact keeps its text."""
    for name, text in (resources.get(key) or {}).items():
        rounded = parse_quantity(text).rounded()
        if not rounded.text and rounded != parse_quantity(text):
            resources[key][name] = str(rounded)


def _image_tag(image: str) -> tuple[str | None, str]:
    """Return the tag and the digest of an image's name as its parser finds them; a name that is none has no tag."""
    first, slash, _ = image.partition("/")
    has_domain = slash and (any(mark in first for mark in ".:") or first == "localhost" or first.lower() != first)
    full = image if has_domain else f"docker.io/{image}"
    found = _IMAGE.fullmatch(full)
    if found is None or re.fullmatch(r"[a-f0-9]{64}", image) or len(full.partition("@")[0]) > 300:
        return None, ""
    _, tag, algorithm, digest = found.groups()
    if algorithm is not None and _DIGEST_LENGTHS.get(algorithm) != len(digest):
        return None, ""
    return tag or "", digest or ""


def forbidden_reference(pod: dict[str, Any]) -> tuple[str, Path] | None:
    """Return why a static pod is refused that refers to API objects, and where it does; None where it does not.

    Source: HasAPIObjectReference, with the feature gate PreventStaticPodAPIReferences, on since 1.34.
    """
    for resource, path in _references(pod["spec"]):
        if resource.startswith("unknown"):
            return resource, path
        return f"static pods may not reference {resource}", path
    return None


def _references(spec: dict[str, Any]) -> Iterator[tuple[str, Path]]:
    if spec.get("serviceAccountName"):
        yield "serviceaccounts", ("spec", "serviceAccountName")
    for index, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if secret.get("name"):
            yield "secrets", ("spec", "imagePullSecrets", index)
    yield from _named_by_containers(spec, "secrets", "secretRef", "secretKeyRef")
    for index, volume in enumerate(spec.get("volumes") or ()):
        source = next((source for source in _SECRET_NAMES if source in volume), None)
        if source is not None and _names_secret(volume[source], _SECRET_NAMES[source]):
            yield "secrets", ("spec", "volumes", index, source)
    yield from _named_by_containers(spec, "configmaps", "configMapRef", "configMapKeyRef")
    for index, volume in enumerate(spec.get("volumes") or ()):
        parts = volume.get("projected", {}).get("sources") or ()
        if "projected" in volume:
            named = any(part.get("configMap", {}).get("name") for part in parts)
        else:
            named = bool(volume.get("configMap", {}).get("name"))
        if named:
            yield "configmaps", ("spec", "volumes", index)
    if spec.get("resourceClaims"):
        yield "resourceclaims", ("spec", "resourceClaims")
    for index, volume in enumerate(spec.get("volumes") or ()):
        for source, resource in _API_VOLUMES.items():
            if source in volume:
                yield resource, ("spec", "volumes", index, source)
        for number, part in enumerate(volume.get("projected", {}).get("sources") or ()):
            at: Path = ("spec", "volumes", index, "projected", "sources", number)
            found = next((resource for key, resource in _API_PROJECTIONS.items() if key in part), None)
            if found is not None:
                yield found, at
            elif "downwardAPI" not in part:
                yield f'unknown source for projected volume "{volume.get("name", "")}"', at


def _names_secret(source: dict[str, Any], key: str) -> bool:
    if not key:
        return any(part.get("secret", {}).get("name") for part in source.get("sources") or ())
    name = source.get(key)
    return bool(name.get("name") if isinstance(name, dict) else name)


def _named_by_containers(spec: dict[str, Any], resource: str, ref: str, key_ref: str) -> Iterator[tuple[str, Path]]:
    for group in GROUPS:
        for index, container in enumerate(spec.get(group) or ()):
            at: Path = ("spec", group, index)
            if any(source.get(ref, {}).get("name") for source in container.get("envFrom") or ()):
                yield resource, (*at, "envFrom")
            for number, variable in enumerate(container.get("env") or ()):
                if (variable.get("valueFrom") or {}).get(key_ref, {}).get("name"):
                    yield resource, (*at, "env", number)
