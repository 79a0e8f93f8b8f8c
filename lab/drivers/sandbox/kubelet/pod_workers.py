"""Owns all pods of the node: which run, which end, and that two of one name never run at the same time.

A pod whose manifest changed is another pod: it starts when the old one is gone. Source: kubelet 1.34, pod_workers.go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..runtime import ContainerStatus
from .pod_spec import StaticPod
from .pod_worker import Host, Sandbox, Worker


class PodWorkers:
    """Makes the runtime run the pods that are wanted. `sources_ready`: whether leftovers may be removed already."""

    def __init__(self, host: Host, cpus: int, sources_ready: Callable[[], bool]) -> None:
        self._host = host
        self._cpus = cpus
        self._sources_ready = sources_ready
        self._wanted: dict[str, StaticPod] = {}
        self.workers: dict[str, Worker] = {}
        self._free_from: dict[str, float] = {}

    def want(self, pods: Sequence[StaticPod]) -> None:
        """Take the whole list of pods that are to run."""
        self._wanted = {pod.uid: pod for pod in pods}

    def statuses(self) -> dict[str, dict[str, list[ContainerStatus]]]:
        """Return the containers by pod UID and name, the newest attempt first."""
        found: dict[str, dict[str, list[ContainerStatus]]] = {}
        for status in self._host.runtime.list():
            found.setdefault(status.spec.pod_uid, {}).setdefault(status.spec.name, []).append(status)
        for containers in found.values():
            for group in containers.values():
                group.sort(key=lambda status: (status.spec.attempt, status.created), reverse=True)
        return found

    def tick(self) -> float | None:
        """Do what is due and return the monotonic moment of the next wake-up; None: only after an event."""
        for _ in range(8):
            if not self._round():
                break
        wakes = [worker.wake for worker in self.workers.values() if worker.wake is not None]
        wakes += list(self._free_from.values())
        return min(wakes, default=None)

    def settled(self) -> bool:
        """Return whether nothing is on its way: no pod ends, and none that is wanted waits for another to end."""
        return all(w.phase in ("running", "rejected") for w in self.workers.values()) and set(self.workers) == set(
            self._wanted
        )

    def sandboxes(self) -> list[Sandbox]:
        """Return the sandboxes of all pods, the newest first."""
        found = [worker.sandbox for worker in self.workers.values() if worker.sandbox is not None]
        return sorted(found, key=lambda sandbox: sandbox.created, reverse=True)

    def end_all(self) -> None:
        """Stop every container: the node goes down."""
        for status in self._host.runtime.list():
            if status.state == "running":
                self._host.runtime.stop(status.id, self._host.pace.grace_cap)

    def _round(self) -> bool:
        """Let each pod do what is due; return whether that made room for more."""
        statuses = self.statuses()
        self._take_up(statuses)
        now = self._host.clock.monotonic()
        self._free_from = {name: moment for name, moment in self._free_from.items() if moment > now}
        again = False
        for uid, worker in sorted(self.workers.items(), key=lambda item: item[1].phase != "terminating"):
            if worker.phase == "waiting":
                self._try_to_admit(worker)
            worker.step(statuses.get(uid, {}))
            if worker.phase == "gone":
                del self.workers[uid]
                delay = self._host.pace.start_delay
                if delay:
                    self._free_from[worker.pod.full_name] = worker.gone_at + delay
                again = True
        return again

    def _take_up(self, statuses: dict[str, dict[str, list[ContainerStatus]]]) -> None:
        for uid, worker in self.workers.items():
            if uid not in self._wanted:
                worker.terminate()
        for uid, pod in self._wanted.items():
            if uid not in self.workers:
                self.workers[uid] = self._worker(pod, statuses.get(uid, {}))
        leftovers = [uid for uid in statuses if uid not in self.workers]
        if leftovers and self._sources_ready():
            for uid in leftovers:
                spec = next(iter(statuses[uid].values()))[0].spec
                pod = StaticPod(uid=uid, name=spec.pod_name, namespace=spec.namespace, file="", raw={})
                worker = self._worker(pod, statuses[uid])
                worker.terminate()
                self.workers[uid] = worker

    def _worker(self, pod: StaticPod, containers: dict[str, list[ContainerStatus]]) -> Worker:
        worker = Worker(self._host, pod)
        existing = [status for group in containers.values() for status in group]
        if existing:
            oldest = min(existing, key=lambda status: status.created)
            sandbox_id = oldest.spec.sandbox_id or pod.uid * 2
            worker.sandbox = Sandbox(sandbox_id, pod.uid, pod.name, pod.namespace, oldest.created)
        return worker

    def _try_to_admit(self, worker: Worker) -> None:
        name = worker.pod.full_name
        if any(w.pod.full_name == name and w.phase != "waiting" for w in self.workers.values() if w is not worker):
            return
        if name in self._free_from:
            return
        refusal = self._refusal(worker.pod)
        if refusal is None:
            worker.admit()
        else:
            worker.reject(*refusal)

    def _refusal(self, pod: StaticPod) -> tuple[str, str] | None:
        others = [w.pod for w in self.workers.values() if w.phase == "running" and w.pod.uid != pod.uid]
        klog = self._host.klog
        wanted = sum(container.cpu_request for container in pod.containers)
        used = sum(container.cpu_request for other in others for container in other.containers)
        if wanted > self._cpus - used:
            short = round((wanted - (self._cpus - used)) * 1000)
            error = "preemption: error finding a set of pods to preempt: no set of running pods found to reclaim "
            error += f"resources: [(res: cpu, q: {short}), ]"
            words = "nexpected error while attempting to recover from admission failure"
            klog.info("predicate.go:192", f"Failed to admit pod, u{words}", pod=pod.reference, err=error)
            return self._denied(pod, "UnexpectedAdmissionError", f"U{words}: {error}")
        taken = {port for other in others for port in other.host_ports()}
        if pod.host_ports() & taken:
            words = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
            return self._denied(pod, "NodePorts", words)
        return None

    def _denied(self, pod: StaticPod, reason: str, message: str) -> tuple[str, str]:
        self._host.klog.info(
            "allocation_manager.go:702",
            "Pod admission denied",
            podUID=pod.uid,
            pod=pod.reference,
            reason=reason,
            message=message,
        )
        return reason, message
