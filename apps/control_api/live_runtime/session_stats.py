"""A session at a glance."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from apps.control_api.live_runtime.events import SessionStats

if TYPE_CHECKING:
    from apps.control_api.live_runtime.session import LiveSession


def stats_of(session: LiveSession) -> SessionStats:
    """What there is to know of a session now."""
    audience, playout, clock, turns = session.audience, session.playout, session.clock, session.turns
    encode = [c.encode_ms for c in audience.watching]
    return SessionStats(
        id=session.id,
        state=session.state,
        speaking=session.speaking,
        turn=turns.last,
        pending_turns=len(turns.open()),
        uptime_s=round(time.monotonic() - session.began, 1),
        clients=len(encode),
        frames=playout.number,
        held=playout.held,
        skipped=clock.skipped,
        gaps=playout.gaps,
        buffered=playout.buffered,
        start_frames=playout.start_frames,
        paint_ms=round(session.scene.painter.paint_ms, 2),
        encode_ms=round(max(encode, default=0.0), 2),
        late_ms=round(clock.late_ms, 2),
        dropped_pictures=sum(c.dropped for c in audience.watching),
        width=audience.width,
        height=audience.height,
        engine=session.host.engine.name,
        jitter_frames=playout.jitter,
        stages=turns.times.summary(),
        turns=turns.stats(),
    )
