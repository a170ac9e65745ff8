"""Lengths in the wide picture around a crop follow the size of the crops."""

import numpy as np
import pytest

from lib.geometry.camera import Camera
from model.whole_head.scalp_mesh import reference_scale, well_inside, widened


@pytest.mark.parametrize(("crop", "left_out"), [(32, 1), (224, 2), (1024, 9)])
def test_what_is_mixed_at_outlines_is_left_out(crop, left_out):
    side = widened(Camera((crop, crop))).image_size[0]
    assert reference_scale(side) == pytest.approx(crop / 224, rel=0.02)
    part = np.zeros([side, side], bool)
    part[10:40, 10:] = True
    expected = np.zeros_like(part)
    expected[10 + left_out : 40 - left_out, 10 + left_out :] = True  # the picture's border is no outline
    np.testing.assert_array_equal(well_inside(part), expected)
