"""Most people install a wheel and never see the checkout: the wheel has to carry everything."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, install it into a fresh environment and return its `cks-lab`.

    The libraries are those of this environment, by path; `lab` and `checkers` can only come from the wheel.
    """
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    venv = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=60)
    python = venv / "bin/python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return venv / "bin/cks-lab"


def run(program: Path, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed program from another directory."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"CKS_LAB_HOME": str(home)}
    return subprocess.run(
        [str(program), *arguments], cwd=home, env=environment, capture_output=True, text=True, timeout=60
    )


def test_the_wheel_carries_the_scenarios(installed: Path, tmp_path: Path) -> None:
    listed = run(installed, "list", "--format", "json", home=tmp_path)
    assert listed.returncode == 0, listed.stderr
    assert '"audit-log"' in listed.stdout
    assert run(installed, "task", "audit-log", home=tmp_path).stdout.count("request body for configmaps") == 1


def test_the_installed_program_is_the_wheels_own(installed: Path, tmp_path: Path) -> None:
    code = "import lab, checkers; print(lab.__file__, checkers.__file__)"
    said = run(installed.parent / "python", "-c", code, home=tmp_path)
    assert said.stdout.count(str(installed.parent.parent)) == 2


def test_the_installed_program_grades_a_directory(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "node/etc/kubernetes/audit").mkdir(parents=True)
    graded = run(installed, "grade", "audit-log", "--root", "node", "--format", "json", home=tmp_path)
    assert graded.returncode == 1, graded.stderr
    assert '"verdict": "fail"' in graded.stdout


@pytest.mark.parametrize("name", ["report.html", "report.json", "report.xml", "report.md", "report.csv"])
def test_the_wheel_carries_what_each_report_is_made_with(installed: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "node/etc/kubernetes/audit").mkdir(parents=True)
    graded = run(installed, "grade", "audit-log", "--root", "node", "-o", name, home=tmp_path)
    assert graded.returncode == 1, graded.stderr
    assert "policy.valid" in (tmp_path / name).read_text()
    assert (tmp_path / name).read_text()[0] == {"html": "<", "json": "{", "xml": "<", "md": "#", "csv": "b"}[name[7:]]


def test_the_wheel_carries_the_schemas(installed: Path) -> None:
    code = "import importlib.resources as r; print([f.name for f in r.files('lab.reports').iterdir() if 'schema' in f.name])"
    said = run(installed.parent / "python", "-c", code, home=installed.parent)
    assert "report.schema.json" in said.stdout
    assert "reports.schema.json" in said.stdout
