"""Owns the forecast: what a node makes of its manifests folder and policy, from the bytes on disk alone.

It goes the way of the real ones: the kubelet reads the folder and validates, admits, checks volumes; the runtime makes
mounts and starts the program; kube-apiserver parses its flags, checks them, reads its files, loads the policy, opens
the log. The first of these that fails is the answer, in its own words. Source: golden/static-pods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from checkers.evidence import FileKind, Missing, NotAFile, Unreadable

from .apiserver_flag_table import Version
from .apiserver_flags import FlagError, Flags, aggregate, parse_flags
from .audit_policy import Attributes, Level, Policy, PolicyError, evaluate, load_policy
from .container_view import ContainerView, Place, Trouble
from .host_tree import NO_SUCH_FILE, HostTree, clean, follow
from .pod_decode import Path
from .pod_folder import MANIFESTS, Folder, FolderEntry, folder_pods, same_pod
from .static_pod import Container, Pod, argv, program

LOG_FILE: Final = "/var/log/audit/audit.log"


class Server(StrEnum):
    """What becomes of the API server."""

    RUNS = "runs"
    UNREACHABLE = "runs, not reachable at 127.0.0.1:6443"
    CRASHES = "exits again and again"
    EXITS = "exits"
    NOT_RUNNING = "not running"
    NOT_CREATED = "container not created"
    NO_POD = "no pod"


class Auditing(StrEnum):
    """Where events go: to the asked file on the node, somewhere else, or nowhere."""

    ON_THE_NODE = "on the node"
    ELSEWHERE = "elsewhere"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of the node beside its files; None is unknown and then taken as good.

    `images` are those that are there, `can_pull` says whether others can be fetched; `cpus` are the cores that pods
    may ask for together; `recursive_read_only` says whether the runtime supports it.
    """

    images: frozenset[str] | None = None
    can_pull: bool | None = None
    cpus: Decimal | None = None
    recursive_read_only: bool | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What will happen, and why.

    `message` is what the kubelet, the runtime or the server says where it does not run; `path` is the field of the pod
    to blame. `notes` are what only luck decides. `auditing` is None where no server answers.
    """

    server: Server
    auditing: Auditing | None = None
    request_object: bool = False
    message: str | None = None
    path: Path | None = None
    entry: FolderEntry | None = None
    container: Container | None = None
    flags: Flags | None = None
    policy: Policy | None = None
    policy_place: Place | None = None
    log_place: Place | None = None
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Start:
    """One start of one API server's container, step by step."""

    pod: Pod
    container: Container
    tree: HostTree
    around: Surroundings
    version: Version
    entry: FolderEntry
    notes: list[str] = field(default_factory=list)
    flags: Flags | None = None
    policy: Policy | None = None
    policy_place: Place | None = None
    log_place: Place | None = None

    def run(self) -> Forecast:
        refusal = self._not_admitted() or self._image_missing()
        if refusal:
            return self._fail(Server.NOT_CREATED, *refusal)
        blocker = self._init_container_that_never_ends()
        if blocker is not None:
            return self._fail(Server.NOT_RUNNING, f"init container {blocker.name} does not end", blocker.path)
        view = ContainerView(self.pod, self.container, self.tree)
        self.notes += [f"two mounts at {path}: which one lies on top is luck" for path in view.ties]
        trouble = view.trouble or self._runtime_refuses()
        if trouble is not None:
            server = self._crashed() if trouble.created else Server.NOT_CREATED
            return self._fail(server, trouble.message, trouble.path)
        failure = self._process(view)
        if failure is not None:
            return self._fail(self._crashed(), *failure)
        if not self.pod.host_network:
            return self._fail(Server.UNREACHABLE, "hostNetwork is not set", ("spec", "hostNetwork"))
        return self._running(view)

    def _fail(self, server: Server, message: str, path: Path | None) -> Forecast:
        return Forecast(
            server,
            message=message,
            path=path,
            entry=self.entry,
            container=self.container,
            flags=self.flags,
            policy=self.policy,
            policy_place=self.policy_place,
            log_place=self.log_place,
            notes=tuple(self.notes),
        )

    def _crashed(self) -> Server:
        return Server.EXITS if self.pod.restart_policy == "Never" else Server.CRASHES

    # The kubelet.

    def _not_admitted(self) -> tuple[str, Path] | None:
        if self.around.cpus is None:
            return None
        asked = sum(
            (_cores(c.raw.get("resources", {}).get("requests", {}).get("cpu", "0")) for c in self.pod.containers),
            Decimal(0),
        )
        if asked <= self.around.cpus:
            return None
        words = "UnexpectedAdmissionError: Unexpected error while attempting to recover from admission failure"
        return words, (*self.container.path, "resources", "requests", "cpu")

    def _image_missing(self) -> tuple[str, Path] | None:
        if self.around.images is None:
            return None
        for container in self.pod.all_containers():
            path: Path = (*container.path, "image")
            there = container.image in self.around.images
            if container.pull_policy == "Never" and not there:
                words = f'Container image "{container.image}" is not present with pull policy of Never'
                return f"ErrImageNeverPull: {words}", path
            if self.around.can_pull is False and (container.pull_policy == "Always" or not there):
                return f'ErrImagePull: failed to pull and unpack image "{container.image}"', path
        return None

    def _init_container_that_never_ends(self) -> Container | None:
        for container in self.pod.init_containers:
            if container.restart_policy == "Always":
                continue
            pause = _image_name(container) == "pause" and not container.command
            if pause or program(argv(self.pod, container)) is not None:
                return container
        return None

    def _runtime_refuses(self) -> Trouble | None:
        security = self._security()
        if security.get("runAsNonRoot") and not security.get("runAsUser"):
            words = "container has runAsNonRoot and image will run as root"
            return Trouble(f"CreateContainerConfigError: {words}", False, (*self.container.path, "securityContext"))
        for mount in self.container.mounts:
            if mount.recursive_read_only == "Enabled" and self.around.recursive_read_only is False:
                words = (
                    f'volume "{mount.name}" requested recursive read-only mode, but it is not supported by the runtime'
                )
                return Trouble(f"failed to resolve recursive read-only mode: {words}", False, mount.path)
        words_of_program = self._words()
        if "kube-apiserver" not in _image_name(self.container) and "hyperkube" not in _image_name(self.container):
            name = words_of_program[0] if words_of_program else ""
            words = f'exec: "{name}": executable file not found in $PATH'
            return Trouble(words, True, (*self.container.path, "image"))
        if program(words_of_program) is None and words_of_program:
            words = f'exec: "{words_of_program[0]}": executable file not found in $PATH'
            return Trouble(words, True, (*self.container.path, "command"))
        return None

    def _security(self) -> Mapping[str, Any]:
        pod_wide = self.pod.raw["spec"].get("securityContext") or {}
        return {**pod_wide, **(self.container.raw.get("securityContext") or {})}

    def _words(self) -> list[str]:
        return argv(self.pod, self.container)

    # kube-apiserver.

    def _process(self, view: ContainerView) -> tuple[str, Path | None] | None:
        """Return what the server ends with, and the field to blame; None where it comes up."""
        words = self._words()
        first = program(words) or 0
        try:
            flags = self.flags = parse_flags(words[first:], self.version)
        except FlagError as error:
            index = None if error.index is None else first + error.index
            return error.line or error.text, None if index is None else self.container.word_path(index)
        if flags.help or flags.print_version is not None:
            return "it prints and ends", self._flag_path("help" if flags.help else "version")
        problem = self._keys(view, flags)
        if problem:
            return problem
        errors = flags.validate()
        if errors:
            return aggregate(errors), None
        return self._certificates(view, flags) or self._load_policy(view, flags) or self._open_log(view, flags)

    def _flag_path(self, name: str) -> Path | None:
        index = self.flags.position(name) if self.flags is not None else None
        return None if index is None else self.container.word_path((program(self._words()) or 0) + index)

    def _keys(self, view: ContainerView, flags: Flags) -> tuple[str, Path | None] | None:
        name = "service-account-signing-key-file"
        error = self._unreadable(view, flags.get(name))
        if error:
            return f"failed to parse service-account-issuer-key-file: {error}", self._flag_path(name)
        return None

    def _certificates(self, view: ContainerView, flags: Flags) -> tuple[str, Path | None] | None:
        for name in ("client-ca-file", "tls-cert-file", "tls-private-key-file", "etcd-cafile", "etcd-certfile"):
            error = self._unreadable(view, flags.get(name))
            if error:
                return error, self._flag_path(name)
        for path in flags.get_list("service-account-key-file"):
            error = self._unreadable(view, path)
            if error:
                return error, self._flag_path("service-account-key-file")
        return None

    def _unreadable(self, view: ContainerView, path: str) -> str | None:
        """Say why a key or certificate cannot be read; None also where the tree knows nothing of its folder."""
        if not path:
            return None
        place = view.locate(path)
        if place.host_path is None:
            return f"open {path}: {place.error or NO_SUCH_FILE}" if place.entry is None else None
        if place.error is None and place.entry is not None:
            return f"open {path}: permission denied" if self._denied(place) else None
        if view.scratch.is_known(place.host_path.rpartition("/")[0] or "/"):
            return f"open {path}: {place.error or NO_SUCH_FILE}"
        secret = path.endswith(".key") and bool(self._security().get("runAsUser"))
        return f"open {path}: permission denied" if secret else None

    def _denied(self, place: Place, want: int = 0o4) -> bool:
        user = self._security().get("runAsUser") or 0
        if user == 0 or place.entry is None:
            return False
        shift = 6 if place.entry.uid == user else 0
        return not place.entry.mode >> shift & want

    def _load_policy(self, view: ContainerView, flags: Flags) -> tuple[str, Path | None] | None:
        path = flags.get("audit-policy-file")
        if not path:
            return None
        place = self.policy_place = view.locate(path)
        at = self._flag_path("audit-policy-file")
        before = f'loading audit policy file: failed to read file path "{path}": '
        if place.entry is None:
            return f"{before}open {path}: {place.error or NO_SUCH_FILE}", at
        if place.entry.kind is FileKind.DIRECTORY:
            return f"{before}read {path}: is a directory", at
        if self._denied(place):
            return f"{before}open {path}: permission denied", at
        if place.host_path is None:
            return None
        try:
            self.policy = load_policy(view.scratch.read(place.host_path), version=self.version)
        except PolicyError as error:
            decoding = error.text.startswith("failed to read")
            return f"loading audit policy file: {error.text}" + ("" if decoding else f": from file {path}"), at
        except (Missing, NotAFile, Unreadable) as error:
            return f"{before}{error}", at
        return None

    def _open_log(self, view: ContainerView, flags: Flags) -> tuple[str, Path | None] | None:
        path = flags.get("audit-log-path")
        if not path or path == "-":
            return None
        at = self._flag_path("audit-log-path")
        error = self._make_log_folder(view, path)
        if error:
            return f"ensureLogFile: {error}", at
        place = self.log_place = view.locate(path)
        if path.endswith("/") or (place.entry is not None and place.entry.kind is FileKind.DIRECTORY):
            return f"ensureLogFile: open {path}: is a directory", at
        if place.error is not None and not self._just_made(place):
            return f"ensureLogFile: open {path}: {place.error}", at
        if place.read_only:
            return f"ensureLogFile: open {path}: read-only file system", at
        if self._security().get("runAsUser") and (place.entry is None or self._denied(place, 0o2)):
            return f"ensureLogFile: open {path}: permission denied", at
        return None

    def _just_made(self, place: Place) -> bool:
        """Whether only folders are missing, which the server has made by now, outside the node's files."""
        return place.error == NO_SUCH_FILE and place.host_path is None

    def _make_log_folder(self, view: ContainerView, path: str) -> str | None:
        """Go's MkdirAll of the log's folder, mode 0700: returns its error."""
        folder = clean_like_go(path.rpartition("/")[0] if "/" in path else ".")
        place = view.locate(folder)
        if place.entry is not None:
            return None if place.entry.kind is FileKind.DIRECTORY else f"mkdir {folder}: not a directory"
        parts = folder.split("/")
        for length in range(1, len(parts) + 1):
            prefix = "/".join(parts[:length]) or "/"
            here = view.locate(prefix)
            if here.entry is not None and here.error is None:
                if here.entry.kind is not FileKind.DIRECTORY:
                    return f"mkdir {prefix}: not a directory"
                continue
            if here.error is not None and here.error != NO_SUCH_FILE:
                return f"mkdir {prefix}: {here.error}"
            if here.read_only:
                return f"mkdir {prefix}: read-only file system"
            if self._security().get("runAsUser"):
                return f"mkdir {prefix}: permission denied"
            if here.host_path is None:
                return None
            error = view.scratch.make_folders(here.host_path)
            if error:
                return f"mkdir {prefix}: {error}"
        return None

    # What it then records.

    def _running(self, view: ContainerView) -> Forecast:
        assert self.flags is not None
        auditing, request_object = Auditing.NONE, False
        if self.policy is not None and self.flags.get("audit-log-path"):
            auditing, request_object = self._recorded(view, self.policy, self.flags)
        return Forecast(
            Server.RUNS,
            auditing,
            request_object,
            entry=self.entry,
            container=self.container,
            flags=self.flags,
            policy=self.policy,
            policy_place=self.policy_place,
            log_place=self.log_place,
            notes=tuple(self.notes),
        )

    def _recorded(self, view: ContainerView, policy: Policy, flags: Flags) -> tuple[Auditing, bool]:
        attributes = Attributes(
            user="kubernetes-admin",
            groups=("kubeadm:cluster-admins", "system:authenticated"),
            verb="create",
            resource="configmaps",
            namespace="default",
        )
        decision = evaluate(policy, attributes)
        if decision.level == Level.NONE or not decision.stages or flags.get("audit-log-format") != "json":
            return Auditing.NONE, False
        log = follow(view.scratch, LOG_FILE)
        here = self.log_place
        if here is None or here.host_path is None or here.host_path != log.path or log.error:
            return Auditing.ELSEWHERE, False
        body = decision.level >= Level.REQUEST and "ResponseComplete" in decision.stages
        return Auditing.ON_THE_NODE, body


def clean_like_go(path: str) -> str:
    """filepath.Clean: keeps a relative path relative."""
    if path.startswith("/"):
        return clean(path)
    return clean(path)[1:] or "."


def _cores(quantity: str) -> Decimal:
    scales = {"m": Decimal("0.001"), "k": Decimal(1000), "M": Decimal(10**6)}
    scale = scales.get(quantity[-1:], Decimal(1))
    digits = quantity[:-1] if quantity[-1:] in scales else quantity
    try:
        return Decimal(digits) * scale
    except ArithmeticError:
        return Decimal(0)


def _image_name(container: Container) -> str:
    return container.image.rpartition("/")[2].partition("@")[0].partition(":")[0]


def foretell(
    folder: Folder | Mapping[str, bytes | None],
    tree: HostTree,
    node: str,
    *,
    around: Surroundings | None = None,
    version: Version = (1, 34),
) -> Forecast:
    """Say what the node makes of its manifests once the kubelet has read the whole folder.

    `folder` is what folder_pods made of it, or the files by name. Where pods of several names would be API servers,
    only one gets the port, by luck: the first in order is told, with a note.
    """
    if not isinstance(folder, Folder):
        folder = folder_pods(folder, node, path=MANIFESTS)
    servers = folder.api_servers()
    if not servers:
        return _no_pod(folder)
    forecasts = [_start(entry, tree, around or Surroundings(), version) for entry in servers]
    if len(forecasts) == 1:
        return forecasts[0]
    running = [forecast for forecast in forecasts if forecast.server in (Server.RUNS, Server.UNREACHABLE)]
    chosen = (running or forecasts)[0]
    if len(running) > 1 and not _agree(running):
        names = " and ".join(entry.name for entry in servers)
        note = f"{names} are pods of different names that want the same port: which one gets it is luck"
        return _noted(chosen, note)
    return chosen


def _agree(forecasts: list[Forecast]) -> bool:
    return len({(forecast.server, forecast.auditing, forecast.request_object) for forecast in forecasts}) == 1


def _noted(forecast: Forecast, note: str) -> Forecast:
    return Forecast(
        forecast.server,
        forecast.auditing,
        forecast.request_object,
        forecast.message,
        forecast.path,
        forecast.entry,
        forecast.container,
        forecast.flags,
        forecast.policy,
        forecast.policy_place,
        forecast.log_place,
        (*forecast.notes, note),
    )


def _start(entry: FolderEntry, tree: HostTree, around: Surroundings, version: Version) -> Forecast:
    assert entry.pod is not None
    container = entry.api_server
    assert container is not None
    return _Start(entry.pod, container, tree, around, version, entry).run()


def _no_pod(folder: Folder) -> Forecast:
    """No file makes an API server: tell of the refused file that looks most like one."""
    refused = sorted(folder.refused, key=lambda entry: ("apiserver" not in entry.name, entry.name))
    if not refused or refused[0].error is None:
        return Forecast(Server.NO_POD, message="no file in the folder defines a pod that runs kube-apiserver")
    return Forecast(Server.NO_POD, message=refused[0].error.text, entry=refused[0])


__all__ = [
    "LOG_FILE",
    "Auditing",
    "Forecast",
    "Server",
    "Surroundings",
    "foretell",
    "same_pod",
]
