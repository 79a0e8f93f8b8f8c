"""The minikube driver over recordings of the real CLI, and over Docker's recorded words of a node of minikube."""

from __future__ import annotations

import copy
import io
import json
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from docker.errors import NotFound

from lab.drivers.base import LabSpec, Step
from lab.drivers.container.driver import LAYING, ContainerDriver
from lab.drivers.container.engine import Engine
from lab.drivers.container.node import ContainerNode
from lab.drivers.container.record import Record, RecordFolder
from lab.drivers.container.steps import Steps
from lab.drivers.minikube.driver import MinikubeDriver
from lab.drivers.minikube.events import PHASES
from lab.errors import LabError
from lab.home import Home
from lab.overlay import MANIFEST, Overlay
from tests.recorded_cli import NoCli, RecordedCli, recorded

pytestmark = pytest.mark.shared

CLUSTER = "cks-lab-one"
NOW = datetime(2026, 11, 23, 6, 31, 40, tzinfo=UTC)
"""After the recorded node was started, at 06:31:04."""
ADMIN = "/etc/kubernetes/super-admin.conf"


class Docker:
    """What Docker has, as its API says it: containers made of the recorded one."""

    base_url = "http+docker://localhost"

    def __init__(self, recording: dict[str, Any]) -> None:
        self.api = self
        self._recording = recording
        self.containers_: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.down = False

    def run(self, name: str, identity: str, *, labelled: bool = True) -> dict[str, Any]:
        """Have a container as minikube makes it."""
        said = copy.deepcopy(self._recording)
        said["Id"], said["Name"] = identity, f"/{name}"
        labels = said["Config"]["Labels"]
        for key in [key for key, value in labels.items() if value == "cks"]:
            labels[key] = name
        if not labelled:
            labels.clear()
        self.containers_[identity] = said
        return said

    def _answer(self) -> None:
        if self.down:
            raise ConnectionRefusedError(111, "Connection refused")

    def inspect_container(self, name: str) -> dict[str, Any]:
        """Answer as the API does."""
        self._answer()
        for identity, said in self.containers_.items():
            if name in (identity, said["Name"].lstrip("/")):
                return said
        raise NotFound(f"no such container: {name}")

    def containers(self, *, all: bool, filters: dict[str, list[str]]) -> list[dict[str, str]]:
        """Answer as the API does."""
        self._answer()
        wanted = [label.partition("=")[::2] for label in filters["label"]]
        held = [(identity, said["Config"]["Labels"]) for identity, said in self.containers_.items()]
        return [{"Id": identity} for identity, labels in held if all_in(wanted, labels)]

    def get_archive(self, identity: str, path: str) -> tuple[Iterator[bytes], dict[str, Any]]:
        """Answer as the API does."""
        if path not in self.files:
            raise NotFound(path)
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            entry = tarfile.TarInfo(path.rpartition("/")[2])
            entry.size = len(self.files[path])
            tar.addfile(entry, io.BytesIO(self.files[path]))
        return iter([out.getvalue()]), {}

    def put_archive(self, identity: str, folder: str, content: bytes) -> bool:
        """Take files as the API does."""
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for entry in tar:
                held = tar.extractfile(entry)
                assert held is not None
                self.files[f"{folder}/{entry.name}"] = held.read()
        return True


def all_in(wanted: list[tuple[str, str]], labels: dict[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in wanted)


class Driver(MinikubeDriver):
    """The driver, for nodes on which no command can be run: files are not laid, and nobody is waited for."""

    waited: float | None = None

    def _lay(self, folder: RecordFolder, record: Record, start: Overlay, steps: Steps) -> Record:
        for title in LAYING:
            steps.begin(title)
        return self._up(folder, self._node(folder, record), steps)

    def _up(self, folder: RecordFolder, node: ContainerNode, steps: Steps, limit: float | None = None) -> Record:
        self.waited = limit
        return folder.update(ready=True, started=self._now().isoformat(), apiserver="v1.34.4")


@pytest.fixture
def recordings(shared: Path) -> Path:
    return shared / "recordings/minikube"


@pytest.fixture
def docker(recordings: Path) -> Docker:
    return Docker(json.loads((recordings / "docker-inspect.json").read_text())[0])


@pytest.fixture
def cli(recordings: Path) -> RecordedCli:
    cli = RecordedCli(recordings, CLUSTER)
    cli.will("version", "running", "version -o json", always=True)
    cli.will("profile list", "before", "profile list -o json", always=True)
    cli.will("delete", "delete", "delete -p cks -o json", always=True)
    return cli


@pytest.fixture
def driver(docker: Docker, cli: RecordedCli, isolated_home: Path) -> Driver:
    return made(docker, cli)


def made(docker: Docker, cli: Any, *, root: bool = True) -> Driver:
    return Driver(Home.of(), cli=cli, engine=lambda timeout: Engine(docker), now=lambda: NOW, root=root)  # type: ignore[arg-type]


def start(driver: Driver, docker: Docker, cli: RecordedCli, **more: Any) -> list[Step]:
    """Start a lab on a new cluster."""

    def happens() -> None:
        docker.run(CLUSTER, "id-one")
        kubeconfig = cli.calls[-1].kubeconfig
        assert kubeconfig is not None
        kubeconfig.write_text("apiVersion: v1\n")

    cli.will("start", "start-new", then=happens)
    steps: list[Step] = []
    driver.create(LabSpec("one", "audit-log", **more), steps.append)
    cli.will("profile list", "running", "profile list -o json --light", always=True)
    return steps


def folder() -> Path:
    return Home.of().data / "clusters"


# A new cluster


def test_a_cluster_is_made_with_minikubes_steps_under_a_name_and_with_a_kubeconfig_of_our_own(
    driver: Driver, docker: Docker, cli: RecordedCli
) -> None:
    steps = start(driver, docker, cli, seed=3)
    assert list(dict.fromkeys(step.title for step in steps)) == [*PHASES, *LAYING]
    assert any("Creating docker container" in step.detail for step in steps)
    (call,) = cli.made("start")
    assert call.args[:4] == ("start", "-p", CLUSTER, "--driver=docker")
    assert {"--embed-certs", "--force", "--interactive=false"} <= set(call.args)
    assert call.kubeconfig == folder() / "one/kubeconfig"
    assert call.kubeconfig.stat().st_mode & 0o777 == 0o600
    (lab,) = driver.find()
    assert (lab.name, lab.state, lab.node, lab.seed, lab.apiserver) == ("one", "running", CLUSTER, 3, "v1.34.4")


def test_every_line_of_the_cli_is_kept(driver: Driver, docker: Docker, cli: RecordedCli, recordings: Path) -> None:
    start(driver, docker, cli)
    log = (folder() / "one.log").read_text()
    assert (recordings / "start-new.events.jsonl").read_text() in log
    assert "unable to disable preinstalled bridge CNI" in log
    assert log.endswith("exit status 0\n")


def test_whoever_is_not_root_forces_nothing(docker: Docker, cli: RecordedCli) -> None:
    start(made(docker, cli, root=False), docker, cli)
    assert "--force" not in cli.made("start")[0].args


def test_version_and_image_are_passed_on(driver: Driver, docker: Docker, cli: RecordedCli) -> None:
    start(driver, docker, cli, kubernetes_version="1.34", image="mine:v1")
    assert {"--kubernetes-version=v1.34", "--base-image=mine:v1"} <= set(cli.made("start")[0].args)


@pytest.mark.parametrize("wanted", ["latest; rm -rf /", "1", "v1.34.4-rc.1", ""])
def test_what_is_no_version_is_refused_before_anything_is_made(driver: Driver, cli: RecordedCli, wanted: str) -> None:
    with pytest.raises(LabError, match="is no version of Kubernetes"):
        driver.create(LabSpec("one", "audit-log", kubernetes_version=wanted))
    assert cli.made("start") == []


@pytest.mark.parametrize("container", [True, False])
def test_a_start_that_fails_is_told_with_advice_and_leaves_nothing_but_its_log(
    driver: Driver, docker: Docker, cli: RecordedCli, recordings: Path, container: bool
) -> None:
    broken = [each for each in recorded(recordings) if each["rc"] == 80 and "start" in each["argv"]]
    assert broken
    cli.will(
        "start",
        "broken-start",
        then=lambda: docker.run(CLUSTER, "id-one") if container else None,
    )
    with pytest.raises(LabError) as failed:
        driver.create(LabSpec("one", "audit-log"))
    assert "apiserver healthz never reported healthy" in failed.value.message
    log = folder() / "one.log"
    assert str(log) in failed.value.message
    assert "GUEST_START" in log.read_text()
    assert [call.args for call in cli.made("delete")] == [("delete", "-p", CLUSTER, "-o", "json")]
    assert not (folder() / "one").exists()
    assert driver.find() == []


def test_retain_leaves_what_there_is_for_a_look(driver: Driver, docker: Docker, cli: RecordedCli) -> None:
    cli.will("start", "broken-start", then=lambda: docker.run(CLUSTER, "id-one"))
    with pytest.raises(LabError):
        driver.create(LabSpec("one", "audit-log", retain=True))
    assert cli.made("delete") == []
    (lab,) = driver.find()
    assert lab.state == "broken"
    driver.destroy(lab)
    assert len(cli.made("delete")) == 1


def test_ctrl_c_during_the_start_removes_what_was_begun(driver: Driver, docker: Docker, cli: RecordedCli) -> None:
    def interrupted() -> None:
        docker.run(CLUSTER, "id-one")
        raise KeyboardInterrupt

    cli.will("start", "start-new", then=interrupted)
    with pytest.raises(KeyboardInterrupt):
        driver.create(LabSpec("one", "audit-log"))
    assert len(cli.made("delete")) == 1
    assert driver.find() == []


# What is not ours


@pytest.mark.parametrize("labelled", [True, False])
def test_a_container_of_the_name_is_somebody_elses_and_stays(
    driver: Driver, docker: Docker, cli: RecordedCli, labelled: bool
) -> None:
    docker.run(CLUSTER, "id-theirs", labelled=labelled)
    with pytest.raises(LabError, match=f"{CLUSTER}.* already"):
        driver.create(LabSpec("one", "audit-log"))
    assert cli.made("start") == cli.made("delete") == []
    assert driver.find() == []


def test_a_profile_of_the_name_without_a_container_is_somebody_elses_and_stays(
    driver: Driver, docker: Docker, cli: RecordedCli
) -> None:
    cli.will("profile list", "running", "profile list -o json --light", always=True)
    with pytest.raises(LabError, match=f"minikube has a profile {CLUSTER} already") as refused:
        driver.create(LabSpec("one", "audit-log"))
    assert f"minikube delete -p {CLUSTER}" in refused.value.hint
    assert cli.made("start") == cli.made("delete") == []


def test_other_profiles_are_no_labs(driver: Driver, docker: Docker, cli: RecordedCli) -> None:
    docker.run("minikube", "id-theirs")
    start(driver, docker, cli)
    assert [lab.name for lab in driver.find()] == ["one"]


def test_a_cluster_that_somebody_made_anew_under_the_name_is_not_removed(
    driver: Driver, docker: Docker, cli: RecordedCli
) -> None:
    start(driver, docker, cli)
    del docker.containers_["id-one"]
    docker.run(CLUSTER, "id-theirs")
    (lab,) = driver.find()
    assert lab.state == "broken"
    driver.destroy(lab)
    assert cli.made("delete") == []
    assert driver.find() == []


# States


def test_docker_says_the_state_whatever_minikube_does(driver: Driver, docker: Docker, cli: RecordedCli) -> None:
    start(driver, docker, cli)
    # An API server that is down reads Stopped there.
    cli.will("profile list", "broken", "profile list -o json", always=True)
    assert [lab.state for lab in driver.find()] == ["running"]
    assert cli.made("status") == []


def test_a_container_that_was_removed_is_told_with_the_way_out(
    driver: Driver, docker: Docker, cli: RecordedCli
) -> None:
    start(driver, docker, cli)
    del docker.containers_["id-one"]
    (lab,) = driver.find()
    assert (lab.state, lab.detail) == ("broken", f"its container {CLUSTER} was removed")
    driver.destroy(lab)
    assert len(cli.made("delete")) == 1
    assert driver.find() == []


def test_a_container_that_docker_restarted_sleeps_until_minikube_wakes_it(
    driver: Driver, docker: Docker, cli: RecordedCli
) -> None:
    start(driver, docker, cli)
    docker.containers_["id-one"]["State"]["StartedAt"] = (NOW + timedelta(hours=1)).isoformat()
    (lab,) = driver.find()
    assert lab.state == "stopped"
    assert "no kubelet runs in it" in lab.detail


@pytest.mark.parametrize(("state", "word"), [("exited", "stopped"), ("paused", "broken")])
def test_a_container_that_does_not_run(driver: Driver, docker: Docker, cli: RecordedCli, state: str, word: str) -> None:
    start(driver, docker, cli)
    docker.containers_["id-one"]["State"].update(Status=state, Running=False)
    assert [lab.state for lab in driver.find()] == [word]


# Started again


def stopped(driver: Driver, docker: Docker, cli: RecordedCli, **more: Any) -> None:
    start(driver, docker, cli, **more)
    docker.containers_["id-one"]["State"].update(Status="exited", Running=False)
    docker.files[MANIFEST] = b"the learner's"


def wake(docker: Docker, manifest: bytes = b"the learner's") -> None:
    docker.containers_["id-one"]["State"].update(Status="running", Running=True)
    docker.files[MANIFEST] = manifest


def test_it_is_started_again_with_the_flags_it_was_made_with(driver: Driver, docker: Docker, cli: RecordedCli) -> None:
    stopped(driver, docker, cli, kubernetes_version="1.34", image="mine:v1")
    cli.will("start", "restart-C", nth=1, then=lambda: wake(docker))
    lab = driver.create(LabSpec("one", "audit-log"))
    assert lab.state == "running"
    first, again = (set(call.args) for call in cli.made("start"))
    # The version that the profile has is the one to go on with, whatever 1.34 means by then.
    assert first - again == {"--kubernetes-version=v1.34"}
    assert again - first == {"--wait-timeout=40s"}
    assert docker.files[MANIFEST] == b"the learner's"
    assert driver.waited == 60.0


def test_a_manifest_that_minikube_wrote_anew_is_the_learners_again(
    driver: Driver, docker: Docker, cli: RecordedCli
) -> None:
    stopped(driver, docker, cli)
    cli.will("start", "drift", then=lambda: wake(docker, b"kubeadm's"))
    told: list[Step] = []
    driver.create(LabSpec("one", "audit-log"), told.append)
    assert docker.files[MANIFEST] == b"the learner's"
    assert any("yours is put back" in step.detail for step in told)


def test_an_api_server_that_the_learner_broke_does_not_keep_a_lab_down(
    driver: Driver, docker: Docker, cli: RecordedCli
) -> None:
    stopped(driver, docker, cli)
    cli.will("start", "broken-start", then=lambda: wake(docker))
    assert driver.create(LabSpec("one", "audit-log")).state == "running"
    assert driver.waited == 1.0
    assert cli.made("delete") == []


def test_a_start_that_does_not_come_so_far_is_an_error_and_costs_nothing(
    driver: Driver, docker: Docker, cli: RecordedCli
) -> None:
    stopped(driver, docker, cli)
    cli.will("start", "restart-C", nth=0)
    with pytest.raises(LabError, match="DRV_AS_ROOT"):
        driver.create(LabSpec("one", "audit-log"))
    assert cli.made("delete") == []
    assert [lab.state for lab in driver.find()] == ["stopped"]


def test_a_profile_that_minikube_does_not_know_is_not_started(driver: Driver, docker: Docker, cli: RecordedCli) -> None:
    stopped(driver, docker, cli)
    cli.will("profile list", "before", "profile list -o json", always=True)
    with pytest.raises(LabError, match="minikube knows no profile") as refused:
        driver.create(LabSpec("one", "audit-log"))
    assert "MINIKUBE_HOME" in refused.value.hint
    assert len(cli.made("start")) == 1


# Adopted


def test_a_cluster_of_the_users_is_adopted_and_never_removed(driver: Driver, docker: Docker, cli: RecordedCli) -> None:
    cli.profile = "mine"
    cli.will("profile list", "running", "profile list -o json --light", always=True)
    docker.run("mine", "id-mine")
    docker.files[ADMIN] = b"the administrator's\n"
    lab = driver.create(LabSpec("one", "audit-log", adopt="mine"))
    assert (lab.adopted, lab.node, lab.state) == (True, "mine", "running")
    assert (folder() / "one/kubeconfig").read_bytes() == docker.files[ADMIN]
    assert (folder() / "one/kubeconfig").stat().st_mode & 0o777 == 0o600
    driver.destroy(lab)
    assert driver.find() == []
    assert "id-mine" in docker.containers_
    assert cli.made("start") == cli.made("delete") == []


def test_an_adopted_cluster_is_started_again_as_it_is(driver: Driver, docker: Docker, cli: RecordedCli) -> None:
    cli.profile = "mine"
    cli.will("profile list", "running", "profile list -o json --light", always=True)
    state = docker.run("mine", "id-mine")["State"]
    docker.files[ADMIN] = b"the administrator's\n"
    driver.create(LabSpec("one", "audit-log", adopt="mine"))
    state.update(Status="exited", Running=False)
    cli.will("start", "restart-C", nth=1, then=lambda: state.update(Status="running", Running=True))
    driver.create(LabSpec("one", "audit-log"))
    own = ("--wait-timeout=40s", "--interactive=false", "-o", "json", "--force")
    assert cli.made("start")[0].args == ("start", "-p", "mine", *own)


def test_an_unknown_profile_is_told_with_those_there_are(driver: Driver, cli: RecordedCli) -> None:
    cli.profile = "other"
    cli.will("profile list", "running", "profile list -o json --light", always=True)
    with pytest.raises(LabError, match=r"no profile 'mine'; there are: other") as refused:
        driver.create(LabSpec("one", "audit-log", adopt="mine"))
    assert refused.value.hint == "minikube profile list"


def test_the_profiles_of_labs_are_none_to_adopt(driver: Driver, docker: Docker, cli: RecordedCli) -> None:
    start(driver, docker, cli)
    with pytest.raises(LabError) as refused:
        driver.create(LabSpec("two", "audit-log", adopt="mine"))
    assert refused.value.message == "minikube has no profile 'mine'"
    with pytest.raises(LabError, match="is the lab one already"):
        driver.create(LabSpec("two", "audit-log", adopt=CLUSTER))
    assert [lab.name for lab in driver.find()] == ["one"]


def test_a_profile_that_does_not_run_is_told_how_it_is_started(
    driver: Driver, docker: Docker, cli: RecordedCli
) -> None:
    cli.profile = "mine"
    cli.will("profile list", "stopped", "profile list -o json", always=True)
    docker.run("mine", "id-mine")["State"].update(Status="exited", Running=False)
    with pytest.raises(LabError, match="the cluster mine does not run") as refused:
        driver.create(LabSpec("one", "audit-log", adopt="mine"))
    assert refused.value.hint == "minikube start -p mine"
    assert driver.find() == []


def test_a_profile_of_another_driver_is_refused_with_the_way_to_grade_it(
    driver: Driver, cli: RecordedCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.profile = "mine"
    cli.will("profile list", "running", "profile list -o json --light", always=True)
    monkeypatch.setattr(cli, "run", in_kvm(cli.run))
    with pytest.raises(LabError, match=r"no container of Docker \(its driver: kvm2\)") as refused:
        driver.create(LabSpec("one", "audit-log", adopt="mine"))
    assert "--node ssh://docker@$(minikube -p mine ip)" in refused.value.hint


def in_kvm(run: Any) -> Any:
    def changed(*args: Any, **more: Any) -> Any:
        done = run(*args, **more)
        return type(done)(done.argv, done.exit_code, done.stdout.replace(b'"Driver":"docker"', b'"Driver":"kvm2"'), b"")

    return changed


# The probe


def test_the_probe_names_what_is_there(docker: Docker, cli: RecordedCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.drivers.minikube.driver.machine.look", lambda tool: there(8 << 30))
    info = made(docker, cli).probe()
    assert info.available
    assert info.reason == "minikube v1.38.1, Docker 28.0, cgroup v2"
    assert info.capabilities == {"image", "kubernetes-version", "adopt"}


def test_a_docker_that_is_too_small_for_minikube(
    docker: Docker, cli: RecordedCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.drivers.minikube.driver.machine.look", lambda tool: there(1500 << 20))
    info = made(docker, cli).probe()
    assert not info.available
    assert "1.8 GiB" in info.reason


def there(memory: int) -> Any:
    from lab.drivers.container.engine import EngineInfo
    from lab.drivers.container.machine import Machine

    return Machine(EngineInfo("28.0", memory, "2", False, False, "", False), None, None)


@pytest.mark.parametrize(
    ("system", "hint"), [("linux", "minikube-linux-"), ("darwin", "brew install minikube"), ("win32", "winget install")]
)
def test_without_minikube_it_is_said_how_to_get_it(
    docker: Docker, monkeypatch: pytest.MonkeyPatch, system: str, hint: str
) -> None:
    monkeypatch.setattr("sys.platform", system)
    info = made(docker, NoCli()).probe()
    assert (info.available, info.reason) == (False, "minikube is not installed")
    assert hint in info.hint


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b'{"commit":"x","minikubeVersion":"v1.25.2"}', "minikube v1.25.2 is too old: v1.31.0 or later is needed"),
        (b"Segmentation fault", "minikube does not say its version: 'Segmentation fault'"),
        (b"null", "does not say its version"),
    ],
)
def test_a_minikube_that_cannot_be_used_is_named(
    docker: Docker, cli: RecordedCli, monkeypatch: pytest.MonkeyPatch, said: bytes, words: str
) -> None:
    from lab.procs import Completed

    monkeypatch.setattr(cli, "run", lambda *args, **more: Completed((), 0, said, b""))
    driver = made(docker, cli)
    assert words in driver.probe().reason
    with pytest.raises(LabError, match=r"minikube"):
        driver.create(LabSpec("one", "audit-log"))
    assert driver.find() == []


def test_it_is_a_driver_of_containers() -> None:
    assert issubclass(MinikubeDriver, ContainerDriver)
    assert MinikubeDriver.api_port == 8443


# Faults


def test_docker_that_stops_while_a_cluster_is_made_leaves_a_lab_that_can_be_removed(
    driver: Driver, docker: Docker, cli: RecordedCli
) -> None:
    def stops() -> None:
        docker.run(CLUSTER, "id-one")
        docker.down = True

    cli.will("start", "broken-start", then=stops)
    with pytest.raises(LabError) as failed:
        driver.create(LabSpec("one", "audit-log"))
    assert "what is there could not be removed: Docker is not running" in failed.value.message
    assert failed.value.hint == "cks-lab stop --lab one"
    docker.down = False
    (lab,) = driver.find()
    assert lab.state == "broken"
    driver.destroy(lab)
    assert len(cli.made("delete")) == 1
    assert driver.find() == []


def test_without_docker_labs_are_still_named(driver: Driver, docker: Docker, cli: RecordedCli) -> None:
    start(driver, docker, cli)
    docker.down = True
    (lab,) = driver.find()
    assert lab.state != "running"
    assert "Docker is not running" in lab.detail
    docker.down = False
    assert [lab.state for lab in driver.find()] == ["running"]


def test_a_delete_that_fails_keeps_the_lab(driver: Driver, docker: Docker, cli: RecordedCli) -> None:
    start(driver, docker, cli)
    (lab,) = driver.find()
    cli.will("delete", "outside", "ssh -p drill", always=True)
    with pytest.raises(LabError, match=f"minikube did not remove {CLUSTER}") as failed:
        driver.destroy(lab)
    assert failed.value.hint == f"minikube delete -p {CLUSTER}"
    assert [lab.name for lab in driver.find()] == ["one"]


def test_a_minikube_that_is_gone_meanwhile_costs_nothing(docker: Docker, cli: RecordedCli) -> None:
    start(made(docker, cli), docker, cli)
    without = made(docker, NoCli())
    (lab,) = without.find()
    assert lab.state == "running"
    with pytest.raises(LabError, match="minikube is not installed"):
        without.destroy(lab)
    assert [lab.name for lab in without.find()] == ["one"]


def test_flags_that_were_lost_are_not_guessed(driver: Driver, docker: Docker, cli: RecordedCli) -> None:
    stopped(driver, docker, cli)
    (folder() / "one/start.json").write_text("{")
    with pytest.raises(LabError, match=r"start\.json cannot be read"):
        driver.create(LabSpec("one", "audit-log"))
    assert len(cli.made("start")) == 1
