"""Owns the validation of security contexts, of the pod and of its containers, those of Windows included.

Source: Kubernetes 1.34, pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from checkers.kube.pods.decode import Path
from checkers.kube.pods.field_errors import FieldErrors, Named
from checkers.kube.pods.metadata import all_containers
from checkers.kube.pods.names import length, range_problems, subdomain_problems

_LARGEST_ID: Final = (1 << 31) - 1
_SYSCTL: Final = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
_SYSCTL_RE: Final = re.compile(_SYSCTL[1:-1])
_IPC_SYSCTLS: Final = frozenset((
    "kernel.msg", "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shm",
    "kernel.shm_rmid_forced", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
))  # fmt: skip  # fmt: skip
_SWAPPED: Final = str.maketrans("./", "/.")
# The fields of the internal structs in their order: `path` of the field in a manifest, None for one that is a struct.
_SECURITY_FIELDS: Final[dict[str, tuple[str, ...] | None]] = {
    "capabilities": ("add", "drop"),
    "privileged": None,
    "seLinuxOptions": ("user", "role", "type", "level"),
    "windowsOptions": ("gmsaCredentialSpecName", "gmsaCredentialSpec", "runAsUserName", "hostProcess"),
    "runAsUser": None,
    "runAsGroup": None,
    "runAsNonRoot": None,
    "readOnlyRootFilesystem": None,
    "allowPrivilegeEscalation": None,
    "procMount": None,
    "seccompProfile": ("type", "localhostProfile"),
    "appArmorProfile": ("type", "localhostProfile"),
}
_GO_NAMES: Final = {
    "seLinuxOptions": "SELinuxOptions",
    "gmsaCredentialSpecName": "GMSACredentialSpecName",
    "gmsaCredentialSpec": "GMSACredentialSpec",
}
# What of a pod or container for Windows must not be set, in the order in which it is looked at.
_NOT_FOR_WINDOWS: Final = (
    "appArmorProfile", "seLinuxOptions", "hostUsers", "hostPID", "hostIPC", "seccompProfile", "fsGroup",
    "fsGroupChangePolicy", "sysctls", "shareProcessNamespace", "runAsUser", "runAsGroup", "supplementalGroups",
    "supplementalGroupsPolicy", "seLinuxChangePolicy",
)  # fmt: skip
_NOT_FOR_WINDOWS_CONTAINERS: Final = (
    "appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities", "readOnlyRootFilesystem", "privileged",
    "allowPrivilegeEscalation", "procMount", "runAsUser", "runAsGroup",
)  # fmt: skip
_OF_THE_POD: Final = ("hostUsers", "hostPID", "hostIPC", "shareProcessNamespace")
_DOMAIN: Final = re.compile(
    r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}|[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?'
    r"(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*"
)


def _ids(out: FieldErrors, security: Mapping[str, Any], at: Path, *fields: str) -> None:
    for field in fields:
        if field in security:
            out.each((*at, field), security[field], range_problems(security[field], 0, _LARGEST_ID))


def check_container_security(out: FieldErrors, security: Mapping[str, Any], at: Path, *, host_users: bool) -> None:
    """Check a container's security context: ValidateSecurityContext."""
    _ids(out, security, at, "runAsUser", "runAsGroup")
    if "procMount" in security:
        out.choice((*at, "procMount"), security["procMount"], ("Default", "Unmasked"))
        if host_users and security["procMount"] == "Unmasked":
            out.invalid((*at, "procMount"), Named("Unmasked"), "`hostUsers` must be false to use `Unmasked`")
    _seccomp(out, security.get("seccompProfile"), (*at, "seccompProfile"))
    if security.get("allowPrivilegeEscalation") is False:
        privileges = ["`privileged` to true"] if security.get("privileged") else []
        added = (security.get("capabilities") or {}).get("add") or ()
        privileges += ["`capabilities.Add` CAP_SYS_ADMIN"] * added.count("CAP_SYS_ADMIN") if added else []
        for privilege in privileges:
            words = f"cannot set `allowPrivilegeEscalation` to false and {privilege}"
            out.invalid(at, _internal(security, _SECURITY_FIELDS), words)
    _windows_options(out, security.get("windowsOptions"), (*at, "windowsOptions"))
    _apparmor(out, security.get("appArmorProfile"), (*at, "appArmorProfile"))


def _internal(values: Mapping[str, Any], fields: Mapping[str, tuple[str, ...] | None]) -> dict[str, Any]:
    """Lay a struct out as its internal type: every field, in the struct's order, null where it is not there."""
    shown: dict[str, Any] = {}
    for field, inner in fields.items():
        value = values.get(field)
        if inner is not None and value is not None:
            texts = field == "seLinuxOptions" or "type" in inner
            value = {
                _go_name(name): value.get(name, "" if texts and name != "localhostProfile" else None) for name in inner
            }
        shown[_go_name(field)] = value
    return shown


def _go_name(field: str) -> str:
    return _GO_NAMES.get(field, field[0].upper() + field[1:])


def _seccomp(out: FieldErrors, profile: Mapping[str, Any] | None, at: Path) -> None:
    if profile is None:
        return
    kind, file = profile.get("type", ""), profile.get("localhostProfile")
    if not kind:
        out.required((*at, "type"), "type is required when seccompProfile is set")
    else:
        out.choice((*at, "type"), kind, ("Localhost", "RuntimeDefault", "Unconfined"))
    if kind != "Localhost":
        if file is not None:
            shown = {"Type": kind, "LocalhostProfile": file}
            out.invalid((*at, "localhostProfile"), shown, "can only be set when seccomp type is Localhost")
    elif file is None:
        out.required((*at, "localhostProfile"), "must be set when seccomp type is Localhost")
    else:
        out.descending((*at, "localhostProfile"), file)


def _apparmor(out: FieldErrors, profile: Mapping[str, Any] | None, at: Path) -> None:
    if profile is None:
        return
    kind, file = profile.get("type", ""), profile.get("localhostProfile")
    here: Path = (*at, "localhostProfile")
    if kind == "Localhost":
        if not file:
            out.required(here, "must be set when AppArmor type is Localhost")
            return
        if file != file.strip():
            out.invalid(here, file, "must not be padded with whitespace")
        if length(file) > 4095:
            out.too_long(here, 4095)
    elif kind in ("RuntimeDefault", "Unconfined"):
        if file is not None:
            out.invalid(here, Named(file), "can only be set when AppArmor type is Localhost")
    elif kind:
        out.choice((*at, "type"), kind, ("Localhost", "RuntimeDefault", "Unconfined"))
    else:
        out.required((*at, "type"), "type is required when appArmorProfile is set")


def check_pod_security(out: FieldErrors, spec: Mapping[str, Any]) -> None:
    """Check the pod's security context: validatePodSpecSecurityContext."""
    security, at = spec.get("securityContext") or {}, ("spec", "securityContext")
    _ids(out, security, at, "fsGroup", "runAsUser", "runAsGroup")
    for index, group in enumerate(security.get("supplementalGroups") or ()):
        out.each((*at, "supplementalGroups", index), group, range_problems(group, 0, _LARGEST_ID))
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        words = "ShareProcessNamespace and HostPID cannot both be enabled"
        out.invalid((*at, "shareProcessNamespace"), True, words, at=("spec", "shareProcessNamespace"))
    _sysctls(out, security.get("sysctls") or (), spec, (*at, "sysctls"))
    if "fsGroupChangePolicy" in security:
        out.choice((*at, "fsGroupChangePolicy"), security["fsGroupChangePolicy"], ("Always", "OnRootMismatch"))
    _seccomp(out, security.get("seccompProfile"), (*at, "seccompProfile"))
    _windows_options(out, security.get("windowsOptions"), (*at, "windowsOptions"))
    _apparmor(out, security.get("appArmorProfile"), (*at, "appArmorProfile"))
    if "supplementalGroupsPolicy" in security:
        out.choice((*at, "supplementalGroupsPolicy"), security["supplementalGroupsPolicy"], ("Merge", "Strict"))
    if "seLinuxChangePolicy" in security:
        out.choice((*at, "seLinuxChangePolicy"), security["seLinuxChangePolicy"], ("MountOption", "Recursive"))


def _sysctls(out: FieldErrors, sysctls: Any, spec: Mapping[str, Any], path: Path) -> None:
    names: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        name, at = sysctl.get("name", ""), (*path, index, "name")
        if not name:
            out.required(at)
        elif length(name) > 253 or not _SYSCTL_RE.fullmatch(name):
            out.invalid(at, name, f"must have at most 253 characters and match regex {_SYSCTL}")
        elif name in names:
            out.duplicate(at, name)
        names.add(name)
        separator = re.search(r"[./]", name)
        plain = name.translate(_SWAPPED) if separator and separator[0] == "/" else name
        plain = plain.partition("*")[0]
        if spec.get("hostNetwork") and plain.startswith("net."):
            out.invalid(at, name, "may not be specified when 'hostNetwork' is true")
        elif spec.get("hostIPC") and (plain in _IPC_SYSCTLS or plain.startswith("fs.mqueue.")):
            out.invalid(at, name, "may not be specified when 'hostIPC' is true")


def _windows_options(out: FieldErrors, options: Mapping[str, Any] | None, at: Path) -> None:
    if options is None:
        return
    name = options.get("gmsaCredentialSpecName")
    if name is not None:
        out.each((*at, "gmsaCredentialSpecName"), Named(name), subdomain_problems(name))
    spec = options.get("gmsaCredentialSpec")
    if spec == "":
        out.invalid((*at, "gmsaCredentialSpec"), Named(spec), "gmsaCredentialSpec cannot be an empty string")
    elif spec is not None and length(spec) > 64 << 10:
        out.invalid((*at, "gmsaCredentialSpec"), Named(spec), "gmsaCredentialSpec size must be under 64 KiB")
    user = options.get("runAsUserName")
    if user is not None:
        for problem in _user_problems(user):
            out.invalid((*at, "runAsUserName"), Named(user), f"runAsUserName{problem}")


def _user_problems(text: str) -> list[str]:
    if not text:
        return [" cannot be an empty string"]
    if re.search(r"[\x00-\x1f\x7f]", text):
        return [" cannot contain control characters"]
    if text.count("\\") > 1:
        return [" cannot contain more than one backslash"]
    domain, backslash, user = text.rpartition("\\")
    problems = []
    if length(domain) >= 256:
        problems.append("'s Domain length must be under 256 characters")
    if backslash and not _DOMAIN.fullmatch(domain):
        problems.append("'s Domain doesn't match the NetBios nor the DNS format")
    if not user:
        problems.append("'s User cannot be empty")
    elif length(user) > 104:
        problems.append("'s User length must not be longer than 104 characters")
    if re.fullmatch(r"[. ]+", user):
        problems.append("'s User cannot contain only periods or spaces")
    if re.search(r'["/\\:;|=,+*?<>@\[\]]', user):
        problems.append(r"""'s User cannot contain the following characters: "/\:;|=,+*?<>@[]""")
    return problems


def check_host_process(out: FieldErrors, spec: Mapping[str, Any]) -> None:
    """Check that containers that are processes of a Windows host are all so: validateWindowsHostProcessPod."""
    of_pod = ((spec.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
    containers = host_processes = 0
    for at, container in all_containers(spec):
        containers += 1
        own = ((container.get("securityContext") or {}).get("windowsOptions") or {}).get("hostProcess")
        if None not in (of_pod, own) and of_pod != own:
            words = f"pod hostProcess value must be identical if both are specified, was {str(of_pod).lower()}"
            out.invalid((*at, "securityContext", "windowsOptions", "hostProcess"), own, words)
        host_processes += bool(of_pod if own is None else own)
    if host_processes:
        if host_processes != containers:
            words = "If pod contains any hostProcess containers then all containers must be HostProcess containers"
            out.invalid(("spec",), "", words)
        if not spec.get("hostNetwork"):
            words = "hostNetwork must be true if pod contains any hostProcess containers"
            out.invalid(("spec", "hostNetwork"), False, words)


def check_host_users(out: FieldErrors, spec: Mapping[str, Any]) -> None:
    """Check what cannot go with users of its own: validateHostUsers."""
    if spec.get("hostUsers") is not False:
        return
    for field, said in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
        if spec.get(field):
            out.forbidden(("spec", said), "when `hostUsers` is false", at=("spec", field))
    for at, container in all_containers(spec):
        if container.get("volumeDevices"):
            out.forbidden((*at, "volumeDevices"), "when `hostUsers` is false")


def check_system(out: FieldErrors, spec: Mapping[str, Any]) -> None:
    """Check spec.os, and what must not be set for that system."""
    if "os" not in spec:
        return
    name = spec["os"].get("name", "")
    if not name:
        out.required(("spec", "os", "name"))
        return
    out.choice(("spec", "os"), name, ("linux", "windows"))
    security = spec.get("securityContext") or {}
    if name == "windows":
        for field in _NOT_FOR_WINDOWS:
            inside = field not in _OF_THE_POD
            value = (security if inside else spec).get(field)
            if value is None or (field in ("hostPID", "hostIPC") and not value) or (field == "sysctls" and not value):
                continue
            at: Path = ("spec", "securityContext", field) if inside else ("spec", field)
            out.forbidden(at, "cannot be set for a windows pod")
    elif name == "linux" and "windowsOptions" in security:
        words = "windows options cannot be set for a linux pod"
        out.forbidden(("spec", "securityContext", "windowsOptions"), words)
    for path, container in all_containers(spec):
        own = container.get("securityContext") or {}
        if name == "linux" and "windowsOptions" in own:
            words = "windows options cannot be set for a linux pod"
            out.forbidden((*path, "securityContext", "windowsOptions"), words)
        for field in _NOT_FOR_WINDOWS_CONTAINERS if name == "windows" else ():
            if field in own:
                out.forbidden((*path, "securityContext", field), "cannot be set for a windows pod")
