"""Owns what is done to a static pod around its validation: the defaults before it, the ban on API objects after it.

Source: Kubernetes 1.34, pkg/apis/core/v1/defaults.go, pkg/api/pod/util.go, pkg/kubelet/config/common.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from .pod_decode import Path

#: The volume sources in the order in which they are looked at; a second one is refused under the name beside it.
SOURCES: Final = (
    "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi",
    "glusterfs", "flocker", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc",
    "flexVolume", "azureFile", "configMap", "vsphereVolume", "azureDisk", "portworxVolume", "photonPersistentDisk",
    "scaleIO", "projected", "storageos", "csi", "ephemeral", "image",
)  # fmt: skip


def default_pod(pod: dict[str, Any]) -> None:
    """Fill in what Kubernetes fills in: in place, on the decoded pod."""
    spec = pod.setdefault("spec", {})
    spec["dnsPolicy"] = spec.get("dnsPolicy") or "ClusterFirst"
    spec["restartPolicy"] = spec.get("restartPolicy") or "Always"
    spec.setdefault("securityContext", {})
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("enableServiceLinks", True)
    if "serviceAccount" in spec:
        spec.setdefault("serviceAccountName", spec["serviceAccount"])
    for volume in spec.get("volumes", ()):
        if not any(source in volume for source in SOURCES):
            volume["emptyDir"] = {}
        if "hostPath" in volume:
            volume["hostPath"].setdefault("type", "")
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        _default_container(container, host_network=bool(spec.get("hostNetwork")))


def _default_container(container: dict[str, Any], *, host_network: bool) -> None:
    image = container.get("image", "")
    untagged = "@" not in image and ":" not in image.rpartition("/")[2]
    latest = untagged or image.endswith(":latest")
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = "Always" if latest else "IfNotPresent"
    if not container.get("terminationMessagePath"):
        container["terminationMessagePath"] = "/dev/termination-log"
    if not container.get("terminationMessagePolicy"):
        container["terminationMessagePolicy"] = "File"
    for port in container.get("ports", ()):
        port["protocol"] = port.get("protocol") or "TCP"
        if host_network and not port.get("hostPort") and port.get("containerPort"):
            port["hostPort"] = port["containerPort"]
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if probe is not None:
            for key, value in (("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1)):
                probe[key] = probe.get(key) or value
            probe["failureThreshold"] = probe.get("failureThreshold") or 3
            if "httpGet" in probe:
                probe["httpGet"]["path"] = probe["httpGet"].get("path") or "/"
                probe["httpGet"]["scheme"] = probe["httpGet"].get("scheme") or "HTTP"


def forbidden_reference(pod: dict[str, Any]) -> tuple[str, Path] | None:
    """Return the kind of API object that a static pod may not refer to, and where it does; None where it does not.

    Source: HasAPIObjectReference, with the feature gate PreventStaticPodAPIReferences, on since 1.34.
    """
    spec = pod["spec"]
    if spec.get("serviceAccountName"):
        return "serviceaccounts", ("spec", "serviceAccountName")
    for kind, keys in (
        ("secrets", ("secret", "secretKeyRef", "secretRef")),
        ("configmaps", ("configMap", "configMapKeyRef", "configMapRef")),
    ):
        found = _reference(spec, keys)
        if found:
            return kind, found
        if kind == "secrets" and any(secret.get("name") for secret in spec.get("imagePullSecrets", ())):
            return kind, ("spec", "imagePullSecrets")
    if spec.get("resourceClaims"):
        return "resourceclaims", ("spec", "resourceClaims")
    for index, volume in enumerate(spec.get("volumes", ())):
        at: Path = ("spec", "volumes", index)
        for source, kind in (
            ("csi", "csidrivers (via CSI volumes)"),
            ("glusterfs", "endpoints (via glusterFS volumes)"),
            ("persistentVolumeClaim", "persistentvolumeclaims"),
            ("ephemeral", "persistentvolumeclaims (via ephemeral volumes)"),
            ("azureFile", "secrets"),
        ):
            if source in volume:
                return kind, (*at, source)
        for part in volume.get("projected", {}).get("sources", ()):
            if "serviceAccountToken" in part:
                return "serviceaccounts (via projected volumes)", (*at, "projected")
            if "clusterTrustBundle" in part:
                return "clustertrustbundles", (*at, "projected")
            if "podCertificate" in part:
                return "podcertificates", (*at, "projected")
    return None


def _reference(spec: dict[str, Any], keys: Sequence[str]) -> Path | None:
    volume_key, env_key, from_key = keys
    for index, volume in enumerate(spec.get("volumes", ())):
        if volume_key in volume or any(volume_key in part for part in volume.get("projected", {}).get("sources", ())):
            return ("spec", "volumes", index)
    for group in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(group, ())):
            at: Path = ("spec", group, index)
            if any(env_key in (env.get("valueFrom") or {}) for env in container.get("env", ())):
                return (*at, "env")
            if any(from_key in source for source in container.get("envFrom", ())):
                return (*at, "envFrom")
    return None
