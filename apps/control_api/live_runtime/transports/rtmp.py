"""An RTMP push: a child process encodes and holds the connection, and is started again as needed.

Three threads for each push and none of the loop's time: one keeps the child, one feeds it, one hears what it tells.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from tenacity import RetryCallState, Retrying, retry_if_result

from apps.control_api.live_runtime.frames import PacketFrame
from apps.control_api.live_runtime.outputs import Output, RtmpSpec, Source
from apps.control_api.live_runtime.transports import backoff
from apps.control_api.live_runtime.transports.rtmp_child import HEAD, Wanted
from apps.control_api.live_runtime.troubles import Trouble, trouble

_LOG = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[4]
CONNECT_S = 12.0
"""A child that has not connected by then is ended."""
STALL_S = 6.0
"""One that tells of no progress for so long is ended: its server takes nothing."""
_END_S = 2.0
_PICTURES = 12
_SOUNDS = 400
"""Packets that wait for the child, 4 s: as long as a stall may last that goes by unheard."""
_PIPE = 1 << 20

_Piece = tuple[int, NDArray[np.int16], NDArray[np.uint8] | None]


class Pieces:
    """What waits for the child; where it cannot follow, pictures are dropped and sound is not."""

    def __init__(self) -> None:
        self.dropped = 0
        self._pieces: deque[_Piece] = deque(maxlen=_SOUNDS)
        self._pictures = 0
        self._more = threading.Condition()
        self._open = False

    def start(self) -> None:
        """Begin to take, with nothing old."""
        with self._more:
            self._pieces.clear()
            self._pictures = 0
            self._open = True

    def stop(self) -> None:
        """Take no more; who waits is woken."""
        with self._more:
            self._open = False
            self._more.notify_all()

    def put(self, packet: PacketFrame) -> None:
        """Add 10 ms; without a child it is gone."""
        with self._more:
            if not self._open:
                self.dropped += packet.picture is not None
                return
            if len(self._pieces) == _SOUNDS and self._pieces[0][2] is not None:
                self._pictures, self.dropped = self._pictures - 1, self.dropped + 1
            self._pieces.append((packet.number, packet.sound, packet.picture))
            if packet.picture is not None:
                self._pictures += 1
                if self._pictures > _PICTURES:
                    self._drop_picture()
            self._more.notify()

    def get(self) -> _Piece | None:
        """The next piece; None once stopped."""
        with self._more:
            while self._open and not self._pieces:
                self._more.wait()
            if not self._open:
                return None
            piece = self._pieces.popleft()
            self._pictures -= piece[2] is not None
            return piece

    def _drop_picture(self) -> None:
        for k, (number, sound, picture) in enumerate(self._pieces):
            if picture is not None:
                self._pieces[k] = (number, sound, None)
                self._pictures, self.dropped = self._pictures - 1, self.dropped + 1
                return


class RtmpPush(Output):
    """Pushes a session to an RTMP server until it is stopped, connecting again with growing pauses.

    Args:
        spec: Where, and how much.
        source: The session's facts.
    """

    def __init__(self, spec: RtmpSpec, source: Source) -> None:
        super().__init__("rtmp", _shown(spec.url))
        self._wanted = Wanted(
            spec.url, spec.key, source.width, source.height, spec.video_bitrate, spec.sound_bitrate,
            spec.key_frame_s, source.session_id,
        )  # fmt: skip
        self._pieces = Pieces()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="live-rtmp")
        self._told: Trouble | None = None
        self._heard = 0.0
        self._connected = False

    async def start(self) -> None:
        """Begin to connect, in the background."""
        self._thread.start()

    def _take(self, packet: PacketFrame) -> None:
        self._pieces.put(packet)
        self.dropped = self._pieces.dropped

    async def stop(self) -> None:
        """End the stream and the child."""
        self._ending.set()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    # -- in threads --------------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        while not self._ending.is_set():
            try:
                stood = self._until_one_stood()
            except Exception:
                _LOG.exception("an RTMP push broke")
                self._become_soon("failed", trouble("push_failed"))
                return
            if self._ending.is_set():
                return
            if not stood:
                self._become_soon("failed", trouble("push_gave_up", self._told.said if self._told else ""))
                return
            self._become_soon("retrying", self._told)
            self._ending.wait(backoff.FIRST_S)

    def _until_one_stood(self) -> bool:
        """Connect again and again until a connection stood for a while and broke; False once it is given up."""
        began = time.monotonic()

        def enough(_state: RetryCallState) -> bool:
            return self._ending.is_set() or time.monotonic() - began > backoff.GIVE_UP_S

        def pause(seconds: float) -> None:
            self._become_soon("retrying", self._told)
            self._ending.wait(seconds)

        tries = Retrying(
            wait=backoff.waits(),
            retry=retry_if_result(lambda stood: not stood),
            stop=enough,
            sleep=pause,
            retry_error_callback=lambda state: False,
        )
        return bool(tries(self._attempt))

    def _attempt(self) -> bool:
        """Push until the connection ends; whether it stood for a while."""
        self.attempts += 1
        self._told, self._connected = None, False
        began = self._heard = time.monotonic()
        child = subprocess.Popen(
            [sys.executable, "-m", "apps.control_api.live_runtime.transports.rtmp_child"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pipesize=_PIPE if sys.platform == "linux" else -1,
        )
        assert child.stdin is not None and child.stdout is not None  # noqa: S101  (asked for above)
        self._pieces.start()
        threads = [
            threading.Thread(target=self._feed, args=(child.stdin,), name="live-rtmp-feed"),
            threading.Thread(target=self._hear, args=(child.stdout,), name="live-rtmp-hear"),
        ]
        for thread in threads:
            thread.start()
        try:
            self._watch(child)
        finally:
            self._pieces.stop()
            _end(child)
            for thread in threads:
                thread.join()
            child.stdout.close()
        if self._told is None and not self._ending.is_set():
            self._told = trouble("push_failed", f"exit status {child.returncode}")
        return self._connected and time.monotonic() - began > backoff.STEADY_S

    def _watch(self, child: subprocess.Popen[bytes]) -> None:
        """Return when the child has ended, stalls, or is to end."""
        while child.poll() is None:
            if self._ending.wait(0.1):
                return
            if time.monotonic() - self._heard > (STALL_S if self._connected else CONNECT_S + 1):
                self._told = trouble("push_stalled" if self._connected else "push_unreachable")
                child.kill()
                return

    def _feed(self, pipe: IO[bytes]) -> None:
        try:
            pipe.write(self._wanted.line())
            pipe.flush()
            while (piece := self._pieces.get()) is not None:
                number, sound, picture = piece
                pipe.write(HEAD.pack(number, picture is not None) + sound.tobytes())
                if picture is not None:
                    pipe.write(np.ascontiguousarray(picture).data)
                pipe.flush()
        except OSError:
            pass  # the child has ended; what it told, or its exit status, says why
        finally:
            _close(pipe)

    def _hear(self, pipe: IO[bytes]) -> None:
        pictures, size = self.frames, self.bytes
        for line in pipe:
            told: dict[str, Any] = json.loads(line)
            self._heard = time.monotonic()
            if told["event"] == "connected":
                self._connected = True
                self._become_soon("live")
            elif told["event"] == "progress":
                self.frames, self.bytes = pictures + told["pictures"], size + told["bytes"]
            else:
                self._told = trouble(told["code"], told["said"])


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a child whose input has ended: it says goodbye to its server, or is killed."""
    try:
        child.wait(_END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _close(pipe: IO[bytes]) -> None:
    with contextlib.suppress(OSError):  # what was still to be written has nobody to read it
        pipe.close()


def _shown(url: str) -> str:
    """An address without anything secret that somebody put into it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
