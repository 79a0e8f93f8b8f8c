"""The kind driver without a Docker: what it finds, refuses, cleans up and says, over a kind of a few lines."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lab.drivers.base import LabSpec, NodeOptions, Step
from lab.drivers.container import engine as engine_module
from lab.drivers.container import machine
from lab.drivers.container.engine import Container, Engine, EngineInfo
from lab.drivers.container.record import Record, Records
from lab.drivers.kind.driver import KindDriver
from lab.errors import LabError
from lab.home import Home

_KIND = """#!{python}
import os, sys, time
argv = sys.argv[1:]
with open({calls!r}, "a") as calls:
    print(*argv, file=calls)
if argv[:1] == ["version"]:
    print({version!r})
elif argv[:2] == ["create", "cluster"]:
    name = argv[argv.index("--name") + 1]
    print({first!r}, flush=True)
    {create}
elif argv[:2] == ["delete", "cluster"]:
    name = argv[argv.index("--name") + 1]
    os.remove(os.path.join({there!r}, name))
"""
_FIRST = " • Preparing nodes 📦  ..."
_FAILS = 'print("ERROR: failed to create cluster: no luck"); sys.exit(1)'
_MAKES = 'open(os.path.join({there!r}, name), "w").close(); '


class FakeEngine:
    """A Docker whose clusters are the files of a folder; each has one container, called after it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.states: dict[str, str] = {}
        self.cgroup = "2"

    def info(self) -> EngineInfo:
        return info(cgroup=self.cgroup)

    def containers(self, *labels: str) -> list[Container]:
        names = [label.partition("=")[2] for label in labels]
        return [self._of(name) for name in names if (self.folder / name).exists()]

    def container(self, name_or_id: str) -> Container | None:
        name = name_or_id.removeprefix("id-")
        return self._of(name) if (self.folder / name).exists() else None

    def images(self, name: str) -> list[str]:
        return []

    def has_image(self, name: str) -> bool:
        return name == "here:1"

    def _of(self, name: str) -> Container:
        labels = {"io.x-k8s.kind.cluster": name, "io.x-k8s.kind.role": "control-plane"}
        return Container(f"id-{name}", f"{name}-control-plane", self.states.get(name, "running"), labels)


class Bench:
    """A kind that does what the test says, a Docker, and the driver over both."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.there = folder / "there"
        self.there.mkdir()
        self.calls = folder / "calls"
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.home = Home.of()
        self.engine = FakeEngine(self.there)
        self.driver = KindDriver(self.home, engine=lambda timeout: self.engine)  # type: ignore[arg-type, return-value]
        monkeypatch.setenv("PATH", str(self.bin), prepend=os.pathsep)
        self.kind(_FAILS)

    def kind(self, create: str, version: str = "kind v0.32.0 go1.26.8 linux/amd64", first: str = _FIRST) -> None:
        text = _KIND.format(
            python=sys.executable,
            calls=str(self.calls),
            there=str(self.there),
            version=version,
            first=first,
            create=create.format(there=str(self.there)),
        )
        (self.bin / "kind").write_text(text)
        (self.bin / "kind").chmod(0o755)

    def record(self, name: str, **more: Any) -> Record:
        given = {
            "driver": "kind",
            "cluster": f"cks-lab-{name}",
            "scenario": "audit-log",
            "seed": None,
            "created": "2026-01-01T00:00:00+00:00",
            "version": "0",
            "container": f"id-cks-lab-{name}",
            "containers": (f"id-cks-lab-{name}",),
            "node": f"cks-lab-{name}-control-plane",
            "started": "2026-01-01T00:00:00+00:00",
            "ready": True,
        }
        return Records(self.home.data / "clusters", "kind").folder(name).write(Record(name=name, **{**given, **more}))

    def foreign(self, cluster: str) -> None:
        """Make a cluster that nobody but its owner knows of."""
        (self.there / cluster).touch()

    def called(self, what: str) -> bool:
        return self.calls.exists() and what in self.calls.read_text()

    def left(self) -> list[str]:
        folder = self.home.data / "clusters"
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []


@pytest.fixture
def bench(tmp_path: Path, isolated_home: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def state(bench: Bench) -> list[tuple[str, str]]:
    return [(lab.name, lab.state) for lab in bench.driver.find()]


# Found again


def test_without_a_record_docker_is_not_asked(isolated_home: Path) -> None:
    def never(timeout: float) -> Engine:
        raise AssertionError("asked")

    assert KindDriver(engine=never).find() == []


def test_a_cluster_without_a_record_of_ours_is_nobodys_lab(bench: Bench) -> None:
    bench.foreign("cks-lab-mine")
    assert bench.driver.find() == []


@pytest.mark.parametrize(
    ("docker", "expected"),
    [("running", "running"), ("exited", "stopped"), ("created", "stopped"), ("paused", "broken")],
)
def test_a_lab_is_as_its_container_is(bench: Bench, docker: str, expected: str) -> None:
    bench.record("one")
    bench.foreign("cks-lab-one")
    bench.engine.states["cks-lab-one"] = docker
    assert state(bench) == [("one", expected)]
    assert bench.driver.find()[0].detail or expected == "running"


def test_a_lab_whose_container_was_removed_is_broken(bench: Bench) -> None:
    bench.record("one")
    assert state(bench) == [("one", "broken")]
    assert "removed" in bench.driver.find()[0].detail


def test_a_start_that_was_cut_off_is_broken_and_names_the_log(bench: Bench) -> None:
    bench.record("one", container=None, containers=(), ready=False, making=True)
    (bench.home.data / "clusters" / "one.log").write_text("x")
    assert state(bench) == [("one", "broken")]
    assert "one.log" in bench.driver.find()[0].detail


def test_without_docker_a_lab_is_stopped_and_says_why(bench: Bench) -> None:
    bench.record("one")
    bench.driver = KindDriver(bench.home)  # The tests' Docker is nowhere.
    lab = bench.driver.find()[0]
    assert lab.state == "stopped"
    assert "Docker" in lab.detail


def test_records_of_another_driver_and_what_is_no_record_are_left_alone(bench: Bench) -> None:
    bench.record("other", driver="minikube")
    folder = bench.home.data / "clusters" / "odd"
    folder.mkdir()
    (folder / "lab.json").write_text("{}")
    assert bench.driver.find() == []


# Start


def test_a_failed_start_leaves_nothing_but_the_log(bench: Bench) -> None:
    bench.kind(_MAKES + _FAILS)
    with pytest.raises(LabError, match="no luck") as error:
        bench.driver.create(LabSpec("one", "audit-log"))
    assert bench.called("delete cluster --name cks-lab-one")
    assert list(bench.there.iterdir()) == []
    assert bench.left() == []
    log = bench.home.data / "clusters" / "one.log"
    assert str(log) in error.value.message
    assert "Preparing nodes" in log.read_text()


def test_a_failed_start_leaves_all_with_retain(bench: Bench) -> None:
    bench.kind(_MAKES + _FAILS)
    with pytest.raises(LabError, match="no luck"):
        bench.driver.create(LabSpec("one", "audit-log", retain=True))
    assert bench.called("--retain")
    assert not bench.called("delete")
    assert state(bench) == [("one", "broken")]
    bench.driver.destroy(bench.driver.find()[0])
    assert list(bench.there.iterdir()) == []
    assert bench.left() == []


def test_a_cluster_of_somebody_else_with_our_name_is_refused_and_stays(bench: Bench) -> None:
    bench.foreign("cks-lab-one")
    with pytest.raises(LabError, match="which is no lab"):
        bench.driver.create(LabSpec("one", "audit-log"))
    assert not bench.called("create")
    assert not bench.called("delete")
    assert (bench.there / "cks-lab-one").exists()


def test_a_cluster_that_somebody_makes_at_the_same_moment_stays(bench: Bench) -> None:
    taken = "print('ERROR: node(s) already exist for a cluster with the name \"x\"'); sys.exit(1)"
    bench.kind(_MAKES + taken)
    with pytest.raises(LabError, match="already exist"):
        bench.driver.create(LabSpec("one", "audit-log"))
    assert not bench.called("delete")
    assert (bench.there / "cks-lab-one").exists()


def test_ctrl_c_ends_kind_and_leaves_nothing(bench: Bench) -> None:
    bench.kind(_MAKES + "time.sleep(600)")

    def interrupt() -> None:
        while not (bench.there / "cks-lab-one").exists():
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            bench.driver.create(LabSpec("one", "audit-log"))
    finally:
        thread.join()
    assert list(bench.there.iterdir()) == []
    assert bench.left() == []


def test_what_could_not_be_removed_is_told_beside_the_failure(bench: Bench) -> None:
    bench.kind(_MAKES + _FAILS)
    (bench.bin / "kind").write_text((bench.bin / "kind").read_text().replace("os.remove(", "sys.exit("))
    with pytest.raises(LabError) as error:
        bench.driver.create(LabSpec("one", "audit-log"))
    assert "no luck" in error.value.message
    assert "could not be removed" in error.value.message
    assert error.value.hint == "cks-lab stop --lab one"
    assert state(bench) == [("one", "broken")]


@pytest.mark.parametrize("name", ["Two", "a b", "-x", "x" * 41, "a_b", "a/b"])
def test_a_name_that_no_cluster_can_have_is_refused(bench: Bench, name: str) -> None:
    with pytest.raises(LabError, match="cannot be the name"):
        bench.driver.create(LabSpec(name, "audit-log"))
    assert bench.left() == []


def test_it_has_no_lite_api_server(bench: Bench) -> None:
    with pytest.raises(LabError, match="no lite API server"):
        bench.driver.create(LabSpec("one", "audit-log", apiserver="lite"))


def test_several_control_planes_are_refused_before_anything_is_made(bench: Bench, tmp_path: Path) -> None:
    config = tmp_path / "kind.yaml"
    config.write_text("kind: Cluster\nnodes: [{role: control-plane}, {}, {role: worker}]\n")
    with pytest.raises(LabError, match="2 control planes"):
        bench.driver.create(LabSpec("one", "audit-log", config=config))
    assert not bench.called("create")
    assert bench.left() == []


def test_on_cgroup_v1_the_image_is_of_the_last_kubernetes_that_starts_there(bench: Bench) -> None:
    bench.engine.cgroup = "1"
    with pytest.raises(LabError, match="no luck"):
        bench.driver.create(LabSpec("one", "audit-log"))
    assert bench.called("--image kindest/node:v1.34.3")
    with pytest.raises(LabError, match="no luck"):
        bench.driver.create(LabSpec("one", "audit-log", kubernetes_version="1.36"))
    assert bench.called("--image kindest/node:v1.36.1")


def test_kind_chooses_the_image_where_nothing_is_asked_for(bench: Bench) -> None:
    with pytest.raises(LabError, match="no luck"):
        bench.driver.create(LabSpec("one", "audit-log"))
    assert not bench.called("--image")


def test_an_image_that_has_to_come_first_is_told_as_such(bench: Bench) -> None:
    for image, detail in (("here:1", "here:1"), ("there:1", "there:1, downloaded once: about 1 GB")):
        bench.kind(_FAILS, first=f" • Ensuring node image ({image}) 🖼  ...")
        told: list[Step] = []
        with pytest.raises(LabError, match="no luck"):
            bench.driver.create(LabSpec("one", "audit-log", image=image), told.append)
        assert "node image" in [step.title for step in told]
        assert told[-1].detail == detail


# Adopt


def test_a_cluster_that_is_not_there_cannot_be_adopted(bench: Bench) -> None:
    with pytest.raises(LabError, match="no cluster 'mine'") as error:
        bench.driver.create(LabSpec("one", "audit-log", adopt="mine"))
    assert error.value.hint == "kind get clusters"
    assert bench.left() == []


def test_a_cluster_is_adopted_once(bench: Bench) -> None:
    bench.record("first", cluster="mine", container="id-mine", containers=("id-mine",), adopted=True)
    bench.foreign("mine")
    with pytest.raises(LabError, match="is the lab first already"):
        bench.driver.create(LabSpec("one", "audit-log", adopt="mine"))
    assert bench.left() == ["first"]


def test_a_cluster_that_does_not_run_is_not_adopted(bench: Bench) -> None:
    bench.foreign("mine")
    bench.engine.states["mine"] = "exited"
    with pytest.raises(LabError, match="does not run") as error:
        bench.driver.create(LabSpec("one", "audit-log", adopt="mine"))
    assert error.value.hint == "docker start mine-control-plane"
    assert (bench.there / "mine").exists()


def test_an_adoption_that_was_cut_off_before_anything_was_laid_is_forgotten(bench: Bench) -> None:
    bench.record("one", cluster="mine", container="id-mine", containers=("id-mine",), adopted=True, ready=False)
    bench.foreign("mine")
    first = bench.home.data / "clusters" / "one" / "first"
    first.mkdir()
    (first / "files.tar").touch()
    bench.driver.destroy(bench.driver.find()[0])
    assert bench.left() == []
    assert (bench.there / "mine").exists()


def test_an_adopted_cluster_that_does_not_run_keeps_its_record_until_it_got_back_what_it_had(bench: Bench) -> None:
    bench.record("one", cluster="mine", container="id-mine", containers=("id-mine",), adopted=True)
    bench.foreign("mine")
    bench.engine.states["mine"] = "exited"
    first = bench.home.data / "clusters" / "one" / "first"
    first.mkdir()
    (first / "state.json").write_text("{}")
    with pytest.raises(LabError, match="cannot be put back") as error:
        bench.driver.destroy(bench.driver.find()[0])
    assert "docker start mine-control-plane" in error.value.hint
    assert bench.left() == ["one"]


# Remove


def test_a_removed_lab_takes_its_cluster_along(bench: Bench) -> None:
    bench.record("one")
    bench.foreign("cks-lab-one")
    bench.driver.destroy(bench.driver.find()[0])
    assert bench.called("delete cluster --name cks-lab-one")
    assert bench.left() == []


def test_a_cluster_that_somebody_made_anew_under_our_name_stays(bench: Bench) -> None:
    bench.record("one", container="id-older", containers=("id-older",))
    bench.foreign("cks-lab-one")
    bench.driver.destroy(bench.driver.find()[0])
    assert not bench.called("delete")
    assert (bench.there / "cks-lab-one").exists()
    assert bench.left() == []


def test_without_docker_nothing_is_forgotten(bench: Bench) -> None:
    bench.record("one")
    bench.driver = KindDriver(bench.home)
    lab = bench.driver.find()[0]
    for attempt in (bench.driver.destroy, lambda lab: bench.driver.reset(lab, LabSpec("one", "x").start)):
        with pytest.raises(LabError, match="Docker"):
            attempt(lab)
    assert bench.left() == ["one"]


# Probe


def info(**more: Any) -> EngineInfo:
    given = {"version": "28.0", "memory": 8 << 30, "cgroup": "2", "rootless": False, "podman": False, "root": "/"}
    return EngineInfo(**{**given, "desktop": False, **more})


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (machine.Machine(info(podman=True), None, None), "Podman"),
        (machine.Machine(info(rootless=True, cgroup="1"), None, None), "cgroup v2"),
        (machine.Machine(info(memory=1 << 29), None, None), "1 GiB of memory"),
        (machine.Machine(info(), 1 << 29, None), "1 GiB of memory"),
        (machine.Machine(info(), None, 1 << 30), "2 GiB of disk"),
    ],
)
def test_what_a_machine_lacks_is_said(there: machine.Machine, said: str) -> None:
    with pytest.raises(LabError, match=said) as error:
        machine.judged("kind", there)
    assert error.value.hint


def test_what_a_machine_has_is_said() -> None:
    there = machine.Machine(info(rootless=True), 3 << 30, 9 << 30)
    assert machine.judged("kind", there).words == (
        "Docker 28.0, without root, cgroup v2, 3.0 GiB of memory free, 9 GiB of disk"
    )


def test_a_kind_that_is_too_old_is_named_with_the_version_that_is_needed(bench: Bench) -> None:
    bench.kind(_FAILS, version="kind v0.9.0 go1.15.2 linux/amd64")
    found = bench.driver.probe()
    assert not found.available
    assert found.reason == "kind v0.9.0 is too old: v0.20.0 or later is needed"
    assert found.hint


def test_without_kind_it_is_said_how_to_get_it(isolated_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(isolated_home))
    found = KindDriver().probe()
    assert (found.available, found.reason) == (False, "kind is not installed")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert KindDriver().probe().hint == "brew install kind"


def test_without_docker_the_probe_says_so_and_loads_no_library(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    found = bench.driver.probe()
    assert not found.available
    assert "Docker" in found.reason
    assert found.capabilities == frozenset({"image", "kubernetes-version", "config", "adopt"})
    assert NodeOptions(image="x", config=Path("y"), adopt="z", kubernetes_version="1.34").needs <= found.capabilities


@pytest.mark.parametrize("host", ["ssh://me@there", "tcp://10.255.255.1:2375", "https://there:2376"])
def test_a_docker_on_another_machine_is_not_used(bench: Bench, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    found = bench.driver.probe()
    assert not found.available
    assert f"on another machine ({host})" in found.reason


@pytest.mark.parametrize(
    "host", ["tcp://127.0.0.1:1", "fd://3", "nonsense", "unix:///etc/passwd", "npipe:////x", "tcp://x:y"]
)
def test_whatever_docker_host_is_the_probe_answers(bench: Bench, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    found = bench.driver.probe()
    assert (found.available, found.reason != "", found.hint != "") == (False, True, True)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied"), "permission denied"),
        (ConnectionRefusedError(111, "Connection refused"), "is not running"),
        (TimeoutError("timed out"), "does not answer"),
        (RuntimeError("('Connection aborted.', PermissionError(13, 'Permission denied'))"), "permission denied"),
        (ValueError("odd"), "odd"),
    ],
)
def test_dockers_troubles_are_told_apart(error: BaseException, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module.shutil, "which", lambda name: f"/usr/bin/{name}")
    found = engine_module.trouble(error, "unix:///var/run/docker.sock")
    assert said in found.message
    assert found.hint


def test_where_no_docker_is_installed_it_is_said_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setattr(engine_module.shutil, "which", lambda name: None)
    found = engine_module.trouble(FileNotFoundError(2, "No such file or directory"), "unix:///x")
    assert found.message == "Docker is not installed"
    assert found.hint


def test_the_context_of_dockers_own_cli_is_followed(isolated_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    config = isolated_home / ".docker"
    meta = config / "contexts" / "meta" / "1"
    meta.mkdir(parents=True)
    (config / "config.json").write_text(json.dumps({"currentContext": "elsewhere"}))
    held = {"Name": "elsewhere", "Metadata": {}, "Endpoints": {"docker": {"Host": "unix:///run/user/7/docker.sock"}}}
    import hashlib

    meta.rename(meta.with_name(hashlib.sha256(b"elsewhere").hexdigest()))
    (config / "contexts" / "meta" / hashlib.sha256(b"elsewhere").hexdigest() / "meta.json").write_text(json.dumps(held))
    monkeypatch.setenv("DOCKER_CONFIG", str(config))
    assert engine_module.endpoint()[0] == "unix:///run/user/7/docker.sock"
