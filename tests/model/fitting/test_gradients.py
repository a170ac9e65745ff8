"""Gradients of the fit's energy against finite differences: every term in float64, the whole through the face model."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from lib.face_model.coefficients import Coefficients
from lib.geometry.camera import Camera
from model.fitting import energy
from model.fitting.fitter import Fitter
from model.fitting.outline import lower_outline
from model.fitting.surface import SurfaceSteps, visible_surface
from model.fitting.weights import RegressedErrors
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


def test_the_prior_is_centred_on_what_was_regressed():
    """In units of the regressor's errors; photos of one person share it like any prior."""
    from model.fitting.person import PersonFitter

    face_model = built_in_face(2500)
    model, camera = MorphableModel(face_model), Camera((SIZE, SIZE))
    layout, rng = model.layout, np.random.default_rng(2)
    errors = RegressedErrors(*(rng.uniform(0.2, 1, n).astype(np.float32) for n in (layout.identity, layout.albedo)))
    regressed, moved = np.zeros([2, layout.size], np.float32), np.zeros([2, layout.size], np.float32)
    regressed[:, layout.slices["identity"]] = rng.normal(size=layout.identity)
    regressed[:, layout.slices["albedo"]] = rng.normal(size=layout.albedo)
    moved[:, layout.slices["identity"]] = 2 * errors.identity
    moved[:, layout.slices["albedo"]] = 3 * errors.albedo
    empty = tf.zeros([2, SIZE, SIZE, 3])
    targets = energy.FitTargets(
        empty, empty[..., :1], tf.zeros([2, 5, 2]), tf.zeros([2, 68, 2]), tf.zeros([2, 68]),
        regressed=tf.constant(regressed),
    )  # fmt: skip
    expected = 0.5 * (4 * layout.identity + 9 * layout.albedo)
    fitter = Fitter(model, camera, regressed_errors=errors)
    found = fitter.prior(layout.split(tf.constant(regressed + moved)), targets)
    np.testing.assert_allclose(found, [expected] * 2, rtol=1e-5)
    np.testing.assert_allclose(fitter.prior(layout.split(tf.constant(regressed)), targets), 0, atol=1e-6)
    outlines = [lower_outline(np.zeros([SIZE, SIZE]), np.zeros([5, 2]))] * 2
    rows = tf.constant(regressed + moved)
    surface = visible_surface(SurfaceSteps(model, camera), rows, targets.alpha, outlines)
    together = PersonFitter(model, camera, regressed_errors=errors).energies(rows, targets, surface, 1.0)
    assert float(tf.reduce_sum(together["prior"])) == pytest.approx(expected, rel=1e-5)


def test_each_crop_has_the_prior_of_its_own_mouth():
    """Whatever landmarks the other crops of the batch have."""
    fitter = Fitter(MorphableModel(built_in_face(2500)), Camera((SIZE, SIZE)))
    layout = fitter.model.layout
    opened = np.zeros([2, layout.size], np.float32)
    opened[:, layout.slices["expression"]] = 1.0
    empty = tf.zeros([2, SIZE, SIZE, 3])
    targets = energy.FitTargets(
        empty, empty[..., :1], tf.zeros([2, 5, 2]), tf.zeros([2, 68, 2]), tf.zeros([2, 68])
    )  # fmt: skip
    seen, unseen, mixed = (
        fitter.prior(layout.split(tf.constant(opened)), dataclasses.replace(targets, mouth_seen=tf.constant(rows)))
        for rows in ([True, True], [False, False], [True, False])
    )
    assert float(seen[0]) < float(unseen[0])
    np.testing.assert_array_equal(mixed, [seen[0], unseen[1]])
    np.testing.assert_array_equal(fitter.prior(layout.split(tf.constant(opened)), targets), unseen)


def test_priors_of_what_photos_share_count_once():
    """B photos of one person carry 1 / B of the shared priors each, so that their sum is one prior."""
    from model.fitting.person import PersonFitter

    face_model = built_in_face(2500)
    model, camera = MorphableModel(face_model), Camera((SIZE, SIZE))
    layout, rng = model.layout, np.random.default_rng(1)
    row = np.zeros([1, layout.size], np.float32)
    row[:, layout.slices["identity"]] = rng.normal(size=layout.identity)
    landmarks = model.posed(tf.constant(row), camera).landmarks

    def terms(fitter: Fitter, count: int):
        targets = energy.FitTargets(
            tf.zeros([count, SIZE, SIZE, 3]),
            tf.ones([count, SIZE, SIZE, 1]),
            tf.repeat(fitter.five_points(landmarks), count, axis=0),
            tf.repeat(landmarks, count, axis=0),
            tf.ones([count, 68]),
        )
        rows = tf.constant(np.repeat(row, count, axis=0))
        outlines = [lower_outline(np.zeros([SIZE, SIZE]), np.zeros([5, 2]))] * count
        surface = visible_surface(SurfaceSteps(model, camera), rows, targets.alpha, outlines)
        return fitter.energies(rows, targets, surface, 1.0)

    alone = terms(Fitter(model, camera), 1)
    together = terms(PersonFitter(model, camera), 4)
    assert float(tf.reduce_sum(together["prior"])) == pytest.approx(float(alone["prior"][0]), rel=1e-4)
    np.testing.assert_allclose(together["light"], np.repeat(alone["light"], 4), rtol=1e-5)
