"""Video in one place: what a file is, its pictures by presentation time, writing, the house form."""

from lipsync.media.frames import PixelFormat, VideoWriter, read_frames
from lipsync.media.normalise import conforms, normalise
from lipsync.media.probe import AudioInfo, MediaError, VideoInfo, probe

__all__ = [
    "AudioInfo",
    "MediaError",
    "PixelFormat",
    "VideoInfo",
    "VideoWriter",
    "conforms",
    "normalise",
    "probe",
    "read_frames",
]
