"""Many bundles as one: in order, whatever is among them, and to be stopped and gone on with."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lab.bulk import Journal, Tally, bundles, crew, grade_all
from lab.bulk.crew import Crew, Job
from lab.cli.grading import grade
from lab.errors import LabError
from lab.grading import grade_bundle
from tests.nodes import audit_log, lay, write_log

COMMAND = [sys.executable, "-m", "lab", "grade", "audit-log"]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Return two bundles: the solution, and the untouched start."""
    folder = tmp_path_factory.mktemp("answers")
    task = audit_log()
    right, wrong = write_log(lay(folder / "right", task.solution)), lay(folder / "wrong", task.start)
    return packed(right), packed(wrong)


def packed(root: Path) -> bytes:
    """Return a node's files as a bundle."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        tar.add(root, ".")
    return out.getvalue()


@pytest.fixture
def few(tmp_path: Path, answers: tuple[bytes, bytes]) -> Path:
    """Return a folder with six bundles: the even ones are right."""
    folder = tmp_path / "class"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.tar.gz").write_bytes(answers[number % 2])
    return folder


def run(*args: str | Path) -> Result:
    """Run `cks-lab grade audit-log`."""
    return CliRunner().invoke(grade, ["audit-log", *map(str, args)], standalone_mode=False)


def graded(folder: Path, *, workers: int = 2, limit: float = 30.0) -> dict[str, tuple[str, str]]:
    """Grade a folder's *.tar.gz and return verdict and error by name."""
    with Journal.unseen("audit-log") as journal:
        _, entries = grade_all(bundles([str(folder)]), "audit-log", journal, workers=workers, limit=limit)
        return {Path(e.source).name: (str(e.report.verdict) if e.report else "error", e.error) for e in entries}


# What is named


def test_patterns_folders_and_files_name_each_bundle_once_in_order(few: Path, tmp_path: Path) -> None:
    names = [f"{few}/{number}.tar.gz" for number in range(6)]
    (few / "notes.txt").touch()
    (few / ".hidden.tar.gz").touch()
    deep = few / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "7.tar.gz").touch()
    assert bundles([str(few)]) == names
    assert bundles([f"{few}/[3-5].tar.gz", f"{few}/4.tar.gz", f"{few}/../class/*.tar.gz"]) == [
        *(f"{few}/../class/{n}.tar.gz" for n in range(3)),
        *names[3:],
    ]
    assert bundles([f"{few}/**/7*"]) == [f"{deep}/7.tar.gz"]
    assert bundles([f"{few}/**/*.tar.gz"]) == [*names, f"{deep}/7.tar.gz"]


def test_a_name_with_letters_of_a_pattern_is_a_name_first(tmp_path: Path, answers: tuple[bytes, bytes]) -> None:
    (tmp_path / "a[1].tar.gz").write_bytes(answers[0])
    assert bundles([f"{tmp_path}/a[1].tar.gz"]) == [f"{tmp_path}/a[1].tar.gz"]


def test_nothing_there_is_told_before_anything_is_graded(few: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(LabError, match=r"no bundle there: .*/x\*\.tar\.gz, .*empty/\*\.tar\.gz, .*nope"):
        bundles([str(few), f"{few}/x*.tar.gz", str(tmp_path / "empty"), str(tmp_path / "nope")])


def test_what_the_shell_expanded_is_taken_too(few: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.json"
    paths = sorted(map(str, few.iterdir()))
    for args in (["audit-log", "--bundles", *paths], ["--bundles", *paths, "audit-log"]):
        assert CliRunner().invoke(grade, [*args, "-o", str(out)], standalone_mode=False).return_value == 1
        assert out.read_text().count(".tar.gz") >= len(paths)
        out.unlink()


def test_words_that_mean_nothing_are_refused(few: Path) -> None:
    for args in (["--bundles", str(few), "audit-lgo"], ["audit-log", "extra"], ["audit-log", "--workers", "2"]):
        result = CliRunner().invoke(grade, args)
        assert result.exit_code == 2
        assert "Usage" in result.output


# What comes out


def test_the_reports_are_those_of_each_bundle_alone_in_order_and_the_same_twice(few: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    assert run("--bundles", few, "--workers", "3", "-o", one).return_value == 1
    assert run("--bundles", few, "--workers", "1", "-o", two).return_value == 1
    assert one.read_bytes() == two.read_bytes()
    with Journal.unseen("audit-log") as journal:
        tally, entries = grade_all(bundles([str(few)]), "audit-log", journal, workers=2)
        assert tally == Tally(passed=3, failed=3)
        for number, entry in enumerate(entries):
            alone = grade_bundle(few / f"{number}.tar.gz", "audit-log")
            assert entry.source == f"{few}/{number}.tar.gz"
            assert entry.report is not None
            assert entry.report.to_dict() == alone.to_dict()


@pytest.mark.parametrize(
    ("names", "status"), [("024", 0), ("01", 1), ("0x", 2), ("01x", 1)], ids=["all", "failed", "unjudged", "both"]
)
def test_the_exit_status_is_the_worst_answer(few: Path, names: str, status: int) -> None:
    (few / "x.tar.gz").write_bytes(b"no bundle")
    args = [word for name in names for word in ("--bundles", f"{few}/{name}.tar.gz")]
    assert run(*args, "--format", "csv").return_value == status


def test_hostile_bundles_cost_their_own_entries(few: Path, answers: tuple[bytes, bytes]) -> None:
    def tar(name: str, *members: tuple[str, bytes, int]) -> None:
        with tarfile.open(few / name, "w:gz") as archive:
            for path, kind, size in members:
                entry = tarfile.TarInfo(path)
                entry.type, entry.linkname, entry.size = kind, "/etc/passwd", size
                archive.addfile(entry, io.BytesIO(bytes(size)))

    tar("bomb.tar.gz", *((f"etc/{n}", tarfile.REGTYPE, 16 << 20) for n in range(12)))
    tar("link.tar.gz", ("etc/kubernetes/audit/policy.yaml", tarfile.SYMTYPE, 0))
    tar("out.tar.gz", ("../../etc/passwd", tarfile.REGTYPE, 1))
    (few / "cut.tar.gz").write_bytes(answers[0][: len(answers[0]) // 2])
    (few / "empty.tar.gz").touch()
    (few / "folder.tar.gz").mkdir()
    os.mkfifo(few / "pipe.tar.gz")
    (few / "gone.tar.gz").symlink_to("nowhere")
    (few / os.fsdecode(b"\xff.tar.gz")).write_bytes(answers[0])
    found = graded(few)
    assert [found[f"{number}.tar.gz"][0] for number in range(6)] == ["pass", "fail"] * 3
    said = {name: error for name, (_, error) in found.items() if error}
    assert said.keys() == {f"{n}.tar.gz" for n in ("out", "cut", "empty", "folder", "pipe", "gone")}
    for name, word in (("out", "leads out"), ("cut", "not a whole"), ("folder", "is a directory"), ("pipe", "regular")):
        assert word in said[f"{name}.tar.gz"]
    assert found["bomb.tar.gz"][0] == found["link.tar.gz"][0] == "fail"
    assert found["\ufffd.tar.gz"][0] == "pass"


# Workers that fall


def with_code(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let the workers of this test run some code before they begin."""
    monkeypatch.setattr(crew, "_CODE", f"{code}\n{crew._CODE}")


DEADLY = """
import sys; sys.path.append(sys.argv[1])
import lab.grading, os, signal, time
real = lab.grading.grade_bundle
def grade_bundle(path, scenario):
    if path.name == "1.tar.gz":
        {what}
    return real(path, scenario)
lab.grading.grade_bundle = grade_bundle
"""


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed (SIGSEGV)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed"),
        ("os._exit(3)", "ended with 3"),
        ("time.sleep(600)", "no end after 1 s"),
        ("bytes(3 << 30)", "needs more than 1024 MiB"),
        ("[][1]", "a fault of CKS Lab itself: IndexError"),
    ],
)
def test_a_worker_that_falls_costs_one_entry(few: Path, monkeypatch: pytest.MonkeyPatch, what: str, said: str) -> None:
    with_code(monkeypatch, DEADLY.format(what=what))
    found = graded(few, limit=1.0 if "sleep" in what else 30.0)
    assert said in found.pop("1.tar.gz")[1]
    assert {name: verdict for name, (verdict, _) in found.items()} == {
        f"{n}.tar.gz": "fail" if n % 2 else "pass" for n in (0, 2, 3, 4, 5)
    }


def test_where_no_process_can_work_this_one_does(few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_code(monkeypatch, "raise SystemExit(7)")
    warnings: list[str] = []
    with Journal.unseen("audit-log") as journal:
        tally, _ = grade_all(bundles([str(few)]), "audit-log", journal, workers=2, warn=warnings.append)
    assert (tally.passed, tally.failed) == (3, 3)
    assert "ended with 7" in warnings[0]


def test_no_worker_is_left(few: Path) -> None:
    with Crew(2) as workers:
        pids = [worker.process.pid for worker in workers._workers]
        answers = workers.answers([Job.of(str(few / "0.tar.gz"), "audit-log")])
        next(answers)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_folder_of_the_learners_is_not_imported(few: Path, tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "__init__.py").write_text("raise SystemExit('the learner runs')")
    (tmp_path / "yaml.py").write_text("raise SystemExit('the learner runs')")
    code = "import sys; sys.path.append(sys.argv[1]); from lab.cli import main; sys.argv[1:] = sys.argv[2:]; main()"
    argv = [sys.executable, "-P", "-c", code, str(Path(__file__).parents[2])]
    done = subprocess.run(
        [*argv, "grade", "audit-log", "--bundles", str(few)], cwd=tmp_path, capture_output=True, timeout=60
    )
    assert done.returncode == 1, done.stderr
    assert b"Warning" not in done.stderr


# Stopped and gone on with


@pytest.fixture
def many(tmp_path: Path, answers: tuple[bytes, bytes]) -> Path:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number:02}.tar.gz").write_bytes(answers[number % 2])
    return folder


def lines(journal: Path) -> list[bytes]:
    return journal.read_bytes().splitlines(keepends=True) if journal.exists() else []


def stopped(many: Path, out: Path, signal_number: int) -> subprocess.CompletedProcess[bytes]:
    """Start grading and send a signal once some bundles are graded."""
    journal = out.with_name(f".{out.name}.partial.jsonl")
    process = subprocess.Popen(
        [*COMMAND, "--bundles", f"{many}/*.tar.gz", "-o", out], cwd=Path(__file__).parents[2], stderr=subprocess.PIPE
    )
    try:
        until(lambda: len(lines(journal)) > 4 or process.poll() is not None)
        process.send_signal(signal_number)
        _, said = process.communicate(timeout=300)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, b"", said)


def until(true: Callable[[], bool], patience: float = 300.0) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_a_run_that_is_killed_goes_on_and_says_the_same(many: Path, tmp_path: Path) -> None:
    whole, out = tmp_path / "whole.csv", tmp_path / "out.csv"
    assert run("--bundles", many, "-o", whole).return_value == 1
    done = stopped(many, out, signal.SIGKILL)
    assert done.returncode == -signal.SIGKILL
    journal = tmp_path / ".out.csv.partial.jsonl"
    kept = len([line for line in lines(journal) if line.endswith(b"\n")]) - 1
    assert 0 < kept < 60
    assert not out.exists()
    with journal.open("ab") as torn:
        torn.write(b'{"source": "torn')
    result = run("--bundles", many, "-o", out)
    assert f"{kept} of 60 are graded already" in result.stderr
    assert out.read_bytes() == whole.read_bytes()
    assert not journal.exists()


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(many: Path, tmp_path: Path) -> None:
    done = stopped(many, tmp_path / "out.csv", signal.SIGINT)
    assert done.returncode == 130
    assert b"The same command goes on from there" in done.stderr
    assert b"Traceback" not in done.stderr
    assert len(lines(tmp_path / ".out.csv.partial.jsonl")) > 4


def kept(few: Path, out: Path) -> Path:
    """Leave a journal of all six beside an output, as a run that was stopped at its end does."""
    with Journal.beside(out, "audit-log") as journal:
        grade_all(bundles([str(few)]), "audit-log", journal, workers=1)
        assert journal.path is not None
        return journal.path


def regraded(few: Path, out: Path, scenario: str | None = "audit-log") -> list[str]:
    """Return the names of those that are graded when a run goes on."""
    again: list[str] = []
    with Journal.beside(out, scenario) as journal:
        grade_all(bundles([str(few)]), scenario, journal, workers=1, done=lambda s, t: again.append(Path(s).name))
    return again


def test_only_an_unchanged_bundle_is_not_graded_again(few: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    kept(few, out)
    assert regraded(few, out) == []
    changed = few / "2.tar.gz"
    before = changed.stat()
    content = bytearray(changed.read_bytes())
    content[4] ^= 1
    changed.write_bytes(content)
    # Neither the size nor the time of the content tells: a copy may keep both.
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert regraded(few, out) == ["2.tar.gz"]


def test_another_judge_or_task_begins_anew(few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.json"
    kept(few, out)
    assert len(regraded(few, out, None)) == 6
    monkeypatch.setattr("lab.bulk.journal.__version__", "9.9.9")
    assert len(regraded(few, out, None)) == 6


def test_what_our_own_fall_left_unjudged_is_tried_again(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.json"
    (few / "3.tar.gz").write_bytes(b"damaged, and stays so")
    with monkeypatch.context() as patch:
        with_code(patch, DEADLY.format(what="os._exit(1)"))
        kept(few, out)
    assert regraded(few, out) == ["1.tar.gz"]


def test_a_damaged_journal_is_believed_up_to_the_damage(few: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    journal = kept(few, out)
    whole = lines(journal)
    journal.write_bytes(b"".join([*whole[:4], b"\0" * 100 + b"\n", *whole[5:]]))
    assert regraded(few, out) == ["3.tar.gz", "4.tar.gz", "5.tar.gz"]


def test_two_runs_into_one_output_are_told_apart(few: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    with Journal.beside(out, "audit-log"), pytest.raises(LabError, match="another cks-lab"):
        Journal.beside(out, "audit-log")


def test_an_output_that_cannot_be_written_is_told_at_once(few: Path, tmp_path: Path) -> None:
    result = run("--bundles", few, "-o", tmp_path / "nowhere" / "out.json")
    assert isinstance(result.exception, LabError)
    assert "cannot write" in result.exception.message


def test_an_output_that_is_a_pipe_gets_the_reports_and_no_journal(few: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert run("--bundles", few, "--format", "csv", "-o", pipe).return_value == 1
        assert os.read(reader, 1 << 16).count(b"\n") == 7
    finally:
        os.close(reader)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["class", "pipe"]


def test_a_gzip_in_two_parts_is_read_to_its_end(tmp_path: Path, answers: tuple[bytes, bytes]) -> None:
    plain = gzip.decompress(answers[0])
    half = len(plain) // 2
    path = tmp_path / "parts.tar.gz"
    path.write_bytes(gzip.compress(plain[:half]) + gzip.compress(plain[half:]))
    assert str(grade_bundle(path, "audit-log").verdict) == "pass"
