"""Owns the life of one pod on the node: its volumes, its containers in their order, its restarts, its end.

A worker does what is due when `step` is called and says when it wants to be called again; it never waits.
Source: kubelet 1.34, pkg/kubelet/pod_workers.go and kuberuntime_manager.go; words and times as recorded on a real node.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..runtime import ContainerError, ContainerSpec, ContainerStatus, Runtime
from . import hostpath
from .backoff import Backoff
from .clock import Clock, duration
from .images import PullError, find, present
from .log import Klog, quoted
from .pace import Pace
from .pod_spec import Container, StaticPod, argv, environment
from .probes import ASKED, Prober
from .volumes import Volumes

Phase = Literal["waiting", "running", "rejected", "terminating", "gone"]
Statuses = Mapping[str, Sequence[ContainerStatus]]
"""A pod's containers by name, the newest attempt first."""

LOGS = "/var/log/pods"
_LOG_LINKS = "/var/log/containers"
_REPEAT = 10.0
"""Seconds between two lines that say the same about a container that waits."""


@dataclass(frozen=True, slots=True)
class Host:
    """What all pods of a node share."""

    runtime: Runtime
    clock: Clock
    pace: Pace
    klog: Klog
    backoff: Backoff
    prober: Prober
    node_name: str
    node_ip: str
    root: Path
    version: str


@dataclass(slots=True)
class Sandbox:
    """What the CRI calls a pod: made with its first container. `created` in seconds since the epoch."""

    id: str
    uid: str
    name: str
    namespace: str
    created: float
    ready: bool = True


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container does not run, as its status says it."""

    reason: str
    message: str = ""


@dataclass(slots=True)
class Worker:
    """One pod. `wake` is the monotonic moment at which `step` has something to do, None: only after an event."""

    host: Host
    pod: StaticPod
    phase: Phase = "waiting"
    sandbox: Sandbox | None = None
    waiting: dict[str, Waiting] = field(default_factory=dict)
    start_time: float | None = None
    refusal: Waiting | None = None
    wake: float | None = None
    not_before: float = 0.0
    gone_at: float = 0.0
    volumes: Volumes = field(init=False)
    _retry: dict[str, float] = field(default_factory=dict)
    _said: dict[str, tuple[str, float]] = field(default_factory=dict)
    _stopped: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        host = self.host
        self.volumes = Volumes(self.pod, host.root, host.clock, host.klog, host.pace.volume_retry_cap)

    def step(self, statuses: Statuses) -> None:
        """Do what is due. `statuses` are the pod's containers as the runtime sees them now."""
        self.wake = None
        if self.phase == "terminating":
            self._terminate(statuses)
        elif self.phase in ("waiting", "running"):
            ready = self.volumes.set_up()
            if self.volumes.wake is not None:
                self._wake_at(self.volumes.wake)
            if self.phase == "running" and ready:
                self._sync(statuses)

    def admit(self) -> None:
        """Let the containers start."""
        self.phase = "running"
        self.start_time = self.host.clock.wall()
        self.volumes.announce()

    def reject(self, reason: str, message: str) -> None:
        """Refuse the pod for good: it stays, failed, until its manifest changes."""
        self.phase = "rejected"
        self.refusal = Waiting(reason, message)
        self.start_time = self.host.clock.wall()

    def terminate(self) -> None:
        """Begin to end the pod."""
        if self.phase not in ("terminating", "gone"):
            self.phase = "terminating"

    def grace(self) -> float:
        """Return the seconds from SIGTERM to SIGKILL."""
        return min(self.pod.grace, self.host.pace.grace_cap)

    def kill(self, container_id: str, grace: float) -> None:
        """End one container; it is restarted by the rules."""
        self.host.runtime.stop(container_id, min(grace, self.host.pace.grace_cap))

    # Containers

    def _sync(self, statuses: Statuses) -> None:
        for container in (*self.pod.init_containers, *self.pod.containers):
            self._prune(statuses.get(container.name, ()))
        for container in self.pod.init_containers:
            newest = _newest(statuses, container)
            if container.sidecar:
                self._keep_running(container, newest)
                if not self._has_started(container, newest):
                    return
            elif newest is None or newest.state != "exited" or newest.exit_code != 0:
                self._keep_running(container, newest, init=True)
                return
        for container in self.pod.containers:
            self._keep_running(container, _newest(statuses, container))

    def _has_started(self, container: Container, newest: ContainerStatus | None) -> bool:
        if newest is None:
            # It may have been started right now.
            self._wake_at(self.host.clock.monotonic())
            return False
        return newest.state == "running" and self.host.prober.started(newest.id)

    def _prune(self, statuses: Sequence[ContainerStatus]) -> None:
        dead = [status for status in statuses if status.state == "exited"]
        for status in dead[1:]:
            self._remove(status)
        for status in dead:
            self.host.prober.forget(status.id)

    def _keep_running(self, container: Container, newest: ContainerStatus | None, *, init: bool = False) -> None:
        now = self.host.clock.monotonic()
        if newest is not None and newest.state != "exited":
            if newest.state == "running":
                self.waiting.pop(container.name, None)
                self._said.pop(container.name, None)
                program = os.path.basename(newest.spec.argv[0]) if newest.spec.argv else ""
                self.host.prober.watch(self.pod, container, newest.id, program)
            return
        due = self._retry.get(container.name, 0.0)
        if now < due:
            self._wake_at(due)
            return
        if newest is None:
            self._start(container, 0)
            return
        if not self._is_restarted(container, newest, init):
            return
        key = (self.pod.uid, container.name)
        # The runtime tells the end in wall time; what counts here is how long ago that was.
        exited = now - max(0.0, self.host.clock.wall() - (newest.finished or newest.created))
        wait = self.host.backoff.waits_until(key, exited)
        if wait is not None and now < wait[0] + self.host.pace.requeue:
            self._wake_at(wait[0] + self.host.pace.requeue)
            self._back_off(container, newest, wait[1])
            return
        self.host.backoff.restarted(key, exited)
        self._start(container, newest.spec.attempt + 1)

    def _is_restarted(self, container: Container, newest: ContainerStatus, init: bool) -> bool:
        policy = self.pod.restart_policy
        if policy == "Always" or container.sidecar:
            return True
        if policy == "OnFailure" or init:
            return newest.exit_code != 0 and policy != "Never"
        return False

    def _back_off(self, container: Container, newest: ContainerStatus, nominal: float) -> None:
        words = f"back-off {duration(nominal)} restarting failed container={container.name}"
        words += f" pod={self.pod.full_name}({self.pod.uid})"
        self._not_running(container.name, "CrashLoopBackOff", words, once_for=f"{newest.spec.attempt}")

    def _start(self, container: Container, attempt: int) -> None:
        host, pod = self.host, self.pod
        self._retry[container.name] = host.clock.monotonic() + host.pace.sync_retry
        try:
            image = present(container.image, container.pull_policy, host.version)
        except PullError as error:
            self._pull_failed(container, error)
            return
        values = environment(pod, container, host.node_name, host.node_ip)
        try:
            mounts = hostpath.mounts(host.root, pod, container, values)
        except hostpath.ConfigError as error:
            self._failed(container.name, "CreateContainerConfigError", str(error))
            return
        if container.root_refused:
            where = f'(pod: "{pod.full_name}({pod.uid})", container: {container.name})'
            self._failed(container.name, "CreateContainerConfigError", f"{container.root_refused} {where}")
            return
        sandbox = self._sandbox()
        folder = f"{LOGS}/{pod.namespace}_{pod.name}_{pod.uid}/{container.name}"
        spec = ContainerSpec(
            pod_uid=pod.uid,
            pod_name=pod.name,
            namespace=pod.namespace,
            name=container.name,
            attempt=attempt,
            image=image.reference,
            argv=argv(container, image.entrypoint, values),
            env=values,
            mounts=mounts,
            log_path=str(hostpath.on_node(host.root, f"{folder}/{attempt}.log")),
            working_dir=container.working_dir,
            host_network=pod.host_network,
            sandbox_id=sandbox.id,
            read_only_root=container.read_only_root,
            run_as_user=container.run_as_user,
            memory_limit=container.memory_limit,
        )
        try:
            hostpath.on_node(host.root, folder).mkdir(parents=True, exist_ok=True)
            hostpath.make_sources(host.root, mounts, secrets.token_hex(32))
            container_id = host.runtime.create(spec)
        except (ContainerError, OSError) as error:
            words = f"rpc error: code = Unknown desc = {error}"
            message = "CreateContainer in sandbox from runtime service failed"
            host.klog.error("log.go:32", message, words, podSandboxID=sandbox.id)
            self._failed(container.name, "CreateContainerError", str(error))
            return
        self._link_log(spec, container_id)
        try:
            host.runtime.start(container_id)
        except ContainerError as error:
            words = f"rpc error: code = Unknown desc = {error}"
            host.klog.error("log.go:32", "StartContainer from runtime service failed", words, containerID=container_id)
            self._failed(container.name, "RunContainerError", str(error))
        else:
            self.waiting.pop(container.name, None)
            self._retry.pop(container.name, None)
            program = os.path.basename(spec.argv[0]) if spec.argv else ""
            host.prober.watch(pod, container, container_id, program)

    def _sandbox(self) -> Sandbox:
        if self.sandbox is None:
            pod = self.pod
            self.sandbox = Sandbox(secrets.token_hex(32), pod.uid, pod.name, pod.namespace, self.host.clock.wall())
        return self.sandbox

    def _link_log(self, spec: ContainerSpec, container_id: str) -> None:
        folder = hostpath.on_node(self.host.root, _LOG_LINKS)
        link = folder / f"{spec.pod_name}_{spec.namespace}_{spec.name}-{container_id}.log"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            link.symlink_to(spec.log_path)
        except OSError as error:
            self.host.klog.error(
                "kuberuntime_container.go:311",
                "Failed to create legacy symbolic link",
                f"symlink {spec.log_path} {link}: {(error.strerror or '').lower()}",
                path=str(link),
                containerID=container_id,
            )

    def _pull_failed(self, container: Container, error: PullError) -> None:
        was = self.waiting.get(container.name)
        if error.reason == "ErrImagePull" and was is not None and was.reason in ("ErrImagePull", "ImagePullBackOff"):
            words = f"Back-off pulling image {quoted(container.image)}: ErrImagePull: {error}"
            self._not_running(container.name, "ImagePullBackOff", words)
        else:
            self._failed(container.name, error.reason, str(error))
        self._wake_at(self._retry[container.name])

    def _failed(self, name: str, reason: str, message: str) -> None:
        words = f"container {name} start failed in pod {self.pod.full_name}({self.pod.uid}): {reason}: {message}"
        self.host.klog.error("kuberuntime_manager.go:1449", "Unhandled Error", words, logger="UnhandledError")
        self._said.pop(name, None)
        self._not_running(name, reason, message)
        self._wake_at(self._retry[name])

    def _not_running(self, name: str, reason: str, message: str, once_for: str = "") -> None:
        """Keep why a container does not run, and say it: at first, and from time to time while it lasts."""
        self.waiting[name] = Waiting(reason, message)
        now = self.host.clock.monotonic()
        what = f"{reason} {message} {once_for}"
        said = self._said.get(name)
        if said is not None and said[0] == what and now < said[1] + _REPEAT:
            self._wake_at(said[1] + _REPEAT)
            return
        self._said[name] = (what, now)
        self.host.klog.error(
            "pod_workers.go:1324",
            "Error syncing pod, skipping",
            f"failed to {quoted('StartContainer')} for {quoted(name)} with {reason}: {quoted(message)}",
            pod=self.pod.reference,
            podUID=self.pod.uid,
        )

    # The end

    def _terminate(self, statuses: Statuses) -> None:
        now = self.host.clock.monotonic()
        everything = [status for group in statuses.values() for status in group]
        alive = [status for status in everything if status.state == "running"]
        sidecars = {container.name for container in self.pod.init_containers if container.sidecar}
        first = [status for status in alive if status.spec.name not in sidecars]
        for status in first or alive:
            if status.id not in self._stopped:
                self._stopped[status.id] = now
                self.host.prober.forget(status.id)
                self._say_killed(status)
                self.host.runtime.stop(status.id, self.grace())
        held = [self._stopped[status.id] + self._hold(status) for status in everything if status.id in self._stopped]
        if alive or max(held, default=now) > now:
            if not alive:
                self._wake_at(max(held))
            return
        for status in everything:
            self._remove(status)
        if self.sandbox is not None:
            self.sandbox.ready = False
        folder = f"{LOGS}/{self.pod.namespace}_{self.pod.name}_{self.pod.uid}"
        shutil.rmtree(hostpath.on_node(self.host.root, folder), ignore_errors=True)
        hostpath.forget(self.host.root, self.pod.uid)
        self.phase = "gone"
        self.gone_at = now

    def _hold(self, status: ContainerStatus) -> float:
        program = os.path.basename(status.spec.argv[0]) if status.spec.argv else ""
        return min(self.host.pace.api_server_hold, self.grace()) if program == ASKED else 0.0

    def _say_killed(self, status: ContainerStatus) -> None:
        self.host.klog.info(
            "kuberuntime_container.go:864",
            "Killing container with a grace period",
            pod=self.pod.reference,
            podUID=self.pod.uid,
            containerName=status.spec.name,
            containerID=f"containerd://{status.id}",
            gracePeriod=int(self.pod.grace),
        )

    def _remove(self, status: ContainerStatus) -> None:
        self.host.klog.info("scope.go:117", "RemoveContainer", containerID=status.id)
        self.host.prober.forget(status.id)
        self.host.runtime.remove(status.id)
        spec = status.spec
        link = f"{_LOG_LINKS}/{spec.pod_name}_{spec.namespace}_{spec.name}-{status.id}.log"
        hostpath.on_node(self.host.root, link).unlink(missing_ok=True)
        if spec.log_path:
            Path(spec.log_path).unlink(missing_ok=True)

    def _wake_at(self, moment: float) -> None:
        self.wake = moment if self.wake is None else min(self.wake, moment)


def _newest(statuses: Statuses, container: Container) -> ContainerStatus | None:
    group = statuses.get(container.name)
    return group[0] if group else None


def image_id(reference: str, kubernetes: str) -> str:
    """Return `sha256:…` of an image that a container runs; the reference itself where the node has no such image."""
    image = find(reference, kubernetes)
    return f"sha256:{image.id}" if image else reference
