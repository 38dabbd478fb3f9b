"""``python -m apps.control_api.audit_verify [--data-dir DIR]``: whether the audit trail is as it was written.

Needs no running studio. Prints one JSON object; ends with 0 if every seal holds, with 1 if a row was changed or is gone
(and says which), with 2 if there is no trail to look at.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from apps.control_api.services.audit import Audit
from apps.control_api.settings import Settings
from apps.control_api.storage.database import Database


def main(argv: list[str] | None = None) -> int:
    """Verify and say."""
    parser = argparse.ArgumentParser(prog="python -m apps.control_api.audit_verify", description="Verify the audit.")
    parser.add_argument("--data-dir", type=Path, help="the studio's data folder; as the studio finds it without")
    args = parser.parse_args(argv)
    settings = Settings(data_dir=args.data_dir) if args.data_dir else Settings()  # type: ignore[call-arg]
    if settings.database_url is None and not (settings.data_dir / "meta.db").is_file():
        print(json.dumps({"ok": False, "error": f"There is no database in {settings.data_dir}."}))
        return 2
    database = Database(settings.url)
    try:
        verdict = Audit(database).verify()
    except SQLAlchemyError as error:
        print(json.dumps({"ok": False, "error": f"The trail cannot be read: {error.__class__.__name__}"}))
        return 2
    finally:
        database.close()
    print(json.dumps(asdict(verdict)))
    return 0 if verdict.ok else 1


if __name__ == "__main__":
    sys.exit(main())
