"""Histograms of a face's colours: what looks like the examples is told from what looks like the rest."""

import numpy as np
import pytest

from lib.face_mask.skin_colours import LIMIT, ColourCells


@pytest.fixture
def picture():
    """Skin on the left, hair on the right, with noise, and a corner of a third colour."""
    generator = np.random.default_rng(0)
    colours = np.where(np.arange(60)[None, :, None] < 30, [200, 150, 130], [60, 40, 35])
    image = colours + generator.normal(0, 6, (60, 60, 3))
    image[:10, :10] = (20, 60, 200)
    return np.clip(image, 0, 255).astype(np.uint8)


def test_colours_like_the_examples_are_likelier(picture):
    skin, other = np.zeros((2, 60, 60))
    skin[20:30, 5:15] = 1
    other[20:30, 45:55] = 1
    ratio = ColourCells(picture).log_ratio(skin, other)
    assert np.median(ratio[40:, 2:28]) > 2
    assert np.median(ratio[40:, 32:]) < -2
    assert np.abs(ratio).max() <= LIMIT
    # Nobody has shown an example of the third colour.
    assert np.abs(ratio[2:8, 2:8]).max() < 0.3


def test_a_heavier_weight_counts_more(picture):
    skin, other = np.zeros((2, 60, 60))
    skin[20:40, 10:50] = np.where(np.arange(10, 50) < 30, 9.0, 1.0)
    other[20:40, 10:50] = np.where(np.arange(10, 50) < 30, 1.0, 9.0)
    ratio = ColourCells(picture).log_ratio(skin, other)
    assert np.median(ratio[45:, 2:28]) == pytest.approx(np.log(9), abs=0.3)


def test_what_covers_part_of_an_area_is_not_typical_of_it(picture):
    area = np.zeros((60, 60), bool)
    area[20:40, 6:34] = True  # four columns of hair
    typical = ColourCells(picture).typical(area)
    assert not typical[:, 31:].any()
    assert 0.6 < typical[area].mean() < 0.8
    assert not typical[~area].any()
