"""Owns how a path inside a container comes to be a file on the node: volumes, mounts, subPaths, links, read-only.

`resolve` answers from the manifest alone; `ContainerView` also looks at the node's files, so that links, single files
and folders that are not there count. Sources: pkg/kubelet (makeMounts, hostPath's type check), containerd's CRI (order
of mounts, folders it makes), runc; golden/static-pods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from checkers.evidence import FileKind
from checkers.kube.pods.host_tree import (
    NO_SUCH_FILE,
    NOT_A_DIRECTORY,
    TOO_MANY_LINKS,
    Entry,
    Found,
    HostTree,
    Scratch,
    clean,
    follow,
)
from checkers.kube.static_pod import Container, Mount, Pod, Volume, environment, expand

_MOST_LINKS: Final = 40
_MOST_IN_ORDER: Final = 7
_TYPE_WORDS: Final = {
    "Directory": (FileKind.DIRECTORY, "a directory"),
    "DirectoryOrCreate": (FileKind.DIRECTORY, "a directory"),
    "File": (FileKind.FILE, "a file"),
    "FileOrCreate": (FileKind.FILE, "a file"),
    "Socket": (FileKind.SOCKET, "a socket file"),
    "CharDevice": (FileKind.CHAR_DEVICE, "a character device"),
    "BlockDevice": (FileKind.BLOCK_DEVICE, "a block device"),
}


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a path inside the container stands for, by the manifest.

    `host_path` is None where it stays inside the container or in an emptyDir; `single_file` says that the mount point
    is the path itself, not a folder around it. `mount` and `volume` are None where no mount covers the path.
    """

    path: str
    host_path: str | None
    mount: Mount | None
    volume: Volume | None
    read_only: bool
    single_file: bool


def resolve(pod: Pod, container: Container, path: str) -> Resolved:
    """Say what a path inside the container stands for: the longest mount path wins, of equals the last listed.

    A relative path starts at the working directory. Links are not followed: see ContainerView.
    """
    full = absolute(container, path)
    best: Mount | None = None
    for mount in container.mounts:
        at = clean(mount.mount_path)
        if covers(at, full) and (best is None or len(at) >= len(clean(best.mount_path))):
            best = mount
    if best is None:
        return Resolved(full, None, None, None, read_only_root(container), False)
    volume = pod.volume(best.name)
    at = clean(best.mount_path)
    rest = full[len(at) :].strip("/") if at != "/" else full.strip("/")
    host_path = None
    if volume is not None and volume.host_path is not None:
        sub_path, _ = sub_path_of(pod, container, best)
        host_path = clean("/".join(part for part in (volume.host_path, sub_path, rest) if part))
    return Resolved(full, host_path, best, volume, best.read_only, not rest)


def absolute(container: Container, path: str) -> str:
    """Return a path of the container's process as an absolute one; its working directory is `/` if none is given."""
    return clean(path if path.startswith("/") else f"{container.working_dir or '/'}/{path}")


def covers(folder: str, path: str) -> bool:
    """Whether a path is the folder or lies in it; both clean."""
    return folder == "/" or path == folder or path.startswith(folder + "/")


def sub_path_of(pod: Pod, container: Container, mount: Mount) -> tuple[str, tuple[str, ...]]:
    """Return a mount's subPath, subPathExpr expanded, and the variables that were missing for it."""
    if mount.sub_path_expr:
        return expand(mount.sub_path_expr, environment(pod, container))
    return mount.sub_path, ()


def read_only_root(container: Container) -> bool:
    return bool(container.raw.get("securityContext", {}).get("readOnlyRootFilesystem"))


def is_luck(container: Container) -> bool:
    """Whether the order of mounts at one place is luck with a runtime of old.

    containerd sorts mounts by their depth. From 1.7 its sort is stable; before, Go's sort.Sort keeps the order of no
    more than twelve, and five of them are the kubelet's and its own.
    """
    return len(container.mounts) > _MOST_IN_ORDER


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a container does not come to run: `created` False where there is none at all, else it exits with 128.

    `path` is the field of the pod to look at.
    """

    message: str
    created: bool
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class MountPoint:
    """One mount as it lies in the container: `at` is its place there, `source` that on the node (None: emptyDir)."""

    at: str
    source: str | None
    kind: FileKind
    mount: Mount
    volume: Volume


@dataclass(frozen=True, slots=True)
class Place:
    """What a path inside the container leads to, links followed.

    `host_path` is None where it is in the container's own files or an emptyDir. `entry` is None where nothing is there
    yet; `error` is the system's words where nothing can be there. `mount` is the mount it lies in.
    """

    path: str
    host_path: str | None
    mount: MountPoint | None
    entry: Entry | None
    error: str | None = None
    read_only: bool = False


class ContainerView:
    """A container's files as its process will see them, its mounts made on a scratch layer over the node's files.

    `trouble` is set where the kubelet or the runtime would not get so far; the view is then of no use. `ties` are the
    places of two mounts (`/x` and `/x/`): the last listed lies on top, unless the runtime's sort is luck (`is_luck`)
    and `last_on_top` says that it was the first.
    """

    def __init__(self, pod: Pod, container: Container, tree: HostTree, *, last_on_top: bool = True) -> None:
        self.pod = pod
        self.container = container
        self.scratch = Scratch(tree)
        self.mounts: dict[str, MountPoint] = {}
        self.ties: list[str] = []
        self._last_on_top = last_on_top
        self.trouble: Trouble | None = self._check_types() or self._make_mounts()

    # What the kubelet does before it asks for a container.

    def _check_types(self) -> Trouble | None:
        """Check, and make, what the hostPath types ask for: of every volume that any container mounts."""
        used = {mount.name for container in self.pod.all_containers() for mount in container.mounts}
        for volume in self.pod.volumes:
            if volume.name in used and volume.host_path is not None and volume.type:
                message = self._check_type(volume.host_path, volume.type)
                if message:
                    return Trouble(message, False, (*volume.path, "hostPath", "type"))
        return None

    def _check_type(self, path: str, wanted: str) -> str | None:
        found = follow(self.scratch, path)
        kind, words = _TYPE_WORDS[wanted]
        there = found.error is None and found.entry is not None
        if not there and wanted == "DirectoryOrCreate":
            error = self.scratch.make_folders(path)
            return f"mkdir {path}: {error}" if error not in (None, "file exists", NO_SUCH_FILE) else None
        if not there and wanted == "FileOrCreate":
            error = self.scratch.make_file(path)
            return f"open {path}: {error}" if error else None
        if not there or found.entry is None or found.entry.kind is not kind:
            return f"hostPath type check failed: {path} is not {words}"
        return None

    def _make_mounts(self) -> Trouble | None:
        prepared = []
        for mount in self.container.mounts:
            volume = self.pod.volume(mount.name)
            if volume is None:
                continue
            source, trouble = self._source(mount, volume)
            if trouble:
                return trouble
            prepared.append((mount, volume, source))
        # The runtime mounts parents before children; the sort is stable.
        prepared.sort(key=lambda item: clean(item[0].mount_path).count("/"))
        points = []
        for mount, volume, source in prepared:
            point, trouble = self._runtime_source(mount, volume, source)
            if trouble:
                return trouble
            points.append(point)
        for point in points:
            trouble = self._attach(point)
            if trouble:
                return trouble
        return None

    def _source(self, mount: Mount, volume: Volume) -> tuple[str | None, Trouble | None]:
        """Return the path on the node that the kubelet hands to the runtime; it makes a missing subPath itself."""
        sub_path, missing = sub_path_of(self.pod, self.container, mount)
        if missing:
            return None, Trouble(f"missing value for {missing[0]}", False, (*mount.path, "subPathExpr"))
        if volume.host_path is None:
            return None, None
        if not sub_path:
            return volume.host_path, None
        base = follow(self.scratch, volume.host_path)
        where = (*mount.path, "subPath")
        index = mount.path[-1]
        if base.error or base.entry is None:
            words = f"failed to create subPath directory for volumeMount {index} of container {self.container.name}"
            return None, Trouble(words, False, where)
        path = clean(f"{volume.host_path}/{sub_path}")
        found = follow(self.scratch, path)
        if found.error == NO_SUCH_FILE or (found.error is None and found.entry is None):
            self.scratch.make_folders(path)
            found = follow(self.scratch, path)
        if found.error or found.entry is None or not covers(base.path, found.path):
            words = f"failed to prepare subPath for volumeMount {index} of container {self.container.name}"
            return None, Trouble(words, False, where)
        return found.path, None

    # What containerd and runc do.

    def _runtime_source(self, mount: Mount, volume: Volume, source: str | None) -> tuple[MountPoint, Trouble | None]:
        at = clean(mount.mount_path)
        if source is None:
            return MountPoint(at, None, FileKind.DIRECTORY, mount, volume), None
        point = MountPoint(at, clean(source), FileKind.DIRECTORY, mount, volume)
        where = (*volume.path, "hostPath", "path")
        if not source.startswith("/"):
            words = f'error mounting "{source}" to rootfs at "{at}": no such file or directory'
            self.scratch.make_folders(source)
            return point, Trouble(words, True, where)
        found = follow(self.scratch, source)
        if found.error == NOT_A_DIRECTORY or found.error == TOO_MANY_LINKS:
            return point, Trouble(f'failed to stat "{source}": stat {source}: {found.error}', False, where)
        if found.error or found.entry is None:
            dangling = self._is_link(source)
            error = "file exists" if dangling else self.scratch.make_folders(source)
            if error:
                return point, Trouble(f'failed to mkdir "{source}": mkdir {source}: {error}', False, where)
            found = follow(self.scratch, source)
        kind = found.entry.kind if found.entry is not None else FileKind.DIRECTORY
        return MountPoint(at, found.path, kind, mount, volume), None

    def _is_link(self, path: str) -> bool:
        folder, _, name = clean(path).rpartition("/")
        parent = follow(self.scratch, folder or "/")
        entry = self.scratch.entry(clean(f"{parent.path}/{name}")) if parent.entry is not None else None
        return entry is not None and entry.kind is FileKind.SYMLINK

    def _attach(self, point: MountPoint) -> Trouble | None:
        """Lay a mount onto the container's files; its mount point is made where it is not there."""
        place = self.locate(point.at)
        words = f'error mounting "{point.source or point.volume.name}" to rootfs at "{point.at}": '
        where = (*point.mount.path, "mountPath")
        if place.path in self.mounts:
            self.ties.append(place.path)
            if not self._last_on_top:
                return None
        is_folder = point.kind is FileKind.DIRECTORY
        if place.entry is not None and (place.entry.kind is FileKind.DIRECTORY) != is_folder:
            hint = "Are you trying to mount a directory onto a file (or vice-versa)?"
            return Trouble(f"{words}not a directory: {hint}", True, where)
        # The container's own root becomes read-only after the mounts; a mount is so at once.
        if place.entry is None and place.read_only and place.mount is not None:
            return Trouble(f"{words}create mountpoint for {point.at}: read-only file system", True, where)
        if place.error not in (None, NO_SUCH_FILE):
            return Trouble(f"{words}create mountpoint for {point.at}: {place.error}", True, where)
        if place.entry is None and place.host_path is not None:
            if is_folder:
                self.scratch.make_folders(place.host_path)
            else:
                self.scratch.make_folders(place.host_path.rpartition("/")[0] or "/")
                self.scratch.make_file(place.host_path)
        self.mounts[place.path] = MountPoint(place.path, point.source, point.kind, point.mount, point.volume)
        return None

    # What the process sees.

    def locate(self, path: str) -> Place:
        """Say what a path inside the container leads to. A relative one starts at the working directory."""
        start = path if path.startswith("/") else f"{self.container.working_dir or '/'}/{path}"
        todo = list(reversed(start.split("/")))
        done: list[str] = []
        links = 0
        place = self._at("/")
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if place.error or place.entry is None or place.entry.kind is not FileKind.DIRECTORY:
                error = place.error or (NO_SUCH_FILE if place.entry is None else NOT_A_DIRECTORY)
                rest = clean("/".join(["", *done, part, *(step for step in reversed(todo) if step)]))
                host_path = None
                if place.host_path is not None:
                    host_path = clean(place.host_path + rest[len(place.path.rstrip("/")) :])
                return Place(rest, host_path, place.mount, None, error, place.read_only)
            if part == "..":
                del done[-1:]
                place = self._at("/" + "/".join(done))
                continue
            here = self._step(place, "/" + "/".join([*done, part]), part)
            if here.entry is not None and here.entry.kind is FileKind.SYMLINK:
                links += 1
                if links > _MOST_LINKS or here.entry.target is None:
                    error = NO_SUCH_FILE if here.entry.target is None else TOO_MANY_LINKS
                    return Place(here.path, here.host_path, here.mount, None, error, here.read_only)
                if here.entry.target.startswith("/"):
                    done = []
                todo.extend(reversed(here.entry.target.split("/")))
                place = self._at("/" + "/".join(done))
                continue
            done.append(part)
            place = here
        return place

    def _at(self, path: str) -> Place:
        """Return the place of a path that is known to be free of links."""
        place = self._root()
        done = ""
        for part in path.split("/"):
            if part:
                done += "/" + part
                place = self._step(place, done, part)
        return place

    def _root(self) -> Place:
        mounted = self.mounts.get("/")
        if mounted is not None:
            return self._mounted(mounted)
        return Place("/", None, None, Entry(FileKind.DIRECTORY), None, read_only_root(self.container))

    def _mounted(self, point: MountPoint) -> Place:
        if point.source is None:
            return Place(point.at, None, point, Entry(point.kind), None, point.mount.read_only)
        found: Found = follow(self.scratch, point.source)
        return Place(point.at, found.path, point, found.entry or Entry(point.kind), None, point.mount.read_only)

    def _step(self, parent: Place, path: str, part: str) -> Place:
        mounted = self.mounts.get(path)
        if mounted is not None:
            return self._mounted(mounted)
        if parent.host_path is not None:
            host_path = clean(f"{parent.host_path}/{part}")
            return Place(path, host_path, parent.mount, self.scratch.entry(host_path), None, parent.read_only)
        # The image's own files: nothing is known of them but the folders that lead to a mount.
        leads_to_mount = any(covers(path, at) for at in self.mounts)
        entry = Entry(FileKind.DIRECTORY) if leads_to_mount or path in _IMAGE_FOLDERS else None
        return Place(path, None, parent.mount, entry, None, parent.read_only)


#: Folders that a runtime puts into every container.
_IMAGE_FOLDERS: Final = frozenset(("/dev", "/etc", "/proc", "/sys"))
