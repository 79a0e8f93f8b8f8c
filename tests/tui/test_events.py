"""The events of a log as the screen keeps them, and the rule that wrote each."""

from __future__ import annotations

import json

import pytest

from checkers.kube.audit_policy import load_policy
from lab.tui import events as kept
from lab.tui.events import LogLines, rule_of
from lab.tui.lens import VERBS, Viewpoint, table, viewpoints
from tests.tui.fake_session import POLICY, event

GOOD = load_policy(
    b"""apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    nonResourceURLs: ["/healthz*"]
  - level: Request
    users: [jane]
    namespaces: [prod]
    resources: [{group: "", resources: [configmaps]}]
  - level: Metadata
"""
)


def one(line: bytes) -> kept.LogEvent:
    lines = LogLines()
    lines.add([line])
    return lines.shown[0]


def test_an_event_says_when_what_and_who() -> None:
    shown = one(event(1, "configmaps", "create"))
    assert (shown.time, shown.verb, shown.target, shown.user) == (
        "09:30:01", "create", "configmaps default/x1", "kubernetes-admin",
    )  # fmt: skip


@pytest.mark.parametrize(
    "line", [b"not json", b"{broken", b"[1]", b"\xff\xfe\x00", b'{"user": 1, "objectRef": [], "verb": {}}']
)
def test_a_line_that_is_no_event_is_shown_as_it_is(line: bytes) -> None:
    shown = one(line)
    assert shown.text() is not None
    assert shown.pretty()
    assert rule_of(shown, GOOD) in ("", "?")


def test_each_event_names_the_rule_that_wrote_it() -> None:
    assert rule_of(one(event(1)), GOOD) == "2"


def test_an_event_of_another_policy_has_no_rule() -> None:
    assert rule_of(one(event(1, "configmaps", "create", "Request")), GOOD) == "?"
    assert rule_of(one(event(1, stage="RequestReceived")), GOOD) == "?"


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KEPT", 10)
    lines = LogLines()
    lines.add([event(n) for n in range(25)])
    assert lines.total == 25
    assert [shown.number for shown in lines.shown] == list(range(16, 26))
    lines.add([b"x" * (1 << 20)])
    assert len(lines.shown[-1].raw) == kept.LINE_LIMIT


def test_the_filter_wants_every_word_in_any_case() -> None:
    lines = LogLines()
    lines.add([event(1), event(2, "secrets", "update"), event(3, "secrets")])
    lines.filter("SECRETS get")
    assert [shown.number for shown in lines.shown] == [3]
    lines.add([event(4, "secrets"), event(5)])
    assert [shown.number for shown in lines.shown] == [3, 4]
    lines.filter("")
    assert len(lines.shown) == 5


def test_an_event_opens_as_indented_json() -> None:
    assert json.loads(one(event(1)).pretty())["auditID"] == "id-1"


def test_the_lens_shows_the_rule_that_decides_each_verb() -> None:
    shown = {row.label: row for row in table(load_policy(POLICY), Viewpoint()).rows}
    levels = {str(decision.level) for decision in shown["configmaps"].decisions if decision}
    assert levels == {"Metadata"}
    assert all(decision and decision.rule and decision.rule.index == 0 for decision in shown["configmaps"].decisions)
    assert shown["/healthz"].decisions[1:] == (None,) * (len(VERBS) - 1)


def test_the_lens_can_look_with_the_eyes_of_those_whom_the_policy_names() -> None:
    users, spaces = viewpoints(GOOD)
    assert "jane" in dict(users)
    assert "prod" in spaces
    seen = table(GOOD, Viewpoint("jane", ("system:authenticated",), "prod")).rows
    assert str(seen[0].label) == "configmaps"
    assert {str(d.level) for d in seen[0].decisions if d} == {"Request"}
