"""Properties of rotations and the camera that must hold for any angles and points."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.geometry.camera import Camera
from lib.geometry.rotation import rotation_matrix

ANGLES = st.tuples(*[st.floats(-10, 10)] * 3)
# In front of the camera at (0, 0, 10) by a decimetre and more.
POINTS = st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(-20, 9.5))
CAMERAS = st.builds(
    Camera,
    image_size=st.tuples(st.integers(1, 500), st.integers(1, 500)),
    focal_ratio=st.floats(0.5, 8),
    near=st.floats(0.05, 0.4),
    far=st.floats(31, 200),
)
tested = settings(max_examples=50, deadline=None)


def rotation(angles):
    return rotation_matrix(tf.constant([angles], tf.float64)).numpy()[0]


@tested
@given(ANGLES)
def test_rotations_are_proper(angles):
    matrix = rotation(angles)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(matrix), 1, atol=1e-12)


@tested
@given(ANGLES)
def test_a_rotation_is_pitch_then_yaw_then_roll(angles):
    pitch, yaw, roll = angles
    steps = rotation((pitch, 0, 0)) @ rotation((0, yaw, 0)) @ rotation((0, 0, roll))
    np.testing.assert_allclose(rotation(angles), steps, atol=1e-12)


@tested
@given(ANGLES, st.tuples(*[st.integers(-2, 2)] * 3))
def test_angles_are_periodic(angles, turns):
    np.testing.assert_allclose(rotation(np.add(angles, 2 * np.pi * np.array(turns))), rotation(angles), atol=1e-9)


@tested
@given(CAMERAS, POINTS)
def test_projection_and_clip_coordinates_agree(camera, point):
    points = tf.constant([[point]], tf.float64)
    height, width = camera.image_size
    x, y, z, w = camera.clip_coordinates(points).numpy()[0, 0]
    pixel = camera.project(points).numpy()[0, 0]
    np.testing.assert_allclose(((x / w + 1) * width / 2, (1 - y / w) * height / 2), pixel, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(camera.depth_of_clip(z / w), camera.depth(points).numpy()[0, 0], rtol=1e-7)


@tested
@given(CAMERAS, POINTS, st.floats(0.1, 3))
def test_points_on_one_ray_share_a_pixel(camera, point, factor):
    eye = np.array([0.0, 0.0, camera.distance])
    farther = eye + (np.array(point) - eye) * (1 + factor)
    pixels = camera.project(tf.constant([[point, farther]], tf.float64)).numpy()[0]
    np.testing.assert_allclose(pixels[0], pixels[1], rtol=1e-9, atol=1e-7)
