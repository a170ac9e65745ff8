"""Coefficients of mirrored faces."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from lib.errors import UserError
from lib.geometry.camera import Camera
from lib.mesh_renderer.fragments import interpolate, rasterize
from model.morphable_model import MorphableModel
from model.networks.mirroring import BothSides, from_both_sides, mirrored_coefficients
from model.pretraining.augmentation import mirror_some
from tests.support.faces import built_in_face
from tests.support.golden_face import golden_face_model

SIZE = 64


@pytest.fixture(scope="module")
def face_model():
    return built_in_face(2000)


def drawn(model: MorphableModel, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posed vertices [N, 3] and picture [SIZE, SIZE, 3] of coefficients [K]."""
    camera = Camera((SIZE, SIZE))
    face = model.posed(tf.constant(coefficients[None]), camera)
    fragments = rasterize(camera.clip_coordinates(face.vertices), model.triangles, camera.image_size)
    return face.vertices[0].numpy(), interpolate(face.albedo * face.shading, model.triangles, fragments)[0].numpy()


def test_the_mirrored_face_is_the_face_in_a_mirror(face_model):
    model, layout = MorphableModel(face_model), face_model.layout
    generator = np.random.default_rng(0)
    coefficients = generator.normal(0, 1, layout.size).astype(np.float32)
    coefficients[layout.slices["albedo"]] = 0.0  # its asymmetric part has no mirrored coefficients
    coefficients[layout.slices["angles"]] = (0.1, 0.5, -0.2)
    coefficients[layout.slices["light"]] = generator.normal(0, 0.2, 27)
    coefficients[layout.slices["translation"]] = (0.2, 0.1, -0.3)
    vertices, picture = drawn(model, coefficients)
    mirrored_vertices, mirrored_picture = drawn(model, coefficients @ mirrored_coefficients(face_model))
    np.testing.assert_allclose(mirrored_vertices[face_model.mirror_index] * [-1, 1, 1], vertices, atol=2e-5)
    # Single pixels on edges may fall to the other triangle.
    assert (np.abs(mirrored_picture[:, ::-1] - picture).max(-1) > 2e-3).mean() < 2e-3
    assert np.abs(mirrored_picture - picture).mean() > 0.01


def test_twice_mirrored_is_the_face_itself(face_model):
    matrix, layout = mirrored_coefficients(face_model), face_model.layout
    kept = np.r_[tuple(part for group, part in layout.slices.items() if group != "albedo")]
    np.testing.assert_allclose((matrix @ matrix)[np.ix_(kept, kept)], np.eye(len(kept)), atol=1e-5)


def test_a_shape_that_is_not_symmetric_is_refused(face_model):
    basis = face_model.identity_basis.copy()
    basis[:, face_model.mirror_index > np.arange(face_model.vertex_count)] = 0.0
    with pytest.raises(UserError, match=r"pretrain\.mirror.*identity basis"):
        mirrored_coefficients(dataclasses.replace(face_model, identity_basis=basis))


def test_pictures_and_their_truth_are_mirrored_together():
    face_model = golden_face_model()
    size = face_model.layout.size
    images = np.random.default_rng(1).integers(0, 255, (16, 4, 6, 4), np.uint8)
    coefficients = np.ones((16, size), np.float32)
    seen, truth = mirror_some(tf.constant(images), tf.constant(coefficients), -tf.eye(size), tf.constant((3, 4)))
    flipped = truth.numpy()[:, 0] < 0
    assert 0 < flipped.sum() < 16
    np.testing.assert_array_equal(seen.numpy()[flipped], images[flipped][:, :, ::-1])
    np.testing.assert_array_equal(seen.numpy()[~flipped], images[~flipped])


def test_coefficients_that_change_nothing_do_not_run_away():
    """Bases carried over to a mesh without eyes hold what only eyes showed: next to nothing."""
    model = built_in_face(2000)
    basis = model.albedo_basis.copy()
    basis[7] = 1e-7 * np.random.default_rng(0).normal(size=basis[7].shape)
    matrix = mirrored_coefficients(dataclasses.replace(model, albedo_basis=basis))
    assert np.abs(matrix).max() < 2


def test_a_regressor_is_asked_from_both_sides(face_model):
    layout = face_model.layout
    light = layout.slices["light"].start
    side, height = light + 3, light + 1  # odd in x, even in x

    class Reader:
        """Tells the first pixel as both numbers."""

        feature_size = 1

        def __call__(self, crop, training):
            assert not training
            seen = crop[:, 0, 0, :1]
            columns = tf.one_hot([side, height], layout.size)
            return seen * tf.reduce_sum(columns, axis=0), seen

    crop = np.zeros([1, 4, 4, 3], np.float32)
    crop[0, 0, 0], crop[0, 0, 3] = 0.5, 0.25
    coefficients, features = from_both_sides(Reader(), face_model)(tf.constant(crop))
    np.testing.assert_allclose(coefficients[0, side], (0.5 - 0.25) / 2, atol=1e-6)
    np.testing.assert_allclose(coefficients[0, height], (0.5 + 0.25) / 2, atol=1e-6)
    np.testing.assert_allclose(features, [[0.5]])


def test_what_is_not_symmetric_is_asked_once(face_model):
    basis = face_model.identity_basis.copy()
    basis[:, face_model.mirror_index > np.arange(face_model.vertex_count)] = 0.0
    regressor = SimpleNamespace(feature_size=1)
    assert from_both_sides(regressor, dataclasses.replace(face_model, identity_basis=basis)) is regressor
    assert isinstance(from_both_sides(regressor, face_model), BothSides)
