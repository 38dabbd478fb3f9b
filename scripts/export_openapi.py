"""Print the OpenAPI document of the control API on standard output."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from apps.control_api.app import create_app
from apps.control_api.settings import Settings


def main() -> None:
    """Build the application on a folder of its own, start nothing, print the document."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings(data_dir=Path(folder), models_dir=Path(folder) / "models"))
        document = app.openapi()
        app.state.container.tools.database.close()
    print(json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True))


if __name__ == "__main__":
    main()
