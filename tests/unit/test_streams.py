"""Standard streams that are closed, and places where no bundle may be put."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from dataclasses import replace
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


@pytest.fixture
def here(tmp_path: Path) -> list[str]:
    """Return the collector for a machine whose manifests are an empty folder."""
    wants = replace(load("audit-log").wants, manifests=str(tmp_path), policy_file=str(tmp_path / "policy.yaml"))
    program = tmp_path / "collect.py"
    program.write_text(script({**About("audit-log", "x", "x", {}).task(wants), "look": True}))
    return [sys.executable, "-I", str(program)]


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full", "<&- 2>&-", "<&- >&- 2>&-"])
def test_a_bundle_is_made_where_nobody_reads_what_is_said(here: list[str], tmp_path: Path, stderr: str) -> None:
    done = subprocess.run(["bash", "-c", f'"$@" {stderr}', "-", *here, "-o", "a.tar.gz"], cwd=tmp_path, timeout=60)
    assert done.returncode == 0
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert tar.getnames()


@pytest.mark.parametrize(
    ("arguments", "streams"), [("-o", "2>&-"), ("-o nowhere/a", "2>/dev/full"), ("", ">/dev/full 2>&-")]
)
def test_what_cannot_be_done_is_2_also_where_nobody_reads_it(
    here: list[str], tmp_path: Path, arguments: str, streams: str
) -> None:
    done = subprocess.run(["bash", "-c", f'"$@" {arguments} {streams}', "-", *here], cwd=tmp_path, timeout=60)
    assert done.returncode == 2


def test_a_full_disk_under_the_bundle_is_told_once(here: list[str], tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(here, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stderr) == (2, "collect.py: [Errno 28] No space left on device\n")
