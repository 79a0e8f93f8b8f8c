"""Owns the container images that a node has: nothing is pulled, a node has no network."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

REGISTRY = "registry.k8s.io"


@dataclass(frozen=True, slots=True)
class Image:
    """An image on the node. `size` in bytes; `entrypoint` is what runs if a container names no command."""

    name: str
    tag: str
    size: int
    entrypoint: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """The image as a manifest names it."""
        return f"{self.name}:{self.tag}"

    @property
    def id(self) -> str:
        """The image's id: 64 hex digits."""
        return hashlib.sha256(f"image {self.reference}".encode()).hexdigest()

    @property
    def digest(self) -> str:
        """The image's name by its content."""
        return f"{self.name}@sha256:{hashlib.sha256(f'manifest {self.reference}'.encode()).hexdigest()}"


PAUSE = Image(f"{REGISTRY}/pause", "3.10.1", 320_448, ("/pause",))


@lru_cache(maxsize=1)
def images(kubernetes: str) -> tuple[Image, ...]:
    """Return the images of a node of that version ("v1.34.4")."""
    return (
        Image(f"{REGISTRY}/coredns/coredns", "v1.12.1", 22_384_805, ("/coredns",)),
        Image(f"{REGISTRY}/etcd", "3.6.5-0", 22_871_747),
        Image(f"{REGISTRY}/kube-apiserver", kubernetes, 27_063_900),
        Image(f"{REGISTRY}/kube-controller-manager", kubernetes, 22_821_100),
        Image(f"{REGISTRY}/kube-proxy", kubernetes, 25_963_700),
        Image(f"{REGISTRY}/kube-scheduler", kubernetes, 17_385_600),
        PAUSE,
    )


class PullError(Exception):
    """The image is not on the node. `reason` is the waiting container's; the text is the kubelet's."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def find(reference: str, kubernetes: str) -> Image | None:
    """Return the image of that name that a node of that version has, or None."""
    return next((i for i in images(kubernetes) if reference in (i.reference, i.digest, f"sha256:{i.id}")), None)


def present(reference: str, policy: str, kubernetes: str) -> Image:
    """Return the image of a container that is to start on a node of that version, by its pull policy.

    Raises PullError.
    """
    image = find(reference, kubernetes)
    if image is not None and policy != "Always":
        return image
    if policy == "Never":
        words = f'Container image "{reference}" is not present with pull policy of Never'
        raise PullError("ErrImageNeverPull", words)
    host, _, rest = reference.partition("/")
    if "." not in host and ":" not in host:
        host, rest = "registry-1.docker.io", reference if rest else f"library/{reference}"
        reference = f"docker.io/{rest}" + ("" if ":" in rest else ":latest")
    name, _, tag = rest.rpartition(":") if ":" in rest else (rest, "", "latest")
    text = f'failed to pull and unpack image "{reference}": failed to resolve reference "{reference}"'
    head = f'Head "https://{host}/v2/{name}/manifests/{tag}"'
    where = f"dial tcp: lookup {host}: Temporary failure in name resolution"
    raise PullError("ErrImagePull", f"{text}: failed to do request: {head}: {where}")
