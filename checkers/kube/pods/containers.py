"""Owns the validation of one container: ports, environment, mounts, devices, probes and hooks.

Source: Kubernetes 1.34, pkg/apis/core/validation (validateContainerCommon and what follows it).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from checkers.kube.pods.decode import Path
from checkers.kube.pods.field_errors import FieldErrors
from checkers.kube.pods.names import (
    config_key_problems,
    env_name_problems,
    header_problems,
    port_name_problems,
    port_problems,
    relaxed_env_name_problems,
    subdomain_problems,
)
from checkers.kube.pods.projections import check_field_ref, check_resource_ref
from checkers.kube.pods.resources import check_resize_policy, check_resources
from checkers.kube.pods.security import check_container_security

_ENV_FIELDS: Final = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
_SIGNALS: Final = (
    "SIGABRT", "SIGALRM", "SIGBUS", "SIGCHLD", "SIGCLD", "SIGCONT", "SIGFPE", "SIGHUP", "SIGILL", "SIGINT", "SIGIO",
    "SIGIOT", "SIGKILL", "SIGPIPE", "SIGPOLL", "SIGPROF", "SIGPWR", "SIGQUIT", "SIGRTMAX", "SIGRTMAX-1",
    "SIGRTMAX-10", "SIGRTMAX-11", "SIGRTMAX-12", "SIGRTMAX-13", "SIGRTMAX-14", "SIGRTMAX-2", "SIGRTMAX-3",
    "SIGRTMAX-4", "SIGRTMAX-5", "SIGRTMAX-6", "SIGRTMAX-7", "SIGRTMAX-8", "SIGRTMAX-9", "SIGRTMIN", "SIGRTMIN+1",
    "SIGRTMIN+10", "SIGRTMIN+11", "SIGRTMIN+12", "SIGRTMIN+13", "SIGRTMIN+14", "SIGRTMIN+15", "SIGRTMIN+2",
    "SIGRTMIN+3", "SIGRTMIN+4", "SIGRTMIN+5", "SIGRTMIN+6", "SIGRTMIN+7", "SIGRTMIN+8", "SIGRTMIN+9", "SIGSEGV",
    "SIGSTKFLT", "SIGSTOP", "SIGSYS", "SIGTERM", "SIGTRAP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGUSR1",
    "SIGUSR2", "SIGVTALRM", "SIGWINCH", "SIGXCPU", "SIGXFSZ",
)  # fmt: skip


class PodFacts:
    """What the containers of one pod are checked against."""

    def __init__(self, spec: Mapping[str, Any], volumes: Mapping[str, Mapping[str, Any]]) -> None:
        self.volumes = volumes
        self.claims = [claim["name"] for claim in spec.get("resourceClaims") or () if claim.get("name")]
        self.restart_policy: str = spec["restartPolicy"]
        self.grace: int = spec["terminationGracePeriodSeconds"]
        self.host_users = spec.get("hostUsers") is not False
        self.system: str | None = (spec["os"].get("name", "")) if "os" in spec else None


def check_container(out: FieldErrors, container: Mapping[str, Any], at: Path, pod: PodFacts) -> None:
    """Check what every kind of container must keep to: validateContainerCommon."""
    name = container.get("name", "")
    if not name:
        out.required((*at, "name"))
    else:
        out.label((*at, "name"), name)
    out.needed(container, at, "image")
    policies = ("File", "FallbackToLogsOnError")
    out.choice((*at, "terminationMessagePolicy"), container["terminationMessagePolicy"], policies)
    _ports(out, container.get("ports") or (), (*at, "ports"))
    _env(out, container.get("env") or (), (*at, "env"))
    _env_from(out, container.get("envFrom") or (), (*at, "envFrom"))
    _mounts(out, container, (*at, "volumeMounts"), pod)
    _devices(out, container, (*at, "volumeDevices"), pod)
    pull_policies = ("Always", "IfNotPresent", "Never")
    out.choice((*at, "imagePullPolicy"), container["imagePullPolicy"], pull_policies)
    check_resources(out, container.get("resources") or {}, (*at, "resources"), pod.claims)
    check_resize_policy(out, container.get("resizePolicy") or (), (*at, "resizePolicy"), pod.restart_policy)
    security = container.get("securityContext")
    if security is not None:
        check_container_security(out, security, (*at, "securityContext"), host_users=pod.host_users)


def _ports(out: FieldErrors, ports: Sequence[Mapping[str, Any]], path: Path) -> None:
    names: set[str] = set()
    for index, port in enumerate(ports):
        # Go counts the complaints about a name with the variable that counts the ports; their path is made before.
        at: Path = (*path, index)
        name, number = port.get("name", ""), port.get("containerPort", 0)
        problems = port_name_problems(name) if name else []
        out.each((*at, "name"), name, problems)
        if name and not problems:
            if name in names:
                out.duplicate((*at, "name"), name)
            names.add(name)
        if number == 0:
            out.required((*at, "containerPort"))
        else:
            out.each((*at, "containerPort"), number, port_problems(number))
        host_port = port.get("hostPort", 0)
        if host_port != 0:
            out.each((*at, "hostPort"), host_port, port_problems(host_port))
        out.choice((*at, "protocol"), port["protocol"], ("SCTP", "TCP", "UDP"))


def check_host_ports(out: FieldErrors, containers: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Check that no two ports want the same port of the node."""
    taken: set[str] = set()
    for index, container in enumerate(containers):
        for number, port in enumerate(container.get("ports") or ()):
            if port.get("hostPort"):
                shown = f"{port['protocol']}/{port.get('hostIP', '')}/{port['hostPort']}"
                if shown in taken:
                    out.duplicate((*path, index, "ports", number, "hostPort"), shown)
                taken.add(shown)


def _env(out: FieldErrors, env: Sequence[Mapping[str, Any]], path: Path) -> None:
    for index, variable in enumerate(env):
        name, source, at = variable.get("name", ""), variable.get("valueFrom"), (*path, index)
        if not name:
            out.required((*at, "name"))
        else:
            out.each((*at, "name"), name, env_name_problems(name))
        if source is None:
            continue
        here: Path = (*at, "valueFrom")
        if "fieldRef" in source:
            check_field_ref(out, source["fieldRef"], (*here, "fieldRef"), _ENV_FIELDS)
        if "resourceFieldRef" in source:
            check_resource_ref(out, source["resourceFieldRef"], (*here, "resourceFieldRef"), volume=False)
        for kind in ("configMapKeyRef", "secretKeyRef"):
            if kind in source:
                _key_ref(out, source[kind], (*here, kind))
        if "fileKeyRef" in source:
            _file_ref(out, source["fileKeyRef"], (*here, "fileKeyRef"))
        if not source:
            options = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
            out.invalid(here, "", f"must specify one of: {options}")
        elif variable.get("value"):
            out.invalid(here, "", "may not be specified when `value` is not empty")
        elif len(source) > 1:
            out.invalid(here, "", "may not have more than one field specified at a time")


def _key_ref(out: FieldErrors, ref: Mapping[str, Any], at: Path) -> None:
    out.subdomain((*at, "name"), ref.get("name", ""))
    if ref.get("key"):
        out.each((*at, "key"), ref["key"], config_key_problems(ref["key"]))
    else:
        out.required((*at, "key"))


def _file_ref(out: FieldErrors, ref: Mapping[str, Any], at: Path) -> None:
    for field in ("key", "volumeName", "path"):
        value = ref.get(field, "")
        if not value:
            out.required((*at, field))
        elif field == "key":
            out.each((*at, field), value, relaxed_env_name_problems(value))
        elif field == "volumeName":
            out.label((*at, field), value)
        else:
            out.no_backsteps((*at, field), value)


def _env_from(out: FieldErrors, sources: Sequence[Mapping[str, Any]], path: Path) -> None:
    for index, source in enumerate(sources):
        at: Path = (*path, index)
        prefix = source.get("prefix", "")
        if prefix:
            out.each((*at, "prefix"), prefix, env_name_problems(prefix))
        kinds = [kind for kind in ("configMapRef", "secretRef") if kind in source]
        for kind in kinds:
            name = source[kind].get("name", "")
            if name:
                out.each((*at, kind, "name"), name, subdomain_problems(name, prefix=True))
            else:
                out.required((*at, kind, "name"))
        if not kinds:
            out.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`", at=at)
        elif len(kinds) > 1:
            out.invalid(path, "", "may not have more than one field specified at a time", at=at)


def _mounts(out: FieldErrors, container: Mapping[str, Any], path: Path, pod: PodFacts) -> None:
    devices = {one.get("name", ""): one.get("devicePath", "") for one in container.get("volumeDevices") or ()}
    taken: set[str] = set()
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        at: Path = (*path, index)
        name, where = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            out.required((*at, "name"))
        if name not in pod.volumes:
            out.not_found((*at, "name"), name)
        if not where:
            out.required((*at, "mountPath"))
        if where in taken:
            out.invalid((*at, "mountPath"), where, "must be unique")
        taken.add(where)
        if name in devices:
            out.invalid((*at, "name"), name, "must not already exist in volumeDevices")
        if where in devices.values():
            out.invalid((*at, "mountPath"), where, "must not already exist as a path in volumeDevices")
        sub_path, expression = mount.get("subPath", ""), mount.get("subPathExpr", "")
        if sub_path:
            out.descending((*path, "subPath"), sub_path, (*at, "subPath"))
        if expression:
            if sub_path:
                words = "subPathExpr and subPath are mutually exclusive"
                out.invalid((*at, "subPathExpr"), expression, words)
            out.descending((*path, "subPathExpr"), expression, (*at, "subPathExpr"))
        _propagation(out, container, mount, path, at)


def _propagation(
    out: FieldErrors, container: Mapping[str, Any], mount: Mapping[str, Any], path: Path, here: Path
) -> None:
    propagation = mount.get("mountPropagation")
    if propagation is not None:
        at, where = (*path, "mountPropagation"), (*here, "mountPropagation")
        out.choice(at, propagation, ("Bidirectional", "HostToContainer", "None"), at=where)
        if propagation == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
            words = "Bidirectional mount propagation is available only to privileged containers"
            out.forbidden(at, words, at=where)
    recursive = mount.get("recursiveReadOnly")
    if recursive is None or recursive == "Disabled":
        return
    at, where = (*path, "recursiveReadOnly"), (*here, "recursiveReadOnly")
    if recursive not in ("Enabled", "IfPossible"):
        out.choice(at, recursive, ("Disabled", "Enabled", "IfPossible"), at=where)
        return
    if not mount.get("readOnly"):
        out.forbidden(at, "may only be specified when readOnly is true", at=where)
    if propagation not in (None, "None"):
        words = "may only be specified when mountPropagation is None or not specified"
        out.forbidden(at, words, at=where)


def _devices(out: FieldErrors, container: Mapping[str, Any], path: Path, pod: PodFacts) -> None:
    mounts = {one.get("name", ""): one.get("mountPath", "") for one in container.get("volumeMounts") or ()}
    names: set[str] = set()
    paths: set[str] = set()
    for index, device in enumerate(container.get("volumeDevices") or ()):
        at: Path = (*path, index)
        name, where = device.get("name", ""), device.get("devicePath", "")
        volume = pod.volumes.get(name)
        if not name:
            out.required((*at, "name"))
        if name in names:
            out.invalid((*at, "name"), name, "must be unique")
        if volume is None:
            out.not_found((*at, "name"), name)
        elif "persistentVolumeClaim" not in volume and "ephemeral" not in volume:
            words = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            out.invalid((*at, "name"), name, words)
        if not where:
            out.required((*at, "devicePath"))
        if where in paths:
            out.invalid((*at, "devicePath"), where, "must be unique")
        if ".." in where.split("/"):
            out.invalid((*at, "devicePath"), where, "can not contain backsteps ('..')")
        else:
            paths.add(where)
        if name in mounts:
            out.invalid((*at, "name"), name, "must not already exist in volumeMounts")
        if where in mounts.values():
            out.invalid((*at, "devicePath"), where, "must not already exist as a path in volumeMounts")
        if name:
            names.add(name)


def check_hooks_and_probes(out: FieldErrors, container: Mapping[str, Any], at: Path, pod: PodFacts) -> None:
    """Check the lifecycle and the probes of a container that may have them."""
    lifecycle = container.get("lifecycle") or {}
    for hook in ("postStart", "preStop"):
        if hook in lifecycle:
            _handler(out, lifecycle[hook], (*at, "lifecycle", hook), pod, ("exec", "httpGet", "tcpSocket", "sleep"))
    if "stopSignal" in lifecycle:
        here: Path = (*at, "lifecycle", "stopSignal")
        if pod.system is None:
            out.forbidden(here, "may not be set for containers with empty `spec.os.name`")
        elif pod.system in ("windows", "linux"):
            known = ("SIGKILL", "SIGTERM") if pod.system == "windows" else _SIGNALS
            out.choice(here, lifecycle["stopSignal"], known)
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        if field in container:
            _probe(out, container[field], (*at, field), pod, readiness=field == "readinessProbe")


def _probe(out: FieldErrors, probe: Mapping[str, Any], at: Path, pod: PodFacts, *, readiness: bool) -> None:
    _handler(out, probe, at, pod, ("exec", "httpGet", "tcpSocket", "grpc"))
    numbers = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
    for number in numbers:
        if probe.get(number, 0) < 0:
            out.invalid((*at, number), probe[number], "must be greater than or equal to 0")
    seconds = probe.get("terminationGracePeriodSeconds")
    if seconds is not None and seconds <= 0:
        out.invalid((*at, "terminationGracePeriodSeconds"), seconds, "must be greater than 0")
    if readiness:
        if seconds is not None:
            out.invalid((*at, "terminationGracePeriodSeconds"), seconds, "must not be set for readinessProbes")
    elif probe["successThreshold"] != 1:
        out.invalid((*at, "successThreshold"), probe["successThreshold"], "must be 1")


def _handler(out: FieldErrors, handler: Mapping[str, Any], here: Path, pod: PodFacts, kinds: Sequence[str]) -> None:
    """Check what a probe or hook does: exactly one thing, and that one rightly."""
    known = [name for name in kinds if name in handler]
    if not known:
        out.required(here, "must specify a handler type")
    for number, name in enumerate(known):
        action, at = handler[name], (*here, name)
        if number:
            out.forbidden(at, "may not specify more than 1 handler type")
        elif name == "exec":
            out.needed(action, at, "command")
        elif name == "sleep":
            seconds = action.get("seconds", 0)
            if not 0 < seconds <= pod.grace:
                words = (
                    f"must be greater than 0 and less than terminationGracePeriodSeconds ({pod.grace}). "
                    "Enable AllowPodLifecycleSleepActionZeroValue feature gate for zero sleep."
                )
                out.invalid(at, seconds, words)
        else:
            port: int | str = action.get("port", 0)
            problems = port_problems(port) if isinstance(port, int) else port_name_problems(port)
            out.each((*at, "port"), port, problems)
            if name == "httpGet":
                out.choice((*at, "scheme"), action["scheme"], ("HTTP", "HTTPS"))
                for header in action.get("httpHeaders") or ():
                    shown = header.get("name", "")
                    out.each((*at, "httpHeaders"), shown, header_problems(shown))
