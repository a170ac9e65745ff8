"""Smoothing of trajectories: no lag, noise gone, gaps bridged."""

import numpy as np
import pytest

from configs import schema
from lib.errors import UserError
from model.video.face_track import nearest_rows
from model.video.smoothing import LEAST_CUTOFF, smooth, stiffness
from model.video.track import usable_cutoff

RATE = 25.0


def test_solves_the_energy_it_documents():
    generator = np.random.default_rng(0)
    values, weights = generator.normal(size=(9, 2)), generator.uniform(0.1, 2, 9)
    difference = np.diff(np.eye(9), n=2, axis=0)
    expected = np.linalg.solve(np.diag(weights) + 3.0 * difference.T @ difference, weights[:, None] * values)
    np.testing.assert_allclose(smooth(values, weights, 3.0), expected, atol=1e-10)


@pytest.mark.parametrize(
    ("cutoff", "frequency", "amplitude"),
    [(4.0, 4.0, 0.5), (1.0, 1.0, 0.5), (8.0, 8.0, 0.5), (4.0, 1.0, 1.0), (4.0, 10.0, 0.06)],
)
def test_the_cutoff_halves_and_nothing_is_delayed(cutoff, frequency, amplitude):
    frames = np.arange(400)
    wave = np.exp(2j * np.pi * frequency * frames / RATE)
    smoothed = smooth(wave.real[:, None], np.ones(400), stiffness(cutoff, RATE))[:, 0]
    response = 2 * np.mean(smoothed[100:300] * wave.conj()[100:300])  # whole periods
    assert abs(response - amplitude) < 0.04
    assert abs(response.imag) < 0.01


def test_bridges_missing_frames_and_does_not_read_them():
    line = np.linspace(0, 5, 20)[:, None]
    weights = np.ones(20)
    weights[7:11] = weights[:2] = 0
    broken = np.where(weights[:, None] > 0, line, np.nan)
    np.testing.assert_allclose(smooth(broken, weights, 100.0), line, atol=1e-6)


def test_two_known_frames_are_joined_by_a_line():
    result = smooth(np.array([[0.0], [9.0], [2.0]]), np.array([1, 0, 1]), 1.0)
    np.testing.assert_allclose(result[:, 0], [0, 1, 2])


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match="at least"):
        smooth(np.zeros((3, 1)), np.zeros(3), 1.0)
    with pytest.raises(ValueError, match="cutoff"):
        stiffness(13.0, RATE)
    with pytest.raises(ValueError, match=r"cutoff must be 0\.0125 to 12\.5 Hz at 25 frames a second, got 0\.012"):
        stiffness(0.012, RATE)


def test_frames_too_slow_for_the_default_are_smoothed_as_little_as_they_can_be(capsys):
    default = schema.load().test.smoothing
    assert usable_cutoff(default, 25) == default
    assert capsys.readouterr().out == ""
    assert usable_cutoff(default, 0.5) == 0.25
    assert capsys.readouterr().out == f"test.smoothing: 0.25 Hz, half the frame rate, in place of {default:g} Hz\n"
    with pytest.raises(UserError, match=r"test\.smoothing: cutoff must be 0\.0125 to 12\.5 Hz"):
        usable_cutoff(0.01, 25)


def test_the_lowest_cutoff_is_still_exact():
    """Rounding is amplified by the stiffness; below it, the line bends or the equations cannot be solved."""
    line, weights = np.linspace(500, 900, 600)[:, None], np.ones(600)
    weights[200:212] = 0
    found = smooth(line, weights, stiffness(LEAST_CUTOFF * RATE, RATE))
    np.testing.assert_allclose(found, line, atol=0.05)


def test_a_long_video_needs_little_memory():
    frames = np.arange(3, 300_000, 3)
    nearest = nearest_rows(frames, 300_000)  # a table of all distances would have 240 GB
    assert nearest[:8].tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    assert (nearest[-1], nearest_rows(np.array([4]), 9).tolist()) == (len(frames) - 1, [0] * 9)
    assert nearest_rows(np.array([0, 4]), 6).tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(ValueError, match=r"\[T, D\]"):
        smooth(np.zeros(3), np.ones(3), 1.0)
