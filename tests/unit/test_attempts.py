"""The record of attempts: nothing is lost, nothing is half there, and several programs may use it at once."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from lab.attempts import Attempts, Subject
from lab.attempts.tables import REVISION, metadata
from lab.errors import LabError
from lab.home import Home

MONDAY = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
LAB = Subject("audit-log", "sandbox", "audit-log", None, MONDAY)
REPORT: dict[str, object] = {
    "schema": "cks-lab/report/v1",
    "verdict": "fail",
    "score": {"points": 7, "possible": 10, "percent": 70},
    "checks": [{"id": "policy.valid", "found": "é ✗"}],
}


def report(percent: int, verdict: str = "fail") -> dict[str, object]:
    return REPORT | {"verdict": verdict, "score": {"points": percent // 10, "possible": 10, "percent": percent}}


class Clock:
    """A clock that goes on by a minute each time it is looked at."""

    def __init__(self) -> None:
        self.time = MONDAY

    def __call__(self) -> datetime:
        self.time += timedelta(minutes=1)
        return self.time


@pytest.fixture
def home(isolated_home: Path) -> Home:
    return Home.of()


@pytest.fixture
def store(home: Home) -> Attempts:
    return Attempts.open(home, now=Clock())


def test_an_attempt_is_told_from_its_start_to_its_end(store: Attempts) -> None:
    number = store.begin(LAB)
    assert store.record(LAB, report(40), Path("/b/1.tar.gz")) == number
    assert store.record(LAB, report(90), None) == number
    assert store.record(LAB, report(70), None) == number
    store.note(LAB, "solution", "")
    store.note(LAB, "reset", "/backup")
    store.end(LAB)
    (row,) = store.history()
    assert (row.points, row.percent, row.verdict, row.gradings) == (9, 90, "fail", 3)
    assert (row.solution, row.resets, row.hints) == (True, 1, 0)
    assert row.started == MONDAY
    assert row.ended is not None
    assert row.graded is not None
    assert row.started < row.graded < row.ended


def test_a_lab_started_again_under_the_same_name_is_a_new_attempt(store: Attempts) -> None:
    store.begin(LAB)
    store.record(LAB, report(40), None)
    second = store.begin(LAB)
    assert store.gradings(LAB) == 0
    assert store.record(LAB, report(100, "pass"), None) == second
    old, new = store.history()
    assert old.ended is not None
    assert (old.percent, new.percent, new.ended) == (40, 100, None)


def test_a_grade_of_a_lab_that_another_store_knew_is_kept_all_the_same(store: Attempts) -> None:
    store.record(LAB, report(40), None)
    assert [row.gradings for row in store.history()] == [1]


def test_the_newest_report_comes_back_as_it_was(store: Attempts) -> None:
    assert store.last_report(LAB) is None
    store.record(LAB, report(40), None)
    store.record(LAB, REPORT, None)
    assert store.last_report(LAB) == REPORT


def test_hints_are_counted_one_by_one_and_end(store: Attempts) -> None:
    assert [store.note_next(LAB, "hint", 2) for _ in range(3)] == [1, 2, None]
    assert store.count(LAB, "hint") == 2


def test_a_current_database_is_opened_without_alembic(home: Home) -> None:
    Attempts.open(home, now=Clock()).close()
    code = "import sys, lab.session as s; s.Session().history(); print('alembic' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"


def test_the_migrations_make_the_tables_that_the_program_uses(home: Home) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    import lab.attempts.schema as schema

    Attempts.open(home, now=Clock()).close()
    engine = sa.create_engine(f"sqlite:///{home.database}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION
    engine.dispose()


def test_the_database_waits_for_others_and_syncs(home: Home, store: Attempts) -> None:
    store.begin(LAB)
    with sqlite3.connect(home.database) as raw:
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_database_of_a_newer_program_is_left_alone(home: Home) -> None:
    Attempts.open(home, now=Clock()).close()
    with sqlite3.connect(home.database) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(LabError, match="newer CKS Lab"):
        Attempts.open(home, now=Clock())


def test_a_damaged_database_is_told_with_the_way_out(home: Home) -> None:
    Attempts.open(home, now=Clock()).close()
    home.database.write_bytes(b"no database at all" * 1000)
    with pytest.raises(LabError, match="damaged") as error:
        Attempts.open(home, now=Clock())
    assert error.value.hint.startswith(f"mv '{home.database}'")


def test_a_folder_that_nobody_may_write_to_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(LabError, match="cannot make the folder"):
        Attempts.open(Home(file / "data", file / "cache"), now=Clock())


def test_a_full_disk_is_told_and_the_record_stays_whole(home: Home) -> None:
    store = Attempts.open(home, now=Clock())
    store.record(LAB, report(40), None)
    with store._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(LabError, match="full") as error:
        store.record(LAB, report(50) | {"checks": ["x" * 100_000]}, None)
    assert "make room" in error.value.hint
    store.close()
    assert [row.percent for row in Attempts.open(home, now=Clock()).history()] == [40]


@pytest.mark.parametrize(("url", "says"), [("nonsense", "not the address"), ("nodb://x/y", "not the address")])
def test_a_wrong_address_is_told(home: Home, monkeypatch: pytest.MonkeyPatch, url: str, says: str) -> None:
    monkeypatch.setenv("CKS_LAB_DATABASE", url)
    with pytest.raises(LabError, match=says):
        Attempts.open(home, now=Clock())


def test_another_database_can_be_named(home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CKS_LAB_DATABASE", f"sqlite:///{tmp_path}/elsewhere.db")
    Attempts.open(home, now=Clock()).begin(LAB)
    assert (tmp_path / "elsewhere.db").exists()
    assert not home.database.exists()


def test_several_threads_may_use_one_store(store: Attempts) -> None:
    def work() -> None:
        for _ in range(5):
            store.record(LAB, REPORT, None)

    store.begin(LAB)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row.gradings for row in store.history()] == [20]


WORKER = """
import sys
from datetime import datetime, UTC
from lab.attempts import Attempts, Subject
from lab.home import Home
store = Attempts.open(Home.of(), now=lambda: datetime.now(UTC))
report = {"verdict": "fail", "score": {"points": 1, "possible": 10, "percent": 10}, "checks": ["x" * 20000]}
for number in range(int(sys.argv[2])):
    store.record(Subject(sys.argv[1], "sandbox", "audit-log"), report, None)
    print(number + 1, flush=True)
"""


def worker(name: str, times: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER, name, str(times)], stdout=subprocess.PIPE)


def test_two_programs_at_once_open_it_for_the_first_time_and_lose_nothing(home: Home) -> None:
    both = [worker("a", 15), worker("b", 15)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert sorted((row.lab, row.gradings) for row in Attempts.open(home, now=Clock()).history()) == [
        ("a", 15),
        ("b", 15),
    ]


@pytest.mark.parametrize("moment", ["making the tables", "recording"])
def test_a_kill_leaves_the_record_whole(home: Home, moment: str) -> None:
    """What was said to be recorded is there; what was not is there whole or not at all."""
    dice = random.Random(moment)
    for _ in range(4):
        name = f"lab-{dice.random()}"
        process = worker(name, 10_000)
        assert process.stdout is not None
        if moment == "recording":
            process.stdout.readline()
            time.sleep(dice.random() * 0.05)
        else:
            home.database.unlink(missing_ok=True)
            wait_for(home.database.exists)
            time.sleep(dice.random() * 0.03)
        os.kill(process.pid, signal.SIGKILL)
        said = process.stdout.read().split()
        process.wait(10)
        store = Attempts.open(home, now=Clock())
        kept = {row.lab: row.gradings for row in store.history()}
        assert kept.get(name, 0) >= (int(said[-1]) if said else 0)
        store.close()
        with sqlite3.connect(home.database) as raw:
            assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert raw.execute("SELECT count(*) FROM gradings WHERE json_valid(report) = 0").fetchone() == (0,)


def wait_for(ready: Callable[[], bool], timeout: float = 200.0) -> None:
    deadline = time.monotonic() + timeout
    while not ready():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.001)
