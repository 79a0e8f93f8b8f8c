"""The door to the real program, with a small program in its place."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from lab.drivers.minikube.cli import Minikube
from lab.errors import LabError


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return folder / "minikube"


def write(program: Path, body: str) -> None:
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_output_and_status_come_back_as_they_are(program: Path) -> None:
    write(program, 'echo "$@"; printf null; echo words >&2; exit 7')
    done = Minikube().run(["status", "-o", "json"], timeout=10)
    assert (done.exit_code, done.stdout, done.stderr) == (7, b"status -o json\nnull", b"words\n")


def test_the_persons_kubeconfig_is_not_the_one_that_minikube_writes(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "mine"))
    monkeypatch.setenv("MINIKUBE_PROFILE", "mine")
    write(program, 'echo "$KUBECONFIG:$MINIKUBE_PROFILE:$MINIKUBE_IN_STYLE"')
    ours = tmp_path / "ours"
    assert Minikube().run(["start"], timeout=10, kubeconfig=ours).text == f"{ours}::false\n"
    assert Minikube().run(["version"], timeout=10).text == f"{os.devnull}::false\n"


def test_lines_come_while_it_runs(program: Path, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    write(program, f"echo one; while [ ! -e {go_on} ]; do sleep 0.01; done; echo two; exit 80")
    told: list[str] = []

    def line(text: str) -> None:
        told.append(text)
        go_on.touch()

    done = Minikube().stream(["start"], line, timeout=20)
    assert (told, done.exit_code, done.stdout) == (["one", "two"], 80, b"one\ntwo\n")


def test_one_that_takes_too_long_is_ended(program: Path) -> None:
    write(program, "echo one; exec sleep 3252")
    with pytest.raises(LabError, match=r"no end after 0\.2 s"):
        Minikube().stream(["start"], lambda line: None, timeout=0.2)


def test_ctrl_c_ends_it_and_all_that_it_started(program: Path, tmp_path: Path) -> None:
    child = tmp_path / "child"
    write(program, f"sleep 3253 & echo $! > {child}; echo one; wait")

    def line(text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Minikube().stream(["start"], line, timeout=20)
    status = Path(f"/proc/{int(child.read_text())}/stat")
    deadline = time.monotonic() + 20
    while status.exists() and status.read_text().split()[2] not in "ZX":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_machine_without_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="minikube: no such program"):
        Minikube().run(["version"], timeout=10)
    with pytest.raises(LabError, match="cannot start minikube"):
        Minikube().stream(["start"], lambda line: None, timeout=10)
