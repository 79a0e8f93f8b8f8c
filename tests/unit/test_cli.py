"""The commands as a person or a script types them: output, talk and exit status."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.cli.root import COMMANDS
from lab.cli.run import run
from lab.drivers import DRIVERS
from lab.drivers.base import Lab
from lab.errors import LabError
from lab.home import Home
from lab.session import Session
from tests.fakes import FakeDriver

ON_A_LAB = ["task", "grade", "hint", "solution --yes", "reset --yes", "stop", "shell"]
CKS_LAB = [sys.executable, "-m", "lab"]


@pytest.fixture(autouse=True)
def fake_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DRIVERS, "sandbox", "tests.fakes:FakeDriver")


class Said:
    """What a command said and ended with."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The output as JSON: a list of objects."""
        rows = json.loads(self.out)
        assert isinstance(rows, list)
        return rows


class Typed:
    """Types commands, in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(self, *args: str, stdin: str = "") -> Said:
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        self._capsys.readouterr()
        status = run(args)
        said = self._capsys.readouterr()
        assert "Traceback" not in said.err + said.out
        return Said(status, said.out, said.err)


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    return Typed(capsys, monkeypatch)


class TestHelp:
    @pytest.mark.parametrize("command", [*COMMANDS, "policy check", "policy explain", "policy compare"])
    def test_every_command_has_help_with_an_example_of_itself(self, typed: Typed, command: str) -> None:
        said = typed(*command.split(), "--help")
        assert said.status == 0
        assert f"cks-lab {command}" in said.out.partition("Examples:")[2]

    def test_the_table_of_commands_says_what_each_commands_help_says(self, typed: Typed) -> None:
        shown = typed("--help").out
        for name, (_, text) in COMMANDS.items():
            assert re.search(rf"^  {name} +{re.escape(text[:20])}", shown, re.M)

    def test_a_misspelt_command_names_the_nearest(self, typed: Typed) -> None:
        said = typed("grad")
        assert said.status == 2
        assert "Did you mean grade?" in said.err

    @pytest.mark.parametrize("args", [["grade", "--nope"], ["start"], ["start", "a", "--seed", "x"], ["stop", "x"]])
    def test_a_usage_error_ends_with_2(self, typed: Typed, args: list[str]) -> None:
        said = typed(*args)
        assert said.status == 2
        assert said.out == ""

    def test_without_a_terminal_it_says_what_to_type(self, typed: Typed) -> None:
        said = typed()
        assert said.status == 2
        assert "cks-lab --help" in said.err

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_completion_prints_a_script_for_the_shell(self, typed: Typed, shell: str) -> None:
        assert f"_CKS_LAB_COMPLETE={shell}_complete" in typed("completion", shell).out

    def test_the_shell_completes_commands_and_labs(self, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
        typed("start", "audit-log", "--lab", "monday")
        monkeypatch.setenv("_CKS_LAB_COMPLETE", "bash_complete")
        for words, wanted in (
            ("cks-lab gr", "grade"),
            ("cks-lab grade --lab m", "monday"),
            ("cks-lab start a", "audit"),
        ):
            monkeypatch.setenv("COMP_WORDS", words)
            monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
            assert wanted in typed().out


class TestLabs:
    def test_list_for_scripts(self, typed: Typed) -> None:
        (task,) = typed("list", "--format", "json").rows
        assert list(task) == ["id", "title", "minutes", "points"]
        assert task["id"] == "audit-log"

    def test_start_prints_the_labs_name_and_nothing_else(self, typed: Typed) -> None:
        said = typed("start", "audit-log")
        assert (said.status, said.out) == (0, "audit-log\n")
        assert "sandbox: directories are enough here" in said.err
        assert "cks-lab grade" in said.err

    def test_a_cluster_of_the_users_own_is_worked_on_only_after_a_yes(self, typed: Typed) -> None:
        said = typed("start", "audit-log", "--adopt", "mine")
        assert said.status == 2
        assert "Lay the task on your cluster mine?" in said.err
        assert "--yes" in said.err
        said = typed("start", "audit-log", "--adopt", "mine", "--yes")
        assert said.status == 2
        assert "sandbox: it has no --adopt" in said.err

    def test_status_for_scripts_has_exactly_the_promised_fields(self, typed: Typed) -> None:
        assert typed("status", "--format", "json").rows == []
        typed("start", "audit-log", "--lab", "monday")
        (lab,) = typed("status", "--format", "json").rows
        assert list(lab) == ["name", "scenario", "driver", "apiserver", "state", "seed", "started"]
        assert (lab["name"], lab["scenario"], lab["state"], lab["seed"]) == ("monday", "audit-log", "running", None)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", lab["started"])

    def test_status_for_people(self, typed: Typed) -> None:
        assert "cks-lab start audit-log" in typed("status").err
        typed("start", "audit-log")
        FakeDriver().set_state(Session().lab(), "broken", "its init has died")
        said = typed("status")
        assert "audit-log" in said.out
        assert "its init has died" in said.err

    @pytest.mark.parametrize("command", ON_A_LAB)
    def test_without_a_lab_every_command_says_how_to_start_one(self, typed: Typed, command: str) -> None:
        said = typed(*command.split())
        assert said.status == 2
        assert "cks-lab start audit-log" in said.err
        assert said.out == ""

    @pytest.mark.parametrize(
        "command", ["task", "grade", "hint", "solution --yes", "reset --yes", "stop", "shell", "status"]
    )
    def test_every_command_takes_the_lab_by_name(self, typed: Typed, command: str) -> None:
        typed("start", "audit-log")
        said = typed(*command.split(), "--lab", "tuesday")
        assert said.status == 2
        assert "no lab is called 'tuesday'; there are: audit-log" in said.err

    def test_stop_names_what_is_gone_and_all_asks(self, typed: Typed) -> None:
        for name in ("a", "b", "c"):
            typed("start", "audit-log", "--lab", name)
        assert typed("stop", "--lab", "b").out == "b\n"
        unanswered = typed("stop", "--all")
        assert unanswered.status == 2
        assert "--yes" in unanswered.err
        refused = typed("stop", "--all", stdin="n\n")
        assert (refused.status, refused.out) == (1, "")
        assert typed("stop", "--all", "--yes").out == "a\nc\n"
        assert typed("status", "--format", "json").rows == []
        assert typed("stop", "--all").status == 0

    def test_stop_of_one_of_several_wants_a_name_where_nobody_can_be_asked(self, typed: Typed) -> None:
        for name in ("a", "b"):
            typed("start", "audit-log", "--lab", name)
        refused = typed("stop")
        assert (refused.status, refused.out) == (2, "")
        assert "there are several labs: a, b" in refused.err
        assert "cks-lab stop --lab b" in refused.err
        assert [lab["name"] for lab in typed("status", "--format", "json").rows] == ["a", "b"]
        assert typed("stop", "--yes").out == "b\n"
        assert typed("stop").out == "a\n"

    def test_an_empty_name_is_a_name_that_no_lab_has(self, typed: Typed) -> None:
        typed("start", "audit-log")
        for command in ("status", "stop", "stop --all --yes"):
            assert typed(*command.split(), "--lab", "").status == 2
        assert typed("status", "--format", "json").rows

    def test_reset_asks_and_says_where_the_copy_is(self, typed: Typed) -> None:
        typed("start", "audit-log")
        assert typed("reset").status == 2
        said = typed("reset", stdin="y\n")
        assert said.status == 0
        assert Path(said.out.strip()).is_file()

    def test_an_interrupt_names_what_is_still_there(self, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
        typed("start", "audit-log")

        def interrupted(self: Session, *args: object, **more: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(Session, "grade", interrupted)
        said = typed("grade")
        assert said.status == 130
        assert "the lab audit-log (running)" in said.err
        assert "cks-lab stop --lab audit-log" in said.err


class TestTexts:
    def test_the_task_with_and_without_a_lab(self, typed: Typed) -> None:
        assert "/var/log/audit/audit.log" in typed("task", "audit-log").out
        typed("start", "audit-log")
        assert typed("task").out == typed("task", "audit-log").out

    def test_hints_end(self, typed: Typed) -> None:
        typed("start", "audit-log")
        statuses = [typed("hint").status for _ in range(20)]
        assert statuses[0] == 0
        assert statuses[-1] == 1
        assert "Hint 1 of" not in typed("hint").err

    def test_the_solution_is_shown_at_once_only_after_a_grade(self, typed: Typed) -> None:
        typed("start", "audit-log")
        assert typed("solution").status == 2
        assert typed("solution", stdin="n\n").out == ""
        assert "audit-policy-file" in typed("solution", "--yes").out
        report = {"verdict": "fail", "score": {"points": 0, "possible": 10, "percent": 0}}
        session = Session()
        session._attempts().record(session._subject(session.lab()), report, None)
        assert typed("solution").status == 0

    def test_history(self, typed: Typed) -> None:
        assert typed("history", "--format", "json").rows == []
        typed("start", "audit-log")
        typed("hint")
        (row,) = typed("history", "--format", "json").rows
        assert (row["lab"], row["hints"], row["solution"], row["ended"]) == ("audit-log", 1, False, None)
        assert "audit-log" in typed("history").out


class TestDoctor:
    def test_where_everything_works(self, typed: Typed) -> None:
        said = typed("doctor", "--format", "json")
        found = {finding["name"]: finding for finding in said.rows}
        assert said.status == 0
        assert found["node by sandbox"]["ok"]
        assert "audit-log" in found["tasks"]["found"]

    def test_what_is_missing_is_told_with_the_remedy(self, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(FakeDriver, "available", False)
        said = typed("doctor")
        assert said.status == 1
        assert "✗ node by sandbox: user namespaces are refused" in said.out
        assert "sysctl -w" in said.out

    def test_what_is_kept_is_counted_with_its_place_and_left_alone(self, typed: Typed) -> None:
        home = Home.of()
        found = {finding["name"]: finding for finding in typed("doctor", "--format", "json").rows}
        assert found["kept"]["found"] == "nothing yet"
        for folder, sizes in ((home.bundles, [1 << 20, 3 << 19]), (home.backups, [100]), (home.crashes, [1])):
            folder.mkdir(parents=True)
            for number, size in enumerate(sizes):
                (folder / f"{number}.tar.gz").write_bytes(bytes(size))
        found = {finding["name"]: finding for finding in typed("doctor", "--format", "json").rows}
        assert found["kept"]["ok"]
        assert found["kept"]["found"] == (
            f"2 bundles, 2.5 MiB: {home.bundles}; 1 copy of your files, 0.1 MiB: {home.backups}; "
            f"1 crash report, 0.1 MiB: {home.crashes}"
        )
        assert len(list(home.bundles.iterdir())) == 2

    def test_much_that_is_kept_comes_with_the_command_that_removes_it(
        self, typed: Typed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CKS_LAB_HOME", str(Home.of().data / "my labs"))
        home = Home.of()
        home.bundles.mkdir(parents=True)
        with (home.bundles / "a.tar.gz").open("wb") as big:
            big.truncate(1 << 30)
        said = typed("doctor")
        assert said.status == 0
        assert "– kept: 1 bundle, 1024.0 MiB: " in said.out
        assert f"\n    rm '{home.bundles}'/*.tar.gz   (the history keeps the grades)\n" in said.out


class TestShell:
    """These become another program, so they run in a process of their own."""

    @pytest.fixture
    def fake(self, tmp_path: Path) -> list[str]:
        code = (
            "import sys; from lab.drivers import DRIVERS; DRIVERS['sandbox'] = 'tests.fakes:FakeDriver'; "
            "from lab.cli.run import run; sys.exit(run(sys.argv[1:]))"
        )
        return [sys.executable, "-c", code]

    def test_a_command_gets_our_input_and_gives_its_output_and_status(self, fake: list[str]) -> None:
        Session().start("audit-log")
        script = 'cat; echo "$@"; echo talk >&2; exit 7'
        argv = [*fake, "shell", "--", "sh", "-c", script, "x", "--lab", "-v", "a b"]
        said = subprocess.run(argv, input="in\n", capture_output=True, text=True, check=False)
        assert said.returncode == 7
        assert said.stdout == "in\n--lab -v a b\n"
        assert said.stderr == "talk\n"

    def test_a_shell_reads_commands_from_a_pipe(self, fake: list[str]) -> None:
        Session().start("audit-log")
        said = subprocess.run([*fake, "shell"], input="pwd; exit 3\n", capture_output=True, text=True, check=False)
        assert said.returncode == 3
        assert said.stdout.strip().endswith("audit-log/root")


class TestFailures:
    def test_an_unexpected_failure_is_one_line_and_a_file(self, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(self: Session) -> list[Lab]:
            raise ZeroDivisionError("division by zero")

        monkeypatch.setattr(Session, "labs", broken)
        said = typed("status")
        assert said.status == 2
        assert "ZeroDivisionError: division by zero" in said.err
        (kept,) = Home.of().crashes.iterdir()
        assert str(kept) in said.err
        assert "Traceback" in kept.read_text()
        assert "$ cks-lab status" in kept.read_text()

    def test_a_known_failure_shows_the_next_step(self, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(self: Session) -> list[Lab]:
            raise LabError("docker does not answer", "systemctl start docker")

        monkeypatch.setattr(Session, "labs", broken)
        said = typed("status")
        assert (said.status, said.err) == (2, "Error: docker does not answer\n  systemctl start docker\n")

    def test_nobody_reading_on_is_no_failure_to_talk_about(self) -> None:
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([*CKS_LAB, "--help"], stdout=write, stderr=subprocess.PIPE, check=False)
        os.close(write)
        assert done.stderr == b""
        assert done.returncode == 141

    def test_a_full_disk_under_the_output_is_told(self) -> None:
        with Path("/dev/full").open("w") as full:
            done = subprocess.run([*CKS_LAB, "--help"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 2
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize("args", [[], ["stop"], ["reset"], ["stop", "--all"]])
    def test_a_closed_standard_input_is_no_terminal(
        self, typed: Typed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], args: list[str]
    ) -> None:
        for name in ("a", "b"):
            typed("start", "audit-log", "--lab", name)
        monkeypatch.setattr(sys, "stdin", None)
        assert run(args) == 2
        assert "fault of CKS Lab" not in capsys.readouterr().err

    def test_a_terminal_without_unicode_is_served(self) -> None:
        env = dict(os.environ, PYTHONIOENCODING="ascii")
        done = subprocess.run([*CKS_LAB, "doctor"], env=env, capture_output=True, check=False)
        assert done.returncode in (0, 1)
        assert b"Traceback" not in done.stderr


HEAVY = {"textual", "aiohttp", "sqlalchemy", "docker", "cryptography", "alembic", "asyncio", "rich"}


@pytest.mark.parametrize("args", [["--help"], ["list"], ["task", "audit-log"], ["grade", "audit-log", "--root", "."]])
def test_commands_that_need_no_lab_import_nothing_heavy(tmp_path: Path, args: list[str]) -> None:
    code = (
        "import sys; from lab.cli.run import run; status = run(sys.argv[1:]); "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *args], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1)
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "lab" in loaded
    assert not HEAVY & loaded


class TestColour:
    @pytest.mark.parametrize(
        ("environment", "is_coloured"),
        [
            ({}, False),
            ({"FORCE_COLOR": "1"}, True),
            ({"FORCE_COLOR": ""}, False),
            ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ],
    )
    def test_a_pipe_has_colours_only_where_they_are_forced_and_not_refused(
        self,
        typed: Typed,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        environment: dict[str, str],
        is_coloured: bool,
    ) -> None:
        for name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert ("\x1b[" in typed("grade", "audit-log", "--root", str(tmp_path)).out) is is_coloured


def test_the_name_of_the_report_says_its_format(typed: Typed, tmp_path: Path) -> None:
    grade = ("grade", "audit-log", "--root", str(tmp_path))
    for name, start in {
        "a.json": "{",
        "a.xml": "<?xml",
        "a.html": "<!doctype",
        "a.md": "###",
        "a.csv": "bundle,",
        "a": "FAIL",
    }.items():
        assert typed(*grade, "-o", str(tmp_path / name)).status == 1
        assert (tmp_path / name).read_text().startswith(start)
    assert typed(*grade, "--format", "csv", "-o", str(tmp_path / "b.json")).status == 1
    assert (tmp_path / "b.json").read_text().startswith("bundle,")
