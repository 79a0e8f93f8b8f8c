"""Owns what several checks see in the same evidence: the policy, the manifests folder, the flags, the container's view.

Each part is worked out once, when first asked for, and kept in the evidence's memo.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from checkers.evidence import Evidence, FileKind, Missing, NotAFile, Unreadable
from checkers.kube.audit_policy import Policy, PolicyError, load_policy
from checkers.kube.goyaml.nodes import TooBig
from checkers.kube.pods.container_view import ContainerView, Place, Resolved, Trouble, is_luck, resolve
from checkers.kube.pods.folder import Folder, FolderEntry, folder_pods, read_folder
from checkers.kube.pods.host_tree import NodeTree, clean, follow
from checkers.kube.server.flags import FlagError, Flags, parse_flags
from checkers.kube.static_pod import Container, Pod, api_server, argv, program
from checkers.wants import Wants

DEFAULT_VERSION = (1, 34)
_POLICY_LIMIT = 10 << 20
_VERSION = re.compile(r"v?1\.(\d+)\.")
_MOST_FLAG_ERRORS = 20


def picture(evidence: Evidence, wants: Wants) -> NodePicture:
    """Return what this evidence shows, the same object for every check."""
    found = evidence.memo.get(NodePicture)
    if not isinstance(found, NodePicture):
        found = NodePicture(evidence, wants)
        evidence.memo[NodePicture] = found
    return found


@dataclass(frozen=True, slots=True)
class Manifest:
    """The file that defines the API server's pod, and what of it the checks ask about.

    `pod` is there even where the kubelet refuses the file for what it says; `refusal` then has the kubelet's words.
    """

    entry: FolderEntry
    pod: Pod
    container: Container
    words: tuple[str, ...]
    refusal: str | None

    @property
    def path(self) -> str:
        return self.entry.path

    def word_line(self, index: int) -> int | None:
        """Return the line of a word of the command line."""
        return self.pod.line(self.container.word_path(index))


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The API server's flags. `refusals`: what it would refuse them for; the rest was read without those words."""

    flags: Flags
    offset: int
    refusals: tuple[FlagError, ...]
    indexes: tuple[int, ...]

    def word(self, name: str) -> int | None:
        """Return the word of the whole command line that holds the flag's effective value."""
        at = self.flags.position(name)
        return None if at is None else self.offset + self.indexes[at]


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """The policy where the task says it is: loaded, or the API server's words against it with their line.

    `data` is what is in the file, for what is asked of a policy that loads.
    """

    policy: Policy | None
    problem: str | None = None
    line: int | None = None
    is_directory: bool = False
    data: bytes = b""


class NodePicture:
    """What one piece of evidence shows."""

    def __init__(self, evidence: Evidence, wants: Wants) -> None:
        self.evidence = evidence
        self.wants = wants
        self.tree = NodeTree(evidence.files)

    @property
    def facts(self) -> Mapping[str, Any]:
        return self.evidence.facts

    def unknown(self, fact: str) -> str:
        """Return why a fact of the live node could not be learned, "" where nobody said."""
        reasons = self.facts.get("unknown")
        return str(reasons.get(fact) or "") if isinstance(reasons, dict) else ""

    @cached_property
    def version(self) -> tuple[int, int]:
        """The API server's minor version: of the one that runs, else of the manifest's image, else the default."""
        running = self.facts.get("apiserver")
        said = str(running.get("version")) if isinstance(running, dict) else ""
        image = self.manifest.container.image.partition("@")[0].rpartition(":")[2] if self.manifest else ""
        for text in (said, image):
            if match := _VERSION.match(text):
                return 1, int(match[1])
        return DEFAULT_VERSION

    @cached_property
    def policy_file(self) -> PolicyFile:
        """The policy at the asked path. Raises Unreadable."""
        path = self.wants.policy_file
        try:
            data = self.evidence.files.read(path, _POLICY_LIMIT)
        except Missing:
            return PolicyFile(
                None, f"failed to read file path {path!r}: open {path}: no such file or directory".replace("'", '"')
            )
        except NotAFile as error:
            words = f"read {path}: is a directory" if error.kind is FileKind.DIRECTORY else f"{path} is a {error.kind}"
            return PolicyFile(None, words, is_directory=error.kind is FileKind.DIRECTORY)
        try:
            return PolicyFile(load_policy(data, version=self.version), data=data)
        except TooBig as error:
            raise Unreadable(path, str(error)) from error
        except PolicyError as error:
            return PolicyFile(None, error.text, error.line)

    @cached_property
    def folder(self) -> Folder | None:
        """The manifests folder as the kubelet reads it; None where it is missing. Raises Unreadable."""
        try:
            contents = read_folder(self.evidence.files, self.wants.manifests)
        except (Missing, NotAFile):
            return None
        try:
            return folder_pods(contents, self.node, path=self.wants.manifests)
        except TooBig as error:
            raise Unreadable(self.wants.manifests, str(error)) from error

    @property
    def node(self) -> str:
        node = self.facts.get("node")
        return str(node.get("name")) if isinstance(node, dict) and node.get("name") else "node"

    @cached_property
    def manifest(self) -> Manifest | None:
        """The API server's manifest. Of several good files it is kube-apiserver.yaml, else the one that wins."""
        if self.folder is None:
            return None
        usual = "kube-apiserver.yaml"
        good = [entry for entry in self.folder.pods if entry.api_server is not None]
        refused = [e for e in self.folder.refused if e.error and e.error.pod and api_server(e.error.pod)]
        ranked = ([e for e in good if e.name == usual], good[::-1], [e for e in refused if e.name == usual], refused)
        for entries in ranked:
            if entries:
                return _manifest(entries[0])
        return None

    @cached_property
    def undecoded(self) -> FolderEntry | None:
        """The file that was to be the API server's manifest and is no pod at all."""
        if self.folder is None or self.manifest is not None:
            return None
        refused = sorted(self.folder.refused, key=lambda entry: ("apiserver" not in entry.name, entry.name))
        return next((entry for entry in refused if "apiserver" in entry.name or len(refused) == 1), None)

    @cached_property
    def command_line(self) -> CommandLine | None:
        """The API server's flags, read as far as they can be; None without a manifest that can be read."""
        if self.manifest is None:
            return None
        words = self.manifest.words
        offset = program(list(words)) or 0
        left = list(enumerate(words[offset:]))
        refusals: list[FlagError] = []
        while True:
            try:
                flags = parse_flags([word for _, word in left], self.version)
            except FlagError as error:
                refusals.append(error)
                if error.index is None or error.index == 0 or len(refusals) > _MOST_FLAG_ERRORS:
                    flags = parse_flags(["kube-apiserver"], self.version)
                    left = left[:1]
                else:
                    del left[error.index]
                    continue
            return CommandLine(flags, offset, tuple(refusals), tuple(index for index, _ in left))

    @property
    def other_program(self) -> str | None:
        """What the container runs in kube-apiserver's place (a shell, say); None where it runs kube-apiserver."""
        if self.manifest is None or not self.manifest.container.command:
            return None
        words = list(self.manifest.words)
        return words[0] if words and program(words) is None else None

    @cached_property
    def view(self) -> ContainerView | None:
        """The API server's container over this node's files; None where the kubelet would not run it."""
        manifest = self.manifest
        if manifest is None or manifest.refusal:
            return None
        view = ContainerView(manifest.pod, manifest.container, self.tree)
        if view.ties and is_luck(manifest.container) and not self._reaches(view):
            # Which of two mounts lies on top is luck with a runtime of old: where either is right, it is.
            turned = ContainerView(manifest.pod, manifest.container, self.tree, last_on_top=False)
            return turned if self._reaches(turned) else view
        return view

    def _reaches(self, view: ContainerView) -> bool:
        """Say whether the server finds policy and log in a container with these mounts."""
        if view.trouble is not None or self.command_line is None:
            return False
        files = (("audit-policy-file", self.wants.policy_file), ("audit-log-path", self.wants.log_file))
        paths = [(self.command_line.flags.get(flag), wanted) for flag, wanted in files]
        return all(path and view.locate(path).host_path == self.real(wanted) for path, wanted in paths)

    @property
    def trouble(self) -> Trouble | None:
        """What keeps the container from being made, where this evidence can tell."""
        found = self.view.trouble if self.view else None
        if found is None or self.facts:
            return found
        # A bare directory may hold only a part of the node: a folder it lacks at the top is then no proof.
        volume = self.trouble_volume(found)
        parts = clean(volume).split("/")[1:] if volume else []
        lacks = next((n for n in range(1, len(parts)) if not self.has_folder("/" + "/".join(parts[:n]))), len(parts))
        return found if lacks > 1 else None

    def has_folder(self, path: str) -> bool:
        """Say whether the evidence reaches to a folder, an empty one too."""
        return follow(self.tree, path).entry is not None

    def trouble_volume(self, trouble: Trouble) -> str | None:
        """Return the hostPath that a trouble is about."""
        name = self.trouble_name(trouble)
        volume = self.manifest.pod.volume(name) if self.manifest and name else None
        return volume.host_path if volume else None

    def trouble_name(self, trouble: Trouble) -> str | None:
        """Return the name of the volume that a trouble is about."""
        assert self.manifest is not None
        path = trouble.path
        if path[:2] == ("spec", "volumes"):
            return next((volume.name for volume in self.manifest.pod.volumes if volume.path == path[:3]), None)
        return next((mount.name for mount in self.manifest.container.mounts if mount.path == path[:5]), None)

    def resolved(self, path: str) -> Resolved:
        """Say what a path in the container stands for by the manifest alone."""
        assert self.manifest is not None
        return resolve(self.manifest.pod, self.manifest.container, path)

    def locate(self, path: str) -> Place:
        """Say what a path in the container leads to on this node, links followed."""
        assert self.view is not None
        return self.view.locate(path)

    def real(self, path: str) -> str:
        """Return where a path on the node leads, links followed, whether it is there or not."""
        return follow(self.tree, path).path

    def leads_to(self, path: str, wanted: str) -> bool:
        """Say whether a path in the container leads to a file on the node."""
        view = self.view
        if view is not None and view.trouble is None:
            return view.locate(path).host_path == self.real(wanted)
        host_path = self.resolved(path).host_path
        return host_path is not None and self.real(host_path) == self.real(wanted)


def _manifest(entry: FolderEntry) -> Manifest:
    pod = entry.pod or (entry.error.pod if entry.error else None)
    assert pod is not None
    container = api_server(pod)
    assert container is not None
    return Manifest(entry, pod, container, tuple(argv(pod, container)), entry.error.text if entry.error else None)
