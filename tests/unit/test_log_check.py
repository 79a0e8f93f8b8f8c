"""What can be forged in an audit log, or lost, is found at its line; what can have a harmless reason accuses nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from checkers.kube.audit_policy import Policy, load_policy
from checkers.kube.logs.check import LogCheck, LogReport, check_log
from checkers.kube.logs.findings import KINDS
from checkers.kube.logs.gaps import LeaseGaps
from checkers.kube.logs.judged import LineJudge

BEGAN = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)
DEV = "/api/v1/namespaces/dev"
BODY = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a", "namespace": "dev"}}
OPTIONS = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/__internal", "propagationPolicy": "Background"}
Event = dict[str, Any]


def policy(text: str = "- level: Metadata") -> Policy:
    return load_policy(f"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n{text}\n".encode())


METADATA = policy()
EVERYTHING = policy("- level: RequestResponse")


def at(seconds: float) -> str:
    return (BEGAN + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def uuid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def written(event: Event) -> bytes:
    return json.dumps(event, separators=(",", ":")).replace("&", "\\u0026").encode() + b"\n"


def request(
    seconds: float,
    *,
    uri: str = f"{DEV}/configmaps/a",
    verb: str = "get",
    level: str = "Metadata",
    code: int = 200,
    user: str | None = "jane",
    number: int | None = None,
    ref: dict[str, str] | None = None,
    stages: tuple[str, ...] = ("RequestReceived", "ResponseComplete"),
    took: float = 0.01,
    **later: Any,
) -> list[Event]:
    """Return the events of a request as a kube-apiserver writes them."""
    about = {"resource": "configmaps", "namespace": "dev", "name": "a", "apiVersion": "v1"} if ref is None else ref
    events = []
    for place, stage in enumerate(stages):
        first = stage == "RequestReceived"
        event: Event = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": level,
            "auditID": uuid(int(seconds * 1000) if number is None else number),
            "stage": stage,
            "requestURI": uri,
            "verb": verb,
            "user": {"username": user, "groups": ["system:authenticated"]} if user else {},
            "sourceIPs": ["10.0.0.1"],
            "userAgent": "kubectl",
        }
        if about:
            event["objectRef"] = about
        if not first:
            event["responseStatus"] = {"metadata": {}, "code": code}
            event |= {name: later[name] for name in ("requestObject", "responseObject") if name in later}
        event["requestReceivedTimestamp"] = at(seconds)
        event["stageTimestamp"] = at(seconds if first else seconds + took * place)
        if not first and user:
            decision = "forbid" if code == 403 else "allow"
            event["annotations"] = {
                "authorization.k8s.io/decision": decision,
                "authorization.k8s.io/reason": "",
                **later.get("annotations", {}),
            }
        events.append(event)
    return events


def calm(first: int, last: int, every: int = 1) -> list[Event]:
    return [event for second in range(first, last, every) for event in request(second)]


def check(events: list[Event], by: Policy = METADATA, **options: Any) -> LogReport:
    return check_log([b"".join(map(written, events))], by, **options)


def told(report: LogReport) -> list[tuple[str, int]]:
    return [(finding.problem.kind, finding.line) for finding in report.findings]


def test_a_log_as_it_should_be_has_no_finding() -> None:
    report = check(calm(0, 100))
    assert (report.counts, report.events, report.judged, report.older) == ({}, 200, 200, 0)
    assert report.files[0].first_time == at(0)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_says_what_to_do_or_needs_no_word(kind: str) -> None:
    assert KINDS[kind].title
    assert KINDS[kind].hint or KINDS[kind].severity == "warning"


# The policy.


@pytest.mark.parametrize(
    ("rules", "kind", "said"),
    [
        ("- level: Request", "level", "rule 0 (line 4) gives Request: get configmaps a in namespace dev by jane"),
        ("- level: None\n- level: Metadata", "not-recorded", "rule 0 (line 4) gives None"),
        ("- level: Metadata\n  users: [bob]", "not-recorded", "no rule matches"),
        ("- level: Metadata\n  omitStages: [ResponseComplete]", "stage-omitted", "rule 0 (line 4) omits"),
    ],
)
def test_what_the_policy_does_not_record_is_named_with_its_rule(rules: str, kind: str, said: str) -> None:
    events = request(0)[1:]
    report = check(events, policy(rules))
    assert told(report) == [(kind, 1)]
    assert said in report.findings[0].problem.message
    assert report.impossible == 1


def test_what_a_policy_sees_is_the_uri_and_not_what_the_body_completed() -> None:
    """A create has no name when the policy looks; a policy for that name has not matched."""
    by = policy(
        "- level: RequestResponse\n  resources: [{resources: [configmaps], resourceNames: [a]}]\n- level: Metadata"
    )
    ref = {"resource": "configmaps", "namespace": "dev", "name": "a", "uid": "u", "apiVersion": "v1"}
    events = request(0, uri=f"{DEV}/configmaps", verb="create", code=201, ref=ref)[1:]
    assert check(events, by).counts == {}
    assert told(check(request(0)[1:], by)) == [("level", 1)]


def test_impersonation_is_judged_by_the_one_who_asked() -> None:
    by = policy("- level: None\n  users: [bob]\n- level: Metadata")
    events = request(0)
    events[1] = {
        key: value
        for name, given in events[1].items()
        for key, value in (
            [(name, given), ("impersonatedUser", {"username": "bob"})] if name == "user" else [(name, given)]
        )
    }
    assert check(events, by).counts == {}


def test_a_request_without_a_user_has_one_event_and_no_rule_of_users() -> None:
    by = policy("- level: None\n  userGroups: [system:unauthenticated]\n- level: Metadata")
    events = request(0, user=None, code=401, stages=("ResponseStarted",))
    assert check(events, by).counts == {}
    assert told(check(request(0, user=None, code=200, stages=("ResponseStarted",)))) == [("user", 1)]
    assert told(check(request(0, user=None, code=401)[1:])) == [("user", 1)]


def test_managed_fields_are_omitted_where_the_policy_says_but_for_a_raw_patch() -> None:
    by = load_policy(
        b"apiVersion: audit.k8s.io/v1\nkind: Policy\nomitManagedFields: true\nrules:\n- level: RequestResponse\n"
    )
    metadata = {"name": "a", "namespace": "dev"}
    body = BODY | {"metadata": metadata | {"managedFields": [{"manager": "x"}]}}
    annotated = metadata | {"annotations": {"a": '{"managedFields":[]}'}}
    plain: Event = BODY | {"metadata": annotated, "managedFields": []}
    update = {"verb": "update", "level": "RequestResponse"}
    assert told(check(request(0, **update, requestObject=plain, responseObject=body), by)) == [("managed-fields", 2)]
    assert check(request(0, **update, requestObject=plain, responseObject=plain), by).counts == {}
    patch = {"verb": "patch", "level": "RequestResponse"}
    assert check(request(0, **patch, requestObject=body, responseObject=plain), by).counts == {}
    several = {"kind": "ConfigMapList", "items": [plain, body]}
    ref = {"resource": "configmaps", "namespace": "dev", "apiVersion": "v1"}
    lists = request(0, uri=f"{DEV}/configmaps", verb="list", level="RequestResponse", ref=ref, responseObject=several)
    assert told(check(lists, by)) == [("managed-fields", 2)]


# Bodies.


@pytest.mark.parametrize(
    ("verb", "code", "bodies", "kind"),
    [
        ("get", 200, {}, "body-missing"),
        ("update", 200, {"responseObject": BODY}, "body-missing"),
        ("update", 200, {"requestObject": BODY}, "body-missing"),
        ("update", 200, {"requestObject": BODY, "responseObject": BODY}, None),
        ("update", 403, {"responseObject": {}}, None),
        ("update", 400, {}, None),
        ("patch", 415, {"responseObject": {}}, None),
        ("delete", 200, {"responseObject": BODY}, None),
        ("delete", 200, {"requestObject": OPTIONS, "responseObject": BODY}, None),
        ("get", 200, {"requestObject": BODY, "responseObject": BODY}, "body-unexpected"),
        ("update", 200, {"annotations": {"audit.k8s.io/truncated": "true"}}, None),
    ],
)
def test_bodies_are_there_where_they_have_to_be(verb: str, code: int, bodies: dict[str, Any], kind: str | None) -> None:
    report = check(request(0, verb=verb, code=code, level="RequestResponse", **bodies), EVERYTHING)
    assert told(report) == ([(kind, 2)] if kind else [])


def test_bodies_of_an_aggregated_api_are_not_logged() -> None:
    ref = {"resource": "things", "name": "a", "apiGroup": "example.org", "apiVersion": "v1"}
    events = request(0, uri="/apis/example.org/v1/things/a", verb="update", level="RequestResponse", ref=ref)
    assert check(events, EVERYTHING).counts == {}


def test_no_body_above_the_level_and_none_when_nothing_was_read() -> None:
    assert told(check(request(0, responseObject=BODY))) == [("body-above-level", 2)]
    events = request(0, level="RequestResponse", responseObject=BODY)
    events[0]["requestObject"] = {}
    report = check(events, EVERYTHING)
    assert ("body-unexpected", 1) in told(report)


# One event.


def change(**fields: Any) -> Callable[[Event], Event]:
    return lambda event: {key: value for key, value in (event | fields).items() if value is not None}


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        (change(kind="Events"), "field"),
        (change(apiVersion="audit.k8s.io/v1beta1"), "field"),
        (change(level="None"), "field"),
        (change(level="metadata"), "field"),
        (change(stage="ResponseDone"), "field"),
        (change(user=None), "field"),
        (change(verb=None), "field"),
        (change(verb=5), "field"),
        (change(responseStatus=None), "field"),
        (change(responseStatus={"metadata": {}, "code": 7}), "field"),
        (change(annotations={"authorization.k8s.io/decision": "forbid"}), "field"),
        (change(verb="delete", requestURI=f"{DEV}/configmaps"), "uri"),
        (change(verb="list"), "uri"),
        (change(requestURI=f"{DEV}/configmaps/b"), "uri"),
        (change(requestURI="/api/v1/namespaces/prod/configmaps/a"), "uri"),
        (change(requestURI="/healthz"), "uri"),
        (change(requestURI="healthz"), "field"),
        (change(objectRef=None), "uri"),
        (change(objectRef={"resource": "secrets", "namespace": "dev", "name": "a", "apiVersion": "v1"}), "uri"),
        (
            change(
                objectRef={"resource": "configmaps", "namespace": "dev", "name": "a", "uid": "u", "apiVersion": "v1"}
            ),
            "uri",
        ),
        (change(stage="ResponseStarted"), "stage"),
        (change(stageTimestamp=at(-50)), "time"),
        (change(stageTimestamp="2026-13-23T10:00:00.010000Z"), "time"),
        (change(stageTimestamp="yesterday"), "time"),
        (change(auditID="mine"), "audit-id"),
        (change(note="x"), "written"),
        (change(stageTimestamp="2026-11-23T10:00:00.01Z"), "written"),
        (change(annotations=None), "allow-missing"),
    ],
)
def test_an_event_that_cannot_be_so_is_told(changed: Callable[[Event], Event], kind: str) -> None:
    (event,) = request(0)[1:]
    report = check([changed(event)])
    assert (kind, 1) in told(report), report.findings
    assert bool(report.impossible) == (KINDS[kind].severity == "impossible")


def test_the_requests_of_a_grade_are_known() -> None:
    grade = [event | {"auditID": "cks-lab-0123456789abcdef-12"} for event in request(0)]
    assert check(grade).counts == {}
    assert check([event | {"auditID": "cks-lab-x"} for event in request(0)]).counts == {"audit-id": 2}


def test_a_parameter_that_cannot_be_read_asks_for_nothing() -> None:
    """Go's net/url leaves it out: this lists, and does not watch."""
    ref = {"resource": "configmaps", "namespace": "dev", "apiVersion": "v1"}
    assert check(request(0, uri=f"{DEV}/configmaps?watch=%zz", verb="list", ref=ref)).counts == {}


def test_a_hand_written_line_is_known_by_its_form() -> None:
    (event,) = request(0, uri=f"{DEV}/configmaps/a?x=1&y=2")[1:]
    line = written(event)
    assert check_log([line], METADATA).counts == {}
    for spoilt, word in (
        (json.dumps(event).encode(), "'&' is not escaped"),
        (json.dumps(event).replace("&", "\\u0026").encode(), "blanks"),
        (line.replace(b"\\u0026", b"&"), "'&' is not escaped"),
        (written(dict(reversed(event.items()))), "another order"),
        (line.replace(b'"verb":"get",', b'"verb":"get","verb":"get",'), "twice"),
        (written(event | {"user": {"groups": ["system:authenticated"], "username": "jane"}}), "fields of user"),
    ):
        report = check_log([spoilt.strip() + b"\n"], METADATA)
        assert told(report) == [("written", 1)], spoilt
        assert word in report.findings[0].problem.message


# One request.


def test_stages_come_once_and_in_order() -> None:
    first, last = request(0)
    assert told(check([last, first])) == [("stage-order", 2)]
    assert told(check([first, last, last])) == [("stage-twice", 3)]
    assert told(check([first, last, last | {"stage": "Panic", "responseStatus": {"metadata": {}, "code": 500}}])) == [
        ("stage-order", 3)
    ]
    other = last | {"user": {"username": "bob", "groups": ["system:authenticated"]}}
    assert told(check([first, other])) == [("stages-differ", 2)]


def test_an_audit_id_seen_again_is_a_warning() -> None:
    events = request(0, number=7) + request(5, number=7)
    report = check(events)
    assert told(report) == [("audit-id-again", 3)]
    assert report.impossible == 0


def test_a_missing_begin_is_known_where_the_log_is_whole() -> None:
    events = calm(0, 100)
    report = check(events[:100] + events[101:])
    assert told(report) == [("received-missing", 101)]
    assert "rule 0 (line 4)" in report.findings[0].problem.message
    # At the log's begin it is in another file.
    assert check(events[1:]).counts == {}
    # Or it is a line that cannot be read.
    lines = list(map(written, events))
    lines[100] = b'{"kind":"Ev\n'
    report = check_log(lines, METADATA)
    assert report.counts == {"received-unknown": 1, "unreadable": 1}
    assert report.impossible == 0
    # Or omitted.
    assert check(events[:100] + events[101:], policy("- level: Metadata\n  omitStages: [Panic]")).impossible == 1
    ends = [event for event in events if event["stage"] != "RequestReceived"]
    assert check(ends, policy("- level: Metadata\n  omitStages: [RequestReceived]")).counts == {}


def test_an_extract_of_a_log_is_not_accused_of_what_it_lacks() -> None:
    ends = [event for event in calm(0, 100) if event["stage"] != "RequestReceived"]
    report = check(ends)
    assert set(report.counts) == {"extract"}
    assert report.impossible == 0


def test_a_missing_end_is_a_warning_after_a_minute_and_not_for_a_watch() -> None:
    events = calm(0, 100)
    assert told(check(events[:3] + events[4:])) == [("end-missing", 3)]
    assert check(events[:-3] + events[-2:]).counts == {}
    watch = request(
        1.5,
        uri=f"{DEV}/configmaps?watch=1",
        verb="watch",
        ref={"resource": "configmaps", "namespace": "dev", "apiVersion": "v1"},
        stages=("RequestReceived", "ResponseStarted"),
    )
    assert check(events[:4] + watch + events[4:]).counts == {}


def test_a_watch_that_ends_has_a_begin_and_a_start() -> None:
    ref = {"resource": "configmaps", "namespace": "dev", "apiVersion": "v1"}
    stages = ("RequestReceived", "ResponseStarted", "ResponseComplete")
    watch = request(20.5, uri=f"{DEV}/configmaps?watch=1", verb="watch", ref=ref, stages=stages, took=20)
    events = calm(0, 100)
    both = sorted(events + watch, key=lambda event: event["stageTimestamp"])
    assert check(both).counts == {}
    without = [event for event in both if event["stage"] != "ResponseStarted"]
    assert check(without).counts == {"started-missing": 1}


def test_a_watch_that_nobody_answered_is_a_warning_after_a_minute() -> None:
    ref = {"resource": "configmaps", "namespace": "dev", "apiVersion": "v1"}
    stages = ("RequestReceived", "ResponseStarted", "ResponseComplete")
    received, started, _ = request(20.5, uri=f"{DEV}/configmaps?watch=1", verb="watch", ref=ref, stages=stages)
    events = calm(0, 100)
    report = check([*events[:42], received, *events[42:]])
    assert (told(report), report.impossible) == ([("unanswered", 43)], 0)
    assert check([*events[:42], received, started, *events[42:]]).counts == {}
    assert check([*events[:42], received, *events[42:150]]).counts == {}
    # Its server is gone a while later, and another one writes the log.
    gone = [*events[:42], received, *events[42:], *start(110), *calm(111, 200)]
    assert (check(gone).counts, check(gone).older_counts) == ({}, {"unanswered": 1})
    assert check(gone, everything=True).counts == {"unanswered": 1}
    soon = [*events[:42], received, *events[42:120], *start(110), *calm(111, 300)]
    assert check(soon, everything=True).counts == {}
    omitted = policy("- level: Metadata\n  omitStages: [ResponseStarted]")
    assert check([*events[:42], received, *events[42:]], omitted).counts == {}


def test_what_was_forgotten_accuses_nobody() -> None:
    judge, checked = LineJudge(METADATA), LogCheck()
    checked._order.window = 10
    checked.begin("audit.log")
    ref = {"resource": "configmaps", "namespace": "dev", "apiVersion": "v1"}
    stages = ("RequestReceived", "ResponseStarted", "ResponseComplete")
    watches = [
        request(9 + n / 100, uri=f"{DEV}/configmaps?watch=1", verb="watch", ref=ref, stages=stages, number=n, took=40)
        for n in range(60)
    ]
    events = calm(0, 8) + [watch[0] for watch in watches] + calm(10, 60)
    events += [event for watch in watches for event in watch[1:]]
    for event in sorted(events, key=lambda event: str(event["stageTimestamp"])):
        judge.feed(written(event))
    checked.take(judge.take())
    assert checked.finish().impossible == 0


# Time.


def test_a_lone_line_of_another_day_is_false() -> None:
    events = calm(0, 60)
    for days in (-1, 1):
        strange = request(86400 * days, number=99_999_999)
        report = check(events[:60] + strange + events[60:])
        assert [kind for kind in told(report) if kind[0] == "time-outside"] == [
            ("time-outside", 61),
            ("time-outside", 62),
        ]
        assert set(report.counts) == {"time-outside"}


def test_a_quiet_log_may_go_on_tomorrow() -> None:
    assert check(calm(0, 60) + calm(86400, 86460)).counts == {}
    assert check(calm(0, 60) + request(86400)).counts == {}


def test_a_clock_that_was_set_back_is_no_forgery() -> None:
    """An hour at once, or a second in the middle of a request."""
    events = calm(5000, 5060) + [event | {"auditID": uuid(10**6 + n // 2)} for n, event in enumerate(calm(0, 60))]
    report = check(events)
    assert report.counts == {"clock-back": 1}
    first, last = request(100)
    last["stageTimestamp"] = at(98.5)
    back = [event | {"auditID": uuid(10**6 + n // 2)} for n, event in enumerate(calm(99, 130))]
    report = check([*calm(0, 100), first, last, *back])
    assert set(report.counts) == {"clock-back"}
    assert report.impossible == 0


def test_an_end_before_the_begin_is_false_where_the_log_goes_on() -> None:
    events = calm(0, 100)
    events[101]["stageTimestamp"] = at(49.5)
    assert told(check(events)) == [("time", 102)]
    events = calm(0, 100)
    events[-1]["stageTimestamp"] = at(98.9)
    assert told(check(events)) == [("time", 200)]


def test_lines_moved_by_minutes_are_a_warning() -> None:
    events = calm(0, 600)
    moved = events[:1000] + events[20:22] + events[1000:]
    del moved[20:22]
    report = check(moved)
    assert report.counts == {"out-of-order": 2}
    assert report.impossible == 0


# The API server's start.


def start(seconds: float) -> list[Event]:
    ref = {
        "resource": "priorityclasses",
        "name": "system-node-critical",
        "apiGroup": "scheduling.k8s.io",
        "apiVersion": "v1",
    }
    uri = "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical"
    return request(seconds, uri=uri, user="system:apiserver", ref=ref)


def test_what_is_older_than_the_start_is_told_apart() -> None:
    old = [event for second in range(50) for event in request(second, level="Request")]
    report = check([*old, *start(60), *calm(61, 100)])
    assert report.counts == {}
    assert (report.older, report.starts, report.started) == (100, 1, at(60))
    assert report.older_counts == {"level": 100}
    assert check([*old, *start(60), *calm(61, 100)], everything=True).counts == {"level": 100}
    # What no policy explains counts at any time.
    old[3]["level"] = "None"
    assert "field" in check([*old, *start(60), *calm(61, 100)]).counts


def test_a_server_that_comes_back_at_once_has_started_again() -> None:
    old = [event for second in range(61, 63) for event in request(second, level="Request")]
    report = check([*start(60), *old, *start(64), *calm(65, 100)])
    assert report.counts == {}
    assert (report.starts, report.started) == (2, at(64))


def test_the_time_of_a_new_policy_may_be_given() -> None:
    old = [event for second in range(50) for event in request(second, level="Request")]
    report = check([*old, *calm(61, 100)], since="2026-11-23T11:01:00+01:00")
    assert (report.counts, report.older, report.older_counts) == ({}, 100, {"level": 100})


# Lines.


def test_what_is_no_event_is_told_with_its_line() -> None:
    good = b"".join(map(written, request(0)))
    legacy = b'2026-11-23T10:00:00Z AUDIT: id="x" stage="RequestReceived" ip="1"\n'
    log = good + b"garbage\n\n[1]\n{}\n" + legacy + b"\x00\x01\xff\n" + b'{"kind":"Event","apiVer'
    report = check_log([log], METADATA)
    assert sorted(told(report), key=lambda place: place[1]) == [
        ("unreadable", 3),
        ("not-an-event", 5),
        ("not-an-event", 6),
        ("legacy", 7),
        ("unreadable", 8),
        ("truncated", 9),
    ]


def test_deep_json_is_no_event() -> None:
    report = check_log([b"[" * 100_000 + b"\n", b'{"user":' * 50_000 + b"\n"], METADATA)
    assert report.counts == {"unreadable": 2}


def test_a_line_of_a_hundred_megabytes_is_passed_over() -> None:
    def chunks() -> Any:
        yield b"".join(map(written, request(0)))
        for _ in range(100):
            yield b"x" * (1 << 20)
        yield b"\n" + b"".join(map(written, request(20)))

    report = check_log(chunks(), METADATA)
    assert told(report) == [("huge", 3)]
    assert report.events == 4


def test_findings_are_bounded_and_all_are_counted() -> None:
    events = [event for second in range(3000) for event in request(second, level="Request")]
    report = check(events)
    assert report.counts["level"] == 6000
    assert len(report.findings) == 100


def test_a_lease_that_is_no_longer_renewed_is_a_warning() -> None:
    gaps = LeaseGaps()
    assert [gaps.renewed("a", second) for second in range(0, 300, 10)] == [None] * 30
    found = gaps.renewed("a", 600)
    assert found is not None
    assert found.message == "a was renewed at least every 10 s, and then not for 310 s"
    assert gaps.renewed("a", 610) is None
    gaps.restart()
    assert gaps.renewed("a", 5000) is None


def test_bytes_that_are_no_utf8_are_told_wherever_they_stand() -> None:
    line = written(request(0)[1])
    for place in (b'"resource"', b'"username"', b"userAgent", b"/configmaps", b"jane", b"authorization.k8s.io/reason"):
        at_ = line.index(place) + 2
        for spoilt in (line[:at_] + b"\xc3" + line[at_ + 1 :], line[:at_] + b"\x00" + line[at_ + 1 :]):
            assert check_log([spoilt], METADATA).counts, spoilt
