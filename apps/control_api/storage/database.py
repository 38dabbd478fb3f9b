"""The database: SQLite in WAL mode by default, PostgreSQL by URL, the same tables and migrations for both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

MIGRATIONS = Path(__file__).parent / "migrations"
HEAD = "0006"
"""The newest migration; a test holds it to what the scripts say. Known here so that a start need not read them."""


class Database:
    """Connections to one database. Safe to share between threads; one session belongs to one thread."""

    def __init__(self, url: str) -> None:
        """Open (but do not touch) the database at an SQLAlchemy ``url``; plain ``postgresql://`` uses psycopg 3."""
        if url.startswith(("postgresql://", "postgres://")):
            url = "postgresql+psycopg://" + url.split("://", 1)[1]
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        if self.is_sqlite:
            file = sa.make_url(url).database
            if file:
                Path(file).parent.mkdir(parents=True, exist_ok=True)
            self.engine = sa.create_engine(
                url, pool_size=16, max_overflow=32, connect_args={"check_same_thread": False, "timeout": 15}
            )
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        else:
            self.engine = sa.create_engine(url, pool_size=16, max_overflow=32, pool_pre_ping=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading; what it changes is thrown away."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that holds SQLite's one write lock from its start, commits at the end, rolls back on an error."""
        with Session(self.engine, expire_on_commit=False) as session:
            if self.is_sqlite:
                session.connection(execution_options={"immediate": True})
            try:
                yield session
                session.commit()
            except BaseException:
                session.rollback()
                raise

    def migrate(self) -> bool:
        """Bring the tables to ``HEAD``; returns whether anything had to be done."""
        with self.engine.connect() as connection:
            if sa.inspect(connection).has_table("alembic_version"):
                at = connection.execute(sa.text("select version_num from alembic_version")).scalars().all()
                if at == [HEAD]:
                    return False
        from alembic import command

        command.upgrade(alembic_config(self.url), "head")
        return True

    def ping(self) -> None:
        """Raise if the database does not answer."""
        with self.engine.connect() as connection:
            connection.execute(sa.text("select 1"))

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def alembic_config(url: str) -> Any:
    """Return Alembic's configuration for the database at ``url``."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not by the driver
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=15000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
