"""Standard streams that are closed, and places where no bundle may be put."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.catalog import load
from lab.evidence.capture import About
from lab.evidence.collector import script


@pytest.mark.parametrize("command", ["--help", "policy check policy.yaml", "log stats audit.log"])
@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_one_that_nobody_reads(command: str, closed: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n")
    (tmp_path / "audit.log").write_text('{"level":"Metadata","stage":"ResponseComplete"}\n')
    line = f"{sys.executable} -m lab {command} {closed}"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.fixture
def collector(tmp_path: Path) -> list[str]:
    program = tmp_path / "collect.py"
    program.write_text(script(About("audit-log", "x", "x", {}).task(load("audit-log").wants)))
    return [sys.executable, "-I", str(program)]


def test_a_bundle_takes_the_place_of_no_pipe_and_no_device(collector: list[str], tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("/dev/null")
    for target in (pipe, link, tmp_path):
        before = target.lstat()
        done = subprocess.run([*collector, "-o", str(target)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert "would take its place" in done.stderr
        assert (target.lstat().st_mode, target.lstat().st_ino) == (before.st_mode, before.st_ino)


def test_a_folder_that_is_missing_is_named(collector: list[str], tmp_path: Path) -> None:
    target = tmp_path / "no" / "x.tar.gz"
    done = subprocess.run([*collector, "-o", str(target)], capture_output=True, text=True, timeout=60)
    assert done.stderr == f"collect.py: {target.parent}: no such directory: mkdir -p {target.parent}\n"
