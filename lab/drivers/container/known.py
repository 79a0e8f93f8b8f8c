"""Owns what is known of the labs in containers: found by their records, looked at as Docker has them right now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import ClassVar

from ...errors import LabError
from ...home import Home
from ..base import Lab
from .engine import Container, Engine
from .node import ContainerNode
from .record import Record, RecordFolder, Records

_LOOK_TIMEOUT = 5.0
_WORK_TIMEOUT = 60.0
"""Seconds for an answer of Docker: to a look at what there is, and where it has to do something."""


class KnownLabs:
    """The labs of one driver that have a record, and the doors to their nodes."""

    name: ClassVar[str]
    api_port: ClassVar[int] = 6443
    """Where the API server listens in the container."""
    env: ClassVar[Mapping[str, str]] = {}
    """What commands on the node have in their environment beside KUBECONFIG."""
    prepare: ClassVar[str] = ""
    """What a shell on the node does first, in sh."""

    def __init__(
        self,
        home: Home | None = None,
        *,
        engine: Callable[[float], Engine] = Engine.connect,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        folder = (home or Home.of()).data / "clusters"
        self._records = Records(folder, self.name)
        self._connect = engine
        self._engines: dict[float, Engine] = {}
        self._now = now
        self._nodes: dict[str, ContainerNode] = {}

    def find(self) -> list[Lab]:
        """Return the labs that this driver made and the clusters that it adopted. Without any, Docker is not asked."""
        return [self._look(folder, record, busy=folder.busy()) for folder, record in self._records.all()]

    def node(self, lab: Lab) -> ContainerNode:
        """Return the door to a lab's node. Raises LabError where nothing is known of it."""
        folder, record = self._known(lab)
        return self._node(folder, record)

    def _asleep(self, record: Record, container: Container) -> str:
        """Say why Kubernetes does not run in a container that does; "" where it does."""
        return ""

    def _engine(self, timeout: float = _WORK_TIMEOUT) -> Engine:
        """Return Docker, with so many seconds for each answer. Raises LabError."""
        if timeout not in self._engines:
            self._engines[timeout] = self._connect(timeout)
        return self._engines[timeout]

    def _known(self, lab: Lab) -> tuple[RecordFolder, Record]:
        folder = self._records.folder(lab.name)
        record = folder.read()
        if record is None or record.driver != self.name or record.container is None:
            raise LabError(f"the lab {lab.name} is gone", "cks-lab status")
        return folder, record

    def _node(self, folder: RecordFolder, record: Record) -> ContainerNode:
        assert record.container is not None
        if record.container not in self._nodes:
            seed = "" if record.seed is None else f" --seed {record.seed}"
            self._nodes[record.container] = ContainerNode(
                record.name,
                record.node,
                record.container,
                folder.kubeconfig,
                engine=self._engine,
                api_port=self.api_port,
                env=self.env,
                prepare=self.prepare,
                again=f"cks-lab start {record.scenario}{seed} --lab {record.name}",
            )
        return self._nodes[record.container]

    def _door(self, record: Record) -> ContainerNode:
        return self._node(self._records.folder(record.name), record)

    def _address(self, record: Record) -> str:
        container = self._engine().container(record.container or "")
        if container is None:
            raise LabError(
                f"the lab {record.name} is gone: its container was removed", f"cks-lab stop --lab {record.name}"
            )
        return container.address

    def _look(self, folder: RecordFolder, record: Record, *, busy: bool = False) -> Lab:
        """Say how a lab is right now. `busy`: another program works on it."""
        state, detail = ("starting", "") if busy else self._state(folder, record)
        return Lab(
            record.name,
            self.name,
            record.scenario,
            record.seed,
            record.node or record.cluster,
            record.apiserver,
            state,
            None if record.started is None else datetime.fromisoformat(record.started),
            detail,
            record.adopted,
        )

    def _state(self, folder: RecordFolder, record: Record) -> tuple[str, str]:
        if record.container is None or not record.ready:
            log = f"; what the CLI said: {folder.log}" if folder.log.exists() else ""
            return "broken", f"its start was cut off{log}"
        try:
            container = self._engine(_LOOK_TIMEOUT).container(record.container)
        except LabError as error:
            return "stopped", f"{error.message}; {error.hint}"
        if container is None:
            return "broken", f"its container {record.node} was removed"
        if container.running:
            asleep = self._asleep(record, container)
            return ("stopped", asleep) if asleep else ("running", "")
        if container.state == "paused":
            return "broken", f"its container is paused: docker unpause {container.name}"
        return "stopped", f"its container {container.name} is {container.state}"
