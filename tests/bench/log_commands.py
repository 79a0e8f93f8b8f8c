"""Owns the figures of `cks-lab log`: how fast a log is checked against a policy, and counted; and the memory it takes.

    python -m tests.bench.log_commands check|stats|json LOG POLICY WORKERS     one run in a process of its own

The log is the recorded one, again and again, each time with other auditIDs and later: no request is there twice.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .logs import ROOT, Peer, recorded

SIZE = 400_000_000
RUNS = 3
_MEGA = 1e6
_ID = re.compile(rb'"auditID":"([0-9a-f]{8})-')
_TIME = re.compile(rb'Timestamp":"2026-11-23T(\d\d):(\d\d):(\d\d)\.')
#: The recorded log is that long, in seconds.
_LASTS = 115


def made(path: Path, content: bytes, copies: int) -> None:
    """Write the log so many times over: other requests each time, later each time."""

    def later(found: re.Match[bytes], seconds: int) -> bytes:
        second = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3]) + seconds
        return b'Timestamp":"2026-11-23T%02d:%02d:%02d.' % (second // 3600, second // 60 % 60, second % 60)

    with path.open("wb") as file:
        for number in range(copies):
            other = number * 2654435761 % 2**32
            fresh = _ID.sub(lambda found, other=other: b'"auditID":"%08x-' % (int(found[1], 16) ^ other), content)
            file.write(_TIME.sub(lambda found, number=number: later(found, number * _LASTS), fresh))


def figures() -> Iterator[tuple[str, float, float, Peer | None]]:
    """Yield (what, value, bar, peer): MB/s of a core and of two, then the memory in MB. MB is a million bytes."""
    content = recorded()
    copies = -(-SIZE // len(content))
    policy = Path(os.environ.get("CKS_LAB_SHARED", ROOT.parent / "shared")) / "golden/logs/policy.yaml"
    with tempfile.TemporaryDirectory(prefix="cks-lab-bench-log-") as folder:
        short, long = Path(folder) / "short.log", Path(folder) / "long.log"
        made(short, content, 1)
        made(long, content, copies)
        big, events = copies * len(content) / _MEGA, copies * content.count(b"\n")
        small = len(content) / _MEGA
        asked = {("check", 1): 100.0, ("check", 2): 150.0, ("stats", 1): 150.0, ("stats", 2): 250.0}
        speeds: dict[tuple[str, int], list[float]] = {key: [] for key in asked}
        peaks, slow = [], []
        for _ in range(RUNS):
            for how, workers in asked:
                seconds, peak = apart(how, long, policy, workers, events)
                speeds[how, workers].append(big / seconds)
                if how == "check":
                    peaks.append(peak)
            slow.append(small / apart("json", short, policy, 1, events // copies)[0])
        for (how, workers), bar in asked.items():
            what = f"log {how}, {big:.0f} MB, {workers} process{'es' if workers > 1 else ''}, MB/s"
            yield what, statistics.median(speeds[how, workers]), bar, ("json.loads", statistics.median(slow))
        flat = apart("check", short, policy, 1, events // copies)[1]
        yield f"log check, {big:.0f} MB: memory of the process", max(peaks), 150.0, (f"a log of {small:.0f} MB", flat)


def apart(how: str, log: Path, policy: Path, workers: int, events: int) -> tuple[float, float]:
    """Run once in a process of its own; return its seconds, and its memory at the peak in MB."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.log_commands", how, str(log), str(policy), str(workers)],
        cwd=ROOT,
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


def check(log: Path, policy: Path, workers: int) -> int:
    """Check a log as the command does; return the number of events."""
    from lab.logs import check_logs, log_files

    report = check_logs(log_files([str(log)]), policy.read_bytes(), (1, 34), workers=workers)
    if report.counts:
        raise SystemExit(f"{log}: {report.counts}")
    return report.judged


def stats(log: Path, policy: Path, workers: int) -> int:
    """Count a log as the command does; return the number of events."""
    from lab.logs import count_logs, log_files

    return count_logs(log_files([str(log)]), workers=workers)[0].events


def by_json(log: Path, policy: Path, workers: int) -> int:
    """Only read a log with json.loads, line by line."""
    with log.open("rb") as file:
        return sum(json.loads(line)["kind"] == "Event" for line in file)


def main(how: str, log: str, policy: str, workers: str) -> None:
    """Read a log once, and print the number of events, the seconds and the memory at the peak in MB."""
    import lab.logs  # noqa: F401 - its import is no reading

    read: dict[str, Callable[[Path, Path, int], int]] = {"check": check, "stats": stats, "json": by_json}
    began = time.perf_counter()
    counted = read[how](Path(log), Path(policy), int(workers))
    seconds = time.perf_counter() - began
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    print(counted, f"{seconds:.6f}", f"{int(peak.split()[1]) * 1024 / _MEGA:.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
