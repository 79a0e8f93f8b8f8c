"""Audit logs as people find and forge them: strange spacing, cut lines, old starts, rotated files."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from checkers.kube import audit_log
from checkers.kube.audit_log import LogReader, Words, log_names, normal_time, read_log, unpacked
from checkers.kube.logs.files import rotated_at


def event(**fields: Any) -> dict[str, Any]:
    return {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": "a",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/default/configmaps",
        "verb": "create",
        "user": {"username": "admin"},
        "objectRef": {"resource": "configmaps", "namespace": "default", "name": "cm", "apiVersion": "v1"},
        "requestReceivedTimestamp": "2026-11-23T10:00:00.000000Z",
        "stageTimestamp": "2026-11-23T10:00:00.010000Z",
        **fields,
    }


def log(*events: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(event, separators=(",", ":")).encode() + b"\n" for event in events)


def start(time: str) -> dict[str, Any]:
    return event(
        verb="get",
        requestURI="/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical",
        user={"username": "system:apiserver"},
        objectRef={"resource": "priorityclasses", "name": "system-node-critical", "apiGroup": "scheduling.k8s.io"},
        requestReceivedTimestamp=time,
    )


def test_spacing_and_the_order_of_fields_do_not_matter() -> None:
    written = event(requestObject={"data": {"stage": "Panic"}}, level="Request")
    backwards = dict(reversed(written.items()))
    lines = [
        json.dumps(written, indent=None, separators=(" ,  ", "\t:  ")),
        json.dumps(backwards),
        "  " + json.dumps(written),
    ]
    statistics = read_log(["\n".join(lines).encode() + b"\n"])
    assert statistics.events == 3
    assert len(statistics.classes) == 1
    assert statistics.bodies("configmaps") == (3, 0)


def test_an_event_over_several_lines_is_no_event() -> None:
    statistics = read_log([json.dumps(event(), indent=1).encode() + b"\n" + log(event())])
    assert statistics.events == 1
    assert statistics.broken == statistics.lines - 1


def test_a_cut_last_line_is_told_and_the_rest_counts() -> None:
    whole = log(event(), event())
    cut = read_log([whole[:-40]])
    assert (cut.events, cut.broken, cut.truncated) == (1, 1, True)
    no_newline = read_log([whole[:-1]])
    assert (no_newline.events, no_newline.broken, no_newline.truncated) == (2, 0, True)
    assert not read_log([whole]).truncated


def test_binary_lines_are_counted_and_numbered() -> None:
    statistics = read_log([log(event()) + b"\x00\xff\xfe\n{\n[]\nnull\n12\n" + log(event()), b"\xff"])
    assert (statistics.events, statistics.broken, statistics.first_broken) == (2, 6, 2)
    assert statistics.lines == 8


def test_blank_lines_are_neither_events_nor_broken_and_lines_stay_right() -> None:
    statistics = read_log([b"\n\n" + log(event(), event(level="Request"))])
    assert (statistics.events, statistics.broken, statistics.lines) == (2, 0, 4)
    assert sorted(statistics.examples.values()) == [3, 4]


def test_other_json_is_no_event() -> None:
    core = {"kind": "Event", "apiVersion": "v1", "type": "Normal"}
    statistics = read_log([log(core, event(level="metadata"), event(stage=3), event())])
    assert (statistics.events, statistics.broken) == (1, 3)


def test_legacy_lines_are_counted_as_such() -> None:
    line = b'2026-11-23T06:14:19.74119334Z AUDIT: id="2d11" stage="RequestReceived" ip="127.0.0.1" method="get"\n'
    statistics = read_log([line + line + log(event())])
    assert (statistics.legacy, statistics.events, statistics.broken) == (2, 1, 0)


def test_a_line_of_five_megabytes_is_an_event_like_any_other() -> None:
    big = log(event(level="Request", requestObject={"data": {"x": "y" * 5_000_000}}), event())
    statistics = read_log([big[i : i + 65536] for i in range(0, len(big), 65536)])
    assert statistics.events == 2
    assert statistics.bodies("configmaps") == (1, 1)


def test_a_line_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "LONGEST_LINE", 1000)
    reader = LogReader()
    for _ in range(100):
        reader.feed(b"x" * 100)
    reader.feed(b"\n" + log(event()))
    statistics = reader.finish()
    assert (statistics.events, statistics.broken, statistics.lines) == (1, 1, 2)


def test_null_and_absent_bodies_are_none_and_a_patch_may_be_a_list() -> None:
    statistics = read_log(
        [log(event(requestObject=None), event(verb="patch", requestObject=[{"op": "add"}]), event(requestObject={}))]
    )
    assert statistics.bodies("configmaps") == (2, 1)
    assert statistics.bodies("configmaps", verbs=("patch",)) == (1, 0)


def test_bodies_of_other_groups_and_subresources_are_not_configmaps() -> None:
    other = event(objectRef={"resource": "configmaps", "apiGroup": "example.org"}, requestObject={})
    status = event(objectRef={"resource": "configmaps", "subresource": "status"})
    statistics = read_log([log(other, status)])
    assert statistics.bodies("configmaps") == (0, 0)
    assert statistics.completed_of_others("configmaps") == 1


def test_what_was_before_the_given_start_is_older() -> None:
    early = event(requestReceivedTimestamp="2026-11-23T09:59:59.999999Z")
    statistics = read_log([log(early, event())], since="2026-11-23T11:00:00+01:00")
    assert (statistics.older, statistics.events, statistics.completed) == (1, 2, 2)
    assert sum(statistics.classes.values()) == 1
    assert statistics.started == "2026-11-23T10:00:00.000000Z"


def test_times_written_by_hand_are_compared_as_times() -> None:
    late = event(requestReceivedTimestamp="2026-11-23T12:00:01+02:00")
    early = event(requestReceivedTimestamp="2026-11-23T09:59:59Z")
    statistics = read_log([log(late, early)], since="2026-11-23T10:00:00.5Z")
    assert sum(statistics.classes.values()) == 1


def test_the_last_start_that_the_log_shows_begins_the_count_anew() -> None:
    data = log(
        event(level="Metadata"),
        start("2026-11-23T10:00:00.000000Z"),
        event(level="Request", requestObject={}),
        start("2026-11-23T10:05:00.000000Z"),
        start("2026-11-23T10:05:00.500000Z"),
        event(level="RequestResponse", requestReceivedTimestamp="2026-11-23T10:05:02.000000Z"),
    )
    statistics = read_log([data])
    assert statistics.started == "2026-11-23T10:05:00.000000Z"
    assert statistics.starts_seen == 2
    assert (statistics.events, statistics.completed) == (6, 6)
    assert statistics.older + sum(statistics.classes.values()) == 6
    assert statistics.bodies("configmaps") == (0, 1)


def test_a_server_that_comes_back_in_four_seconds_has_started_again() -> None:
    data = log(start("2026-11-23T10:00:00.000000Z"), event(), start("2026-11-23T10:00:04.000000Z"))
    statistics = read_log([data])
    assert (statistics.started, statistics.starts_seen) == ("2026-11-23T10:00:04.000000Z", 2)


def test_a_given_start_is_not_moved_by_what_the_log_shows() -> None:
    data = log(event(), start("2026-11-23T10:05:00.000000Z"), event())
    statistics = read_log([data], since="2026-11-23T09:00:00Z")
    assert statistics.started == "2026-11-23T09:00:00.000000Z"
    assert sum(statistics.classes.values()) == 3


def test_the_same_request_by_a_person_is_no_start() -> None:
    asked = start("2026-11-23T10:05:00.000000Z") | {"user": {"username": "kubernetes-admin"}}
    assert read_log([log(event(), asked)]).started is None


def test_events_with_a_nonce_are_kept_whole() -> None:
    body = {"data": {"x": "probe-7-c"}}
    data = log(
        event(auditID="probe-7-a", level="Request", requestObject={}),
        event(auditID="x-probe-7-b", objectRef={"resource": "configmaps", "name": "probe-7-c"}),
        event(requestObject=body, requestURI="/probe-7-c"),
        event(auditID="probe-8"),
    )
    statistics = read_log([data], nonces=("probe-7-a", "probe-7-b", "probe-7-c"))
    assert [found.audit_id for found in statistics.found] == ["probe-7-a", "x-probe-7-b"]
    assert [found.has_request_object for found in statistics.found] == [True, False]
    assert statistics.events == 4


def test_classes_do_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "MOST_KEPT", 10)
    data = log(*(event(objectRef={"resource": "x", "namespace": f"n{i}"}) for i in range(100)))
    statistics = read_log([data])
    assert statistics.events == statistics.completed == 100
    assert len(statistics.classes) == 10


def test_gzip_is_unpacked_and_a_damaged_one_ends_where_it_must() -> None:
    data = log(*(event(auditID=str(i)) for i in range(2000)))
    packed = gzip.compress(data)
    assert b"".join(unpacked([packed[:100], packed[100:]])) == data
    assert b"".join(unpacked([data])) == data
    assert b"".join(unpacked([gzip.compress(data) + packed])) == data * 2
    cut = b"".join(unpacked([packed[: len(packed) // 2]]))
    assert data.startswith(cut)
    assert cut
    assert b"".join(unpacked([packed[:50] + b"\x00" * 50 + packed[100:]])) != data
    assert b"".join(unpacked([])) == b""


def test_rotated_logs_come_first_and_in_order() -> None:
    names = [
        "audit.log",
        "audit-2026-11-24T02-36-32.662.log.gz",
        "audit-2026-11-23T02-36-32.662.log",
        "audit-old.log",
        "other.log",
        "audit.log.bak",
    ]
    assert log_names(names, "audit.log") == (
        "audit-2026-11-23T02-36-32.662.log",
        "audit-2026-11-24T02-36-32.662.log.gz",
        "audit.log",
    )
    assert log_names(["audit-2026-11-23T02-36-32.662"], "audit") == ("audit-2026-11-23T02-36-32.662",)
    assert log_names([], "audit.log") == ()


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("2026-11-23T02:26:42Z", "2026-11-23T02:26:42.000000Z"),
        ("2026-11-23T02:26:42.1234567891Z", "2026-11-23T02:26:42.123456Z"),
        ("2026-11-23T02:26:42.5+05:30", "2026-11-22T20:56:42.500000Z"),
        ("2026-11-23 02:26:42z", "2026-11-23T02:26:42.000000Z"),
        ("yesterday", None),
        ("0001-01-01T00:00:00+23:00", None),
        ("", None),
    ],
)
def test_times_are_brought_into_the_logs_own_form(text: str, normal: str | None) -> None:
    assert normal_time(text) == normal


def test_an_empty_log_has_nothing_in_it() -> None:
    statistics = read_log([])
    assert statistics.lines == statistics.events == 0
    assert statistics.first_time is None
    assert not statistics.truncated


def test_an_event_over_lines_and_two_on_a_line_are_broken_wherever_they_stand() -> None:
    one = log(event()).rstrip(b"\n")
    over = one.replace(b',"stage"', b'\n,"stage"')
    statistics = read_log([one + b"\n" + over + b"\n" + one + one + b"\n\n" + one + b"\n"])
    assert (statistics.events, statistics.broken, statistics.first_broken, statistics.lines) == (2, 3, 2, 6)


def test_a_line_nested_a_thousand_deep_is_no_crash() -> None:
    deep = log(event()).replace(b'"auditID"', b'"x":' + b"[" * 100_000 + b"]" * 100_000 + b',"auditID"')
    statistics = read_log([deep + log(event())])
    assert (statistics.events, statistics.broken) == (1, 1)


def test_words_that_come_after_a_long_look_are_counted_like_all() -> None:
    blocks = [log(*(event(verb=verb, requestReceivedTimestamp=time) for _ in range(200))) for verb, time in _CHANGES]
    statistics = read_log(blocks, since="2026-11-23T09:30:00Z", words=Words(named=False, look=1))
    assert {kind.verb: number for kind, number in statistics.classes.items()} == {"get": 600, "list": 200, "own": 200}
    assert (statistics.broken, statistics.older, statistics.events) == (0, 200, 1200)


_CHANGES = [
    ("get", "2026-11-23T10:00:00.000000Z"),
    ("get", "2026-11-23T10:00:00.000000Z"),
    ("list", "2026-11-23T12:00:00.1+02:00"),
    ("get", "2026-11-23T10:00:00Z"),
    ("own", "2026-11-23T10:00:00.000000Z"),
    ("get", "2026-11-23T09:00:00.000000Z"),
]


def test_a_gzip_says_what_is_wrong_with_it() -> None:
    data = log(*(event(auditID=str(i)) for i in range(20_000)))
    packed = gzip.compress(data)

    def read(content: bytes, size: int = 1000) -> tuple[bytes, str | None]:
        source = unpacked([content[at : at + size] for at in range(0, len(content), size)])
        return b"".join(source), source.damaged

    assert read(packed) == (data, None)
    assert read(packed, 1) == (data, None)
    assert read(packed + packed + b"\0" * 600) == (data * 2, None)
    some, cut = read(packed[: len(packed) // 2])
    assert data.startswith(some)
    assert cut == f"the gzip is cut: nothing after byte {len(some)} is there"
    assert read(packed[:-1])[1] is not None
    assert "damaged" in str(read(packed[:5000] + b"\xff" * 50 + packed[5050:])[1])
    behind, damage = read(packed + b"and more")
    assert behind == data
    assert "behind" in str(damage)
    assert read(b"\x1f")[0] == b"\x1f"


def test_files_end_where_they_end_and_lines_have_their_place() -> None:
    one, two = log(event(), event())[:-1], log(event(level="Request"))
    statistics = audit_log.read_logs([[one], [], [two]])
    assert (statistics.events, statistics.broken, statistics.truncated) == (3, 0, True)
    assert statistics.file_lines == (2, 0, 1)
    assert statistics.place(max(statistics.examples.values())) == (2, 1)
    assert statistics.place(2) == (0, 2)


def test_a_gzip_beside_the_log_that_it_is_made_of_is_not_read() -> None:
    old = "audit-2026-11-23T02-36-32.662.log"
    assert log_names([f"{old}.gz", old, "audit.log.gz", "audit.log"], "audit.log") == (old, "audit.log")
    assert log_names([f"{old}.gz", "audit.log"], "audit.log") == (f"{old}.gz", "audit.log")


def test_a_rotated_log_s_name_says_when_it_was_put_aside() -> None:
    assert rotated_at("audit-2026-11-23T02-36-32.662.log.gz", "audit.log") == "2026-11-23T02:36:32.662000Z"
    assert rotated_at("/l/a/b-2026-11-23T02-36-32.662", "/l/a/b") == "2026-11-23T02:36:32.662000Z"
    assert rotated_at("audit.log", "audit.log") == rotated_at("audit-old.log", "audit.log") == ""
