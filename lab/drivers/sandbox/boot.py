"""The first stage of a node, run by the driver as a process of its own: it makes the namespaces and the root, and
becomes `init` inside them.

What it prints goes to the node's log in the lab's state. `--probe` only tries what a node needs and says how far it
got.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from . import namespaces as ns
from .rootfs import build
from .state import ProcessId, StateFolder

_TITLE_ROOM = "-" * 12_000
"""Room that setproctitle finds beside argv: a container's process shows its whole command line there."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the first stage is told, as JSON on its command line. Paths are the host's, but for `executable`,
    `import_path`, `library_path`, those in `real` and the second of each pair in `binds`.

    `real`: the programs of the control plane that are real ones, with their paths; `version`: Kubernetes' ("v1.34.4").
    """

    state: str
    node: str
    address: str
    pace: str
    own: tuple[str, ...]
    trees: tuple[str, ...]
    binds: tuple[tuple[str, str], ...]
    real: dict[str, str]
    version: str
    wrapper: tuple[str, str]
    executable: str
    import_path: str
    library_path: str
    path: str

    def to_json(self) -> str:
        """Write it as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote."""
        found = json.loads(text)
        found["binds"] = tuple((source, target) for source, target in found["binds"])
        found["own"], found["trees"] = tuple(found["own"]), tuple(found["trees"])
        found["wrapper"] = (found["wrapper"][0], found["wrapper"][1])
        return cls(**found)


def main(argv: list[str]) -> int:
    """Run the first stage: `PLAN LISTENER LEASH`, the last two being file descriptors handed down to init."""
    if argv[1:] == ["--probe"]:
        print(json.dumps(probe()))
        return 0
    plan, listener, leash = Plan.from_json(argv[1]), int(argv[2]), int(argv[3])
    _enter_user_namespace()
    ns.unshare(ns.CLONE_NEWPID)
    # This process keeps its view of the host until init is noted down; init leaves it at once.
    child = os.fork()
    if child == 0:
        _become_init(plan, listener, leash)
    identity = ProcessId.of(child)
    if identity is None:
        print("init ended at once", file=sys.stderr)
        return 1
    StateFolder(Path(plan.state)).write_process(identity)
    return 0


def _enter_user_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    ns.unshare(ns.CLONE_NEWUSER)
    ns.map_single_id(uid, gid)


def _become_init(plan: Plan, listener: int, leash: int) -> NoReturn:
    try:
        ns.unshare(ns.CLONE_NEWNS | ns.CLONE_NEWUTS | ns.CLONE_NEWIPC | ns.CLONE_NEWNET)
        socket.sethostname(plan.node)
        ns.bring_up_loopback(plan.address)
        state = Path(plan.state)
        build(state / "mnt", state / "root", plan.own, plan.trees, plan.binds, plan.wrapper)
        for fd in (listener, leash):
            os.set_inheritable(fd, True)
        environment = {
            "PATH": plan.path,
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "PYTHONPATH": plan.import_path,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUTF8": "1",
            "CKS_LAB_TITLE_ROOM": _TITLE_ROOM,
        }
        if plan.library_path:
            environment["LD_LIBRARY_PATH"] = plan.library_path
        told = json.dumps(
            {
                "node": plan.node,
                "address": plan.address,
                "pace": plan.pace,
                "real": plan.real,
                "version": plan.version,
            }
        )
        arguments = ["-S", "-s", "-P", "-m", "lab.drivers.sandbox.init", told, str(listener), str(leash)]
        os.execve(plan.executable, [plan.executable, *arguments], environment)
    except OSError as error:
        print(f"the node's first stage: {error}", file=sys.stderr, flush=True)
    os._exit(1)


def probe() -> dict[str, object]:
    """Try, step by step, what a node needs. Returns {"failed": step or null, "errno": int or null}."""
    step = "user namespace"
    try:
        _enter_user_namespace()
        step = "namespaces"
        ns.unshare(ns.CLONE_NEWNS | ns.CLONE_NEWUTS | ns.CLONE_NEWIPC | ns.CLONE_NEWNET | ns.CLONE_NEWPID)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            _probe_mounts(writer)
        os.close(writer)
        os.waitpid(child, 0)
        said = os.read(reader, 100).decode()
        if said:
            step, _, number = said.partition("|")
            return {"failed": step, "errno": int(number)}
    except OSError as error:
        return {"failed": step, "errno": error.errno}
    return {"failed": None, "errno": None}


def _probe_mounts(report: int) -> NoReturn:
    step = "mount"
    try:
        ns.mount("none", "/", flags=ns.MS_SLAVE | ns.MS_REC)
        ns.mount("tmpfs", "/tmp", "tmpfs", options="mode=755,size=16k")
        Path("/tmp/usr").mkdir()
        ns.bind("/usr", "/tmp/usr", read_only=True)
        Path("/tmp/proc").mkdir()
        step = "proc"
        ns.mount("proc", "/tmp/proc", "proc")
        step = "loopback"
        ns.bring_up_loopback()
    except OSError as error:
        os.write(report, f"{step}|{error.errno}".encode())
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
