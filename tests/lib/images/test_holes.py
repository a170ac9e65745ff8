"""Holes in the mask of a rendering."""

import numpy as np

from lib.images.holes import feathered, with_filled_holes, without_holes


def test_holes_are_filled_and_bays_are_not():
    mask = np.zeros([9, 9, 1], np.float32)
    mask[1:8, 1:8] = 0.75
    mask[3:5, 3:5] = mask[0:3, 6] = 0.25
    filled = without_holes(mask)
    assert (filled[3:5, 3:5] == 1).all()
    assert (filled[0:3, 6] == mask[0:3, 6]).all(), "open at the border"
    assert (filled[1, 1:6] == 0.75).all(), "the rest is kept"


def test_holes_take_the_colours_around_them_and_are_dark_in_their_middle():
    picture, mask = np.zeros([224, 224, 3], np.float32), np.zeros([224, 224, 1], np.float32)
    picture[20:200, 20:200], mask[20:200, 20:200] = (0.8, 0.4, 0.2), 1
    mask[50:53, 50:90] = mask[100:160, 100:160] = 0  # a gap beside the teeth, and a mouth wide open
    picture *= mask
    filled = with_filled_holes(picture, mask)
    np.testing.assert_allclose(filled[50:53, 52:88], np.broadcast_to([0.8, 0.4, 0.2], (3, 36, 3)), rtol=0.2)
    assert filled[125:135, 125:135].max() == 0
    np.testing.assert_allclose(filled[101, 130], filled[101, 130, 0] * np.array([1, 0.5, 0.25]), rtol=1e-3)
    outside = mask[..., 0] >= 0.5
    outside[:20] = outside[200:] = outside[:, :20] = outside[:, 200:] = True
    np.testing.assert_array_equal(filled[outside], picture[outside])
    assert with_filled_holes(filled, np.ones_like(mask)) is filled


def test_edges_are_feathered_and_colours_go_on_beyond_them():
    mask = np.zeros([20, 20, 1], np.float32)
    mask[:, 8:] = 1
    picture = np.uint8(mask * (200, 100, 50))
    found = feathered(picture, mask)
    np.testing.assert_array_equal(found[..., :3], np.broadcast_to([200, 100, 50], (20, 20, 3)))
    assert (np.diff(found[10, :, 3].astype(int)) >= 0).all()
    assert 20 < found[10, 7, 3] < 128 < found[10, 8, 3] < 235
    assert found[10, 3, 3] == 0
    assert found[10, 13, 3] == 255
    assert found[0, 13, 3] == 255, "the picture's own border is no edge"
