"""Owns the record of attempts: every grade, hint and reset, in one transaction each, so that nothing is half there.

SQLite in the person's data folder (write-ahead log, synced at each commit), or what `CKS_LAB_DATABASE` names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from ..errors import LabError
from ..home import Home, made
from .schema import bring_up_to_date
from .tables import attempts, events, gradings

URL_VARIABLE = "CKS_LAB_DATABASE"
_BUSY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose attempt it is: the lab as it was started. `started` None: not known, now is taken."""

    lab: str
    driver: str
    scenario: str
    seed: int | None = None
    started: datetime | None = None


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt in the history. The points are those of its best grade; None before the first grade.

    `verdict`, `graded`: of the newest grade. `ended` None: the lab is still there.
    """

    id: int
    lab: str
    driver: str
    scenario: str
    seed: int | None
    started: datetime
    ended: datetime | None
    gradings: int
    verdict: str | None
    graded: datetime | None
    points: int | None
    possible: int | None
    percent: int | None
    hints: int
    solution: bool
    resets: int


class Attempts:
    """The store. One object may be used by several threads; several programs may hold the same database open."""

    def __init__(self, engine: sa.Engine, *, now: Callable[[], datetime], place: str) -> None:
        self._engine = engine
        self._now = now
        self._place = place

    @classmethod
    def open(cls, home: Home, *, now: Callable[[], datetime], url: str | None = None) -> Attempts:
        """Open the store, make or migrate its tables where needed. Raises LabError."""
        url = url or os.environ.get(URL_VARIABLE) or f"sqlite:///{home.database}"
        made(home.data)
        try:
            parsed = sa.make_url(url)
            place = parsed.database or "" if parsed.get_backend_name() == "sqlite" else parsed.render_as_string()
            engine = sa.create_engine(parsed)
        except (exc.ArgumentError, exc.NoSuchModuleError) as error:
            raise LabError(
                f"{URL_VARIABLE} is not the address of a database: {error}", "sqlite:////path/to/attempts.db is one"
            ) from error
        except ImportError as error:
            raise LabError(f"{URL_VARIABLE} needs a Python package: {error}", f"pip install {error.name}") from error
        if engine.dialect.name == "sqlite":
            _speak_sqlite(engine)
        store = cls(engine, now=now, place=place)
        with store._told():
            bring_up_to_date(engine, home.data / ".attempts.lock")
        return store

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def begin(self, subject: Subject) -> int:
        """Note that a lab was started anew and return the attempt's number. An older one of that name has ended."""
        with self._writing() as connection:
            now = self._now()
            connection.execute(
                attempts.update().where(attempts.c.lab == subject.lab, attempts.c.ended.is_(None)).values(ended=now)
            )
            number = self._insert(connection, subject)
            self._event(connection, number, "start", "")
            return number

    def end(self, subject: Subject) -> None:
        """Note that the lab is gone."""
        with self._writing() as connection:
            number = self._current(connection, subject)
            if number is not None:
                self._event(connection, number, "stop", "")
                connection.execute(attempts.update().where(attempts.c.id == number).values(ended=self._now()))

    def note(self, subject: Subject, kind: str, detail: str) -> None:
        """Note that something happened in the attempt."""
        with self._writing() as connection:
            self._event(connection, self._current_or_new(connection, subject), kind, detail)

    def note_next(self, subject: Subject, kind: str, total: int) -> int | None:
        """Note the next of `total` numbered things and return its number, from 1; None when all are noted."""
        with self._writing() as connection:
            attempt = self._current_or_new(connection, subject)
            number = _count(connection, events, attempt, events.c.kind == kind) + 1
            if number > total:
                return None
            self._event(connection, attempt, kind, str(number))
            return number

    def record(self, subject: Subject, report: Mapping[str, Any], bundle: Path | None) -> int:
        """Keep a grade (the report as `to_dict` gives it) and return its attempt's number."""
        with self._writing() as connection:
            attempt = self._current_or_new(connection, subject)
            connection.execute(
                gradings.insert().values(
                    attempt_id=attempt,
                    at=self._now(),
                    verdict=report["verdict"],
                    **report["score"],
                    report=dict(report),
                    bundle=None if bundle is None else str(bundle),
                )
            )
            return attempt

    def count(self, subject: Subject, kind: str) -> int:
        """Return how often something was noted in the attempt."""
        with self._reading() as connection:
            attempt = self._current(connection, subject)
            return 0 if attempt is None else _count(connection, events, attempt, events.c.kind == kind)

    def gradings(self, subject: Subject) -> int:
        """Return how often the attempt was graded."""
        with self._reading() as connection:
            attempt = self._current(connection, subject)
            return 0 if attempt is None else _count(connection, gradings, attempt)

    def last_report(self, subject: Subject) -> dict[str, Any] | None:
        """Return the newest report of the attempt."""
        with self._reading() as connection:
            attempt = self._current(connection, subject)
            newest = sa.select(gradings.c.report).where(gradings.c.attempt_id == attempt).order_by(gradings.c.id.desc())
            found: dict[str, Any] | None = connection.execute(newest.limit(1)).scalar()
            return found

    def history(self) -> list[AttemptRow]:
        """Return every attempt, oldest first."""
        best = sa.select(
            gradings,
            sa.func.row_number()
            .over(partition_by=gradings.c.attempt_id, order_by=(gradings.c.percent.desc(), gradings.c.id))
            .label("rank"),
        ).subquery()
        last = sa.select(
            gradings,
            sa.func.count().over(partition_by=gradings.c.attempt_id).label("times"),
            sa.func.row_number().over(partition_by=gradings.c.attempt_id, order_by=gradings.c.id.desc()).label("rank"),
        ).subquery()

        def noted(kind: str) -> sa.ScalarSelect[int]:
            of_kind = sa.select(sa.func.count()).where(events.c.attempt_id == attempts.c.id, events.c.kind == kind)
            return of_kind.scalar_subquery()

        rows = (
            sa.select(
                attempts,
                last.c.times,
                last.c.verdict,
                last.c.at,
                best.c.points,
                best.c.possible,
                best.c.percent,
                noted("hint").label("hints"),
                noted("solution").label("solutions"),
                noted("reset").label("resets"),
            )
            .outerjoin_from(attempts, best, sa.and_(best.c.attempt_id == attempts.c.id, best.c.rank == 1))
            .outerjoin(last, sa.and_(last.c.attempt_id == attempts.c.id, last.c.rank == 1))
            .order_by(attempts.c.id)
        )
        with self._reading() as connection:
            return [
                AttemptRow(
                    id=row.id,
                    lab=row.lab,
                    driver=row.driver,
                    scenario=row.scenario,
                    seed=row.seed,
                    started=row.started,
                    ended=row.ended,
                    gradings=row.times or 0,
                    verdict=row.verdict,
                    graded=row.at,
                    points=row.points,
                    possible=row.possible,
                    percent=row.percent,
                    hints=row.hints,
                    solution=row.solutions > 0,
                    resets=row.resets,
                )
                for row in connection.execute(rows)
            ]

    def _current(self, connection: sa.Connection, subject: Subject) -> int | None:
        mine = sa.select(attempts.c.id).where(
            attempts.c.lab == subject.lab,
            attempts.c.driver == subject.driver,
            attempts.c.scenario == subject.scenario,
            attempts.c.ended.is_(None),
        )
        found: int | None = connection.execute(mine.order_by(attempts.c.id.desc()).limit(1)).scalar()
        return found

    def _current_or_new(self, connection: sa.Connection, subject: Subject) -> int:
        found = self._current(connection, subject)
        return self._insert(connection, subject) if found is None else found

    def _insert(self, connection: sa.Connection, subject: Subject) -> int:
        made_row = connection.execute(
            attempts.insert().values(
                lab=subject.lab,
                driver=subject.driver,
                scenario=subject.scenario,
                seed=subject.seed,
                started=subject.started or self._now(),
            )
        )
        key = made_row.inserted_primary_key
        assert key is not None
        number: int = key[0]
        return number

    def _event(self, connection: sa.Connection, attempt: int, kind: str, detail: str) -> None:
        connection.execute(events.insert().values(attempt_id=attempt, at=self._now(), kind=kind, detail=detail))

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._told(), self._engine.connect().execution_options(write=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._told(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what the database says into a message with the next step."""
        try:
            yield
        except exc.DBAPIError as error:
            said = str(error.orig)
            if "malformed" in said or "not a database" in said:
                raise LabError(
                    f"the record of attempts is damaged: {self._place}: {said}",
                    f"mv '{self._place}' '{self._place}.damaged'   (the evidence of every grade is kept beside it)",
                ) from error
            if "locked" in said:
                raise LabError(
                    f"the record of attempts is held by another program for {_BUSY_SECONDS:g} s: {self._place}",
                    "end that program and do it again",
                ) from error
            hint = "make room on that disk" if "full" in said or "disk I/O" in said else "cks-lab doctor"
            raise LabError(f"the record of attempts cannot be used: {self._place}: {said}", hint) from error


def _count(connection: sa.Connection, table: sa.Table, attempt: int, *more: sa.ColumnElement[bool]) -> int:
    counted = sa.select(sa.func.count()).select_from(table).where(table.c.attempt_id == attempt, *more)
    return connection.execute(counted).scalar() or 0


def _speak_sqlite(engine: sa.Engine) -> None:
    """Let SQLAlchemy and not Python's sqlite3 begin the transactions, and let those that write begin as writers.

    A transaction that reads first and writes later fails at once, without waiting, where another has written meanwhile.
    Source: SQLite, "Isolation In SQLite"; SQLAlchemy, "Serializable isolation / Savepoints / Transactional DDL".
    """

    @sa.event.listens_for(engine, "connect")
    def connected(raw: Any, record: object) -> None:
        raw.isolation_level = None
        raw.execute(f"PRAGMA busy_timeout={int(_BUSY_SECONDS * 1000)}")
        raw.execute("PRAGMA synchronous=FULL")
        raw.execute("PRAGMA foreign_keys=ON")

    @sa.event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
