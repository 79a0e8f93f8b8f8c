"""`make fuzz`: throw many inputs at everything that reads what a learner made, for a bounded time.

    python -m tests.fuzz [--inputs N] [--seconds S] [--guided S] [--target NAME] [--seed N]

Hypothesis makes the inputs, N in all, for at most S seconds. It never lets go of what it made, so they are thrown in rounds,
each in a process of its own, as many side by side as there are processors; the targets go forward in step, so that each has
its share where the time ends first. Then, where atheris is installed, each target gets `--guided` seconds of inputs that are
led by the code they reach. What fails is made small, put under tests/fuzz/seeds/TARGET, where `make test` tries it from then
on, and told. Exit status: 0 nothing failed, 1 something did.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

SEEDS = Path(__file__).parent / "seeds"
ROOT = Path(__file__).parent.parent.parent
SHARES = {
    "policy": 0.40, "pod": 0.20, "log": 0.16, "bundle": 0.08, "scenario": 0.06,
    "policy-file": 0.03, "manifest": 0.04, "twin": 0.01, "log-file": 0.02,
}  # fmt: skip
"""What part of the inputs each target gets."""
ROUND = 1000
"""Inputs that one process throws: enough to pay for its start, too few to fill the memory."""
MOST_FAILURES = 10
"""Different ones, after which a target has told enough."""
_HANG = 600
"""Seconds of no answer at all after which a process is given up."""
_NEWS = 60
"""Seconds between two lines about how far it is."""


@dataclass
class Outcome:
    """What came of one target: how many inputs, the dearest of them, and what failed (why -> where it is kept)."""

    target: str
    inputs: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    peak: int = 0
    held: int = 0
    failures: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        rate = self.inputs / self.seconds if self.seconds else 0.0
        return (
            f"{self.target:<14}{self.inputs:>8} inputs {rate:>7.0f}/s   slowest {self.slowest:.2f} s"
            f"   peak {self.peak >> 20} MiB   fuzzer {self.held >> 20} MiB   {len(self.failures)} failed"
        )

    def add(self, other: Outcome) -> None:
        """Add what came of a round."""
        self.inputs += other.inputs
        self.seconds += other.seconds
        self.slowest = max(self.slowest, other.slowest)
        self.peak = max(self.peak, other.peak)
        self.held = max(self.held, other.held)
        self.failures = {**other.failures, **self.failures}


def keep(target: str, data: bytes) -> Path:
    """Put an input that failed where `make test` tries it."""
    path = SEEDS / target / (sha256(data).hexdigest()[:16] + ".gz")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data, mtime=0))
    return path


def rounds(inputs: int, targets: list[str]) -> Iterator[tuple[str, int]]:
    """Yield the rounds of a run, each a target and its number of inputs, so that all targets get on in step."""
    whole = sum(SHARES[target] for target in targets)
    found: list[tuple[float, str, int]] = []
    for target in targets:
        count = round(inputs * SHARES[target] / whole)
        starts = range(0, count, ROUND)
        found += [((start + 1) / count, target, min(ROUND, count - start)) for start in starts]
    for _, target, count in sorted(found):
        yield target, count


def thrown(target: str, inputs: int, until: float, seed: int) -> Outcome:
    """Throw inputs at a target from a process of its own; one that never answers is ended and kept."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cks-lab-fuzz-") as folder:
        now = Path(folder) / "now"
        argv = [
            sys.executable,
            "-m",
            "tests.fuzz.thrower",
            target,
            str(inputs),
            str(until - began),
            str(seed),
            str(now),
        ]
        done = subprocess.run([*argv, str(_HANG)], cwd=ROOT, capture_output=True, text=True, check=False)
        taken = time.monotonic() - began
        if done.returncode:
            why = f"the process ended with {done.returncode}\n{done.stderr[:1000]}"
            kept = str(keep(target, now.read_bytes())) if now.exists() else "before its first input"
            return Outcome(target, seconds=taken, failures={why: kept})
    told = json.loads(done.stdout.splitlines()[-1])
    failures = {why: str(keep(target, bytes.fromhex(data))) for data, why in told["failures"]}
    return Outcome(target, told["inputs"], taken, told["slowest"], told["peak"], told["held"], failures)


def throw_all(inputs: int, targets: list[str], seconds: float, seed: int) -> list[Outcome]:
    """Throw the inputs of all targets in rounds, and tell meanwhile how far it is and what failed."""
    began = news = time.monotonic()
    until = began + seconds
    whole = {target: Outcome(target) for target in targets}

    def one(number: int, target: str, count: int) -> Outcome:
        if time.monotonic() > until or len(whole[target].failures) >= MOST_FAILURES:
            return Outcome(target)
        return thrown(target, count, until, seed + number * ROUND)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        planned = [pool.submit(one, number, *round_) for number, round_ in enumerate(rounds(inputs, targets))]
        for done in as_completed(planned):
            outcome = done.result()
            for why, kept in outcome.failures.items():
                if why not in whole[outcome.target].failures:
                    print(f"  failed: {kept}: {why}", flush=True)
            whole[outcome.target].add(outcome)
            if time.monotonic() > news + _NEWS:
                news = time.monotonic()
                so_far = sum(outcome.inputs for outcome in whole.values())
                print(f"  {so_far} of {inputs} after {news - began:.0f} s", flush=True)
    return list(whole.values())


def guided(target: str, seconds: float) -> Outcome:
    """Let atheris look for inputs that reach new code, from the corpus on."""
    from .inputs import corpus
    from .limits import MEMORY

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cks-lab-fuzz-") as folder:
        start, found = Path(folder) / "corpus", Path(folder) / "found"
        start.mkdir()
        found.mkdir()
        for number, data in enumerate(corpus(target)):
            (start / str(number)).write_bytes(data)
        argv = [sys.executable, "-m", "tests.fuzz.guided", target, str(start), f"-artifact_prefix={found}/"]
        limits = [
            f"-max_total_time={seconds:.0f}",
            f"-timeout={_HANG}",
            f"-rss_limit_mb={3 * MEMORY >> 20}",
            "-max_len=65536",
        ]
        done = subprocess.run([*argv, *limits], cwd=ROOT, capture_output=True, text=True, check=False)
        failures = {done.stdout[-2000:]: str(keep(target, path.read_bytes())) for path in sorted(found.iterdir())}
        if done.returncode and not failures:
            failures[f"the process ended with {done.returncode}\n{done.stderr[-2000:]}"] = "no input"
        runs = [line for line in done.stderr.splitlines() if "stat::number_of_executed_units:" in line]
        inputs = int(runs[-1].split()[-1]) if runs else 0
    for why, kept in failures.items():
        print(f"  failed: {kept}: {why}", flush=True)
    return Outcome(f"{target} *", inputs, time.monotonic() - began, failures=failures)


def main() -> int:
    """Parse, throw, tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--inputs", type=int, default=100_000, help="how many in all (100000)")
    parser.add_argument("--seconds", type=float, default=3600, help="the most that they take in all (3600)")
    parser.add_argument(
        "--guided", type=float, default=30, help="seconds of atheris a target, where it is installed (30)"
    )
    parser.add_argument("--target", choices=sorted(SHARES), help="only this one")
    parser.add_argument("--seed", type=int, help="to repeat a run")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    targets = [given.target] if given.target else list(SHARES)
    began = time.monotonic()
    outcomes = throw_all(given.inputs, targets, given.seconds, seed)
    taken = time.monotonic() - began
    for outcome in outcomes:
        print(outcome, flush=True)
    made = sum(outcome.inputs for outcome in outcomes)
    print(f"{made} of {given.inputs} inputs in {taken:.0f} s, {made / taken:.0f}/s", flush=True)
    if given.guided and importlib.util.find_spec("atheris"):
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for outcome in pool.map(lambda target: guided(target, given.guided), targets):
                print(outcome, flush=True)
                outcomes.append(outcome)
    elif given.guided:
        print("atheris is not installed: no inputs that are led by the code they reach")
    failed = sum(len(outcome.failures) for outcome in outcomes)
    print(f"{sum(outcome.inputs for outcome in outcomes)} inputs, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
