"""kubectl logs, exec, attach and the proxies on the lite API server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from lab.drivers.sandbox.lite.http import HttpRequest, Response
from tests.lite_cluster import USERS, LiteCluster, thing

POD = "/api/v1/namespaces/kube-system/pods/kube-apiserver-cks-control-plane"
LINES = (
    b"2026-11-24T01:00:00.000000001Z stderr F first\n"
    b"2026-11-24T01:00:01.000000001Z stdout P sec\n"
    b"2026-11-24T01:00:01.000000002Z stdout F ond\n"
    b"2026-11-24T01:00:02.000000001Z stderr F third\n"
)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "pods/kube-system_kube-apiserver-cks-control-plane_0123/kube-apiserver"
    folder.mkdir(parents=True)
    (folder / "9.log").write_bytes(b"2026-11-24T00:00:00Z stderr F before\n")
    (folder / "10.log").write_bytes(LINES)
    return folder


@pytest.fixture
def cluster(tmp_path: Path, logs: Path) -> LiteCluster:
    return LiteCluster(tmp_path, logs=logs.parent.parent)


async def said(cluster: LiteCluster, query: str = "") -> bytes:
    response = await cluster.ask("GET", f"{POD}/log{query}", "super")
    assert response.status == 200
    return response.body


async def test_a_log_is_what_the_newest_container_said(cluster: LiteCluster) -> None:
    assert await said(cluster) == b"first\nsecond\nthird\n"
    assert [event["stage"] for event in cluster.events] == ["RequestReceived", "ResponseStarted", "ResponseComplete"]


async def test_tail_times_limit_and_the_container_before(cluster: LiteCluster) -> None:
    assert await said(cluster, "?tailLines=1") == b"third\n"
    assert await said(cluster, "?tailLines=0") == b""
    assert await said(cluster, "?tailLines=1&timestamps=true") == b"2026-11-24T01:00:02.000000001Z third\n"
    assert await said(cluster, "?limitBytes=4") == b"firs"
    assert await said(cluster, "?previous=true") == b"before\n"


async def test_a_log_that_is_followed_goes_on(cluster: LiteCluster, logs: Path) -> None:
    response = await cluster.api.handle(HttpRequest("GET", f"{POD}/log?follow=true&tailLines=1"), USERS["super"])
    assert response.stream is not None
    assert await anext(response.stream) == b"third\n"
    with (logs / "10.log").open("ab") as file:
        file.write(b"2026-11-24T01:00:03Z stderr F fourth\n2026-11-24T01:00:04Z stderr F hal")
    assert await asyncio.wait_for(anext(response.stream), 60) == b"fourth\n"
    await response.stream.aclose()


async def test_a_log_nobody_can_read_is_a_refused_connection(tmp_path: Path) -> None:
    cluster = LiteCluster(tmp_path)
    response = await cluster.ask("GET", f"{POD}/log?container=kube-apiserver&tailLines=5", "super")
    status = json.loads(response.body)
    address = status["message"].split("//")[1].split(":")[0]
    assert status == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f'Get "https://{address}:10250/containerLogs/kube-system/kube-apiserver-cks-control-plane/kube-apiserver'
        f'?tailLines=5": dial tcp {address}:10250: connect: connection refused',
        "code": 500,
    }


def pod(name: str, *containers: str, **spec: Any) -> dict[str, Any]:
    return thing("v1", "Pod", name, "dev", spec={"containers": [{"name": c, "image": c} for c in containers], **spec})


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("nope/log", 404, 'pods "nope" not found'),
        ("two/log", 400, "a container name must be specified for pod two, choose one of: [a b]"),
        ("two/log?container=c", 400, "container c is not valid for pod two"),
        ("waiting/exec?command=ls", 400, "pod waiting does not have a host assigned"),
        ("two/exec?container=a&command=ls", 400, "Upgrade request required"),
        ("two/proxy", 400, "address not allowed"),
    ],
)
async def test_what_cannot_be_is_refused_in_the_real_words(
    cluster: LiteCluster, path: str, code: int, message: str
) -> None:
    for made in (pod("two", "a", "b", nodeName="cks-control-plane"), pod("waiting", "a")):
        cluster.registry.ensure(made)
    response = await cluster.ask("GET", f"/api/v1/namespaces/dev/pods/{path}", "super")
    assert (response.status, json.loads(response.body)["message"]) == (code, message)


async def test_a_pod_without_a_node_has_an_empty_log(cluster: LiteCluster) -> None:
    cluster.registry.ensure(pod("waiting", "a"))
    assert (await cluster.ask("GET", "/api/v1/namespaces/dev/pods/waiting/log", "super")).status == 204


async def test_exec_is_accepted_and_fails_on_the_error_channel(cluster: LiteCluster) -> None:
    response: Response = await cluster.ask(
        "GET",
        f"{POD}/exec?command=ls&container=kube-apiserver&stderr=true&stdout=true",
        "super",
        upgrade="websocket",
        sec_websocket_key="HeccI6jGZDvjkCYjhT6/Lw==",
        sec_websocket_protocol="v5.channel.k8s.io",
    )
    assert response.status == 101
    assert ("Sec-WebSocket-Accept", "b07mQw1wldGJeDKKVHhnfUS3JLU=") in response.headers
    assert [event["responseStatus"]["code"] for event in cluster.events[1:]] == [101, 101]
    sent: list[bytes] = []
    reader = asyncio.StreamReader()
    reader.feed_eof()
    assert response.tunnel is not None
    await response.tunnel(reader, sent.append)
    (frames,) = sent
    assert frames[:1] == b"\x82"
    assert b"?command=ls&error=1&output=1" in frames.replace(b"\\u0026", b"&")
    assert frames.endswith(b"\x88\x02\x03\xe8")
