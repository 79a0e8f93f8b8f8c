"""Owns bringing a database to today's tables: nothing when it is current, else migrations, one program at a time."""

from __future__ import annotations

import fcntl
from pathlib import Path

import sqlalchemy as sa

from ..errors import LabError
from .tables import REVISION

_MIGRATIONS = Path(__file__).parent / "migrations"


def bring_up_to_date(engine: sa.Engine, lock: Path) -> None:
    """Run the migrations that the database lacks, while holding the file `lock`.

    A current one costs two small queries; alembic is imported only where there is something to do. Raises LabError
    where a newer program has been at the database.
    """
    if _revision(engine) == REVISION:
        return
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if _revision(engine) != REVISION:
            _migrate(engine)


def _revision(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def _migrate(engine: sa.Engine) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    if engine.dialect.name == "sqlite":
        # It stays in the file, and asking for it needs the database for oneself: so here, under the lock, and once.
        with engine.connect() as connection:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA journal_mode=WAL").close()
            connection.exec_driver_sql("BEGIN")
    with engine.connect().execution_options(write=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise LabError(
                f"the record of attempts was written by a newer CKS Lab ({error})", "pip install --upgrade cks-lab"
            ) from error
