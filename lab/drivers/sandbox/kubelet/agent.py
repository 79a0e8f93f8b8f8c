"""Owns the kubelet as init sees it: a unit that is started, stopped and restarted, and a few hooks for init's loop.

Nothing in here waits, and nothing starts a thread: the process it lives in forks containers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..runtime import Runtime
from .api_sync import ApiSync
from .backoff import Backoff
from .clock import Clock
from .config import Config
from .cri import Cri
from .file_source import FileSource
from .hostpath import on_node
from .http_exchange import READ, Exchange
from .log import JOURNAL, Journal, Klog
from .pace import PACES
from .pod_worker import Host, Sandbox
from .pod_workers import PodWorkers
from .probes import Prober
from .units import Units


class _Run:
    """One run of the kubelet, from a start of its unit to the stop: what it knows is forgotten at the end."""

    def __init__(self, config: Config, runtime: Runtime, clock: Clock, klog: Klog) -> None:
        pace = PACES[config.pace]
        self.prober = Prober(clock, pace, klog, config.node_ip, config.version, self._kill, config.asked)
        self._host = Host(
            runtime=runtime,
            clock=clock,
            pace=pace,
            klog=klog,
            backoff=Backoff(pace.scale),
            prober=self.prober,
            node_name=config.node_name,
            node_ip=config.node_ip,
            root=config.root,
            version=config.version,
        )
        self.workers = PodWorkers(self._host, config.cpus, lambda: self.api.answered)
        self.api = ApiSync(config, clock, klog, self.workers, self.prober)
        self.files = FileSource(
            folder=on_node(config.root, config.manifests),
            shown=config.manifests,
            node=config.node_name,
            relist=pace.relist,
            decode=config.decode,
            clock=clock,
            klog=klog,
            changed=self.workers.want,
        )

    def _kill(self, container_id: str, grace: float) -> None:
        self._host.runtime.stop(container_id, min(grace, self._host.pace.grace_cap))

    def exchanges(self) -> list[Exchange]:
        """Return the connections that are open."""
        return [*self.prober.exchanges(), *self.api.exchanges()]

    def close(self) -> None:
        """Let go of everything; containers go on."""
        self.files.close()
        self.api.close()
        for container_id in self.prober.known():
            self.prober.forget(container_id)


class Kubelet:
    """kubelet.service. Ask `fds` again after every call of another method; call `tick` after each of them."""

    def __init__(self, config: Config, runtime: Runtime, clock: Clock) -> None:
        self._config = config
        self._runtime = runtime
        self._clock = clock
        self.journal = Journal(Path(on_node(config.root, JOURNAL)), clock)
        self._pid = config.pid
        self._klog = Klog(self.journal, clock, self._pid)
        self._run: _Run | None = None
        self._sandboxes: list[Sandbox] = []
        self._cri = Cri(runtime, clock, config, self._known_sandboxes)
        self._units = Units(self.journal, clock, self._pid, self.start, self.stop)

    @property
    def running(self) -> bool:
        """Whether the unit is active."""
        return self._run is not None

    def start(self) -> None:
        """Start the unit; a running one is left alone."""
        if self._run is not None:
            return
        self._units.starting("kubelet")
        klog, version = self._klog, self._config.version
        klog.info("server.go:529", "Kubelet version", kubeletVersion=version)
        klog.info("server.go:531", "Golang settings", GOGC="", GOMAXPROCS="", GOTRACEBACK="")
        klog.info("kubelet.go:475", "Attempting to sync node with API server")
        klog.info("kubelet.go:376", "Adding static pod path", path=self._config.manifests)
        self._run = _Run(self._config, self._runtime, self._clock, self._klog)
        klog.info("server.go:1262", "Started kubelet")
        self._run.files.start()
        self._run.workers.tick()

    def stop(self) -> None:
        """Stop the unit: containers go on, nobody looks after them."""
        if self._run is None:
            return
        self._sandboxes = self._run.workers.sandboxes()
        self._run.close()
        self._run = None
        self._units.stopped("kubelet")

    def fds(self) -> dict[int, int]:
        """Return the descriptors to wait for, each with its events (selectors.EVENT_READ, EVENT_WRITE)."""
        run = self._run
        if run is None:
            return {}
        found = {exchange.fd: exchange.wants for exchange in run.exchanges()}
        if run.files.fd is not None:
            found[run.files.fd] = READ
        return found

    def ready(self, fd: int) -> None:
        """Take note that a descriptor is ready. One that is no longer ours is fine."""
        run = self._run
        if run is None:
            return
        if fd == run.files.fd:
            run.files.ready()
            return
        for exchange in run.exchanges():
            if exchange.fd == fd and not exchange.ended:
                exchange.ready()

    def tick(self) -> float | None:
        """Do what is due; return the monotonic moment of the next wake-up, None: only after an event."""
        run = self._run
        if run is None:
            return None
        wakes = [run.files.tick(), run.workers.tick(), run.prober.tick(), run.api.tick()]
        return min((wake for wake in wakes if wake is not None), default=None)

    def handle(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a request of the node's tools; {"error": text} if it cannot be done."""
        operation = str(request.get("op", ""))
        try:
            if operation.startswith("cri."):
                return self._cri.handle(operation.removeprefix("cri."), request)
            if operation == "unit.settled":
                run = self._run
                return {"settled": run is not None and run.files.looked_at_all and run.workers.settled()}
            if operation.startswith("unit."):
                return self._units.handle(operation.removeprefix("unit."), request)
        except (KeyError, TypeError, ValueError) as error:
            return {"error": f"bad request: {error!r}"}
        return {"error": f"unknown operation {operation!r}"}

    def shut_down(self, grace: float) -> None:
        """End all containers, `grace` seconds after SIGTERM at the latest, and the kubelet with them."""
        self.stop()
        for status in self._runtime.list():
            if status.state == "running":
                self._runtime.stop(status.id, grace)

    def _known_sandboxes(self) -> list[Sandbox]:
        return self._run.workers.sandboxes() if self._run is not None else self._sandboxes
