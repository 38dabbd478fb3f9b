"""Run the migrations on the database that the caller's configuration names."""

from typing import Any, Literal

from alembic import context
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

import apps.control_api.storage.tables  # noqa: F401  (registers the tables)
from apps.control_api.storage.clock import UtcDateTime
from apps.control_api.storage.database import Database


def _render(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Name our own types shortly, so that a migration needs no import of the tables."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "UtcDateTime()"
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String(length={item.length})" if item.length else "sa.String()"
    return False


def run() -> None:
    """Migrate within one transaction, rebuilding tables where SQLite cannot alter them."""
    url = context.config.get_main_option("sqlalchemy.url")
    if not url:
        raise RuntimeError("Set sqlalchemy.url, or start the studio, which migrates by itself.")
    database = Database(url)
    with database.engine.connect().execution_options(immediate=True) as connection:
        context.configure(
            connection=connection,
            target_metadata=SQLModel.metadata,
            render_as_batch=database.is_sqlite,
            compare_type=True,
            render_item=_render,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    database.close()


run()
