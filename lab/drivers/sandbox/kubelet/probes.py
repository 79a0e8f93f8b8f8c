"""Owns the probes of running containers: whether one has started, is ready, or hangs and must be killed.

Only the API server is asked, and a real etcd: the other programs of the control plane run as waiting processes on
this node, which answer nothing, so their probes count as passed.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from .clock import Clock
from .http_exchange import Answer, Exchange, request
from .log import Klog, quoted
from .pace import Pace
from .pod_spec import Container, Probe, StaticPod

ASKED = "kube-apiserver"
_TIMEOUT = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
_STEADY = 5.0
"""Seconds between two questions to a server that is ready, in the fast pace: many labs may share two cores."""


def unverified() -> ssl.SSLContext:
    """Return the TLS of probes: any certificate is good enough, as for a kubelet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass(slots=True)
class _Asked:
    probe: Probe
    due: float
    failures: int = 0
    successes: int = 0
    logged: float = -1e9
    running: Exchange | None = None


@dataclass(slots=True)
class _Probed:
    pod: StaticPod
    container: Container
    id: str
    kinds: dict[str, _Asked] = field(default_factory=dict)
    started: bool = True
    ready: bool = True


class Prober:
    """Asks running containers; `kill(id, grace)` ends one that failed too often, `changed()` tells of readiness."""

    def __init__(
        self,
        clock: Clock,
        pace: Pace,
        klog: Klog,
        node_ip: str,
        version: str,
        kill: Callable[[str, float], None],
        asked: Collection[str] = (ASKED,),
    ) -> None:
        self._clock = clock
        self._pace = pace
        self._klog = klog
        self._node_ip = node_ip
        self._agent = f"kube-probe/{version.removeprefix('v').rpartition('.')[0]}"
        self._kill = kill
        self._asked = asked
        self._probed: dict[str, _Probed] = {}
        self._context: ssl.SSLContext | None = None

    def watch(self, pod: StaticPod, container: Container, container_id: str, program: str) -> None:
        """Ask this running container from now on."""
        if container_id in self._probed:
            return
        entry = _Probed(pod, container, container_id)
        self._probed[container_id] = entry
        if program not in self._asked:
            return
        now = self._clock.monotonic()
        for kind, probe in container.probes.items():
            if probe.kind == "httpGet":
                entry.kinds[kind] = _Asked(probe, now + min(probe.delay, self._pace.probe_delay))
        entry.started = "startup" not in entry.kinds
        entry.ready = entry.started and "readiness" not in entry.kinds

    def forget(self, container_id: str) -> None:
        """Ask this container no more."""
        entry = self._probed.pop(container_id, None)
        for asked in entry.kinds.values() if entry else ():
            if asked.running is not None:
                asked.running.close()

    def known(self) -> list[str]:
        """Return the ids of the containers that are asked."""
        return list(self._probed)

    def started(self, container_id: str) -> bool:
        """Return whether a running container has started, by its startup probe."""
        return container_id in self._probed and self._probed[container_id].started

    def ready(self, container_id: str) -> bool:
        """Return whether a running container is ready, by its probes."""
        entry = self._probed.get(container_id)
        return entry is not None and entry.started and entry.ready

    def exchanges(self) -> list[Exchange]:
        """Return the questions that are under way."""
        return [a.running for e in self._probed.values() for a in e.kinds.values() if a.running is not None]

    def tick(self) -> float | None:
        """Ask what is due and return the moment of the next wake-up; None when nothing is asked at all."""
        now = self._clock.monotonic()
        moments: list[float] = []
        for entry in list(self._probed.values()):
            for kind, asked in entry.kinds.items():
                if asked.running is not None:
                    if now >= asked.running.deadline:
                        asked.running.expire(_TIMEOUT)
                    else:
                        moments.append(asked.running.deadline)
                if asked.running is None and self._is_asked(entry, kind):
                    if now >= asked.due:
                        self._ask(entry, kind, asked, now)
                    moments.append(asked.due if asked.running is None else asked.running.deadline)
        return min(moments, default=None)

    @staticmethod
    def _is_asked(entry: _Probed, kind: str) -> bool:
        return not entry.started if kind == "startup" else entry.started

    def _ask(self, entry: _Probed, kind: str, asked: _Asked, now: float) -> None:
        probe = asked.probe
        host = probe.host or self._node_ip
        if self._context is None and probe.scheme == "HTTPS":
            self._context = unverified()
        asked.running = Exchange(
            (host, probe.port),
            request("GET", probe.path, f"{host}:{probe.port}", {"User-Agent": self._agent, "Accept": "*/*"}),
            self._context if probe.scheme == "HTTPS" else None,
            now + probe.timeout,
            lambda answer: self._answered(entry, kind, answer),
        )
        if asked.running.ended:
            asked.running = None

    def _answered(self, entry: _Probed, kind: str, answer: Answer) -> None:
        asked = entry.kinds[kind]
        asked.running = None
        now = self._clock.monotonic()
        good = 200 <= answer.status < 400
        asked.failures = 0 if good else asked.failures + 1
        asked.successes = asked.successes + 1 if good else 0
        asked.due = now + self._period(entry, kind, asked.probe, good)
        if not good:
            self._log_failure(entry, kind, asked, answer, now)
        if kind == "startup" and good:
            entry.started = True
            for other in entry.kinds.values():
                other.due = min(other.due, now)
            entry.ready = "readiness" not in entry.kinds
        elif kind == "readiness":
            if good and asked.successes >= asked.probe.successes:
                entry.ready = True
            elif not good and asked.failures >= asked.probe.failures:
                entry.ready = False
        if kind != "readiness" and not good and asked.failures >= self._limit(kind, asked.probe):
            asked.failures = 0
            self._end(entry, kind)

    def _period(self, entry: _Probed, kind: str, probe: Probe, good: bool) -> float:
        if self._pace.name == "real":
            return probe.period
        if good and kind != "startup":
            return max(probe.period, _STEADY)
        if kind == "liveness":
            return min(probe.period, 1)
        return min(probe.period, self._pace.readiness_period if not entry.ready else probe.period)

    def _limit(self, kind: str, probe: Probe) -> float:
        if self._pace.name == "real" or kind == "liveness":
            return probe.failures
        # A server that is asked more often than its manifest says gets time to start all the same.
        return probe.failures * max(1.0, probe.period / self._pace.readiness_period / 4)

    def _log_failure(self, entry: _Probed, kind: str, asked: _Asked, answer: Answer, now: float) -> None:
        if now - asked.logged < asked.probe.period:
            return
        asked.logged = now
        probe = asked.probe
        url = f"{probe.scheme.lower()}://{probe.host or self._node_ip}:{probe.port}{probe.path}"
        output = f"HTTP probe failed with statuscode: {answer.status}"
        if not answer.status:
            output = f"Get {quoted(url)}: {answer.error}"
        self._klog.info(
            "prober.go:120",
            "Probe failed",
            probeType=kind.capitalize(),
            pod=entry.pod.reference,
            podUID=entry.pod.uid,
            containerName=entry.container.name,
            probeResult="failure",
            output=output,
        )

    def _end(self, entry: _Probed, kind: str) -> None:
        words = f"Container {entry.container.name} failed {kind} probe, will be restarted"
        self._klog.info(
            "kuberuntime_manager.go:1053",
            "Message for Container of pod",
            containerName=entry.container.name,
            containerStatusID=f"containerd://{entry.id}",
            pod=entry.pod.reference,
            containerMessage=words,
        )
        self._kill(entry.id, entry.pod.grace)
