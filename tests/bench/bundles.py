"""A class of learners as bundles: real captures of a few answers, each varied as the work of many people is."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.catalog import load
from lab.drivers.base import Lab
from lab.drivers.sandbox.driver import SandboxDriver
from lab.evidence.capture import About, capture
from lab.evidence.settle import settle
from lab.overlay import MANIFEST as NODE_MANIFEST

ANSWERS = ("catch-all-first", "no-catch-all", "core-group-only", "mount-without-volume", "log-not-mounted", "singular")
"""The mistakes that are captured, beside the start and the solution."""
POLICY = "root/etc/kubernetes/audit/policy.yaml"
MANIFEST = "root/etc/kubernetes/manifests/kube-apiserver.yaml"
LOG = "root/var/log/audit/audit.log"
_AUDIT_ID = re.compile(rb'"auditID":"[0-9a-f]{8}')


def captures(driver: SandboxDriver, lab: Lab, folder: Path) -> list[Path]:
    """Lay each answer on a node, wait until it has settled, and capture it."""
    task = load("audit-log")
    wrong = {mistake.name: mistake.overlay for mistake in task.mistakes}
    found = []
    for name, answer in {"start": task.start, "solution": task.solution, **{n: wrong[n] for n in ANSWERS}}.items():
        if found:
            driver.reset(lab, task.start)
        node = driver.node(lab)
        if name != "start":
            node.run(
                ["tar", "-xpf", "-", "-C", "/"], stdin=answer.tar(node.files.read(NODE_MANIFEST).decode()), timeout=20
            )
        settle(node, task.wants, patience=node.patience)
        found.append(folder / f"{name}.tar.gz")
        capture(node, About(task.id, "sandbox", node.name, {"seed": None}), task.wants, found[-1])
    return found


def figures(
    driver: SandboxDriver, lab: Lab, count: int = 1000
) -> Iterator[tuple[str, float, str, float, tuple[str, float] | None]]:
    """Grade a class. Yields what, value, unit, bar, peer: bundles a second, and processor time a bundle."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        real, many, unpacked = folder / "real", folder / "class", folder / "unpacked"
        for each in (real, many, unpacked):
            each.mkdir()
        vary(captures(driver, lab, real), many, count)
        argv = [str(Path(sys.executable).parent / "cks-lab"), "grade", "audit-log", "--bundles", str(many)]
        unpack = ["sh", "-c", f'for each in {many}/*.tar.gz; do tar xzf "$each" -C {unpacked}; done']
        took, spent = _run([*argv, "-o", str(folder / "class.csv")], ok=1)
        peer, _ = _run(unpack, ok=0)
        yield (
            f"grade {count} bundles",
            count / took,
            "/s",
            100.0,
            ("tar xzf of each, one after the other", count / peer),
        )
        yield "the same: processor time a bundle", spent / count, "s", 2 / 100.0, None


def _run(argv: list[str], ok: int) -> tuple[float, float]:
    """Return the seconds that a command takes, and those of the processor that it and its own spend."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(argv, capture_output=True, timeout=600)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != ok:
        raise SystemExit(f"{argv}: exit {done.returncode}\n{done.stderr.decode()}")
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def vary(captures: Sequence[Path], folder: Path, count: int, *, log: tuple[int, int] = (200_000, 2_000_000)) -> None:
    """Write `count` bundles into a folder. No two have the same policy, manifest or log.

    `log`: the least and the most bytes that a log is grown to, where there is one. The same captures give the same.
    """
    dice = random.Random(4)
    contents = [list(_members(capture)) for capture in captures]
    for number in range(count):
        grown = round(log[0] * (log[1] / log[0]) ** dice.random())
        with (
            (folder / f"learner-{number:05}.tar.gz").open("wb") as file,
            gzip.GzipFile("", "wb", 4, file, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for member, content in contents[number % len(contents)]:
                own = _vary(member.name, content, number, grown, dice)
                entry = tarfile.TarInfo(member.name)
                entry.type, entry.mode, entry.mtime = member.type, member.mode, member.mtime
                entry.linkname, entry.size = member.linkname, len(own)
                tar.addfile(entry, io.BytesIO(own))


def _members(capture: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(capture) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            yield member, file.read() if file else b""


def _vary(name: str, content: bytes, number: int, grown: int, dice: random.Random) -> bytes:
    if name == POLICY:
        return b"# the policy of learner %d\n" % number * dice.randint(1, 3) + content
    if name == MANIFEST:
        return content + b"# learner %d\n" % number
    if name == "facts.json":
        facts = json.loads(content)
        facts["node"]["name"] = f"learner-{number:05}"
        return json.dumps(facts, indent=1, sort_keys=True).encode()
    if name == LOG and content:
        lines = content.splitlines(keepends=True)
        # Before it comes more of what the server did; the probes, which only the end has, are sent once.
        usual = [line for line in lines if b"cks-lab-" not in line] or lines
        more: list[bytes] = []
        size = len(content)
        while size < grown:
            line = _AUDIT_ID.sub(b'"auditID":"%08x' % dice.getrandbits(32), dice.choice(usual))
            more.append(line)
            size += len(line)
        return b"".join(more) + content
    return content
