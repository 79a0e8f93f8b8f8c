"""What the lite API server answers where no object is concerned: paths, routes, media types, health, discovery."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from lab.drivers.sandbox.lite.http import Response
from tests.lite_cluster import LiteCluster

CM = "/api/v1/namespaces/dev/configmaps"
NO_RESOURCE = "the server could not find the requested resource"
NO_METHOD = "the server does not allow this method on the requested resource"
_AS = "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
AGGREGATED = f"application/json;{_AS},application/json"


@pytest.fixture
def cluster(tmp_path: Path) -> LiteCluster:
    return LiteCluster(tmp_path)


def header(response: Response, name: str) -> str:
    return dict(response.headers).get(name, "")


@pytest.mark.parametrize(
    "path",
    ["/nope", "/apis/nope.io/v1", "/apis/nope.io/v1/widgets", "//api/v1/pods", "/healthz/", "/healthz/nope", "/apisx"],
)
async def test_a_path_nobody_serves_is_a_page_not_found(cluster: LiteCluster, path: str) -> None:
    response = await cluster.ask("GET", path, "super")
    assert (response.status, response.body, response.content_type) == (
        404,
        b"404 page not found\n",
        "text/plain; charset=utf-8",
    )


@pytest.mark.parametrize(
    ("method", "path", "code", "message"),
    [
        ("GET", "/api/v1/widgets", 404, NO_RESOURCE),
        ("GET", "/apis/apps/v9/deployments", 404, NO_RESOURCE),
        ("GET", "/api/v1/namespaces/dev/nodes", 404, NO_RESOURCE),
        ("GET", "/api/v1/namespaces/dev/pods/a/nope", 404, NO_RESOURCE),
        ("GET", "/api/v2", 404, NO_RESOURCE),
        ("POST", "/api/v1/configmaps", 405, NO_METHOD),
        ("DELETE", "/api/v1/configmaps", 405, NO_METHOD),
        ("POST", f"{CM}/a", 405, NO_METHOD),
        ("PUT", CM, 405, NO_METHOD),
        ("OPTIONS", CM, 405, NO_METHOD),
        ("DELETE", "/version", 405, NO_METHOD),
        ("POST", "/api", 405, NO_METHOD),
    ],
)
async def test_what_is_not_routed_is_a_status_with_empty_details(
    cluster: LiteCluster, method: str, path: str, code: int, message: str
) -> None:
    response = await cluster.ask(method, path, "super")
    status = json.loads(response.body)
    assert (response.status, status["message"], status["details"], status["code"]) == (code, message, {}, code)


async def test_who_accepts_nothing_we_have_is_told_in_json(cluster: LiteCluster) -> None:
    response = await cluster.ask("GET", CM, "super", accept="text/csv")
    words = "only the following media types are accepted: application/json, application/yaml, "
    assert (response.status, json.loads(response.body)["message"]) == (
        406,
        words + "application/vnd.kubernetes.protobuf",
    )
    assert "responseObject" not in cluster.events[-1]


async def test_a_body_of_an_unknown_type_is_a_415(cluster: LiteCluster) -> None:
    response = await cluster.ask("POST", CM, "super", b"x", content_type="text/plain")
    assert response.status == 415
    assert b"the body of the request was in an unknown format" in response.body


async def test_a_body_of_more_than_3_mebibytes_is_a_413(cluster: LiteCluster) -> None:
    response = await cluster.ask("POST", CM, "super", bytes(3 * 1024 * 1024 + 1), content_type="application/json")
    assert (response.status, json.loads(response.body)["reason"]) == (413, "RequestEntityTooLarge")


async def test_yaml_is_written_for_who_accepts_it(cluster: LiteCluster) -> None:
    response = await cluster.ask("GET", "/api/v1/namespaces/dev", "super", accept="application/yaml")
    assert response.content_type == "application/yaml"
    assert b"kind: Namespace\n" in response.body


@pytest.mark.parametrize(
    ("query", "agent", "indented"), [("", "kubectl", False), ("?pretty=true", "", True), ("", "curl/8", True)]
)
async def test_json_is_indented_for_people(cluster: LiteCluster, query: str, agent: str, indented: bool) -> None:
    response = await cluster.ask("GET", f"/api/v1/namespaces/dev{query}", "super", user_agent=agent)
    assert response.body.startswith(b'{\n  "kind"') is indented


async def test_health_is_ok_until_the_server_stops(cluster: LiteCluster) -> None:
    for path in ("/healthz", "/livez", "/readyz"):
        assert (await cluster.ask("GET", path, "anon")).body == b"ok"
    assert (await cluster.ask("GET", "/readyz/etcd", "super")).body == b"ok"
    verbose = (await cluster.ask("GET", "/readyz?verbose", "super")).body
    assert verbose.startswith(b"[+]ping ok\n")
    assert verbose.endswith(b"[+]shutdown ok\nreadyz check passed\n")
    cluster.health.stopping = True
    response = await cluster.ask("GET", "/readyz", "super")
    assert response.status == 500
    assert response.body.endswith(b"[-]shutdown failed: reason withheld\nreadyz check failed\n")
    assert (await cluster.ask("GET", "/livez", "super")).status == 200


async def test_the_version_says_lite(cluster: LiteCluster) -> None:
    version = json.loads((await cluster.ask("GET", "/version", "anon")).body)
    assert (version["major"], version["minor"], version["gitVersion"]) == ("1", "34", "v1.34.4-lite")


async def test_discovery_is_sent_once_and_then_unchanged(cluster: LiteCluster) -> None:
    first = await cluster.ask("GET", "/apis", "super", accept=AGGREGATED)
    assert first.content_type.endswith("as=APIGroupDiscoveryList")
    assert "responseObject" in cluster.events[-1]
    again = await cluster.ask("GET", "/apis", "super", accept=AGGREGATED, if_none_match=header(first, "Etag"))
    assert (again.status, again.body, header(again, "Vary")) == (304, b"", "Accept")


async def test_large_answers_are_compressed_for_who_can_read_it(cluster: LiteCluster) -> None:
    plain = await cluster.ask("GET", "/openapi/v2", "super", accept="application/json")
    packed = await cluster.ask("GET", "/openapi/v2", "super", accept="application/json", accept_encoding="gzip")
    assert header(packed, "Content-Encoding") == "gzip"
    assert gzip.decompress(packed.body) == plain.body


async def test_every_answer_says_who_it_is_and_that_it_is_not_to_be_kept(cluster: LiteCluster) -> None:
    response = await cluster.ask("GET", "/nope", "super")
    assert header(response, "Cache-Control") == "no-cache, private"
    assert header(response, "Audit-Id") == cluster.events[0]["auditID"]


async def test_a_stream_that_breaks_is_a_panic_in_the_log(
    cluster: LiteCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*args: Any) -> AsyncGenerator[bytes, None]:
        yield b"one"
        raise RuntimeError("broken")

    monkeypatch.setattr("lab.drivers.sandbox.lite.resource_routes._events", broken)
    await cluster.ask("GET", f"{CM}?watch=1", "super")
    assert [event["stage"] for event in cluster.events] == ["RequestReceived", "ResponseStarted", "Panic"]
    assert cluster.events[-1]["responseStatus"]["message"] == "APIServer panic'd: RuntimeError: broken"
