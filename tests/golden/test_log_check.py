"""Every event that a real kube-apiserver wrote is one that its policy can have produced; changed ones are found."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checkers.kube.audit_policy import Policy, evaluate, load_policy
from checkers.kube.builtin_resources import builtin_resources
from checkers.kube.logs.check import LogReport, check_log
from checkers.kube.logs.decisions import Decisions
from checkers.kube.logs.judged import LineJudge

from .test_policy_recordings import attributes

TIME = "2026-11-23T06:40:00.{:06d}Z"


def checked(data: bytes, policy: Policy, *, size: int = 1 << 20) -> LogReport:
    return check_log((data[start : start + size] for start in range(0, len(data), size)), policy)


def written(event: dict[str, Any]) -> bytes:
    """As Go writes it."""
    text = json.dumps(event, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode() + b"\n"


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "golden"


@pytest.fixture(scope="module")
def log(golden: Path) -> bytes:
    return gzip.decompress((golden / "logs/mixed.log.gz").read_bytes())


@pytest.fixture(scope="module")
def policy(golden: Path) -> Policy:
    return load_policy((golden / "logs/policy.yaml").read_bytes())


def test_nothing_is_found_in_a_real_log_under_its_own_policy(log: bytes, policy: Policy) -> None:
    report = checked(log, policy)
    assert report.counts == {}
    assert report.judged == report.events == log.count(b"\n")


@pytest.mark.parametrize("size", [997, 70_001])
def test_the_size_of_the_chunks_changes_nothing(log: bytes, policy: Policy, size: int) -> None:
    part = log[: 2 << 20]
    assert checked(part, policy, size=size) == checked(part, policy)


def test_an_extract_of_a_log_has_no_impossible_event(golden: Path, policy: Policy) -> None:
    report = checked((golden / "logs/small.log").read_bytes(), policy)
    assert report.impossible == 0
    assert set(report.counts) == {"extract", "end-missing", "unanswered"}


def test_nothing_is_found_in_the_events_of_every_recorded_exchange(golden: Path) -> None:
    everything = load_policy(b"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: RequestResponse\n")
    lines = []

    def whole(body: Any) -> Any:
        """Return a body that was put aside for its size."""
        if not isinstance(body, dict) or "$ref" not in body:
            return body
        put = body["$ref"]
        text = put["text"] if "text" in put else gzip.decompress((golden / f"bodies/{put['sha256']}.gz").read_bytes())
        return json.loads(text)

    for exchange in map(json.loads, gzip.decompress((golden / "exchanges.jsonl.gz").read_bytes()).splitlines()):
        for event in exchange["audit"]:
            bodies = {name: whole(event[name]) for name in ("requestObject", "responseObject") if name in event}
            lines.append((event["stageTimestamp"], written(event | bodies)))
    # They were recorded by request, where a log is by time.
    lines.sort(key=lambda line: line[0])
    report = checked(b"".join(line for _, line in lines), everything)
    assert report.events == len(lines) > 1500
    assert [str(finding) for finding in report.findings] == []


# The battery: 145 policies, 200 requests.


def made_body(event: dict[str, Any]) -> dict[str, Any]:
    """Return a body as one was sent with the request."""
    ref = event["objectRef"]
    if event["verb"] in ("delete", "deletecollection"):
        return {"kind": "DeleteOptions", "metadata": {}}
    about = builtin_resources().get((ref.get("apiGroup", ""), ref["resource"]))
    metadata = {name: ref[name] for name in ("name", "uid", "resourceVersion") if name in ref}
    return {"kind": about.singular.title() if about else "Any", "metadata": metadata}


def battery_events(request: dict[str, Any], shapes: list[dict[str, Any]], audit_id: str) -> Iterator[dict[str, Any]]:
    """Build the events that were recorded of a request out of their shapes."""
    asked = request["attributes"]
    user = {} if asked["user"] is None else {"username": asked["user"], "groups": asked["groups"]}
    for number, shape in enumerate(shapes):
        event: dict[str, Any] = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": shape["level"],
            "auditID": audit_id,
            "stage": shape["stage"],
            "requestURI": request["path"],
            "verb": asked["verb"],
            "user": user,
        }
        later = shape["stage"] != "RequestReceived"
        if request["impersonated"] and later:
            event["impersonatedUser"] = {"username": request["impersonated"]}
        event["sourceIPs"] = ["10.0.0.1"]
        if "objectRef" in shape:
            ref = {"uid": "", "resourceVersion": "", **shape["objectRef"]}
            order = ("resource", "namespace", "name", "uid", "apiGroup", "apiVersion", "resourceVersion", "subresource")
            event["objectRef"] = {name: ref[name] for name in order if ref.get(name)}
        if later:
            event["responseStatus"] = {"metadata": {}, "code": shape["code"]}
        for body, there, managed in (
            ("requestObject", "req", "reqManaged"),
            ("responseObject", "resp", "respManaged"),
        ):
            if shape[there]:
                event[body] = made_body(event) if body == "requestObject" else {"kind": "Any", "metadata": {}}
                if shape.get(managed):
                    event[body]["metadata"]["managedFields"] = [{}]
        event["requestReceivedTimestamp"] = TIME.format(0)
        event["stageTimestamp"] = TIME.format(number)
        if shape.get("annotations"):
            event["annotations"] = dict.fromkeys(shape["annotations"], "") | (
                {"authorization.k8s.io/decision": "forbid" if shape["code"] == 403 else "allow"}
                if "authorization.k8s.io/decision" in shape["annotations"]
                else {}
            )
        yield event


def rows(golden: Path) -> Iterator[tuple[bytes, tuple[int, int], dict[str, Any]]]:
    """Yield every policy that was run, for which version, and what it recorded."""
    for row in map(json.loads, gzip.decompress((golden / "policy/truth.jsonl.gz").read_bytes()).splitlines()):
        yield (golden / f"policy/policies/{row['policy']}.yaml").read_bytes(), (1, 34), row["results"]
    for row in map(json.loads, gzip.decompress((golden / "policy/star-1.36.jsonl.gz").read_bytes()).splitlines()):
        if "results" in row:
            yield row["policy"].encode(), (1, 36), row["results"]


@pytest.fixture(scope="module")
def battery(golden: Path) -> dict[str, dict[str, Any]]:
    return {request["id"]: request for request in json.loads((golden / "policy/battery.json").read_text())}


def test_nothing_is_found_in_what_145_policies_recorded(golden: Path, battery: dict[str, dict[str, Any]]) -> None:
    found = []
    events = 0
    for text, version, results in rows(golden):
        policy = load_policy(text, version=version)
        lines = []
        for number, (name, shapes) in enumerate(results.items()):
            audit_id = f"00000000-0000-4000-8000-{number:012x}"
            lines += map(written, battery_events(battery[name], shapes, audit_id))
        events += len(lines)
        report = checked(b"".join(lines), policy)
        found += [str(finding) for finding in report.findings]
        assert report.events == len(lines)
    assert found == []
    assert events > 20_000


def test_another_level_or_stage_is_found_for_every_policy_and_request(
    golden: Path, battery: dict[str, dict[str, Any]]
) -> None:
    """What the catch-all recorded, at any level, is possible under a policy where it recorded that, and not elsewhere."""
    asked: list[tuple[str, str, str]] = []
    sent: list[bytes] = []
    for name, request in battery.items():
        if name == "cm-patch-apply-yaml":
            continue
        for level in ("Metadata", "Request", "RequestResponse"):
            for shape in request["catchAll"]:
                changed = shape | {
                    "level": level,
                    "req": shape["req"] and level != "Metadata",
                    "resp": shape["resp"] and level == "RequestResponse",
                    "reqManaged": False,
                    "respManaged": False,
                }
                (event,) = battery_events(request, [changed], f"{len(asked):08x}-0000-4000-8000-000000000000")
                asked.append((name, shape["stage"], level))
                sent.append(written(event))
    wrong, tried = [], 0
    for text, version, results in rows(golden):
        judge = LineJudge(load_policy(text, version=version))
        judge.feed(b"".join(sent))
        lines = judge.take()
        assert len(lines.judged) == len(asked)
        recorded = {(name, s["stage"], s["level"]) for name, shapes in results.items() for s in shapes}
        accused = {
            asked[number - 1]
            for number, index, *_ in lines.judged
            if {"level", "not-recorded", "stage-omitted"}.intersection(p.kind for p in lines.verdicts[index].problems)
        }
        tried += len(asked)
        wrong += sorted(accused ^ {one for one in asked if one[0] in results} - recorded)
    assert wrong == []
    assert tried > 100_000


def test_decisions_are_those_of_the_policy(golden: Path, battery: dict[str, dict[str, Any]]) -> None:
    for text, version, _ in rows(golden):
        policy = load_policy(text, version=version)
        decisions = Decisions(policy)
        for request in battery.values():
            asked = attributes(request["attributes"])
            assert decisions.of(asked) == evaluate(policy, asked)


# Changed lines of the real log.


def changes(lines: list[dict[str, Any]], random_: random.Random) -> Iterator[tuple[str, int, dict[str, Any], set[str]]]:
    """Yield (what was done, the line's index, the new event, the kinds that have to be found)."""
    for index in random_.sample(range(len(lines)), 400):
        event = lines[index]
        policy_kinds = {"level", "not-recorded", "stage-omitted"}
        for level in {"Metadata", "Request", "RequestResponse"} - {event["level"]}:
            yield f"level {level}", index, event | {"level": level}, policy_kinds
        yield "level None", index, event | {"level": "None"}, {"field"}
        yield "earlier than its request", index, event | {"stageTimestamp": "2026-11-23T05:00:00.000000Z"}, {"time"}
        yield "kind", index, event | {"kind": "Events"}, {"field"}
        if event["stage"] == "RequestReceived":
            yield "a body too early", index, event | {"requestObject": {}}, {"body-unexpected"}
        elif event["level"] == "Metadata":
            yield "a body", index, event | {"responseObject": {}}, {"body-above-level"}
        if "objectRef" in event:
            other = event["objectRef"] | {"resource": "nosuch"}
            yield "another verb", index, event | {"verb": "escalate"}, {"uri"}
            yield "another resource", index, event | {"objectRef": other}, {"uri"}
            without = {key: value for key, value in event.items() if key != "objectRef"}
            yield "no objectRef", index, without, {"uri"}


def test_changed_lines_of_the_real_log_are_found_at_their_line(log: bytes, policy: Policy) -> None:
    lines = log.splitlines(keepends=True)[:6000]
    events = [json.loads(line) for line in lines]
    of_request: dict[str, list[int]] = {}
    for n, event in enumerate(events):
        of_request.setdefault(event["auditID"], []).append(n)
    missed = []
    tried = 0
    for what, index, changed, kinds in changes(events, random.Random(4)):
        # The other events of its request, and its neighbours.
        near = [n for n in range(max(0, index - 8), min(len(lines), index + 8)) if n != index]
        own = [n for n in of_request[changed["auditID"]] if n != index]
        others = sorted({*own, *near})
        place = sum(n < index for n in others)
        sent = [lines[n] for n in others]
        sent.insert(place, written(changed))
        report = checked(b"".join(sent), policy)
        tried += 1
        if not any(f.line == place + 1 and f.problem.kind in kinds for f in report.findings):
            missed.append((what, index, events[index]["stage"], [str(f.problem) for f in report.findings]))
    assert missed == []
    assert tried > 2500


def test_a_line_taken_out_of_the_real_log_is_missed(log: bytes, policy: Policy) -> None:
    lines = log.splitlines(keepends=True)
    events = [json.loads(line) for line in lines]
    begins = [n for n, e in enumerate(events) if e["stage"] == "RequestReceived" and n > 2000]
    gone = set(random.Random(1).sample(begins, 50))
    report = checked(b"".join(line for n, line in enumerate(lines) if n not in gone), policy)
    assert report.counts == {"received-missing": 50}
    assert {f.audit_id for f in report.findings} == {events[n]["auditID"] for n in gone}

    ends = [n for n, e in enumerate(events[:9000]) if e["stage"] == "ResponseComplete" and e["verb"] == "list"]
    begun = {e["auditID"] for e in events if e["stage"] == "RequestReceived"}
    old = "2026-11-23T06:37:20"
    gone = {n for n in ends if events[n]["auditID"] in begun and events[n]["stageTimestamp"] < old}
    gone = set(random.Random(2).sample(sorted(gone), 50))
    report = checked(b"".join(line for n, line in enumerate(lines) if n not in gone), policy)
    assert set(report.counts) == {"end-missing"}
    assert report.counts["end-missing"] == 50
