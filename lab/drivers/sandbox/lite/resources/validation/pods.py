"""Owns validation of pods: containers, volumes and mounts, ports, and what of a running pod may change."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from checkers.kube.pods.names import label_problems

from ...border import Json
from ...convert import ConvertError, parse_quantity
from ...status import FieldError, duplicate, forbidden_field, invalid_value, not_found_value, required, unsupported
from .fields import Check, UpdateCheck

_PORT_RANGE = "must be between 1 and 65535, inclusive"
_PULL = ["Always", "IfNotPresent", "Never"]
_HOST_PATHS = ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"]
_UPDATE_WORDS = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
)


def validate_pod_spec(spec: Json, path: str, *, alone: bool = False) -> list[FieldError]:
    """Return what is wrong with a pod's spec; `alone` for a pod itself, else a template."""
    errors: list[FieldError] = []
    names = _volumes(spec, path, errors)
    containers = spec.get("containers") or []
    if not containers:
        errors.append(required(f"{path}.containers"))
    seen: set[str] = set()
    for part in ("containers", "initContainers"):
        for number, container in enumerate(spec.get(part) or []):
            _container(container, f"{path}.{part}[{number}]", seen, names, errors, spec)
    policies = ["Always", "OnFailure", "Never"]
    if spec.get("restartPolicy") not in policies:
        errors.append(unsupported(f"{path}.restartPolicy", spec.get("restartPolicy", ""), policies))
    dns = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]
    if spec.get("dnsPolicy") not in dns:
        errors.append(unsupported(f"{path}.dnsPolicy", spec.get("dnsPolicy", ""), dns))
    grace = spec.get("terminationGracePeriodSeconds")
    if isinstance(grace, int) and grace < 0 and alone:
        errors.append(
            invalid_value(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than or equal to 0")
        )
    for number, toleration in enumerate(spec.get("tolerations") or []):
        where = f"{path}.tolerations[{number}]"
        operator = toleration.get("operator") or "Equal"
        if operator not in ("Equal", "Exists"):
            errors.append(unsupported(f"{where}.operator", operator, ["Equal", "Exists"]))
        elif operator == "Equal" and not toleration.get("key"):
            words = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            errors.append(invalid_value(f"{where}.operator", toleration.get("operator", ""), words))
        elif operator == "Exists" and toleration.get("value"):
            errors.append(
                invalid_value(f"{where}.operator", operator, "value must be empty when `operator` is 'Exists'")
            )
    return errors


def _volumes(spec: Json, path: str, errors: list[FieldError]) -> set[str]:
    names: set[str] = set()
    for number, volume in enumerate(spec.get("volumes") or []):
        where = f"{path}.volumes[{number}]"
        name = volume.get("name", "")
        sources = [k for k in volume if k != "name"]
        for extra in sources[1:]:
            errors.append(forbidden_field(f"{where}.{extra}", "may not specify more than 1 volume type"))
        if not sources:
            errors.append(required(where, "must specify a volume type"))
        host = volume.get("hostPath")
        if isinstance(host, dict):
            if not host.get("path"):
                errors.append(required(f"{where}.hostPath.path"))
            elif ".." in host["path"].split("/"):
                errors.append(invalid_value(f"{where}.hostPath.path", host["path"], "must not contain '..'"))
            if host.get("type", "") not in _HOST_PATHS:
                errors.append(unsupported(f"{where}.hostPath.type", host["type"], _HOST_PATHS))
        for kind, key in (("secret", "secretName"), ("configMap", "name"), ("persistentVolumeClaim", "claimName")):
            if isinstance(volume.get(kind), dict) and not volume[kind].get(key):
                errors.append(required(f"{where}.{kind}.{key}"))
        _name(name, f"{where}.name", names, errors)
    return names


def _name(name: str, path: str, seen: set[str], errors: list[FieldError]) -> None:
    """Check a name that must be a label of its own, and add it to those seen."""
    if not name:
        errors.append(required(path))
    elif problems := label_problems(name):
        errors += [invalid_value(path, name, text) for text in problems]
    elif name in seen:
        errors.append(duplicate(path, name))
    seen.add(name)


def _container(
    container: Json, path: str, seen: set[str], volumes: set[str], errors: list[FieldError], spec: Json
) -> None:
    _name(container.get("name", ""), f"{path}.name", seen, errors)
    image = container.get("image", "")
    if not image:
        errors.append(required(f"{path}.image"))
    elif image != image.strip():
        errors.append(invalid_value(f"{path}.image", image, "must not have leading or trailing whitespace"))
    _ports(container, path, errors, spec)
    for number, variable in enumerate(container.get("env") or []):
        where = f"{path}.env[{number}]"
        if not variable.get("name"):
            errors.append(required(f"{where}.name"))
        elif "=" in variable["name"]:
            words = "a valid environment variable name must consist only of printable ASCII characters other than '='"
            errors.append(invalid_value(f"{where}.name", variable["name"], words))
        if variable.get("value") and variable.get("valueFrom"):
            words = "may not be specified when `value` is not empty"
            errors.append(invalid_value(f"{where}.valueFrom", "", words))
    _mounts(container, path, volumes, errors)
    _probes(container, path, errors)
    if container.get("imagePullPolicy") not in _PULL:
        errors.append(unsupported(f"{path}.imagePullPolicy", container.get("imagePullPolicy", ""), _PULL))
    messages = ["FallbackToLogsOnError", "File"]
    if container.get("terminationMessagePolicy") not in messages:
        given = container.get("terminationMessagePolicy", "")
        errors.append(unsupported(f"{path}.terminationMessagePolicy", given, messages))
    _resources(container.get("resources") or {}, f"{path}.resources", errors)
    context = container.get("securityContext") or {}
    if context.get("privileged") and context.get("allowPrivilegeEscalation") is False:
        words = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        errors.append(invalid_value(f"{path}.securityContext", context, words))


def _ports(container: Json, path: str, errors: list[FieldError], spec: Json) -> None:
    names: set[str] = set()
    for number, port in enumerate(container.get("ports") or []):
        where = f"{path}.ports[{number}]"
        if port.get("name"):
            if port["name"] in names:
                errors.append(duplicate(f"{where}.name", port["name"]))
            names.add(port["name"])
        value = port.get("containerPort", 0)
        if not value:
            errors.append(required(f"{where}.containerPort"))
        elif not 1 <= value <= 65535:
            errors.append(invalid_value(f"{where}.containerPort", value, _PORT_RANGE))
        host = port.get("hostPort", 0)
        if host and not 1 <= host <= 65535:
            errors.append(invalid_value(f"{where}.hostPort", host, _PORT_RANGE))
        elif host and spec.get("hostNetwork") and host != value:
            words = "must match `containerPort` when `hostNetwork` is true"
            errors.append(invalid_value(f"{where}.hostPort", host, words))
        if port.get("protocol") not in ("TCP", "UDP", "SCTP"):
            errors.append(unsupported(f"{where}.protocol", port.get("protocol", ""), ["SCTP", "TCP", "UDP"]))


def _mounts(container: Json, path: str, volumes: set[str], errors: list[FieldError]) -> None:
    points: set[str] = set()
    for number, mount in enumerate(container.get("volumeMounts") or []):
        where = f"{path}.volumeMounts[{number}]"
        name = mount.get("name", "")
        if not name:
            errors.append(required(f"{where}.name"))
        elif name not in volumes:
            errors.append(not_found_value(f"{where}.name", name))
        point = mount.get("mountPath", "")
        if not point:
            errors.append(required(f"{where}.mountPath"))
        elif point in points:
            errors.append(invalid_value(f"{where}.mountPath", point, "must be unique"))
        points.add(point)
        sub = mount.get("subPath") or ""
        if sub.startswith("/"):
            errors.append(invalid_value(f"{where}.subPath", sub, "must be a relative path"))
        elif ".." in sub.split("/"):
            errors.append(invalid_value(f"{where}.subPath", sub, "must not contain '..'"))
        if sub and mount.get("subPathExpr"):
            words = "subPathExpr and subPath are mutually exclusive"
            errors.append(invalid_value(f"{where}.subPathExpr", mount["subPathExpr"], words))


_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")


def _probes(container: Json, path: str, errors: list[FieldError]) -> None:
    for part in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(part)
        if not isinstance(probe, dict):
            continue
        where = f"{path}.{part}"
        kinds = [k for k in _HANDLERS if probe.get(k) is not None]
        if not kinds:
            errors.append(required(where, "must specify a handler type"))
        for extra in kinds[1:]:
            errors.append(forbidden_field(f"{where}.{extra}", "may not specify more than 1 handler type"))
        numbers = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
        for name in numbers:
            if probe.get(name, 0) < 0:
                errors.append(invalid_value(f"{where}.{name}", probe[name], "must be greater than or equal to 0"))
        if part != "readinessProbe" and probe.get("successThreshold", 1) != 1:
            errors.append(invalid_value(f"{where}.successThreshold", probe["successThreshold"], "must be 1"))


def _resources(resources: Json, path: str, errors: list[FieldError]) -> None:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for part, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            where = f"{path}.{part}[{name}]"
            if (
                name not in ("cpu", "memory", "ephemeral-storage")
                and "/" not in name
                and not name.startswith("hugepages-")
            ):
                words = "must be a standard resource type or fully qualified"
                errors.append(invalid_value(where, name, words))
            if _number(amount) < 0:
                errors.append(invalid_value(where, amount, "must be greater than or equal to 0"))
    for name, amount in requests.items():
        if name in limits and _number(amount) > _number(limits[name]):
            words = f"must be less than or equal to {name} limit of {limits[name]}"
            errors.append(invalid_value(f"{path}.requests", amount, words))


def _number(amount: str) -> Any:
    try:
        return parse_quantity(amount)
    except ConvertError:
        return 0


def validate_pod_update(obj: Json, old: Json) -> list[FieldError]:
    """Return what of a change to a pod is not allowed once it exists."""
    new, was = deepcopy(obj["spec"]), deepcopy(old["spec"])
    for spec in (new, was):
        spec.pop("activeDeadlineSeconds", None)
        for part in ("containers", "initContainers"):
            for container in spec.get(part) or []:
                container["image"] = ""
    grown = all(t in (new.get("tolerations") or []) for t in was.get("tolerations") or [])
    if grown:
        new.pop("tolerations", None)
        was.pop("tolerations", None)
    if new == was:
        return []
    return [forbidden_field("spec", _UPDATE_WORDS)]


def _pod(obj: Json) -> list[FieldError]:
    return validate_pod_spec(obj["spec"], "spec", alone=True)


CHECKS: dict[tuple[str, str], Check] = {
    ("", "pods"): _pod,
}
UPDATES: dict[tuple[str, str], UpdateCheck] = {
    ("", "pods"): validate_pod_update,
}
