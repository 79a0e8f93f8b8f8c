"""Owns the validation that the kubelet puts a static pod through, in its order and its words.

Everything a person is likely to touch in kube-apiserver.yaml; not managedFields, finalizers, ownerReferences,
annotations of old for AppArmor and seccomp, CSI and downward API volumes. Source: Kubernetes 1.34,
pkg/apis/core/validation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from . import gotext
from .pod_decode import Path
from .pod_defaults import SOURCES
from .pod_field_errors import SUBDOMAIN, SUBDOMAIN_WORDS, FieldError, FieldErrors
from .pod_quantity import quantity
from .pod_settings import check_container_settings, check_pod_settings, check_resource_claims

_ENV_NAME: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_ENV_WORDS: Final = (
    "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not "
    "start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is "
    "'[-._a-zA-Z][-._a-zA-Z0-9]*')"
)
_HOST_PATH_TYPES: Final = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip
_SOURCE_SAID: Final = {"cephfs": "cephFS", "downwardAPI": "downwarAPI", "vsphereVolume": "vsphereVolume"}


def validate_pod(pod: dict[str, Any]) -> list[FieldError]:
    """Return everything that is wrong with a defaulted pod, in the kubelet's order."""
    return _Validation(pod).run()


class _Validation(FieldErrors):
    """One validation; `self.found` collects the errors in order."""

    def __init__(self, pod: dict[str, Any]) -> None:
        super().__init__()
        self.pod = pod
        self.spec: dict[str, Any] = pod["spec"]
        self.volumes: set[str] = set()

    def run(self) -> list[FieldError]:
        self._metadata()
        self._volumes()
        check_resource_claims(self, self.spec)
        self._containers()
        self._init_containers()
        self._host_network()
        self.choice(("spec", "restartPolicy"), self.spec["restartPolicy"], ("Always", "OnFailure", "Never"))
        policies = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
        self.choice(("spec", "dnsPolicy"), self.spec["dnsPolicy"], policies)
        check_pod_settings(self, self.spec)
        self._only_for_pods()
        return self.found

    # The parts of a pod.

    def _metadata(self) -> None:
        meta = self.pod.get("metadata", {})
        name = meta.get("name", "")
        if len(name) > 253:
            self.invalid(("metadata", "name"), name, "must be no more than 253 characters")
        if not SUBDOMAIN.fullmatch(name):
            self.invalid(("metadata", "name"), name, SUBDOMAIN_WORDS)
        namespace = meta.get("namespace", "")
        if namespace:
            self.label(("metadata", "namespace"), namespace)
        self.labels(("metadata", "labels"), meta.get("labels", {}))
        for key in sorted(meta.get("annotations", {})):
            self.qualified(("metadata", "annotations"), key.lower(), shown=key)

    def _volumes(self) -> None:
        for index, volume in enumerate(self.spec.get("volumes", ())):
            at: Path = ("spec", "volumes", index)
            before = len(self.found)
            self._source(volume, at)
            name = volume.get("name", "")
            if not name:
                self.required((*at, "name"))
            else:
                self.label((*at, "name"), name)
            if name in self.volumes:
                self.duplicate((*at, "name"), name)
            if len(self.found) == before:
                self.volumes.add(name)

    def _source(self, volume: dict[str, Any], at: Path) -> None:
        seen = False
        for source in SOURCES:
            if source not in volume:
                continue
            if seen:
                said = _SOURCE_SAID.get(source, source)
                self.forbidden((*at, said), "may not specify more than 1 volume type", at=(*at, source))
                continue
            seen = True
            if source == "emptyDir" and quantity(volume["emptyDir"].get("sizeLimit", "0")) < 0:
                self.forbidden((*at, source, "sizeLimit"), "SizeLimit field must be a valid resource quantity")
            elif source == "hostPath":
                self._host_path(volume["hostPath"], (*at, "hostPath"))
            elif source == "persistentVolumeClaim" and not volume[source].get("claimName"):
                self.required((*at, source, "claimName"))
            elif source == "secret" and not volume[source].get("secretName"):
                self.required((*at, source, "secretName"))
            elif source == "configMap" and not volume[source].get("name"):
                self.required((*at, source, "name"))
            elif source == "nfs":
                if not volume[source].get("server"):
                    self.required((*at, source, "server"))
                path = volume[source].get("path", "")
                if not path:
                    self.required((*at, source, "path"))
                if not path.startswith("/"):
                    self.invalid((*at, source, "path"), path, "must be an absolute path")
            elif source == "image" and not volume[source].get("pullPolicy"):
                self.required((*at, source, "pullPolicy"))
            elif source == "ephemeral" and not volume[source].get("volumeClaimTemplate"):
                self.required((*at, source, "volumeClaimTemplate"))

    def _host_path(self, host_path: dict[str, Any], at: Path) -> None:
        path = host_path.get("path", "")
        if not path:
            self.required((*at, "path"))
            return
        self.no_backsteps((*at, "path"), path)
        self.choice((*at, "type"), host_path.get("type", ""), _HOST_PATH_TYPES)

    def _containers(self) -> None:
        containers = self.spec.get("containers", [])
        if not containers:
            self.required(("spec", "containers"))
            return
        names: set[str] = set()
        for index, container in enumerate(containers):
            at: Path = ("spec", "containers", index)
            self._container(container, at)
            name = container.get("name", "")
            if name in names:
                self.duplicate((*at, "name"), name)
            names.add(name)
            self._lifecycle(container, at)
            self._probes(container, at)
            if "restartPolicy" in container:
                self.forbidden((*at, "restartPolicy"), "may not be set for non-init containers")
        self._port_conflicts(containers, ("spec", "containers"))

    def _init_containers(self) -> None:
        names = {container.get("name", "") for container in self.spec.get("containers", ())}
        for index, container in enumerate(self.spec.get("initContainers", ())):
            at: Path = ("spec", "initContainers", index)
            self._container(container, at)
            sidecar = container.get("restartPolicy") == "Always"
            if "restartPolicy" in container:
                self.choice((*at, "restartPolicy"), container["restartPolicy"], ("Always",))
            name = container.get("name", "")
            if name in names:
                self.duplicate((*at, "name"), name)
            names.add(name)
            self._port_conflicts([container], ("spec", "initContainers"))
            if sidecar:
                self._lifecycle(container, at)
                self._probes(container, at)
                continue
            for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
                if field in container:
                    self.forbidden((*at, field), "may not be set for init containers without restartPolicy=Always")

    def _container(self, container: dict[str, Any], at: Path) -> None:
        name = container.get("name", "")
        if not name:
            self.required((*at, "name"))
        else:
            self.label((*at, "name"), name)
        if not container.get("image"):
            self.required((*at, "image"))
        policies = ("File", "FallbackToLogsOnError")
        self.choice((*at, "terminationMessagePolicy"), container["terminationMessagePolicy"], policies)
        self._ports(container.get("ports", ()), (*at, "ports"))
        self._env(container.get("env", ()), (*at, "env"))
        self._mounts(container, (*at, "volumeMounts"))
        for index, device in enumerate(container.get("volumeDevices", ())):
            where: Path = (*at, "volumeDevices", index, "name")
            if not device.get("name"):
                self.required(where)
            self.add(where, f"Not found: {gotext.quote(device.get('name', ''))}")
        pull_policies = ("Always", "IfNotPresent", "Never")
        self.choice((*at, "imagePullPolicy"), container["imagePullPolicy"], pull_policies)
        check_container_settings(self, container, at)

    def _ports(self, ports: Sequence[dict[str, Any]], at: Path) -> None:
        names: set[str] = set()
        for index, port in enumerate(ports):
            here: Path = (*at, index)
            name = port.get("name", "")
            problems = _port_name_problems(name) if name else []
            for problem in problems:
                self.invalid((*here, "name"), name, problem)
            if name and not problems:
                if name in names:
                    self.duplicate((*here, "name"), name)
                names.add(name)
            number = port.get("containerPort", 0)
            if number == 0:
                self.required((*here, "containerPort"))
            elif not 0 < number < 65536:
                self.invalid((*here, "containerPort"), number, "must be between 1 and 65535, inclusive")
            host_port = port.get("hostPort", 0)
            if host_port != 0 and not 0 < host_port < 65536:
                self.invalid((*here, "hostPort"), host_port, "must be between 1 and 65535, inclusive")
            self.choice((*here, "protocol"), port["protocol"], ("SCTP", "TCP", "UDP"))

    def _port_conflicts(self, containers: Sequence[dict[str, Any]], at: Path) -> None:
        taken: set[tuple[str, str, int]] = set()
        for index, container in enumerate(containers):
            for number, port in enumerate(container.get("ports", ())):
                if not port.get("hostPort"):
                    continue
                key = (port["protocol"], port.get("hostIP", ""), port["hostPort"])
                if key in taken:
                    shown = f"{key[0]}/{key[1]}/{key[2]}"
                    self.duplicate((*at, index, "ports", number, "hostPort"), shown)
                taken.add(key)

    def _env(self, env: Sequence[dict[str, Any]], at: Path) -> None:
        for index, variable in enumerate(env):
            here: Path = (*at, index)
            name = variable.get("name", "")
            if not name:
                self.required((*here, "name"))
            elif not _ENV_NAME.fullmatch(name):
                self.invalid((*here, "name"), name, _ENV_WORDS)
            source = variable.get("valueFrom")
            if source is None:
                continue
            if not source:
                options = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
                self.invalid((*here, "valueFrom"), "", f"must specify one of: {options}")
            elif variable.get("value"):
                self.invalid((*here, "valueFrom"), "", "may not be specified when `value` is not empty")
            elif len(source) > 1:
                self.invalid((*here, "valueFrom"), "", "may not have more than one field specified at a time")

    def _mounts(self, container: dict[str, Any], at: Path) -> None:
        taken: set[str] = set()
        for index, mount in enumerate(container.get("volumeMounts", ())):
            here: Path = (*at, index)
            name, path = mount.get("name", ""), mount.get("mountPath", "")
            if not name:
                self.required((*here, "name"))
            if name not in self.volumes:
                self.add((*here, "name"), f"Not found: {gotext.quote(name)}")
            if not path:
                self.required((*here, "mountPath"))
            if path in taken:
                self.invalid((*here, "mountPath"), path, "must be unique")
            taken.add(path)
            if mount.get("subPath"):
                self.descending((*at, "subPath"), mount["subPath"], (*here, "subPath"))
            if mount.get("subPathExpr"):
                if mount.get("subPath"):
                    words = "subPathExpr and subPath are mutually exclusive"
                    self.invalid((*here, "subPathExpr"), mount["subPathExpr"], words)
                self.descending((*at, "subPathExpr"), mount["subPathExpr"], (*here, "subPathExpr"))
            self._propagation(container, mount, at, here)

    def _propagation(self, container: dict[str, Any], mount: dict[str, Any], at: Path, here: Path) -> None:
        propagation = mount.get("mountPropagation")
        if propagation is not None:
            path: Path = (*at, "mountPropagation")
            where: Path = (*here, "mountPropagation")
            self.choice(path, propagation, ("Bidirectional", "HostToContainer", "None"), at=where)
            if propagation == "Bidirectional" and not container.get("securityContext", {}).get("privileged"):
                words = "Bidirectional mount propagation is available only to privileged containers"
                self.forbidden(path, words, at=where)
        recursive = mount.get("recursiveReadOnly")
        if recursive is None or recursive == "Disabled":
            return
        path, where = (*at, "recursiveReadOnly"), (*here, "recursiveReadOnly")
        if recursive not in ("Enabled", "IfPossible"):
            self.choice(path, recursive, ("Disabled", "Enabled", "IfPossible"), at=where)
            return
        if not mount.get("readOnly"):
            self.forbidden(path, "may only be specified when readOnly is true", at=where)
        if propagation not in (None, "None"):
            words = "may only be specified when mountPropagation is None or not specified"
            self.forbidden(path, words, at=where)

    def _lifecycle(self, container: dict[str, Any], at: Path) -> None:
        for hook in ("postStart", "preStop"):
            handler = (container.get("lifecycle") or {}).get(hook)
            if handler is not None:
                self._handler(handler, (*at, "lifecycle", hook))

    def _handler(self, handler: dict[str, Any], here: Path) -> None:
        """Check what a probe or hook does: exactly one thing, and that one rightly."""
        known = [name for name in ("exec", "httpGet", "tcpSocket", "grpc", "sleep") if name in handler]
        if not known:
            self.required(here, "must specify a handler type")
        for number, name in enumerate(known):
            action, at = handler[name], (*here, name)
            if number:
                self.forbidden(at, "may not specify more than 1 handler type")
            elif name == "exec" and not action.get("command"):
                self.required((*at, "command"))
            elif name == "httpGet":
                self._port_reference(action.get("port", 0), (*at, "port"))
                self.choice((*at, "scheme"), action.get("scheme", "HTTP"), ("HTTP", "HTTPS"))
            elif name in ("tcpSocket", "grpc"):
                self._port_reference(action.get("port", 0), (*at, "port"))

    def _probes(self, container: dict[str, Any], at: Path) -> None:
        for field in ("livenessProbe", "readinessProbe", "startupProbe"):
            probe = container.get(field)
            if probe is None:
                continue
            here: Path = (*at, field)
            self._handler(probe, here)
            numbers = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
            for number in numbers:
                if probe.get(number, 0) < 0:
                    self.invalid((*here, number), probe[number], "must be greater than or equal to 0")
            if field != "readinessProbe" and probe["successThreshold"] != 1:
                self.invalid((*here, "successThreshold"), probe["successThreshold"], "must be 1")

    def _port_reference(self, port: int | str, at: Path) -> None:
        if isinstance(port, int):
            if not 0 < port < 65536:
                self.invalid(at, port, "must be between 1 and 65535, inclusive")
            return
        for problem in _port_name_problems(port):
            self.invalid(at, port, problem)

    def _host_network(self) -> None:
        if not self.spec.get("hostNetwork"):
            return
        for index, container in enumerate(self.spec.get("containers", ())):
            for number, port in enumerate(container.get("ports", ())):
                if port.get("hostPort", 0) != port.get("containerPort", 0):
                    at: Path = ("spec", "containers", index, "ports", number, "hostPort")
                    self.invalid(at, port["hostPort"], "must match `containerPort` when `hostNetwork` is true")

    def _only_for_pods(self) -> None:
        for index, volume in enumerate(self.spec.get("volumes", ())):
            for number, part in enumerate(volume.get("projected", {}).get("sources", ())):
                if "serviceAccountToken" in part and not self.spec.get("serviceAccountName"):
                    at: Path = ("spec", "volumes", index, "projected", "sources", number, "serviceAccountToken")
                    self.forbidden(at, "must not be specified when serviceAccountName is not set")
        for group in ("containers", "initContainers"):
            for index, container in enumerate(self.spec.get(group, ())):
                image = container.get("image", "")
                if image != image.strip():
                    where: Path = ("spec", group, index, "image")
                    self.invalid(where, image, "must not have leading or trailing whitespace")
        if self.spec.get("ephemeralContainers"):
            self.forbidden(("spec", "ephemeralContainers"), "cannot be set on create")
        if self.spec.get("schedulingGates"):
            self.forbidden(("spec", "nodeName"), "cannot be set until all schedulingGates have been cleared")


def _port_name_problems(name: str) -> list[str]:
    problems = []
    if len(name) > 15:
        problems.append("must be no more than 15 characters")
    if not re.fullmatch(r"[-a-z0-9]+", name):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", name):
        problems.append("must contain at least one letter (a-z)")
    if "--" in name:
        problems.append("must not contain consecutive hyphens")
    if name[:1] == "-" or name[-1:] == "-":
        problems.append("must not begin or end with a hyphen")
    return problems
