"""Gradients of the fit's energy against finite differences: every term in float64, the whole through the face model."""

import numpy as np
import pytest
import tensorflow as tf

from lib.face_model.coefficients import Coefficients
from lib.geometry.camera import Camera
from model.fitting import energy
from model.fitting.fitter import Fitter
from model.fitting.outline import lower_outline
from model.fitting.surface import SurfaceSteps, visible_surface
from model.morphable_model import MorphableModel
from tests.support.faces import built_in_face
from tests.support.toy_faces import ToyFaces

SIZE = 112


def uniform(*shape, low=0.0, high=1.0, seed=0):
    return tf.constant(np.random.default_rng(seed).uniform(low, high, shape), tf.float64)


def smooth_image():
    """[1, 16, 16, 3]; the points below keep away from pixel centres, where bilinear samples bend."""
    y, x = np.mgrid[:16, :16] / 16
    return tf.constant(np.stack([np.sin(3 * x), np.cos(2 * y), x * y], axis=-1)[None])


POINTS = tf.constant(np.random.default_rng(3).integers(2, 12, [1, 6, 2]) + 0.8, tf.float64)
ONE_SIDED = tf.constant([1.0, 0.0, 1.0], tf.float64)
PAIRS = tf.constant([[0, 1], [2, 3]])


def prior(identity, expression, albedo):
    zero = tf.zeros([1, 3], tf.float64)
    parts = Coefficients(identity, expression, albedo, zero, zero, zero)
    return energy.prior_energy(parts, ONE_SIDED, tf.constant([0.35, 1.0, 1.0], tf.float64))


TERMS = {
    "points": (lambda p: energy.point_energy(p, uniform(1, 5, 2), SIZE, 0.5), [uniform(1, 5, 2, seed=1)]),
    "landmarks": (
        lambda p: energy.landmark_energy(p, uniform(1, 5, 2), uniform(1, 5, seed=2), SIZE, 2.5),
        [uniform(1, 5, 2, high=9, seed=1)],
    ),
    "outline": (
        lambda p: energy.outline_energy(p, uniform(1, 5, 2), uniform(1, 5, 2, seed=2), uniform(1, 5), SIZE, 2.0),
        [uniform(1, 5, 2, high=9, seed=1)],
    ),
    "photometric": (
        lambda colour, points: energy.photometric_energy(colour, smooth_image(), points, uniform(1, 6), 0.06, 300.0),
        [uniform(1, 6, 3, seed=1), POINTS],
    ),
    "prior": (prior, [uniform(1, 2), tf.constant([[-0.4, -0.7, 0.9]], tf.float64), uniform(1, 2, seed=1)]),
    "light": (energy.light_energy, [uniform(1, 27, low=-0.5)]),
    "asymmetry": (lambda albedo: energy.asymmetry_energy(albedo, PAIRS, 0.04, 75.0), [uniform(1, 4, 3)]),
}


@pytest.mark.parametrize("name", TERMS)
def test_gradients_of_a_term(name):
    function, arguments = TERMS[name]
    analytic, numeric = tf.test.compute_gradient(function, arguments, delta=1e-6)
    for found, expected in zip(analytic, numeric, strict=True):
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_gradient_of_the_whole_energy_through_the_face_model():
    """Along random directions within each group of coefficients: the face model computes in float32."""
    face_model = built_in_face(2500)
    model, camera = MorphableModel(face_model), Camera((SIZE, SIZE))
    fitter, sample = Fitter(model, camera), ToyFaces(face_model, SIZE, seed=5).sample(0)
    alpha = tf.constant(sample.alpha[None, ..., None] / 255, tf.float32)
    landmarks = tf.constant(sample.landmarks[None], tf.float32)
    points = fitter.five_points(landmarks)
    # A constant photo: bilinear samples of a real one have kinks at every pixel, its term is tested above.
    targets = energy.FitTargets(tf.fill([1, SIZE, SIZE, 3], 0.4), alpha, points, landmarks, tf.ones([1, 68]))
    rng = np.random.default_rng(0)
    start = sample.coefficients[None] + rng.normal(0, 0.02, [1, model.layout.size]).astype(np.float32)
    outlines = [lower_outline(alpha[0, ..., 0].numpy(), points[0].numpy())]
    surface = visible_surface(SurfaceSteps(model, camera), tf.constant(start), alpha, outlines)

    def total(values: np.ndarray) -> float:
        terms = fitter.energies(tf.constant(values, tf.float32), targets, surface, 1.0)
        return float(sum(term.numpy().astype(np.float64)[0] for term in terms.values()))

    values = tf.constant(start)
    with tf.GradientTape() as tape:
        tape.watch(values)
        terms = fitter.energies(values, targets, surface, 1.0)
        energy_sum = tf.add_n(list(terms.values()))
    slope = tape.gradient(energy_sum, values)[0].numpy()
    for name, part in model.layout.slices.items():
        direction = np.zeros(model.layout.size)
        direction[part] = slope[part] / np.linalg.norm(slope[part])
        step = 1e-3 if name in ("angles", "translation") else 1e-2
        difference = (total(start + step * direction) - total(start - step * direction)) / (2 * step)
        assert difference == pytest.approx(np.linalg.norm(slope[part]), rel=0.02), name
