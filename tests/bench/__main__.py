"""`make bench`: the figures that are promised, each with its ratio to the bar and to a peer measured in the same run.

    python -m tests.bench [--only WORD] [--labs N]

A ratio below 1 keeps the promise. Times are medians of several runs, taken in turn with the peer's.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent


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


def median(measure: Callable[[], float], runs: int = 5) -> float:
    """Return the median of several runs after one that does not count."""
    measure()
    return statistics.median(measure() for _ in range(runs))


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
def one_lab() -> Iterator[tuple[object, object]]:
    """Give a sandbox with its task and driver."""
    from lab.catalog import load
    from lab.drivers.base import LabSpec
    from lab.drivers.sandbox.driver import SandboxDriver

    driver = SandboxDriver()
    lab = driver.create(LabSpec("bench-one", "audit-log", start=load("audit-log").start))
    try:
        yield driver, lab
    finally:
        driver.destroy(lab)


def start() -> Iterator[Figure]:
    cks_lab = str(BIN / "cks-lab")

    def once() -> float:
        took = timed(command(cks_lab, "start", "audit-log", "--lab", "bench-start"))
        command(cks_lab, "stop", "--lab", "bench-start", "--yes")()
        return took

    yield Figure("sandbox: command → prompt with kubectl answering", median(once, 3), "s", 2.0)


def edit() -> Iterator[Figure]:
    from lab.catalog import load
    from lab.drivers.sandbox.driver import SandboxDriver
    from lab.evidence.settle import settle
    from lab.overlay import MANIFEST

    scenario = load("audit-log")
    with one_lab() as (driver, lab):
        assert isinstance(driver, SandboxDriver)
        node = driver.node(lab)  # type: ignore[arg-type]
        original = node.files.read(MANIFEST).decode()
        archive = scenario.solution.tar(original)

        def once() -> float:
            node.run(["tee", MANIFEST], stdin=original.encode(), timeout=10)
            settle(node, scenario.wants, patience=20)
            node.run(["tar", "-xpf", "-", "-C", "/"], stdin=archive, timeout=10)
            return timed(lambda: settle(node, scenario.wants, patience=20))

        yield Figure("manifest saved → API answers again (lite)", median(once, 3), "s", 2.0)


def grading() -> Iterator[Figure]:
    from lab.grading import grade_bundle

    cks_lab = str(BIN / "cks-lab")
    with one_lab(), tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle.tar.gz"
        command(cks_lab, "collect", "--lab", "bench-one", "-o", str(bundle))()
        yield Figure("grade a captured node, in the process", median(lambda: timed(lambda: grade_bundle(bundle)), 9), "s", 0.2)
        whole = median(lambda: timed(command(cks_lab, "grade", "--bundle", str(bundle), ok=(0, 1))), 9)
        bare = median(lambda: timed(command(sys.executable, "-c", "pass")), 9)
        yield Figure("cks-lab grade --bundle, in all", whole, "s", 0.5, peer=("an empty python", bare))


def proof() -> Iterator[Figure]:
    from checkers.kube.audit_policy import Level, load_policy
    from checkers.kube.policy_proof import Selector, Wish, prove

    rules = "".join(
        f"- level: {('None', 'Metadata', 'Request')[n % 3]}\n  users: [user-{n}]\n  verbs: [get, list, verb-{n % 7}]\n"
        f"  namespaces: [ns-{n % 9}]\n  resources: [{{group: 'g{n % 5}', resources: [r{n}, r{n}/status]}}]\n"
        for n in range(49)
    )
    text = f"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n{rules}- level: Metadata\n"
    policy = load_policy(text.encode())
    wishes = [Wish(Selector(resources=(f"r{n}",), namespaces=(f"ns-{n}",)), Level.METADATA, None) for n in range(9)]
    wishes.append(Wish(Selector(resources=("*",)), Level.METADATA, Level.REQUEST))
    yield Figure("prove a 50-rule policy, 10 wishes", median(lambda: timed(lambda: prove(policy, wishes)), 9), "s", 0.05)


def screen() -> Iterator[Figure]:
    ours = median(lambda: first_paint([str(BIN / "cks-lab")], "CKS Lab"), 5)
    empty = "from textual.app import App\nfrom textual.widgets import Static\nclass A(App):\n def compose(self): yield Static('EMPTYAPP')\nA().run()"
    peer = median(lambda: first_paint([sys.executable, "-c", empty], "EMPTYAPP"), 5)
    yield Figure("TUI: first paint", ours, "s", 0.4, peer=("an empty Textual app", peer))


def first_paint(argv: list[str], text: str) -> float:
    """Return the seconds until a program has drawn a text on a terminal of its own."""
    import pty
    import select
    import signal

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
    start_files = load("audit-log").start
    labs = []
    began = time.perf_counter()
    try:
        for number in range(count):
            labs.append(driver.create(LabSpec(f"bench-{number}", "audit-log", start=start_files)))
        took = time.perf_counter() - began
        answers = []
        for lab in labs:
            node = driver.node(lab)
            answers.append(timed(lambda node=node: node.run(["kubectl", "get", "nodes"], timeout=60)))  # type: ignore[misc]
        memory = sum(pss(Path(f"/proc/{pid}")) for pid in namespace_processes(driver, labs))
        yield Figure(f"{count} labs at once: memory of one", memory / count / 1024, "MB", 60.0)
        yield Figure(f"{count} labs at once: kubectl get nodes, the slowest of all", max(answers), "s", 2.0)
        yield Figure(f"{count} labs at once: start of one", took / count, "s", 2.0)
    finally:
        for lab in labs:
            driver.destroy(lab)


def namespace_processes(driver: object, labs: list[object]) -> Iterator[int]:
    """Yield the pids, as seen here, of all processes in the labs' namespaces."""
    spaces = set()
    for lab in labs:
        argv = driver.node(lab).shell_argv()  # type: ignore[attr-defined]
        init = argv[argv.index("--target") + 1]
        spaces.add(os.readlink(f"/proc/{init}/ns/user"))
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and os.readlink(entry / "ns/user") in spaces:
                yield int(entry.name)


def pss(process: Path) -> int:
    """Return a process's proportional set size in KiB."""
    with contextlib.suppress(OSError):
        for line in (process / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def logs() -> Iterator[Figure]:
    from tests.bench.logs import figures

    for what, value, bar, peer in figures():
        yield Figure(what, value, "MB/s" if "MB/s" in what else "MB", bar, more_is_better="MB/s" in what, peer=peer)


def main() -> None:
    """Measure and print what is built."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--only", default="", help="measure only what has this word in its name: " + ", ".join(PARTS))
    parser.add_argument("--labs", type=int, default=100, help="how many labs at once (100)")
    arguments = parser.parse_args()
    home = tempfile.mkdtemp(prefix="cks-lab-bench-")
    os.environ["CKS_LAB_HOME"] = home
    try:
        for name, part in PARTS.items():
            if arguments.only in name:
                for figure in many(arguments.labs) if name == "labs" else part():
                    print(figure, flush=True)
    finally:
        subprocess.run([str(BIN / "cks-lab"), "stop", "--all", "--yes"], capture_output=True, timeout=300)
        shutil.rmtree(home, ignore_errors=True)


PARTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "start": start,
    "edit": edit,
    "grade": grading,
    "proof": proof,
    "logs": logs,
    "screen": screen,
    "labs": lambda: many(100),
}

if __name__ == "__main__":
    main()
