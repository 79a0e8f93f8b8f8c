"""Owns one start of the API server's container, step by step, up to what it then records; a step that fails ends it.

The steps are those of the real ones: the kubelet admits the pod and checks volumes, the runtime makes mounts and
starts the program, kube-apiserver comes up (server_process), the kubelet's probes ask it (server_probes). Each failure
is told in its maker's words. Source: golden/static-pods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from checkers.kube.audit_policy import Attributes, Level, Policy, evaluate
from checkers.kube.pods.container_view import ContainerView, Place, Trouble, covers, is_luck
from checkers.kube.pods.decode import Path
from checkers.kube.pods.folder import FolderEntry
from checkers.kube.pods.host_tree import HostTree, clean, follow
from checkers.kube.pods.quantity import quantity
from checkers.kube.server.etcd import Etcd
from checkers.kube.server.fate import LEAST_MEMORY, Auditing, Forecast, Server, Surroundings
from checkers.kube.server.flag_table import Version
from checkers.kube.server.flags import Flags
from checkers.kube.server.probes import deadly_probe
from checkers.kube.server.process import ServerProcess
from checkers.kube.static_pod import Container, Pod, argv, program

LOG_FILE: Final = "/var/log/audit/audit.log"
_SECCOMP: Final = "/var/lib/kubelet/seccomp"
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
    etcd: Etcd | None = None
    notes: list[str] = field(default_factory=list)
    process: ServerProcess | None = None

    def run(self) -> Forecast:
        refusal = self._not_admitted() or self._image_missing()
        if refusal:
            return self._fail(Server.NOT_CREATED, *refusal)
        blocker = self._init_container_that_never_ends()
        if blocker is not None:
            return self._fail(Server.NOT_RUNNING, f"init container {blocker.name} does not end", blocker.path)
        # A runtime that makes no mount read-only with all below it is one of old, whose sort is luck: seen to turn two.
        luck = is_luck(self.container)
        turned = luck and self.around.recursive_read_only is False
        view = ContainerView(self.pod, self.container, self.tree, last_on_top=not turned)
        if luck:
            words = "which one lies on top is luck with containerd before 1.7"
            self.notes += [f"two mounts at {path}: {words}" for path in view.ties]
        trouble = view.trouble or self._runtime_refuses()
        if trouble is not None:
            server = self._crashed() if trouble.created else Server.NOT_CREATED
            return self._fail(server, trouble.message, trouble.path)
        user = self._security().get("runAsUser") or 0
        self.process = ServerProcess(self.container, self._words(), view, user, self.version, self.etcd)
        failure = self.process.run() or self._limits_refuse()
        if failure is not None:
            return self._fail(self._crashed(), *failure)
        hidden = self._hidden()
        if hidden is not None:
            return self._fail(Server.UNREACHABLE, *hidden)
        deadly = deadly_probe(self.pod, self.container, self.flags) if self.flags is not None else None
        if deadly is not None:
            self.notes.append(deadly)
        return self._running(view)

    @property
    def flags(self) -> Flags | None:
        """The flags as the server has read them; None where it did not come so far."""
        return self.process.flags if self.process is not None else None

    @property
    def policy(self) -> Policy | None:
        return self.process.policy if self.process is not None else None

    @property
    def policy_place(self) -> Place | None:
        return self.process.policy_place if self.process is not None else None

    @property
    def log_place(self) -> Place | None:
        return self.process.log_place if self.process is not None else None

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
        assert self.process is not None
        if not self.pod.host_network:
            return "hostNetwork is not set", ("spec", "hostNetwork")
        if self.around.port is not None and self.flags.get_int("secure-port") != self.around.port:
            return f"it listens on port {self.flags.get('secure-port')}", self.process.flag_path("secure-port")
        address = self.flags.get("bind-address").strip()
        if address not in ("", "0.0.0.0", "::", "127.0.0.1"):
            return f"it listens on {address} only", self.process.flag_path("bind-address")
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


def _asked(container: Container, resource: str) -> Decimal:
    resources = container.raw.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    return quantity(str(requests.get(resource, limits.get(resource, "0"))))


def _image_name(container: Container) -> str:
    return container.image.rpartition("/")[2].partition("@")[0].partition(":")[0]
