"""Owns the figures about long logs: how fast one is judged, what others need for the same log, how much memory it takes.

    python -m tests.bench.logs judge|processes|json|polars LOG [SINCE NONCE]     one run in a process of its own

The log is of real events: the recorded one, again and again up to about 400 MB, each time with auditIDs of its own. jq
and polars count its events by level, verb and resource; the judge counts them by stage, group, subresource, namespace
and whether the request's object is there besides, compares their times and looks for a nonce. Seconds are without the
start of the interpreter; the memory is the process's peak (VmHWM), all of it.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SIZE = 400_000_000
RUNS = 5
_CHUNK = 1 << 20
_MEGA = 1e6

Peer = tuple[str, float]

BARS = {"jq": 10.0, "polars on one core": 1.0, "polars on two cores": 1.0}
"""How many times as fast as another one the judge has to be."""

_JQ = "reduce inputs as $e ({}; .[[$e.level, $e.verb, $e.objectRef.resource] | tostring] += 1)"
_AUDIT_ID = re.compile(rb'(?<="auditID":")[0-9a-f]{8}')


def recorded() -> bytes:
    """Return the recorded log of real events. Ends the program where the recordings are missing."""
    path = Path(os.environ.get("CKS_LAB_SHARED", ROOT.parent / "shared")) / "golden/logs/mixed.log.gz"
    if not path.is_file():
        raise SystemExit(f"{path}: the recordings are missing; CKS_LAB_SHARED names their folder")
    return gzip.decompress(path.read_bytes())


def figures() -> Iterator[tuple[str, float, float, Peer | None]]:
    """Yield (what, value, bar, peer): MB/s, once for each peer, then the memory in MB. MB is a million bytes."""
    content = recorded()
    lines = content.splitlines()
    first, middle = json.loads(lines[0]), json.loads(lines[len(lines) // 2])
    asked = (first["requestReceivedTimestamp"], middle["auditID"])
    copies = -(-SIZE // len(content))
    with tempfile.TemporaryDirectory(prefix="cks-lab-bench-log-") as folder:
        short, long = Path(folder) / "short.log", Path(folder) / "long.log"
        short.write_bytes(content)
        with long.open("wb") as file:
            for copy in range(copies):
                # Both events of a request keep the same one.
                file.write(_AUDIT_ID.sub(b"%08x" % copy, content) if copy else content)
        small, big = len(content) / _MEGA, copies * len(content) / _MEGA
        # The slow ones get the log once, which does not hurt them: they are as fast from its first line to its last.
        peers: dict[str, Callable[[], float]] = {"json.loads": lambda: small / apart("json", short, len(lines))[0]}
        if shutil.which("jq"):
            peers["jq"] = lambda: small / by_jq(short)
        if importlib.util.find_spec("polars"):
            peers["polars on one core"] = lambda: big / apart("polars", long, copies * len(lines))[0]
            peers["polars on two cores"] = lambda: big / apart("polars", long, copies * len(lines), threads=2)[0]
        ours, by_two, memory = [], [], []
        theirs: dict[str, list[float]] = {name: [] for name in peers}
        for _ in range(RUNS):
            seconds, peak = apart("judge", long, copies * len(lines), *asked)
            ours.append(big / seconds)
            memory.append(peak)
            by_two.append(big / apart("processes", long, copies * len(lines), *asked)[0])
            for name, measure in peers.items():
                theirs[name].append(measure())
        speed = statistics.median(ours)
        for name, measured in theirs.items():
            value = statistics.median(measured)
            times = BARS.get(name)
            what = f"judge a log of {big:.0f} MB, MB/s" + (f", bar: {times:g}× {name}" if times else "")
            yield what, speed, times * value if times else 500.0, (name, value)
        two = statistics.median(by_two)
        yield f"judge a log of {big:.0f} MB by two processes, MB/s", two, 500.0, ("by one", speed)
        if "polars on two cores" in theirs:
            value = statistics.median(theirs["polars on two cores"])
            what = f"judge a log of {big:.0f} MB by two processes, MB/s, bar: polars on two cores"
            yield what, two, value, ("polars on two cores", value)
        flat = statistics.median(apart("judge", short, len(lines), *asked)[1] for _ in range(3))
        yield (
            f"judge a log of {big:.0f} MB: memory of the process",
            max(memory),
            150.0,
            (f"a log of {small:.0f} MB", flat),
        )


def apart(how: str, log: Path, events: int, *asked: str, threads: int = 1) -> tuple[float, float]:
    """Read a log of so many events in a process of its own; return its seconds, and its memory at the peak in MB."""
    # By default one thread where the other could use more: the bar is for a core.
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.logs", how, str(log), *asked],
        cwd=ROOT,
        env={**os.environ, "POLARS_MAX_THREADS": str(threads)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode:
        raise SystemExit(f"{how}: exit {done.returncode}\n{done.stderr}")
    counted, seconds, peak = done.stdout.split()
    if int(counted) != events:
        raise SystemExit(f"{how}: counted {counted} events, of {events}")
    return float(seconds), float(peak)


def by_jq(log: Path) -> float:
    """Return the seconds that jq takes."""
    began = time.perf_counter()
    subprocess.run(["jq", "-n", _JQ, str(log)], stdout=subprocess.DEVNULL, check=True, timeout=300)
    return time.perf_counter() - began


def judge(log: Path, since: str, nonce: str) -> int:
    """Read a log as a grade does, and look for a request by its nonce too; return how many events there are."""
    from checkers.kube.audit_log import read_log

    with log.open("rb", buffering=0) as file:
        found = read_log(iter(lambda: file.read(_CHUNK), b""), since, [nonce])
    if found.broken or found.truncated or found.older or not found.found:
        raise SystemExit(f"{log}: {found.broken} lines are broken, {found.older} too old, {len(found.found)} found")
    return sum(found.classes.values())


def by_processes(log: Path, since: str, nonce: str) -> int:
    """Read a log as `cks-lab log stats` does, by two processes."""
    from lab.log_parts import read_log_files

    found = read_log_files([log], since, [nonce], workers=2).statistics
    if found.broken or found.truncated or found.older or not found.found:
        raise SystemExit(f"{log}: {found.broken} lines are broken, {found.older} too old, {len(found.found)} found")
    return sum(found.classes.values())


def by_json(log: Path) -> int:
    """Read a log with json.loads, line by line."""
    counts: Counter[tuple[object, ...]] = Counter()
    with log.open("rb") as file:
        for line in file:
            event = json.loads(line)
            about = event.get("objectRef") or {}
            place = tuple(about.get(name, "") for name in ("apiGroup", "resource", "subresource", "namespace"))
            counts[event["level"], event["stage"], event["verb"], place, "requestObject" in event] += 1
    return counts.total()


def by_polars(log: Path) -> int:
    """Read a log with polars, which parses only the columns that are asked for."""
    import polars  # type: ignore[import-not-found, unused-ignore]

    text = polars.String
    columns = {"level": text, "verb": text, "objectRef": polars.Struct({"resource": text})}
    lines = polars.scan_ndjson(log, schema=columns)
    classes = lines.group_by("level", "verb", polars.col("objectRef").struct.field("resource")).len()
    return int(classes.collect(engine="streaming")["len"].sum())


def main(how: str, log: str, *asked: str) -> None:
    """Read a log once, and print the number of events, the seconds and the memory at the peak in MB."""
    read: dict[str, Callable[..., int]] = {
        "judge": judge,
        "processes": by_processes,
        "json": by_json,
        "polars": by_polars,
    }
    if how == "polars":
        import polars  # type: ignore[import-not-found, unused-ignore]  # noqa: F401 - its import is no reading
    if how in ("judge", "processes"):
        import lab.log_parts  # noqa: F401
    began = time.perf_counter()
    counted = read[how](Path(log), *asked)
    seconds = time.perf_counter() - began
    # Not ru_maxrss: that one is as big as the process that started this one.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    print(counted, f"{seconds:.6f}", f"{int(peak.split()[1]) * 1024 / _MEGA:.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
