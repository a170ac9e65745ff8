"""The One-Euro filter: by hand, at rest and in motion."""

import numpy as np
import pytest

from model.tracking.one_euro import OneEuroFilter

RATE = 30.0


def filtered(values, cutoff, slope, unit=1.0):
    smooth = OneEuroFilter(cutoff, slope)
    return np.stack([smooth(row, frame / RATE, unit) for frame, row in enumerate(values)])


def test_two_steps_by_hand():
    smooth = OneEuroFilter(cutoff=2.0, slope=0.5)
    assert smooth(np.array([1.0]), 0.0) == [1.0]
    # Speed 10 units a second; its own smoothing, of 1 Hz, takes a share of 1 / (1 + 1 / (2 pi 0.1)) of it.
    speed = 10 / (1 + 1 / (0.2 * np.pi))
    share = 1 / (1 + 1 / (2 * np.pi * (2 + 0.5 * speed) * 0.1))
    assert smooth(np.array([2.0]), 0.1) == pytest.approx([1 + share])


def test_noise_at_rest_is_reduced_and_motion_hardly_delayed():
    noise = np.random.default_rng(0).normal(0, 0.01, (300, 1))
    assert filtered(noise, 1.0, 1.0)[30:].std() < 0.4 * noise.std()
    for speed in (2.0, -2.0):
        ramp = speed * np.arange(60)[:, None] / RATE
        delays = [(ramp - filtered(ramp, 1.0, slope))[-1, 0] / speed for slope in (0.0, 5.0)]
        assert delays[0] == pytest.approx(1 / (2 * np.pi), rel=0.01)  # an exponential filter lags by its time constant
        assert 0 < delays[1] < 0.02


def test_speed_is_measured_in_the_unit_given():
    ramp = np.arange(30)[:, None] / RATE
    np.testing.assert_allclose(filtered(100 * ramp, 1.0, 3.0, unit=100.0), 100 * filtered(ramp, 1.0, 3.0))
    both = filtered(np.hstack([ramp, 100 * ramp]), 1.0, 3.0, unit=np.array([1.0, 100.0]))
    np.testing.assert_allclose(both[:, 1], 100 * both[:, 0])


def test_a_reset_filter_starts_anew():
    smooth, fresh = OneEuroFilter(1.0, 1.0), OneEuroFilter(1.0, 1.0)
    for frame in range(5):
        smooth(np.array([float(frame)]), frame / RATE)
    smooth.reset()
    for frame, value in enumerate((90.0, 91.0, 90.5), 5):
        assert smooth(np.array([value]), frame / RATE) == fresh(np.array([value]), frame / RATE)


def test_time_must_pass():
    smooth = OneEuroFilter(1.0, 0.0)
    smooth(np.zeros(2), 1.0)
    with pytest.raises(ValueError, match="seconds must increase, got 1 after 1"):
        smooth(np.zeros(2), 1.0)
