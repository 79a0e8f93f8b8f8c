"""Owns what is known of the kind CLI: how it is called, what its lines mean, what its failures want."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import LabError

KIND = "kind"
CLUSTER_LABEL = "io.x-k8s.kind.cluster"
ROLE_LABEL = "io.x-k8s.kind.role"
CONTROL_PLANE = "control-plane"
NEEDED = (0, 20, 0)
"""The oldest version whose flags, labels and images are those that are used here."""
WAIT = 180
IMAGE = "kindest/node"
LAST_ON_CGROUP_V1 = "1.34"
"""The last Kubernetes whose kubelet starts on cgroup v1 as kind configures it (failCgroupV1 is on from 1.35)."""
_CGROUP_V1 = "cgroup v1 is deprecated"
_IMAGES = ("1.31.12", "1.32.8", "1.33.4", "1.34.3", "1.35.0", "1.36.1", "1.37.0")
"""A release of each minor version that kind's releases published an image of. Source: their release notes."""

TITLES: tuple[tuple[str, str], ...] = (
    ("Ensuring node image", "node image"),
    ("Preparing nodes", "node container"),
    ("Writing configuration", "configuration"),
    ("Starting control-plane", "control plane"),
    ("Installing CNI", "pod network"),
    ("Installing StorageClass", "storage class"),
    ("Joining", "more nodes"),
    ("Waiting", "node is ready"),
)
"""How kind's lines begin, and what its steps are called here, in their order. Source: kind, pkg/cluster."""
_LINE = re.compile(r"^\s*(?:\x1b\[\d+m)?(?P<mark>[•✓✗])(?:\x1b\[0m)?\s+(?P<words>.*?)\s*$")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_IN_PARENTHESES = re.compile(r"\(([^)]+)\)")
_VERSION = re.compile(r"\bkind v(\d+)\.(\d+)\.(\d+)(\S*)")


@dataclass(frozen=True, slots=True)
class Said:
    """One line of `kind create cluster`: the step it is of, its detail, and whether the step begins, ends or fails."""

    step: str
    detail: str
    mark: str

    @property
    def begins(self) -> bool:
        """Whether the step is under way from here on."""
        return self.mark == "•"


def said(line: str) -> Said | None:
    """Return what a line says of the start; None for any other line."""
    match = _LINE.match(line)
    if match is None:
        return None
    words = match["words"]
    title = next((title for begins, title in TITLES if words.startswith(begins)), None)
    if title is None:
        return None
    named = _IN_PARENTHESES.search(words) if title == "node image" else None
    return Said(title, named[1] if named else "", match["mark"])


def version(text: str) -> tuple[tuple[int, int, int], str] | None:
    """Return the version in what `kind version` says, as numbers and as text; None where there is none."""
    match = _VERSION.search(text)
    if match is None:
        return None
    return (int(match[1]), int(match[2]), int(match[3])), f"v{match[1]}.{match[2]}.{match[3]}{match[4]}"


def create(
    cluster: str, kubeconfig: Path, *, image: str | None = None, config: Path | None = None, retain: bool = False
) -> list[str]:
    """Return the command that makes a cluster; its kubeconfig goes into a file of ours and nowhere else."""
    argv = [KIND, "create", "cluster", "--name", cluster, "--kubeconfig", str(kubeconfig)]
    argv += ["--wait", f"{WAIT}s", "--verbosity", "1"]
    argv += ["--image", image] if image else []
    argv += ["--config", str(config)] if config else []
    argv += ["--retain"] if retain else []
    return argv


def delete(cluster: str, kubeconfig: Path) -> list[str]:
    """Return the command that removes a cluster."""
    return [KIND, "delete", "cluster", "--name", cluster, "--kubeconfig", str(kubeconfig)]


def environment(kubeconfig: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of kind: Docker is its provider, and the user's kubeconfig is out of its sight."""
    env = dict(os.environ if environ is None else environ)
    env.pop("KIND_CLUSTER_NAME", None)
    return {**env, "KUBECONFIG": str(kubeconfig), "KIND_EXPERIMENTAL_PROVIDER": "docker"}


def image_of(wanted: str, local: Iterable[str]) -> str:
    """Return the node image of a Kubernetes version; of 1.34 the newest that is here, else one that is known.

    Raises LabError.
    """
    match = re.fullmatch(r"v?(\d+)\.(\d+)(?:\.(\d+))?", wanted)
    if match is None:
        raise LabError(f"{wanted!r} is no version of Kubernetes", "--kubernetes-version 1.34, or v1.34.4")
    if match[3] is not None:
        return f"{IMAGE}:v{match[1]}.{match[2]}.{match[3]}"
    minor = f"{match[1]}.{match[2]}."
    here = [tag.removeprefix(f"{IMAGE}:v") for tag in local if tag.startswith(f"{IMAGE}:v{minor}")]
    patches = sorted((int(patch) for each in here if (patch := each.removeprefix(minor)).isdigit()), reverse=True)
    if patches:
        return f"{IMAGE}:v{minor}{patches[0]}"
    known = next((each for each in _IMAGES if each.startswith(minor)), None)
    if known is None:
        raise LabError(
            f"no node image of Kubernetes {wanted} is known",
            f"name one in full, {wanted}.N, as kind's release notes have it: https://github.com/kubernetes-sigs/kind/releases",
        )
    return f"{IMAGE}:v{known}"


def failure(lines: Sequence[str], log: Path) -> LabError:
    """Return what went wrong in `kind create cluster`, by its words, with what to do about it."""
    plain = [_ANSI.sub("", line) for line in lines]
    at = next((n for n, line in enumerate(plain) if line.startswith("ERROR:")), None)
    text = "\n".join(plain if at is None else plain[at:])
    words = next((line for line in plain[at or 0 :] if line.strip()), "it said nothing")
    words = words.removeprefix("ERROR:").strip().removeprefix("failed to create cluster:").strip()
    output = next((line for line in text.splitlines() if line.startswith("Command Output:")), "")
    if detail := output.removeprefix("Command Output:").strip():
        words = f"{words}: {detail}"
    hint = next((advice for sign, advice in _ADVICE if re.search(sign, text)), "")
    if "kubeadm" in text and any(line.startswith(_CGROUP_V1) for line in plain):
        hint = f"a kubelet of Kubernetes 1.35 or later wants cgroup v2: --kubernetes-version {LAST_ON_CGROUP_V1}"
    return LabError(f"kind made no cluster: {words[:400]}\n  all that it said: {log}", hint or f"less {log}")


def already_there(lines: Sequence[str]) -> bool:
    """Say whether kind made nothing because somebody else's cluster has the name."""
    return any("already exist for a cluster with the name" in line for line in lines)


_ADVICE = (
    (r"failed to pull image", "take an image that is here: docker images, then --image NAME:TAG"),
    (r"already exist for a cluster", "kind get clusters, and give the lab another name: --lab NAME"),
    (r"no space left on device", "make room: docker system df, and docker system prune"),
    (r"address already in use|port is already allocated", "your kind config asks for a port that is in use: ss -ltnp"),
    (
        r"Cannot connect to the Docker daemon|error during connect|daemon is not running",
        "Docker stopped meanwhile: docker ps",
    ),
    (
        r"could not find a log line that matches|too many open files|inotify",
        "sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512, and start again",
    ),
    (r"Delegate=yes", "https://kind.sigs.k8s.io/docs/user/rootless/ says how a Docker without root is set up"),
    (r"unknown flag|unknown apiVersion|unable to decode config|field .* not found", "kind create cluster --help"),
)
"""What in kind's words asks for what. The first that is found counts."""
