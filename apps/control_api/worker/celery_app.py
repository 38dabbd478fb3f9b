"""Entry point of ``celery -A apps.control_api.worker.celery_app worker``: settings come from the environment."""

from __future__ import annotations

from apps.control_api import log
from apps.control_api.settings import Settings
from apps.control_api.worker.celery_dispatch import make_worker_app

_settings = Settings()
log.configure(_settings.log_level, _settings.log_json)
app = make_worker_app(_settings)
