"""Priors of the fit: by hand, centred on what was regressed, and shared by the photos of a person."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from lib.face_model.coefficients import Coefficients
from lib.geometry.camera import Camera
from model.fitting import energy
from model.fitting.fitter import Fitter
from model.fitting.outline import lower_outline
from model.fitting.person import PersonFitter
from model.fitting.surface import SurfaceSteps, visible_surface
from model.fitting.weights import RegressedErrors
from model.morphable_model import MorphableModel
from tests.support.faces import built_in_face

SIZE = 112


def test_priors_by_hand():
    def coefficients(expression):
        zero = tf.zeros([1, 2])
        return Coefficients(tf.ones([1, 2]), tf.constant([expression]), zero, zero, zero, zero)

    one_sided, ones = tf.constant([1.0, 0.0]), tf.ones([2])
    rare = tf.constant([1.0, 0.5])
    assert float(energy.prior_energy(coefficients([1.0, -2.0]), one_sided, rare)[0]) == pytest.approx(1 + 8.5)
    assert float(energy.prior_energy(coefficients([1.0, -2.0]), one_sided, ones)[0]) == pytest.approx(1 + 2.5)
    pushed = 0.5 * (0.3 / energy.PUSHING_SIGMA) ** 2
    assert float(energy.prior_energy(coefficients([-0.3, 0.0]), one_sided, ones)[0]) == pytest.approx(
        1 + 0.045 + pushed
    )


def test_asymmetry_by_hand():
    """Pairs that differ by three standard deviations in one colour, and not at all."""
    albedo = tf.constant([[[0.5, 0.5, 0.5], [0.5, 0.5, 0.5], [0.5, 0.5, 0.2]]])
    both = float(energy.asymmetry_energy(albedo, tf.constant([[0, 1], [0, 2]]), 0.1, 7.0)[0])
    assert both == pytest.approx(7 * (np.sqrt(1 + 9) - 1) / 2)
    assert float(energy.asymmetry_energy(albedo, tf.zeros([0, 2], tf.int32), 0.1, 7.0)[0]) == 0


def test_the_prior_is_centred_on_what_was_regressed():
    """In units of the regressor's errors; photos of one person share it like any prior."""
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
