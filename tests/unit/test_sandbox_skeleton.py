"""What lies in a new node before Kubernetes comes, and what of our own the node is shown."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lab.drivers.sandbox import interpreter, skeleton


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    skeleton.lay(root, "cks-control-plane", "172.30.0.2", "0" * 32)
    return root


def test_the_node_has_its_own_name_and_people(root: Path) -> None:
    assert (root / "etc/hostname").read_text() == "cks-control-plane\n"
    assert "172.30.0.2\tcks-control-plane\n" in (root / "etc/hosts").read_text()
    assert (root / "etc/passwd").read_text().startswith("root:x:0:0:root:/root:/bin/bash\n")
    assert {entry.name for entry in root.iterdir()} == set(skeleton.OWN)


def test_nothing_of_the_host_that_is_secret_or_personal_is_taken(root: Path) -> None:
    taken = {path.name for path in (root / "etc").iterdir()}
    assert not taken & {"shadow", "gshadow", "ssh", "sudoers", "sudoers.d", "ssl/private", "fstab", "environment"}
    assert not list((root / "etc/ssl").glob("private*"))


def test_yaml_is_edited_with_blanks_and_the_shell_has_the_usual_aliases(root: Path) -> None:
    assert {"set expandtab", "set tabstop=2", "set shiftwidth=2"} <= set(
        (root / "root/.vimrc").read_text().splitlines()
    )
    shell = (root / "etc/bash.bashrc").read_text()
    assert "alias k=kubectl\n" in shell
    assert "{editor}" not in shell


@pytest.mark.parametrize("file", ["etc/profile", "etc/bash.bashrc", "root/.bashrc", "root/.profile"])
def test_the_shells_files_have_no_mistake(root: Path, file: str) -> None:
    assert subprocess.run(["bash", "-n", str(root / file)], capture_output=True, timeout=10).stderr == b""


def test_modes_are_those_of_a_real_system(root: Path) -> None:
    assert (root / "root").stat().st_mode & 0o7777 == 0o700
    assert (root / "var/tmp").stat().st_mode & 0o7777 == 0o1777
    assert os.readlink(root / "var/run") == "/run"


def test_the_node_is_shown_our_packages_and_no_more_of_their_folder() -> None:
    found = interpreter.find()
    targets = {target: source for source, target in found.binds}
    assert Path(targets["/opt/cks-lab/src/lab"]).name == "lab"
    assert Path(targets["/opt/cks-lab/src/checkers"]).name == "checkers"
    assert "/opt/cks-lab/src" not in targets
    assert found.import_path.startswith("/opt/cks-lab/src:/opt/cks-lab/site/0")
    assert found.executable.startswith(("/opt/cks-lab/prefix/", "/usr/"))
    assert found.executable in found.wrapper()


def test_kubectl_is_the_packages_own() -> None:
    assert os.access(interpreter.kubectl(), os.X_OK)
