"""What the kubelet tells an API server, and what an API server that is down or hangs does to it: nothing."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lab.drivers.sandbox.kubelet.agent import Kubelet
from lab.drivers.sandbox.kubelet.config import Config

POD = "/api/v1/namespaces/kube-system/pods/kube-apiserver-cks-control-plane"


class Api:
    """An API server of dictionaries: enough of nodes, leases and pods for a kubelet. `seen`: (method, path, agent)."""

    def __init__(self) -> None:
        self.objects: dict[str, dict] = {}
        self.seen: list[tuple[str, str, str]] = []
        self.watching: list[BaseHTTPRequestHandler] = []
        self.serial = 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else {}
                api.seen.append((self.command, self.path, self.headers["User-Agent"]))
                if "watch=true" in self.path:
                    self.send_response(200)
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    api.watching.append(self)
                    time.sleep(10)
                    return
                code, answer = api.answer(self.command, self.path.partition("?")[0], body)
                data = json.dumps(answer).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do  # noqa: N815  the names http.server calls

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, method: str, path: str, body: dict) -> tuple[int, dict]:
        found = self.objects.get(path)
        if method == "GET" and path == "/api/v1/pods":
            pods = [item for key, item in self.objects.items() if "/pods/" in key]
            return 200, {"kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": pods}
        if method == "POST":
            key = f"{path}/{body['metadata']['name']}"
            if key in self.objects:
                return 409, {"message": f"{key} already exists"}
            self.serial += 1
            body["metadata"]["uid"] = f"uid-{self.serial}"
            self.objects[key] = body
            return 201, body
        if method == "PATCH":
            found = self.objects.get(path.removesuffix("/status"))
            if found is None:
                return 404, {"message": "not found"}
            found["status"] = body["status"]
            return 200, found
        if found is None:
            return 404, {"message": "not found"}
        if method == "DELETE":
            del self.objects[path]
        if method == "PUT":
            self.objects[path] = body
        return 200, self.objects.get(path, {})

    def tell(self, event: dict) -> None:
        """Send an event to whoever watches."""
        data = json.dumps(event).encode() + b"\n"
        self.watching[-1].wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


@pytest.fixture
def api():
    made = Api()
    yield made
    made.server.shutdown()
    made.server.server_close()


def kubeconfig(node, port):
    path = node.root / "etc/kubernetes/kubelet.conf"
    cluster = {"server": f"http://127.0.0.1:{port}"}
    path.write_text(json.dumps({"clusters": [{"cluster": cluster}], "users": [{"user": {}}]}))
    config = Config(root=node.root, pid=812, cpus=2)
    node.kubelet = Kubelet(config, node.runtime, node.clock)


def pump(node, condition, limit=300.0, step=0.01):
    """Let the node's loop go round until the condition holds; its clock goes as the wall's does."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "\n".join(node.log()[-10:])
        poller = select.poll()
        for fd, events in node.kubelet.fds().items():
            poller.register(fd, (select.POLLIN if events & 1 else 0) | (select.POLLOUT if events & 2 else 0))
        for fd, _ in poller.poll(5):
            node.kubelet.ready(fd)
        node.kubelet.tick()
        node.clock.now += step


def test_node_lease_and_mirror_pod_are_told(node, manifest, api):
    node.write("kube-apiserver.yaml", manifest)
    kubeconfig(node, api.port)
    node.kubelet.start()
    pump(node, lambda: "status" in api.objects.get(POD, {}))
    assert "/api/v1/nodes/cks-control-plane" in api.objects
    status = api.objects["/api/v1/nodes/cks-control-plane"]["status"]
    assert [c["status"] for c in status["conditions"] if c["type"] == "Ready"] == ["True"]
    lease = api.objects["/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/cks-control-plane"]
    assert lease["spec"]["leaseDurationSeconds"] == 40
    mirror = api.objects[POD]
    uid = node.running().spec.pod_uid
    annotations = mirror["metadata"]["annotations"]
    assert annotations["kubernetes.io/config.mirror"] == annotations["kubernetes.io/config.hash"] == uid
    assert annotations["kubernetes.io/config.source"] == "file"
    assert mirror["metadata"]["ownerReferences"][0]["uid"] == "uid-1"
    assert mirror["spec"]["nodeName"] == "cks-control-plane"
    pump(node, lambda: api.objects[POD]["status"]["phase"] == "Running")
    (container,) = api.objects[POD]["status"]["containerStatuses"]
    assert (container["ready"], container["restartCount"]) == (True, 0)
    assert all(agent.startswith("kubelet/v1.34.4 (linux/") for _, _, agent in api.seen)


def test_the_lease_is_renewed_every_ten_seconds(node, manifest, api):
    kubeconfig(node, api.port)
    node.kubelet.start()
    renewals = lambda: [path for method, path, _ in api.seen if method == "PUT" and "leases" in path]  # noqa: E731
    pump(node, lambda: api.watching)
    before = node.clock.now
    pump(node, lambda: len(renewals()) == 3, step=0.1)
    assert 29 < node.clock.now - before < 35


def test_a_restart_shows_in_the_count(node, manifest, api):
    node.write("kube-apiserver.yaml", manifest)
    kubeconfig(node, api.port)
    node.kubelet.start()
    pump(node, lambda: "status" in api.objects.get(POD, {}))
    node.runtime.kill("kube-apiserver")
    pump(node, lambda: api.objects[POD]["status"]["containerStatuses"][0]["restartCount"] == 1)
    last = api.objects[POD]["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (137, "Error")


def test_a_crash_loop_shows_as_such(node, manifest, api, life):
    node.runtime.life = lambda spec: life(seconds=0.05, code=1)
    node.write("kube-apiserver.yaml", manifest)
    kubeconfig(node, api.port)
    node.kubelet.start()

    def loops():
        status = api.objects.get(POD, {}).get("status", {})
        return any("waiting" in c["state"] for c in status.get("containerStatuses", ()))

    pump(node, loops)
    waiting = api.objects[POD]["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "CrashLoopBackOff"
    assert waiting["message"].startswith("back-off ")


def test_a_changed_pod_gets_another_mirror_with_the_recorded_words(node, manifest, api, recorded):
    node.write("kube-apiserver.yaml", manifest)
    kubeconfig(node, api.port)
    node.kubelet.start()
    pump(node, lambda: "status" in api.objects.get(POD, {}))
    old = api.objects[POD]["metadata"]["uid"]
    node.write("kube-apiserver.yaml", manifest.replace("6443\n    image", "6444\n    image"))
    pump(node, lambda: api.objects.get(POD, {}).get("metadata", {}).get("uid") not in (old, None))
    wanted = [
        line.split(" s ", 1)[1].partition(") ")[2] if "(x" in line else line.split(" s ", 1)[1]
        for line in recorded["save-renamed"]["observed"]["kubelet_log"]
    ]
    said = [line.replace(f'podUID="{old}"', 'podUID="<uuid>"') for line in node.log()]
    for line in wanted:
        assert line in said


def test_a_mirror_pod_that_somebody_deletes_comes_back_at_once_and_nothing_restarts(node, manifest, api):
    node.write("kube-apiserver.yaml", manifest)
    kubeconfig(node, api.port)
    node.kubelet.start()
    pump(node, lambda: api.watching and "status" in api.objects.get(POD, {}))
    gone = api.objects.pop(POD)
    api.tell({"type": "DELETED", "object": gone})
    pump(node, lambda: POD in api.objects)
    assert len(node.starts()) == 1


def test_the_mirror_of_a_pod_that_is_gone_goes_too(node, manifest, api):
    node.write("kube-apiserver.yaml", manifest)
    kubeconfig(node, api.port)
    node.kubelet.start()
    pump(node, lambda: POD in api.objects)
    (node.manifests / "kube-apiserver.yaml").unlink()
    pump(node, lambda: POD not in api.objects)


def test_leftovers_of_a_kubelet_that_was_stopped_go_when_the_api_answers(node, manifest, api):
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(1)
    node.kubelet.stop()
    (node.manifests / "kube-apiserver.yaml").unlink()
    node.kubelet.start()
    node.run(30)
    assert node.running() is not None, "the API source is not ready: nothing is removed"
    node.kubelet.stop()
    kubeconfig(node, api.port)
    node.kubelet.start()
    pump(node, lambda: node.running() is None)


def test_nobody_listening_is_logged_in_gos_words_and_holds_up_nothing(node, manifest):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    kubeconfig(node, port)
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    pump(node, lambda: node.errors())
    url = f"http://127.0.0.1:{port}/api/v1/nodes/cks-control-plane?resourceVersion=0&timeout=10s"
    refused = f'Get \\"{url}\\": dial tcp 127.0.0.1:{port}: connect: connection refused'
    words = f'err="error getting node \\"cks-control-plane\\": {refused}"'
    assert node.errors() == [f'E kubelet_node_status.go:548] "Error updating node status, will retry" {words}']
    assert node.running() is not None


def test_a_server_that_accepts_and_says_nothing_is_given_up_after_its_deadline(node, manifest):
    with socket.create_server(("127.0.0.1", 0)) as server:
        kubeconfig(node, server.getsockname()[1])
        node.write("kube-apiserver.yaml", manifest)
        node.kubelet.start()
        pump(node, lambda: node.running() is not None)
        for _ in range(5):
            node.kubelet.tick()
        node.clock.now += 6
        pump(node, lambda: node.errors())
        assert "context deadline exceeded" in node.errors()[0]


def test_without_a_kubeconfig_the_pods_run_all_the_same(node, manifest):
    config = Config(root=node.root, pid=812, cpus=2)
    node.kubelet = Kubelet(config, node.runtime, node.clock)
    node.write("kube-apiserver.yaml", manifest)
    node.kubelet.start()
    node.run(5)
    assert node.running() is not None
    assert any("Failed to load kubeconfig" in line for line in node.errors())


# Probes

PROBED = """\
    startupProbe: {httpGet: {host: 127.0.0.1, path: /livez, port: PORT}, periodSeconds: 10, failureThreshold: 3}
    livenessProbe: {httpGet: {host: 127.0.0.1, path: /livez, port: PORT}, periodSeconds: 10, failureThreshold: 2}
    readinessProbe: {httpGet: {host: 127.0.0.1, path: /readyz, port: PORT}, periodSeconds: 1}
    ports:
"""


def probed(manifest, port):
    return manifest.replace("    ports:\n", PROBED.replace("PORT", str(port)), 1)


def is_ready(node):
    running = node.running()
    return running is not None and node.kubelet._run.prober.ready(running.id)


def test_a_container_is_ready_when_its_probes_say_so(node, manifest, api):
    api.objects["/livez"] = api.objects["/readyz"] = {"metadata": {}}
    node.write("kube-apiserver.yaml", probed(manifest, api.port))
    node.kubelet.start()
    pump(node, lambda: is_ready(node))
    assert {agent for _, _, agent in api.seen} == {"kube-probe/1.34"}
    del api.objects["/readyz"]
    pump(node, lambda: not is_ready(node), step=0.5)
    assert len(node.starts()) == 1, "readiness restarts nothing"


def test_a_container_that_hangs_is_killed_and_started_again(node, manifest, api):
    api.objects["/livez"] = api.objects["/readyz"] = {"metadata": {}}
    node.write("kube-apiserver.yaml", probed(manifest, api.port))
    node.kubelet.start()
    pump(node, lambda: is_ready(node))
    # A question that is under way while ten seconds pass at once would run out of time, and not be answered 404.
    pump(node, lambda: not node.kubelet._run.prober.exchanges())
    del api.objects["/livez"]
    node.clock.now += 10
    pump(node, lambda: len(node.starts()) == 2)
    assert any("failed liveness probe, will be restarted" in line for line in node.log())
    assert any("HTTP probe failed with statuscode: 404" in line for line in node.log())
