import itertools

import pytest

from model.runs import schedule


def test_warmup_rises_to_the_peak_then_falls_to_zero():
    rates = [schedule.warmup_cosine(u, 200, 3e-3, 20) for u in range(201)]
    assert rates[0] == pytest.approx(3e-3 / 20)
    assert rates[19] == rates[20] == max(rates) == pytest.approx(3e-3)
    assert rates[110] == pytest.approx(1.5e-3)
    assert rates[200] == pytest.approx(0.0, abs=1e-12)
    assert all(a > b for a, b in itertools.pairwise(rates[20:]))


def test_a_run_without_warmup_starts_at_the_peak():
    assert schedule.warmup_cosine(0, 10, 1.0, 0) == 1.0


@pytest.mark.parametrize(("total", "warmup"), [(5, 0), (10, 1), (16, 1), (50, 5)])
def test_short_runs_reach_the_peak_and_decay(total, warmup):
    rates = [schedule.warmup_cosine(update, total, 1.0, 20) for update in range(total)]
    assert max(rates) == rates[max(warmup - 1, 0)] == 1.0
    assert rates[-1] < 0.12
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)


def test_staircase_decays_per_epoch():
    assert schedule.staircase_decay(0, 1e-4, 0.98) == 1e-4
    assert schedule.staircase_decay(2, 1e-4, 0.98) == pytest.approx(1e-4 * 0.9604)


@pytest.mark.parametrize(
    ("epoch", "coarse", "render"), [(0, 1, 0), (1, 0.8, 0.2), (4, 0.2, 0.8), (5, 0.2, 1), (40, 0.2, 1)]
)
def test_published_weights(epoch, coarse, render):
    assert schedule.published_stage_weights(epoch) == pytest.approx((coarse, render))


def test_coarse_weight_is_linear_then_constant():
    assert schedule.coarse_decay(0, 100, 1.0, 0.1, 0.1) == 1.0
    assert schedule.coarse_decay(5, 100, 1.0, 0.1, 0.1) == pytest.approx(0.55)
    for update in (10, 99):
        assert schedule.coarse_decay(update, 100, 1.0, 0.1, 0.1) == pytest.approx(0.1)


def test_a_coarse_weight_that_decays_over_no_share_of_the_run_has_ended_at_once():
    assert schedule.coarse_decay(0, 100, 1.0, 0.1, 0.0) == 0.1
