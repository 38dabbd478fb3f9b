"""A recogniser that fails again and again is asked less and less, and told of once."""

from __future__ import annotations

from apps.control_api.live_runtime.readiness import LONGEST_S, Readiness


def test_waits_grow_to_a_bound_and_an_answer_ends_them() -> None:
    now = 100.0
    readiness = Readiness(lambda: now)
    assert not readiness.waits
    assert readiness.failed(may_retry=False), "the first is told"
    lengths = []
    for _ in range(12):
        assert readiness.waits
        began = now
        while readiness.waits:
            now += 0.5
        lengths.append(now - began)
        assert not readiness.failed(may_retry=False), "the rest is not"
    assert lengths[:4] == [2.0, 4.0, 8.0, 16.0]
    assert lengths[-1] == LONGEST_S
    readiness.answered()
    assert not readiness.waits
    assert readiness.failed(may_retry=False), "a new failure is news"


def test_a_slip_costs_no_wait_but_two_do() -> None:
    readiness = Readiness(lambda: 0.0)
    assert readiness.failed(may_retry=True)
    assert not readiness.waits
    assert not readiness.failed(may_retry=True)
    assert readiness.waits
