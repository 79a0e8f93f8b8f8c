"""An API server's starts in its log: the requests of one start are one, by one rule wherever a log is read."""

from __future__ import annotations

import pytest

from checkers.kube.audit_log import read_log
from checkers.kube.logs.counts import LogCounts, count_log
from checkers.kube.logs.statistics import LogStatistics

from .test_log_check import Event, at, calm, check, policy, request, start, told, written

CONFIGMAPS = {"resource": "configmaps", "namespace": "dev", "apiVersion": "v1"}


def by_server(events: list[Event], uid: str) -> list[Event]:
    """Return events as of requests that the API server makes to itself: its user has another uid in each process."""
    user = {"username": "system:apiserver", "uid": uid, "groups": ["system:authenticated", "system:masters"]}
    return [event | {"user": user} for event in events]


def watch(seconds: float, took: float, number: int) -> list[Event]:
    stages = ("RequestReceived", "ResponseStarted", "ResponseComplete")
    uri = "/api/v1/namespaces/dev/configmaps?watch=1"
    return request(seconds, uri=uri, verb="watch", ref=CONFIGMAPS, stages=stages, took=took / 2, number=number)


def in_order(events: list[Event]) -> list[Event]:
    return sorted(events, key=lambda event: str(event["stageTimestamp"]))


def starts_of(events: list[Event]) -> tuple[int, int, int]:
    """Return how many starts each reader sees: the check, the counts, a grade."""
    lines = list(map(written, events))
    return check(events).starts, len(count_log(lines).starts), read_log(lines).starts_seen


def test_a_start_that_asks_again_each_second_is_one_start() -> None:
    """The hook asks each second for half a minute, where etcd is not there yet."""
    asked = [event for second in range(60, 90) for event in start(second)]
    assert starts_of([*calm(0, 50), *asked, *calm(90, 100)]) == (1, 1, 1)


def test_a_server_that_is_back_in_four_seconds_is_another_start() -> None:
    assert starts_of([*start(60), *start(61), *calm(62, 64), *start(65), *start(65.5)]) == (2, 2, 2)


@pytest.mark.parametrize("cut", range(1, 16))
def test_a_start_is_one_wherever_the_log_is_cut(cut: int) -> None:
    events = [*calm(0, 2), *(event for second in range(60, 66) for event in start(second)), *calm(70, 72)]
    lines = list(map(written, events))
    whole, first, then = count_log(lines), count_log(lines[:cut]), count_log(lines[cut:])
    together = LogCounts()
    together.add(first)
    together.add(then)
    assert together == whole
    read = read_log(lines[:cut])
    both: LogStatistics | None = read.followed_by(read_log(lines[cut:]), same_file=True)
    if both is None:
        both = read.continued_by(read_log(lines[cut:], start=read.start), same_file=True)
    assert both == read_log(lines)
    assert both.started == at(60)


def test_what_a_new_server_was_asked_before_it_looks_is_its_own() -> None:
    """It looks for its priority classes a second after it begins to answer."""
    by = policy("- level: Request")
    old = [*by_server(calm(0, 25), "one"), *calm(25, 50)]
    new = [event for second in range(60, 100) for event in request(second, level="Request")]
    own = by_server(request(59.5, level="Request", number=1), "two")
    looks = by_server([event | {"level": "Request"} for event in start(60.5)], "two")
    report = check([*old, *own, *in_order([*new, *looks])], by)
    assert (report.counts, report.starts, report.started) == ({}, 1, at(59.5))
    assert report.older == len(old)
    forged = request(59.6, number=2)
    assert told(check([*old, *own, *forged, *in_order([*new, *looks])], by)) == [("level", 103), ("level", 104)]


def test_a_log_that_begins_with_its_server_has_nothing_older() -> None:
    own = by_server(request(0, number=1), "one")
    events = [*own, *calm(1, 3), *by_server(start(3.5), "one"), *calm(4, 9)]
    report = check(events)
    assert (report.counts, report.older, report.starts, report.started) == ({}, 0, 1, at(0))


def test_a_watch_that_began_before_its_server_looked_accuses_nobody() -> None:
    before = [*calm(0, 50), *watch(60, 30, 1), *watch(60.2, 0.001, 2)]
    events = in_order([*before, *start(60.5), *calm(61, 120)])
    assert check(events).counts == {}


def test_what_ran_when_the_server_went_has_no_end_and_needs_none() -> None:
    events = in_order([*calm(0, 50), *request(49.5, number=1)[:1], *start(60), *calm(61, 200)])
    assert check(events).counts == {}
