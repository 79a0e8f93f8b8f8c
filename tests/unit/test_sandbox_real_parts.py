"""What a real API server needs beside itself: kubeadm's objects, a few controllers' work, the kubelet's logs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.drivers.base import ApiResponse
from lab.drivers.sandbox import controllers, kubeadm, programs
from lab.drivers.sandbox.controllers import Controllers, Refused
from lab.drivers.sandbox.kubelet import log_server
from lab.drivers.sandbox.kubelet.kubeconfig import Access
from lab.drivers.sandbox.lite.http import HttpRequest
from lab.errors import LabError

Json = dict[str, Any]


# kubeadm


class Api:
    """An API server that takes everything but what it is told to refuse: path -> statuses, one a request."""

    def __init__(self, refusals: Mapping[str, Sequence[int]] | None = None) -> None:
        self._refusals = {path: list(statuses) for path, statuses in (refusals or {}).items()}
        self.sent: list[tuple[str, str, Json]] = []

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 5.0,
    ) -> ApiResponse:
        if self._refusals.get(path):
            return ApiResponse(self._refusals[path].pop(0), {}, b'{"message": "no"}')
        self.sent.append((method, path, json.loads(body or b"{}")))
        return ApiResponse(201 if method == "POST" else 200, {}, b"{}")

    def paths(self, method: str) -> list[str]:
        return [path for sent, path, _ in self.sent if sent == method]


@pytest.fixture(autouse=True)
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubeadm, "_LOOK_AGAIN", 0)


def test_the_administrators_get_their_rights_before_anything_needs_them() -> None:
    api = Api()
    kubeadm.finish(api, "node-1", "10.0.0.1", "v1.34.4")
    names = [body["metadata"]["name"] for method, _, body in api.sent if method == "POST"]
    assert {"kubeadm:cluster-admins", "coredns", "kube-proxy", "kubeadm-config", "kube-dns"} <= set(names)
    assert not {"cluster-admin", "system:node", "kubernetes", "kube-system", "default"} & set(names)
    [node] = [body for method, path, body in api.sent if (method, path) == ("PATCH", "/api/v1/nodes/node-1")]
    assert node["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] == ""
    assert "status" not in node
    statuses = [path for path in api.paths("PATCH") if path.endswith("/status")]
    assert "/apis/apps/v1/namespaces/kube-system/deployments/coredns/status" in statuses


def test_what_a_starting_server_refuses_is_sent_again() -> None:
    pods = "/api/v1/namespaces/kube-system/pods"
    api = Api({pods: [403, 404, 500]})
    kubeadm.finish(api, "node-1", "10.0.0.1", "v1.34.4")
    assert api.paths("POST").count(pods) == 2


def test_what_is_there_already_is_left() -> None:
    folder = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    kubeadm.finish(Api({folder: [409]}), "node-1", "10.0.0.1", "v1.34.4")


def test_what_a_server_refuses_for_good_is_told() -> None:
    folder = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    with pytest.raises(LabError, match=r"refused POST .*/clusterroles \(422\)"):
        kubeadm.finish(Api({folder: [422]}), "node-1", "10.0.0.1", "v1.34.4")


# Controllers


class Server:
    """Takes what the controllers send. `answers`: (method, path) -> what is raised or returned, once each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[tuple[str, str, str]] = []
        self.bodies: dict[str, Json] = {}
        self.answers: dict[tuple[str, str], list[Json | Exception]] = {}
        server = self

        def send(
            client: controllers.Client,
            method: str,
            path: str,
            body: Json | None = None,
            good: Sequence[int] = (200,),
            accept: str = "",
        ) -> Json:
            agent = client._headers["User-Agent"].rpartition(":")[2].rpartition("/")[2]
            server.sent.append((agent, method, path))
            if body is not None:
                server.bodies[path] = body
            waiting = server.answers.get((method, path))
            answer = waiting.pop(0) if waiting else {"status": {"token": "t"}}
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(controllers.Client, "send", send)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(monkeypatch)


def does() -> Controllers:
    return Controllers(Access("http://127.0.0.1:1", "127.0.0.1", 1, None), "CA")


def test_a_namespace_is_filled_by_the_accounts_that_do_it_on_a_real_control_plane(server: Server) -> None:
    does().namespace({"metadata": {"name": "x"}})
    made = [each for each in server.sent if each[2].startswith("/api/v1/namespaces/x/")]
    assert made == [
        ("service-account-controller", "POST", "/api/v1/namespaces/x/serviceaccounts"),
        ("root-ca-cert-publisher", "POST", "/api/v1/namespaces/x/configmaps"),
    ]
    assert server.bodies["/api/v1/namespaces/x/configmaps"]["data"] == {"ca.crt": "CA"}


def test_an_account_is_made_once(server: Server) -> None:
    controller = does()
    controller.fill("x")
    controller.fill("y")
    tokens = [path for _, _, path in server.sent if path.endswith("/token")]
    assert len(tokens) == 2


def test_a_token_that_is_no_good_any_more_is_asked_for_again(server: Server) -> None:
    path = "/api/v1/namespaces/x/serviceaccounts"
    server.answers["POST", path] = [Refused(f"POST {path}: 401 Unauthorized")]
    does().fill("x")
    assert [each[2] for each in server.sent].count(path) == 2


def test_a_namespace_that_ends_takes_nothing_and_that_is_fine(server: Server) -> None:
    path = "/api/v1/namespaces/x/configmaps"
    words = "forbidden: unable to create new content in namespace x because it is being terminated"
    server.answers["POST", path] = [Refused(f"POST {path}: 403 {words}")]
    does().fill("x")


def test_a_refusal_for_want_of_rights_is_no_success(server: Server) -> None:
    path = "/api/v1/namespaces/x/configmaps"
    server.answers["POST", path] = [Refused(f"POST {path}: 403 forbidden: cannot create")]
    with pytest.raises(Refused):
        does().fill("x")


def test_a_deleted_namespace_is_emptied_and_let_go(server: Server) -> None:
    def resource(name: str, scope: str = "Namespaced", verbs: Sequence[str] = ("deletecollection",)) -> Json:
        return {"resource": name, "scope": scope, "verbs": list(verbs)}

    core = [resource("secrets"), resource("nodes", "Cluster"), resource("bindings", verbs=("create",))]
    server.answers["GET", "/api"] = [{"items": [{"versions": [{"version": "v1", "resources": core}]}]}]
    apps = {"metadata": {"name": "apps"}, "versions": [{"version": "v1", "resources": [resource("deployments")]}]}
    server.answers["GET", "/apis"] = [{"items": [apps]}]
    does().namespace({"metadata": {"name": "x", "deletionTimestamp": "now"}, "spec": {"finalizers": ["kubernetes"]}})
    assert [path for _, method, path in server.sent if method == "DELETE"] == [
        "/api/v1/namespaces/x/secrets",
        "/apis/apps/v1/namespaces/x/deployments",
    ]
    assert server.bodies["/api/v1/namespaces/x/finalize"]["spec"]["finalizers"] == []
    assert server.sent[-1][:2] == ("namespace-controller", "PUT")


def test_flags_that_lead_to_no_kubeconfig_end_it(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert controllers.serve(["kube-controller-manager", f"--kubeconfig={tmp_path}/none"]) == 1
    assert "stand-in" in capfd.readouterr().err


def test_the_programs_that_are_not_real_are_preloaded_and_the_real_ones_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(programs, "_server", lambda: asked.append("lite"))
    monkeypatch.setattr(programs, "_controllers", lambda: asked.append("controllers"))
    programs.preload()
    programs.preload({"kube-apiserver": "/opt/x", "etcd": "/opt/y"})
    assert asked == ["lite", "controllers"]


# The kubelet's port


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "kube-system_etcd-node_uid/etcd"
    folder.mkdir(parents=True)
    line = "2026-11-24T11:03:47.000000000Z stderr F {}\n"
    (folder / "0.log").write_text(line.format("first run"))
    (folder / "1.log").write_text(line.format("one") + line.format("two"))
    return tmp_path


async def asked(logs: Path, target: str, *, name: str = "kube-apiserver-kubelet-client") -> tuple[int, str]:
    request = HttpRequest("GET", target, certificate=b"x", subject=(("commonName", name),))
    answer = await log_server.handle(request, logs)
    body = answer.body
    if answer.stream is not None:
        body = b"".join([chunk async for chunk in answer.stream])
    return answer.status, body.decode()


_ETCD = "/containerLogs/kube-system/etcd-node/etcd"


@pytest.mark.parametrize(
    ("target", "status", "words"),
    [
        (_ETCD, 200, "one\ntwo\n"),
        (f"{_ETCD}?tailLines=1", 200, "two\n"),
        (f"{_ETCD}?previous=true", 200, "first run\n"),
        (f"{_ETCD}?tailLines=many", 400, '{"message": "Unable to decode query."}\n'),
        ("/containerLogs/kube-system/etcd-node/other", 404, "container other not found in pod etcd-node_kube-system\n"),
        ("/containerLogs/kube-system/..%2f..%2fetc/passwd", 404, None),
        ("/containerLogs/kube-system", 404, "404 page not found\n"),
        ("/metrics", 404, "404 page not found\n"),
    ],
)
async def test_the_api_server_reads_logs(logs: Path, target: str, status: int, words: str | None) -> None:
    found = await asked(logs, target)
    assert found[0] == status
    assert words is None or found[1] == words


async def test_nobody_else_reads_logs(logs: Path) -> None:
    assert (await asked(logs, _ETCD, name="system:node:other"))[0] == 403
    assert (await log_server.handle(HttpRequest("GET", _ETCD), logs)).status == 401


@pytest.mark.parametrize("what", ["exec", "attach", "portForward"])
async def test_what_is_not_possible_is_said(logs: Path, what: str) -> None:
    status, said = await asked(logs, f"/{what}/kube-system/etcd-node/etcd")
    assert status == 501
    assert json.loads(said)["message"].startswith(f"{what} is not possible on a sandbox node")
