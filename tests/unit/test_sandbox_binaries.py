"""Which real kube-apiserver and etcd a sandbox takes: the environment's, else the newest that `setup` has put there."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from lab.drivers.base import LabSpec
from lab.drivers.sandbox import binaries
from lab.drivers.sandbox.driver import SandboxDriver
from lab.drivers.sandbox.state import LabFile, StateFolder
from lab.errors import LabError


def program(path: Path, says: str = "", code: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(0o755)
    return path


def install(home: Path, version: str) -> Path:
    place = binaries.folder(home / "cache") / version
    program(place / "kube-apiserver")
    program(place / "etcd")
    return place


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"CKS_LAB_HOME": str(tmp_path)}


def test_nothing_is_found_where_nothing_is(env: dict[str, str]) -> None:
    assert binaries.find(environ=env) is None


def test_the_newest_version_counts_by_its_numbers(tmp_path: Path, env: dict[str, str]) -> None:
    for version in ("v1.9.12", "v1.34.4", "v1.34.10"):
        install(tmp_path, version)
    found = binaries.find(environ=env)
    assert found is not None
    assert found.version == "v1.34.10"
    asked = binaries.find("v1.34.4", environ=env)
    assert asked is not None
    assert asked.apiserver == binaries.folder(tmp_path / "cache") / "v1.34.4/kube-apiserver"
    assert binaries.find("v1.33.0", environ=env) is None
    for given, found_version in (("1.34", "v1.34.10"), ("v1.9", "v1.9.12"), ("1.9.12", "v1.9.12"), ("1.3", None)):
        some = binaries.find(given, environ=env)
        assert (some.version if some else None) == found_version


def test_half_a_version_is_none(tmp_path: Path, env: dict[str, str]) -> None:
    (install(tmp_path, "v1.34.4") / "etcd").unlink()
    assert binaries.find(environ=env) is None


def test_the_environment_comes_before_what_is_installed(tmp_path: Path, env: dict[str, str]) -> None:
    place = install(tmp_path, "v1.34.4")
    env["CKS_LAB_KUBE_APISERVER"] = str(program(tmp_path / "mine", "Kubernetes v1.35.1-rc.0"))
    found = binaries.find(environ=env)
    assert found == binaries.ControlPlane("v1.35.1-rc.0", tmp_path / "mine", place / "etcd")
    env["CKS_LAB_ETCD"] = str(program(tmp_path / "etcd", "etcd Version: 3.6.5"))
    found = binaries.find(environ=env)
    assert found is not None
    assert found.etcd == tmp_path / "etcd"


def test_another_etcd_goes_with_an_installed_api_server(tmp_path: Path, env: dict[str, str]) -> None:
    install(tmp_path, "v1.34.4")
    env["CKS_LAB_ETCD"] = str(program(tmp_path / "etcd", "etcd Version: 3.6.5"))
    found = binaries.find(environ=env)
    assert found is not None
    assert (found.version, found.etcd) == ("v1.34.4", tmp_path / "etcd")


def test_an_api_server_without_an_etcd_is_told(tmp_path: Path, env: dict[str, str]) -> None:
    env["CKS_LAB_KUBE_APISERVER"] = str(program(tmp_path / "mine", "Kubernetes v1.34.4"))
    with pytest.raises(LabError) as told:
        binaries.find(environ=env)
    assert "CKS_LAB_ETCD" in told.value.hint


@pytest.mark.parametrize("variable", ["CKS_LAB_KUBE_APISERVER", "CKS_LAB_ETCD"])
def test_what_is_no_program_is_told_with_the_variable_that_names_it(
    tmp_path: Path, env: dict[str, str], variable: str
) -> None:
    install(tmp_path, "v1.34.4")
    (tmp_path / "text").write_text("no program")
    for wrong in (tmp_path / "text", tmp_path / "missing", tmp_path):
        with pytest.raises(LabError) as told:
            binaries.find(environ={**env, variable: str(wrong)})
        assert variable in told.value.message
        assert str(wrong) in told.value.message


def test_versions_are_what_the_programs_say(tmp_path: Path) -> None:
    assert binaries.version_of(program(tmp_path / "a", "Kubernetes v1.34.4")) == "v1.34.4"
    assert binaries.version_of(program(tmp_path / "e", "etcd Version: 3.6.5")) == "v3.6.5"
    for name, says, code in (("other", "hello", 0), ("failing", "", 3)):
        with pytest.raises(LabError) as told:
            binaries.version_of(program(tmp_path / name, says, code))
        assert str(tmp_path / name) in told.value.message


def test_a_real_api_server_that_is_not_there_is_refused_with_the_command_that_gets_it(tmp_path: Path) -> None:
    driver = SandboxDriver(tmp_path / "labs")
    with pytest.raises(LabError) as told:
        driver.create(LabSpec("one", "audit-log", apiserver="real"))
    assert "cks-lab setup" in told.value.hint
    assert driver.find() == []


@pytest.mark.parametrize(
    ("apiserver", "hint"), [("auto", "cks-lab setup --kubernetes-version 1.33"), ("lite", "leave out")]
)
def test_a_version_that_is_not_there_is_refused(tmp_path: Path, apiserver: str, hint: str) -> None:
    driver = SandboxDriver(tmp_path / "labs")
    with pytest.raises(LabError) as told:
        driver.create(LabSpec("one", "audit-log", apiserver=apiserver, kubernetes_version="1.33"))
    assert told.value.hint.startswith(hint)
    assert driver.find() == []


def test_a_lab_whose_real_api_server_is_gone_stays_and_says_how_to_get_it_back(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "labs/one")
    state.path.mkdir(parents=True)
    gone = (str(tmp_path / "kube-apiserver"), str(tmp_path / "etcd"))
    file = LabFile(
        "one", "audit-log", None, "n", "a", "v1.34.3", "fast", "2026-01-01T00:00:00+00:00", None, True, "1", gone
    )
    state.write_lab(file)
    driver = SandboxDriver(tmp_path / "labs")
    assert [lab.state for lab in driver.find()] == ["stopped"]
    with pytest.raises(LabError) as told:
        driver.create(LabSpec("one", "audit-log"))
    assert "v1.34.3" in told.value.message
    assert told.value.hint == "cks-lab setup --kubernetes-version v1.34.3"
    assert [lab.state for lab in driver.find()] == ["stopped"]


def test_a_lab_of_a_release_without_real_api_servers_is_read(tmp_path: Path) -> None:
    file = LabFile(
        "one", "audit-log", None, "n", "a", "lite v1.34", "fast", "2026-01-01T00:00:00+00:00", None, True, "1"
    )
    told = {key: value for key, value in asdict(file).items() if key != "control_plane"}
    (tmp_path / "lab.json").write_text(json.dumps(told))
    read = StateFolder(tmp_path).lab()
    assert read == file
    assert read.lite
