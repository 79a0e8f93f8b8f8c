"""Owns the minikube driver: how minikube makes, wakes and removes a cluster, and what it does to a learner's work.

Only its docker driver is used: its node is a container, entered by `docker exec`. `minikube ssh` hangs on piped input
and turns every exit status into 1. Source of what the CLI does: recordings of minikube v1.38.1.
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from ...errors import LabError
from ...home import Home, write_whole
from ...overlay import MANIFEST
from ...procs import Completed
from ..base import DriverInfo, LabSpec
from ..container import machine
from ..container.driver import WAKE_LIMIT, ContainerDriver
from ..container.engine import Container, Engine
from ..container.record import Record, RecordFolder
from ..container.steps import Steps
from .cli import PROGRAM, Cli, Minikube
from .events import PHASES, Reader, failed
from .profiles import Profile, profiles, version

NAME_LABEL = "name.minikube.sigs.k8s.io"
CREATED_LABEL = "created_by.minikube.sigs.k8s.io=true"
NEEDED = (1, 31, 0)
"""The oldest that finds the patch of `--kubernetes-version=v1.34` by itself. Source: kubernetes/minikube#16569."""
NEEDED_MEMORY = 1800 << 20
"""Bytes that Docker must have in all, else minikube refuses. Source: minikube cmd/minikube/cmd/start_flags.go."""
_CAPABILITIES = frozenset({"image", "kubernetes-version", "adopt"})
_ADMINS = ("/etc/kubernetes/super-admin.conf", "/etc/kubernetes/admin.conf")
"""Where kubeadm leaves an administrator's kubeconfig; from 1.29 on the first is above RBAC."""
_ASK_TIMEOUT = 10.0
_START_TIMEOUT = 1800.0
_DELETE_TIMEOUT = 180.0
_WAKE_WAIT = 40
"""Seconds that minikube may wait for a learner's API server, which may be down: it fails then, and the node runs."""
_WAITING = ("Verifying Kubernetes", "Enabling Addons")
_VERSION = re.compile(r"v?\d+\.\d+(\.\d+)?")
_REMOVED = "its container was removed, and minikube cannot make its Kubernetes again"


class MinikubeDriver(ContainerDriver):
    """Makes, finds and removes nodes by minikube."""

    name = "minikube"
    api_port = 8443
    prepare: ClassVar[str] = 'for each in /var/lib/minikube/binaries/v*; do PATH="$PATH:$each"; done; export PATH'

    def __init__(
        self,
        home: Home | None = None,
        *,
        cli: Cli | None = None,
        engine: Callable[[float], Engine] = Engine.connect,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        root: bool | None = None,
    ) -> None:
        """`root`: whether this is root, which minikube wants to be told that it may be."""
        super().__init__(home, engine=engine, now=now)
        self._cli = cli or Minikube()
        self._root = os.geteuid() == 0 if root is None else root

    def probe(self) -> DriverInfo:
        """Say whether minikube and a Docker that it can use are here."""
        try:
            release = self._installed()
            there = machine.look(PROGRAM)
            if 0 < there.engine.memory < NEEDED_MEMORY:
                raise LabError(
                    f"minikube wants a Docker with 1.8 GiB of memory; it has {there.engine.memory / (1 << 30):.1f} GiB",
                    "give Docker more memory, in its settings",
                )
        except LabError as error:
            return DriverInfo(self.name, False, error.message, error.hint, _CAPABILITIES)
        return DriverInfo(self.name, True, f"minikube {release}, {there.words}", "", _CAPABILITIES)

    # How a cluster comes.

    def _check(self, spec: LabSpec) -> None:
        super()._check(spec)
        self._installed()
        if spec.kubernetes_version is not None and not _VERSION.fullmatch(spec.kubernetes_version):
            raise LabError(
                f"{spec.kubernetes_version!r} is no version of Kubernetes", "--kubernetes-version 1.34, or v1.34.4"
            )
        if spec.adopt is not None:
            self._check_adopted(spec, spec.adopt)

    def _check_adopted(self, spec: LabSpec, name: str) -> None:
        labs = {record.cluster for _, record in self._records.all()}
        known = [each for each in self._profiles() if each.name == name or each.name not in labs]
        profile = next((each for each in known if each.name == name), None)
        if profile is None:
            others = ", ".join(each.name for each in known)
            raise LabError(
                f"minikube has no profile {name!r}" + (f"; there are: {others}" if others else ""), self._list_command()
            )
        if profile.driver != "docker":
            raise LabError(
                f"minikube's profile {name} is no container of Docker (its driver: {profile.driver or 'none'})",
                f'to grade it: ssh-add "$(minikube -p {name} ssh-key)" && '
                f"cks-lab grade {spec.scenario} --node ssh://docker@$(minikube -p {name} ip)",
            )

    def _titles(self, spec: LabSpec) -> Sequence[str]:
        return PHASES

    def _make(self, folder: RecordFolder, record: Record, spec: LabSpec, steps: Steps) -> None:
        self._check_free(folder, record, spec)
        # With containerd crictl tells the arguments of what runs; with dockerd it does not.
        flags = ["--driver=docker", "--container-runtime=containerd", "--embed-certs"]
        if spec.image:
            flags.append(f"--base-image={spec.image}")
        # A start with other flags would write the API server's manifest anew: they are kept for the next one. The
        # version is not: that of the profile stays, where v1.34 would become another patch with another minikube.
        write_whole(folder.path / "start.json", json.dumps(flags).encode())
        if spec.kubernetes_version:
            flags.append(f"--kubernetes-version=v{spec.kubernetes_version.removeprefix('v')}")
        folder.log.unlink(missing_ok=True)
        reader, done = self._start(folder, record.cluster, flags, _Phases(steps).told)
        if done.exit_code:
            error = failed(f"minikube made no cluster {record.cluster}", reader, done)
            error.message += f"\n  all that it said: {folder.log}"
            error.hint = error.hint or f"less {folder.log}"
            raise error
        if not folder.kubeconfig.exists():
            raise LabError(f"minikube wrote no kubeconfig to {folder.kubeconfig}", f"less {folder.log}")
        folder.kubeconfig.chmod(0o600)

    def _check_free(self, folder: RecordFolder, record: Record, spec: LabSpec) -> None:
        """Refuse a name that a profile or a container has: to clean up after us would be to remove it."""
        there = self._engine().container(record.cluster)
        if there is None and record.cluster not in [each.name for each in self._profiles()]:
            return
        folder.update(making=False)
        what = f"Docker has a container {there.name}" if there else f"minikube has a profile {record.cluster}"
        raise LabError(
            f"{what} already, which is no lab of yours",
            f"give the lab another name: cks-lab start {spec.scenario} --lab NAME; "
            f"or remove it, if it is left from an earlier one: minikube delete -p {record.cluster}",
        )

    def _start(
        self, folder: RecordFolder, cluster: str, flags: Sequence[str], told: Callable[[Reader, str], None]
    ) -> tuple[Reader, Completed]:
        """Run `minikube start` and tell what is new; its words go into the log as they come."""
        reader = Reader()
        args = ["start", "-p", cluster, *flags, "--interactive=false", "-o", "json"]
        args += ["--force"] if self._root else []
        with folder.log.open("a", encoding="utf-8") as log:
            log.write(f"$ minikube {' '.join(args)}\n")

            def line(text: str) -> None:
                log.write(text + "\n")
                log.flush()
                if (news := reader.read(text)) is not None:
                    told(reader, news)

            done = self._cli.stream(args, line, timeout=_START_TIMEOUT, kubeconfig=folder.kubeconfig)
            log.write(done.stderr.decode("utf-8", "replace") + f"exit status {done.exit_code}\n")
        return reader, done

    # How it goes on.

    def _wake(self, folder: RecordFolder, record: Record, containers: Sequence[Container], steps: Steps) -> float:
        """Start a cluster again with the flags it was made with, and see that the learner's manifest is what it was.

        Docker alone wakes a node without its kubelet. A container that is gone cannot be made again by minikube: it
        would wait for an API server that no manifest describes.
        """
        if not containers:
            raise LabError(f"the lab {record.name} is broken: {_REMOVED}", f"cks-lab stop --lab {record.name}")
        if record.cluster not in [each.name for each in self._profiles()]:
            raise LabError(
                f"minikube knows no profile {record.cluster}, whose container is there",
                "is MINIKUBE_HOME what it was? Else it was deleted: cks-lab stop --lab " + record.name,
            )
        node = containers[0].id
        kept = self._engine().file(node, MANIFEST)
        flags = [*_flags(folder.path / "start.json"), f"--wait-timeout={_WAKE_WAIT}s"]
        reader, done = self._start(folder, record.cluster, flags, lambda reader, news: steps.note(news))
        if done.exit_code and not self._only_waited(reader, node):
            error = failed(f"minikube did not start {record.cluster} again", reader, done)
            error.hint = error.hint or f"less {folder.log}"
            raise error
        if kept is not None and self._engine().file(node, MANIFEST) != kept:
            steps.note("minikube wrote the API server's manifest anew: yours is put back")
            self._engine().put(node, MANIFEST, kept, 0o600)
            return WAKE_LIMIT
        # What minikube has waited for in vain is not waited for once more.
        return 1.0 if done.exit_code else WAKE_LIMIT

    def _only_waited(self, reader: Reader, node: str) -> bool:
        """Say whether a start failed at nothing but waiting for the API server, which may be what the learner broke."""
        container = self._engine().container(node)
        return reader.reached in _WAITING and container is not None and container.running

    def _asleep(self, record: Record, container: Container) -> str:
        if record.started is None or _moment(container.started) <= datetime.fromisoformat(record.started):
            return ""
        # It was started since, perhaps by minikube itself: only the kubelet tells.
        argv = ["systemctl", "is-active", "--quiet", "kubelet"]
        try:
            active = self._door(record).run(argv, timeout=_ASK_TIMEOUT).exit_code == 0
        except LabError:
            active = False
        return "" if active else f"its container {container.name} was restarted, and no kubelet runs in it"

    def _unmake(self, folder: RecordFolder, record: Record) -> None:
        self._installed()
        args = ["delete", "-p", record.cluster]
        done = self._cli.run([*args, "-o", "json"], timeout=_DELETE_TIMEOUT, kubeconfig=folder.kubeconfig)
        if done.exit_code:
            hint = f"minikube {' '.join(args)}"
            raise failed(f"minikube did not remove {record.cluster}", Reader.of(done), done, hint)

    def _is_ours(self, record: Record, there: set[str]) -> bool:
        # Without any container its volume and its profile may still be there; they have the name that we gave.
        return not there or super()._is_ours(record, there)

    def _containers(self, engine: Engine, cluster: str) -> list[Container]:
        found = engine.containers(f"{NAME_LABEL}={cluster}", CREATED_LABEL)
        return sorted(found, key=lambda each: (each.name != cluster, each.name))

    def _export_kubeconfig(self, folder: RecordFolder, cluster: str) -> None:
        node = self._containers(self._engine(), cluster)[0]
        for path in _ADMINS:
            if content := self._engine().file(node.id, path):
                folder.kubeconfig.touch(mode=0o600)
                write_whole(folder.kubeconfig, content)
                return
        raise LabError(f"{node.name} has no {' or '.join(_ADMINS)}", f"docker exec {node.name} ls /etc/kubernetes")

    def _list_command(self) -> str:
        return "minikube profile list"

    def _start_command(self, cluster: str, container: Container) -> str:
        return f"minikube start -p {cluster}"

    # What minikube says.

    def _installed(self) -> str:
        """Return the version of the minikube that is here. Raises LabError where there is none, or one too old."""
        try:
            done = self._cli.run(["version", "-o", "json"], timeout=_ASK_TIMEOUT)
        except LabError as error:
            if "no such program" in error.message:
                raise LabError("minikube is not installed", how_to_get()) from error
            raise
        found = version(done.text)
        if found is None:
            said = " ".join((done.text or done.stderr.decode("utf-8", "replace")).split())
            raise LabError(f"minikube does not say its version: {said[:100]!r}", "minikube version")
        if found < NEEDED:
            raise LabError(f"minikube {_dotted(found)} is too old: {_dotted(NEEDED)} or later is needed", how_to_get())
        return _dotted(found)

    def _profiles(self) -> list[Profile]:
        """Return the profiles there are. Raises LabError."""
        done = self._cli.run(["profile", "list", "--light", "-o", "json"], timeout=_ASK_TIMEOUT)
        try:
            return profiles(done.text)
        except ValueError as error:
            raise failed("minikube does not list its profiles", Reader.of(done), done, self._list_command()) from error


class _Phases:
    """Tells each phase of a start once it is reached, and those that minikube left out on the way."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._at = -1

    def told(self, reader: Reader, news: str) -> None:
        """Take what is new."""
        while self._at < reader.phase:
            self._at += 1
            self._steps.begin(PHASES[self._at])
        self._steps.note(news)


def how_to_get() -> str:
    """Return how minikube is installed on this platform."""
    if sys.platform == "darwin":
        return "brew install minikube"
    if sys.platform == "win32":
        return "winget install Kubernetes.minikube"
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return (
        f"curl -LO https://github.com/kubernetes/minikube/releases/latest/download/minikube-linux-{arch} && "
        f"sudo install minikube-linux-{arch} /usr/local/bin/minikube"
    )


def _flags(path: Path) -> list[str]:
    """Return the flags that a cluster was made with; an adopted one is started with none."""
    try:
        return [str(flag) for flag in json.loads(path.read_bytes())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise LabError(f"{path} cannot be read: {error}", f"ls -l {path}") from error


def _dotted(parts: Sequence[int]) -> str:
    return "v" + ".".join(map(str, parts))


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
