"""Audit logs of a real API server, read fast and read slowly: the same counts."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checkers.kube.audit_log import EventClass, events, read_log


def slow_classes(lines: list[bytes], since: str = "") -> Counter[EventClass]:
    """The same counts, by json.loads."""
    counts: Counter[EventClass] = Counter()
    for line in lines:
        event: dict[str, Any] = json.loads(line)
        if event["requestReceivedTimestamp"] < since:
            continue
        ref = event.get("objectRef", {})
        counts[
            EventClass(
                event["level"],
                event["stage"],
                event["verb"],
                ref.get("apiGroup", ""),
                ref.get("resource", ""),
                ref.get("subresource", ""),
                ref.get("namespace", ""),
                "requestObject" in event,
            )
        ] += 1
    return counts


def chunked(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.fixture(scope="module")
def log(shared: Path) -> bytes:
    return gzip.decompress((shared / "golden/logs/mixed.log.gz").read_bytes())


def test_a_big_log_counts_as_json_loads_counts_it(log: bytes) -> None:
    lines = log.splitlines()
    middle = json.loads(lines[len(lines) // 2])["requestReceivedTimestamp"]
    whole = read_log(chunked(log, 1 << 20))
    assert whole.events == whole.lines == len(lines)
    assert whole.broken == whole.legacy == 0
    assert whole.size == len(log)
    assert Counter(whole.classes) == slow_classes(lines)
    since = read_log(chunked(log, 1 << 18), since=middle)
    assert Counter(since.classes) == slow_classes(lines, middle)
    assert since.older == len(lines) - sum(since.classes.values())
    assert since.completed == whole.completed == sum(b'"stage":"ResponseComplete"' in line for line in lines)


@pytest.mark.parametrize("size", [7, 997, 65536, 10_000_000])
def test_the_size_of_the_chunks_changes_nothing(shared: Path, size: int) -> None:
    data = (shared / "golden/logs/small.log").read_bytes()

    whole = read_log([data])
    assert read_log(chunked(data, size)) == whole
    assert whole.events == data.count(b"\n")
    assert sum(whole.classes.values()) == whole.events


def test_the_answers_about_configmaps_are_those_of_a_slow_look(log: bytes) -> None:
    statistics = read_log(chunked(log, 1 << 20))
    having = without = others = 0
    for line in log.splitlines():
        event = json.loads(line)
        ref = event.get("objectRef", {})
        if event["stage"] != "ResponseComplete" or not ref.get("resource"):
            continue
        if ref["resource"] != "configmaps" or ref.get("apiGroup"):
            others += 1
        elif event["verb"] in ("create", "update", "patch") and "subresource" not in ref:
            having += "requestObject" in event
            without += "requestObject" not in event
    assert statistics.bodies("configmaps") == (having, without)
    assert statistics.completed_of_others("configmaps") == others
    assert having > 0


def test_every_example_is_the_first_line_of_its_class(shared: Path) -> None:
    data = (shared / "golden/logs/small.log").read_bytes()
    statistics = read_log([data])
    lines = data.splitlines()
    for kind, number in statistics.examples.items():
        assert list(slow_classes([lines[number - 1]])) == [kind]
        assert kind not in slow_classes(lines[: number - 1])


def test_events_come_whole_and_with_their_line(shared: Path) -> None:
    data = (shared / "golden/logs/small.log").read_bytes()
    read = list(events(chunked(data, 10_000)))
    lines = data.splitlines()
    assert [number for number, _ in read] == list(range(1, len(lines) + 1))
    for (_, event), line in zip(read, lines, strict=True):
        wanted = json.loads(line)
        assert event.audit_id == wanted["auditID"]
        assert event.user.username == wanted["user"].get("username", "")
        assert event.has_response_object == ("responseObject" in wanted)
        assert event.has_request_object == ("requestObject" in wanted)
        assert event.annotations == wanted.get("annotations", {})
