"""Owns the system calls of the sandbox: namespaces, mounts, the single-id map and the loopback, by ctypes.

Only the standard library is imported here: the first stage of a node runs before anything else can be found.
Each function raises OSError whose text names the call and its subject.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SLAVE = 0x80000
MS_PRIVATE = 0x40000
_MNT_DETACH = 2

_PR_SET_NAME = 15
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 0x1
_SYS_MOUNT_SETATTR = 442  # the same on every architecture since 5.12

# <linux/sockios.h>; the numbers are the same on every architecture that CPython is built for.
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_SIOCSIFADDR = 0x8916
_SIOCSIFNETMASK = 0x891C
_IFF_UP = 0x1

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_libc.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
_libc.unshare.argtypes = [ctypes.c_int]
_libc.setns.argtypes = [ctypes.c_int, ctypes.c_int]
_libc.syscall.restype = ctypes.c_long


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leave the namespaces named by CLONE_NEW… flags for new ones."""
    _checked(_libc.unshare(flags), "unshare " + " ".join(_names(flags)))


def _names(flags: int) -> Iterator[str]:
    for name in ("USER", "NS", "PID", "NET", "UTS", "IPC"):
        if flags & globals()[f"CLONE_NEW{name}"]:
            yield {"NS": "mount"}.get(name, name.lower())


def map_single_id(uid: int, gid: int) -> None:
    """Make the caller, who is `uid`:`gid` outside, root of its new user namespace. No other id exists in it."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def mount(source: str, target: str | Path, kind: str | None = None, flags: int = 0, options: str = "") -> None:
    """Do mount(2)."""
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode() if kind else None, flags, options.encode() or None
    )
    _checked(result, f"mount {kind or source} on {target}")


def bind(source: str | Path, target: str | Path, *, read_only: bool = False) -> None:
    """Show a directory or file, with all that is mounted below it, at a second place."""
    mount(os.fspath(source), target, flags=MS_BIND | MS_REC)
    if read_only:
        make_read_only(target)


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def make_read_only(target: str | Path) -> None:
    """Refuse writes through a mount, and through those below it where the kernel (5.12) can say so in one call."""
    attributes = _MountAttr(_MOUNT_ATTR_RDONLY, 0, 0, 0)
    result = _libc.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_uint(_AT_RECURSIVE),
        ctypes.byref(attributes),
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    if result == 0:
        return
    # Flags of a mount that came from another user namespace are locked: a remount has to repeat them.
    kept = os.statvfs(target).f_flag & (MS_NOSUID | MS_NODEV | MS_NOEXEC | os.ST_NOATIME | os.ST_RELATIME)
    kept = (kept & ~os.ST_RELATIME) | (0x200000 if kept & os.ST_RELATIME else 0)
    mount("none", target, flags=MS_BIND | MS_REMOUNT | MS_RDONLY | kept)


def pivot_into(root: str | Path) -> None:
    """Make a mounted directory the root of this mount namespace, and let go of the old one."""
    os.chdir(root)
    old, new = ctypes.c_char_p(b"."), ctypes.c_char_p(b".")
    _checked(_libc.pivot_root(new, old), f"pivot_root {root}")
    _checked(_libc.umount2(b".", _MNT_DETACH), "umount of the old root")
    os.chdir("/")


def bring_up_loopback(*addresses: str) -> None:
    """Bring `lo` up with 127.0.0.1, and with further IPv4 addresses as /32."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(door, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(door, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))
        for number, address in enumerate(addresses, 1):
            label = f"lo:{number}".encode()
            for call, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, "255.255.255.255")):
                fcntl.ioctl(door, call, struct.pack("16sHH4s8x", label, socket.AF_INET, 0, socket.inet_aton(value)))


def name_thread(name: str) -> None:
    """Set what `ps -o comm` and `pkill` see; the kernel keeps 15 bytes."""
    _libc.prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()[:15]), 0, 0, 0)


def close_all_but(*kept: int) -> None:
    """Close every file descriptor above 2 that is not named."""
    low = 3
    for fd in sorted(set(kept)):
        if fd >= low:
            os.closerange(low, fd)
            low = fd + 1
    with contextlib.suppress(ValueError, OSError):
        os.closerange(low, max(int(name) for name in os.listdir("/proc/self/fd")) + 1)
