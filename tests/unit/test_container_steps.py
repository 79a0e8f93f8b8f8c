"""The steps of a start in a container: named in order, and with the time left as earlier starts had it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from lab.drivers.base import Step
from lab.drivers.container.steps import Steps

TITLES = ("image", "container", "ready")


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def start(path: Path, clock: Clock, seconds: tuple[float, ...]) -> list[Step]:
    told: list[Step] = []
    steps = Steps(TITLES, told.append, path, clock)
    for title, took in zip(TITLES, seconds, strict=True):
        steps.begin(title)
        clock.now += took
    steps.done()
    return told


def test_the_first_start_promises_nothing_and_the_next_knows(tmp_path: Path) -> None:
    path = tmp_path / "clusters" / "kind.durations.json"
    first = start(path, Clock(), (10.0, 4.0, 6.0))
    assert [(step.number, step.total, step.title, step.detail) for step in first] == [
        (1, 3, "image", ""),
        (2, 3, "container", ""),
        (3, 3, "ready", ""),
    ]
    second = start(path, Clock(), (0.0, 4.0, 6.0))
    assert [step.detail for step in second] == ["about 20 s left", "about 10 s left", "about 6 s left"]
    # An image is pulled once: what a step takes is the mean of the last and of those before.
    third = start(path, Clock(), (0.0, 4.0, 6.0))
    assert third[0].detail == "about 15 s left"


def test_a_step_that_takes_longer_than_usual_is_not_promised_to_end(tmp_path: Path) -> None:
    path = tmp_path / "durations.json"
    start(path, Clock(), (1.0, 1.0, 1.0))
    clock, told = Clock(), []
    steps = Steps(TITLES, told.append, path, clock)
    steps.begin("ready")
    clock.now = 50.0
    assert steps.left() == 0.0
    steps.note("still at it")
    assert told[-1].detail == "still at it"


def test_a_step_that_is_unlike_others_promises_nothing_and_is_not_learnt_from(tmp_path: Path) -> None:
    path = tmp_path / "durations.json"
    start(path, Clock(), (1.0, 2.0, 3.0))
    clock, told = Clock(), []
    steps = Steps(TITLES, told.append, path, clock)
    steps.begin("image", "downloaded once", usual=False)
    clock.now = 500.0
    steps.begin("container")
    steps.done()
    assert [step.detail for step in told] == ["downloaded once", "about 5 s left"]
    assert json.loads(path.read_text())["image"] == 1.0


def test_a_step_that_is_behind_is_left_alone_and_one_may_be_passed_over(tmp_path: Path) -> None:
    told: list[Step] = []
    steps = Steps(TITLES, told.append, tmp_path / "durations.json", Clock())
    steps.begin("container")
    steps.begin("image")
    steps.begin("container", "a detail")
    assert [(step.title, step.detail) for step in told] == [("container", ""), ("container", "a detail")]
    assert steps.title == "container"


def test_the_time_left_is_told_while_a_step_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "durations.json"
    start(path, Clock(), (1.0, 1.0, 9.0))
    ticked = threading.Event()
    told: list[Step] = []

    def take(step: Step) -> None:
        told.append(step)
        if len(told) > 1:
            ticked.set()

    steps = Steps(TITLES, take, path, Clock())
    with steps.ticking():
        steps.begin("ready")
        assert ticked.wait(30)
    assert {(step.number, step.detail) for step in told} == {(3, "about 9 s left")}


def test_durations_that_cannot_be_read_or_kept_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "durations.json"
    for content in ("", "[1]", '{"image": "soon"}', "\x00"):
        path.write_text(content)
        assert [step.detail for step in start(path, Clock(), (1.0, 1.0, 1.0))] == ["", "", ""]
        assert json.loads(path.read_text())["ready"] == 1.0
    (tmp_path / "file").touch()
    start(tmp_path / "file" / "durations.json", Clock(), (1.0, 1.0, 1.0))
