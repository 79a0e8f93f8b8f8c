"""Each format's bytes for each sample, kept beside this file. A change that is meant is written by:

.venv/bin/python -m tests.golden.test_reports_bytes
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.reports import FORMATS, PLAIN, SUFFIXES, Style, renderer, renderer_of_many
from tests.sample_report import SAMPLES, sample, several

FOLDER = Path(__file__).parent / "reports"
ENDINGS = {form: suffix for suffix, form in SUFFIXES.items()} | {"text": ".txt", "github": ".github"}
STYLES = {"colour": Style(colour=True, width=120), "narrow": Style(width=40), "ascii": Style(symbols=False)}


def written() -> Iterator[tuple[str, str]]:
    """Yield each golden file's name with what is to be in it."""
    for form in FORMATS:
        for name, make in SAMPLES.items():
            yield f"{name}{ENDINGS[form]}", renderer(form)(make())
        yield f"several{ENDINGS[form]}", "".join(renderer_of_many(form)(several(), PLAIN))
    for name, style in STYLES.items():
        yield f"mixed-{name}.txt", renderer("text")(sample(), style)
        yield f"several-{name}.txt", "".join(renderer_of_many("text")(several(), style))


@pytest.mark.parametrize(("name", "text"), [pytest.param(*each, id=each[0]) for each in written()])
def test_the_bytes_are_the_kept_ones(name: str, text: str) -> None:
    assert text.encode() == (FOLDER / name).read_bytes()


def test_no_file_is_kept_that_nothing_writes() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {name for name, _ in written()}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in written():
        (FOLDER / name).write_bytes(text.encode())
