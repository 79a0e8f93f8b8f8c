"""What the machine-read formats promise: the JSON schemas, JUnit's readers, the table's columns, the file's suffix."""

from __future__ import annotations

import csv
import io
import json
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator
from junitparser import Error, Failure, JUnitXml, Skipped
from referencing import Registry, Resource

from lab.errors import LabError
from lab.reports import Entry, Style, format_for, renderer, renderer_of_many
from tests.nodes import audit_log, grade, lay, write_log
from tests.sample_report import SAMPLES, sample, several


def schema(name: str) -> Any:
    return json.loads(files("lab.reports").joinpath(name).read_text())


REPORT, REPORTS = schema("report.schema.json"), schema("reports.schema.json")
ONE = Draft202012Validator(REPORT)
MANY = Draft202012Validator(
    REPORTS, registry=Registry().with_resource("report.schema.json", Resource.from_contents(REPORT))
)


def many(form: str, entries: list[Entry], **style: Any) -> str:
    return "".join(renderer_of_many(form)(entries, Style(**style)))


class TestJson:
    def test_the_schemas_are_schemas(self) -> None:
        for each in (REPORT, REPORTS):
            Draft202012Validator.check_schema(each)

    @pytest.mark.parametrize("make", SAMPLES.values(), ids=SAMPLES)
    def test_every_report_is_valid(self, make: type) -> None:
        ONE.validate(json.loads(renderer("json")(make())))

    def test_the_grades_of_real_answers_are_valid(self, tmp_path: Path) -> None:
        scenario = audit_log()
        for name, overlay in {"a": scenario.solution, "b": scenario.start}.items():
            ONE.validate(json.loads(renderer("json")(grade(write_log(lay(tmp_path / name, overlay))))))

    @pytest.mark.parametrize(
        "change",
        [
            {"more": 1}, {"schema": "cks-lab/report/v2"}, {"verdict": "skip"}, {"node": None}, {"variant": {}},
            {"score": {"points": -1, "possible": 0, "percent": 0}}, {"score": {"points": 1.5, "possible": 2, "percent": 0}},
            {"checks": [{"id": "a"}]}, {"started": 1},
        ],
    )  # fmt: skip
    def test_the_schema_is_strict(self, change: dict[str, Any]) -> None:
        assert not ONE.is_valid(json.loads(renderer("json")(sample())) | change)

    def test_a_missing_key_is_not_valid(self) -> None:
        value = json.loads(renderer("json")(sample()))
        for key in value:
            assert not ONE.is_valid({name: value[name] for name in value if name != key})

    def test_several_are_an_array_of_reports_with_the_same_keys(self) -> None:
        value = json.loads(many("json", several()))
        MANY.validate(value)
        assert len({tuple(element) for element in value}) == 1
        assert next(iter(value[0])) == "bundle"
        assert value[1] == {"bundle": "class/ben.tar.gz", **sample().to_dict(), "error": None}
        assert value[2]["error"] == "class/carl.tar.gz is not a bundle: it ends in the middle"
        assert value[2]["verdict"] == "error"
        assert not MANY.is_valid([value[0] | {"error": "x"}])
        assert not MANY.is_valid([value[2] | {"error": None}])
        assert not MANY.is_valid([value[0] | {"more": 1}])
        assert json.loads(many("json", [])) == []

    def test_a_separator_of_lines_in_a_string_stays_as_it_was(self) -> None:
        (value,) = json.loads(many("json", [Entry("a\u2028b\u0085c", sample())]))
        assert value["bundle"] == "a\u2028b\u0085c"


class TestJunit:
    @pytest.mark.parametrize("make", SAMPLES.values(), ids=SAMPLES)
    def test_junits_own_reader_counts_the_same(self, make: type) -> None:
        report = make()
        (suite,) = JUnitXml.fromstring(renderer("junit")(report).encode())
        results = [result for case in suite for result in case.result]
        assert suite.tests == len(report.lines) == len(list(suite))
        assert suite.failures == sum(isinstance(result, Failure) for result in results)
        assert suite.errors == sum(isinstance(result, Error) for result in results)
        assert suite.skipped == sum(isinstance(result, Skipped) for result in results)

    def test_a_failure_says_what_was_found_and_how_to_see_it(self) -> None:
        (suite,) = JUnitXml.fromstring(renderer("junit")(sample()).encode())
        case = next(case for case in suite if case.name == "policy.configmaps-body")
        (failure,) = case.result
        assert failure.message == "create configmaps in namespace default by anyone: Metadata, by rule 1"
        assert failure.type == "fail"
        assert "kubectl create configmap probe" in failure.text
        told = {each.name: each.value for each in suite.properties()}
        assert (told["node"], told["verdict"], told["points"], told["possible"]) == (
            "cks-control-plane",
            "fail",
            "7",
            "14",
        )
        assert told["points of policy.configmaps-body"] == "0/3"
        assert suite.timestamp == "2026-11-23T10:00:00"
        assert suite.time == 1.0

    def test_no_attribute_or_order_that_a_schema_in_use_refuses(self) -> None:
        """The Ant schema (windyroad/JUnit-Schema) is the stricter; Jenkins' junit-10.xsd has all of it."""
        for text in (renderer("junit")(sample()), many("junit", several())):
            root = ElementTree.fromstring(text)
            assert (root.tag, root.attrib) == ("testsuites", {})
            for number, suite in enumerate(root):
                assert set(suite.attrib) <= {
                    "name", "package", "id", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname",
                }  # fmt: skip
                assert suite.get("id") == str(number)
                assert suite.get("hostname")
                tags = [child.tag for child in suite]
                cases = int(suite.get("tests") or 0)
                assert tags == ["properties", *["testcase"] * cases, "system-out", "system-err"]
                for case in suite.iter("testcase"):
                    assert set(case.attrib) == {"name", "classname", "time"}
                    assert len(case) <= 1
                    assert all(set(child.attrib) == {"message", "type"} for child in case)

    def test_a_class_is_not_taken_for_one_test(self) -> None:
        cases = [
            (case.get("classname"), case.get("name"))
            for case in ElementTree.fromstring(many("junit", several())).iter("testcase")
        ]
        assert len(cases) == len(set(cases))


class TestCsv:
    def test_a_row_has_the_named_cells_and_each_checks_status(self) -> None:
        anna, ben, carl, *_ = csv.DictReader(io.StringIO(many("csv", several()), newline=""))
        assert list(anna)[:12] == [
            "bundle", "scenario", "seed", "driver", "node", "apiserver", "verdict", "points", "possible", "percent",
            "started", "finished",
        ]  # fmt: skip
        assert list(anna)[12:] == [
            "policy.valid", "log.written", "policy.configmaps-body", "live.probe", "apiserver.running",
            "policy.metadata-everywhere", "mounts.log", "error",
        ]  # fmt: skip
        assert (anna["bundle"], anna["seed"], anna["percent"], anna["error"]) == ("class/anna.tar.gz", "7", "100", "")
        assert (ben["policy.configmaps-body"], ben["mounts.log"], ben["points"]) == ("fail", "", "7")
        assert (carl["verdict"], carl["points"], carl["percent"]) == ("error", "0", "")
        assert carl["error"].startswith("class/carl.tar.gz is not a bundle")

    def test_lines_end_as_rfc_4180_has_it(self) -> None:
        assert many("csv", several()).count("\r\n") == many("csv", several()).count("\n") == 6

    def test_a_single_report_is_a_row_named_for_its_node(self) -> None:
        (row,) = csv.DictReader(io.StringIO(renderer("csv")(sample()), newline=""))
        assert row["bundle"] == row["node"] == "cks-control-plane"

    @pytest.mark.parametrize(
        ("source", "cell"),
        [("=1+1", "'=1+1"), ("  @a", "  '@a"), ("-5", "-5"), ("-5+A1", "'-5+A1"), ("a;=1", "a;'=1"), ("a=b", "a=b")],
    )
    def test_a_cell_that_would_be_a_formula_is_text(self, source: str, cell: str) -> None:
        assert next(csv.DictReader(io.StringIO(many("csv", [Entry(source, sample())]))))["bundle"] == cell


class TestText:
    def test_several_fit_eighty_columns(self) -> None:
        lines = many("text", several()).splitlines()
        assert all(len(line) <= 80 for line in lines)
        assert lines[1].split() == ["PASS", "3/3", "100", "class/anna.tar.gz"]
        assert lines[2].startswith("FAIL       7/14   50  class/ben.tar.gz")
        assert lines[-1] == "5 reports: 1 passed, 2 failed, 2 could not be judged; mean 58 %"

    def test_colours_are_only_there_when_asked_for(self) -> None:
        assert "\x1b" not in many("text", several())
        assert "\x1b[31mFAIL   \x1b[0m" in many("text", several(), colour=True)


class TestGithub:
    def test_a_file_of_a_graded_directory_is_named_by_its_path_in_the_checkout(self, tmp_path: Path) -> None:
        report = grade(write_log(lay(tmp_path, audit_log().start)))
        assert f"::error file={tmp_path}/etc/kubernetes/audit/policy.yaml," in renderer("github")(report)

    def test_a_warning_that_names_a_line_of_the_file_stands_there(self, tmp_path: Path) -> None:
        write_log(lay(tmp_path, audit_log().solution))
        policy = tmp_path / "etc/kubernetes/audit/policy.yaml"
        policy.write_text(policy.read_text() + "- level: Request\n  resources: [{resources: [configmap]}]\n")
        at = len(policy.read_text().splitlines())
        shown = [line for line in renderer("github")(grade(tmp_path)).splitlines() if "title=policy.valid" in line]
        assert shown
        assert {line.split(",")[1] for line in shown} <= {f"line={at - 1}", f"line={at}"}

    def test_percent_signs_colons_and_commas_are_escaped_as_github_has_it(self) -> None:
        shown = renderer("github")(sample())
        assert "50 %25; apiserver.running" in shown
        title = many("github", [Entry("a,b:c%d", sample())])
        assert "title=a%2Cb%3Ac%25d%3A policy.configmaps-body::" in title


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.json", "json"), ("a.xml", "junit"), ("A.HTML", "html"), ("a.htm", "html"), ("a.md", "markdown"),
        ("a.csv", "csv"), ("a", "text"), ("a.txt", "text"), ("a.log", "text"), ("/dev/fd/63", "text"),
        ("/tmp/tmp.Xk2jd9skdl", "text"), ("a-2026.11.24", "text"), (".hidden", "text"), ("a.", "text"),
    ],
)  # fmt: skip
def test_the_files_suffix_says_the_format(name: str, form: str) -> None:
    assert format_for(Path(name)) == form
    assert format_for(None) == "text"


@pytest.mark.parametrize("name", ["anna.pdf", "anna.PDF", "anna.docx", "anna.yaml", "anna.gz"])
def test_a_suffix_that_promises_something_else_is_refused_with_what_there_is(name: str) -> None:
    with pytest.raises(LabError, match=f"no report is written as {Path(name).suffix}") as error:
        format_for(Path("class", name))
    assert error.value.exit_code == 2
    assert ".html, .md, .csv" in error.value.hint
    assert ("-o class/anna.html" in error.value.hint) == ("pdf" in name.lower())
