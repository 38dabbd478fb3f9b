"""One suite for every engine. Others subclass ``EngineContract`` and give a bundle."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lipsync import registry
from lipsync.bundle import Manifest, write_bundle
from lipsync.compositor import Compositor
from lipsync.engine import HOP, Engine
from lipsync.errors import BundleError
from tests.fakes.bar_engine import BarEngine, bar_length, write_bar_bundle


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise in syllables: loud and silent by turns, 16 kHz."""
    rng = np.random.default_rng(seed)
    n = int(seconds * 16000)
    t = np.arange(n) / 16000
    return (rng.normal(0, 0.2, n) * (np.sin(2 * np.pi * 2 * t) > 0)).astype(np.float32)


def same(a, b) -> bool:
    """The same picture up to rounding: sums of floats depend on how many rows are worked on at once."""
    return (a.x, a.y) == (b.x, b.y) and np.abs(a.i420.astype(int) - b.i420).max() <= 2


class EngineContract:
    """Subclasses provide the fixtures ``cls`` (the engine's class) and ``bundle`` (a folder of it)."""

    @pytest.fixture
    def engine(self, cls, bundle):
        engine = cls.load(bundle, "cpu")
        yield engine
        engine.close()

    def test_a_drive_for_every_hop(self, engine):
        for samples in (HOP * 10, HOP * 10 + 1, HOP * 11 - 1, 1, 0):
            stream = engine.open_stream()
            pcm = speech(1.0)[:samples]
            drives = list(stream.push(pcm)) + list(stream.flush())
            assert len(drives) == -(-samples // HOP)

    def test_chunked_equals_whole(self, engine):
        pcm = speech(1.3)
        whole = engine.open_stream()
        want = [*whole.push(pcm), *whole.flush()]
        chunked = engine.open_stream()
        got = []
        for start, size in zip(
            np.cumsum([0, *[77, 640, 1921, 5, 3000] * 9]), [77, 640, 1921, 5, 3000] * 9, strict=False
        ):
            got += chunked.push(pcm[start : start + size])
        got += chunked.flush()
        assert len(got) == len(want)
        a, b = (engine.infer([(0, d) for d in drives[:8]]) for drives in (want, got))
        for p, q in zip(a, b, strict=True):
            assert same(p, q)

    def test_drives_come_within_the_lookahead(self, engine):
        stream = engine.open_stream()
        ahead = -(-engine.capabilities.lookahead_ms // 40)
        pcm = speech(1.0)
        got = 0
        for k in range(25):
            got += len(stream.push(pcm[k * HOP : (k + 1) * HOP]))
            assert got >= k + 1 - ahead

    def test_reset_and_flush_begin_anew(self, engine):
        stream = engine.open_stream()
        pcm = speech(0.6)
        first = [*stream.push(pcm), *stream.flush()]
        again = [*stream.push(pcm), *stream.flush()]
        stream.push(speech(0.5, seed=3))
        stream.reset()
        third = [*stream.push(pcm), *stream.flush()]
        pictures = [engine.infer([(0, d) for d in drives[:5]]) for drives in (first, again, third)]
        for other in pictures[1:]:
            for p, q in zip(pictures[0], other, strict=True):
                assert same(p, q)

    def test_streams_do_not_disturb_each_other(self, engine):
        pcm = speech(0.6)
        alone = engine.open_stream()
        want = [*alone.push(pcm), *alone.flush()]
        one, two = engine.open_stream(), engine.open_stream()
        got = []
        for k in range(0, len(pcm), HOP):
            got += one.push(pcm[k : k + HOP])
            two.push(speech(0.04, seed=k))
        got += one.flush()
        for p, q in zip(engine.infer([(0, d) for d in want[:6]]), engine.infer([(0, d) for d in got[:6]]), strict=True):
            assert same(p, q)

    def test_infer_is_stateless_and_batched(self, engine):
        stream = engine.open_stream()
        drives = [*stream.push(speech(0.5)), *stream.flush()]
        last = engine.base.n - 1
        items = [(0, drives[3]), (last, engine.rest), (1 % engine.base.n, drives[8])]
        together = engine.infer(items)
        for item, patch in zip(items[::-1], together[::-1], strict=True):
            assert same(engine.infer([item])[0], patch)
        assert engine.infer([]) == []

    def test_patches_fit_the_frame(self, engine):
        base = engine.base
        for index in (0, base.n // 2, base.n - 1):
            patch = engine.infer([(index, engine.rest)])[0]
            h, w = patch.i420.shape[0] * 2 // 3, patch.i420.shape[1]
            assert patch.i420.dtype == np.uint8
            assert patch.i420.shape == (h * 3 // 2, w)
            assert (patch.x | patch.y | w | h) % 2 == 0
            assert min(patch.x, patch.y) >= 0
            assert patch.x + w <= base.width and patch.y + h <= base.height
            frame = Compositor(base).compose(index, patch)
            assert frame.shape == base.i420(index).shape

    def test_sound_moves_the_picture_and_silence_does_not(self, engine):
        stream = engine.open_stream()
        drives = [*stream.push(np.zeros(HOP * 40, np.float32)), *stream.flush()]
        quiet = [p.i420.astype(int) for p in engine.infer([(0, d) for d in drives[-10:]])]
        loud_drives = [*stream.push(speech(1.6)), *stream.flush()]
        loud = [p.i420.astype(int) for p in engine.infer([(0, d) for d in loud_drives[10:]])]
        moving = np.mean([np.abs(a - b).mean() for a, b in itertools.pairwise(loud)])
        still = np.mean([np.abs(a - b).mean() for a, b in itertools.pairwise(quiet)])
        assert moving > 2 * still

    def test_rebase_draws_on_other_frames(self, engine):
        from lipsync.frame_cycle import BaseClip

        frames = np.stack([engine.base.i420(i) for i in range(engine.base.n)])[::-1].copy()
        other = engine.rebase(BaseClip(frames, engine.base.landmarks[::-1].copy()))
        assert other.base.n == engine.base.n
        patch = other.infer([(0, other.rest)])[0]
        assert patch.i420.size > 0

    def test_warm_up_and_close_twice(self, cls, bundle):
        engine = cls.load(bundle)
        engine.warm_up()
        engine.close()
        engine.close()

    def test_a_bundle_of_another_engine_is_refused(self, cls, tmp_path):
        manifest = Manifest("x", "1", "avatar", "another", 16000, (8, 8, 3), "none")
        write_bundle(tmp_path / "b", manifest, {"a": np.zeros(1, np.float32)})
        with pytest.raises(BundleError):
            cls.load(tmp_path / "b")

    def test_the_registry_loads_it(self, cls, bundle):
        engine = registry.engine_for(bundle, "cpu")
        assert type(engine) is cls and isinstance(engine, Engine)
        engine.close()


class TestBarEngine(EngineContract):
    @pytest.fixture
    def cls(self):
        return BarEngine

    @pytest.fixture
    def bundle(self, tmp_path):
        return write_bar_bundle(tmp_path / "bar", frames=10)

    def test_louder_is_longer(self, engine):
        stream = engine.open_stream()
        pcm = np.repeat(np.array([0.0, 0.1, 0.3], np.float32), HOP)
        drives = [*stream.push(pcm), *stream.flush()]
        compose = Compositor(engine.base).compose
        lengths = [bar_length(compose(0, engine.infer([(0, d)])[0]), engine.base) for d in drives]
        assert lengths[0] == 0 and lengths[0] < lengths[1] < lengths[2] == 1
