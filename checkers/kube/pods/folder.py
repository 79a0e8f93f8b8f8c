"""Owns the folder of static pods: which of its files the kubelet reads, and which one defines a pod when several do.

A pod is kept by namespace and name. A change of a file is seen at once and its pod taken; every 20 s (and at a start
of the kubelet) the whole folder is read, and the last file in sorted order that defines a pod wins. Source:
pkg/kubelet/config/file.go of 1.34; golden/static-pods (folder-*, save-*).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from checkers.evidence import FileKind, Missing, NodeFiles, NotAFile
from checkers.kube.pods.decode import go_json
from checkers.kube.static_pod import MANIFEST_LIMIT, Container, ManifestError, Pod, api_server, load_pod

MANIFESTS: Final = "/etc/kubernetes/manifests"


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """One name in the folder: a pod, a refusal, or something that the kubelet does not read (`ignored` says why)."""

    name: str
    path: str
    pod: Pod | None = None
    error: ManifestError | None = None
    ignored: str | None = None

    @property
    def api_server(self) -> Container | None:
        """The container that runs kube-apiserver, if the file defines one."""
        return api_server(self.pod) if self.pod is not None else None


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder as the kubelet reads it, in sorted order."""

    path: str
    entries: tuple[FolderEntry, ...]

    def entry(self, name: str) -> FolderEntry | None:
        return next((entry for entry in self.entries if entry.name == name), None)

    @property
    def pods(self) -> tuple[FolderEntry, ...]:
        """Every file that defines a pod, twins included."""
        return tuple(entry for entry in self.entries if entry.pod is not None)

    @property
    def refused(self) -> tuple[FolderEntry, ...]:
        return tuple(entry for entry in self.entries if entry.error is not None)

    def after_relist(self) -> tuple[FolderEntry, ...]:
        """The pods after the next look at the whole folder, and after a kubelet start: the last in order wins."""
        winners: dict[str, FolderEntry] = {}
        for entry in self.entries:
            if entry.pod is not None:
                winners[entry.pod.full_name] = entry
        return tuple(sorted(winners.values(), key=lambda entry: entry.name))

    def after_touching(self, names: Sequence[str]) -> tuple[FolderEntry, ...]:
        """The pods right now, if these files were written in this order since the last look at the whole folder."""
        winners = {entry.pod.full_name: entry for entry in self.after_relist() if entry.pod is not None}
        for name in names:
            entry = self.entry(name)
            if entry is not None and entry.pod is not None:
                winners[entry.pod.full_name] = entry
        return tuple(sorted(winners.values(), key=lambda entry: entry.name))

    def api_servers(self) -> tuple[FolderEntry, ...]:
        """The files that define an API server's pod after the next relist; more than one where names differ."""
        return tuple(entry for entry in self.after_relist() if entry.api_server is not None)

    def twins(self, entry: FolderEntry) -> tuple[FolderEntry, ...]:
        """The other files that define the same pod (`kube-apiserver.yaml.bak`)."""
        if entry.pod is None:
            return ()
        return tuple(
            other
            for other in self.pods
            if other is not entry and other.pod is not None and other.pod.full_name == entry.pod.full_name
        )


def same_pod(one: Pod, other: Pod) -> bool:
    """Whether two files say the same, so that it does not matter which one wins."""
    return go_json(one.raw) == go_json(other.raw)


def read_folder(files: NodeFiles, path: str = MANIFESTS) -> dict[str, bytes | None]:
    """Return the bytes of every file in the folder, None for what is no readable file. Raises Missing, Unreadable."""
    contents: dict[str, bytes | None] = {}
    for name in files.list(path):
        try:
            contents[name] = files.read(f"{path}/{name}", MANIFEST_LIMIT)
        except (Missing, NotAFile):
            contents[name] = None
    return contents


def folder_pods(
    files: Mapping[str, bytes | None], node: str, *, path: str = MANIFESTS, kinds: Mapping[str, FileKind] | None = None
) -> Folder:
    """Read a folder's files, by name, as the kubelet of that node does.

    None stands for what is no regular file (`kinds` may say what it is). Names with a dot in front and files in folders
    below are not read.
    """
    entries = []
    for name in sorted(files, key=lambda name: name.encode("utf-8", "surrogateescape")):
        data = files[name]
        full = f"{path}/{name}"
        if name.startswith("."):
            entries.append(FolderEntry(name, full, ignored="its name begins with a dot"))
        elif "/" in name:
            entries.append(FolderEntry(name, full, ignored="it lies in a folder below"))
        elif data is None:
            kind = (kinds or {}).get(name)
            ignored = f"it is a {kind}" if kind else "it is no regular file"
            entries.append(FolderEntry(name, full, ignored=ignored))
        else:
            entries.append(_read(name, full, data, node))
    return Folder(path, tuple(entries))


def _read(name: str, path: str, data: bytes, node: str) -> FolderEntry:
    try:
        return FolderEntry(name, path, pod=load_pod(data, path, node))
    except ManifestError as error:
        return FolderEntry(name, path, error=error)
