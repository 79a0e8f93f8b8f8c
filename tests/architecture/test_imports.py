"""What must not be loaded, seen in fresh interpreters; and a judge that cannot reach for anything but its evidence."""

from __future__ import annotations

import builtins
import io
import os
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NoReturn

import pytest

from checkers.evidence import Evidence
from checkers.grade import NodeName, grade
from checkers.registry import CHECKS
from lab.catalog import load
from lab.evidence.directory import DirectoryFiles

ROOT = Path(__file__).parents[2]
HEAVY = ("textual", "aiohttp", "sqlalchemy", "alembic", "docker", "cryptography", "hypothesis", "rich")


def loaded(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has after some code."""
    listing = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    said = subprocess.run([sys.executable, "-c", f"{code}\n{listing}"], capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr
    return set(said.stdout.splitlines()[-1].split())


def test_the_judge_loads_nothing_of_the_program() -> None:
    modules = loaded(
        "import checkers.grade, checkers.registry\nfor name in checkers.registry.CHECKS: checkers.registry.check(name)"
    )
    assert "checkers" in modules
    assert not modules & {"lab", "textual", "click", "sqlite3", *HEAVY}


def test_the_contract_about_the_answer_key_names_every_module_of_checks() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = (c for c in contracts if c["name"] == "Drivers and evidence must not see the answer key")
    modules = {place.partition(":")[0] for place in CHECKS.values()}
    # A package there stands for all that is in it.
    hidden = tuple(f"{name}." for name in contract["forbidden_modules"])
    assert [module for module in sorted(modules) if not f"{module}.".startswith(hidden)] == []


@pytest.mark.parametrize("arguments", [["grade", "audit-log", "--root", "/nonexistent"], ["list"], ["--help"]])
def test_light_commands_load_nothing_heavy(arguments: list[str]) -> None:
    code = f"import sys; sys.argv = ['cks-lab', *{arguments!r}]\nfrom lab.__main__ import main\ntry: main()\nexcept SystemExit: pass"
    assert not loaded(code) & set(HEAVY)


def test_grading_reaches_for_nothing_but_its_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = load("audit-log")
    for path, content in scenario.solution.files.items():
        target = tmp_path / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    class Memory:
        """The directory's files, read before the doors are closed."""

        def __init__(self) -> None:
            files = DirectoryFiles(tmp_path)
            self.kept = {path: (files.read(path), files.stat(path)) for path in scenario.solution.files}
            self.missing = files

        def __getattr__(self, name: str) -> Any:
            def answer(path: str, *more: object) -> Any:
                from checkers.evidence import Missing

                if path not in self.kept or name == "list":
                    raise Missing(path)
                content, stat = self.kept[path]
                return {"read": content, "stat": stat, "stream": iter([content])}[name]

            return answer

    evidence = Evidence(Memory())
    grade_once(evidence, scenario)  # the checks' modules are imported here

    def closed(*arguments: object, **named: object) -> NoReturn:
        raise AssertionError(f"the judge reached out: {arguments}")

    for module, name in (
        (builtins, "open"),
        (io, "open"),
        (os, "open"),
        (socket, "socket"),
        (os, "listdir"),
        (os, "stat"),
    ):
        monkeypatch.setattr(module, name, closed)
    report = grade_once(Evidence(evidence.files), scenario)
    monkeypatch.undo()
    assert report.lines


def grade_once(evidence: Evidence, scenario: Any) -> Any:
    """Grade with nothing of the moment in it."""
    return grade(
        evidence,
        scenario.checks,
        scenario.wants,
        version="0",
        scenario=scenario.id,
        node=NodeName("directory", "x"),
        started=None,
        finished=None,
    )
