"""Owns what is asked of the machine before a cluster is made on it: Docker, memory, disk, cgroups."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ...errors import LabError
from .engine import Engine, EngineInfo, endpoint, how_to_get_docker

NEEDED_MEMORY = 1 << 30
"""Bytes of memory that a control plane and a lab's work take: 0.4 to 0.6 GiB were seen."""
NEEDED_DISK = 2 << 30
"""Bytes of disk for a node image and what a node writes."""
_PROBE_TIMEOUT = 2.0
_GIB = 1 << 30
_HERE = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is: Docker, and free memory and disk in bytes, None where this machine is not the one that counts."""

    engine: EngineInfo
    memory: int | None
    disk: int | None

    @property
    def words(self) -> str:
        """What there is, in words."""
        said = [f"{'Podman' if self.engine.podman else 'Docker'} {self.engine.version}"]
        said += ["without root"] if self.engine.rootless else []
        said += [f"cgroup v{self.engine.cgroup}"] if self.engine.cgroup else []
        said += [f"{self.memory / _GIB:.1f} GiB of memory free"] if self.memory is not None else []
        said += [f"{self.disk / _GIB:.0f} GiB of disk"] if self.disk is not None else []
        return ", ".join(said)


def look(tool: str) -> Machine:
    """Look at Docker and the machine. Raises LabError with what is missing, and how to get it.

    `tool` is the CLI that makes clusters by Docker's own command line.
    """
    host, _ = endpoint()
    if urlsplit(host).scheme not in ("unix", "npipe") and urlsplit(host).hostname not in _HERE:
        raise LabError(
            f"Docker is on another machine ({host}), and the API server of a node there is not reached from here",
            "unset DOCKER_HOST; docker context use default",
        )
    engine = Engine.connect(_PROBE_TIMEOUT)
    if shutil.which("docker") is None:
        raise LabError(f"{tool} needs docker's command line, and there is none", how_to_get_docker())
    info = engine.info()
    # A Docker in a virtual machine, or elsewhere, has memory and disk of its own.
    own = sys.platform == "linux" and not info.desktop and info.root != "" and Path(info.root).exists()
    return judged(tool, Machine(info, _memory_free() if own else None, _disk_free(info.root) if own else None))


def judged(tool: str, machine: Machine) -> Machine:
    """Return the machine where a cluster can be made on it. Raises LabError with what stands in the way."""
    info = machine.engine
    if info.podman:
        raise LabError("what answers as Docker is Podman, which labs were never tried on", "docker context ls")
    if info.rootless and info.cgroup == "1":
        raise LabError(
            f"Docker runs without root, which {tool} can use with cgroup v2 only; here is v1",
            "docker context use default",
        )
    memory = info.memory if machine.memory is None else machine.memory
    if 0 < memory < NEEDED_MEMORY:
        whose = "free" if machine.memory is not None else "Docker has"
        raise LabError(
            f"a node needs {NEEDED_MEMORY / _GIB:.0f} GiB of memory; {whose}: {memory / _GIB:.1f} GiB",
            "end what takes much: ps aux --sort=-rss | head",
        )
    if machine.disk is not None and machine.disk < NEEDED_DISK:
        raise LabError(
            f"a node needs {NEEDED_DISK / _GIB:.0f} GiB of disk; {info.root} has {machine.disk / _GIB:.1f} GiB",
            "docker system df, and docker system prune",
        )
    return machine


def _memory_free() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except (OSError, ValueError, IndexError):
        return None
    return None


def _disk_free(root: str) -> int | None:
    try:
        return shutil.disk_usage(root).free
    except OSError:
        return None
