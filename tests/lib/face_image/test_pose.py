"""The five-point pose: what was projected is found again."""

import numpy as np
import pytest
import tensorflow as tf

from lib.face_image.pose import solve_pose
from lib.geometry.camera import Camera
from lib.geometry.rotation import rotation_matrix

CAMERA = Camera((224, 224))
FIVE = np.array([[-33, 37, -2], [33, 37, -2], [0, 7, 36], [-25, -33, 8], [25, -33, 8]]) / 100


def projected(shape, angles, translation):
    posed = shape @ rotation_matrix(tf.constant([angles], tf.float64)).numpy()[0] + translation
    return CAMERA.project(tf.constant(posed[None])).numpy()[0]


@pytest.mark.parametrize(
    ("angles", "translation"),
    [([0, 0, 0], [0, 0, 0]), ([0.2, -0.5, 0.1], [0.1, -0.1, 0.3]), ([-0.15, 0.6, -0.5], [0, 0.1, -0.6])],
)
def test_a_known_pose_is_found(angles, translation):
    pose = solve_pose(projected(FIVE, angles, translation), FIVE, CAMERA)
    np.testing.assert_allclose(pose.angles, angles, atol=0.06)  # the prior pulls a little towards the front
    np.testing.assert_allclose(pose.translation[:2], translation[:2], atol=0.05)
    assert pose.residual < 1.0
    assert pose.coefficients.shape == (0,)


def test_a_smile_is_no_nod():
    smile = np.zeros((1, 5, 3))
    smile[0, 3], smile[0, 4] = [-0.06, 0.05, -0.03], [0.06, 0.05, -0.03]
    points = projected(FIVE + 2 * smile[0], [0, 0, 0], [0, 0, 0])
    rigid, deformable = solve_pose(points, FIVE, CAMERA), solve_pose(points, FIVE, CAMERA, smile)
    assert abs(rigid.angles[0]) > 0.05
    assert abs(deformable.angles[0]) < 0.5 * abs(rigid.angles[0])
    assert deformable.coefficients[0] > 1.2
    assert deformable.residual < 1


def test_more_modes_than_points_stay_near_the_prior():
    basis = np.random.default_rng(0).normal(scale=0.02, size=(40, 5, 3))
    truth = np.random.default_rng(1).normal(size=40)
    points = projected(FIVE + np.einsum("k,kmc->mc", truth, basis), [0.1, 0.3, 0.05], [0, 0, 0])
    pose = solve_pose(points, FIVE, CAMERA, basis)
    assert pose.residual < 1
    assert np.sqrt((pose.coefficients**2).mean()) < 1
    shape = FIVE + np.einsum("k,kmc->mc", pose.coefficients, basis)
    np.testing.assert_allclose(projected(shape, pose.angles, pose.translation), pose.points, atol=1e-6)


def test_a_deformation_that_the_points_hardly_show_is_halved_by_its_prior():
    """Eyes that move together and corners of the mouth apart, which no pose does.

    Each unit moves four points by half of their expected error, 1 % of the picture: the points say as much as the
    prior.
    """
    basis = np.zeros((1, 5, 3))
    basis[0, [0, 1, 3, 4], 0] = np.array([1, -1, -1, 1]) * 0.005 / CAMERA.focal_ratio * CAMERA.distance
    pose = solve_pose(projected(FIVE + 4 * basis[0], [0, 0, 0], [0, 0, 0]), FIVE, CAMERA, basis)
    assert pose.coefficients[0] == pytest.approx(2, abs=0.1)


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="M at least 4, got"):
        solve_pose(np.zeros((3, 2)), FIVE[:3], CAMERA)
    with pytest.raises(ValueError, match="basis must be"):
        solve_pose(np.zeros((5, 2)), FIVE, CAMERA, np.zeros((2, 4, 3)))
    with pytest.raises(ValueError, match="finite"):
        solve_pose(np.full((5, 2), np.nan), FIVE, CAMERA)
