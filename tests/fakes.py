"""A driver without a node: its labs are directories, so that what is above it is tested without namespaces.

It keeps to the seam of lab/drivers/base.py, across processes too. No API server runs on it: `api` is None.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from checkers.evidence import NodeFiles
from lab import procs
from lab.drivers.base import ApiAccess, DriverInfo, Lab, LabSpec, Progress, Step, silent
from lab.errors import LabError
from lab.evidence.directory import DirectoryFiles
from lab.home import Home, made
from lab.overlay import MANIFEST, Overlay
from lab.procs import Completed

MANIFEST_TEXT = """apiVersion: v1
kind: Pod
metadata:
  name: kube-apiserver
  namespace: kube-system
spec:
  hostNetwork: true
  containers:
  - name: kube-apiserver
    image: registry.k8s.io/kube-apiserver:v1.34.4
    command:
    - kube-apiserver
    - --secure-port=6443
    - --etcd-servers=https://127.0.0.1:2379
    volumeMounts:
    - name: k8s-certs
      mountPath: /etc/kubernetes/pki
      readOnly: true
  volumes:
  - name: k8s-certs
    hostPath:
      path: /etc/kubernetes/pki
      type: DirectoryOrCreate
"""


class FakeNode:
    """A directory as a node. Commands run on this machine with the directory for `/` in tar's and tail's arguments."""

    name = "fake-control-plane"
    api: ApiAccess | None = None
    patience = 0.0

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def files(self) -> NodeFiles:
        return DirectoryFiles(self.root)

    def shell_argv(self, command: Sequence[str] = ()) -> list[str]:
        """Return a shell in the directory, or one command in it."""
        if not command:
            return ["sh", "-c", f"cd {shlex.quote(str(self.root))} && exec sh"]
        return ["sh", "-c", f'cd {shlex.quote(str(self.root))} && exec "$@"', "sh", *command]

    def run(self, argv: Sequence[str], *, timeout: float, stdin: bytes | None = None) -> Completed:
        """Run a command, its end whatever it is."""
        if argv[0] in ("crictl", "journalctl"):
            said = b'{"containers": []}' if argv[0] == "crictl" else b""
            return Completed(tuple(argv), 0, said, b"")
        at = [str(self.root) if part == "/" else part for part in argv]
        if argv[0] == "tail":
            at[-1] = str(self.root) + argv[-1]
        return procs.run(at, timeout=timeout, stdin=stdin, check=False, cwd=self.root)


class FakeDriver:
    """Labs as directories below the person's labs folder."""

    name = "sandbox"
    available: ClassVar[bool] = True
    fail_create: ClassVar[str] = ""

    def __init__(self) -> None:
        self._labs = Home.of().labs

    def probe(self) -> DriverInfo:
        if self.available:
            return DriverInfo(self.name, True, "directories are enough here")
        return DriverInfo(self.name, False, "user namespaces are refused", "sysctl -w user.max_user_namespaces=1000")

    def create(self, spec: LabSpec, progress: Progress = silent) -> Lab:
        folder = self._labs / spec.name
        progress(Step(1, 2, "Making the node"))
        if folder.exists() and self._read(folder).state == "running":
            raise LabError(f"a lab called {spec.name!r} is there already", f"cks-lab stop --lab {spec.name}")
        if not folder.exists():
            made(folder / "root/root")
            self._lay(folder / "root", spec.start)
        if self.fail_create:
            if not spec.retain:
                shutil.rmtree(folder)
            raise LabError(self.fail_create, "cks-lab doctor")
        progress(Step(2, 2, "Starting the API server"))
        lab = Lab(
            name=spec.name,
            driver=self.name,
            scenario=spec.scenario,
            seed=spec.seed,
            node=FakeNode.name,
            apiserver=None,
            state="running",
            started=datetime.now(UTC),
        )
        self._write(folder, lab)
        return lab

    def find(self) -> list[Lab]:
        return [self._read(path.parent) for path in sorted(self._labs.glob("*/lab.json"))]

    def node(self, lab: Lab) -> FakeNode:
        root = self._labs / lab.name / "root"
        if not root.is_dir():
            raise LabError(f"the lab {lab.name} is gone", "cks-lab status")
        return FakeNode(root)

    def reset(self, lab: Lab, start: Overlay) -> None:
        root = self._labs / lab.name / "root"
        shutil.rmtree(root)
        made(root / "root")
        self._lay(root, start)

    def destroy(self, lab: Lab) -> None:
        shutil.rmtree(self._labs / lab.name, ignore_errors=True)

    def set_state(self, lab: Lab, state: str, detail: str = "") -> Lab:
        """Put a lab into a state, for a test."""
        changed = replace(lab, state=state, detail=detail)
        self._write(self._labs / lab.name, changed)
        return changed

    def _lay(self, root: Path, start: Overlay) -> None:
        manifest = root / MANIFEST.lstrip("/")
        made(manifest.parent)
        manifest.write_text(MANIFEST_TEXT)
        done = FakeNode(root).run(["tar", "-xpf", "-", "-C", "/"], timeout=10, stdin=start.tar(MANIFEST_TEXT))
        assert done.exit_code == 0, done.stderr

    def _write(self, folder: Path, lab: Lab) -> None:
        kept = asdict(lab) | {"started": lab.started.isoformat() if lab.started else None}
        (folder / "lab.json").write_text(json.dumps(kept))

    def _read(self, folder: Path) -> Lab:
        kept = json.loads((folder / "lab.json").read_text())
        return Lab(**kept | {"started": datetime.fromisoformat(kept["started"])})
