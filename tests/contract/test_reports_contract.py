"""What every report format keeps to."""

from __future__ import annotations

import pytest

from lab.errors import LabError
from lab.reports import FORMATS, PLAIN, Style, renderer
from tests.sample_report import sample

STYLES = [PLAIN, Style(colour=True, width=120), Style(width=20), Style(symbols=False)]


@pytest.mark.parametrize("name", FORMATS)
class TestEveryFormat:
    def test_every_check_is_in_it(self, name: str) -> None:
        shown = renderer(name)(sample())
        for line in sample().lines:
            assert line.id in shown

    def test_the_same_report_gives_the_same_text(self, name: str) -> None:
        assert renderer(name)(sample()) == renderer(name)(sample())

    @pytest.mark.parametrize("style", STYLES)
    def test_the_last_line_is_ended_once(self, name: str, style: Style) -> None:
        shown = renderer(name)(sample(), style)
        assert shown.endswith("\n")
        assert not shown.endswith("\n\n")

    def test_the_plain_style_has_no_escape_sequences(self, name: str) -> None:
        assert "\x1b" not in renderer(name)(sample())

    def test_ascii_is_ascii_when_asked_for(self, name: str) -> None:
        assert renderer(name)(sample(), Style(symbols=False)).isascii()


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(LabError) as error:
        renderer("word")
    assert "text, json" in error.value.hint
