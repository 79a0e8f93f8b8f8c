"""What only a real minikube can show: named at the end of each run that has none, and never passed over in silence.

With a real one on PATH these run against it; where a program stands in for it, each is a skip with its reason, and the
end of the run lists them (see `pytest_terminal_summary` in tests/conftest.py).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import procs
from lab.drivers.base import Lab, NodeOptions
from lab.home import Home
from lab.procs import Completed
from lab.session import Session
from tests.conftest import ONLY_REAL

pytestmark = pytest.mark.cluster


@pytest.fixture(autouse=True)
def real(minikube: str) -> None:
    if minikube != "real":
        pytest.skip(ONLY_REAL)


@pytest.fixture(scope="module")
def session(minikube: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    if minikube != "real":
        pytest.skip(ONLY_REAL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CKS_LAB_HOME", str(tmp_path_factory.mktemp("home")))
        session = Session(Home.of())
        yield session
        session.stop_all()


@pytest.fixture(scope="module")
def lab(session: Session) -> Lab:
    return session.start("audit-log", on="minikube", name="real", options=NodeOptions())


def on_node(session: Session, lab: Lab, *argv: str) -> Completed:
    return session.node(lab).run(argv, timeout=60)


def minikube_(*args: str) -> Completed:
    force = ["--force"] if args[0] == "start" and os.geteuid() == 0 else []
    return procs.run(["minikube", *args, *force], timeout=600, check=False)


def test_its_own_node_image_starts_with_our_flags(session: Session, lab: Lab) -> None:
    assert lab.state == "running"
    assert "kicbase" in procs.run(["docker", "inspect", "--format", "{{.Config.Image}}", lab.node], timeout=20).text


def test_systemd_runs_the_kubelet_there_and_journalctl_has_its_words(session: Session, lab: Lab) -> None:
    assert on_node(session, lab, "systemctl", "is-active", "kubelet").exit_code == 0
    assert on_node(session, lab, "journalctl", "-u", "kubelet", "-n", "5", "--no-pager", "-o", "cat").stdout


def test_its_crictl_tells_the_arguments_of_the_api_server(session: Session, lab: Lab) -> None:
    listed = json.loads(on_node(session, lab, "crictl", "ps", "--name", "kube-apiserver", "-o", "json").stdout)
    told = json.loads(on_node(session, lab, "crictl", "inspect", listed["containers"][0]["id"]).stdout)
    assert "--secure-port=8443" in told["info"]["runtimeSpec"]["process"]["args"]


def test_its_node_has_the_tools_that_files_are_laid_with(session: Session, lab: Lab) -> None:
    for tool in ("bash", "tar", "find", "cmp", "timeout", "pgrep", "stat"):
        assert on_node(session, lab, "sh", "-c", f"command -v {tool}").exit_code == 0, tool


def test_its_certificate_has_the_name_that_the_api_is_asked_by(session: Session, lab: Lab) -> None:
    api = session.node(lab).api
    assert api is not None
    assert api.request("GET", "/readyz").status == 200


def test_our_flags_cause_no_drift_at_a_second_start(session: Session, lab: Lab) -> None:
    diff = ["diff", "-u", "/var/tmp/minikube/kubeadm.yaml", "/var/tmp/minikube/kubeadm.yaml.new"]
    procs.run(["docker", "stop", lab.node], timeout=60)
    session.start("audit-log", on="minikube", name="real")
    assert on_node(session, lab, *diff).exit_code == 0


def test_ctrl_c_ends_it_within_the_grace_and_delete_finds_what_is_left(session: Session) -> None:
    seen: list[str] = []

    def interrupt(step: object) -> None:
        seen.append(str(step))
        if "Creating docker container" in seen[-1]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.start("audit-log", on="minikube", name="cut", progress=interrupt)
    assert "cks-lab-cut" not in minikube_("profile", "list", "--light", "-o", "json").text


def test_the_version_that_1_34_becomes(session: Session) -> None:
    lab = session.start("audit-log", on="minikube", name="older", options=NodeOptions(kubernetes_version="1.34"))
    assert re.fullmatch(r"v1\.34\.\d+", str(lab.apiserver))
    session.stop(lab)


def test_what_a_download_says_of_its_progress(tmp_path: Path) -> None:
    from lab.drivers.minikube.events import parse

    home = {**os.environ, "MINIKUBE_HOME": str(tmp_path), "KUBECONFIG": os.devnull}
    force = ["--force"] if os.geteuid() == 0 else []
    argv = ["minikube", "start", "-p", "cks-lab-fetch", "--driver=docker", "--download-only", "-o", "json", *force]
    told = [parse(line) for line in procs.run(argv, timeout=1200, env=home).text.splitlines()]
    assert any(event is not None and event.kind == "download.progress" and event.progress for event in told)


def test_a_profile_in_a_virtual_machine_is_refused_by_adopt(session: Session) -> None:
    from lab.errors import LabError

    machines = [
        each["Name"]
        for each in json.loads(minikube_("profile", "list", "--light", "-o", "json").text)["valid"]
        if each["Config"]["Driver"] not in ("docker", "podman")
    ]
    if not machines:
        pytest.skip("no profile in a virtual machine here: minikube start -p vm --driver=kvm2")
    with pytest.raises(LabError, match="no container of Docker"):
        session.start("audit-log", on="minikube", name="vm", options=NodeOptions(adopt=machines[0]))
