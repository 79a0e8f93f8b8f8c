"""Owns the kind driver: how kind makes, wakes and removes a cluster, and which containers are a cluster's."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml

from ... import procs
from ...errors import LabError
from ...home import write_whole
from ..base import DriverInfo, LabSpec
from ..container import machine
from ..container.driver import ContainerDriver
from ..container.engine import Container, Engine
from ..container.record import Record, RecordFolder
from ..container.steps import Steps
from . import cli

_VERSION_TIMEOUT = 5.0
_DELETE_TIMEOUT = 120.0
_KUBECONFIG_TIMEOUT = 30.0
_CAPABILITIES = frozenset({"image", "kubernetes-version", "config", "adopt"})


class KindDriver(ContainerDriver):
    """Makes, finds and removes nodes by kind."""

    name = "kind"

    def probe(self) -> DriverInfo:
        """Say whether kind and a Docker that it can use are here."""
        try:
            version = _installed()
            there = machine.look(cli.KIND)
        except LabError as error:
            return DriverInfo(self.name, False, error.message, error.hint, _CAPABILITIES)
        return DriverInfo(self.name, True, f"kind {version}, {there.words}", "", _CAPABILITIES)

    def _titles(self, spec: LabSpec) -> Sequence[str]:
        # Only a config of the user's asks for more nodes.
        return [title for _, title in cli.TITLES if title != "more nodes" or spec.config is not None]

    def _make(self, folder: RecordFolder, record: Record, spec: LabSpec, steps: Steps) -> None:
        _installed()
        _one_control_plane(spec.config)
        argv = cli.create(
            record.cluster, folder.kubeconfig, image=self._image(spec), config=spec.config, retain=spec.retain
        )
        lines: list[str] = []
        titles = self._titles(spec)
        process = procs.start(argv, stdout=procs.PIPE, stderr=procs.STDOUT, env=cli.environment(folder.kubeconfig))
        try:
            with _log(folder.log) as write:
                for line in procs.lines(process):
                    lines.append(line)
                    write(line)
                    said = cli.said(line)
                    if said is not None and said.begins and said.step in titles:
                        self._begin(steps, said)
            status = process.wait()
        finally:
            procs.kill_group(process)
        if status:
            if cli.already_there(lines):
                folder.update(making=False)
            raise cli.failure(lines, folder.log)

    def _begin(self, steps: Steps, said: cli.Said) -> None:
        """Go on to a step; an image that has to come first takes as long as the network does."""
        here = True
        with suppress(LabError):
            here = not said.detail or self._engine().has_image(said.detail)
        steps.begin(said.step, said.detail if here else f"{said.detail}, downloaded once: about 1 GB", usual=here)

    def _image(self, spec: LabSpec) -> str | None:
        """Return the node image that is asked for; None is kind's own choice, or that of the user's config."""
        if spec.image is not None:
            return spec.image
        wanted = spec.kubernetes_version
        if wanted is None and spec.config is None and self._engine().info().cgroup == "1":
            wanted = cli.LAST_ON_CGROUP_V1
        return None if wanted is None else cli.image_of(wanted, self._engine().images(cli.IMAGE))

    def _unmake(self, folder: RecordFolder, record: Record) -> None:
        procs.run(
            cli.delete(record.cluster, folder.kubeconfig),
            timeout=_DELETE_TIMEOUT,
            env=cli.environment(folder.kubeconfig),
        )

    def _containers(self, engine: Engine, cluster: str) -> list[Container]:
        found = engine.containers(f"{cli.CLUSTER_LABEL}={cluster}")
        return sorted(found, key=lambda each: (each.labels.get(cli.ROLE_LABEL) != cli.CONTROL_PLANE, each.name))

    def _export_kubeconfig(self, folder: RecordFolder, cluster: str) -> None:
        done = procs.run(
            [cli.KIND, "get", "kubeconfig", "--name", cluster],
            timeout=_KUBECONFIG_TIMEOUT,
            env=cli.environment(folder.kubeconfig),
        )
        folder.kubeconfig.touch(mode=0o600)
        write_whole(folder.kubeconfig, done.stdout)


@contextmanager
def _log(path: Path) -> Iterator[Callable[[str], None]]:
    """Give what writes a line of the log. A disk that takes no more ends no start; what is there is kept."""
    with path.open("wb", buffering=0) as log:

        def write(line: str) -> None:
            with suppress(OSError):
                log.write(line.encode("utf-8", "replace") + b"\n")

        yield write


def _installed() -> str:
    """Return the version of the kind that is here. Raises LabError where there is none, or one too old."""
    if shutil.which(cli.KIND) is None:
        raise LabError("kind is not installed", how_to_get())
    done = procs.run([cli.KIND, "version"], timeout=_VERSION_TIMEOUT, check=False)
    found = cli.version(done.text)
    if found is None:
        raise LabError(f"kind does not say its version: {done.text.strip()[:100]!r}", "kind version")
    if found[0] < cli.NEEDED:
        needed = ".".join(map(str, cli.NEEDED))
        raise LabError(f"kind {found[1]} is too old: v{needed} or later is needed", how_to_get())
    return found[1]


def how_to_get() -> str:
    """Return how kind is installed on this platform."""
    if sys.platform == "darwin":
        return "brew install kind"
    if sys.platform == "win32":
        return "winget install Kubernetes.kind"
    machines = {"x86_64": "amd64", "aarch64": "arm64"}
    arch = machines.get(platform.machine(), platform.machine())
    return (
        f"curl -Lo kind https://kind.sigs.k8s.io/dl/v0.32.0/kind-linux-{arch} && "
        "sudo install -m 755 kind /usr/local/bin/kind"
    )


def _one_control_plane(config: Path | None) -> None:
    """Raise LabError where a kind config asks for several API servers: a task is laid on one. Kind judges the rest."""
    if config is None:
        return
    try:
        nodes = yaml.safe_load(config.read_bytes()).get("nodes") or []
        roles = [node.get("role", cli.CONTROL_PLANE) for node in nodes]
    except OSError as error:
        raise LabError(f"cannot read {config}: {error.strerror}", f"ls -l {config}") from error
    except (yaml.YAMLError, AttributeError, TypeError):
        return
    if roles.count(cli.CONTROL_PLANE) > 1:
        raise LabError(
            f"{config} asks for {roles.count(cli.CONTROL_PLANE)} control planes; a task is laid on one",
            "leave one node with role: control-plane",
        )
