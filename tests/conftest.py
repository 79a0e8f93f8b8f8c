"""What every test gets: a home of its own, and the door to the recordings."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
_KEPT = ("CKS_LAB_SHARED", "CKS_LAB_E2E_")
"""What the tests themselves are told by."""
ONLY_REAL = "only a real minikube can show it, and there is none here"
_DOCKER = os.environ.get("DOCKER_HOST")
_NO_DOCKER = "unix:///nonexistent/docker.sock"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Show the machine's Docker to the tests that are for it and to no other: none makes a cluster by accident.

    Before all fixtures, those of a module too.
    """
    if any(True for name in ("docker", "cluster") for _ in item.iter_markers(name)):
        if _DOCKER is None:
            os.environ.pop("DOCKER_HOST", None)
        else:
            os.environ["DOCKER_HOST"] = _DOCKER
    else:
        os.environ["DOCKER_HOST"] = _NO_DOCKER


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List by name what was not shown because there is no minikube here: no silent pass."""
    skipped = [each for each in terminalreporter.stats.get("skipped", []) if ONLY_REAL in str(each.longrepr)]
    if not skipped:
        return
    terminalreporter.section("not shown: only a real minikube could")
    for each in sorted(skipped, key=lambda each: each.nodeid):
        name = each.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ")
        terminalreporter.write_line(f"  - {name}")


@pytest.fixture(autouse=True)
def isolated_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test a HOME in which nothing of the person's is found, and where nothing of theirs can be changed."""
    home = tmp_path_factory.mktemp("home")
    for name in [n for n in os.environ if n.startswith(("XDG_", "CKS_LAB_")) and not n.startswith(_KEPT)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CKS_LAB_HOME", str(home / "cks-lab"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return home


@pytest.fixture(scope="session")
def minikube(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Have a minikube on PATH: the machine's own, else the one that stands in for it. Says which: real or stand-in."""
    from tests import minikube_stand_in

    with pytest.MonkeyPatch.context() as patch:
        if shutil.which("minikube") is None:
            folder = tmp_path_factory.mktemp("minikube")
            minikube_stand_in.install(folder / "bin")
            patch.setenv("PATH", str(folder / "bin"), prepend=os.pathsep)
            patch.setenv("MINIKUBE_HOME", str(folder / "home"))
            yield "stand-in"
        else:
            patch.setenv("MINIKUBE_HOME", os.environ.get("MINIKUBE_HOME", str(Path.home() / ".minikube")))
            yield "real"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of recordings. Where CI is set a missing one fails; elsewhere the test is skipped."""
    folder = Path(os.environ.get("CKS_LAB_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{folder}: the recordings are missing; CKS_LAB_SHARED names their folder")
        pytest.skip(f"{folder}: no recordings here; CKS_LAB_SHARED names their folder")
    return folder
