"""Owns what happens on the node's file system before a container is made: checks, folders and files of volumes.

Types are checked by the kubelet, and a container waits until they hold; a hostPath without a type is never checked, and
the container runtime makes a directory where nothing is. Source: kubelet 1.34, pkg/volume/hostpath; containerd 1.6.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

from checkers.kube.static_pod import expand

from ..runtime import ContainerError, Mount
from .log import quoted
from .pod_spec import Container, StaticPod, Volume, VolumeMount

PODS = "/var/lib/kubelet/pods"
_CHECKED = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


class VolumeError(Exception):
    """A volume cannot be set up now; the text is the kubelet's. It is tried again."""


class ConfigError(Exception):
    """A container's configuration cannot be made (CreateContainerConfigError); the text is the kubelet's."""


def on_node(root: Path, path: str) -> Path:
    """Return where the node's `path` is on this file system; a relative one counts from /."""
    return root / path.lstrip("/")


def set_up(root: Path, pod: StaticPod, volume: Volume) -> None:
    """Check a volume and make what its type asks for. Raises VolumeError."""
    if volume.kind == "hostPath":
        _set_up_host_path(root, volume)
    elif volume.kind == "emptyDir":
        _make_folder(on_node(root, empty_dir(pod, volume)), 0o777)


def _set_up_host_path(root: Path, volume: Volume) -> None:
    path = on_node(root, volume.path)
    if volume.type == "DirectoryOrCreate":
        if not _exists(path):
            _make_folder(path, 0o755)
        wanted = "Directory"
    elif volume.type == "FileOrCreate":
        if not _exists(path):
            _make_file(path, volume.path)
        wanted = "File"
    else:
        wanted = volume.type
    if wanted not in _CHECKED:
        return
    is_right, words = _CHECKED[wanted]
    try:
        right = is_right(path.stat().st_mode)
    except OSError:
        right = False
    if not right:
        raise VolumeError(f"hostPath type check failed: {volume.path} is not {words}")


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return False
    return True


def _make_folder(path: Path, mode: int) -> None:
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
        path.chmod(mode)
    except OSError as error:
        raise VolumeError(f"mkdir {path}: {(error.strerror or '').lower()}") from None


def _make_file(path: Path, shown: str) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        path.chmod(0o644)
    except OSError as error:
        raise VolumeError(f"open {shown}: {(error.strerror or '').lower()}") from None


def empty_dir(pod: StaticPod, volume: Volume) -> str:
    """Return the folder on the node of a volume that lives as long as the pod."""
    return f"{PODS}/{pod.uid}/volumes/kubernetes.io~empty-dir/{volume.name}"


def forget(root: Path, uid: str) -> None:
    """Remove what volumes of a pod that is gone left behind."""
    shutil.rmtree(on_node(root, f"{PODS}/{uid}"), ignore_errors=True)


def mounts(root: Path, pod: StaticPod, container: Container, values: Mapping[str, str]) -> tuple[Mount, ...]:
    """Return the container's mounts. Raises ConfigError. `values` are the variables that subPathExpr may name."""
    found = []
    for mount in container.mounts:
        volume = pod.volumes[mount.name]
        if mount.recursive_read_only == "Enabled":
            words = f"volume {quoted(mount.name)} requested recursive read-only mode"
            words += ", but it is not supported by the runtime"
            raise ConfigError(f"failed to resolve recursive read-only mode: {words}")
        host = volume.path if volume.kind == "hostPath" else empty_dir(pod, volume)
        part = _sub_path(mount, values)
        if part:
            host = f"{host.rstrip('/')}/{part}"
            _make_sub_path(root, host, part)
        inside = mount.path if mount.path.startswith("/") else f"/{mount.path}"
        found.append(Mount(host, os.path.normpath(inside), mount.read_only))
    return tuple(found)


def _sub_path(mount: VolumeMount, values: Mapping[str, str]) -> str:
    if not mount.sub_path_expr:
        return mount.sub_path.strip("/")
    part, unknown = expand(mount.sub_path_expr, values)
    if unknown:
        raise ConfigError(f"missing value for {unknown[0]}")
    return part.strip("/")


def _make_sub_path(root: Path, host: str, part: str) -> None:
    path = on_node(root, host)
    if _exists(path):
        return
    try:
        path.mkdir(mode=0o750, parents=True)
    except OSError as error:
        words = f"failed to create subPath directory for volumeMount {quoted(part)} of container"
        raise ConfigError(f"{words}: mkdir {host}: {(error.strerror or '').lower()}") from None


def make_sources(root: Path, wanted: tuple[Mount, ...], container_id: str) -> None:
    """Make a directory for each source that does not exist, as containerd does. Raises ContainerError."""
    for mount in wanted:
        path = on_node(root, mount.host)
        if not mount.host.startswith("/") or _exists(path):
            continue
        try:
            path.mkdir(mode=0o755, parents=True)
        except OSError as error:
            made = f"failed to mkdir {quoted(mount.host)}: mkdir {mount.host}: {(error.strerror or '').lower()}"
            text = f"failed to generate container {quoted(container_id)} spec: failed to generate spec: {made}"
            raise ContainerError(text) from None
