"""Owns the life of a lab whose node is a container: made or adopted, started again, put back, removed.

What is ours is what a record of ours names: no label of a CLI and no name of a cluster makes somebody's cluster a lab.
The record is written before anything is made and removed last, so that a start that was cut off can be removed too.
"""

from __future__ import annotations

import contextlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from lab import __version__

from ...errors import LabError
from ...home import made
from ...overlay import Overlay
from ..base import DriverInfo, Lab, LabSpec, Progress, silent
from .engine import Container, Engine
from .first_state import FirstState, await_api, comes_up
from .known import KnownLabs
from .node import ContainerNode
from .record import Record, RecordFolder
from .steps import Steps

ADOPT = "your cluster"
FILES = "the task's files"
APISERVER = "kube-apiserver"
KUBECTL = "kubectl answers"
WAKE = "node container"
LAYING = (FILES, APISERVER, KUBECTL)
"""The steps that follow however the cluster came to be."""
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_KUBECTL_LIMIT = 60.0
WAKE_LIMIT = 60.0


class ContainerDriver(KnownLabs, ABC):
    """What kind and minikube share. A driver adds how its CLI makes, wakes, removes and names a cluster."""

    # What a driver adds.

    @abstractmethod
    def probe(self) -> DriverInfo:
        """Say whether this driver works here. Never raises, starts nothing, takes under a second."""

    @abstractmethod
    def _titles(self, spec: LabSpec) -> Sequence[str]:
        """Return the steps of making a cluster, in their order."""

    @abstractmethod
    def _make(self, folder: RecordFolder, record: Record, spec: LabSpec, steps: Steps) -> None:
        """Make the cluster `record.cluster`, its kubeconfig in `folder.kubeconfig`, the CLI's words in `folder.log`.

        Raises LabError; what is there by then is removed by the caller. The user's own kubeconfig is not touched.
        """

    @abstractmethod
    def _unmake(self, folder: RecordFolder, record: Record) -> None:
        """Remove the cluster `record.cluster`, which is ours. One that is gone is fine. Raises LabError."""

    @abstractmethod
    def _containers(self, engine: Engine, cluster: str) -> list[Container]:
        """Return the containers of a cluster, those with an API server first. Raises LabError."""

    @abstractmethod
    def _export_kubeconfig(self, folder: RecordFolder, cluster: str) -> None:
        """Write the kubeconfig of a cluster of the user's own into `folder.kubeconfig`. Raises LabError."""

    def _cluster(self, lab: str) -> str:
        """Return what a lab's cluster is called."""
        return f"cks-lab-{lab}"

    def _wake(self, folder: RecordFolder, record: Record, containers: Sequence[Container], steps: Steps) -> float:
        """Start a cluster that has stopped; return the seconds that its API server is worth waiting for.

        Raises LabError.
        """
        for container in containers:
            if not container.running:
                self._engine().start(container.id)
        return WAKE_LIMIT

    def _is_ours(self, record: Record, there: set[str]) -> bool:
        """Say whether the cluster of a record's name is the one we made, or were making. `there`: ids of containers."""
        # A cluster of that name without one of our containers is one that somebody else has made since.
        return bool(there) and (record.making or bool(there & set(record.containers)))

    def _start_command(self, cluster: str, container: Container) -> str:
        """Return the command that starts a cluster of the user's own."""
        return f"docker start {container.name}"

    # The driver's methods.

    def create(self, spec: LabSpec, progress: Progress = silent) -> Lab:
        """Make or adopt a cluster, lay the start files, and return when kubectl answers on its node.

        A stopped lab of that name is started again with its files as they were. Raises LabError.
        """
        self._check(spec)
        folder = self._records.folder(spec.name)
        made(folder.path)
        with folder.locked():
            record = folder.read()
            lab = None if record is None else self._look(folder, record)
            if record is not None and record.driver != self.name:
                raise LabError(f"a lab called {spec.name} is there already, on {record.driver}", "cks-lab status")
            if lab is not None and lab.state == "running":
                raise LabError(f"the lab {spec.name} runs already", f"cks-lab shell --lab {spec.name}, or another name")
            if record is not None and lab is not None and lab.state == "stopped":
                return self._again(folder, record, progress)
            if record is not None:
                self._remove(folder, record)
                made(folder.path)
            return self._new(folder, spec, progress)

    def reset(self, lab: Lab, start: Overlay) -> None:
        """Put the node back to its first state with the start files, and wait for the API server. Raises LabError."""
        folder, record = self._known(lab)
        with folder.locked():
            node = self._node(folder, record)
            first = FirstState(folder.first, record.name)
            first.lay(node, start, self._address(record))
            await_api(node, record.name)
            if not record.adopted:
                first.clear_cluster(node)

    def destroy(self, lab: Lab) -> None:
        """Remove the lab's cluster and its record; an adopted cluster gets back what it had. Raises LabError."""
        folder = self._records.folder(lab.name)
        record = folder.read()
        if record is None or record.driver != self.name:
            return
        with folder.locked():
            self._remove(folder, record)
        folder.log.unlink(missing_ok=True)

    # How a lab comes and goes.

    def _check(self, spec: LabSpec) -> None:
        if not _NAME.fullmatch(spec.name):
            raise LabError(f"{spec.name!r} cannot be the name of a lab", "use small letters, digits and -")
        if spec.apiserver == "lite":
            raise LabError(f"{self.name} has no lite API server", f"cks-lab start {spec.scenario} --on sandbox")

    def _new(self, folder: RecordFolder, spec: LabSpec, progress: Progress) -> Lab:
        titles = (ADOPT,) if spec.adopt else self._titles(spec)
        steps = Steps([*titles, *LAYING], progress, self._records.path / f"{self.name}.durations.json")
        record = folder.write(
            Record(
                name=spec.name,
                driver=self.name,
                cluster=spec.adopt or self._cluster(spec.name),
                scenario=spec.scenario,
                seed=spec.seed,
                created=self._now().isoformat(),
                version=__version__,
                adopted=spec.adopt is not None,
            )
        )
        try:
            with steps.ticking():
                if spec.adopt:
                    record = self._adopt(folder, record, steps)
                else:
                    record = self._make_new(folder, record, spec, steps)
                record = self._lay(folder, record, spec.start, steps)
            steps.done()
        except BaseException as error:
            if spec.retain and not record.adopted:
                raise
            with self._cleaning(folder, error):
                self._remove(folder, folder.read() or record)
            raise
        return self._look(folder, record)

    def _make_new(self, folder: RecordFolder, record: Record, spec: LabSpec, steps: Steps) -> Record:
        if there := self._containers(self._engine(), record.cluster):
            raise LabError(
                f"{self.name} has a cluster {record.cluster} already, which is no lab ({there[0].name})",
                f"give the lab another name: cks-lab start {spec.scenario} --lab NAME",
            )
        record = folder.update(making=True)
        self._make(folder, record, spec, steps)
        containers = self._containers(self._engine(), record.cluster)
        if not containers:
            raise LabError(f"{self.name} made no container for {record.cluster}", f"see {folder.log}")
        return folder.update(
            making=False,
            node=containers[0].name,
            container=containers[0].id,
            containers=[container.id for container in containers],
        )

    def _adopt(self, folder: RecordFolder, record: Record, steps: Steps) -> Record:
        steps.begin(ADOPT, record.cluster)
        containers = self._containers(self._engine(), record.cluster)
        if not containers:
            raise LabError(f"{self.name} has no cluster {record.cluster!r}", self._list_command())
        for _, other in self._records.all():
            if other.name != record.name and containers[0].id in (other.container, *other.containers):
                raise LabError(
                    f"the cluster {record.cluster} is the lab {other.name} already", f"cks-lab shell --lab {other.name}"
                )
        if not containers[0].running:
            raise LabError(
                f"the cluster {record.cluster} does not run: {containers[0].name} is {containers[0].state}",
                self._start_command(record.cluster, containers[0]),
            )
        self._export_kubeconfig(folder, record.cluster)
        return folder.update(
            node=containers[0].name,
            container=containers[0].id,
            containers=[container.id for container in containers],
        )

    def _list_command(self) -> str:
        return f"{self.name} get clusters"

    def _lay(self, folder: RecordFolder, record: Record, start: Overlay, steps: Steps) -> Record:
        """Keep the first state, lay the task, and wait until it runs."""
        node = self._node(folder, record)
        steps.begin(FILES)
        first = FirstState(folder.first, record.name)
        await_api(node, record.name, steps.note)
        first.keep(node, start, self._address(record), whole=not record.adopted)
        ended = first.lay(node, start, self._address(record))
        steps.begin(APISERVER, "starts with the task's flags" if ended else "")
        await_api(node, record.name)
        return self._up(folder, node, steps)

    def _again(self, folder: RecordFolder, record: Record, progress: Progress) -> Lab:
        steps = Steps([WAKE, APISERVER, KUBECTL], progress, self._records.path / f"{self.name}.again.json")
        with steps.ticking():
            steps.begin(WAKE)
            containers = [
                each for each in self._containers(self._engine(), record.cluster) if each.id in record.containers
            ]
            limit = self._wake(folder, record, containers, steps)
            node = self._node(folder, record)
            node.close()
            steps.begin(APISERVER)
            record = self._up(folder, node, steps, limit)
        steps.done()
        return self._look(folder, record)

    def _up(self, folder: RecordFolder, node: ContainerNode, steps: Steps, limit: float | None = None) -> Record:
        """See the node through to kubectl's answer. `limit`: wait no longer; a learner's API server may be down."""
        apiserver: dict[str, str] = {}
        try:
            if limit is not None and not comes_up(node):
                raise LabError("the kubelet refuses the manifest of the API server")
            await_api(node, node.lab, steps.note, limit=limit)
            said = json.loads(node.api.request("GET", "/version").body)
            apiserver = {"apiserver": str(said.get("gitVersion", ""))}
            steps.begin(KUBECTL)
            done = node.run(["kubectl", "get", "nodes"], timeout=_KUBECTL_LIMIT)
            if done.exit_code:
                words = done.stderr.decode("utf-8", "replace").strip()
                raise LabError(f"kubectl on the node of {node.lab} says: {words}", f"cks-lab stop --lab {node.lab}")
        except (LabError, ValueError) as error:
            if limit is None:
                raise
            steps.begin(KUBECTL, f"not yet: {error.message if isinstance(error, LabError) else error}")
        return folder.update(ready=True, started=self._now().isoformat(), **apiserver)

    def _remove(self, folder: RecordFolder, record: Record) -> None:
        """Remove what a record names, then the record."""
        if node := self._nodes.pop(record.container or "", None):
            node.close()
        if record.adopted:
            self._give_back(folder, record)
        elif record.making or record.containers:
            there = {container.id for container in self._containers(self._engine(), record.cluster)}
            if self._is_ours(record, there):
                self._unmake(folder, record)
        folder.remove()

    def _give_back(self, folder: RecordFolder, record: Record) -> None:
        first = FirstState(folder.first, record.name)
        if record.container is None or not first.kept:
            return
        container = self._engine().container(record.container)
        if container is None:
            return
        if not container.running:
            raise LabError(
                f"the manifest of your cluster {record.cluster} cannot be put back: {container.name} does not run",
                f"{self._start_command(record.cluster, container)}, then: cks-lab stop --lab {record.name}",
            )
        node = self._node(folder, record)
        if first.lay(node, Overlay(), container.address):
            # What of it does not come back is not ours to hold on to.
            with contextlib.suppress(LabError):
                await_api(node, record.name, limit=WAKE_LIMIT)
        node.close()
        self._nodes.pop(record.container, None)

    @contextlib.contextmanager
    def _cleaning(self, folder: RecordFolder, why: BaseException) -> Iterator[None]:
        """Clean up after a failure, which is what is told; what could not be removed is added to it."""
        try:
            yield
        except LabError as error:
            if isinstance(why, LabError):
                why.message += f"\n  what is there could not be removed: {error.message}"
                why.hint = f"cks-lab stop --lab {folder.path.name}"
