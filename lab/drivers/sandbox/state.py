"""Owns the folder that the sandbox keeps of a lab, `<labs>/<name>/`, by which the lab is found again.

lab.json       what it is; written before anything else is made
process.json   its init: pid, start time and boot of the machine; written by the first stage
control.sock   where its init listens
node.log       what the first stage and init said
root/          the node's own /etc /var /root /opt /srv /home
admin/         the administrator's certificate, for the program itself
bin/           the lab's tools, shown on the node at /opt/cks-lab/bin
mnt/           an empty folder that the node's root is built on, in its own mount namespace
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ...errors import LabError

LITE = "lite "
_TRIES = 20


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process of this machine that no other can be mistaken for."""

    pid: int
    started: str
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """Return the identity of a live process, None if there is none. A zombie has ended."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return None
        return None if fields[0] in "ZX" else cls(pid, fields[19], boot)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return ProcessId.of(self.pid) == self


@dataclass(frozen=True, slots=True)
class LabFile:
    """lab.json. `made`: all files of the node are laid, so that it can be started again from them.

    `created` and `started` are RFC 3339 in UTC; `started` is None before init has begun. `control_plane`: where the
    real kube-apiserver and etcd lie, None for the lite one.
    """

    name: str
    scenario: str
    seed: int | None
    node: str
    address: str
    apiserver: str
    pace: str
    created: str
    started: str | None
    made: bool
    version: str
    control_plane: tuple[str, str] | None = None

    @property
    def lite(self) -> bool:
        """Whether its API server is the lite one; of a real one `apiserver` is the version."""
        return self.apiserver.startswith(LITE)


class StateFolder:
    """The folder of one lab."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def root(self) -> Path:
        """The node's own directories."""
        return self.path / "root"

    @property
    def admin(self) -> Path:
        """The administrator's ca.crt, admin.crt and admin.key; master.crt and .key of one whom no role stops."""
        return self.path / "admin"

    @property
    def log(self) -> Path:
        """What the first stage and init said."""
        return self.path / "node.log"

    def write_lab(self, lab: LabFile) -> None:
        """Write lab.json whole or not at all."""
        write_whole(self.path / "lab.json", json.dumps(asdict(lab), indent=1) + "\n")

    def update_lab(self, **changes: object) -> LabFile:
        """Change fields of lab.json."""
        lab = self.lab()
        if lab is None:
            raise LabError(f"{self.path / 'lab.json'}: the lab's file is gone", "cks-lab stop --all")
        changed: LabFile = replace(lab, **changes)  # type: ignore[arg-type]
        self.write_lab(changed)
        return changed

    def lab(self) -> LabFile | None:
        """Read lab.json; None if there is none that can be read."""
        try:
            return LabFile(**json.loads((self.path / "lab.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def process(self) -> ProcessId | None:
        """Return the identity of the init that was started last, whether it lives or not."""
        try:
            return ProcessId(**json.loads((self.path / "process.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def write_process(self, process: ProcessId) -> None:
        """Note which process init is."""
        write_whole(self.path / "process.json", json.dumps(asdict(process)) + "\n")

    def last_words(self, lines: int = 5) -> str:
        """Return the end of the node's log."""
        try:
            text = self.log.read_bytes().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.strip().splitlines()[-lines:])


def write_whole(path: Path, text: str) -> None:
    """Write a file so that nobody ever sees a half of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text)
    partial.replace(path)


def remove_tree(path: Path) -> None:
    """Remove a folder, whatever modes a learner has given to what is in it. One that is gone is fine.

    Raises LabError.
    """
    for tries_left in reversed(range(_TRIES)):
        try:
            shutil.rmtree(path)
            return
        except FileNotFoundError:
            if not path.exists():
                return
        except PermissionError:
            _unlock(path)
        except OSError as error:
            # A process that is about to end may still write into it (ENOTEMPTY).
            if tries_left == 0 or error.errno != errno.ENOTEMPTY:
                raise LabError(f"cannot remove {path}: {error.strerror}", f"rm -rf {path}") from error
            time.sleep(0.05)
    raise LabError(f"cannot remove {path}", f"rm -rf {path}")


def _unlock(path: Path) -> None:
    try:
        path.chmod(stat.S_IRWXU)
    except OSError as error:
        raise LabError(f"cannot remove {path}: {error.strerror}", f"sudo rm -rf {path}") from error
    for entry in os.scandir(path):
        if entry.is_dir(follow_symlinks=False):
            _unlock(Path(entry.path))
