"""Owns the validation that the kubelet puts a static pod through, in its order and its words.

A subset of what Kubernetes validates: everything a person is likely to touch in kube-apiserver.yaml. Source: Kubernetes
1.34, pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from . import gotext
from .pod_decode import Path, dotted, go_json
from .pod_defaults import SOURCES

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_ENV_NAME: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_LABEL_WORDS: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_WORDS: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_ENV_WORDS: Final = (
    "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not "
    "start with a digit (e.g. 'my.env-name',  or 'MY_ENV.NAME',  or 'MyEnvName1', regex used for validation is "
    "'[-._a-zA-Z][-._a-zA-Z0-9]*')"
)
_LABEL_VALUE_WORDS: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_HOST_PATH_TYPES: Final = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip
_SOURCE_SAID: Final = {"cephfs": "cephFS", "downwardAPI": "downwarAPI", "vsphereVolume": "vsphereVolume"}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a pod: `text` as the kubelet writes it, `path` to find the line by."""

    text: str
    path: Path


def validate_pod(pod: dict[str, Any]) -> list[FieldError]:
    """Return everything that is wrong with a defaulted pod, in the kubelet's order."""
    return _Validation(pod).run()


def host_path_value(value: str) -> str:
    """Write a value of a named string type as an error does: as JSON."""
    return go_json(value)


class _Validation:
    """One validation; `self.found` collects the errors in order."""

    def __init__(self, pod: dict[str, Any]) -> None:
        self.pod = pod
        self.spec: dict[str, Any] = pod["spec"]
        self.found: list[FieldError] = []
        self.volumes: set[str] = set()

    def run(self) -> list[FieldError]:
        self._metadata()
        self._volumes()
        self._containers()
        self._init_containers()
        self._host_network()
        self._choice(("spec", "restartPolicy"), self.spec["restartPolicy"], ("Always", "OnFailure", "Never"))
        policies = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
        self._choice(("spec", "dnsPolicy"), self.spec["dnsPolicy"], policies)
        self._names()
        return self.found

    # The kinds of errors, as apimachinery's field package writes them.

    def _add(self, path: Path, text: str, *, at: Path | None = None) -> None:
        self.found.append(FieldError(f"{dotted(path)}: {text}", at or path))

    def _required(self, path: Path, detail: str = "") -> None:
        self._add(path, "Required value" + (f": {detail}" if detail else ""))

    def _invalid(self, path: Path, value: object, detail: str, *, at: Path | None = None) -> None:
        shown = gotext.quote(value) if isinstance(value, str) else str(value)
        self._add(path, f"Invalid value: {shown}: {detail}", at=at)

    def _forbidden(self, path: Path, detail: str, *, at: Path | None = None) -> None:
        self._add(path, f"Forbidden: {detail}", at=at)

    def _duplicate(self, path: Path, value: str) -> None:
        self._add(path, f"Duplicate value: {gotext.quote(value)}")

    def _choice(self, path: Path, value: str, allowed: Iterable[str], *, at: Path | None = None) -> None:
        options = list(allowed)
        if value not in options:
            supported = ", ".join(gotext.quote(option) for option in options)
            self._add(path, f"Unsupported value: {host_path_value(value)}: supported values: {supported}", at=at)

    def _label(self, path: Path, value: str) -> None:
        if len(value.encode()) > 63:
            self._invalid(path, value, "must be no more than 63 characters")
        if not _LABEL.fullmatch(value):
            self._invalid(path, value, _LABEL_WORDS)

    # The parts of a pod.

    def _metadata(self) -> None:
        meta = self.pod.get("metadata", {})
        name = meta.get("name", "")
        if len(name) > 253:
            self._invalid(("metadata", "name"), name, "must be no more than 253 characters")
        if not _SUBDOMAIN.fullmatch(name):
            self._invalid(("metadata", "name"), name, _SUBDOMAIN_WORDS)
        namespace = meta.get("namespace", "")
        if namespace:
            self._label(("metadata", "namespace"), namespace)
        for key, value in sorted(meta.get("labels", {}).items()):
            path: Path = ("metadata", "labels")
            self._qualified(path, key)
            if value and (len(value) > 63 or not _QUALIFIED.fullmatch(value)):
                words = "must be no more than 63 characters" if len(value) > 63 else _LABEL_VALUE_WORDS
                self._invalid(path, value, words, at=(*path, key))
        for key in sorted(meta.get("annotations", {})):
            self._qualified(("metadata", "annotations"), key.lower(), shown=key)

    def _qualified(self, path: Path, key: str, shown: str | None = None) -> None:
        prefix, slash, name = key.rpartition("/")
        good = bool(name) and len(name) <= 63 and bool(_QUALIFIED.fullmatch(name))
        if slash:
            good = good and bool(_SUBDOMAIN.fullmatch(prefix))
        if not good:
            words = (
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
                "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
                "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
            )
            self._invalid(path, shown or key, words, at=(*path, shown or key))

    def _volumes(self) -> None:
        for index, volume in enumerate(self.spec.get("volumes", ())):
            at: Path = ("spec", "volumes", index)
            before = len(self.found)
            self._source(volume, at)
            name = volume.get("name", "")
            if not name:
                self._required((*at, "name"))
            else:
                self._label((*at, "name"), name)
            if name in self.volumes:
                self._duplicate((*at, "name"), name)
            if len(self.found) == before:
                self.volumes.add(name)

    def _source(self, volume: dict[str, Any], at: Path) -> None:
        seen = False
        for source in SOURCES:
            if source not in volume:
                continue
            if seen:
                said = _SOURCE_SAID.get(source, source)
                self._forbidden((*at, said), "may not specify more than 1 volume type", at=(*at, source))
                continue
            seen = True
            if source == "hostPath":
                self._host_path(volume["hostPath"], (*at, "hostPath"))
            elif source == "persistentVolumeClaim" and not volume[source].get("claimName"):
                self._required((*at, source, "claimName"))
            elif source == "secret" and not volume[source].get("secretName"):
                self._required((*at, source, "secretName"))
            elif source == "configMap" and not volume[source].get("name"):
                self._required((*at, source, "name"))

    def _host_path(self, host_path: dict[str, Any], at: Path) -> None:
        path = host_path.get("path", "")
        if not path:
            self._required((*at, "path"))
            return
        self._no_backsteps((*at, "path"), path)
        self._choice((*at, "type"), host_path.get("type", ""), _HOST_PATH_TYPES)

    def _no_backsteps(self, path: Path, value: str, *, at: Path | None = None) -> None:
        if ".." in value.split("/"):
            self._invalid(path, value, "must not contain '..'", at=at)

    def _containers(self) -> None:
        containers = self.spec.get("containers", [])
        if not containers:
            self._required(("spec", "containers"))
            return
        names: set[str] = set()
        for index, container in enumerate(containers):
            at: Path = ("spec", "containers", index)
            self._container(container, at)
            name = container.get("name", "")
            if name in names:
                self._duplicate((*at, "name"), name)
            names.add(name)
            self._probes(container, at)
        self._port_conflicts(containers, ("spec", "containers"))

    def _init_containers(self) -> None:
        names = {container.get("name", "") for container in self.spec.get("containers", ())}
        for index, container in enumerate(self.spec.get("initContainers", ())):
            at: Path = ("spec", "initContainers", index)
            self._container(container, at)
            sidecar = container.get("restartPolicy") == "Always"
            name = container.get("name", "")
            if name in names:
                self._duplicate((*at, "name"), name)
            names.add(name)
            self._port_conflicts([container], ("spec", "initContainers"))
            if sidecar:
                self._probes(container, at)
                continue
            for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
                if field in container:
                    self._forbidden((*at, field), "may not be set for init containers without restartPolicy=Always")

    def _container(self, container: dict[str, Any], at: Path) -> None:
        name = container.get("name", "")
        if not name:
            self._required((*at, "name"))
        else:
            self._label((*at, "name"), name)
        if not container.get("image"):
            self._required((*at, "image"))
        policies = ("File", "FallbackToLogsOnError")
        self._choice((*at, "terminationMessagePolicy"), container["terminationMessagePolicy"], policies)
        self._ports(container.get("ports", ()), (*at, "ports"))
        self._env(container.get("env", ()), (*at, "env"))
        self._mounts(container, (*at, "volumeMounts"))
        pull_policies = ("Always", "IfNotPresent", "Never")
        self._choice((*at, "imagePullPolicy"), container["imagePullPolicy"], pull_policies)

    def _ports(self, ports: Sequence[dict[str, Any]], at: Path) -> None:
        names: set[str] = set()
        for index, port in enumerate(ports):
            here: Path = (*at, index)
            name = port.get("name", "")
            problems = _port_name_problems(name) if name else []
            for problem in problems:
                self._invalid((*here, "name"), name, problem)
            if name and not problems:
                if name in names:
                    self._duplicate((*here, "name"), name)
                names.add(name)
            number = port.get("containerPort", 0)
            if number == 0:
                self._required((*here, "containerPort"))
            elif not 0 < number < 65536:
                self._invalid((*here, "containerPort"), number, "must be between 1 and 65535, inclusive")
            host_port = port.get("hostPort", 0)
            if host_port != 0 and not 0 < host_port < 65536:
                self._invalid((*here, "hostPort"), host_port, "must be between 1 and 65535, inclusive")
            self._choice((*here, "protocol"), port["protocol"], ("SCTP", "TCP", "UDP"))

    def _port_conflicts(self, containers: Sequence[dict[str, Any]], at: Path) -> None:
        taken: set[tuple[str, str, int]] = set()
        for index, container in enumerate(containers):
            for number, port in enumerate(container.get("ports", ())):
                if not port.get("hostPort"):
                    continue
                key = (port["protocol"], port.get("hostIP", ""), port["hostPort"])
                if key in taken:
                    shown = f"{key[0]}/{key[1]}/{key[2]}"
                    self._duplicate((*at, index, "ports", number, "hostPort"), shown)
                taken.add(key)

    def _env(self, env: Sequence[dict[str, Any]], at: Path) -> None:
        for index, variable in enumerate(env):
            here: Path = (*at, index)
            name = variable.get("name", "")
            if not name:
                self._required((*here, "name"))
            elif not _ENV_NAME.fullmatch(name):
                self._invalid((*here, "name"), name, _ENV_WORDS)
            source = variable.get("valueFrom")
            if source is None:
                continue
            if not source:
                options = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
                self._invalid((*here, "valueFrom"), "", f"must specify one of: {options}")
            elif variable.get("value"):
                self._invalid((*here, "valueFrom"), "", "may not be specified when `value` is not empty")
            elif len(source) > 1:
                self._invalid((*here, "valueFrom"), "", "may not have more than one field specified at a time")

    def _mounts(self, container: dict[str, Any], at: Path) -> None:
        taken: set[str] = set()
        for index, mount in enumerate(container.get("volumeMounts", ())):
            here: Path = (*at, index)
            name, path = mount.get("name", ""), mount.get("mountPath", "")
            if not name:
                self._required((*here, "name"))
            if name not in self.volumes:
                self._add((*here, "name"), f"Not found: {gotext.quote(name)}")
            if not path:
                self._required((*here, "mountPath"))
            if path in taken:
                self._invalid((*here, "mountPath"), path, "must be unique")
            taken.add(path)
            if mount.get("subPath"):
                self._descending((*at, "subPath"), mount["subPath"], (*here, "subPath"))
            if mount.get("subPathExpr"):
                if mount.get("subPath"):
                    words = "subPathExpr and subPath are mutually exclusive"
                    self._invalid((*here, "subPathExpr"), mount["subPathExpr"], words)
                self._descending((*at, "subPathExpr"), mount["subPathExpr"], (*here, "subPathExpr"))
            self._propagation(container, mount, at, here)

    def _descending(self, path: Path, value: str, at: Path) -> None:
        if value.startswith("/"):
            self._invalid(path, value, "must be a relative path", at=at)
        self._no_backsteps(path, value, at=at)

    def _propagation(self, container: dict[str, Any], mount: dict[str, Any], at: Path, here: Path) -> None:
        propagation = mount.get("mountPropagation")
        if propagation is not None:
            path: Path = (*at, "mountPropagation")
            where: Path = (*here, "mountPropagation")
            self._choice(path, propagation, ("Bidirectional", "HostToContainer", "None"), at=where)
            if propagation == "Bidirectional" and not container.get("securityContext", {}).get("privileged"):
                words = "Bidirectional mount propagation is available only to privileged containers"
                self._forbidden(path, words, at=where)
        recursive = mount.get("recursiveReadOnly")
        if recursive is None or recursive == "Disabled":
            return
        path, where = (*at, "recursiveReadOnly"), (*here, "recursiveReadOnly")
        if recursive not in ("Enabled", "IfPossible"):
            self._choice(path, recursive, ("Disabled", "Enabled", "IfPossible"), at=where)
            return
        if not mount.get("readOnly"):
            self._forbidden(path, "may only be specified when readOnly is true", at=where)
        if propagation not in (None, "None"):
            words = "may only be specified when mountPropagation is None or not specified"
            self._forbidden(path, words, at=where)

    def _probes(self, container: dict[str, Any], at: Path) -> None:
        for field in ("livenessProbe", "readinessProbe", "startupProbe"):
            probe = container.get(field)
            if probe is None:
                continue
            here: Path = (*at, field)
            handlers = [name for name in ("exec", "httpGet", "tcpSocket", "grpc") if name in probe]
            for extra in handlers[1:]:
                self._forbidden((*here, extra), "may not specify more than 1 handler type")
            if not handlers:
                self._required(here, "must specify a handler type")
            elif handlers[0] == "exec" and not probe["exec"].get("command"):
                self._required((*here, "exec", "command"))
            elif handlers[0] == "httpGet":
                self._port_reference(probe["httpGet"].get("port", 0), (*here, "httpGet", "port"))
                self._choice((*here, "httpGet", "scheme"), probe["httpGet"]["scheme"], ("HTTP", "HTTPS"))
            elif handlers[0] == "tcpSocket":
                self._port_reference(probe["tcpSocket"].get("port", 0), (*here, "tcpSocket", "port"))
            numbers = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
            for number in numbers:
                if probe.get(number, 0) < 0:
                    self._invalid((*here, number), probe[number], "must be greater than or equal to 0")
            if field != "readinessProbe" and probe["successThreshold"] != 1:
                self._invalid((*here, "successThreshold"), probe["successThreshold"], "must be 1")

    def _port_reference(self, port: int | str, at: Path) -> None:
        if isinstance(port, int):
            if not 0 < port < 65536:
                self._invalid(at, port, "must be between 1 and 65535, inclusive")
            return
        for problem in _port_name_problems(port):
            self._invalid(at, port, problem)

    def _host_network(self) -> None:
        if not self.spec.get("hostNetwork"):
            return
        for index, container in enumerate(self.spec.get("containers", ())):
            for number, port in enumerate(container.get("ports", ())):
                if port.get("hostPort", 0) != port.get("containerPort", 0):
                    at: Path = ("spec", "containers", index, "ports", number, "hostPort")
                    self._invalid(at, port["hostPort"], "must match `containerPort` when `hostNetwork` is true")

    def _names(self) -> None:
        for field in ("serviceAccountName", "priorityClassName", "runtimeClassName"):
            name = self.spec.get(field)
            if name and not _SUBDOMAIN.fullmatch(name):
                self._invalid(("spec", field), name, _SUBDOMAIN_WORDS)
        for field in ("hostname", "subdomain"):
            if self.spec.get(field):
                self._label(("spec", field), self.spec[field])
        if self.spec.get("ephemeralContainers"):
            self._forbidden(("spec", "ephemeralContainers"), "cannot be set on create")


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
