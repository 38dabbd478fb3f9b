"""The watch over the event loop: what held it up, for how long, and where."""

from __future__ import annotations

import asyncio
import time

from apps.control_api.services.loop_watch import LoopWatch


def hold_up(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(1000))


async def test_a_block_is_found_with_its_place() -> None:
    watch = LoopWatch(trace=True)
    watch.start()
    await asyncio.sleep(0.05)
    hold_up(0.15)
    await asyncio.sleep(0.05)
    block = watch.longest()
    assert block.cpu_ms >= 149 and "hold_up" in block.stack
    assert watch.facts()["loop_longest_work_seconds"] >= 0.149
    assert watch.facts()["loop_longest_block_seconds"] >= 0.14
    await watch.stop()


async def test_waiting_is_no_block() -> None:
    watch = LoopWatch()
    watch.start()
    await asyncio.to_thread(time.sleep, 0.2)
    assert watch.longest().cpu_ms < 100
    await watch.stop()


async def test_metrics_tell(api) -> None:  # type: ignore[no-untyped-def]
    text = (await api.client.get("/metrics")).text
    assert "studio_loop_longest_work_seconds" in text
