"""Audit events of the lite API server: shape, order, stages and what is in them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from checkers.kube.audit_policy import Level
from checkers.kube.request_info import parse
from lab.drivers.sandbox.lite.audit import Event, RawBody, Unencodable, timestamp, without_managed_fields
from lab.drivers.sandbox.lite.border import UserInfo
from lab.drivers.sandbox.lite.http import HttpRequest
from tests.lite_cluster import LiteCluster, policy

NOW = datetime(2026, 11, 23, 2, 26, 42, 934150, UTC)
CM = "/api/v1/namespaces/dev/configmaps"


def event(target: str = f"{CM}/a", method: str = "GET", level: Level = Level.REQUEST_RESPONSE, **headers: str) -> Event:
    request = HttpRequest(
        method, target, {name.replace("_", "-"): [value] for name, value in headers.items()}, b"", "10.0.0.9"
    )
    return Event(
        request, parse(method, request.path, request.query), "id-1", level, UserInfo("jane", "", ("developers",)), NOW
    )


def line(made: Event, stage: str = "ResponseComplete") -> str:
    return made.as_json(stage, NOW).decode()


def test_keys_come_in_the_order_of_the_real_log() -> None:
    made = event(user_agent="kubectl/v1.34.4")
    made.impersonated = UserInfo("bob")
    made.set_request({"kind": "ConfigMap"}, decoded=True)
    made.set_response({"kind": "ConfigMap"})
    made.set_code(200)
    made.annotations = {"b": "2", "a": "1"}
    assert list(json.loads(line(made))) == [
        "kind", "apiVersion", "level", "auditID", "stage", "requestURI", "verb", "user", "impersonatedUser",
        "sourceIPs", "userAgent", "objectRef", "responseStatus", "requestObject", "responseObject",
        "requestReceivedTimestamp",
        "stageTimestamp", "annotations",
    ]  # fmt: skip
    assert line(made).endswith('"annotations":{"a":"1","b":"2"}}\n')


def test_ampersands_and_angle_brackets_are_escaped_as_go_does() -> None:
    made = event(f"{CM}?a=1&b=<2>")
    assert r'"requestURI":"/api/v1/namespaces/dev/configmaps?a=1\u0026b=\u003c2\u003e"' in line(made)


def test_timestamps_always_have_six_decimals() -> None:
    assert timestamp(datetime(2026, 1, 2, 3, 4, 5, 0, UTC)) == "2026-01-02T03:04:05.000000Z"
    assert '"requestReceivedTimestamp":"2026-11-23T02:26:42.934150Z"' in line(event())


def test_request_received_has_neither_status_nor_annotations_nor_the_name_a_body_gave() -> None:
    made = event(CM, "POST")
    made.set_request({"metadata": {"name": "new", "uid": "u"}}, decoded=True)
    made.annotations["x"] = "y"
    made.set_code(201)
    early = json.loads(line(made, "RequestReceived"))
    assert early["objectRef"] == {"resource": "configmaps", "namespace": "dev", "apiVersion": "v1"}
    assert not {"responseStatus", "requestObject", "annotations"} & set(early)
    assert json.loads(line(made))["objectRef"]["name"] == "new"


def test_a_long_user_agent_is_cut_at_1024() -> None:
    assert json.loads(line(event(user_agent="u" * 3000)))["userAgent"] == "u" * 1024 + "...TRUNCATED"


def test_addresses_are_those_of_the_proxies_then_the_peer() -> None:
    made = event(x_forwarded_for="10.1.2.3, nonsense, 10.9.9.9", x_real_ip="10.7.7.7")
    assert json.loads(line(made))["sourceIPs"] == ["10.1.2.3", "10.9.9.9", "10.7.7.7", "10.0.0.9"]


def test_a_patch_is_embedded_as_it_was_sent_without_its_blanks() -> None:
    made = event(method="PATCH")
    made.set_request(RawBody(b'{ "data" : {"n": 1.50, "t": "a  <b>"} }'), decoded=False)
    assert r'"requestObject":{"data":{"n":1.50,"t":"a  \u003cb\u003e"}}' in line(made)


def test_a_yaml_patch_cannot_be_recorded_with_its_body() -> None:
    made = event(method="PATCH")
    made.set_request(RawBody(b"apiVersion: v1\n"), decoded=False)
    with pytest.raises(Unencodable, match="invalid character 'a' looking for beginning of value"):
        line(made)
    line(made, "RequestReceived")


def test_managed_fields_are_left_out_of_objects_lists_and_tables_without_changing_them() -> None:
    one = {"kind": "ConfigMap", "metadata": {"name": "a", "managedFields": [{}]}}
    bare = {"kind": "ConfigMap", "metadata": {"name": "a"}}
    assert without_managed_fields(one) == bare
    assert without_managed_fields({"kind": "ConfigMapList", "items": [one]}) == {
        "kind": "ConfigMapList",
        "items": [bare],
    }
    table = {"kind": "Table", "rows": [{"cells": ["a"], "object": one}, {"cells": []}]}
    assert without_managed_fields(table) == {"kind": "Table", "rows": [{"cells": ["a"], "object": bare}, {"cells": []}]}
    assert "managedFields" in one["metadata"]


def test_the_legacy_format_is_the_recorded_one() -> None:
    made = event("/readyz", user_agent="Python-urllib/3.11")
    made.user = UserInfo("super-admin", "", ("system:masters", "system:authenticated"))
    assert made.as_legacy("RequestReceived").decode() == (
        '2026-11-23T02:26:42.93415Z AUDIT: id="id-1" stage="RequestReceived" ip="10.0.0.9" method="get" '
        'user="super-admin" '
        r'groups="\"system:masters\",\"system:authenticated\"" as="<self>" asgroups="<lookup>" '
        'user-agent="Python-urllib/3.11" namespace="<none>" uri="/readyz" response="<deferred>"\n'
    )


@pytest.fixture
def cluster(tmp_path: Path) -> LiteCluster:
    return LiteCluster(tmp_path)


async def test_a_client_names_the_audit_id_and_gets_it_back(cluster: LiteCluster) -> None:
    response = await cluster.ask("GET", "/version", audit_id="mine")
    assert ("Audit-Id", "mine") in response.headers
    assert [made["auditID"] for made in cluster.events] == ["mine", "mine"]


async def test_a_bad_token_leaves_one_event_without_a_user(cluster: LiteCluster) -> None:
    response = await cluster.ask("GET", f"{CM}?watch=1", None, authorization="Bearer nobody")
    assert response.status == 401
    (only,) = cluster.events
    assert (only["stage"], only["user"], only["responseStatus"]["message"]) == ("ResponseStarted", {}, "Unauthorized")
    assert "annotations" not in only


async def test_a_timeout_that_is_none_is_refused_before_anybody_is_asked_who_they_are(cluster: LiteCluster) -> None:
    response = await cluster.ask("GET", f"{CM}?timeout=banana")
    (only,) = cluster.events
    assert response.status == 400
    assert (only["stage"], only["user"]) == ("ResponseStarted", {})
    assert only["responseStatus"]["message"] == "invalid timeout specified in the request URL"


async def test_a_watch_has_an_event_when_it_starts_and_one_when_it_ends(cluster: LiteCluster) -> None:
    await cluster.ask("GET", f"{CM}?watch=1", "super")
    assert [made["stage"] for made in cluster.events] == ["RequestReceived", "ResponseStarted", "ResponseComplete"]
    assert all("responseObject" not in made for made in cluster.events)


async def test_who_is_impersonated_is_recorded_and_the_policy_sees_who_asks(cluster: LiteCluster) -> None:
    await cluster.ask("GET", CM, "super", impersonate_user="jane")
    received, complete = cluster.events
    assert "impersonatedUser" not in received
    assert complete["user"]["username"] == "super-admin"
    assert complete["impersonatedUser"] == {"username": "jane", "groups": ["system:authenticated"]}


async def test_the_level_decides_which_bodies_are_there(tmp_path: Path) -> None:
    rules = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n"
    rules += "- {level: Request, resources: [{resources: [configmaps]}]}\n- {level: Metadata, resources: [{}]}\n"
    cluster = LiteCluster(tmp_path, policy(rules))
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}
    await cluster.ask("POST", CM, "super", body)
    (made,) = cluster.events
    assert made["requestObject"]["data"] == {"k": "v"}
    assert "responseObject" not in made
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "v"}}
    await cluster.ask("POST", "/api/v1/namespaces/dev/secrets", "super", secret)
    (made,) = cluster.events
    assert made["level"] == "Metadata"
    assert "requestObject" not in made
    assert made["objectRef"]["name"] == "s"
    await cluster.ask("GET", "/healthz", "super")
    assert cluster.events == []


async def test_a_mistake_of_ours_is_a_panic_in_the_log_and_the_server_goes_on(
    cluster: LiteCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster.registry, "handle", lambda request: 1 / 0)
    response = await cluster.ask("GET", f"{CM}/a", "super")
    assert response.status == 500
    assert cluster.events[-1]["stage"] == "Panic"
    assert cluster.events[-1]["responseStatus"]["message"].startswith("APIServer panic'd: ")
    assert (await cluster.ask("GET", "/healthz", "super")).body == b"ok"
