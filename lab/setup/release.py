"""Owns the official releases: where kube-apiserver and etcd lie there, and with which checksums."""

from __future__ import annotations

import os
import platform
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..drivers.sandbox.binaries import APISERVER, ETCD
from ..errors import LabError
from . import fetch
from .fetch import Unreachable
from .news import News

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64", "ppc64le": "ppc64le",
                  "s390x": "s390x"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Urls:
    """Where releases lie, without a slash at the end: <kubernetes>/v1.34.4/bin/…, <etcd>/v3.6.5/…"""

    kubernetes: str = "https://dl.k8s.io/release"
    etcd: str = "https://github.com/etcd-io/etcd/releases/download"

    @classmethod
    def of(cls, environ: Mapping[str, str] | None = None) -> Urls:
        """Return those that the environment names: a mirror with the same files."""
        env = os.environ if environ is None else environ
        return cls(
            (env.get("CKS_LAB_KUBERNETES_URL") or cls().kubernetes).rstrip("/"),
            (env.get("CKS_LAB_ETCD_URL") or cls().etcd).rstrip("/"),
        )


def by_release(kubernetes: str, etcd: str, urls: Urls, work: Path, news: News) -> tuple[Path, Path]:
    """Return both programs, got into the folder `work`. Raises LabError, Unreachable where there is no way to them."""
    machine = architecture()
    if machine is None:
        raise Unreachable(f"nothing is released for this machine ({platform.machine()})", "cks-lab setup --from source")
    news.say(
        f"kube-apiserver {kubernetes} comes from {urls.kubernetes} (about 80 MB), etcd {etcd} from {urls.etcd} "
        "(about 25 MB): a minute or two, usually."
    )
    server = f"{urls.kubernetes}/{kubernetes}/bin/linux/{machine}/{APISERVER}"
    apiserver = work / APISERVER
    if not apiserver.exists():
        digest = _one(fetch.text(f"{server}.sha256"), f"{server}.sha256")
        fetch.file(server, apiserver, digest, f"kube-apiserver {kubernetes}", news)
    name = f"etcd-{etcd}-linux-{machine}.tar.gz"
    folder = f"{urls.etcd}/{etcd}"
    archive = work / name
    if not archive.exists():
        digest = _named(fetch.text(f"{folder}/SHA256SUMS"), name, f"{folder}/SHA256SUMS")
        fetch.file(f"{folder}/{name}", archive, digest, f"etcd {etcd}", news)
    return apiserver, _unpack(archive, f"etcd-{etcd}-linux-{machine}/{ETCD}", work / ETCD)


def architecture() -> str | None:
    """Return this machine by Go's name, None where nothing is released for it."""
    return _ARCHITECTURES.get(platform.machine()) if platform.system() == "Linux" else None


def _one(said: str, url: str) -> str:
    words = said.split()
    if not words or not _is_digest(words[0]):
        raise LabError(f"{url} holds no checksum: {said[:80]!r}", "try again, or: cks-lab setup --from source")
    return words[0]


def _named(said: str, name: str, url: str) -> str:
    for line in said.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].lstrip("*") == name and _is_digest(words[0]):
            return words[0]
    raise LabError(f"{url} has no checksum of {name}", "try again, or: cks-lab setup --from source")


def _is_digest(word: str) -> bool:
    return len(word) == 64 and all(letter in "0123456789abcdefABCDEF" for letter in word)


def _unpack(archive: Path, member: str, target: Path) -> Path:
    part = target.with_name(target.name + ".part")
    try:
        with tarfile.open(archive) as tar:
            content = tar.extractfile(member)
            if content is None:
                raise KeyError(member)
            with part.open("wb") as out:
                while data := content.read(1 << 20):
                    out.write(data)
    except (KeyError, tarfile.TarError, EOFError) as error:
        raise LabError(f"{archive.name} holds no {member}", "cks-lab setup --from source") from error
    return part.replace(target)
