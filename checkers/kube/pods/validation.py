"""Owns the validation that the kubelet puts a static pod through, in its order and its words: the pod as a whole.

Its parts have rooms of their own: `metadata`, `volumes`, `containers`, `resources`, `security` and
`scheduling`. Where Go goes through a map, whose order is luck, ours is that of its keys.
Source: Kubernetes 1.34, pkg/apis/core/validation (ValidatePodCreate with no options, as the kubelet calls it).
"""

from __future__ import annotations

from typing import Any, Final

from checkers.kube.pods.containers import PodFacts, check_container, check_hooks_and_probes, check_host_ports
from checkers.kube.pods.decode import Path
from checkers.kube.pods.field_errors import FieldError, FieldErrors
from checkers.kube.pods.metadata import all_containers, check_annotations, check_metadata, check_profiles_agree
from checkers.kube.pods.names import length, range_problems
from checkers.kube.pods.resources import check_resource_claims, check_resources
from checkers.kube.pods.scheduling import (
    check_affinity,
    check_dns,
    check_gates,
    check_host_aliases,
    check_spread,
    check_tolerations,
)
from checkers.kube.pods.security import check_host_process, check_host_users, check_pod_security, check_system
from checkers.kube.pods.volumes import check_volumes

_FOR_SIDECARS: Final = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
_NOT_EPHEMERAL: Final = (
    "ports", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules", "livenessProbe", "readinessProbe",
    "startupProbe", "lifecycle",
)  # fmt: skip
_NO_SIDECAR: Final = "may not be set for init containers without restartPolicy=Always"


def validate_pod(pod: dict[str, Any], node: str) -> list[FieldError]:
    """Return everything that is wrong with a defaulted pod on a node, in the kubelet's order."""
    return _Validation(pod, node).run()


class _Validation(FieldErrors):
    """One validation; `self.found` collects the errors in order."""

    def __init__(self, pod: dict[str, Any], node: str) -> None:
        super().__init__()
        self.pod = pod
        self.node = node
        self.meta: dict[str, Any] = pod["metadata"]
        self.spec: dict[str, Any] = pod["spec"]

    def run(self) -> list[FieldError]:
        check_metadata(self, self.meta)
        check_annotations(self, self.pod)
        facts = PodFacts(self.spec, check_volumes(self, self.spec, self.meta["name"]))
        check_resource_claims(self, self.spec, self.meta)
        self._containers(facts)
        self._init_containers(facts)
        self._ephemeral_containers(facts)
        self._host_network()
        self.choice(("spec", "restartPolicy"), self.spec["restartPolicy"], ("Always", "OnFailure", "Never"))
        policies = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
        self.choice(("spec", "dnsPolicy"), self.spec["dnsPolicy"], policies)
        self._settings()
        self._only_for_pods()
        return self.found

    def _settings(self) -> None:
        spec = self.spec
        self.labels(("spec", "nodeSelector"), spec.get("nodeSelector"))
        check_pod_security(self, spec)
        check_affinity(self, spec.get("affinity"))
        check_dns(self, spec)
        check_gates(self, spec)
        check_spread(self, spec.get("topologySpreadConstraints") or ())
        check_host_process(self, spec)
        check_host_users(self, spec)
        self._host_name()
        if spec.get("serviceAccountName"):
            self.subdomain(("spec", "serviceAccountName"), spec["serviceAccountName"])
        self.subdomain(("spec", "nodeName"), self.node)
        seconds = spec.get("activeDeadlineSeconds")
        if seconds is not None:
            self.each(("spec", "activeDeadlineSeconds"), seconds, range_problems(seconds, 1, (1 << 31) - 1))
        for field in ("hostname", "subdomain"):
            if spec.get(field):
                self.label(("spec", field), spec[field])
        check_tolerations(self, spec.get("tolerations") or ())
        check_host_aliases(self, spec.get("hostAliases") or ())
        if spec.get("priorityClassName"):
            self.subdomain(("spec", "priorityClassName"), spec["priorityClassName"])
        if "runtimeClassName" in spec:
            self.subdomain(("spec", "runtimeClassName"), spec["runtimeClassName"])
        if "preemptionPolicy" in spec:
            self.chosen(("spec", "preemptionPolicy"), spec["preemptionPolicy"], ("PreemptLowerPriority", "Never"))
        check_resources(self, {"limits": spec.get("overhead")}, ("spec", "overhead"), ())
        check_system(self, spec)
        self._file_keys()

    def _containers(self, facts: PodFacts) -> None:
        containers = self.spec.get("containers") or []
        if not containers:
            self.required(("spec", "containers"))
            return
        names: set[str] = set()
        for index, container in enumerate(containers):
            at: Path = ("spec", "containers", index)
            check_container(self, container, at, facts)
            name = container.get("name", "")
            if name in names:
                self.duplicate((*at, "name"), name)
            names.add(name)
            check_hooks_and_probes(self, container, at, facts)
            if "restartPolicy" in container:
                self.forbidden((*at, "restartPolicy"), "may not be set for non-init containers")
        check_host_ports(self, containers, ("spec", "containers"))

    def _init_containers(self, facts: PodFacts) -> None:
        names = {container.get("name", "") for container in self.spec.get("containers") or ()}
        for index, container in enumerate(self.spec.get("initContainers") or ()):
            at: Path = ("spec", "initContainers", index)
            check_container(self, container, at, facts)
            if "restartPolicy" in container:
                self.choice((*at, "restartPolicy"), container["restartPolicy"], ("Always",))
            name = container.get("name", "")
            if name in names:
                self.duplicate((*at, "name"), name)
            elif name:
                names.add(name)
            check_host_ports(self, [container], ("spec", "initContainers"))
            if container.get("restartPolicy") == "Always":
                check_hooks_and_probes(self, container, at, facts)
            else:
                for field in _FOR_SIDECARS:
                    if field in container:
                        self.forbidden((*at, field), _NO_SIDECAR)
            policies = container.get("resizePolicy")
            if policies:
                fields = ("resourceName", "restartPolicy")
                shown = [{f[0].upper() + f[1:]: policy.get(f, "") for f in fields} for policy in policies]
                self.invalid((*at, "resizePolicy"), shown, "must not be set for init containers")

    def _ephemeral_containers(self, facts: PodFacts) -> None:
        groups = ("containers", "initContainers")
        others = {container.get("name", "") for group in groups for container in self.spec.get(group) or ()}
        names = set(others)
        for index, container in enumerate(self.spec.get("ephemeralContainers") or ()):
            at: Path = ("spec", "ephemeralContainers", index)
            check_container(self, container, at, facts)
            self._image(container, at)
            name, target = container.get("name", ""), container.get("targetContainerName", "")
            if name in names:
                self.duplicate((*at, "name"), name)
            names.add(name)
            if target and target not in others:
                self.not_found((*at, "targetContainerName"), target)
            words = "cannot be set for an Ephemeral Container"
            for field in _NOT_EPHEMERAL:
                if field in container:
                    self.forbidden((*at, field), words)
            for number, mount in enumerate(container.get("volumeMounts") or ()):
                for field in ("subPath", "subPathExpr"):
                    if mount.get(field):
                        self.forbidden((*at, "volumeMounts", number, field), words)

    def _host_network(self) -> None:
        if not self.spec.get("hostNetwork"):
            return
        for index, container in enumerate(self.spec.get("containers") or ()):
            for number, port in enumerate(container.get("ports") or ()):
                host_port = port.get("hostPort", 0)
                if host_port != 0 and host_port != port.get("containerPort", 0):
                    at: Path = ("spec", "containers", index, "ports", number, "hostPort")
                    self.invalid(at, host_port, "must match `containerPort` when `hostNetwork` is true")

    def _host_name(self) -> None:
        name, at = self.spec.get("hostnameOverride"), ("spec", "hostnameOverride")
        if name is None:
            return
        for field in ("setHostnameAsFQDN", "hostNetwork"):
            if self.spec.get(field):
                self.forbidden(at, f"may not be specified when {field} is true")
        if length(name) > 64:
            self.too_long(at, 64)
        self.subdomain(at, name)

    def _file_keys(self) -> None:
        volumes = {volume.get("name", ""): volume for volume in self.spec.get("volumes") or ()}
        for at, container in all_containers(self.spec):
            for number, variable in enumerate(container.get("env") or ()):
                ref = (variable.get("valueFrom") or {}).get("fileKeyRef")
                if ref is None:
                    continue
                name, here = ref.get("volumeName", ""), (*at, "env", number, "valueFrom", "fileKeyRef", "volumeName")
                if name not in volumes:
                    self.not_found(here, name)
                elif "emptyDir" not in volumes[name]:
                    self.invalid(here, name, "referenced volume must be of type emptyDir")

    def _image(self, container: dict[str, Any], at: Path) -> None:
        image = container.get("image", "")
        if image != image.strip():
            self.invalid((*at, "image"), image, "must not have leading or trailing whitespace")

    def _only_for_pods(self) -> None:
        for index, volume in enumerate(self.spec.get("volumes") or ()):
            for number, part in enumerate(volume.get("projected", {}).get("sources") or ()):
                if "serviceAccountToken" in part and not self.spec.get("serviceAccountName"):
                    at: Path = ("spec", "volumes", index, "projected", "sources", number, "serviceAccountToken")
                    self.forbidden(at, "must not be specified when serviceAccountName is not set")
        for group in ("containers", "initContainers"):
            for index, container in enumerate(self.spec.get(group) or ()):
                self._image(container, ("spec", group, index))
        if self.spec.get("ephemeralContainers"):
            self.forbidden(("spec", "ephemeralContainers"), "cannot be set on create")
        if self.spec.get("schedulingGates"):
            self.forbidden(("spec", "nodeName"), "cannot be set until all schedulingGates have been cleared")
        check_profiles_agree(self, self.pod)
