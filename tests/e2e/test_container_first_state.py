"""What is kept of a node, laid on it and put back, in a container that has a node's programs and no Kubernetes."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab import procs
from lab.drivers.container import first_state
from lab.drivers.container.engine import Engine
from lab.drivers.container.first_state import FirstState
from lab.drivers.container.node import ContainerNode
from lab.errors import LabError
from lab.overlay import MANIFEST, ManifestEdits, Overlay

pytestmark = pytest.mark.cluster

POLICY = "/etc/kubernetes/audit/policy.yaml"
POD = "spec:\n  containers:\n  - command:\n    - kube-apiserver\n    - --advertise-address=10.0.0.1\n"
START = Overlay({POLICY: b"kind: Policy\n"}, (ManifestEdits(set_flags={"profiling": "false"}),))
_MAKE = """
mkdir -p /etc/kubernetes/manifests /etc/kubernetes/pki; chmod 700 /etc/kubernetes/manifests
cd /etc/kubernetes; echo etcd > manifests/etcd.yaml; cat > manifests/kube-apiserver.yaml
echo key > pki/ca.key; chmod 600 pki/ca.key manifests/*; ln -s pki/ca.key link; echo "server: https://10.0.0.1:6443" > admin.conf
"""
_LOOK = (
    "cd /; find etc/kubernetes root -printf '%p %y %m %u %l\\n' | sort; find etc/kubernetes -type f | sort | xargs cat"
)


@pytest.fixture(autouse=True)
def no_kubernetes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_state, "_namespaces", lambda node: [])


@contextmanager
def container(*options: str) -> Iterator[ContainerNode]:
    name = f"cks-lab-first-{secrets.token_hex(4)}"
    image = os.environ["CKS_LAB_E2E_IMAGE"]
    argv = ["docker", "run", "--detach", "--name", name, *options, "--entrypoint", "sleep", image, "600"]
    procs.run(argv, timeout=60)
    try:
        node = ContainerNode("first", name, name, Path("/nonexistent"), engine=Engine.connect)
        assert node.run(["sh", "-c", _MAKE], timeout=20, stdin=POD.encode()).exit_code == 0
        yield node
        node.close()
    finally:
        procs.run(["docker", "rm", "--force", name], timeout=60)


@pytest.fixture
def node() -> Iterator[ContainerNode]:
    with container() as made:
        yield made


def looked(node: ContainerNode) -> str:
    return node.run(["sh", "-c", _LOOK], timeout=20).text


def do(node: ContainerNode, script: str) -> None:
    done = node.run(["sh", "-c", script], timeout=20)
    assert done.exit_code == 0, done.stderr


def test_the_task_is_laid_and_a_node_of_ours_put_back_whole(node: ContainerNode, tmp_path: Path) -> None:
    before = looked(node)
    first = FirstState(tmp_path / "first", "first")
    first.keep(node, START, "10.0.0.1", whole=True)
    assert first.lay(node, START, "10.0.0.1")
    laid = looked(node)
    assert "--profiling=false" in laid
    assert f"{POLICY[1:]} f 644 root" in laid
    do(node, f"echo mine > {POLICY}; rm -rf /etc/kubernetes/pki; chmod 777 /etc/kubernetes/manifests; touch /root/a")
    do(
        node,
        "cd /etc/kubernetes/manifests; cp kube-apiserver.yaml x.bak; rm etcd.yaml; mkdir folder '.a b'; touch \"$(printf 'a\\nb')\"",
    )
    do(
        node,
        "mkdir -p /var/log/audit; echo x > /var/log/audit/audit.log; rm /etc/kubernetes/link; mkdir /etc/kubernetes/link",
    )
    assert first.lay(node, START, "10.0.0.1")
    assert looked(node) == laid
    assert not first.lay(node, START, "10.0.0.1")
    assert "audit" not in node.files.list("/var/log")
    first.lay(node, Overlay(), "10.0.0.1")
    assert looked(node) == before


def test_all_of_etc_kubernetes_may_be_gone(node: ContainerNode, tmp_path: Path) -> None:
    first = FirstState(tmp_path / "first", "first")
    first.keep(node, START, "10.0.0.1", whole=True)
    first.lay(node, START, "10.0.0.1")
    laid = looked(node)
    do(node, "rm -rf /etc/kubernetes")
    assert first.lay(node, START, "10.0.0.1")
    assert looked(node) == laid


def test_a_cluster_of_somebody_else_gets_back_its_files_and_keeps_the_rest(node: ContainerNode, tmp_path: Path) -> None:
    do(node, "mkdir -m 750 /etc/kubernetes/own; echo 1 > /etc/kubernetes/own/file")
    before = looked(node)
    first = FirstState(tmp_path / "first", "first")
    first.keep(node, START, "10.0.0.1", whole=False)
    first.lay(node, START, "10.0.0.1")
    assert not (tmp_path / "first" / "files.tar").read_bytes().count(b"key\n")
    do(node, "echo 2 > /etc/kubernetes/own/file; echo x > /etc/kubernetes/manifests/x.bak; touch /root/notes")
    first.lay(node, Overlay(), "10.0.0.1")
    after = looked(node)
    assert node.files.read("/root/cks-lab-left-behind/x.bak") == b"x\n"
    assert "policy.yaml" not in after
    do(node, "echo 1 > /etc/kubernetes/own/file; rm -r /root/cks-lab-left-behind /root/notes")
    assert looked(node) == before


def test_a_policy_that_was_there_before_comes_back(node: ContainerNode, tmp_path: Path) -> None:
    do(node, f"mkdir /etc/kubernetes/audit; echo theirs > {POLICY}; chmod 640 {POLICY}")
    before = looked(node)
    first = FirstState(tmp_path / "first", "first")
    first.keep(node, START, "10.0.0.1", whole=False)
    first.lay(node, START, "10.0.0.1")
    assert node.files.read(POLICY) == b"kind: Policy\n"
    first.lay(node, Overlay(), "10.0.0.1")
    assert looked(node) == before


def test_a_node_that_has_another_address_now_gets_files_that_name_it(node: ContainerNode, tmp_path: Path) -> None:
    first = FirstState(tmp_path / "first", "first")
    first.keep(node, START, "10.0.0.1", whole=True)
    first.lay(node, START, "10.0.0.27")
    assert b"--advertise-address=10.0.0.27\n" in node.files.read(MANIFEST)
    assert node.files.read("/etc/kubernetes/admin.conf") == b"server: https://10.0.0.27:6443\n"


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with container("--tmpfs", "/etc/kubernetes:size=64k") as node:
        first = FirstState(tmp_path / "first", "first")
        first.keep(node, START, "10.0.0.1", whole=True)
        with pytest.raises(LabError, match="No space left") as error:
            first.lay(node, Overlay({POLICY: b"#" * 200_000}), "10.0.0.1")
        assert "df -h" in error.value.hint
        first.lay(node, START, "10.0.0.1")
        assert node.files.read(POLICY) == b"kind: Policy\n"


def test_a_node_without_an_api_servers_manifest_is_refused(node: ContainerNode, tmp_path: Path) -> None:
    do(node, f"rm {MANIFEST}")
    with pytest.raises(LabError, match=f"has no {MANIFEST}"):
        FirstState(tmp_path / "first", "first").keep(node, START, "10.0.0.1", whole=True)


def test_a_copy_that_was_lost_is_named(node: ContainerNode, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="first state of first cannot be read"):
        FirstState(tmp_path / "first", "first").lay(node, START, "10.0.0.1")
