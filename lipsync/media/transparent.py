"""Films one can lay over others: pictures with a matte, as VP9 in WebM or ProRes 4444 in MOV.

Straight alpha: colours are those of the person alone, so that what stands behind may be anything. VP9 carries the matte
as a second picture beside the first (the WebM project's "alpha_mode"); browsers, OBS and ffmpeg's libvpx-vp9 decoder
know it. ProRes 4444 has it as a fourth plane, for cutting programs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import av
import av.error
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from lipsync.engine import FPS
from lipsync.errors import InvalidInputError
from lipsync.media.probe import MediaError, open_input, picture_stream

Picture = NDArray[np.uint8]
_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
_FORMS: dict[str, dict[str, Any]] = {
    ".webm": {
        "format": "webm",
        "codec": "libvpx-vp9",
        "pix_fmt": "yuva420p",
        "sound": "libopus",
        "movflags": "",
        "options": {"deadline": "realtime", "cpu-used": "6", "row-mt": "1", "b": "0", "g": "50"},
    },
    ".mov": {
        "format": "mov",
        "codec": "prores_ks",
        "pix_fmt": "yuva444p10le",
        "sound": "pcm_s16le",
        "movflags": "+faststart+use_metadata_tags",
        "options": {"profile": "4444", "alpha_bits": "8"},
    },
}


def available() -> list[str]:
    """The endings of file names that can be written with transparency here."""
    return [ending for ending, form in _FORMS.items() if form["codec"] in av.codecs_available]


class TransparentWriter:
    """Write pictures with mattes (and sound), in step from sample 0 and picture 0. A context manager.

    Args:
        path: Where to write; ".webm" gives VP9 and Opus, ".mov" ProRes 4444 and PCM.
        w, h: Size of the pictures, even.
        fps: Pictures a second.
        audio_rate: Samples a second of the sound, None for none; WebM takes 8, 12, 16, 24 or 48 kHz.
        crf: Quality of VP9, 0 (best) to 63; ProRes has its own.
        pix: What ``write`` is given: "bgr24" (h, w, 3), or "yuv420p" (h * 3 // 2, w), BT.601 limited range.
        metadata: Tags of the file.

    Raises:
        InvalidInputError: the ending is another, or its encoder is not built in here.
        ValueError: odd sizes, or a rate of sound that Opus does not have.
    """

    def __init__(
        self,
        path: Path | str,
        w: int,
        h: int,
        fps: int | Fraction = FPS,
        *,
        audio_rate: int | None = None,
        crf: int = 24,
        pix: Literal["bgr24", "yuv420p"] = "bgr24",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        ending = Path(path).suffix.lower()
        if ending not in available():
            raise InvalidInputError(
                f"A film with transparency cannot be written as {ending or 'a file without an ending'}.",
                f"Choose one of: {', '.join(available()) or 'none on this machine'}.",
            )
        if w % 2 or h % 2 or w <= 0 or h <= 0:
            raise ValueError(f"video size must be even and positive, not {w}x{h}")
        form = _FORMS[ending]
        if ending == ".webm" and audio_rate is not None and audio_rate not in _OPUS_RATES:
            raise ValueError(f"WebM has no sound of {audio_rate} Hz")
        self._w, self._h, self._pix = w, h, pix
        self._shape = (h, w, 3) if pix == "bgr24" else (h * 3 // 2, w)
        self._rate = audio_rate or 0
        self._frames = self._samples = 0
        self._closed = False
        flags = {"movflags": form["movflags"]} if form["movflags"] else {}
        self._container = av.open(str(path), "w", format=form["format"], options=flags)
        self._container.metadata.update(metadata or {})
        options = form["options"] | ({"crf": str(crf)} if ending == ".webm" else {})
        video: Any = self._container.add_stream(form["codec"], rate=Fraction(fps), options=options)
        video.width, video.height, video.pix_fmt = w, h, form["pix_fmt"]
        video.codec_context.time_base = 1 / Fraction(fps)
        video.codec_context.colorspace, video.codec_context.color_range = 6, 1
        self._video = video
        self._audio: Any = None
        if audio_rate is not None:
            self._audio = self._container.add_stream(form["sound"], rate=audio_rate, layout="mono")

    def write(self, frame: Picture, alpha: Picture) -> None:
        """Add a picture of the shape named at the beginning, and its matte: uint8 (h, w), 255 solid."""
        if frame.shape != self._shape or frame.dtype != np.uint8:
            raise ValueError(f"expected uint8 {self._shape}, got {frame.dtype} {frame.shape}")
        if alpha.shape != (self._h, self._w) or alpha.dtype != np.uint8:
            raise ValueError(f"expected a matte of uint8 {(self._h, self._w)}, got {alpha.dtype} {alpha.shape}")
        if self._pix == "bgr24":
            coloured = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="bgr24")
            planes = coloured.to_ndarray(
                format="yuv420p", dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG
            )
            frame = np.asarray(planes, np.uint8)
        picture = _with_matte(frame, alpha)
        if picture.format.name != self._video.pix_fmt:
            picture = picture.reformat(format=self._video.pix_fmt)
        picture.pts = self._frames
        picture.time_base = 1 / Fraction(self._video.codec_context.framerate)
        self._frames += 1
        self._container.mux(self._video.encode(picture))

    def write_audio(self, pcm: NDArray[np.floating]) -> None:
        """Add sound: float mono, -1..1, any length, following what was written before."""
        if self._audio is None:
            raise ValueError("the writer was opened without sound")
        samples = np.clip(np.asarray(pcm, np.float32).reshape(1, -1), -1.0, 1.0)
        if not samples.size:
            return
        whole = np.ascontiguousarray(np.round(samples * 32767).astype(np.int16))
        sound = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = self._rate, self._samples, Fraction(1, self._rate)
        self._samples += whole.shape[1]
        self._container.mux(self._audio.encode(sound))

    def close(self) -> None:
        """Finish the file. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._frames:
                self._container.mux(self._video.encode(None))
            if self._audio is not None and self._samples:
                self._container.mux(self._audio.encode(None))
        finally:
            self._container.close()

    def __enter__(self) -> TransparentWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_transparent(path: Path | str) -> Iterator[tuple[Picture, Picture]]:
    """Pictures of such a film with their mattes, in order: BGR uint8 (h, w, 3) and uint8 (h, w).

    Raises:
        MediaError: the file cannot be read, or has no matte (reason ``no_alpha``).
    """
    with open_input(path) as container:
        stream = picture_stream(container)
        if stream is None or stream.codec_context is None:
            raise MediaError("no_video", "The file has no picture track.", "Choose a film with transparency.")
        # FFmpeg's own VP9 decoder passes over the second picture; libvpx's is asked for by name.
        is_vp9 = stream.codec_context.name in ("vp9", "libvpx-vp9")
        decoder: Any = av.CodecContext.create("libvpx-vp9", "r") if is_vp9 else stream.codec_context
        try:
            for packet in container.demux(stream):
                for frame in decoder.decode(packet if packet.size else None):
                    yield _taken_apart(frame)
        except av.error.EOFError:
            return
        except av.error.FFmpegError as exc:
            raise MediaError("undecodable", "The picture track cannot be decoded.", "Make the film again.") from exc


def _with_matte(i420: Picture, alpha: Picture) -> av.VideoFrame:
    h, w = alpha.shape
    flat = np.ascontiguousarray(i420).reshape(-1)
    quarter = h * w // 4
    planes = (
        flat[: h * w].reshape(h, w),
        flat[h * w : h * w + quarter].reshape(h // 2, w // 2),
        flat[h * w + quarter :].reshape(h // 2, w // 2),
        alpha,
    )
    picture = av.VideoFrame(w, h, "yuva420p")
    for plane, values in zip(picture.planes, planes, strict=True):
        padded = np.zeros((values.shape[0], plane.line_size), np.uint8)
        padded[:, : values.shape[1]] = values
        plane.update(padded.tobytes()[: plane.buffer_size])
    picture.colorspace, picture.color_range = int(Colorspace.ITU601), int(ColorRange.MPEG)
    return picture


def _taken_apart(frame: Any) -> tuple[Picture, Picture]:
    if len(frame.format.components) != 4:
        raise MediaError("no_alpha", "The film has no transparency.", "Choose one that was made with it.")
    bgra = frame.to_ndarray(format="bgra", src_colorspace=Colorspace.ITU601)
    return np.ascontiguousarray(bgra[..., :3]), np.ascontiguousarray(bgra[..., 3])
