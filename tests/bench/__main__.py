"""`make bench`: the figures that are promised, each with its ratio to the bar and to a peer measured in the same run.

    python -m tests.bench [--only WORD] [--labs N]

A ratio of at most 1 to the bar keeps the promise. Times are medians of several runs, taken in turn with the peer's.
What is measured works in a home of its own, which is removed whatever happens; one that was left behind by a run that
was killed is removed by the next.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import itertools
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import log_commands
from . import logs as long_logs

if TYPE_CHECKING:
    from lab.drivers.base import Lab
    from lab.drivers.sandbox.driver import SandboxDriver

BIN = Path(sys.executable).parent
_HOME = "cks-lab-bench-"
_LOCK = ".in-use"


@dataclass(frozen=True)
class Figure:
    """One line of the table. `value` and `bar` in `unit`; `peer` names the other thing measured and its value."""

    what: str
    value: float
    unit: str
    bar: float
    more_is_better: bool = False
    peer: tuple[str, float] | None = None

    def __str__(self) -> str:
        ratio = self.bar / self.value if self.more_is_better else self.value / self.bar
        text = f"{self.what:<58}{self.value:>9.3f} {self.unit:<5} {ratio:>6.2f} of the bar ({self.bar:g} {self.unit})"
        if self.peer:
            name, value = self.peer
            text += f"; {self.value / value:.2f}× {name} ({value:.3f} {self.unit})"
        return text


def medians(*measures: Callable[[], float], runs: int = 5) -> list[float]:
    """Return the median of each after a run that does not count. They take turns: what else runs here hits all alike."""
    for measure in measures:
        measure()
    return [statistics.median(column) for column in zip(*([m() for m in measures] for _ in range(runs)), strict=True)]


def median(measure: Callable[[], float], runs: int = 5) -> float:
    """Return the median of several runs after one that does not count."""
    return medians(measure, runs=runs)[0]


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def command(*argv: str, ok: tuple[int, ...] = (0,)) -> Callable[[], object]:
    """Return an action that runs a command to its end."""

    def run() -> None:
        done = subprocess.run(argv, capture_output=True, timeout=120)
        if done.returncode not in ok:
            raise SystemExit(f"{argv}: exit {done.returncode}\n{done.stderr.decode()}")

    return run


@contextlib.contextmanager
def one_lab() -> Iterator[tuple[SandboxDriver, Lab]]:
    """Give a sandbox with its task, and its driver."""
    from lab.catalog import load
    from lab.drivers.base import LabSpec
    from lab.drivers.sandbox.driver import SandboxDriver

    driver = SandboxDriver()
    lab = driver.create(LabSpec("bench-one", "audit-log", start=load("audit-log").start))
    try:
        yield driver, lab
    finally:
        driver.destroy(lab)


def solver(driver: SandboxDriver, lab: Lab) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return what puts the manifest back as it was, and what lays the solution; both wait until the API answers."""
    from lab.catalog import load
    from lab.evidence.settle import settle
    from lab.overlay import MANIFEST

    scenario = load("audit-log")
    node = driver.node(lab)
    original = node.files.read(MANIFEST)
    archive = scenario.solution.tar(original.decode())

    def write(argv: list[str], content: bytes) -> None:
        written = node.run(argv, stdin=content, timeout=10)
        settled = settle(node, scenario.wants, patience=20)
        if written.exit_code or settled.state != "running":
            raise SystemExit(f"{argv}: {written.stderr.decode()}; the API server: {settled.state} {settled.detail}")

    return lambda: write(["tee", MANIFEST], original), lambda: write(["tar", "-xpf", "-", "-C", "/"], archive)


def start() -> Iterator[Figure]:
    """The command as a person types it, up to the lab's name, which is printed once kubectl answers."""
    cks_lab = str(BIN / "cks-lab")

    def once() -> float:
        took = timed(command(cks_lab, "start", "audit-log", "--on", "sandbox", "--lab", "bench-start"))
        command(cks_lab, "stop", "--lab", "bench-start", "--yes")()
        return took

    yield Figure("sandbox: command → kubectl answers", median(once), "s", 2.0)


def edit() -> Iterator[Figure]:
    """From before the solution is written to the first answer of the API server that runs by it."""
    with one_lab() as (driver, lab):
        undo, solve = solver(driver, lab)

        def once() -> float:
            undo()
            return timed(solve)

        yield Figure("manifest saved → API answers again (lite)", median(once), "s", 2.0)


def grading() -> Iterator[Figure]:
    """A node with the solution on it: the most work there is."""
    from lab.grading import grade_bundle

    cks_lab = str(BIN / "cks-lab")
    with one_lab() as (driver, lab), tempfile.TemporaryDirectory() as folder:
        solver(driver, lab)[1]()
        bundle = Path(folder) / "bundle.tar.gz"
        command(cks_lab, "collect", "--lab", lab.name, "-o", str(bundle))()
        inside = median(lambda: timed(lambda: grade_bundle(bundle)), 9)
        yield Figure("grade a captured node, after the interpreter's start", inside, "s", 0.2)
        whole, bare = medians(
            lambda: timed(command(cks_lab, "grade", "--bundle", str(bundle), ok=(0, 1))),
            lambda: timed(command(sys.executable, "-c", "pass")),
            runs=9,
        )
        yield Figure("cks-lab grade --bundle, in all", whole, "s", 0.5, peer=("an empty python", bare))


def bulk() -> Iterator[Figure]:
    """A class of learners, of whom no two wrote the same."""
    from . import bundles

    with one_lab() as (driver, lab):
        for what, value, unit, bar, peer in bundles.figures(driver, lab):
            yield Figure(what, value, unit, bar, more_is_better=unit == "/s", peer=peer)


def proof() -> Iterator[Figure]:
    """One policy that fails its wishes, one that keeps them: neither may be the slow case."""
    from checkers.kube.audit_policy import Level, load_policy
    from checkers.kube.goyaml import decode
    from checkers.kube.policy.lint import lint
    from checkers.kube.policy_proof import Selector, Wish, prove

    wishes = [Wish(Selector(resources=(f"r{n}",), namespaces=(f"ns-{n}",)), Level.METADATA, None) for n in range(9)]
    wishes.append(Wish(Selector.written(resources=("*",)), Level.METADATA, Level.REQUEST))
    for holds, levels in ((False, ("None", "Metadata", "Request")), (True, ("Metadata", "Request"))):
        rules = "".join(
            f"- level: {levels[n % len(levels)]}\n  users: [user-{n}]\n  verbs: [get, list, verb-{n % 7}]\n"
            f"  namespaces: [ns-{n % 9}]\n  resources: [{{group: g{n % 5}.example.com, resources: [r{n}, r{n}/status]}}]\n"
            for n in range(49)
        )
        text = f"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n{rules}- level: Metadata\n"
        policy = load_policy(text.encode())
        if prove(policy, wishes).holds is not holds:
            raise SystemExit(f"the policy {'breaks' if holds else 'keeps'} its wishes")
        took = median(lambda policy=policy: timed(lambda: prove(policy, wishes)), 9)  # type: ignore[misc]
        yield Figure(f"prove a 50-rule policy {'right' if holds else 'wrong'}, 10 wishes", took, "s", 0.05)
        document = decode(text.encode())
        took = median(lambda policy=policy, document=document: timed(lambda: lint(policy, document)), 9)  # type: ignore[misc]
        yield Figure(f"lint a 50-rule policy {'right' if holds else 'wrong'}", took, "s", 0.05)


def screen() -> Iterator[Figure]:
    """From the command to the first line that is drawn."""
    empty = (
        "from textual.app import App\nfrom textual.widgets import Static\n"
        "class A(App):\n def compose(self): yield Static('EMPTYAPP')\nA().run()"
    )
    ours, peer = medians(
        lambda: first_paint([str(BIN / "cks-lab")], "CKS Lab"),
        lambda: first_paint([sys.executable, "-c", empty], "EMPTYAPP"),
    )
    yield Figure("TUI: first paint", ours, "s", 0.4, peer=("an empty Textual app", peer))


def first_paint(argv: list[str], text: str) -> float:
    """Return the seconds until a program has drawn a text on a terminal of its own."""
    import pty
    import select

    began = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", LINES="40", COLUMNS="120")
        os.execvp(argv[0], argv)
    seen = b""
    try:
        while re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", seen).find(text.encode()) < 0:
            ready, _, _ = select.select([terminal], [], [], 20)
            chunk = os.read(terminal, 65536) if ready else b""
            if not chunk:
                raise SystemExit(f"{argv}: nothing was drawn")
            seen += chunk
        return time.perf_counter() - began
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def many(count: int) -> Iterator[Figure]:
    """Start many labs, ask each, and add up the memory (PSS) of all their processes."""
    from lab.catalog import load
    from lab.drivers.base import LabSpec
    from lab.drivers.sandbox.driver import SandboxDriver

    driver = SandboxDriver()
    overlay = load("audit-log").start
    labs: list[Lab] = []
    try:
        starts, answers = [], []
        for number in range(count):
            spec = LabSpec(f"bench-{number}", "audit-log", start=overlay)
            starts.append(timed(lambda spec=spec: labs.append(driver.create(spec))))  # type: ignore[misc]
        for lab in labs:
            answers.append(timed(lambda lab=lab: kubectl(driver, lab)))  # type: ignore[misc]
        memory = {lab.name: sum(map(pss, processes(driver, lab))) * 1024 / 1e6 for lab in labs}
        one = f"{count} labs at once"
        # The first lab was started beside none, and asked beside all the others.
        yield Figure(f"{one}: memory of one, all its processes", statistics.mean(memory.values()), "MB", 60.0)
        yield Figure(f"{one}: memory of the biggest", max(memory.values()), "MB", 60.0)
        yield Figure(
            f"{one}: kubectl get nodes, the slowest of all", max(answers), "s", 2.0, peer=("the fastest", min(answers))
        )
        yield Figure(
            f"{one}: the start of the last ten",
            statistics.median(starts[-10:]),
            "s",
            2.0,
            peer=("the first", starts[0]),
        )
    finally:
        # Each is tried, though one may fail: what is left then is `cleaned`'s.
        for lab in labs:
            with contextlib.suppress(Exception):
                driver.destroy(lab)


def kubectl(driver: SandboxDriver, lab: Lab) -> None:
    """Ask a node with its own kubectl. Ends the program where it does not answer."""
    done = driver.node(lab).run(["kubectl", "get", "nodes"], timeout=60)
    if done.exit_code or lab.node not in done.text:
        raise SystemExit(f"{lab.name}: kubectl: exit {done.exit_code}: {done.text}{done.stderr.decode()}")


def processes(driver: SandboxDriver, lab: Lab) -> list[Path]:
    """Return the /proc folders of all of a lab's processes: those in its init's user namespace."""
    argv = driver.node(lab).shell_argv()
    space = os.readlink(f"/proc/{argv[argv.index('--target') + 1]}/ns/user")
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and os.readlink(entry / "ns/user") == space:
                found.append(entry)
    return found


def pss(process: Path) -> int:
    """Return a process's proportional set size in KiB."""
    with contextlib.suppress(OSError):
        for line in (process / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def logs() -> Iterator[Figure]:
    """A long log: how fast it is judged, and in how much memory; by a grade, and by the commands about logs."""
    for what, value, bar, peer in itertools.chain(long_logs.figures(), log_commands.figures()):
        speed = "MB/s" in what
        yield Figure(what, value, "MB/s" if speed else "MB", bar, more_is_better=speed, peer=peer)


@contextlib.contextmanager
def cleaned() -> Iterator[None]:
    """Give the program a home, and remove it with every lab in it. A lab that stays is named, and so is its home."""
    for left in Path(tempfile.gettempdir()).glob(_HOME + "*"):
        with contextlib.suppress(OSError), (left / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(left)
    home = Path(tempfile.mkdtemp(prefix=_HOME))
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with (home / _LOCK).open("w") as lock:
        # Held as long as this process is there, whatever ends it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.environ["CKS_LAB_HOME"] = str(home)
        try:
            yield
        finally:
            remove(home)


def remove(home: Path) -> None:
    """Remove a home with its labs."""
    argv = [str(BIN / "cks-lab"), "stop", "--all", "--yes"]
    stopped = subprocess.run(argv, env={**os.environ, "CKS_LAB_HOME": str(home)}, capture_output=True, timeout=300)
    if stopped.returncode:
        print(f"{stopped.stderr.decode()}labs may be left: CKS_LAB_HOME={home} {' '.join(argv)}", file=sys.stderr)
    else:
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    """Measure and print what is built."""
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=…", description=__doc__.partition("\n")[0] if __doc__ else None
    )
    parser.add_argument("--only", choices=PARTS, help="measure only this part")
    parser.add_argument("--labs", type=int, default=100, metavar="N", help="how many labs at once (100)")
    arguments = parser.parse_args()
    with cleaned():
        # Figures are worth as much as the machine was calm.
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
        for name, part in PARTS.items():
            if arguments.only in (None, name):
                for figure in many(arguments.labs) if name == "labs" else part():
                    print(figure, flush=True)


PARTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "start": start,
    "edit": edit,
    "grade": grading,
    "bulk": bulk,
    "proof": proof,
    "logs": logs,
    "screen": screen,
    "labs": lambda: many(100),
}

if __name__ == "__main__":
    main()
