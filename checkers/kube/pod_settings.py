"""Owns the validation of what a pod and its containers ask for beside mounts: resources, security, scheduling, DNS.

Source: Kubernetes 1.34, pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from .pod_decode import Path
from .pod_field_errors import SUBDOMAIN, SUBDOMAIN_WORDS, FieldErrors, label_value_problems, qualified_name_problems
from .pod_quantity import quantity

_CONTAINER_RESOURCES: Final = ("cpu", "memory", "ephemeral-storage")
_STANDARD_RESOURCES: Final = (*_CONTAINER_RESOURCES, "storage", "pods", "services", "secrets", "configmaps")
_SECURITY_FIELDS: Final = (
    "capabilities", "privileged", "seLinuxOptions", "windowsOptions", "runAsUser", "runAsGroup", "runAsNonRoot",
    "readOnlyRootFilesystem", "allowPrivilegeEscalation", "procMount", "seccompProfile", "appArmorProfile",
)  # fmt: skip
_LARGEST_ID: Final = (1 << 31) - 1
_IP_WORDS: Final = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


def check_resource_claims(out: FieldErrors, spec: dict[str, Any]) -> None:
    """Check the claims of dynamic resources: each names one of two sources."""
    for index, claim in enumerate(spec.get("resourceClaims", ())):
        if not claim.get("resourceClaimName") and not claim.get("resourceClaimTemplateName"):
            shown = f'{{"Name":"{claim.get("name", "")}","ResourceClaimName":null,"ResourceClaimTemplateName":null}}'
            words = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            at: Path = ("spec", "resourceClaims", index)
            out.add(at, f"Invalid value: {shown}: {words}")


def check_container_settings(out: FieldErrors, container: dict[str, Any], at: Path) -> None:
    """Check a container's resources and security context."""
    _resources(out, container.get("resources") or {}, (*at, "resources"))
    _security(out, container.get("securityContext") or {}, (*at, "securityContext"))


def _resources(out: FieldErrors, resources: dict[str, Any], at: Path) -> None:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for group, amounts in (("limits", limits), ("requests", requests)):
        for name, text in sorted(amounts.items()):
            here = f"{group}[{name}]"
            where: Path = (*at, group, name)
            for problem in _resource_name_problems(name):
                out.invalid((*at, here), name, problem, at=where)
            amount = quantity(text)
            if amount < 0:
                out.invalid((*at, here), text, "must be greater than or equal to 0", at=where)
            if group == "limits":
                continue
            limit = limits.get(name)
            if name in _CONTAINER_RESOURCES or name.startswith("kubernetes.io/") or "/" not in name:
                if limit is not None and amount > quantity(limit):
                    words = f"must be less than or equal to {name} limit of {limit}"
                    out.invalid((*at, "requests"), text, words, at=where)
            elif limit is None:
                out.required((*at, "limits"), "Limit must be set for non overcommitable resources")
            elif amount != quantity(limit):
                out.invalid((*at, "requests"), text, f"must be equal to {name} limit of {limit}", at=where)


def _resource_name_problems(name: str) -> list[str]:
    problems = qualified_name_problems(name)
    if "/" in name or problems:
        return problems
    if name in _CONTAINER_RESOURCES or name.startswith("hugepages-"):
        return []
    if name not in _STANDARD_RESOURCES:
        problems.append("must be a standard resource type or fully qualified")
    return [*problems, "must be a standard resource for containers"]


def _user_id(out: FieldErrors, security: dict[str, Any], at: Path, *fields: str) -> None:
    for field in fields:
        number = security.get(field)
        if number is not None and not 0 <= number <= _LARGEST_ID:
            out.invalid((*at, field), number, f"must be between 0 and {_LARGEST_ID}, inclusive")


def _security(out: FieldErrors, security: dict[str, Any], at: Path) -> None:
    _user_id(out, security, at, "runAsUser", "runAsGroup")
    if "procMount" in security:
        out.choice((*at, "procMount"), security["procMount"], ("Default", "Unmasked"))
    _seccomp(out, security.get("seccompProfile"), (*at, "seccompProfile"))
    if security.get("allowPrivilegeEscalation") is False:
        privileges = []
        if security.get("privileged"):
            privileges.append("`privileged` to true")
        if "CAP_SYS_ADMIN" in (security.get("capabilities") or {}).get("add", ()):
            privileges.append("`capabilities.Add` CAP_SYS_ADMIN")
        for privilege in privileges:
            words = f"cannot set `allowPrivilegeEscalation` to false and {privilege}"
            out.add(at, f"Invalid value: {_internal_security(security)}: {words}")


def _internal_security(security: dict[str, Any]) -> str:
    """Write a security context as its internal type is printed: all fields, in the struct's order."""
    shown = []
    for field in _SECURITY_FIELDS:
        value = security.get(field)
        if isinstance(value, bool):
            text = "true" if value else "false"
        else:
            text = "null" if value is None else str(value) if isinstance(value, int) else "{…}"
        shown.append(f'"{field[0].upper()}{field[1:]}":{text}'.replace('"SeLinux', '"SELinux'))
    return "{" + ",".join(shown) + "}"


def _seccomp(out: FieldErrors, profile: dict[str, Any] | None, at: Path) -> None:
    if profile is None:
        return
    kind, file = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        out.required((*at, "type"), "type is required when seccompProfile is set")
    else:
        out.choice((*at, "type"), kind, ("Localhost", "RuntimeDefault", "Unconfined"))
    if kind == "Localhost":
        if file is None:
            out.required((*at, "localhostProfile"), "must be set when seccomp type is Localhost")
        else:
            out.descending((*at, "localhostProfile"), file, (*at, "localhostProfile"))
    elif file is not None:
        shown = f'{{"Type":"{kind}","LocalhostProfile":"{file}"}}'
        out.add((*at, "localhostProfile"), f"Invalid value: {shown}: can only be set when seccomp type is Localhost")


def check_pod_settings(out: FieldErrors, spec: dict[str, Any]) -> None:
    """Check what the pod as a whole asks for, in the order in which the kubelet does."""
    out.labels(("spec", "nodeSelector"), spec.get("nodeSelector") or {})
    security = spec.get("securityContext") or {}
    at: Path = ("spec", "securityContext")
    _user_id(out, security, at, "fsGroup", "runAsUser", "runAsGroup")
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        words = "Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled"
        out.add((*at, "shareProcessNamespace"), words, at=("spec", "shareProcessNamespace"))
    _seccomp(out, security.get("seccompProfile"), (*at, "seccompProfile"))
    _dns(out, spec)
    _spread(out, spec)
    if spec.get("hostUsers") is False:
        for field, said in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
            if spec.get(field):
                out.forbidden(("spec", said), "when `hostUsers` is false", at=("spec", field))
    _name(out, spec, "serviceAccountName")
    seconds = spec.get("activeDeadlineSeconds")
    if seconds is not None and not 1 <= seconds <= _LARGEST_ID:
        out.invalid(("spec", "activeDeadlineSeconds"), seconds, f"must be between 1 and {_LARGEST_ID}, inclusive")
    for field in ("hostname", "subdomain"):
        if spec.get(field):
            out.label(("spec", field), spec[field])
    _tolerations(out, spec)
    for index, alias in enumerate(spec.get("hostAliases", ())):
        _ip(out, alias.get("ip", ""), ("spec", "hostAliases", index, "ip"))
    _name(out, spec, "priorityClassName")
    _name(out, spec, "runtimeClassName", empty=True)
    if "preemptionPolicy" in spec:
        out.choice(("spec", "preemptionPolicy"), spec["preemptionPolicy"], ("PreemptLowerPriority", "Never"))
    if "os" in spec:
        name = spec["os"].get("name", "")
        if name:
            out.choice(("spec", "os"), name, ("linux", "windows"))
        else:
            out.required(("spec", "os", "name"))
        if name == "windows" and security.get("seccompProfile") is not None:
            out.forbidden((*at, "seccompProfile"), "cannot be set for a windows pod")


def _name(out: FieldErrors, spec: dict[str, Any], field: str, *, empty: bool = False) -> None:
    name = spec.get(field)
    if name is not None and (name or empty) and not SUBDOMAIN.fullmatch(name):
        out.invalid(("spec", field), name, SUBDOMAIN_WORDS)


def _ip(out: FieldErrors, text: str, at: Path) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        out.invalid(at, text, _IP_WORDS)


def _dns(out: FieldErrors, spec: dict[str, Any]) -> None:
    config = spec.get("dnsConfig")
    servers = (config or {}).get("nameservers", ())
    if spec["dnsPolicy"] == "None":
        if config is None:
            out.required(("spec", "dnsConfig"), "must provide `dnsConfig` when `dnsPolicy` is None")
            return
        if not servers:
            words = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            out.required(("spec", "dnsConfig", "nameservers"), words)
            return
    for index, server in enumerate(servers):
        _ip(out, server, ("spec", "dnsConfig", "nameservers", index))


def _spread(out: FieldErrors, spec: dict[str, Any]) -> None:
    for index, constraint in enumerate(spec.get("topologySpreadConstraints", ())):
        at: Path = ("spec", "topologySpreadConstraints", index)
        if constraint.get("maxSkew", 0) <= 0:
            out.invalid((*at, "maxSkew"), constraint.get("maxSkew", 0), "must be greater than zero")
        if not constraint.get("topologyKey"):
            out.required((*at, "topologyKey"), "can not be empty")
        unsatisfiable = constraint.get("whenUnsatisfiable", "")
        out.choice((*at, "whenUnsatisfiable"), unsatisfiable, ("DoNotSchedule", "ScheduleAnyway"))


def _tolerations(out: FieldErrors, spec: dict[str, Any]) -> None:
    for index, toleration in enumerate(spec.get("tolerations", ())):
        at: Path = ("spec", "tolerations", index)
        key, operator, value = (toleration.get(field, "") for field in ("key", "operator", "value"))
        effect = toleration.get("effect", "")
        if key:
            out.qualified((*at, "key"), key)
        elif operator != "Exists":
            words = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            out.add((*at, "operator"), f'Invalid value: "{operator}": {words}')
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            words = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            out.invalid((*at, "effect"), effect, words)
        if operator in ("", "Equal"):
            problems = label_value_problems(value)
            if problems:
                out.invalid((*at, "operator"), value, ";".join(problems))
        elif operator == "Exists":
            if value:
                out.invalid((*at, "operator"), value, "value must be empty when `operator` is 'Exists'")
        else:
            out.choice((*at, "operator"), operator, ("Equal", "Exists"))
        if effect:
            out.choice((*at, "effect"), effect, ("NoSchedule", "PreferNoSchedule", "NoExecute"))
