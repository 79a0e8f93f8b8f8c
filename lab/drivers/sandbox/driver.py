"""Owns the sandbox driver: it makes nodes of Linux namespaces, without root and without Docker, and finds them again.

A lab is a folder and one process: the node's init. The folder is written first and removed last, so that whatever
happens to this program in between can be found and removed; until the files are laid, init ends with this program.
"""

from __future__ import annotations

import os
import re
import select
import signal
import tarfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import lab as package
from lab import __version__

from ...errors import LabError
from ...home import Home, made
from ...overlay import MANIFEST, Overlay
from ..base import DriverInfo, Lab, LabSpec, Progress, Step, silent
from ..folder_lock import disk_told, is_locked, locked
from . import binaries, interpreter, kubeadm, manifests, pki, probe, skeleton
from .binaries import ControlPlane
from .handle import SandboxApi, SandboxNode, ask
from .spawning import ADDRESS, NODE, begin, spawned
from .state import LITE, LabFile, StateFolder, remove_tree

APISERVER = LITE + manifests.KUBERNETES.rpartition(".")[0]

_STEPS = ("namespaces", "files and certificates", "kubelet", "kube-apiserver", "kubectl answers")
_START_LIMIT = 30.0
"""Seconds that the lite API server may take to answer for the first time; it takes about half of one."""
_REAL_START_LIMIT = 180.0
"""The same of a real one, which takes about five on two idle cores."""
_END_LIMIT = 10.0
_LOOK_AGAIN = 0.01
_LOOK_AGAIN_REAL = 0.1
_TOLD_AFTER = 5.0
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?")


class SandboxDriver:
    """Makes, finds and removes nodes of namespaces."""

    name = probe.NAME

    def __init__(self, labs: Path | None = None, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """`labs`: the folder of the labs' folders, by default the person's own."""
        self._labs = Home.of().labs if labs is None else labs
        self._now = now

    def probe(self) -> DriverInfo:
        """Say whether the sandbox works here: it is tried, in a process of its own."""
        info = probe.decide(probe.look(Path(package.__file__).resolve().parent.parent))
        if info.available:
            try:
                interpreter.kubectl()
            except LabError as error:
                return DriverInfo(self.name, False, error.message, error.hint)
        return info

    def create(self, spec: LabSpec, progress: Progress = silent) -> Lab:
        """Make a node, lay the start files, and return when kubectl answers on it.

        A stopped lab of that name is started again with its files as they were. Raises LabError.
        """
        if not _NAME.fullmatch(spec.name):
            raise LabError(f"{spec.name!r} cannot be the name of a lab", "use small letters, digits and -")
        state = StateFolder(made(self._labs) / spec.name)
        state.path.mkdir(mode=0o700, exist_ok=True)
        with locked(state.path):
            found = self._look(state)
            if found.state == "running":
                raise LabError(f"the lab {spec.name} runs already", f"cks-lab shell --lab {spec.name}, or another name")
            again = found.state == "stopped"
            if not again:
                self._end(state)
                _empty(state)
            try:
                with disk_told(state.path):
                    if not again:
                        self._write_lab(state, spec)
                    self._start(state, None if again else spec.start, progress)
            except BaseException:
                if not spec.retain:
                    self._end(state)
                    if not again:
                        remove_tree(state.path)
                raise
        return self._look(state)

    def find(self) -> list[Lab]:
        """Return the labs whose folders are there, by name."""
        try:
            folders = sorted(entry for entry in self._labs.iterdir() if entry.is_dir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LabError(f"cannot look into {self._labs}: {error.strerror}", f"ls -ld {self._labs}") from error
        return [self._look(StateFolder(folder), ask_lock=True) for folder in folders]

    def node(self, lab: Lab) -> SandboxNode:
        """Return the door to a lab's node."""
        return SandboxNode(StateFolder(self._labs / lab.name), lab.node)

    def reset(self, lab: Lab, start: Overlay) -> None:
        """Put the node back to its first state with the start files, and wait for the API server. Raises LabError."""
        state = StateFolder(self._labs / lab.name)
        if state.lab() is None:
            raise LabError(f"the lab {lab.name} is gone", "cks-lab list")
        with locked(state.path):
            self._end(state)
            with disk_told(state.path):
                state.update_lab(made=False, started=None)
                _empty(state)
                self._start(state, start, silent)

    def destroy(self, lab: Lab) -> None:
        """End the node and remove its folder. A lab that is gone already is fine. Raises LabError."""
        state = StateFolder(self._labs / lab.name)
        if not state.path.is_dir():
            return
        with locked(state.path):
            self._end(state)
            remove_tree(state.path)

    # How a node comes and goes.

    def _write_lab(self, state: StateFolder, spec: LabSpec) -> None:
        real = _real(spec)
        state.write_lab(
            LabFile(
                name=spec.name,
                scenario=spec.scenario,
                seed=spec.seed,
                node=NODE,
                address=ADDRESS,
                apiserver=APISERVER if real is None else real.version,
                pace=spec.pace,
                created=self._now().isoformat(),
                started=None,
                made=False,
                version=__version__,
                control_plane=None if real is None else (str(real.apiserver), str(real.etcd)),
            )
        )

    def _start(self, state: StateFolder, start: Overlay | None, progress: Progress) -> None:
        """Start init and see it through to kubectl's first answer; with `start`, lay the files before."""

        def step(number: int, detail: str = "") -> None:
            progress(Step(number, len(_STEPS), _STEPS[number - 1], detail))

        step(1)
        real = _recorded(state)
        if start is not None:
            for name in skeleton.OWN:
                (state.root / name).mkdir(parents=True, exist_ok=True)
            skeleton.lay(state.root, NODE, ADDRESS, uuid.uuid4().hex)
        with spawned(state, _lab(state).pace, real) as process:
            step(2)
            if start is not None:
                self._lay(state, start, real)
            step(3)
            begin(state, process)
        state.update_lab(started=self._now().isoformat())
        step(4, _lab(state).apiserver)
        node = SandboxNode(state, NODE)
        if real is None:
            _await_api(state, node.api, _START_LIMIT)
        else:
            master = SandboxApi(state, "master")
            began = time.monotonic()

            def waits(path: str) -> None:
                waited = time.monotonic() - began
                step(4, f"{real.version}, {path} is waited for ({waited:.0f} s; usually about 5 in all)")

            _await_api(state, master, _REAL_START_LIMIT, waits=waits)
            if start is not None:
                kubeadm.finish(master, NODE, ADDRESS, real.version)
            for path in ("/readyz", "/api/v1/namespaces/default/serviceaccounts/default"):
                _await_api(state, node.api, _REAL_START_LIMIT, path, waits)
        step(5)
        node.run(["kubectl", "get", "nodes"], timeout=_START_LIMIT)

    def _lay(self, state: StateFolder, start: Overlay, real: ControlPlane | None) -> None:
        files, admin = pki.make(NODE, ADDRESS, self._now())
        skeleton.write(state.root, files)
        state.admin.mkdir(mode=0o700, exist_ok=True)
        for name, content in admin.files().items():
            (state.admin / name).write_bytes(content)
            (state.admin / name).chmod(0o600)
        folders = [f for f in manifests.ca_folder_candidates() if f.startswith("/usr/") and Path(f).is_dir()]
        version = manifests.KUBERNETES if real is None else real.version
        pods = manifests.make(NODE, ADDRESS, ["/etc/ca-certificates", *folders], version)
        skeleton.write(state.root, pods)
        _unpack(start.tar(pods[MANIFEST.lstrip("/")].content.decode()), state.root)
        state.update_lab(made=True)

    def _look(self, state: StateFolder, *, ask_lock: bool = False) -> Lab:
        """Say what a folder is right now. `ask_lock`: a lab that another program works on is starting."""
        file = state.lab()
        process = state.process()
        alive = process is not None and process.alive
        detail = ""
        if ask_lock and is_locked(state.path):
            condition = "starting"
        elif alive:
            try:
                begun = ask(state.path, {"op": "status"}, timeout=2.0).get("begun")
            except (OSError, ValueError) as error:
                begun, detail = False, f"its first process does not answer: {error}"
            condition = "running" if begun and file is not None else "broken"
            if condition == "broken" and not detail:
                detail = "its start was cut off"
        elif file is not None and file.made:
            condition, detail = "stopped", "its files are there, its processes are not"
        else:
            condition, detail = "broken", "its start was cut off"
        if file is None:
            return Lab(state.path.name, self.name, "", None, NODE, None, condition, None, detail)
        started = None if file.started is None else datetime.fromisoformat(file.started)
        return Lab(
            file.name, self.name, file.scenario, file.seed, file.node, file.apiserver, condition, started, detail
        )

    def _end(self, state: StateFolder) -> None:
        """Kill init; the kernel ends everything else in its pid namespace. Raises LabError."""
        process = state.process()
        if process is None or not process.alive:
            return
        try:
            door = os.pidfd_open(process.pid)
        except ProcessLookupError:
            return
        try:
            if not process.alive:
                return
            signal.pidfd_send_signal(door, signal.SIGKILL)
            if not select.select([door], [], [], _END_LIMIT)[0]:
                raise LabError(f"process {process.pid} of lab {state.path.name} does not end", f"kill -9 {process.pid}")
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise LabError(
                f"process {process.pid} of lab {state.path.name} is another user's", f"ls -ld {state.path}"
            ) from error
        finally:
            os.close(door)


def _empty(state: StateFolder) -> None:
    """Remove all of a lab's folder but lab.json."""
    for entry in state.path.iterdir():
        if entry.name == "lab.json":
            continue
        if entry.is_dir() and not entry.is_symlink():
            remove_tree(entry)
        else:
            entry.unlink()


def _real(spec: LabSpec) -> ControlPlane | None:
    """Return the real API server that a new lab gets, None for the lite one. Raises LabError."""
    wanted = spec.kubernetes_version
    if spec.apiserver == "lite":
        if wanted is not None:
            raise LabError(
                "the lite API server is of one version only", "leave out --kubernetes-version, or --apiserver"
            )
        return None
    found = binaries.find(wanted)
    if found is None and wanted is not None:
        raise LabError(
            f"there is no kube-apiserver {wanted} for the sandbox yet", f"cks-lab setup --kubernetes-version {wanted}"
        )
    if found is None and spec.apiserver != "auto":
        raise LabError(
            "the sandbox has no real kube-apiserver yet, only the lite one",
            "cks-lab setup   gets it; or start with --apiserver lite, or --on kind",
        )
    return found


def _recorded(state: StateFolder) -> ControlPlane | None:
    """Return the real API server that a lab was made with, None for the lite one. Raises LabError where it is gone."""
    lab = _lab(state)
    if lab.lite or lab.control_plane is None:
        return None
    found = binaries.at(lab.apiserver, *lab.control_plane) or binaries.find(lab.apiserver)
    if found is None:
        raise LabError(
            f"the lab {lab.name} was made with kube-apiserver {lab.apiserver}, which is not here any more",
            f"cks-lab setup --kubernetes-version {lab.apiserver}",
        )
    return found


def _lab(state: StateFolder) -> LabFile:
    lab = state.lab()
    assert lab is not None
    return lab


def _await_api(
    state: StateFolder,
    api: SandboxApi,
    limit: float,
    path: str = f"/api/v1/nodes/{NODE}",
    waits: Callable[[str], None] | None = None,
) -> None:
    """Wait until the API server answers, by default that it has the node. Raises LabError.

    A real one is asked less often, and `waits` is told while it takes long.
    """
    deadline = time.monotonic() + limit
    told = time.monotonic() + _TOLD_AFTER
    last = ""
    while time.monotonic() < deadline:
        try:
            answer = api.request("GET", path, timeout=2.0)
            if answer.status == 200:
                return
            last = f"status {answer.status}"
        except LabError as error:
            last = error.message
        process = state.process()
        if process is None or not process.alive:
            raise LabError(f"the node {state.path.name} ended:\n{state.last_words()}", "cks-lab doctor")
        if waits is not None and time.monotonic() > told:
            waits(path)
        # A real one is busy with its own start, on the same cores.
        time.sleep(_LOOK_AGAIN if waits is None else _LOOK_AGAIN_REAL)
    raise LabError(
        f"no API server answered on {state.path.name} within {limit:g} s: {last}",
        "start it with --retain, and look with crictl ps -a and crictl logs on the node",
    )


def _unpack(archive: bytes, root: Path) -> None:
    """Lay a tar of plain files over a tree that is not in use yet. Raises LabError for a path that leads out of it."""
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        for entry in tar:
            target = root / entry.name
            content = tar.extractfile(entry)
            if content is None or ".." in target.parts or not _is_own(root, target):
                raise LabError(f"/{entry.name}: cannot be laid on the node", "cks-lab scenario check")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read())
            target.chmod(entry.mode)


def _is_own(root: Path, target: Path) -> bool:
    relative = target.relative_to(root)
    links = any((root / parent).is_symlink() for parent in relative.parents)
    return relative.parts[0] in skeleton.OWN and not links
