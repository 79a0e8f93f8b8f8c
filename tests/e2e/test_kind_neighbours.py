"""Labs beside clusters of other people: found by nobody, graded by nobody, removed by nobody, adopted when asked."""

from __future__ import annotations

import re
import signal
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from checkers.result import Status
from lab import procs
from lab.drivers.base import NodeOptions
from lab.errors import LabError
from lab.grading import grade_bundle
from lab.session import Session
from tests.e2e.kind_clusters import IMAGE, OPTIONS, TASK, answer, containers, kind, make_foreign
from tests.nodes import of, told

pytestmark = pytest.mark.cluster

FOREIGN = "cks-lab-somebodys"
"""A name that a lab called somebodys would have."""
NODE = f"{FOREIGN}-control-plane"
_STATE = "cd /etc/kubernetes; find . -type f | sort | xargs sha256sum; stat -c '%n %a' . manifests; ls /root"


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make the cluster of somebody else."""
    path = tmp_path_factory.mktemp("somebody") / "kubeconfig"
    make_foreign(FOREIGN, path)
    yield path
    kind("delete", "cluster", "--name", FOREIGN, kubeconfig=path)


def looked() -> str:
    return procs.run(["docker", "exec", NODE, "sh", "-c", _STATE], timeout=60).text


def test_a_cluster_without_a_record_is_no_lab_and_keeps_its_name(kubeconfig: Path) -> None:
    session = Session()
    assert session.labs() == []
    with pytest.raises(LabError, match="no lab is called"):
        session.lab("somebodys")
    with pytest.raises(LabError, match="which is no lab"):
        session.start(TASK, on="kind", name="somebodys", options=OPTIONS)
    assert session.stop_all() == []
    assert NODE in containers()


def test_a_node_that_is_no_lab_is_captured_whole_by_its_container(kubeconfig: Path, tmp_path: Path) -> None:
    bundle = Session().collect_node(f"docker://{NODE}", TASK, tmp_path / "b.tar.gz")
    report = grade_bundle(bundle)
    assert (report.node.driver, report.node.name) == ("container", NODE)
    assert str(report.node.apiserver).startswith("v1."), told(report)
    assert "apiserver.running" in of(report, Status.PASS), told(report)
    assert Status.ERROR not in {line.result.status for line in report.lines}, told(report)
    with tarfile.open(bundle) as tar:
        held = b"".join(file.read() for m in tar if m.isreg() and (file := tar.extractfile(m)))
    assert b"PRIVATE KEY" not in held
    assert b"client-key-data" not in held
    inside = ["docker", "exec", "--env", "KUBECONFIG=/etc/kubernetes/admin.conf", NODE]
    listed = procs.run([*inside, "kubectl", "get", "cm", "-A", "-o", "name"], timeout=60).text
    assert "cks-lab-probe" not in listed


def test_an_adopted_cluster_is_worked_on_beside_a_lab_and_gets_back_what_it_had(kubeconfig: Path) -> None:
    before = looked()
    session = Session()
    adopted = session.start(TASK, on="kind", name="theirs", options=NodeOptions(adopt=FOREIGN))
    own = session.start(TASK, on="kind", name="ours", options=OPTIONS)
    assert {(lab.name, lab.adopted) for lab in session.labs()} == {("theirs", True), ("ours", False)}
    answer(session, adopted, session.scenario(TASK).solution)
    stray = "cp /etc/kubernetes/manifests/kube-apiserver.yaml /etc/kubernetes/manifests/zz.bak"
    assert session.node(adopted).run(["sh", "-c", stray], timeout=30).exit_code == 0
    report = session.grade(adopted).report
    assert report.points == report.possible, told(report)
    assert session.grade(own).report.points == 0
    assert sorted(session.stop_all()) == ["ours", "theirs"]
    after = looked()
    # What a learner left among the manifests would come back as the API server: it is put aside, and nothing else.
    assert after == before.rstrip("\n") + "\ncks-lab-left-behind\n"
    assert NODE in containers()
    assert "cks-lab-ours-control-plane" not in containers()
    nodes = procs.run(["docker", "exec", NODE, "kubectl", "get", "nodes", "-o", "name"], timeout=60).text
    assert nodes.strip() == f"node/{NODE}"


@pytest.mark.parametrize("step", [1, 2, 4, 8])
def test_ctrl_c_at_a_step_leaves_nothing(step: int, isolated_home: Path) -> None:
    image = ["--image", IMAGE] if IMAGE else []
    argv = [sys.executable, "-m", "lab", "start", TASK, "--on", "kind", "--lab", f"cut-{step}", *image]
    process = procs.start(argv, stderr=procs.PIPE)
    assert process.stderr is not None
    said = b""
    for line in process.stderr:
        said += line
        if re.match(rb"\[%d/" % step, line):
            process.send_signal(signal.SIGINT)
    assert process.wait() == 130, said
    assert f"cks-lab-cut-{step}-control-plane" not in containers()
    assert Session().labs() == []
