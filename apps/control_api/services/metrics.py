"""Figures for Prometheus, collected when asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlmodel import col, select

from apps.control_api.storage.database import Database
from apps.control_api.storage.tables import JobRow


class Metrics:
    """Counts requests and renders everything as text."""

    def __init__(self, database: Database, facts: Callable[[], dict[str, float]]) -> None:
        """``facts`` returns gauges by name: live sessions, listeners, worker restarts."""
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._database, self._facts = database, facts
        self.registry = CollectorRegistry()
        self._began = time.time()
        self._requests = Counter(
            "studio_http_requests", "HTTP calls answered", ["operation", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "studio_http_seconds",
            "Seconds to answer",
            ["operation"],
            registry=self.registry,
            buckets=(0.005, 0.02, 0.05, 0.1, 0.3, 1, 3, 10, 60),
        )
        self._jobs = Gauge("studio_jobs", "Jobs by state", ["state"], registry=self.registry)
        self._gauges: dict[str, Any] = {}

    def observe(self, operation: str, status: int, seconds: float) -> None:
        """Count one answered call."""
        self._requests.labels(operation, str(status)).inc()
        self._seconds.labels(operation).observe(seconds)

    def render(self) -> bytes:
        """Return the text; reads job counts from the database."""
        from prometheus_client import generate_latest

        with self._database.read() as session:
            counts = dict(session.exec(select(JobRow.state, sa.func.count()).group_by(col(JobRow.state))).all())
        for state in ("queued", "running", "succeeded", "failed", "cancelled"):
            self._jobs.labels(state).set(counts.get(state, 0))
        for name, value in {"uptime_seconds": time.time() - self._began, **self._facts()}.items():
            if name not in self._gauges:
                from prometheus_client import Gauge

                self._gauges[name] = Gauge(f"studio_{name}", name.replace("_", " "), registry=self.registry)
            self._gauges[name].set(value)
        return generate_latest(self.registry)
