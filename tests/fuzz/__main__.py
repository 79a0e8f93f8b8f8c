"""`make fuzz`: throw many inputs at everything that reads what a learner made, for a bounded time.

    python -m tests.fuzz [--inputs N] [--seconds S] [--guided S] [--target NAME] [--seed N]

Hypothesis makes the inputs (N in all, for at most S seconds a target); then, where atheris is installed, each target gets
`--guided` seconds of inputs that are led by the code they reach. What fails is made small, put under
tests/fuzz/seeds/TARGET, where `make test` tries it from then on, and told. Exit status: 0 nothing failed, 1 something did.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

SEEDS = Path(__file__).parent / "seeds"
ROOT = Path(__file__).parent.parent.parent
SHARES = {
    "policy": 0.40, "pod": 0.20, "log": 0.16, "bundle": 0.08, "scenario": 0.06,
    "policy-file": 0.03, "manifest": 0.04, "twin": 0.01, "log-file": 0.02,
}  # fmt: skip
"""What part of the inputs each target gets."""
WORKERS = 2
_HANG = 60
"""Seconds of no answer at all after which a process is given up."""


@dataclass
class Outcome:
    """What came of one target: how many inputs, the dearest of them, and what failed."""

    target: str
    inputs: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    peak: int = 0
    failures: tuple[str, ...] = ()

    def __str__(self) -> str:
        rate = self.inputs / self.seconds if self.seconds else 0.0
        return (
            f"{self.target:<14}{self.inputs:>8} inputs {rate:>7.0f}/s   slowest {self.slowest:.2f} s"
            f"   peak {self.peak >> 20} MiB   {len(self.failures)} failed"
        )


def keep(target: str, data: bytes) -> Path:
    """Put an input that failed where `make test` tries it."""
    path = SEEDS / target / (sha256(data).hexdigest()[:16] + ".gz")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data, mtime=0))
    return path


def thrown(target: str, inputs: int, seconds: float, seed: int) -> Outcome:
    """Throw inputs at a target from a process of its own; one that never answers is ended and kept."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cks-lab-fuzz-") as folder:
        now = Path(folder) / "now"
        argv = [sys.executable, "-m", "tests.fuzz.thrower", target, str(inputs), str(seconds), str(seed), str(now)]
        done = subprocess.run([*argv, str(_HANG)], cwd=ROOT, capture_output=True, text=True, env=None)
        if done.returncode:
            failed = (f"the process ended with {done.returncode}\n{done.stderr[:1000]}",)
            if now.exists():
                failed = (f"{keep(target, now.read_bytes())}: {failed[0]}",)
            return Outcome(target, failures=failed)
    told = json.loads(done.stdout.splitlines()[-1])
    failures = tuple(f"{keep(target, bytes.fromhex(data))}: {why}" for data, why in told["failures"])
    return Outcome(target, told["inputs"], time.monotonic() - began, told["slowest"], told["peak"], failures)


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
        done = subprocess.run([*argv, *limits], cwd=ROOT, capture_output=True, text=True)
        failures = [f"{keep(target, path.read_bytes())}: {done.stdout[-2000:]}" for path in sorted(found.iterdir())]
        if done.returncode and not failures:
            failures.append(f"the process ended with {done.returncode}\n{done.stderr[-2000:]}")
        runs = [line for line in done.stderr.splitlines() if "stat::number_of_executed_units:" in line]
        inputs = int(runs[-1].split()[-1]) if runs else 0
    return Outcome(f"{target} *", inputs, time.monotonic() - began, failures=tuple(failures))


def main() -> int:
    """Parse, throw, tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--inputs", type=int, default=100_000, help="how many in all (100000)")
    parser.add_argument("--seconds", type=float, default=600, help="the most that one target takes (600)")
    parser.add_argument(
        "--guided", type=float, default=30, help="seconds of atheris a target, where it is installed (30)"
    )
    parser.add_argument("--target", choices=sorted(SHARES), help="only this one")
    parser.add_argument("--seed", type=int, help="to repeat a run")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    targets = [given.target] if given.target else list(SHARES)
    whole = sum(SHARES[target] for target in targets)
    total, failed = 0, 0

    def tell(outcome: Outcome) -> None:
        nonlocal total, failed
        print(outcome, flush=True)
        for failure in outcome.failures:
            print(f"  {failure}", flush=True)
        total += outcome.inputs
        failed += len(outcome.failures)

    with ThreadPoolExecutor(WORKERS) as pool:
        for outcome in pool.map(
            lambda target: thrown(target, round(given.inputs * SHARES[target] / whole), given.seconds, seed), targets
        ):
            tell(outcome)
        if given.guided and importlib.util.find_spec("atheris"):
            for outcome in pool.map(lambda target: guided(target, given.guided), targets):
                tell(outcome)
        elif given.guided:
            print("atheris is not installed: no inputs that are led by the code they reach")
    print(f"{total} inputs, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
