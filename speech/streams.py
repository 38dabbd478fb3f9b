"""Async streams of back-ends: ended by a cancel, begun again after a failure that may pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TypeVar

from speech.errors import SpeechError

T = TypeVar("T")


async def until_cancelled(source: AsyncGenerator[T, None], cancel: asyncio.Event) -> AsyncGenerator[T, None]:
    """Pass items on until ``cancel`` is set, even while ``source`` is waiting; then close ``source``."""
    waiter = asyncio.ensure_future(cancel.wait())
    step: asyncio.Future[T] | None = None
    try:
        while not cancel.is_set():
            step = asyncio.ensure_future(anext(source))
            await asyncio.wait({step, waiter}, return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                return
            try:
                item = step.result()
            except StopAsyncIteration:
                return
            if cancel.is_set():
                return
            yield item
    finally:
        waiter.cancel()
        if step is not None and not step.done():
            step.cancel()
            await asyncio.wait({step})
        await source.aclose()


async def retried_until_first(
    begin: Callable[[], AsyncGenerator[T, None]], attempts: int, wait_s: float = 0.3
) -> AsyncGenerator[T, None]:
    """Pass on what ``begin()`` yields; begin again where it fails by a passing error before its first item.

    After the first item nothing is repeated: the listener has heard it.

    Args:
        begin: Makes a fresh stream.
        attempts: How often in all.
        wait_s: The first pause between two attempts; it doubles, with jitter, up to 3 s.
    """
    from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

    async def first() -> tuple[AsyncGenerator[T, None], list[T]]:
        stream = begin()
        try:
            return stream, [await anext(stream)]
        except StopAsyncIteration:
            return stream, []
        except BaseException:
            await stream.aclose()
            raise

    def passing(error: BaseException) -> bool:
        return isinstance(error, SpeechError) and error.may_retry

    retrying = AsyncRetrying(
        stop=stop_after_attempt(attempts),
        wait=wait_exponential_jitter(initial=wait_s, max=3.0, jitter=wait_s),
        retry=retry_if_exception(passing),
        reraise=True,
    )
    begun: tuple[AsyncGenerator[T, None], list[T]] = await retrying(first)
    stream, items = begun
    try:
        for item in items:
            yield item
        async for item in stream:
            yield item
    finally:
        await stream.aclose()
