"""What only real Docker can show: its words, and a node of a real kubeadm and kubelet. Skipped where there is none."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from checkers.result import Status
from lab import procs
from lab.errors import LabError
from lab.grading import grade_bundle
from lab.session import Session
from tests.nodes import of, told

_LABEL = "label=io.x-k8s.kind.role=control-plane"

pytestmark = pytest.mark.docker


@pytest.fixture
def names() -> list[str]:
    """The control planes of the kind clusters that run here, of whoever they are, and are ready."""
    try:
        found = procs.run(["docker", "ps", "--filter", _LABEL, "--format", "{{.Names}}"], timeout=60).text.split()
        return [name for name in found if procs.run([*_exec(name), *_READY], timeout=60, check=False).text == "ok"]
    except LabError as error:
        pytest.skip(f"no Docker here: {error.message.splitlines()[0]}")


_READY = ("kubectl", "get", "--raw", "/readyz")


def _exec(name: str) -> list[str]:
    return ["docker", "exec", "--env", "KUBECONFIG=/etc/kubernetes/admin.conf", name]


def test_no_such_container(names: list[str]) -> None:
    with pytest.raises(LabError, match="there is no container 'cks-lab-nobody'"):
        Session().grade_node("docker://cks-lab-nobody", "audit-log")


@pytest.mark.cluster
def test_a_real_node_of_kind_is_captured_whole(names: list[str], tmp_path: Path) -> None:
    if not names:
        pytest.skip("no kind cluster runs here: kind create cluster")
    bundle = Session().collect_node(f"docker://{names[0]}", "audit-log", tmp_path / "b.tar.gz")
    report = grade_bundle(bundle)
    assert (report.node.driver, report.node.name) == ("container", names[0])
    assert str(report.node.apiserver).startswith("v1."), told(report)
    assert "apiserver.running" in of(report, Status.PASS), told(report)
    assert Status.ERROR not in {line.result.status for line in report.lines}, told(report)
    with tarfile.open(bundle) as tar:
        held = b"".join(file.read() for m in tar if m.isreg() and (file := tar.extractfile(m)))
    assert b"PRIVATE KEY" not in held
    assert b"client-key-data" not in held
    listed = procs.run([*_exec(names[0]), "kubectl", "get", "cm", "-A", "-o", "name"], timeout=60).text
    assert "cks-lab-probe" not in listed
