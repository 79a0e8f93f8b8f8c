"""The scenario proves itself on real sandboxes: the start earns nothing, the solution everything, a mistake fails where
it says and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from checkers.grade import Report
from checkers.result import Status
from lab.catalog import load
from lab.drivers.base import Lab, LabSpec
from lab.drivers.sandbox.driver import SandboxDriver
from lab.evidence.capture import About, capture
from lab.evidence.settle import settle
from lab.grading import grade_bundle
from lab.overlay import MANIFEST, Overlay

SCENARIO = load("audit-log")
MISTAKES = {mistake.name: mistake for mistake in SCENARIO.mistakes}


class Bench:
    """One sandbox a worker, put back to its start before each answer."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.driver = SandboxDriver(folder / "labs")
        self.lab: Lab = self.driver.create(LabSpec(name, SCENARIO.id, start=SCENARIO.start))
        self.used = False

    def grade(self, answer: Overlay) -> Report:
        """Lay an answer on the untouched node, wait for it, and grade."""
        if self.used:
            self.driver.reset(self.lab, SCENARIO.start)
        node = self.driver.node(self.lab)
        if answer is not SCENARIO.start:
            self.used = True
            archive = answer.tar(node.files.read(MANIFEST).decode())
            node.run(["tar", "-xpf", "-", "-C", "/"], stdin=archive, timeout=20)
        settle(node, SCENARIO.wants, patience=node.patience)
        bundle = self.folder / "bundle.tar.gz"
        about = About(SCENARIO.id, "sandbox", node.name, {"seed": None})
        capture(node, about, SCENARIO.wants, bundle)
        report = grade_bundle(bundle)
        assert grade_bundle(bundle).to_dict() == report.to_dict()
        return report


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("bench"), f"proof-{worker_id}")
    yield made
    made.driver.destroy(made.lab)


def failed(report: Report) -> list[str]:
    """Return the ids that failed, in the task's order."""
    return [line.id for line in report.lines if line.result.status is Status.FAIL]


def told(report: Report) -> str:
    return "\n".join(f"{line.id} {line.result.status}: {line.result.found}" for line in report.lines)


def test_the_untouched_node_earns_nothing(bench: Bench) -> None:
    report = bench.grade(SCENARIO.start)
    assert (report.points, report.possible) == (0, SCENARIO.points), told(report)
    assert failed(report) == list(SCENARIO.start_fails), told(report)


def test_the_solution_gets_full_marks(bench: Bench) -> None:
    report = bench.grade(SCENARIO.solution)
    assert report.percent == 100, told(report)
    assert report.verdict is Status.PASS
    assert all(line.result.status is Status.PASS for line in report.lines), told(report)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_fails_where_it_says(bench: Bench, name: str) -> None:
    report = bench.grade(MISTAKES[name].overlay)
    assert failed(report) == [i for i in (c.id for c in SCENARIO.checks) if i in MISTAKES[name].fails], told(report)
    assert Status.ERROR not in {line.result.status for line in report.lines}, told(report)


def regrade(bench: Bench, *commands: str) -> Report:
    """Run commands on the node after the last answer, wait, and grade again."""
    node = bench.driver.node(bench.lab)
    for command in commands:
        done = node.run(["sh", "-c", command], timeout=20)
        assert done.exit_code == 0, done.stderr
    settle(node, SCENARIO.wants, patience=node.patience)
    bundle = bench.folder / "again.tar.gz"
    capture(node, About(SCENARIO.id, "sandbox", node.name, {"seed": None}), SCENARIO.wants, bundle)
    return grade_bundle(bundle)


@pytest.mark.parametrize("name", ["one-namespace", "response-bodies-too", "catch-all-first"])
def test_a_policy_mended_without_a_restart_is_not_passed(bench: Bench, name: str) -> None:
    bench.grade(MISTAKES[name].overlay)
    node = bench.driver.node(bench.lab)
    policy = "/etc/kubernetes/audit/policy.yaml"
    node.run(["tee", policy], stdin=SCENARIO.solution.files[policy], timeout=10)
    report = regrade(bench)
    assert "live.probe" in failed(report), told(report)
    assert not any(check_id.startswith("policy.") for check_id in failed(report)), told(report)


def test_a_log_folder_that_is_a_link_on_the_node_counts(bench: Bench) -> None:
    bench.grade(SCENARIO.solution)
    report = regrade(
        bench,
        "rm -rf /var/log/audit && mkdir /var/log/x && ln -s x /var/log/audit",
        f"sed -i 's/--audit-log-path=.*/&\\n    - --audit-log-maxage=7/' {MANIFEST}",
    )
    assert report.percent == 100, told(report)


def test_a_policy_that_is_a_link_to_itself_is_the_learners(bench: Bench) -> None:
    bench.grade(SCENARIO.start)
    report = regrade(bench, "cd /etc/kubernetes/audit && rm policy.yaml && ln -s policy.yaml policy.yaml")
    bench.used = True
    assert "policy.valid" in failed(report), told(report)
    assert Status.ERROR not in {line.result.status for line in report.lines}, told(report)


def test_there_are_enough_mistakes_and_each_says_what_it_is() -> None:
    assert len(MISTAKES) >= 12
    assert all(mistake.title and mistake.fails for mistake in MISTAKES.values())
