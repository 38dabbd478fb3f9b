"""Events: written to an outbox by whoever changes something, read in order by the API, handed to every listener."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from apps.control_api import log
from apps.control_api.storage.clock import now
from apps.control_api.storage.database import Database
from apps.control_api.storage.tables import EventRow

_log = log.get(__name__)
_QUEUE = 20_000
_GAP_PATIENCE = timedelta(seconds=2)
_KEEP = timedelta(hours=1)


@dataclass(frozen=True)
class Event:
    """One thing that happened; ``seq`` counts up by one for every event of this run of the API."""

    seq: int
    type: str
    at: datetime
    data: dict[str, Any]


def emit(session: Session, type_: str, data: dict[str, Any]) -> None:
    """Put an event into the outbox; it is told when the session's transaction is committed."""
    session.add(EventRow(type=type_, data=data))


@dataclass(eq=False)
class Subscription:
    """One listener's queue of rendered events; ``overflowed`` once it fell too far behind to be told all."""

    queue: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(_QUEUE))
    overflowed: bool = False


class EventHub:
    """Reads the outbox and tells listeners. Lives on one event loop; ``publish_threadsafe`` may be called anywhere."""

    def __init__(self, database: Database, render: Callable[[Event], str], poll: float = 0.1) -> None:
        self._database, self._render, self._poll = database, render, poll
        self._listeners: set[Subscription] = set()
        self._seq = 0
        self._last = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="events")
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._taps: list[Callable[[Event], None]] = []

    async def start(self) -> None:
        """Begin after the newest event there is: what happened before belongs to nobody listening now."""
        self._loop = asyncio.get_running_loop()
        self._last = await self._loop.run_in_executor(self._thread, self._newest)
        self._task = asyncio.create_task(self._run(), name="events")

    async def stop(self) -> None:
        """Stop reading and let the thread go."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown(wait=True, cancel_futures=True)

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return len(self._listeners)

    def subscribe(self) -> Subscription:
        """Begin to listen; end with ``unsubscribe``."""
        listener = Subscription()
        self._listeners.add(listener)
        return listener

    def unsubscribe(self, listener: Subscription) -> None:
        """Stop listening."""
        self._listeners.discard(listener)

    def tap(self, call: Callable[[Event], None]) -> None:
        """Have ``call`` told every event too, on the loop, before listeners are."""
        self._taps.append(call)

    def publish(self, type_: str, data: dict[str, Any], at: datetime | None = None) -> None:
        """Tell listeners at once; on the loop only."""
        self._seq += 1
        event = Event(self._seq, type_, at or now(), data)
        for call in self._taps:
            call(event)
        if not self._listeners:
            return
        text = self._render(event)
        for listener in self._listeners:
            try:
                listener.queue.put_nowait(text)
            except asyncio.QueueFull:
                listener.overflowed = True

    def publish_threadsafe(self, type_: str, data: dict[str, Any]) -> None:
        """Tell listeners, from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.publish, type_, data)

    async def drain(self) -> int:
        """Read what the outbox holds now and tell it; returns how many events."""
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(self._thread, self._read)
        for row in rows:
            self.publish(row.type, row.data, row.at)
        return len(rows)

    async def _run(self) -> None:
        pruned = 0.0
        loop = asyncio.get_running_loop()
        while True:
            try:
                if not await self.drain():
                    await asyncio.sleep(self._poll)
                if loop.time() - pruned > 300:
                    pruned = loop.time()
                    await loop.run_in_executor(self._thread, self._prune)
            except sa.exc.SQLAlchemyError as error:
                _log.warning("events cannot be read", error=str(error))
                await asyncio.sleep(1.0)

    def _newest(self) -> int:
        with self._database.read() as session:
            return session.exec(select(sa.func.max(EventRow.id))).one() or 0

    def _read(self) -> list[EventRow]:
        with self._database.read() as session:
            rows = list(
                session.exec(
                    select(EventRow).where(col(EventRow.id) > self._last).order_by(col(EventRow.id)).limit(500)
                )
            )
        ready: list[EventRow] = []
        for row in rows:
            # On PostgreSQL a smaller id may be committed later: wait for it a while before passing it over.
            if not self._database.is_sqlite and row.id != self._last + 1 and now() - row.at < _GAP_PATIENCE:
                break
            self._last = row.id or self._last
            ready.append(row)
        return ready

    def _prune(self) -> None:
        with self._database.write() as session:
            session.execute(sa.delete(EventRow).where(col(EventRow.at) < now() - _KEEP))
