"""venv.sh on machines whose Python cannot make a virtual environment by itself, as Debian's."""

from __future__ import annotations

import ensurepip
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BASE = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"


def python_that_lacks(tmp_path: Path, *what: str) -> Path:
    """Return a python whose `-m` fails for some modules: "venv" fails unless it is told to leave pip out."""
    fake = tmp_path / "python3"
    cases = "\n".join(f'    "-m {name}"*) case "$*" in *--without-pip*) ;; *) exit 1;; esac;;' for name in what)
    fake.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}\nesac\nexec {BASE} "$@"\n')
    fake.chmod(0o755)
    return fake


def make(tmp_path: Path, python: Path | str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run venv.sh without uv on the path."""
    environment = {**os.environ, "PATH": "/usr/bin:/bin", "PYTHON": str(python), **more}
    command = ["sh", str(ROOT / "venv.sh"), str(tmp_path / "venv")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_no_way_at_all_names_the_one_package(tmp_path: Path) -> None:
    done = make(tmp_path, python_that_lacks(tmp_path, "venv", "virtualenv", "pip"))
    assert done.returncode == 2
    assert f"sudo apt install python3.{sys.version_info[1]}-venv" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_pip_that_can_install_elsewhere_is_enough(tmp_path: Path) -> None:
    bundled = Path(ensurepip.__file__).parent / "_bundled"
    if not any(bundled.glob("pip-*.whl")):
        pytest.skip("this Python brings no pip of its own")
    python = python_that_lacks(tmp_path, "venv", "virtualenv")
    done = make(tmp_path, python, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(bundled))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "venv/bin/pip").exists()


@pytest.mark.parametrize("name", ["python-of-nowhere", "old"])
def test_a_missing_or_old_python_is_told(tmp_path: Path, name: str) -> None:
    old = tmp_path / "old"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && { echo Python 3.9.2; exit; }\nexit 1\n')
    old.chmod(0o755)
    done = make(tmp_path, old if name == "old" else name)
    assert done.returncode == 2
    assert "Python 3.11 or later" in done.stderr
    assert "make PYTHON=" in done.stderr
