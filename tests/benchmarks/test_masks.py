"""The benchmark's measures of a mask, on rectangles whose areas are known."""

import numpy as np
import pytest

from benchmarks.masks import compare, drawn, overlay, summarise


def block(rows, columns):
    mask = np.zeros((20, 20), bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


def test_areas_by_hand():
    face, occluders, mask = block((0, 10), (0, 10)), block((0, 2), (0, 20)), block((1, 12), (0, 10))
    numbers = compare(mask, face, occluders)
    assert numbers["iou"] == pytest.approx(80 / 110)
    assert numbers["lost"] == 0
    assert numbers["leak"] == pytest.approx(0.5)
    other = compare(block((2, 6), (0, 10)), face, np.zeros((20, 20), bool))
    assert other["lost"] == pytest.approx(0.6)
    summary = summarise({"a": {**numbers, "seconds": 1.0}, "b": {**other, "seconds": 3.0}})
    assert summary["leak"] == pytest.approx(0.5), "a photo without occluders does not count"
    assert summary["iou_lowest"] == pytest.approx(0.4)
    assert summary["lost"] == pytest.approx(0.3)
    assert summary["seconds"] == 2.0


def test_polygons_are_moved_into_the_crop_and_joined():
    to_crop = np.array([[0.5, 0, 1], [0, 0.5, 2]])
    square, other = [[4, 4], [20, 4], [20, 20], [4, 20]], [[20, 4], [28, 4], [28, 20], [20, 20]]
    expected = np.zeros((20, 20), bool)
    expected[4:12, 3:15] = True
    found = drawn([square, other], to_crop, 20)
    assert (found ^ expected).sum() <= 24  # half a pixel along the border
    np.testing.assert_array_equal(drawn([], to_crop, 20), False)


def test_colours_of_the_overlay():
    crop = np.full((20, 20, 3), 100, np.uint8)
    picture = overlay(crop, block((0, 10), (0, 10)), block((5, 15), (0, 10)), np.zeros((20, 20), bool))
    right = picture[:, 60:]
    assert right[21, 15].argmax() == 1, "skin found"
    assert right[6, 15].argmax() == 0, "not skin"
    assert right[39, 15].argmax() == 2, "skin missed"
    np.testing.assert_array_equal(right[55, 55], 100)
