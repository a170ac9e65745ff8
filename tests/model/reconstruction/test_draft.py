"""Targets of a fit: landmarks that users gave, that the network found, that the regressor guesses."""

import dataclasses

import numpy as np
import pytest
import skimage.data
import tensorflow as tf

from lib.face_image.alignment import align, five_points
from lib.face_image.detection import Face
from lib.face_mesh.groups import POINTS
from lib.face_mesh.network import find_mesh_points
from model.fitting.energy import FitTargets
from model.fitting.weights import FitWeights
from model.photos.reader import AlignedPhoto
from model.reconstruction.draft import SUPPORT, Draft, fit_targets, mesh_points, uncovered
from tests.support.faces import built_in_face
from tests.support.photo_corpus import ASTRONAUT_FIVE as FIVE

WEIGHTS = FitWeights()


def astronaut(**face) -> AlignedPhoto:
    model = built_in_face(2000)
    photo = skimage.data.astronaut()
    alignment = align(photo, FIVE, five_points(model.mean_shape[model.landmarks]), 112)
    return AlignedPhoto("astronaut", photo.shape[:2], Face(np.zeros(4), FIVE, 1.0, **face), alignment, None)


def draft(photo: AlignedPhoto, mesh=None) -> Draft:
    return Draft(photo, np.ones([112, 112], np.float32), np.zeros(9), tf.zeros([1, 1]), np.zeros(9), mesh)


def weak(count: int = 1) -> tf.Tensor:
    return tf.fill([count, 68, 2], 50.0)


def test_the_network_is_asked_about_the_crop():
    photo = astronaut()
    points, irises = mesh_points(photo)
    assert points.shape == (POINTS, 2)
    assert irises.shape == (2, 5, 2)
    np.testing.assert_allclose(points[[33, 133]].mean(0), photo.alignment.points[0], atol=4)
    black = dataclasses.replace(photo, alignment=dataclasses.replace(photo.alignment, crop=0 * photo.alignment.crop))
    assert mesh_points(black) == (None, None)


def test_points_that_were_found_replace_the_regressors():
    mesh = np.full([POINTS, 2], 7.0)
    targets = fit_targets([draft(astronaut(), mesh), draft(astronaut())], weak(2), WEIGHTS)
    np.testing.assert_array_equal(targets.mesh_weight, [1, 0])
    np.testing.assert_array_equal(targets.mesh[0], mesh)
    np.testing.assert_array_equal(targets.landmark_weight[:, 0], [0, 1])
    np.testing.assert_allclose(targets.point_sigma, [WEIGHTS.detected_sigma, WEIGHTS.point_sigma])


def test_without_any_points_there_is_no_term():
    targets = fit_targets([draft(astronaut())], weak(), WEIGHTS)
    assert targets.mesh is None
    np.testing.assert_array_equal(targets.landmark_weight, np.ones([1, 68]))


def test_points_that_users_give_are_trusted():
    mesh = np.zeros([POINTS, 2])
    targets = fit_targets([draft(astronaut(given="a.txt"), mesh)], weak(), WEIGHTS)
    np.testing.assert_allclose(targets.point_sigma, [WEIGHTS.given_sigma])
    np.testing.assert_array_equal(targets.mesh_weight, [1])


def test_landmarks_that_users_give_are_what_is_fitted():
    landmarks = np.random.default_rng(0).uniform(180, 260, (68, 2))
    photo = astronaut(given="a.txt", landmarks=landmarks)
    targets = fit_targets([draft(photo, np.zeros([POINTS, 2]))], weak(), WEIGHTS)
    np.testing.assert_allclose(targets.landmarks[0], photo.alignment.to_crop(landmarks), rtol=1e-5)
    np.testing.assert_allclose(targets.landmark_weight[0, 17:], (WEIGHTS.regressed_sigma / WEIGHTS.given_sigma) ** 2)
    # Points of the jaw slide along the contour.
    np.testing.assert_allclose(targets.landmark_weight[0, :17], (WEIGHTS.regressed_sigma / WEIGHTS.contour_sigma) ** 2)
    np.testing.assert_allclose(targets.mesh_weight, [SUPPORT])


def test_468_points_that_users_give_are_what_is_fitted():
    given = np.random.default_rng(0).uniform(180, 260, (POINTS, 2))
    photo = astronaut(given="a.npy", mesh=given)
    points, irises = mesh_points(photo)
    np.testing.assert_allclose(points, photo.alignment.to_crop(given))
    assert irises is None  # nobody gave them
    targets = fit_targets([draft(photo, points)], weak(), WEIGHTS)
    np.testing.assert_allclose(targets.mesh[0], points, rtol=1e-5)
    np.testing.assert_allclose(targets.mesh_weight, (WEIGHTS.mesh_sigma / WEIGHTS.given_sigma) ** 2)
    np.testing.assert_allclose(targets.point_sigma, WEIGHTS.detected_sigma)
    np.testing.assert_array_equal(targets.landmark_weight, np.zeros([1, 68]))
    # With fit.landmarks=false only the five among them count.
    five = fit_targets([draft(photo)], weak(), WEIGHTS)
    assert five.mesh is None
    np.testing.assert_allclose(five.point_sigma, WEIGHTS.given_sigma)


@pytest.mark.parametrize("given", ["", "a.txt"])
def test_points_that_contradict_the_users_are_not_used(monkeypatch, given):
    photo = astronaut(given=given)
    found = find_mesh_points(photo.alignment.crop, photo.alignment.points)
    for shift, kept in ((2, True), (20, not given)):  # pixels of a 112 crop
        moved = dataclasses.replace(found, points=found.points + shift)
        monkeypatch.setattr("model.reconstruction.draft.find_mesh_points", lambda *_, moved=moved: moved)
        assert (mesh_points(photo)[0] is not None) == kept


def test_given_68_landmarks_may_open_the_mouth():
    """Without any of the 468 points, the narrow prior of the expressions would keep it shut."""
    photo = astronaut(given="a.txt", landmarks=np.full((68, 2), 200.0))
    targets = fit_targets([draft(photo)], weak(), WEIGHTS)
    np.testing.assert_array_equal(targets.mesh_weight, [0])
    np.testing.assert_array_equal(targets.mouth_seen, [True])


def test_what_other_photos_of_a_batch_show_opens_no_mouth():
    drafts = [draft(astronaut(), np.zeros([POINTS, 2])), draft(astronaut())]
    np.testing.assert_array_equal(fit_targets(drafts, weak(2), WEIGHTS).mouth_seen, [True, False])
    assert fit_targets(drafts[1:], weak(), WEIGHTS).mouth_seen is None


@pytest.mark.parametrize("mesh", [None, np.zeros([POINTS, 2])])
def test_blank_targets_have_the_structure_of_a_photos(mesh):
    """Otherwise a graph that is prepared with them would not be the one that the first photo needs."""
    regressed = tf.zeros([1, 9])
    targets = fit_targets([draft(astronaut(), mesh)], weak(), WEIGHTS, regressed.numpy())
    blank = FitTargets.blank(112, 68, regressed, mesh is not None)
    structures = [tf.nest.map_structure(lambda x: (x.dtype, x.shape.as_list()), one) for one in (targets, blank)]
    tf.nest.assert_same_structure(*structures)
    assert tf.nest.flatten(structures[0]) == tf.nest.flatten(structures[1])


def test_irises_that_the_mask_leaves_out_are_not_seen():
    alpha = np.ones([112, 112], np.float32)
    alpha[:, :56] = 0
    irises = np.stack([np.full([5, 2], 40.0), np.full([5, 2], 80.0)]) + np.arange(5)[:, None]
    seen = uncovered(irises, alpha)
    assert np.isnan(seen[0]).all()
    np.testing.assert_array_equal(seen[1], irises[1])
    assert np.isnan(uncovered(np.full([2, 5, 2], np.nan), alpha)).all()
    at_border = np.stack([np.full([5, 2], 55.9), np.full([5, 2], 56.1)])  # pixel i spans [i, i + 1)
    np.testing.assert_array_equal(np.isnan(uncovered(at_border, alpha))[:, 0, 0], [True, False])
