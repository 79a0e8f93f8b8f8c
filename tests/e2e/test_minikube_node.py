"""A learner's, a clumsy one's and a neighbour's day on a node of minikube: a real container with a real control plane.

Where this machine has no minikube a program stands in for it (tests/minikube_stand_in.py), which says what the real one
was recorded to say; what only the real one can show is listed by test_minikube_only_real.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from checkers.result import Status
from lab import procs
from lab.drivers.base import Lab, NodeOptions, Step
from lab.errors import LabError
from lab.home import Home
from lab.overlay import MANIFEST
from lab.session import Session
from tests.nodes import of, told

pytestmark = [pytest.mark.cluster, pytest.mark.shared]

POLICY = "/etc/kubernetes/audit/policy.yaml"
USERS = "apiVersion: v1\nkind: Config\ncurrent-context: mine\nclusters: []\ncontexts: []\nusers: []\n"
_LAY = """set -e
systemctl stop kubelet
tar -xpf - -C /
pkill -9 kube-apiserver || :
systemctl start kubelet"""
"""A finished answer, without the half minute that a kubelet gives the old API server to end."""


class Desk:
    """A learner at work, whose own kubeconfig has a context of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.kubeconfig = home / ".kube/config"
        self.kubeconfig.parent.mkdir(parents=True)
        self.kubeconfig.write_text(USERS)
        self.session = Session(Home.of())
        self.steps: list[Step] = []

    def start(self, name: str, **options: object) -> Lab:
        """Start a lab, or start it again."""
        asked = NodeOptions(**options)  # type: ignore[arg-type]
        return self.session.start("audit-log", on="minikube", name=name, options=asked, progress=self.steps.append)

    def lab(self, name: str) -> Lab:
        """Return a lab as it is now."""
        return self.session.lab(name)

    def solve(self, lab: Lab) -> None:
        """Lay the solution."""
        node = self.session.node(lab)
        answer = self.session.scenario("audit-log").solution.tar(node.files.read(MANIFEST).decode())
        done = node.run(["sh", "-c", _LAY], stdin=answer, timeout=60)
        assert done.exit_code == 0, done.stderr

    def points(self, lab: Lab) -> tuple[int, int]:
        """Grade; return the points and those possible."""
        report = self.session.grade(lab).report
        assert Status.ERROR not in {line.result.status for line in report.lines}, told(report)
        assert (report.node.driver, report.node.name) == ("minikube", lab.node)
        return report.points, report.possible


@pytest.fixture(scope="module")
def desk(minikube: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("CKS_LAB_HOME", str(home / "cks-lab"))
        patch.delenv("KUBECONFIG", raising=False)
        desk = Desk(home)
        yield desk
        desk.session.stop_all()


@pytest.fixture(autouse=True)
def own_home(desk: Desk, isolated_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(desk.home))
    monkeypatch.setenv("CKS_LAB_HOME", str(desk.home / "cks-lab"))


@pytest.fixture(scope="module")
def made(desk: Desk) -> Lab:
    """The lab that most tests work on, one after the other."""
    return desk.start("day")


def docker(*args: str) -> str:
    return procs.run(["docker", *args], timeout=60).text.strip()


def minikube_(*args: str) -> None:
    force = ["--force"] if args[0] == "start" and os.geteuid() == 0 else []
    done = procs.run(["minikube", *args, *force, "-o", "json"], timeout=300, check=False)
    assert done.exit_code == 0, done.text[-2000:] + done.stderr.decode()


def api_port(lab: Lab) -> str:
    return docker("port", lab.node, "8443/tcp").splitlines()[0].rpartition(":")[2]


def test_a_new_lab_answers_and_leaves_the_persons_own_kubeconfig_alone(desk: Desk, made: Lab) -> None:
    assert (made.state, made.driver, made.node) == ("running", "minikube", "cks-lab-day")
    assert made.apiserver is not None
    assert made.apiserver.startswith("v1.")
    assert desk.kubeconfig.read_text() == USERS
    assert any(step.detail.startswith("Creating docker container") for step in desk.steps)


def test_the_shell_has_kubectl_and_root(desk: Desk, made: Lab) -> None:
    node = desk.session.node(made)
    piped = b"hostname; id -un; kubectl get nodes -o name; kubectl auth can-i '*' '*'\n"
    said = procs.run(node.shell_argv(), timeout=30, stdin=piped)
    assert said.text.split() == ["cks-lab-day", "root", "node/cks-lab-day", "yes"], said.stderr


def test_an_untouched_node_earns_nothing_and_the_solution_everything(desk: Desk, made: Lab) -> None:
    assert desk.points(made)[0] == 0
    desk.solve(made)
    points, possible = desk.points(made)
    assert points == possible


def test_after_docker_restart_nothing_is_lost_and_the_way_on_is_said(desk: Desk, made: Lab) -> None:
    before = api_port(made)
    docker("restart", "--time", "3", made.node)
    lab = desk.lab("day")
    assert lab.state == "stopped"
    assert "no kubelet runs in it" in lab.detail
    with pytest.raises(LabError, match="stopped") as refused:
        desk.session.node(lab)
    assert refused.value.hint == "cks-lab start audit-log --lab day"
    again = desk.start("day")
    assert again.state == "running"
    assert api_port(made) != before
    points, possible = desk.points(again)
    assert points == possible


def test_after_minikube_stop_it_goes_on_where_it_was(desk: Desk, made: Lab) -> None:
    minikube_("stop", "-p", made.node)
    assert desk.lab("day").state == "stopped"
    points, possible = desk.points(desk.start("day"))
    assert points == possible
    assert desk.kubeconfig.read_text().startswith("apiVersion")


def test_a_manifest_that_minikube_writes_anew_at_a_start_is_the_learners_again(desk: Desk, made: Lab) -> None:
    node = desk.session.node(desk.lab("day"))
    mine = node.files.read(MANIFEST)
    # As a minikube of another version would find it.
    assert node.run(["sh", "-c", "echo '# older' >> /var/tmp/minikube/kubeadm.yaml"], timeout=20).exit_code == 0
    docker("stop", "--time", "3", made.node)
    desk.steps.clear()
    lab = desk.start("day")
    assert any("yours is put back" in step.detail for step in desk.steps)
    assert desk.session.node(lab).files.read(MANIFEST) == mine
    points, possible = desk.points(lab)
    assert points == possible


def test_while_the_api_server_is_down_everything_but_it_works(desk: Desk, made: Lab) -> None:
    lab = desk.lab("day")
    node = desk.session.node(lab)
    broken = f"sed -i 's#audit-policy-file=.*#audit-policy-file=/etc/missing.yaml#' {MANIFEST}; pkill -9 kube-apiserver"
    node.run(["sh", "-c", broken], timeout=20)
    docker("stop", "--time", "3", made.node)
    desk.steps.clear()
    lab = desk.start("day")
    assert lab.state == "running"
    assert any(step.detail.startswith("not yet: the API server of day") for step in desk.steps), desk.steps
    assert procs.run(desk.session.node(lab).shell_argv(["hostname"]), timeout=20).text == "cks-lab-day\n"
    report = desk.session.grade(lab).report
    assert "apiserver.running" in of(report), told(report)
    assert desk.session.next_hint(lab) is not None
    copy = desk.session.reset(lab)
    assert copy.exists()
    assert desk.points(lab)[0] == 0
    assert desk.session.node(lab).files.read(POLICY) == desk.session.scenario("audit-log").start.files[POLICY]


@pytest.fixture(scope="module")
def foreign(minikube: str, desk: Desk) -> Iterator[str]:
    """A cluster of the person's own."""
    image = [f"--base-image={os.environ['CKS_LAB_E2E_IMAGE']}"] if minikube == "stand-in" else []
    minikube_("start", "-p", "theirs", "--driver=docker", *image)
    yield "theirs"
    minikube_("delete", "-p", "theirs")


def test_a_cluster_of_the_persons_own_is_no_lab_until_it_is_adopted_and_stays(
    desk: Desk, made: Lab, foreign: str
) -> None:
    assert [lab.name for lab in desk.session.labs()] == ["day"]
    before = docker("exec", foreign, "cat", MANIFEST)
    kubeconfig = desk.kubeconfig.read_text()
    lab = desk.start("mine", adopt=foreign)
    assert (lab.adopted, lab.node) == (True, foreign)
    desk.solve(lab)
    points, possible = desk.points(lab)
    assert points == possible
    desk.session.stop(lab)
    assert docker("exec", foreign, "cat", MANIFEST) == before
    assert docker("inspect", "--format", "{{.State.Running}}", foreign) == "true"
    assert desk.kubeconfig.read_text() == kubeconfig
    assert [lab.name for lab in desk.session.labs()] == ["day"]


def test_two_labs_at_once_and_one_that_goes_leaves_the_other(desk: Desk, made: Lab) -> None:
    other = desk.start("other")
    assert {lab.name for lab in desk.session.labs()} == {"day", "other"}
    docker("rm", "--force", other.node)
    lab = desk.lab("other")
    assert (lab.state, lab.detail) == ("broken", "its container cks-lab-other was removed")
    with pytest.raises(LabError) as refused:
        desk.session.node(lab)
    assert refused.value.hint == "cks-lab stop --lab other"
    desk.session.stop(lab)
    # minikube would not make its Kubernetes again while the volume is there.
    assert "cks-lab-other" not in docker("volume", "ls", "--quiet").split()
    assert "cks-lab-other" not in docker("network", "ls", "--format", "{{.Name}}").split()
    kept = desk.session.node(desk.lab("day"))
    assert kept.run(["kubectl", "get", "nodes", "-o", "name"], timeout=30).text == "node/cks-lab-day\n"


def test_a_profile_of_the_name_that_is_no_lab_is_refused_and_stays(desk: Desk) -> None:
    docker(
        "run", "--detach", "--name", "cks-lab-taken", "--entrypoint", "sleep", os.environ["CKS_LAB_E2E_IMAGE"], "600"
    )
    try:
        with pytest.raises(LabError, match="cks-lab-taken already"):
            desk.start("taken")
        assert docker("inspect", "--format", "{{.State.Running}}", "cks-lab-taken") == "true"
    finally:
        docker("rm", "--force", "cks-lab-taken")


def test_a_start_that_fails_says_why_keeps_the_log_and_leaves_nothing(desk: Desk) -> None:
    with pytest.raises(LabError, match="minikube made no cluster cks-lab-fails") as failed:
        desk.start("fails", image="cks-lab/no-such-image:v0")
    log = desk.home / "cks-lab/clusters/fails.log"
    assert str(log) in failed.value.message
    assert "no-such-image" in log.read_text()
    assert "cks-lab-fails" not in docker("volume", "ls", "--quiet").split()
    assert "fails" not in [lab.name for lab in desk.session.labs()]


def test_ctrl_c_while_it_starts_removes_what_was_begun(desk: Desk) -> None:
    argv = [sys.executable, "-m", "lab", "start", "audit-log", "--on", "minikube", "--lab", "cut"]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while "cks-lab-cut" not in docker("ps", "--format", "{{.Names}}").split():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=180)
    assert process.returncode != 0
    assert "Traceback" not in said
    assert "cks-lab-cut" not in docker("ps", "--all", "--format", "{{.Names}}").split()
    assert "cut" not in [lab.name for lab in desk.session.labs()]


def test_stop_removes_container_volume_network_and_profile(desk: Desk, made: Lab) -> None:
    desk.session.stop(desk.lab("day"))
    for kind, form in (("ps", "{{.Names}}"), ("volume", "{{.Name}}"), ("network", "{{.Name}}")):
        words = ["ps", "--all"] if kind == "ps" else [kind, "ls"]
        assert "cks-lab-day" not in docker(*words, "--format", form).split()
    listed = procs.run(["minikube", "profile", "list", "--light", "-o", "json"], timeout=60).text
    assert "cks-lab-day" not in listed
    assert desk.kubeconfig.read_text().count("cks-lab") == 0
