import itertools

import numpy as np
import pytest

from lipbank.config import SearchConfig
from lipbank.search import Beam, Units


@pytest.fixture
def units() -> Units:
    rng = np.random.default_rng(0)
    n = 60
    features = np.cumsum(rng.normal(size=(n, 4)), 0).astype(np.float32)
    looks = np.cumsum(rng.normal(size=(n, 3)), 0).astype(np.float32)
    return Units(features, looks, np.minimum(np.arange(n) + 1, n - 1))


def run(units, config, wanted):
    beam = Beam(units, config)
    out = [c for w in wanted for c in beam.push(w)]
    return [c.mouth for c in out + beam.flush()]


def cost(units, config, wanted, path) -> float:
    total = sum(float(((units.features[j] - w) ** 2).sum()) for j, w in zip(path, wanted, strict=True))
    for a, b in itertools.pairwise(path):
        total += config.continuity * float(((units.looks[units.following[a]] - units.looks[b]) ** 2).sum())
    return total


def test_one_choice_a_frame_whatever_the_delay(units):
    wanted = units.features[5:25] + 0.3
    for delay in (0, 1, 2, 50):
        beam = Beam(units, SearchConfig(delay=delay, candidates=8))
        early = [len(beam.push(w)) for w in wanted]
        assert sum(early) == max(0, len(wanted) - delay)
        assert sum(early) + len(beam.flush()) == len(wanted)


def test_a_long_delay_is_the_best_path(units):
    """Held against trying every path."""
    config = SearchConfig(delay=100, candidates=60, continuity=0.7)
    small = Units(units.features[:6], units.looks[:6], np.minimum(np.arange(6) + 1, 5))
    wanted = small.features[[0, 3, 1, 5]] + np.random.default_rng(1).normal(0, 1, (4, 4)).astype(np.float32)
    path = run(small, config, wanted)
    best = min(itertools.product(range(6), repeat=4), key=lambda p: cost(small, config, wanted, p))
    assert cost(small, config, wanted, path) == pytest.approx(cost(small, config, wanted, best), rel=1e-4)


def test_two_frames_of_delay_lose_little(units):
    rng = np.random.default_rng(2)
    wanted = (units.features[10:40] + rng.normal(0, 0.8, (30, 4))).astype(np.float32)
    costs = {d: cost(units, SearchConfig(), wanted, run(units, SearchConfig(delay=d), wanted)) for d in (0, 2, 100)}
    assert costs[100] <= costs[2] * 1.0001 <= costs[0] * 1.05
    assert costs[2] <= 1.3 * costs[100]


def test_its_own_features_play_the_recording(units):
    assert run(units, SearchConfig(), units.features[7:30]) == list(range(7, 30))


def test_the_next_is_foretold(units):
    beam = Beam(units, SearchConfig(delay=2))
    out = [c for w in units.features[7:30] for c in beam.push(w)] + beam.flush()
    assert [c.after for c in out[:-1]] == [c.mouth for c in out[1:]]
    assert out[-1].after is None


def test_barred_mouths_are_not_used(units):
    beam = Beam(units, SearchConfig())
    out = [c.mouth for k in range(7, 30) for c in beam.push(units.features[k], (k - 3, k + 4))]
    assert all(abs(j - k) > 3 for j, k in zip(out, range(7, 30), strict=False))


def test_reset_forgets(units):
    beam = Beam(units, SearchConfig())
    for w in units.features[:5]:
        beam.push(w)
    beam.reset()
    assert beam.flush() == []
    assert [c.mouth for w in units.features[7:12] for c in beam.push(w)] + [c.mouth for c in beam.flush()] == list(
        range(7, 12)
    )


def test_a_bank_smaller_than_the_beam(units):
    small = Units(units.features[:3], units.looks[:3], np.array([1, 2, 2]))
    assert len(run(small, SearchConfig(candidates=25), units.features[:10])) == 10


def test_shares_of_like_mouths_sum_to_one_and_name_the_nearest(units):
    beam = Beam(units, SearchConfig(delay=2, neighbours=4))
    out = [c for w in units.features[7:30] for c in beam.push(w)] + beam.flush()
    for k, choice in enumerate(out):
        assert sum(choice.near_weights) == pytest.approx(1)
        assert max(zip(choice.near_weights, choice.near, strict=True))[1] == 7 + k
    assert Beam(units, SearchConfig(neighbours=0, delay=0)).push(units.features[3])[0].near == ()
