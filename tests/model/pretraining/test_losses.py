"""Gradients of model/pretraining/losses.py; the terms' values are tested with the loop."""

import numpy as np
import pytest
import tensorflow as tf

from lib.geometry.camera import Camera
from model.morphable_model import MorphableModel
from model.pretraining.losses import DirectSupervision, WeakSupervision, rotation_distance, total_weak_loss
from tests.support.golden_face import small_face_model
from tests.support.helpers import assert_close, assert_gradient

FACE = small_face_model(front_mask=np.ones(5, bool))
CAMERA = Camera((24, 24))


def coefficients(*shape, seed=0):
    return 0.2 * np.random.default_rng(seed).normal(size=(*shape, FACE.layout.size))


def test_gradients_of_the_direct_terms_are_those_of_finite_differences():
    direct = DirectSupervision(FACE, CAMERA, 5)
    for name in ("mean_shape", "shape_basis", "albedo_basis", "normals"):
        setattr(direct, name, tf.cast(getattr(direct, name), tf.float64))
    truth = tf.constant(coefficients(2))
    names = sorted(direct(truth, truth))
    assert len(names) == 9

    @tf.function(autograph=False)
    def all_terms(predicted):
        terms = direct(predicted, truth)
        return tf.stack([terms[name] for name in names])

    (analytic,), (numeric,) = tf.test.compute_gradient(all_terms, [tf.constant(coefficients(2, seed=1))], delta=1e-6)
    for name, ours, differences in zip(names, analytic, numeric, strict=True):
        assert np.abs(differences).max() > 1e-6, name
        assert_close(ours, differences, 1e-5)
    assert_gradient(rotation_distance, *np.random.default_rng(2).normal(size=(2, 3, 3)))


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        # Which pixels see the face has no gradient: geometry moves in the terms that draw nothing.
        (("albedo", "light"), ("photometric", "perceptual", "total")),
        (("identity", "expression", "angles", "translation"), ("landmarks", "prior")),
    ],
)
def test_gradients_of_the_weak_terms_are_those_of_finite_differences(groups, names):
    """Along one direction, in the renderer's float32."""
    generator = np.random.default_rng(3)
    projection = tf.constant(generator.normal(size=(3 * 16, 6)), tf.float32)

    def identity_network(images, training):
        return tf.matmul(tf.reshape(tf.nn.avg_pool2d(images, 6, 6, "VALID"), [-1, 3 * 16]), projection)

    weak = WeakSupervision(MorphableModel(FACE), CAMERA, identity_network)
    images, alpha = (tf.constant(generator.uniform(size=(2, 24, 24, c)), tf.float32) for c in (3, 1))
    landmarks = tf.constant(generator.uniform(0, 24, (2, 68, 2)), tf.float32)
    start, direction = coefficients(2), np.zeros((2, FACE.layout.size))
    for group in groups:
        direction[:, FACE.layout.slices[group]] = coefficients(2, seed=4)[:, FACE.layout.slices[group]]

    @tf.function(autograph=False)
    def terms(step):
        point = tf.constant(start, tf.float32) + step * tf.constant(direction, tf.float32)
        found = weak(point, images, alpha, landmarks)
        return found | {"total": total_weak_loss(found)}

    @tf.function(autograph=False)
    def slopes():
        step = tf.zeros([])
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(step)
            found = terms(step)
        return {name: tape.gradient(found[name], step) for name in names}

    analytic = slopes()
    after, before = terms(tf.constant(0.02)), terms(tf.constant(-0.02))
    for name in names:
        numeric = (float(after[name]) - float(before[name])) / 0.04
        assert abs(numeric) > 1e-4, name
        assert float(analytic[name]) == pytest.approx(numeric, rel=1e-2), name
