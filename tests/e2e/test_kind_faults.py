"""Docker that stops in the middle: seen through a door to it that the test can close and open again."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.drivers.base import LabSpec, Step
from lab.drivers.kind.driver import KindDriver
from lab.errors import LabError
from lab.overlay import Overlay
from tests.e2e.kind_clusters import IMAGE, TASK, containers

pytestmark = pytest.mark.cluster

POLICY = "/etc/kubernetes/audit/policy.yaml"
START = Overlay({POLICY: b"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None}]\n"})


class Door:
    """A socket behind which Docker answers for as long as it is open."""

    def __init__(self, path: Path, docker: str) -> None:
        self._path = path
        self._docker = docker
        self._listener: socket.socket | None = None
        self._through: list[socket.socket] = []

    def open(self) -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._path))
        listener.listen(64)
        self._listener = listener
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def close(self) -> None:
        """Close it, on those who are half through as well."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            self._path.unlink()
        for each in self._through:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._through.clear()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                here, _ = listener.accept()
            except OSError:
                return
            there = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            there.connect(self._docker)
            self._through += [here, there]
            for source, target in ((here, there), (there, here)):
                threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while content := source.recv(1 << 16):
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    docker = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
    made = Door(tmp_path / "docker.sock", docker)
    made.open()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    yield made
    made.close()


def test_docker_that_stops_during_a_start_is_named_and_nothing_is_forgotten(door: Door) -> None:
    def close(step: Step) -> None:
        if step.title == "control plane":
            door.close()

    with pytest.raises(LabError, match="Docker") as error:
        KindDriver().create(LabSpec("stops", TASK, image=IMAGE, start=START), close)
    assert error.value.hint == "cks-lab stop --lab stops"
    assert "could not be removed" in error.value.message
    [lab] = KindDriver().find()
    assert (lab.name, lab.state) == ("stops", "broken")
    door.open()
    assert "cks-lab-stops-control-plane" in containers()
    KindDriver().destroy(lab)
    assert "cks-lab-stops-control-plane" not in containers()
    assert KindDriver().find() == []


def test_docker_that_stops_while_a_node_is_looked_at_is_named_and_all_goes_on_afterwards(door: Door) -> None:
    driver = KindDriver()
    lab = driver.create(LabSpec("looked-at", TASK, image=IMAGE, start=START))
    try:
        node = driver.node(lab)
        assert node.files.read(POLICY) == START.files[POLICY]
        door.close()
        asked = (
            lambda: node.files.read(POLICY),
            lambda: node.run(["true"], timeout=20),
            lambda: driver.reset(lab, START),
            lambda: driver.destroy(lab),
        )
        for ask in asked:
            with pytest.raises(LabError, match="Docker is not running") as error:
                ask()
            assert error.value.hint
        [found] = driver.find()
        assert found.state == "stopped"
        assert "Docker is not running" in found.detail
        door.open()
        assert driver.find() == [lab]
        assert node.files.read(POLICY) == START.files[POLICY]
        assert node.run(["true"], timeout=20).exit_code == 0
        driver.reset(lab, START)
    finally:
        door.close()
        door.open()
        driver.destroy(lab)
