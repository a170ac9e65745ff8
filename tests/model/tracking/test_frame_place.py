"""Places of heads in frames: as the camera projects them, and the same from every crop."""

import numpy as np
import pytest
import tensorflow as tf

from lib.geometry.camera import Camera
from model.tracking.frame_place import crop_at, place_in_frame, translation_in_crop

CAMERA = Camera((112, 112))
CROP = np.array([[0.6, 0.0, -40.0], [0.0, 0.6, 12.0]])


def test_a_place_is_where_the_camera_sees_the_origin():
    translation = np.array([0.3, -0.2, 1.5])
    x, y, size = place_in_frame(CAMERA, translation, CROP)
    ends = translation + np.array([[0.0, 0, 0], [0.01, 0, 0]])
    in_crop = CAMERA.project(tf.constant(ends[None]))[0].numpy()
    in_frame = (in_crop - CROP[:, 2]) / 0.6
    assert (x, y) == pytest.approx(tuple(in_frame[0]))
    assert np.exp(size) == pytest.approx((in_frame[1, 0] - in_frame[0, 0]) / 0.01)


def test_every_crop_shows_the_same_place():
    translation = np.random.default_rng(0).normal(0, 0.4, (5, 3))
    crops = np.repeat(CROP[None], 5, axis=0) * np.array([1.0, 0.8, 1.2, 2.0, 0.5])[:, None, None]
    place = place_in_frame(CAMERA, translation, crops)
    np.testing.assert_allclose(translation_in_crop(CAMERA, place, crops), translation, atol=1e-12)
    other = place_in_frame(CAMERA, translation_in_crop(CAMERA, place, crops[::-1]), crops[::-1])
    np.testing.assert_allclose(other, place, atol=1e-12)


def test_in_the_crop_at_its_place_a_head_is_not_moved():
    place = np.array([320.0, 250.0, np.log(80.0)])
    np.testing.assert_allclose(translation_in_crop(CAMERA, place, crop_at(CAMERA, place)), 0, atol=1e-12)
