"""Owns what a container sees: an image's near-empty root, its /dev and /proc, and exactly the mounts it was given.

It runs in the container's own process, in a mount namespace of its own; a missing mount really is a missing file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from .namespaces import (
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    bind,
    make_read_only,
    mount,
    pivot_into,
)
from .programs import start_error
from .rootfs import OPT, RUN, basic_devices, show_system
from .runtime import Mount

_BUNDLE = "/run/containerd/io.containerd.runtime.v2.task/k8s.io"
_MAX_LINKS = 40


def enter(container_id: str, mounts: Sequence[Mount], hidden: Sequence[Mount], *, read_only: bool, pod: str) -> None:
    """Build the container's root and make it the root of this process.

    `hidden` are mounts of ours that the pod knows nothing of. `pod` is the host name where the container has a
    network of its own, else "". Raises ContainerError in runc's words, or OSError.
    """
    at = Path("/", RUN, "rootfs")
    mount("none", "/", flags=MS_PRIVATE | MS_REC)
    mount("tmpfs", at, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=512m")
    show_system(at, Path("/"), whole=False)
    for tree in ("nix", "gnu", "home/linuxbrew"):
        if Path("/", tree).is_dir():
            (at / tree).mkdir(parents=True)
            bind(Path("/", tree), at / tree, read_only=True)
    ours = at / OPT.lstrip("/")
    ours.mkdir(parents=True)
    bind(OPT, ours, read_only=True)
    (at / "proc").mkdir(mode=0o555)
    mount("proc", at / "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    basic_devices(at / "dev", Path("/dev"))
    _system_files(at / "etc", pod)
    # Parents before children, whatever the order in the pod: as containerd sorts them.
    for one in sorted(mounts, key=lambda m: len(_parts(m.container))):
        _show(container_id, at, one)
    for one in hidden:
        _show(container_id, at, one)
    pivot_into(at)
    if read_only:
        mount("none", "/", flags=MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)


def _system_files(etc: Path, pod: str) -> None:
    etc.mkdir()
    (etc / "passwd").write_text("root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n")
    (etc / "group").write_text("root:x:0:\nnobody:x:65534:\n")
    (etc / "nsswitch.conf").write_text("hosts: files dns\n")
    for name in ("hosts", "hostname", "resolv.conf"):
        try:
            text = Path("/etc", name).read_text(errors="replace")
        except OSError:
            text = ""  # removed by the learner: the container starts with an empty one, as under a real kubelet
        (etc / name).write_text(text)
    if pod:
        (etc / "hostname").write_text(f"{pod}\n")
        (etc / "hosts").write_text(f"127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.0.1\t{pod}\n")


def _parts(path: str) -> list[str]:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return parts


def _show(container_id: str, at: Path, asked: Mount) -> None:
    inside = "/" + "/".join(_parts(asked.container))
    # A relative source is looked for in the container's own folder of the runtime, where it cannot be.
    source = asked.host if asked.host.startswith("/") else f"{_BUNDLE}/{container_id}/{asked.host}"
    failed = f'error during container init: error mounting "{source}" to rootfs at "{asked.container}"'
    try:
        is_folder = stat.S_ISDIR(os.stat(source).st_mode)
    except OSError as error:
        raise start_error(f"{failed}: stat {source}: {_lower(error)}") from error
    target = _inside(at, inside)
    try:
        if is_folder:
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                target.touch()
    except FileExistsError:
        pass
    except OSError as error:
        raise start_error(f"{failed}: create mountpoint for {inside} mount: {_lower(error)}") from error
    try:
        bind(source, target)
        if asked.read_only:
            make_read_only(target)
    except OSError as error:
        words = os.strerror(error.errno or 0).lower()
        raise start_error(f"{failed}: mount {source}:{inside} (via /proc/self/fd/6), flags: 0x5000: {words}") from error


def _lower(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()


def _inside(root: Path, path: str) -> Path:
    """Return where a path leads inside a root that is not entered yet; links never lead out of it."""
    todo, done, links = list(reversed(_parts(path))), root, 0
    while todo:
        part = todo.pop()
        if part == "..":
            done = done if done == root else done.parent
            continue
        step = done / part
        if not step.is_symlink() or links > _MAX_LINKS:
            done = step
            continue
        links += 1
        text = os.readlink(step)
        done = root if text.startswith("/") else done
        todo.extend(reversed([p for p in text.split("/") if p not in ("", ".")]))
    return done
