"""What is counted in a log is what a slow look counts, however it is cut."""

from __future__ import annotations

import json
from collections import Counter

from checkers.kube.logs import counts as log_counts
from checkers.kube.logs.counts import OTHERS, LogCounts, count_log

from .test_log_check import calm, request, start, written


def log() -> bytes:
    events = [
        *calm(0, 100),
        *request(101, user="bob", code=403),
        *request(102, user=None, code=401, stages=("ResponseStarted",)),
    ]
    events += request(103, uri="/healthz", ref={})
    events += [*start(200), *start(201), *calm(300, 310)]
    return b"".join(map(written, events))


def test_counts_are_those_of_a_slow_look() -> None:
    data = log()
    counts = count_log([data])
    events = [json.loads(line) for line in data.splitlines()]
    sizes: Counter[str] = Counter()
    for line in data.splitlines(keepends=True):
        sizes[json.loads(line)["stage"]] += len(line)
    assert counts.events == counts.lines == len(events)
    assert counts.size == len(data)
    by_stage = counts.by(lambda kind: kind.stage)
    assert {stage: tally.events for stage, tally in by_stage.items()} == Counter(event["stage"] for event in events)
    assert {stage: tally.size for stage, tally in by_stage.items()} == sizes
    users = {user: tally.events for user, tally in counts.by(lambda kind: kind.user).items()}
    assert users == {"jane": 222, "system:apiserver": 4, "bob": 2, "": 1}
    assert {code: tally.events for code, tally in counts.by(lambda kind: kind.code).items()} == {
        0: 114,
        200: 113,
        403: 1,
        401: 1,
    }
    assert (counts.first_time, counts.last_time) == (events[0]["stageTimestamp"], events[-1]["stageTimestamp"])
    assert counts.starts == ["2026-11-23T10:03:20.000000Z"]
    assert counts.busiest == ("2026-11-23T10:00", 120)
    assert round(counts.seconds) == 309


def test_pieces_add_up_to_the_whole() -> None:
    data = log()
    whole = count_log([data])
    assert count_log(data[n : n + 7] for n in range(0, len(data), 7)) == whole
    lines = data.splitlines(keepends=True)
    added = LogCounts()
    for start_ in range(0, len(lines), 40):
        added.add(count_log(lines[start_ : start_ + 40]))
    assert added == whole


def test_what_is_no_event_is_counted_apart() -> None:
    bad = b'nothing\n[]\n\n{"level":5}\n2026-11-23T10:00:00Z AUDIT: id="x" stage="RequestReceived" ip="1"\n{"ki'
    counts = count_log([log() + bad])
    assert (counts.broken, counts.legacy) == (4, 1)
    assert counts.lines == counts.events + 6


def test_the_number_of_classes_is_bounded(monkeypatch: object) -> None:
    most = log_counts._MOST_CLASSES
    log_counts._MOST_CLASSES = 50  # type: ignore[misc]
    try:
        data = [written(event) for n in range(200) for event in request(n, user=f"user-{n}")]
        counts = count_log(data)
        added = LogCounts()
        for line in data:
            added.add(count_log([line]))
    finally:
        log_counts._MOST_CLASSES = most  # type: ignore[misc]
    for found in (counts, added):
        users = found.by(lambda kind: kind.user)
        assert sum(tally.events for tally in users.values()) == 400
        assert users[OTHERS].events > 300
        assert len(found.classes) < 60


def test_times_as_others_write_them_are_put_in_minutes() -> None:
    events = request(0)
    events[0]["stageTimestamp"] = "2026-11-23T11:00:00+01:00"
    events[1]["stageTimestamp"] = "soon"
    counts = count_log(map(written, events))
    assert (counts.events, dict(counts.minutes)) == (2, {"2026-11-23T10:00": 1})
