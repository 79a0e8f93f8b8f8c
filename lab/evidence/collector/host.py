"""The seam of the collector: a node, as it is asked; and the two words it has for what it cannot see."""

import stat as stat_module
from typing import List, Mapping, NamedTuple, Optional, Sequence, Tuple

FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin"
"""Where crictl and its kind are, whatever PATH a shell without a login has."""
_KINDS = {
    stat_module.S_IFREG: "file",
    stat_module.S_IFDIR: "directory",
    stat_module.S_IFLNK: "symlink",
    stat_module.S_IFSOCK: "socket",
    stat_module.S_IFCHR: "character device",
    stat_module.S_IFBLK: "block device",
    stat_module.S_IFIFO: "fifo",
}


class Missing(Exception):
    """There is nothing at that path, or nothing of the kind that was asked for."""


class Unreadable(Exception):
    """Something is there and we may not look at it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")


class NoAnswer(Exception):
    """A command or the API server did not answer."""


class NoAccess(Exception):
    """Nobody can ask the API server from here, whether it answers or not."""


class Stat(NamedTuple):
    """What stat(2) says, links followed; `link` is the text of the path's own link; `mtime` in seconds."""

    kind: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link: Optional[str] = None

    @classmethod
    def of(cls, mode: int, uid: int, gid: int, size: int, mtime: int, link: Optional[str]) -> "Stat":
        """Return it from the numbers of stat(2)."""
        kind = _KINDS[stat_module.S_IFMT(mode)]
        return cls(kind, stat_module.S_IMODE(mode), uid, gid, size, mtime, link)


class Answer(NamedTuple):
    """How a command ended, and its output."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Host:
    """A node, as the collector asks it. Paths are absolute; links are followed as on the node."""

    def stat(self, path: str) -> Stat:
        """Say what is at the path. Raises Missing (also for a dangling link) or Unreadable."""
        raise NotImplementedError

    def names(self, path: str) -> List[str]:
        """Return the names in a directory, sorted by code point. Raises Missing or Unreadable."""
        raise NotImplementedError

    def read(self, path: str, limit: int) -> bytes:
        """Return a file's first bytes. Raises Missing or Unreadable."""
        raise NotImplementedError

    def tail(self, path: str, count: int) -> bytes:
        """Return a file's last bytes. Raises Missing, Unreadable or NoAnswer."""
        raise NotImplementedError

    def run(self, argv: Sequence[str], timeout: float) -> Answer:
        """Run a command as root. Raises NoAnswer."""
        raise NotImplementedError

    def request(
        self, method: str, path: str, body: Optional[bytes], headers: Mapping[str, str], timeout: float
    ) -> Tuple[int, bytes]:
        """Ask the API server as its administrator; return status and body. Raises NoAnswer or NoAccess."""
        raise NotImplementedError
