"""Hostile input in small numbers, each time anew, and all that once failed. `make fuzz` throws many more."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.__main__ import ROUND, SHARES, rounds
from tests.fuzz.inputs import inputs
from tests.fuzz.limits import TooMuch, bounded
from tests.fuzz.targets import TARGETS

SEEDS = Path(__file__).parent / "seeds"


@pytest.mark.parametrize("path", sorted(SEEDS.glob("*/*.gz")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_once_failed_is_answered(path: Path) -> None:
    # Those that were too slow took minutes; what a second is on this machine, `make fuzz` says.
    bounded(TARGETS[path.parent.name], gzip.decompress(path.read_bytes()), seconds=20.0)


@pytest.mark.parametrize("target", sorted(TARGETS))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_hostile_bytes_are_answered(target: str, data: st.DataObject) -> None:
    TARGETS[target](data.draw(inputs(target)))


def test_an_input_that_costs_too_much_memory_is_told() -> None:
    with pytest.raises(TooMuch, match="of memory"):
        bounded(lambda data: bytearray(b"x" * (310 << 20)) and None, b"", seconds=math.inf)


def test_an_input_that_costs_too_much_time_is_told() -> None:
    with pytest.raises(TooMuch, match="of processor time"):
        bounded(lambda data: None, b"", seconds=-1.0)


def test_a_run_is_cut_into_rounds_in_which_all_targets_get_on_in_step() -> None:
    planned = list(rounds(100_000, list(SHARES)))
    assert sum(count for _, count in planned) == 100_000
    assert max(count for _, count in planned) == ROUND
    assert {target for target, _ in planned[: len(SHARES)]} == set(SHARES)
    half = [target for target, _ in planned[: len(planned) // 2]]
    assert half.count("policy") == pytest.approx(20, abs=2)
    assert half.count("pod") == pytest.approx(10, abs=2)
