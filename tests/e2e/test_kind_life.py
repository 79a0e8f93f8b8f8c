"""A learner's day on a real node of kind, from start to stop, with what goes wrong in between."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from checkers.result import Status
from lab import procs
from lab.drivers.base import Lab, Step
from lab.errors import LabError
from lab.session import Session
from tests.e2e.kind_clusters import OPTIONS, TASK, answer, containers
from tests.nodes import of, told

pytestmark = pytest.mark.cluster

NAME = "life"
NODE = "cks-lab-life-control-plane"
OWN = "apiVersion: v1\nkind: Config\ncurrent-context: mine\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("life")


@pytest.fixture(autouse=True)
def own_home(folder: Path, isolated_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lab outlives a test, and so does its home; the person has a kubeconfig."""
    monkeypatch.setenv("CKS_LAB_HOME", str(folder / "home"))
    monkeypatch.setenv("KUBECONFIG", str(folder / "mine"))


@pytest.fixture(scope="module")
def steps(folder: Path) -> Iterator[list[Step]]:
    """Start the lab; the steps that it told."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CKS_LAB_HOME", str(folder / "home"))
        patch.setenv("KUBECONFIG", str(folder / "mine"))
        (folder / "mine").write_text(OWN)
        told_steps: list[Step] = []
        session = Session()
        lab = session.start(TASK, on="kind", name=NAME, options=OPTIONS, progress=told_steps.append)
        yield told_steps
        session.stop(lab)


@pytest.fixture
def session(steps: list[Step]) -> Session:
    return Session()


@pytest.fixture
def lab(session: Session) -> Lab:
    return session.lab(NAME)


def test_a_start_touches_nothing_of_the_persons(session: Session, folder: Path, isolated_home: Path) -> None:
    assert (folder / "mine").read_text() == OWN
    assert not (isolated_home / ".kube").exists()


def test_a_second_start_uses_the_running_lab(session: Session, lab: Lab) -> None:
    assert session.start(TASK, on="kind") == lab


def test_an_untouched_node_earns_nothing(session: Session, lab: Lab) -> None:
    report = session.grade(lab).report
    assert report.points == 0, told(report)
    assert Status.ERROR not in {line.result.status for line in report.lines}, told(report)
    assert str(report.node.apiserver).startswith("v1.")


def test_a_manifest_that_the_kubelet_refuses_breaks_nothing_of_the_lab(session: Session, lab: Lab) -> None:
    node = session.node(lab)
    broken = "echo '  - {' >> /etc/kubernetes/manifests/kube-apiserver.yaml"
    assert node.run(["sh", "-c", broken], timeout=30).exit_code == 0
    report = session.grade(lab).report
    assert "manifest.valid" in of(report), told(report)
    assert session.next_hint(lab) is not None
    assert procs.run(node.shell_argv(["hostname"]), timeout=30).text.strip() == NODE
    session.reset(lab)
    assert node.api is not None
    assert node.api.request("GET", "/readyz").status == 200
    assert session.grade(lab).report.points == 0


def test_the_right_answer_gets_all_points_once_the_kubelet_has_taken_it(session: Session, lab: Lab) -> None:
    said: list[str] = []
    answer(session, lab, session.scenario(TASK).solution)
    report = session.grade(lab, progress=lambda step: said.append(step.detail)).report
    assert report.points == report.possible, told(report)
    assert "live.probe" in of(report, Status.PASS)
    assert any("usually" in detail for detail in said), said


def test_a_node_that_was_stopped_goes_on_where_it_was(session: Session, lab: Lab) -> None:
    procs.run(["docker", "stop", NODE], timeout=60)
    assert session.lab(NAME).state == "stopped"
    with pytest.raises(LabError, match="does not run"):
        session.grade(lab)
    again = session.start(TASK, on="kind")
    assert (again.name, again.state) == (NAME, "running")
    report = session.grade(again).report
    assert report.points == report.possible, told(report)


def test_a_node_whose_container_is_killed_meanwhile_says_so_and_is_started_again(session: Session, lab: Lab) -> None:
    node = session.node(lab)
    assert node.files.list("/etc/kubernetes/audit") == ["policy.yaml"]
    procs.run(["docker", "kill", NODE], timeout=60)
    for ask in (
        lambda: node.files.read("/etc/kubernetes/audit/policy.yaml"),
        lambda: list(node.files.stream("/etc/kubernetes/audit/policy.yaml")),
        lambda: node.run(["true"], timeout=30),
        lambda: session.reset(lab),
    ):
        with pytest.raises(LabError, match="does not run") as error:
            ask()
        assert error.value.hint == f"cks-lab start {TASK} --lab {NAME}"
    session.start(TASK, on="kind")
    assert node.files.list("/etc/kubernetes/audit") == ["policy.yaml"]


def test_a_lost_kubernetes_folder_is_put_back_by_a_reset(session: Session, lab: Lab) -> None:
    node = session.node(lab)
    assert node.run(["rm", "-rf", "/etc/kubernetes"], timeout=30).exit_code == 0
    report = session.grade(lab).report
    assert "manifest.valid" in of(report), told(report)
    session.reset(lab)
    report = session.grade(lab).report
    assert report.points == 0, told(report)
    assert "apiserver.running" in of(report, Status.PASS), told(report)


def test_a_reset_keeps_a_copy_of_the_files(session: Session, lab: Lab) -> None:
    node = session.node(lab)
    assert node.run(["sh", "-c", "echo mine > /root/notes; mkdir -p /var/log/audit"], timeout=30).exit_code == 0
    copy = session.reset(lab)
    with tarfile.open(copy) as tar:
        assert "root/notes" in tar.getnames()
    assert node.files.list("/root") == [name for name in node.files.list("/root") if name != "notes"]
    assert "audit" not in node.files.list("/var/log")


def test_a_stopped_lab_is_gone_with_its_container(session: Session, lab: Lab) -> None:
    session.stop(lab)
    assert NODE not in containers()
    assert session.labs() == []
    session.stop(lab)
