"""Owns `cks-lab setup`: it gets the real kube-apiserver and etcd and puts them where the sandbox finds them.

From the official releases where they can be reached, else built from their Go modules. Whatever is cut off goes on from
where it was; what is there is there whole.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..drivers.sandbox import binaries
from ..drivers.sandbox.binaries import APISERVER, ETCD, ControlPlane
from ..drivers.sandbox.manifests import KUBERNETES
from ..errors import LabError
from .fetch import Unreachable
from .news import News
from .release import Urls, by_release
from .source import by_source

ETCD_VERSION = "v3.6.5"
"""What kubeadm 1.34 asks for; kube-apiservers before and after it work with it."""
WAYS = ("auto", "release", "source")

_VERSION = re.compile(r"v?(\d+\.\d+)(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be got, and where to. `kubernetes`, `etcd`: "v1.34.4"; `way`: one of WAYS."""

    cache: Path
    kubernetes: str = KUBERNETES
    etcd: str = ETCD_VERSION
    way: str = "auto"
    urls: Urls = Urls()  # noqa: RUF009 - frozen


def version(text: str) -> str:
    """Return the whole version that a person means: "1.34" is the one that the project speaks of. Raises LabError."""
    found = _VERSION.fullmatch(text)
    if found and found[2]:
        return f"v{found[1]}{found[2]}"
    if found and KUBERNETES.startswith(f"v{found[1]}."):
        return KUBERNETES
    raise LabError(f"{text!r} is no version that can be got", f"name all of it, as in {KUBERNETES}")


def set_up(wanted: Wanted, news: News) -> ControlPlane:
    """Get what is not there yet, and return it. Raises LabError; what was done by then is kept."""
    with _alone(wanted.cache):
        found = _there(wanted)
        if found is not None:
            news.say(f"kube-apiserver {found.version} and its etcd are there already.")
            return found
        place = binaries.folder(wanted.cache) / wanted.kubernetes
        work = binaries.folder(wanted.cache) / f".{wanted.kubernetes}"
        _make(work)
        with _disk_told(work):
            made = _get(wanted, work, news)
            for program, needs in ((made[0], wanted.kubernetes), (made[1], wanted.etcd)):
                _prove(program, needs)
            _make(place)
            for source, name in zip(made, (APISERVER, ETCD), strict=True):
                source.replace(place / name)
            shutil.rmtree(work, ignore_errors=True)
    return ControlPlane(wanted.kubernetes, place / APISERVER, place / ETCD)


def remove(cache: Path) -> tuple[list[str], int]:
    """Remove all that was got, whole or half. Returns the versions that were there, and the bytes that are free again.

    Raises LabError.
    """
    folder = binaries.folder(cache)
    if not folder.is_dir():
        return [], 0
    with _alone(cache):
        versions = [one.version for one in binaries.installed(cache)]
        size = sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
        _remove(folder)
    return versions, size


def _get(wanted: Wanted, work: Path, news: News) -> tuple[Path, Path]:
    """Return the two programs, in the folder of the work. Raises LabError."""
    if wanted.way != "source":
        try:
            return by_release(wanted.kubernetes, wanted.etcd, wanted.urls, work, news)
        except Unreachable as error:
            if wanted.way == "release":
                raise
            news.say(f"{error.message}: they are built from source instead.")
    return by_source(wanted.kubernetes, wanted.etcd, work, news)


def _there(wanted: Wanted) -> ControlPlane | None:
    """Return the version that is there, if both of its programs run."""
    for one in binaries.installed(wanted.cache):
        if one.version != wanted.kubernetes:
            continue
        try:
            _prove(one.apiserver, one.version)
            binaries.version_of(one.etcd)
        except LabError:
            continue
        return one
    return None


def _prove(program: Path, needs: str) -> None:
    program.chmod(0o755)
    says = binaries.version_of(program)
    if says != needs:
        raise LabError(f"{program} is {says} and not {needs}", "cks-lab setup --remove, and again")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(
            f"cannot make the folder {folder}: {error.strerror}", "set CKS_LAB_HOME to another one"
        ) from error


def _remove(folder: Path) -> None:
    def unlock(function: object, path: str, error: BaseException) -> None:
        # Go keeps its modules read-only.
        os.chmod(os.path.dirname(path), 0o700)
        if os.path.isdir(path) and not os.path.islink(path):
            os.chmod(path, 0o700)
            shutil.rmtree(path)
        else:
            os.unlink(path)

    try:
        shutil.rmtree(folder, onerror=lambda function, path, info: unlock(function, path, info[1]))
    except OSError as error:
        raise LabError(f"cannot remove {folder}: {error.strerror}", f"rm -rf {folder}") from error


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Be the only setup at work. Raises LabError where another one is."""
    _make(cache)
    path = cache / ".setup.lock"
    try:
        door = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise LabError(f"cannot write {path}: {error.strerror}", "set CKS_LAB_HOME to another folder") from error
    try:
        try:
            fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError("another cks-lab setup is at work", "wait for its end") from None
        yield
    finally:
        os.close(door)


@contextmanager
def _disk_told(work: Path) -> Iterator[None]:
    """Say where a write failed. Raises LabError."""
    try:
        yield
    except OSError as error:
        raise LabError(
            f"cannot write into {work}: {error.strerror}", f"make room: df -h {work}; then cks-lab setup goes on"
        ) from error
