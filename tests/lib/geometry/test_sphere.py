"""A sphere from points on its front."""

import numpy as np
import pytest

from lib.geometry.sphere import fit_sphere


def test_centre_and_radius_from_the_front_of_a_ball():
    directions = np.random.default_rng(0).normal(size=(200, 3)) * [1, 1, 0] + [0, 0, 3]
    points = [1, 2, 3] + 0.12 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    centre, radius = fit_sphere(points)
    np.testing.assert_allclose(centre, [1, 2, 3], atol=1e-9)
    assert radius == pytest.approx(0.12, abs=1e-9)
