"""Owns what the node's root looks like: a tmpfs, the host's /usr read-only, the lab's own directories, /dev and /proc.

Only bind mounts and tmpfs are used: they are what every kernel allows in a user namespace.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .namespaces import MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_REC, MS_SLAVE, bind, mount, pivot_into

OPT = "/opt/cks-lab"
"""Where the node shows our Python, our packages and the lab's tools."""

RUN = "run/cks-lab"
"""Where init keeps what is its own on the node: its socket, and an empty folder to build containers' roots on."""

HOST_ETC = ("alternatives", "ssl/certs")
"""Folders of the host's /etc that the node shows read-only: what /usr's links lead through, and who is trusted."""

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_HOST_WIDE = ("sys", "sysrq-trigger", "irq", "bus", "fs")
"""Parts of /proc that belong to the whole machine: where root of the machine runs the lab, the kernel would obey."""
_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "libexec")


def build(
    at: Path,
    own: Path,
    own_names: Sequence[str],
    trees: Sequence[str],
    binds: Sequence[tuple[str, str]],
    wrapper: tuple[str, str],
) -> None:
    """Build the root on the directory `at` and make it the root of this mount namespace.

    `own`: the lab's directory that holds `own_names`; `trees`: further trees of the host shown at their own place;
    `binds`: (host, node) pairs shown read-only; `wrapper`: path and text of the program that runs our Python.
    The caller is root of its user namespace and process 1 of its pid namespace. Raises OSError.
    """
    mount("none", "/", flags=MS_SLAVE | MS_REC)
    mount("tmpfs", at, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=512m")
    show_system(at, Path("/"))
    for tree in trees:
        _folder(at / tree.lstrip("/"))
        bind(tree, at / tree.lstrip("/"), read_only=True)
    for name in own_names:
        (at / name).mkdir()
        bind(own / name, at / name)
    for name in HOST_ETC:
        if Path("/etc", name).is_dir() and (at / "etc" / name).is_dir():
            bind(Path("/etc", name), at / "etc" / name, read_only=True)
    for name, mode in (("tmp", 0o1777), ("run", 0o755), ("mnt", 0o755), ("media", 0o755), ("proc", 0o555)):
        (at / name).mkdir()
        (at / name).chmod(mode)
    for name in ("lock", "cks-lab/rootfs"):
        _folder(at / "run" / name)
    mount("proc", at / "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for name in _HOST_WIDE:
        if (at / "proc" / name).exists():
            bind(at / "proc" / name, at / "proc" / name, read_only=True)
    _devices(at / "dev")

    _folder(at / "opt/cks-lab")
    mount("tmpfs", at / "opt/cks-lab", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m")
    for source, target in binds:
        place = at / target.lstrip("/")
        if Path(source).is_dir():
            _folder(place)
        elif not place.exists():
            _folder(place.parent)
            place.touch()
        bind(source, place, read_only=True)
    # The solutions of the tasks travel inside the package: they are not for the node.
    for answers in (at / "opt/cks-lab/src").glob("*/_scenarios"):
        mount("tmpfs", answers, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=4k")
    program = at / wrapper[0].lstrip("/")
    program.write_text(wrapper[1])
    program.chmod(0o755)
    pivot_into(at)


def show_system(at: Path, host: Path, *, whole: bool = True) -> None:
    """Show /usr read-only, with /bin, /lib and the like as they are on the host: links, or directories.

    Without `whole` only the libraries are shown, and /usr is a directory that can be written to, as in an image.
    """
    usr = host / "usr"
    if whole:
        (at / "usr").mkdir()
        bind(usr, at / "usr", read_only=True)
    else:
        for folder in (usr, usr / "local"):
            for child in folder.glob("lib*"):
                inside = at / "usr" / child.relative_to(usr)
                if child.is_dir() and not child.is_symlink():
                    _folder(inside)
                    bind(child, inside, read_only=True)
                elif child.is_symlink():
                    _folder(inside.parent)
                    inside.symlink_to(child.readlink())
    for name in _SYSTEM:
        source = host / name
        if not whole and "lib" not in name:
            continue
        if source.is_symlink():
            (at / name).symlink_to(source.readlink())
        elif source.is_dir():
            (at / name).mkdir()
            bind(source, at / name, read_only=True)


def _devices(dev: Path) -> None:
    basic_devices(dev, Path("/dev"))
    (dev / "pts").mkdir()
    # The terminal of a shell is the host's: without its devpts here, `tty` and tmux would find none.
    bind("/dev/pts", dev / "pts")
    if os.access("/dev/pts/ptmx", os.R_OK | os.W_OK):
        (dev / "ptmx").symlink_to("pts/ptmx")
    else:
        # Most hosts keep their own ptmx at mode 000: new terminals then come from a devpts of ours.
        (dev / "ptys").mkdir()
        mount("devpts", dev / "ptys", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
        (dev / "ptmx").symlink_to("ptys/ptmx")


def basic_devices(dev: Path, host: Path) -> None:
    """Make a /dev with the harmless devices, /dev/shm and the usual links."""
    dev.mkdir()
    mount("tmpfs", dev, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=1m")
    for name in _DEVICES:
        (dev / name).touch()
        bind(host / name, dev / name)
    (dev / "shm").mkdir()
    mount("tmpfs", dev / "shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64m")
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        (dev / name).symlink_to(f"/proc/self/fd{target}")


def _folder(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
