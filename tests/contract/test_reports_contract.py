"""What every report format keeps to: pure, whole, its last line ended, and harmless whatever stood on the node."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from lab.errors import LabError
from lab.reports import FORMATS, PLAIN, Entry, Style, renderer, renderer_of_many
from lab.reports.harmless import UNSAFE
from tests.nodes import POLICY, audit_log, event, grade, lay, write_log
from tests.sample_report import SAMPLES, hostile, sample, several

STYLES = [PLAIN, Style(colour=True, width=120), Style(width=20), Style(symbols=False)]
SECRET = "c3VwZXItc2VjcmV0"
VOID = {"meta", "br", "img", "link", "input", "hr", "source"}


@pytest.mark.parametrize("name", FORMATS)
class TestEveryFormat:
    def test_every_check_is_in_it(self, name: str) -> None:
        shown = renderer(name)(sample())
        for line in sample().lines:
            assert line.id in shown

    @pytest.mark.parametrize("make", SAMPLES.values(), ids=SAMPLES)
    def test_the_same_report_gives_the_same_text(self, name: str, make: type) -> None:
        assert renderer(name)(make()) == renderer(name)(make())
        assert "".join(renderer_of_many(name)(several())) == "".join(renderer_of_many(name)(several()))

    @pytest.mark.parametrize("style", STYLES)
    @pytest.mark.parametrize("make", SAMPLES.values(), ids=SAMPLES)
    def test_the_last_line_is_ended_once(self, name: str, style: Style, make: type) -> None:
        for shown in (renderer(name)(make(), style), "".join(renderer_of_many(name)(several(), style))):
            assert shown.endswith("\n")
            assert not shown.endswith("\n\n")

    @pytest.mark.parametrize("make", SAMPLES.values(), ids=SAMPLES)
    def test_nothing_in_it_acts_on_a_terminal_or_turns_the_text(self, name: str, make: type) -> None:
        for shown in (renderer(name)(make()), "".join(renderer_of_many(name)(several()))):
            shown.encode()
            assert not UNSAFE.search(shown.replace("\r\n", "\n"))

    @pytest.mark.parametrize("make", SAMPLES.values(), ids=SAMPLES)
    def test_ascii_is_ascii_when_asked_for(self, name: str, make: type) -> None:
        assert renderer(name)(make(), Style(symbols=False)).isascii()
        assert "".join(renderer_of_many(name)(several(), Style(symbols=False))).isascii()

    def test_none_at_all_is_a_report_too(self, name: str) -> None:
        assert "".join(renderer_of_many(name)([])).endswith("\n")

    def test_several_are_read_one_at_a_time(self, name: str) -> None:
        pieces = list(renderer_of_many(name)([Entry(f"{n}.tar.gz", sample()) for n in range(400)]))
        assert len(pieces) > 1
        assert "399.tar.gz" in "".join(pieces)

    @pytest.mark.parametrize("answer", ["solution", "start", "published-answer"])
    def test_no_secret_that_the_log_holds_is_in_it(self, name: str, answer: str, tmp_path: Path) -> None:
        scenario = audit_log()
        mistakes = {mistake.name: mistake.overlay for mistake in scenario.mistakes}
        overlay = {"solution": scenario.solution, "start": scenario.start, **mistakes}[answer]
        secret = {"kind": "Secret", "data": {"password": SECRET}}
        lines = [
            event("create", "secrets", "RequestResponse", requestObject=secret, responseObject=secret),
            event("create", "configmaps", "Metadata", requestObject=secret),
            '{"kind":"Event","requestObject":{"data":{"password":"' + SECRET,
            f"password: {SECRET}",
            event("update", "configmaps", "Request", requestObject=secret, stage="Panic"),
        ]
        report = grade(write_log(lay(tmp_path, overlay), lines))
        assert POLICY.rpartition("/")[2] in json.dumps(report.to_dict())
        assert SECRET not in renderer(name)(report)
        assert SECRET not in "".join(renderer_of_many(name)([Entry("a.tar.gz", report)]))


def test_an_unknown_format_names_the_known_ones() -> None:
    for find in (renderer, renderer_of_many):
        with pytest.raises(LabError) as error:
            find("word")
        assert "text, json" in error.value.hint


class TestHostileTextBreaksNothing:
    def test_xml_stays_xml(self) -> None:
        (case,) = ElementTree.fromstring(renderer("junit")(hostile())).findall(".//testcase[@name='policy.valid']")
        assert [child.tag for child in case] == ["failure"]
        assert not list(case[0])

    @pytest.mark.parametrize("several_of_them", [False, True])
    def test_html_holds_only_our_elements_and_asks_for_nothing(self, several_of_them: bool) -> None:
        page = "".join(renderer_of_many("html")(several())) if several_of_them else renderer("html")(hostile())
        seen = _Elements()
        seen.feed(page)
        assert not seen.open
        assert not seen.tags & {"script", "img", "link", "iframe", "object", "base", "form"}
        assert all(link.startswith("#") and link[1:] in seen.ids for link in seen.links)
        assert len(seen.ids) == len(set(seen.ids))
        assert not {name for name in seen.attributes if name.startswith("on") or name == "style"}
        assert "url(" not in page
        assert "@import" not in page

    def test_markdown_holds_it_in_code_only(self) -> None:
        for text in (renderer("markdown")(hostile()), "".join(renderer_of_many("markdown")(several()))):
            seen = _Elements()
            seen.feed(MarkdownIt("gfm-like").render(text))
            assert not seen.open
            assert seen.tags <= {
                "h3", "p", "code", "pre", "table", "thead", "tbody", "tr", "th", "td", "details", "summary",
            }  # fmt: skip
            assert "octocat" in seen.text["code"]
            assert not [tag for tag in seen.text if tag != "code" and "octocat" in seen.text[tag]]

    def test_every_line_for_github_is_one_command_with_its_own_properties(self) -> None:
        for line in [
            *renderer("github")(hostile()).splitlines(),
            *"".join(renderer_of_many("github")(several())).split("\n"),
        ]:
            if not line:
                continue
            command = re.fullmatch(r"::(error|warning|notice) ([^\n]*?)::(.*)", line)
            assert command, line
            keys = [pair.split("=", 1)[0] for pair in command[2].split(",")]
            assert keys in (["title"], ["file", "title"], ["file", "line", "title"])

    def test_a_spreadsheet_finds_no_formula(self) -> None:
        rows = list(csv.reader(io.StringIO("".join(renderer_of_many("csv")(several())), newline=""), strict=True))
        assert len(rows) == 1 + len(several())
        assert len({len(row) for row in rows}) == 1
        for cell in (cell for row in rows for cell in row):
            assert not re.search(r"(^|[;\t])\s*[=+@]", cell)

    def test_json_gives_back_what_was_found(self) -> None:
        again = json.loads(renderer("json")(hostile()))
        wanted = hostile().to_dict()["checks"][0]["found"].replace("\udc80", "\ufffd")
        assert again["checks"][0]["found"] == wanted


class _Elements(HTMLParser):
    """What a page is made of: tags, attributes, links, ids, and the text in each element."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name in ("href", "src"):
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        tag = self.open[-1] if self.open else ""
        self.text[tag] = self.text.get(tag, "") + data
