"""Owns what we keep of a lab in a container: a folder each, by which it is found, put back and removed.

lab.json        what it is: written before anything is made, removed last
kubeconfig      the administrator's way to the API server, for the program itself
first/          the node's own files as they were before the task was laid (see `first_state`)

Beside it is NAME.log, what the CLI said when the cluster was made.
Labels of the CLI say that a container is a node of a cluster; only a record says that the cluster is a lab of ours.
"""

from __future__ import annotations

import json
import shutil
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ...errors import LabError
from ...home import made, write_whole
from ..folder_lock import is_locked, locked


@dataclass(frozen=True, slots=True)
class Record:
    """lab.json. `container`: the control plane's id, None until it is made; `containers`: all of the cluster's.

    `node` is its name in Kubernetes and in Docker. `making`: whatever has the cluster's name is ours and half made.
    `ready`: the task is laid, so that it can be started again.
    `created`, `started`: RFC 3339 in UTC.
    """

    name: str
    driver: str
    cluster: str
    scenario: str
    seed: int | None
    created: str
    version: str
    node: str = ""
    container: str | None = None
    containers: tuple[str, ...] = ()
    apiserver: str | None = None
    started: str | None = None
    making: bool = False
    ready: bool = False
    adopted: bool = False


class RecordFolder:
    """The folder of one lab."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, as the CLI wrote it."""
        return self.path / "kubeconfig"

    @property
    def first(self) -> Path:
        """The folder of the node's files as they were."""
        return self.path / "first"

    @property
    def log(self) -> Path:
        """What the CLI said. It outlives a start that failed, with all else of the lab removed."""
        return self.path.with_name(f"{self.path.name}.log")

    def read(self) -> Record | None:
        """Return the record; None if there is none that can be read."""
        try:
            said = json.loads((self.path / "lab.json").read_bytes())
            return Record(**{**said, "containers": tuple(said.get("containers", ()))})
        except (OSError, ValueError, TypeError):
            return None

    def write(self, record: Record) -> Record:
        """Write the record, whole or not at all. Raises LabError."""
        write_whole(made(self.path) / "lab.json", json.dumps(asdict(record), indent=1).encode() + b"\n")
        return record

    def update(self, **changes: object) -> Record:
        """Change fields of the record. Raises LabError."""
        record = self.read()
        if record is None:
            raise LabError(f"{self.path / 'lab.json'}: the record of the lab is gone", "cks-lab status")
        if isinstance(containers := changes.get("containers"), list):
            changes["containers"] = tuple(containers)
        return self.write(replace(record, **changes))  # type: ignore[arg-type]

    def remove(self) -> None:
        """Remove the folder, the record last. Raises LabError."""
        try:
            for entry in sorted(self.path.iterdir(), key=lambda entry: entry.name == "lab.json"):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
            self.path.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            raise LabError(f"cannot remove {self.path}: {error.strerror}", f"rm -rf {self.path}") from error

    def locked(self) -> AbstractContextManager[None]:
        """Be the only program that works on this lab. Raises LabError where another one is."""
        return locked(self.path)

    def busy(self) -> bool:
        """Say whether another program works on this lab now."""
        return is_locked(self.path)


class Records:
    """The folders of all labs in containers; each driver sees its own."""

    def __init__(self, folder: Path, driver: str) -> None:
        self.path = folder
        self._driver = driver

    def folder(self, lab: str) -> RecordFolder:
        """Return the folder of a lab, whether it is there or not."""
        return RecordFolder(self.path / lab)

    def all(self) -> list[tuple[RecordFolder, Record]]:
        """Return the records of this driver, by name of the lab. Raises LabError."""
        try:
            folders = sorted(entry for entry in self.path.iterdir() if entry.is_dir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LabError(f"cannot look into {self.path}: {error.strerror}", f"ls -ld {self.path}") from error
        found = [(folder, folder.read()) for folder in map(RecordFolder, folders)]
        return [(folder, record) for folder, record in found if record is not None and record.driver == self._driver]
