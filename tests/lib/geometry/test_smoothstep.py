"""The smooth step."""

import numpy as np

from lib.geometry.smoothstep import smoothstep


def test_it_rises_from_0_to_1_and_is_level_at_both_ends():
    np.testing.assert_array_equal(smoothstep(np.array([-2.0, 0.0, 0.5, 1.0, 3.0])), [0, 0, 0.5, 1, 1])
    x = np.linspace(-0.5, 1.5, 2001)
    slope = np.gradient(smoothstep(x), x)
    assert slope.min() > -1e-9
    assert abs(slope[np.isclose(x, 0) | np.isclose(x, 1)]).max() < 0.01


def test_it_keeps_float32():
    assert smoothstep(np.zeros(3, np.float32)).dtype == np.float32
