"""The lab's own editor: it opens, saves whole files, and quits without losing anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from textual.widgets import TextArea

from lab.tui import edit
from lab.tui.edit import Editor, main, save
from lab.tui.screens.dialog import Dialog


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text("one\ntwo\n")
    path.chmod(0o600)
    return path


async def test_typing_saving_and_quitting(file: Path) -> None:
    app = Editor(file, file.read_text(), line=2)
    async with app.run_test() as pilot:
        assert app.query_one(TextArea).cursor_location == (1, 0)
        await pilot.press(*"x: ", "ctrl+s")
        assert file.read_text() == "one\nx: two\n"
        assert not app.changed
        await pilot.press("ctrl+q")
    assert app.return_value == 0
    assert file.stat().st_mode & 0o777 == 0o600


async def test_changes_are_not_lost_by_quitting(file: Path) -> None:
    app = Editor(file, file.read_text())
    async with app.run_test() as pilot:
        await pilot.press("x", "ctrl+x")
        assert isinstance(app.screen, Dialog)
        await pilot.press("escape")
        assert app.changed
        await pilot.press("f10", "enter")
        await pilot.pause()
    assert file.read_text() == "xone\ntwo\n"


async def test_a_tab_is_blanks(file: Path) -> None:
    app = Editor(file, file.read_text())
    async with app.run_test() as pilot:
        await pilot.press("tab", "ctrl+s")
    assert file.read_text() == "  one\ntwo\n"


async def test_a_failed_save_keeps_the_text(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(edit, "save", full)
    app = Editor(file, file.read_text())
    async with app.run_test() as pilot:
        await pilot.press("x", "ctrl+s")
        assert isinstance(app.screen, Dialog)
        await pilot.press("escape")
        assert app.changed
        assert app.query_one(TextArea).text.startswith("x")


def test_a_save_goes_through_a_link_and_leaves_nothing_beside(file: Path) -> None:
    link = file.parent / "link"
    link.symlink_to(file)
    save(link, b"new")
    assert link.is_symlink()
    assert file.read_bytes() == b"new"
    assert sorted(os.listdir(file.parent)) == ["link", "policy.yaml"]


def test_a_new_file_is_made(tmp_path: Path) -> None:
    save(tmp_path / "new", b"x")
    assert (tmp_path / "new").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: path.write_bytes(b"\0\1"), "no UTF-8 text"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "no UTF-8 text"),
    ],
)
def test_what_is_no_text_is_not_opened(
    make: object, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "thing"
    make(path)  # type: ignore[operator]
    assert main([str(path)]) == 2
    assert words in capsys.readouterr().err


def test_one_file_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["a", "b"]) == 2
    assert "one file at a time" in capsys.readouterr().err
