"""What a report says to a person, and that it comes back from the record as it was."""

from __future__ import annotations

import json

from checkers.grade import Line, NodeName, Report
from checkers.result import CheckResult, Status, Where
from lab.reports import Style, renderer
from lab.reports.stored import report_of
from tests.sample_report import sample


def text(report: Report, **style: object) -> str:
    return renderer("text")(report, Style(**style))  # type: ignore[arg-type]


def test_the_verdict_the_score_and_what_could_not_be_judged_come_first() -> None:
    first, second, *_ = text(sample()).splitlines()
    assert first == "FAIL  7 of 14 points, 50 %; apiserver.running could not be judged"
    assert second == "audit-log on sandbox cks-control-plane, kube-apiserver lite v1.34"


def test_a_failed_check_says_what_was_expected_and_found_and_where_and_why_and_what_to_do() -> None:
    shown = text(sample(), width=100)
    assert "✗ policy.configmaps-body  0/3   Writes to configmaps are recorded with their body" in shown
    assert "    expected: Request or above\n" in shown
    assert "    where: /etc/kubernetes/audit/policy.yaml:9, rules[1]\n" in shown
    assert "    why: Without the body" in shown
    assert "    fix: put the configmaps rule before the catch-all" in shown


def test_a_passed_check_is_one_line_and_its_warning() -> None:
    lines = text(sample(), width=100).splitlines()
    at = lines.index("✓ policy.valid  1/1   The policy is where the task says and loads")
    assert lines[at + 1] == '    warning: unknown field "rules[0].resource"'


def test_a_skipped_check_says_why_and_one_that_cannot_be_known_shows_no_points() -> None:
    shown = text(sample(), width=100)
    assert "– log.written  0/1   The log is on the node\n    skipped: blocked by policy.valid\n" in shown
    assert "– live.probe   Requests sent just now\n" in shown


def test_an_error_is_told_apart_from_a_failure() -> None:
    assert "! apiserver.running   The API server runs as the manifest says\n    expected:" in text(sample(), width=100)


def test_a_command_in_a_fix_stays_on_one_line() -> None:
    command = "  kubectl create configmap very-long-name-of-a-configmap --from-literal=key=value --namespace default"
    result = CheckResult(Status.FAIL, "a", "b", fix=f"See it:\n{command}")
    shown = text(report_with(result), width=40)
    assert command.strip() in shown


def test_a_narrow_terminal_gets_narrow_lines() -> None:
    assert all(len(line) <= 60 for line in text(sample(), width=60).splitlines())


def test_colours_are_only_there_when_asked_for() -> None:
    assert "\x1b" not in text(sample())
    assert "\x1b[32m✓\x1b[0m policy.valid" in text(sample(), colour=True, width=100)


def test_a_terminal_without_unicode_gets_ascii() -> None:
    shown = text(sample(), symbols=False)
    shown.encode("ascii")
    assert "x policy.configmaps-body" in shown
    json.loads(renderer("json")(sample(), Style(symbols=False)))


def test_what_a_learner_wrote_cannot_act_on_the_terminal() -> None:
    evil = "\x1b]0;title\x07\x1b[2J\x9b31m\u202e"
    shown = text(report_with(CheckResult(Status.FAIL, "a", evil, Where(f"/etc/{evil}"))))
    assert not set("\x1b\x07\x9b\u202e") & set(shown)


def test_json_has_exactly_the_promised_fields() -> None:
    value = json.loads(renderer("json")(sample()))
    assert list(value) == [
        "schema", "version", "scenario", "variant", "node", "verdict", "score", "checks", "started", "finished",
    ]  # fmt: skip
    assert value["score"] == {"points": 7, "possible": 14, "percent": 50}
    assert value["node"] == {"driver": "sandbox", "name": "cks-control-plane", "apiserver": "lite v1.34"}
    for check in value["checks"]:
        assert list(check) == [
            "id", "title", "status", "points", "possible", "expected", "found", "where", "why", "fix", "warnings",
        ]  # fmt: skip
    assert value["checks"][1]["where"] == {
        "file": "/etc/kubernetes/audit/policy.yaml", "line": 9, "path": "rules[1]",
    }  # fmt: skip


def test_a_report_comes_back_from_the_record_as_it_was() -> None:
    kept = json.loads(json.dumps(sample().to_dict()))
    assert report_of(kept) == sample()
    assert report_of(kept).to_dict() == kept


def report_with(result: CheckResult) -> Report:
    line = Line("policy.valid", "The policy loads", 0, 1, result)
    return Report("0.1.0", "audit-log", {"seed": None}, NodeName("directory", "/x"), (line,), None, None)
