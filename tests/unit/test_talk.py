"""What is said to the person: nothing in it acts on the terminal."""

from __future__ import annotations

import pytest

from lab.cli.run import run
from lab.cli.talk import progress, say
from lab.drivers.base import Step
from lab.errors import LabError
from lab.session import Session

EVIL = "\x1b]0;owned\x07\x1b[2J\u202ecod.exe"
WRITTEN_OUT = r"\x1b]0;owned\x07\x1b[2J\u202ecod.exe"


def test_what_a_node_said_is_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"the node says: {EVIL}\nand more")
    assert capsys.readouterr().err == f"the node says: {WRITTEN_OUT}\nand more\n"


@pytest.mark.parametrize("live", [True, False])
def test_so_is_the_last_line_of_a_container_in_a_step(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, live: bool
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: live)
    monkeypatch.setenv("COLUMNS", "200")
    progress()(Step(1, 2, "Waiting", f"it ended: {EVIL}\r\nnext"))
    said = capsys.readouterr().err
    assert f"[1/2] Waiting: it ended: {WRITTEN_OUT} next" in said
    assert said.replace("\r\x1b[K", "").isprintable() or said == f"[1/2] Waiting: it ended: {WRITTEN_OUT} next\n"


def test_so_is_an_error(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def labs(self: Session) -> None:
        raise LabError(f"the node said: {EVIL}", f"ls {EVIL}")

    monkeypatch.setattr(Session, "labs", labs)
    assert run(["status"]) == 2
    assert capsys.readouterr().err == f"Error: the node said: {WRITTEN_OUT}\n  ls {WRITTEN_OUT}\n"
