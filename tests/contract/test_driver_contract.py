"""What every driver of the table keeps to: a lab is made, found, worked on, reset and removed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

from checkers.evidence import Missing
from lab import procs
from lab.drivers import DRIVERS, driver
from lab.drivers.base import Driver, Lab, LabSpec, NodeHandle, Step
from lab.errors import LabError
from lab.overlay import ManifestEdits, Overlay

POLICY = "/etc/kubernetes/audit/policy.yaml"
START = Overlay(
    files={POLICY: b"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None}]\n"},
    edits=(ManifestEdits(set_flags={"profiling": "false"}),),
)

_IMAGE = os.environ.get("CKS_LAB_E2E_IMAGE")
_MARKS = {"sandbox": pytest.mark.sandbox}
"""What a driver's nodes need; the others' are clusters."""
EACH = [pytest.param(name, marks=_MARKS.get(name, pytest.mark.cluster)) for name in DRIVERS]


@dataclass
class Made:
    driver: Driver
    lab: Lab
    steps: list[Step]

    @property
    def node(self) -> NodeHandle:
        return self.driver.node(self.lab)


def usable(request: pytest.FixtureRequest) -> Driver:
    name = request.param
    if name == "minikube":
        request.getfixturevalue("minikube")
    found = driver(name)
    info = found.probe()
    if not info.available:
        if os.environ.get("CI") or name != "sandbox":
            pytest.fail(f"{name}: {info.reason}: {info.hint}")
        pytest.skip(f"{name}: {info.reason}")
    return found


def spec(driver: Driver, name: str, start: Overlay = Overlay(), seed: int | None = None) -> LabSpec:  # noqa: B008
    image = _IMAGE if driver.name == "kind" else None
    return LabSpec(name, "audit-log", seed=seed, start=start, image=image)


@pytest.fixture(scope="module", params=EACH)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CKS_LAB_HOME", str(tmp_path_factory.mktemp("home")))
        found = usable(request)
        steps: list[Step] = []
        lab = found.create(spec(found, "contract", START, 7), steps.append)
        yield Made(found, lab, steps)
        found.destroy(lab)


def test_the_probe_answers(made: Made) -> None:
    assert made.driver.probe().available


def test_create_names_its_steps_in_order_and_returns_a_running_lab(made: Made) -> None:
    # A step is told again while it goes on.
    assert [number for number, _ in groupby(step.number for step in made.steps)] == list(
        range(1, made.steps[0].total + 1)
    )
    assert all(step.title for step in made.steps)
    assert (made.lab.name, made.lab.driver, made.lab.scenario, made.lab.seed) == (
        "contract",
        made.driver.name,
        "audit-log",
        7,
    )
    assert made.lab.state == "running"
    assert made.lab.started is not None
    assert made.lab.apiserver


def test_another_program_finds_the_same_lab(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    assert made.lab in made.driver.find()


def test_the_start_files_are_on_the_node_and_the_manifest_is_edited(made: Made) -> None:
    assert made.node.files.read(POLICY) == START.files[POLICY]
    assert made.node.files.stat(POLICY).mode == 0o644
    manifest = made.node.files.read("/etc/kubernetes/manifests/kube-apiserver.yaml").decode()
    assert "    - --profiling=false\n" in manifest
    assert made.node.files.stat("/etc/kubernetes/manifests/kube-apiserver.yaml").mode == 0o600


def test_kubectl_on_the_node_works_without_flags(made: Made) -> None:
    said = made.node.run(["kubectl", "get", "nodes", "-o", "name"], timeout=20)
    assert said.text.strip() == f"node/{made.node.name}", said.stderr


def test_the_api_is_reached_as_the_administrator(made: Made) -> None:
    api = made.node.api
    assert api is not None
    assert api.request("GET", "/readyz").status == 200
    answer = api.request("GET", "/api/v1/namespaces/kube-system/secrets")
    assert answer.status == 200
    assert json.loads(answer.body)["kind"] == "SecretList"
    body = b'{"metadata": {"name": "contract"}, "data": {"a": "b"}}'
    headers = {"Content-Type": "application/json"}
    created = api.request("POST", "/api/v1/namespaces/default/configmaps", body=body, headers=headers)
    assert created.status == 201
    assert api.request("DELETE", "/api/v1/namespaces/default/configmaps/contract").status == 200


def test_a_command_has_its_input_its_output_and_its_exit_status(made: Made) -> None:
    said = made.node.run(["sh", "-c", "cat; echo no >&2; exit 7"], timeout=10, stdin=b"yes")
    assert (said.exit_code, said.stdout, said.stderr) == (7, b"yes", b"no\n")
    assert made.node.run(["id", "-un"], timeout=10).text == "root\n"
    assert made.node.run(["hostname"], timeout=10).text.strip() == made.node.name
    assert made.node.run(["pwd"], timeout=10).text == "/root\n"


def test_a_command_that_is_not_there_is_an_answer_and_not_a_fault_of_the_node(made: Made) -> None:
    assert made.node.run(["no-such-program"], timeout=10).exit_code == 127


def test_a_command_that_takes_too_long_is_ended(made: Made) -> None:
    with pytest.raises(LabError, match=r"0\.3 s"):
        made.node.run(["sleep", "3251"], timeout=0.3)
    deadline = time.monotonic() + 60
    while made.node.run(["pgrep", "-f", "^sleep 3251"], timeout=10).exit_code == 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_shell_runs_one_command_in_its_place_and_passes_on_its_status(made: Made) -> None:
    said = procs.run(made.node.shell_argv(["sh", "-c", "hostname; exit 3"]), timeout=10, check=False)
    assert (said.exit_code, said.text.strip()) == (3, made.node.name)


def test_the_login_shell_reads_commands(made: Made) -> None:
    said = procs.run(made.node.shell_argv(), timeout=10, stdin=b"echo $HOME; cd /etc/kubernetes && ls\n")
    assert said.text.startswith("/root\n")
    assert "manifests" in said.text.split()


def test_a_name_that_is_in_use_is_refused(made: Made) -> None:
    with pytest.raises(LabError, match="contract"):
        made.driver.create(spec(made.driver, "contract"))
    assert made.driver.find() == [made.lab]


def test_a_start_that_fails_leaves_nothing(made: Made) -> None:
    wrong = Overlay(edits=(ManifestEdits(replace=(("no such text", ""),)),))
    with pytest.raises((LabError, ValueError)):
        made.driver.create(spec(made.driver, "fails", wrong))
    assert [lab.name for lab in made.driver.find()] == ["contract"]


def test_a_reset_puts_the_first_state_back(made: Made) -> None:
    change = "echo mine > /etc/kubernetes/audit/policy.yaml; touch /root/notes; kubectl create ns mine"
    assert made.node.run(["sh", "-c", change], timeout=20).exit_code == 0
    made.driver.reset(made.lab, START)
    assert made.node.files.read(POLICY) == START.files[POLICY]
    with pytest.raises(Missing):
        made.node.files.stat("/root/notes")
    namespaces = made.node.run(["kubectl", "get", "namespaces", "-o", "name"], timeout=20).text
    assert "namespace/default" in namespaces
    assert "namespace/mine" not in namespaces


@pytest.fixture(params=EACH)
def fresh(request: pytest.FixtureRequest) -> Driver:
    return usable(request)


def test_a_lab_that_was_removed_is_gone_and_may_be_removed_again(fresh: Driver, isolated_home: Path) -> None:
    assert fresh.find() == []
    lab = fresh.create(spec(fresh, "short", START))
    node = fresh.node(lab)
    assert node.files.list("/etc/kubernetes/audit") == ["policy.yaml"]
    fresh.destroy(lab)
    assert fresh.find() == []
    fresh.destroy(lab)
    with pytest.raises(LabError):
        node.run(["true"], timeout=5)
    with pytest.raises(LabError):
        node.files.read(POLICY)
    assert node.api is not None
    with pytest.raises(LabError):
        node.api.request("GET", "/readyz")
    with pytest.raises(LabError):
        fresh.reset(lab, START)
