"""Owns one start of the API server's container, step by step, up to what it then records; a step that fails ends it.

The steps are those of the real ones: the kubelet admits the pod and checks volumes, the runtime makes mounts and
starts the program, kube-apiserver parses its flags, checks them, reads its files, loads the policy, opens the log.
Each failure is told in its maker's words. Source: golden/static-pods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from checkers.evidence import FileKind, Missing, NotAFile, Unreadable

from .apiserver_flag_table import Version
from .apiserver_flags import FlagError, Flags, aggregate, parse_flags
from .apiserver_options import cluster_range_error
from .audit_policy import Attributes, Level, Policy, PolicyError, evaluate, load_policy
from .container_view import ContainerView, Place, Trouble, covers
from .host_tree import NO_SUCH_FILE, HostTree, clean, follow
from .pod_decode import Path
from .pod_folder import FolderEntry
from .pod_quantity import quantity
from .server_fate import LEAST_MEMORY, Auditing, Forecast, Server, Surroundings
from .static_pod import Container, Pod, argv, program

LOG_FILE: Final = "/var/log/audit/audit.log"
_SECCOMP: Final = "/var/lib/kubelet/seccomp"
_CERTIFICATES: Final = (
    *("client-ca-file", "tls-cert-file", "tls-private-key-file"),
    *("etcd-certfile", "etcd-keyfile", "etcd-cafile"),
)
_PROGRAM: Final = "/usr/local/bin/kube-apiserver"


@dataclass(slots=True)
class ServerStart:
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
        failure = self._process(view) or self._limits_refuse()
        if failure is not None:
            return self._fail(self._crashed(), *failure)
        hidden = self._hidden()
        if hidden is not None:
            return self._fail(Server.UNREACHABLE, *hidden)
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
        words = "UnexpectedAdmissionError: Unexpected error while attempting to recover from admission failure"
        for resource, room in (("cpu", self.around.cpus), ("memory", self.around.memory)):
            asked = sum((_asked(container, resource) for container in self.pod.containers), Decimal(0))
            if room is not None and asked > room:
                return words, (*self.container.path, "resources", "requests", resource)
        for key, value in (self.pod.raw["spec"].get("nodeSelector") or {}).items():
            if self.around.labels is not None and self.around.labels.get(key) != value:
                return "Predicate NodeAffinity failed", ("spec", "nodeSelector", key)
        if self.pod.raw["spec"].get("runtimeClassName"):
            name = self.pod.raw["spec"]["runtimeClassName"]
            words = f'failed to get sandbox runtime: runtimeclass.node.k8s.io "{name}" not found'
            return words, ("spec", "runtimeClassName")
        return None

    def _hidden(self) -> tuple[str, Path | None] | None:
        """Say why a server that runs cannot be reached at 127.0.0.1 of the node."""
        assert self.flags is not None
        if not self.pod.host_network:
            return "hostNetwork is not set", ("spec", "hostNetwork")
        if self.around.port is not None and self.flags.get_int("secure-port") != self.around.port:
            return f"it listens on port {self.flags.get('secure-port')}", self._flag_path("secure-port")
        address = self.flags.get("bind-address").strip()
        if address not in ("", "0.0.0.0", "::", "127.0.0.1"):
            return f"it listens on {address} only", self._flag_path("bind-address")
        return None

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
        profile = (security.get("seccompProfile") or {}) if isinstance(security.get("seccompProfile"), dict) else {}
        if profile.get("type") == "Localhost":
            file = f"{_SECCOMP}/{profile.get('localhostProfile', '')}"
            if follow(self.tree, file).entry is None and self.tree.is_known(_SECCOMP.rpartition("/")[0]):
                words = f'cannot load seccomp profile "{file}": open {file}: no such file or directory'
                return Trouble(words, False, (*self.container.path, "securityContext"))
        words_of_program = self._words()
        hiding = next((mount for mount in self.container.mounts if covers(clean(mount.mount_path), _PROGRAM)), None)
        if hiding is not None:
            words = 'exec: "kube-apiserver": executable file not found in $PATH'
            return Trouble(words, True, (*hiding.path, "mountPath"))
        if "kube-apiserver" not in _image_name(self.container) and "hyperkube" not in _image_name(self.container):
            name = words_of_program[0] if words_of_program else ""
            words = f'exec: "{name}": executable file not found in $PATH'
            return Trouble(words, True, (*self.container.path, "image"))
        if program(words_of_program) is None and words_of_program:
            words = f'exec: "{words_of_program[0]}": executable file not found in $PATH'
            return Trouble(words, True, (*self.container.path, "command"))
        return None

    def _limits_refuse(self) -> tuple[str, Path] | None:
        """What ends a server that comes up: a limit it cannot live with, a hook that cannot run."""
        limit = (self.container.raw.get("resources") or {}).get("limits", {}).get("memory")
        if limit is not None and quantity(limit) < LEAST_MEMORY:
            return "OOMKilled", (*self.container.path, "resources", "limits", "memory")
        hook = (self.container.raw.get("lifecycle") or {}).get("postStart") or {}
        command = (hook.get("exec") or {}).get("command") or []
        if command and program(list(command[:1])) is None:
            words = f'exec: "{command[0]}": executable file not found in $PATH'
            return f"FailedPostStartHook: {words}", (*self.container.path, "lifecycle", "postStart")
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
        wrong_range = cluster_range_error(flags)
        if wrong_range is not None:
            return wrong_range, self._flag_path("service-cluster-ip-range")
        problem = self._keys(view, flags)
        if problem:
            return problem
        errors = flags.validate()
        if errors:
            return aggregate(errors), None
        return (
            self._certificates(view, flags)
            or self._load_policy(view, flags)
            or self._open_log(view, flags)
            or self._webhook(view, flags)
        )

    def _webhook(self, view: ContainerView, flags: Flags) -> tuple[str, Path | None] | None:
        path = flags.get("audit-webhook-config-file")
        if not path or not flags.get("audit-policy-file"):
            return None
        place = view.locate(path)
        if place.entry is None:
            words = f"initializing audit webhook: stat {path}: {place.error or NO_SUCH_FILE}"
            return words, self._flag_path("audit-webhook-config-file")
        return None

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
        for name in _CERTIFICATES:
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
        # A folder in the container's own files, outside of this model: it is there now.
        just_made = view.locate(_folder_of(path)).entry is None
        place = self.log_place = view.locate(path)
        if path.endswith("/") or (place.entry is not None and place.entry.kind is FileKind.DIRECTORY):
            return f"ensureLogFile: open {path}: is a directory", at
        if place.error is not None and not (just_made and place.host_path is None):
            return f"ensureLogFile: open {path}: {place.error}", at
        if place.read_only:
            return f"ensureLogFile: open {path}: read-only file system", at
        if self._security().get("runAsUser") and (place.entry is None or self._denied(place, 0o2)):
            return f"ensureLogFile: open {path}: permission denied", at
        return None

    def _make_log_folder(self, view: ContainerView, path: str) -> str | None:
        """Go's MkdirAll of the log's folder, mode 0700: returns its error."""
        folder = _folder_of(path)
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


def _folder_of(path: str) -> str:
    """filepath.Dir: a relative path stays relative."""
    folder = path.rpartition("/")[0] if "/" in path else "."
    if path.startswith("/"):
        return clean(folder)
    return clean(folder)[1:] or "."


def _asked(container: Container, resource: str) -> Decimal:
    resources = container.raw.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    return quantity(str(requests.get(resource, limits.get(resource, "0"))))


def _image_name(container: Container) -> str:
    return container.image.rpartition("/")[2].partition("@")[0].partition(":")[0]
