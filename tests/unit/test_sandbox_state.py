"""The folder of a lab: what is read back, what survives a half-written file, what can be removed."""

from __future__ import annotations

import errno
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from lab import procs
from lab.drivers.base import LabSpec
from lab.drivers.sandbox.driver import SandboxDriver
from lab.drivers.sandbox.handle import SandboxNode
from lab.drivers.sandbox.state import LabFile, ProcessId, StateFolder, remove_tree
from lab.errors import LabError

LAB = LabFile("one", "audit-log", 7, "cks-control-plane", "172.30.0.2", "lite v1.34", "fast", "2026", None, False, "0")


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    assert state.lab() is None
    state.write_lab(LAB)
    assert state.lab() == LAB
    assert state.update_lab(made=True).made
    assert state.lab() != LAB


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "one"}', '{"unknown": 1}'])
def test_a_damaged_file_is_no_lab_and_no_traceback(tmp_path: Path, text: str) -> None:
    state = StateFolder(tmp_path)
    (tmp_path / "lab.json").write_text(text)
    (tmp_path / "process.json").write_text(text)
    assert state.lab() is None
    assert state.process() is None


def test_a_process_is_known_by_more_than_its_number() -> None:
    me = ProcessId.of(os.getpid())
    assert me is not None
    assert me.alive
    assert not ProcessId(me.pid, "1", me.boot).alive
    assert not ProcessId(me.pid, me.started, "another boot").alive


def test_a_process_that_ended_and_was_not_waited_for_has_ended() -> None:
    process = procs.start(["sleep", "60"])
    identity = ProcessId.of(process.pid)
    assert identity is not None
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not identity.alive
    process.wait()
    assert ProcessId.of(process.pid) is None


def test_a_tree_whose_modes_were_changed_is_removed_and_what_links_lead_to_is_not(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/b/file").touch()
    (tree / "link").symlink_to(kept)
    (tree / "a/b").chmod(0)
    (tree / "a").chmod(0o500)
    remove_tree(tree)
    assert not tree.exists()
    assert (kept / "file").exists()
    remove_tree(tree)


@pytest.mark.parametrize(
    ("seed", "command"),
    [(None, "cks-lab start audit-log --lab one"), (7, "cks-lab start audit-log --seed 7 --lab one")],
)
def test_a_node_that_is_gone_says_the_command_that_starts_it_again(
    tmp_path: Path, seed: int | None, command: str
) -> None:
    state = StateFolder(tmp_path / "one")
    state.path.mkdir()
    state.write_lab(replace(LAB, seed=seed))
    node = SandboxNode(state, LAB.node)
    remove_tree(state.path)
    with pytest.raises(LabError) as caught:
        node.shell_argv()
    assert caught.value.hint == command


def test_a_node_of_an_unknown_task_says_how_to_see_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(LabError) as caught:
        SandboxNode(StateFolder(tmp_path), "cks-control-plane").shell_argv()
    assert caught.value.hint == "cks-lab status"


def test_a_full_disk_under_a_new_lab_is_told_with_its_place_and_leaves_no_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(StateFolder, "write_lab", full)
    driver = SandboxDriver(tmp_path)
    with pytest.raises(LabError, match=f"{tmp_path}/a: No space left on device") as error:
        driver.create(LabSpec("a", "audit-log"))
    assert error.value.hint == f"make room there: df -h {tmp_path}"
    assert driver.find() == []
