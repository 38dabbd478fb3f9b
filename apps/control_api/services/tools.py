"""What services and job bodies are built from."""

from __future__ import annotations

from dataclasses import dataclass

from apps.control_api.services.jobs import Jobs
from apps.control_api.services.settings_store import SettingsStore
from apps.control_api.settings import Settings
from apps.control_api.storage.database import Database
from apps.control_api.storage.files import Files
from apps.control_api.storage.shelf import Shelf


@dataclass(frozen=True)
class Tools:
    """Settings (as started, and the owner's over them), database, files, jobs: shared by the API and by workers."""

    settings: Settings
    database: Database
    files: Files
    jobs: Jobs
    owner: SettingsStore


def build_tools(settings: Settings) -> Tools:
    """Open the database and the folders that ``settings`` names; migrates nothing."""
    database = Database(settings.url)
    return Tools(
        settings,
        database,
        Files(settings.data_dir, settings.models, _shelf(settings)),
        Jobs(database, settings.lease, settings.max_attempts),
        SettingsStore(database, settings),
    )


def _shelf(settings: Settings) -> Shelf | None:
    if settings.objects_url is None:
        return None
    from apps.control_api.storage.objects import open_objects

    return Shelf(open_objects(settings.objects_url, settings.objects_endpoint))
