"""The real kubectl against the lite API server, as a process of its own with certificates on a loopback port."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import procs
from tests.lite_cluster import ISSUER, key_pem
from tests.lite_pki import kubeconfig, lay

_MAIN = "import sys; from lab.drivers.sandbox.lite.server import serve; sys.exit(serve(sys.argv[1:]))"
_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Request
  resources: [{group: "", resources: [configmaps]}]
- level: Metadata
"""
DEADLINE = 120.0


def kubectls() -> list[str]:
    """Return the kubectls to try: the one that is installed with us, and those that CKS_LAB_KUBECTLS names."""
    ours = shutil.which("kubectl", path=str(Path(sys.executable).parent))
    return [found for found in (ours, *os.environ.get("CKS_LAB_KUBECTLS", "").split(os.pathsep)) if found]


@dataclass
class Running:
    """A server that runs, and kubectl to talk to it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    kubectl: str

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "audit/audit.log").read_text().splitlines()]

    def run(
        self, *args: str, user: str = "admin", check: bool = True, stdin: str | None = None, **env: str
    ) -> procs.Completed:
        config = self.folder / f"pki/{user}.conf"
        argv = [self.kubectl, f"--kubeconfig={config}", f"--cache-dir={self.folder}/cache", *args]
        given = {**os.environ, **env}
        return procs.run(
            argv, timeout=DEADLINE, check=check, env=given, stdin=None if stdin is None else stdin.encode()
        )

    def said(self, *args: str, **options: Any) -> str:
        return self.run(*args, **options).text


def _start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    pki = folder / "pki"
    flags = {
        "advertise-address": "127.0.0.1",
        "authorization-mode": "Node,RBAC",
        "bind-address": "127.0.0.1",
        "client-ca-file": f"{pki}/ca.crt",
        "etcd-servers": "https://127.0.0.1:2379",
        "secure-port": str(port),
        "service-account-issuer": ISSUER,
        "service-account-key-file": f"{pki}/sa.key",
        "service-account-signing-key-file": f"{pki}/sa.key",
        "service-cluster-ip-range": "10.96.0.0/16",
        "tls-cert-file": f"{pki}/server.crt",
        "tls-private-key-file": f"{pki}/server.key",
        "audit-policy-file": f"{folder}/policy.yaml",
        "audit-log-path": f"{folder}/audit/audit.log",
    }
    argv = [sys.executable, "-c", _MAIN, "kube-apiserver", *(f"--{name}={value}" for name, value in flags.items())]
    with (folder / "stderr").open("ab") as stderr:
        process = procs.start(argv, stderr=stderr, env={**os.environ, "CKS_LITE_STORAGE": str(folder / "etcd")})
    ends = time.monotonic() + DEADLINE
    while time.monotonic() < ends:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        assert process.poll() is None, (folder / "stderr").read_text()
        time.sleep(0.02)
    raise AssertionError((folder / "stderr").read_text())


def _stop(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(DEADLINE)


@pytest.fixture(scope="module", params=kubectls())
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("lite")
    (lay(folder / "pki") / "sa.key").write_bytes(key_pem())
    (folder / "policy.yaml").write_text(_POLICY)
    (folder / "etcd").mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for user in ("admin", "super", "jane", "bob"):
        kubeconfig(folder / "pki", user, port)
    running = Running(folder, port, _start(folder, port), request.param)
    yield running
    if running.process.poll() is None:
        procs.kill_group(running.process)


def test_a_session_of_a_learner(server: Running) -> None:
    assert "Server Version: v1.34.4-lite" in server.said("version")
    assert server.said("get", "--raw", "/readyz") == "ok"
    assert server.said("create", "namespace", "shop") == "namespace/shop created\n"
    server.run("create", "configmap", "app", "-n", "shop", "--from-literal=mode=test")
    assert server.said("get", "cm", "app", "-n", "shop", "-o", "jsonpath={.data.mode}") == "test"
    table = server.said("get", "configmaps", "-A")
    assert table.splitlines()[0].split() == ["NAMESPACE", "NAME", "DATA", "AGE"]
    assert server.said("label", "cm", "app", "-n", "shop", "tier=web") == "configmap/app labeled\n"
    assert (
        server.said("patch", "cm", "app", "-n", "shop", "-p", '{"data":{"mode":"live"}}') == "configmap/app patched\n"
    )
    editor = server.folder / "editor"
    editor.write_text("#!/bin/sh\nexec sed -i s/live/edited/ $1\n")
    editor.chmod(0o755)
    assert server.said("edit", "cm", "app", "-n", "shop", KUBE_EDITOR=str(editor)) == "configmap/app edited\n"
    assert "mode:\n----\nedited" in server.said("describe", "cm", "app", "-n", "shop")
    assert server.said("delete", "cm", "app", "-n", "shop").startswith('configmap "app" deleted')
    missing = server.run("get", "cm", "app", "-n", "shop", check=False)
    assert missing.stderr == b'Error from server (NotFound): configmaps "app" not found\n'


def test_apply_of_both_kinds_and_diff(server: Running) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied, namespace: default}\ndata: {a: one}\n"
    file = server.folder / "applied.yaml"
    file.write_text(text)
    assert server.said("apply", "-f", str(file)) == "configmap/applied created\n"
    assert server.said("apply", "-f", str(file)) == "configmap/applied unchanged\n"
    file.write_text(text.replace("one", "two"))
    assert server.run("diff", "-f", str(file), check=False).exit_code == 1
    assert server.said("apply", "-f", str(file)) == "configmap/applied configured\n"
    assert server.said("apply", "--server-side", "-f", str(file)) == "configmap/applied serverside-applied\n"
    assert server.said("apply", "-f", "-", stdin=text) == "configmap/applied configured\n"


def test_objects_of_other_kinds(server: Running) -> None:
    assert server.said("create", "secret", "generic", "s", "--from-literal=k=v") == "secret/s created\n"
    assert server.said("get", "secret", "s", "-o", "jsonpath={.data.k}") == "dg=="
    assert server.said("create", "deployment", "web", "--image=nginx") == "deployment.apps/web created\n"
    assert server.said("scale", "deployment", "web", "--replicas=3") == "deployment.apps/web scaled\n"
    assert server.said("run", "one", "--image=nginx") == "pod/one created\n"
    assert "Pending" in server.said("get", "pods")
    assert "configmaps" in server.said("api-resources")
    assert "FIELD: data <map[string]string>" in server.said("explain", "configmap.data")
    assert "Ready" in server.said("get", "nodes", "-o", "wide")


def test_rights_and_who_one_is(server: Running) -> None:
    assert "system:masters" in server.said("auth", "whoami", user="super")
    forbidden = server.run("get", "secrets", user="jane", check=False).stderr.decode()
    assert forbidden == (
        'Error from server (Forbidden): secrets is forbidden: User "jane" cannot list resource "secrets" in API group '
        '"" in the namespace "default"\n'
    )
    server.run("create", "role", "reader", "--verb=get,list", "--resource=secrets")
    server.run("create", "rolebinding", "reader", "--role=reader", "--user=jane")
    assert server.said("auth", "can-i", "list", "secrets", user="jane") == "yes\n"
    assert server.run("auth", "can-i", "delete", "secrets", "--as=jane", check=False).text == "no\n"
    assert "secrets" in server.said("auth", "can-i", "--list", user="jane")


def test_a_token_of_a_service_account(server: Running) -> None:
    server.run("create", "serviceaccount", "robot")
    token = server.said("create", "token", "robot").strip()
    kubeconfig(server.folder / "pki", "robot", server.port, token=token)
    assert "system:serviceaccount:default:robot" in server.said("auth", "whoami", user="robot")
    kubeconfig(server.folder / "pki", "nobody", server.port, token=token[:-4] + "AAAA")
    refused = server.run("get", "pods", user="nobody", check=False)
    assert b"Unauthorized" in refused.stderr or b"logged in" in refused.stderr


def test_a_watch_shows_what_happens(server: Running) -> None:
    config = server.folder / "pki/admin.conf"
    argv = [
        server.kubectl,
        f"--kubeconfig={config}",
        "get",
        "cm",
        "-w",
        "--watch-only",
        "-o",
        "name",
        "--all-namespaces",
    ]
    watching = procs.start(argv, stdout=subprocess.PIPE)
    try:
        ends = time.monotonic() + DEADLINE
        while not any(_is_watch(event) for event in server.log):
            assert time.monotonic() < ends
            time.sleep(0.05)
        server.run("create", "configmap", "seen")
        assert next(procs.lines(watching)) == "configmap/seen"
    finally:
        procs.kill_group(watching)


def _is_watch(event: dict[str, Any]) -> bool:
    ours = "kubectl" in event.get("userAgent", "") and event["verb"] == "watch"
    return bool(ours and event["objectRef"]["resource"] == "configmaps")


def test_a_body_that_was_logged_is_the_one_that_was_sent(server: Running) -> None:
    server.run("create", "configmap", "logged", "--from-literal=secret=<&>")
    (event,) = [
        made for made in server.log if made.get("objectRef", {}).get("name") == "logged" and made["verb"] == "create"
    ]
    assert (event["level"], event["stage"], event["responseStatus"]["code"]) == ("Request", "ResponseComplete", 201)
    assert event["requestObject"]["data"] == {"secret": "<&>"}
    assert "responseObject" not in event
    assert event["user"]["username"] == "kubernetes-admin"


def test_objects_survive_a_restart_and_sigterm_ends_with_0(server: Running) -> None:
    server.run("create", "configmap", "kept", "--from-literal=a=b")
    assert _stop(server.process) == 0
    server.process = _start(server.folder, server.port)
    assert server.said("get", "cm", "kept", "-o", "jsonpath={.data.a}") == "b"
