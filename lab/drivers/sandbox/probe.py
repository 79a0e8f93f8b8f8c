"""Owns whether the sandbox works here, and if not, what changes it: by a trial, and by what /proc says.

`decide` is pure; `look` reads the machine.
"""

from __future__ import annotations

import errno
import json
import platform
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ... import procs
from ...errors import LabError
from ..base import DriverInfo

NAME = "sandbox"
CAPABILITIES = frozenset({"lite", "pace", "seed", "instant", "kubernetes-version"})

_APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
_CLONE = "/proc/sys/kernel/unprivileged_userns_clone"
_MAXIMA = tuple(f"/proc/sys/user/max_{kind}_namespaces" for kind in ("user", "mnt", "pid", "net", "uts", "ipc"))
_ELSE = "or use a node of another kind: cks-lab start audit-log --on kind (or --on minikube)"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of this machine.

    `failed` is the step of the trial that failed, None if none did; `number` its errno. `sysctls` holds the files of
    /proc/sys that were read, stripped. `container` is the name of the container runtime that we are in, "" if none.
    """

    system: str
    failed: str | None
    number: int | None
    sysctls: Mapping[str, str]
    container: str
    nsenter: bool
    root: bool


def decide(seen: Seen) -> DriverInfo:
    """Say whether the sandbox can be used, why not, and what would change it."""
    if seen.system != "Linux":
        return _no(
            f"the sandbox is made of Linux namespaces, and this is {seen.system or 'another system'}",
            "cks-lab start audit-log --on kind (or --on minikube): both bring a Linux of their own",
        )
    if not seen.nsenter:
        return _no("nsenter is missing: it opens the shell on the node", "install util-linux: apt install util-linux")
    if seen.failed is None:
        return DriverInfo(NAME, True, "namespaces without root", "", CAPABILITIES)
    words = errno.errorcode.get(seen.number or 0, str(seen.number))
    for path in _MAXIMA:
        if seen.sysctls.get(path) == "0":
            name = path.removeprefix("/proc/sys/").replace("/", ".")
            return _no(f"{name} is 0: no such namespace may be made here", f"sudo sysctl -w {name}=15000, {_ELSE}")
    if seen.sysctls.get(_CLONE) == "0" and not seen.root:
        return _no(
            "kernel.unprivileged_userns_clone is 0: only root may make user namespaces here",
            f"sudo sysctl -w kernel.unprivileged_userns_clone=1, {_ELSE}",
        )
    if seen.sysctls.get(_APPARMOR) == "1" and not seen.root:
        return _no(
            "AppArmor takes the rights of user namespaces away "
            "(kernel.apparmor_restrict_unprivileged_userns is 1, as on Ubuntu since 23.10)",
            f"sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, {_ELSE}",
        )
    if seen.container:
        return _no(
            f"this {seen.container} container may not make namespaces ({seen.failed}: {words})",
            f"start it with {_rights(seen)}, {_ELSE}",
        )
    if seen.failed == "proc":
        return _no(f"a /proc of its own is refused ({words}): something is mounted over parts of /proc", _ELSE)
    return _no(f"namespaces without root are refused here ({seen.failed}: {words})", _ELSE)


def _rights(seen: Seen) -> str:
    if seen.container == "podman":
        return "--security-opt seccomp=unconfined --security-opt unmask=ALL"
    options = "--security-opt seccomp=unconfined --security-opt systempaths=unconfined"
    return f"{options} --security-opt apparmor=unconfined"


def _no(reason: str, hint: str) -> DriverInfo:
    return DriverInfo(NAME, False, reason, hint)


def look(folder: Path) -> Seen:
    """Look at this machine and try, in a process of its own, what a node needs. `folder` is where our packages are."""
    import os

    system = platform.system()
    nsenter = shutil.which("nsenter") is not None
    failed: str | None = "user namespace"
    number: int | None = None
    if system == "Linux" and nsenter:
        failed, number = _try(folder)
    return Seen(
        system=system,
        failed=failed,
        number=number,
        sysctls={path: text for path in (_APPARMOR, _CLONE, *_MAXIMA) if (text := _text(path)) is not None},
        container=_container(),
        nsenter=nsenter,
        root=system == "Linux" and os.geteuid() == 0,
    )


def _try(folder: Path) -> tuple[str | None, int | None]:
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); from lab.drivers.sandbox import boot; boot.main(sys.argv)"
    argv = [sys.executable, "-S", "-s", "-c", code, "--probe"]
    try:
        said = json.loads(procs.run(argv, timeout=5).stdout)
    except (LabError, ValueError):
        return "user namespace", None
    return said["failed"], said["errno"]


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return None


def _container() -> str:
    if Path("/.dockerenv").exists():
        return "Docker"
    if Path("/run/.containerenv").exists():
        return "podman"
    if "kubepods" in (_text("/proc/1/cgroup") or ""):
        return "Kubernetes"
    return ""
