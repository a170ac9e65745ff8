"""The renderer's camera matrices, as the package computed them and by hand."""

import numpy as np
import pytest
import tensorflow as tf

from lib.mesh_renderer import camera_utils
from tests.support.helpers import assert_close
from tests.support.pictures.renderer_scenes import CENTER, EYE, SCENES, UP, scene_arrays


@pytest.mark.parametrize("scene", SCENES)
def test_reference_camera(scene):
    arrays = scene_arrays(scene)
    view = camera_utils.look_at([EYE], [CENTER], [UP])
    projection = camera_utils.perspective(1.0, [12.5936], [0.01], [50.0])
    assert_close(tf.matmul(projection, view)[0], arrays["mvp"])
    world = arrays["world_vertices"][None]
    assert_close(camera_utils.transform_homogeneous(view, world)[0, :, :3], arrays["camera_space_vertices"])
    assert_close(camera_utils.transform_homogeneous(arrays["mvp"][None], world)[0], arrays["clip_vertices"])


def test_perspective_maps_the_corners_of_the_frustum_to_those_of_the_cube():
    near, far, half = 0.5, 7.0, np.tan(np.radians(25))
    matrix = camera_utils.perspective(1.5, [50.0, 20.0], near, [far, far])
    assert matrix.shape == (2, 4, 4)
    for distance, depth in ((near, -1), (far, 1)):
        corner = [[[1.5 * half * distance, half * distance, -distance]]]
        x, y, z, w = camera_utils.transform_homogeneous(matrix[:1], corner).numpy()[0, 0]
        assert_close([x / w, y / w, z / w, w], [1, 1, depth, distance], 1e-5)


def test_look_at_puts_the_gaze_on_minus_z_and_up_in_the_upper_half():
    generator = np.random.default_rng(0)
    eye, center, up = generator.normal(size=(3, 5, 3)).astype(np.float32)
    matrices = camera_utils.look_at(eye, center, up)
    rotation = matrices.numpy()[:, :3, :3]
    assert_close(rotation @ rotation.transpose(0, 2, 1), np.tile(np.eye(3), (5, 1, 1)), 1e-5)
    assert_close(np.linalg.det(rotation), np.ones(5), 1e-5)
    seen = camera_utils.transform_homogeneous(matrices, np.stack([eye, center, eye + up], axis=1)).numpy()
    assert_close(seen[:, 0], [[0, 0, 0, 1]] * 5, 1e-5)
    distance = np.linalg.norm(center - eye, axis=1)
    assert_close(seen[:, 1, :3], np.stack([0 * distance, 0 * distance, -distance], axis=1), 1e-5)
    assert np.abs(seen[:, 2, 0]).max() < 1e-5
    assert (seen[:, 2, 1] > 0).all()
    for bad_center, bad_up in ((eye, up), (center, center - eye), (center, 0 * up)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="must"):
            camera_utils.look_at(eye, bad_center, bad_up)


def test_euler_matrices_are_rotations_about_x_then_y_then_z():
    a, b, c = 0.3, -0.7, 1.1

    def about(axis, angle):
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        matrix = np.eye(4)
        matrix[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        return matrix

    expected = about(2, c) @ about(1, b) @ about(0, a)
    assert_close(camera_utils.euler_matrices([[0.0, 0.0, 0.0], [a, b, c]]), np.stack([np.eye(4), expected]), 1e-6)
