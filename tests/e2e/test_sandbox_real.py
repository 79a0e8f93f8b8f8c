"""A sandbox lab with the real kube-apiserver and etcd: it is a cluster as kubeadm leaves it, and lives as a lite one."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.drivers.base import Lab, LabSpec, Step
from lab.drivers.sandbox.driver import SandboxDriver
from lab.drivers.sandbox.handle import SandboxNode
from lab.drivers.sandbox.state import StateFolder
from lab.errors import LabError
from lab.overlay import MANIFEST, Overlay

pytestmark = pytest.mark.cluster

SERVER, ETCD = (os.environ.get(f"CKS_LAB_E2E_{name}") for name in ("KUBE_APISERVER", "ETCD"))


class Desk:
    """A lab and its node."""

    def __init__(self, folder: Path) -> None:
        self.driver = SandboxDriver(folder / "labs")
        self.steps: list[Step] = []
        self.lab: Lab = self.driver.create(LabSpec("real", "audit-log", apiserver="real"), self.steps.append)
        self.node: SandboxNode = self.driver.node(self.lab)
        self.manifest = self.node.files.read(MANIFEST).decode()
        self.version = str(self.get("/version")["gitVersion"])

    @property
    def state(self) -> StateFolder:
        return StateFolder(self.driver._labs / "real")

    def sh(self, script: str) -> str:
        said = self.node.run(["sh", "-c", script], timeout=120)
        assert said.exit_code == 0, said.stderr.decode()
        return said.text

    def get(self, path: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.node.api.request("GET", path).body)
        return found

    def ready(self) -> bool:
        try:
            return self.node.api.request("GET", "/readyz", timeout=2).status == 200
        except LabError:
            return False

    def containers(self, name: str = "kube-apiserver") -> list[dict[str, object]]:
        listed = json.loads(self.sh(f"crictl ps -a --name {name} -o json"))["containers"]
        return list(listed)

    def write(self, manifest: str) -> None:
        done = self.node.run(["tee", MANIFEST], stdin=manifest.encode(), timeout=20)
        assert done.exit_code == 0


def until(condition: Callable[[], object], what: str, limit: float = 120) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit} s: {what}"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    if not SERVER or not ETCD:
        pytest.skip("CKS_LAB_E2E_KUBE_APISERVER and CKS_LAB_E2E_ETCD name no programs: `make e2e` sets them")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CKS_LAB_KUBE_APISERVER", SERVER)
        patch.setenv("CKS_LAB_ETCD", ETCD)
        desk = Desk(tmp_path_factory.mktemp("real"))
    yield desk
    desk.driver.destroy(desk.lab)


def test_the_lab_the_step_and_the_server_tell_the_same_version(desk: Desk) -> None:
    assert desk.lab.apiserver == desk.version
    assert desk.version.startswith("v")
    assert [step.detail for step in desk.steps if step.title == "kube-apiserver"] == [desk.version]
    assert f"registry.k8s.io/kube-apiserver:{desk.version}" in desk.manifest
    assert desk.sh("kubectl get nodes --no-headers").split()[:3] == ["cks-control-plane", "Ready", "control-plane"]


def test_the_cluster_is_as_kubeadm_leaves_it(desk: Desk) -> None:
    def mirrored() -> bool:
        pods = desk.sh("kubectl -n kube-system get pods --no-headers").splitlines()
        return len(pods) >= 6 and all(line.split()[1:3] == ["1/1", "Running"] for line in pods)

    until(mirrored, "every pod of kube-system is shown, and runs")
    assert desk.sh("kubectl auth whoami -o jsonpath={.status.userInfo.username}") == "kubernetes-admin"
    assert desk.sh("kubectl auth can-i '*' '*'").strip() == "yes"
    desk.sh("kubectl -n kube-system get deploy/coredns ds/kube-proxy cm/kubeadm-config svc/kube-dns")


def test_pods_namespaces_and_accounts_come_and_go(desk: Desk) -> None:
    desk.sh("kubectl run one --image=nginx && kubectl delete pod one --wait --timeout=60s")
    desk.sh("kubectl create namespace short")
    until(lambda: desk.node.run(["kubectl", "-n", "short", "get", "sa/default", "cm/kube-root-ca.crt"], timeout=60)
          .exit_code == 0, "a new namespace is filled")  # fmt: skip
    desk.sh("kubectl -n short create secret generic s --from-literal=a=b; kubectl -n short create deploy d --image=x")
    desk.sh("kubectl delete namespace short --timeout=90s")
    desk.sh("kubectl delete serviceaccount default")
    until(lambda: desk.node.run(["kubectl", "get", "sa/default"], timeout=60).exit_code == 0, "it is made again")


def test_a_pod_that_nothing_runs_is_let_go(desk: Desk) -> None:
    desk.sh("kubectl -n kube-system delete pod coredns-66bc5c9577-k8x2w --timeout=60s")


def test_kubectl_logs_reads_what_the_servers_say(desk: Desk) -> None:
    pod = "kube-apiserver-cks-control-plane"
    until(lambda: desk.node.run(["kubectl", "-n", "kube-system", "get", "pod", pod], timeout=60).exit_code == 0, pod)
    assert f"Version: {desk.version}" in desk.sh(f"kubectl -n kube-system logs {pod}")
    refused = desk.node.run(["kubectl", "-n", "kube-system", "exec", pod, "--", "ls"], timeout=60)
    assert b"not possible on a sandbox node" in refused.stderr


def test_a_wrong_flag_ends_the_server_in_its_own_words_and_its_repair_brings_it_back(desk: Desk) -> None:
    desk.write(
        desk.manifest.replace("    - --allow-privileged", "    - --audit-log-maxage=7d\n    - --allow-privileged")
    )

    def crashed() -> bool:
        [*_, first] = desk.containers()
        return first["state"] == "CONTAINER_EXITED" and first["metadata"]["attempt"] >= 1  # type: ignore[index]

    until(crashed, "the server crashes over and over")
    words = 'invalid argument "7d" for "--audit-log-maxage" flag'
    newest = "$(crictl ps -aq --state exited --name kube-apiserver | head -n 1)"

    def said(script: str) -> str:
        # A container and its log go when the one after the next one comes.
        done = desk.node.run(["sh", "-c", script], timeout=60)
        return done.text if done.exit_code == 0 else ""

    until(lambda: words in said("cat /var/log/pods/kube-system_kube-apiserver*/*/*.log"), "its log holds its words")
    until(lambda: words in said(f"crictl logs {newest} 2>&1"), "crictl logs shows its words")
    until(lambda: '"exitCode": 1,' in said(f"crictl inspect {newest}"), "it ended with 1")
    until(lambda: "CrashLoopBackOff" in desk.sh("journalctl -u kubelet"), "the kubelet says so")
    assert not desk.ready()
    desk.write(desk.manifest)
    until(desk.ready, "the repaired server answers")


def test_a_server_of_a_poor_user_ends_as_on_a_node_where_files_are_others(desk: Desk) -> None:
    desk.write(desk.manifest.replace("  securityContext:\n", "  securityContext:\n    runAsUser: 64999\n"))
    words = "open /etc/kubernetes/pki/sa.key: permission denied"
    until(lambda: words in desk.sh("cat /var/log/pods/kube-system_kube-apiserver*/*/*.log || :"), "it may not read")
    desk.write(desk.manifest)
    until(desk.ready, "root's server answers")


def test_a_copy_in_the_manifests_folder_takes_the_edit_back(desk: Desk) -> None:
    flag = "--event-ttl=2h0m0s"
    desk.sh(f"cp -p {MANIFEST} {MANIFEST}.bak")
    desk.write(desk.manifest.replace("    - --allow-privileged", f"    - {flag}\n    - --allow-privileged"))
    until(lambda: flag not in desk.sh("ps -C kube-apiserver -o args= || :") and desk.ready(), "the old pod is back", 60)
    desk.sh(f"rm {MANIFEST}.bak")
    until(lambda: flag in desk.sh("ps -C kube-apiserver -o args= || :"), "the edited one comes without the copy")
    desk.write(desk.manifest)
    until(lambda: flag not in desk.sh("ps -C kube-apiserver -o args= || :") and desk.ready(), "the first one is back")


def test_a_killed_etcd_is_started_again_with_what_it_held(desk: Desk) -> None:
    desk.sh("kubectl create configmap held --from-literal=a=b")
    before = desk.containers("etcd")[0]["id"]
    desk.sh("pkill -9 -x etcd")
    until(lambda: desk.containers("etcd")[0]["id"] != before, "another etcd runs")
    until(desk.ready, "the server answers again")
    assert desk.sh("kubectl get configmap held -o jsonpath={.data.a}") == "b"


def test_a_restarted_machine_leaves_a_lab_that_starts_again_with_its_objects(desk: Desk) -> None:
    desk.sh("kubectl create configmap kept --from-literal=a=b")
    process = desk.state.process()
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: not process.alive, "init ends")
    assert [lab.state for lab in desk.driver.find()] == ["stopped"]
    # Nothing names the programs any more: the lab's own record does.
    again = desk.driver.create(LabSpec("real", "audit-log"))
    assert (again.state, again.apiserver) == ("running", desk.version)
    assert desk.sh("kubectl get configmap kept -o jsonpath={.data.a}") == "b"


def test_a_reset_gives_a_fresh_cluster_with_the_same_server(desk: Desk) -> None:
    desk.sh("kubectl create configmap gone --from-literal=a=b")
    desk.driver.reset(desk.lab, Overlay(files={"/etc/kubernetes/audit/policy.yaml": b"start\n"}))
    assert desk.get("/version")["gitVersion"] == desk.version
    assert desk.node.api.request("GET", "/api/v1/namespaces/default/configmaps/gone").status == 404
    assert desk.node.files.read("/etc/kubernetes/audit/policy.yaml") == b"start\n"
    desk.sh("kubectl run two --image=nginx")
