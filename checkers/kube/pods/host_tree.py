"""Owns the look at a node's files that mounts are worked out from: entries, links not followed, and a scratch layer.

The kubelet, the runtime and the API server make folders and files on the way to a start; on a `Scratch` they can be
made without touching the node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from checkers.evidence import FileKind, Missing, NodeFiles, NotAFile

_MOST_LINKS: Final = 40

NO_SUCH_FILE: Final = "no such file or directory"
NOT_A_DIRECTORY: Final = "not a directory"
TOO_MANY_LINKS: Final = "too many levels of symbolic links"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is at a path, the path's own link not followed. `target` is a link's text, None where it is not known."""

    kind: FileKind
    target: str | None = None
    mode: int = 0o755
    uid: int = 0


class HostTree(Protocol):
    """The files of a node, by absolute paths whose parents hold no links."""

    def entry(self, path: str) -> Entry | None:
        """Return what is there, None where nothing is."""
        ...

    def read(self, path: str) -> bytes:
        """Return a file's bytes. Raises Missing, NotAFile or Unreadable."""
        ...

    def is_known(self, path: str) -> bool:
        """Whether this tree can say what a folder holds: a captured node has only the folders that matter."""
        ...


class NodeTree:
    """A HostTree over captured or live files."""

    def __init__(self, files: NodeFiles) -> None:
        self._files = files
        self._seen: dict[str, Entry | None] = {}

    def entry(self, path: str) -> Entry | None:
        if path not in self._seen:
            self._seen[path] = self._look(path)
        return self._seen[path]

    def _look(self, path: str) -> Entry | None:
        try:
            found = self._files.stat(path)
        except Missing:
            folder, _, name = path.rpartition("/")
            try:
                dangling = name in self._files.list(folder or "/")
            except (Missing, NotAFile):
                return None
            return Entry(FileKind.SYMLINK) if dangling else None
        if found.link is not None:
            return Entry(FileKind.SYMLINK, found.link, found.mode, found.uid)
        return Entry(found.kind, None, found.mode, found.uid)

    def read(self, path: str) -> bytes:
        return self._files.read(path)

    def is_known(self, path: str) -> bool:
        try:
            return bool(self._files.list(path))
        except (Missing, NotAFile):
            return False


class Scratch:
    """A HostTree with things made on top of it."""

    def __init__(self, base: HostTree) -> None:
        self._base = base
        self.made: dict[str, Entry] = {}

    def entry(self, path: str) -> Entry | None:
        return self.made.get(path) or self._base.entry(path)

    def read(self, path: str) -> bytes:
        if path in self.made:
            return b""
        return self._base.read(path)

    def is_known(self, path: str) -> bool:
        return path in self.made or self._base.is_known(path)

    def make_folders(self, path: str) -> str | None:
        """Make a folder and its parents as `mkdir -p` does; returns the error (`file exists`), None where it worked."""
        done = ""
        for part in clean(path).split("/")[1:]:
            if not part:
                continue
            found = follow(self, f"{done}/{part}")
            if found.error is not None or (found.entry is None and found.path != f"{done}/{part}"):
                return found.error or "file exists"
            if found.entry is None:
                self.made[found.path] = Entry(FileKind.DIRECTORY)
            elif found.entry.kind is not FileKind.DIRECTORY:
                return NOT_A_DIRECTORY
            done = found.path.rstrip("/")
        return None

    def make_file(self, path: str) -> str | None:
        """Make an empty file where none is; returns the error, None where it worked."""
        found = follow(self, path)
        if found.error is not None:
            return found.error
        if found.entry is None:
            self.made[found.path] = Entry(FileKind.FILE, mode=0o644)
        return None


@dataclass(frozen=True, slots=True)
class Found:
    """Where a path leads: `path` is free of links; `entry` None says that it could be made there.

    `error` is the system's words where it leads nowhere: a missing or wrong parent, a loop.
    """

    path: str
    entry: Entry | None
    error: str | None = None


def clean(path: str) -> str:
    """Return the path as filepath.Clean("/" + path): absolute, without `.`, `..`, double or trailing slashes."""
    done: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del done[-1:]
        elif part not in ("", "."):
            done.append(part)
    return "/" + "/".join(done)


def follow(tree: HostTree, path: str) -> Found:
    """Follow the links of a path on the node."""
    todo = list(reversed(path.split("/")))
    done: list[str] = []
    links = 0
    entry: Entry | None = Entry(FileKind.DIRECTORY)
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if entry is None:
            return Found(_join(done, part, todo), None, NO_SUCH_FILE)
        if entry.kind is not FileKind.DIRECTORY:
            return Found(_join(done, part, todo), None, NOT_A_DIRECTORY)
        if part == "..":
            del done[-1:]
            continue
        here = "/" + "/".join([*done, part])
        entry = tree.entry(here)
        if entry is not None and entry.kind is FileKind.SYMLINK:
            links += 1
            if links > _MOST_LINKS:
                return Found(here, None, TOO_MANY_LINKS)
            if entry.target is None:
                return Found(here, None, NO_SUCH_FILE)
            if entry.target.startswith("/"):
                done = []
            todo.extend(reversed(entry.target.split("/")))
            entry = Entry(FileKind.DIRECTORY)
            continue
        done.append(part)
    return Found("/" + "/".join(done), entry)


def _join(done: list[str], part: str, todo: list[str]) -> str:
    rest = [step for step in reversed(todo) if step]
    return clean("/".join(["", *done, part, *rest]))
