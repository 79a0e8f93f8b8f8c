"""A node without processes: a clock that only moves when told, a runtime of objects, a folder for its root."""

from __future__ import annotations

import dataclasses
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.drivers.sandbox.kubelet.agent import Kubelet
from lab.drivers.sandbox.kubelet.config import Config
from lab.drivers.sandbox.runtime import START_ERROR, ContainerError, ContainerSpec, ContainerStatus

MANIFEST = """\
apiVersion: v1
kind: Pod
metadata:
  labels:
    component: kube-apiserver
  name: kube-apiserver
  namespace: kube-system
spec:
  containers:
  - command:
    - kube-apiserver
    - --secure-port=6443
    image: registry.k8s.io/kube-apiserver:v1.34.4
    name: kube-apiserver
    ports:
    - containerPort: 6443
      name: probe-port
    resources:
      requests:
        cpu: 250m
    volumeMounts:
    - mountPath: /etc/kubernetes/pki
      name: k8s-certs
      readOnly: true
  hostNetwork: true
  volumes:
  - hostPath:
      path: /etc/kubernetes/pki
      type: DirectoryOrCreate
    name: k8s-certs
"""
WITH_LOG = MANIFEST.replace(
    "      readOnly: true\n", "      readOnly: true\n    - mountPath: /var/log/audit\n      name: audit\n"
).replace("  volumes:\n", "  volumes:\n  - hostPath:\n      path: /var/log/audit\n      type: TYPE\n    name: audit\n")


class FakeClock:
    """Both clocks at once; wall time begins on a fixed day."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_795_000_000.0 + self.now


@dataclasses.dataclass
class Life:
    """What a process does: runs `seconds` (None: until stopped) and exits with `code`; takes `ends_in` to stop."""

    seconds: float | None = None
    code: int = 0
    ends_in: float = 0.0
    refuses: str = ""


class FakeRuntime:
    """Containers that are objects. `life` says what the process of a container does."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._all: dict[str, ContainerStatus] = {}
        self._ends: dict[str, tuple[float, int]] = {}
        self._lives: dict[str, Life] = {}
        self.life: Callable[[ContainerSpec], Life] = lambda spec: Life()
        self.refuses_to_create = ""
        self.started: list[tuple[float, ContainerSpec]] = []
        self.graces: list[float] = []

    def create(self, spec: ContainerSpec) -> str:
        if self.refuses_to_create:
            raise ContainerError(self.refuses_to_create)
        container_id = secrets.token_hex(32)
        self._all[container_id] = ContainerStatus(container_id, spec, "created", None, self._clock.wall())
        return container_id

    def start(self, container_id: str) -> None:
        status = self._all[container_id]
        life = self._lives[container_id] = self.life(status.spec)
        self.started.append((self._clock.now, status.spec))
        if life.refuses:
            now = self._clock.wall()
            self._change(container_id, state="exited", exit_code=START_ERROR, reason="StartError", finished=now)
            raise ContainerError(life.refuses)
        Path(status.spec.log_path).write_text("")
        self._change(container_id, state="running", pid=4242, started=self._clock.wall())
        if life.seconds is not None:
            self._ends[container_id] = (self._clock.now + life.seconds, life.code)

    def stop(self, container_id: str, grace: float) -> None:
        self.graces.append(grace)
        life = self._lives.get(container_id, Life())
        late = life.ends_in > grace
        self._ends[container_id] = (self._clock.now + min(life.ends_in, grace), 137 if late else life.code)

    def remove(self, container_id: str) -> None:
        self._all.pop(container_id, None)
        self._ends.pop(container_id, None)

    def list(self) -> list[ContainerStatus]:
        for container_id, (moment, code) in list(self._ends.items()):
            if moment <= self._clock.now:
                del self._ends[container_id]
                self._change(container_id, state="exited", exit_code=code, finished=self._clock.wall(), pid=None)
        return list(reversed(self._all.values()))

    def kill(self, name: str) -> None:
        """End the running process of a container of that name, as `pkill -9` does."""
        for status in self.list():
            if status.spec.name == name and status.state == "running":
                self._ends[status.id] = (self._clock.now, 137)

    def next_end(self) -> float | None:
        return min((moment for moment, _ in self._ends.values()), default=None)

    def _change(self, container_id: str, **values: Any) -> None:
        self._all[container_id] = dataclasses.replace(self._all[container_id], **values)


class FakeNode:
    """A kubelet over a fake runtime, with the folder of its manifests."""

    def __init__(self, root: Path, pace: str, cpus: int = 2) -> None:
        self.root = root
        self.manifests = root / "etc/kubernetes/manifests"
        self.manifests.mkdir(parents=True)
        self.clock = FakeClock()
        self.runtime = FakeRuntime(self.clock)
        self.kubelet = Kubelet(
            Config(pace=pace, root=root, kubeconfig=None, pid=812, cpus=cpus), self.runtime, self.clock
        )

    def write(self, name: str, text: str) -> None:
        """Write a manifest; the kubelet hears of it at the next `run`."""
        (self.manifests / name).write_text(text)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.clock.now + seconds
        for _ in range(100_000):
            for fd in self.kubelet.fds():
                self.kubelet.ready(fd)
            self.runtime.list()
            wake = self.kubelet.tick()
            moments = [m for m in (wake, self.runtime.next_end()) if m is not None]
            ahead = min(moments, default=until)
            if ahead >= until:
                self.clock.now = until
                self.kubelet.tick()
                return
            self.clock.now = max(ahead, self.clock.now + 1e-6)
        raise AssertionError(f"the kubelet wants to be called all the time: {wake} at {self.clock.now}")

    def running(self, name: str = "kube-apiserver") -> ContainerStatus | None:
        return next((s for s in self.runtime.list() if s.state == "running" and s.spec.name == name), None)

    def starts(self, name: str = "kube-apiserver") -> list[float]:
        """When containers of that name were started, in seconds since the beginning."""
        return [round(moment - 1000, 3) for moment, spec in self.runtime.started if spec.name == name]

    def journal(self) -> str:
        return (self.root / "var/log/journal/units.log").read_text()

    def log(self) -> list[str]:
        """The kubelet's own lines without time, pid and changing ids."""
        found = re.findall(r"kubelet\[812\]: ?|kubelet\[812\] (.*)", self.journal())
        lines = [re.sub(r"^([IWE])\d{4} \S+ +\d+ ", r"\1 ", line) for line in found if line]
        lines = [re.sub(r"\b[0-9a-f]{64}\b", "<id64>", line) for line in lines]
        lines = [re.sub(r"\b[0-9a-f]{32}\b", "<uid>", line) for line in lines]
        return [re.sub(r"until .* \(durationBeforeRetry", "until <time> (durationBeforeRetry", line) for line in lines]

    def errors(self) -> list[str]:
        return [line for line in self.log() if line.startswith("E ")]
