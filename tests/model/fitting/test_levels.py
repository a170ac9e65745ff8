"""The order of a fit: light first, then from blurred pictures and wide errors to sharp and narrow ones."""

import numpy as np
import pytest
import tensorflow as tf

from lib.geometry.camera import Camera
from model.fitting.energy import FitTargets
from model.fitting.fitter import TERMS, Fitter
from model.fitting.light import solve_light
from model.fitting.surface import SurfaceSteps, visible_weights
from model.morphable_model import MorphableModel
from tests.support.faces import built_in_face
from tests.support.toy_faces import ToyFaces

SIZE = 112


@pytest.fixture
def case():
    """A fitter whose steps are recorded, as (coefficients, number of steps, picture, factor), and not made."""
    model, camera = MorphableModel(built_in_face(2500)), Camera((SIZE, SIZE))
    sample, fitter, steps = ToyFaces(model.face_model, SIZE, seed=5).sample(0), Fitter(model, camera), []
    targets = FitTargets(
        image=tf.constant(sample.image[None] / 255, tf.float32),
        alpha=tf.constant(sample.alpha[None, ..., None] / 255, tf.float32),
        points=fitter.five_points(tf.constant(sample.landmarks[None])),
        landmarks=tf.constant(sample.landmarks[None]),
        landmark_weight=tf.ones([1, 68]),
    )

    def record(coefficients, first, second, start, count, total, targets, surface, factor):
        steps.append((coefficients.numpy(), int(count), targets.image.numpy(), float(factor)))
        return [coefficients, first, second, *[tf.zeros([1])] * len(TERMS)]

    fitter._advance_one = record
    start = sample.coefficients[None].copy()
    start[:, model.layout.slices["light"]] = 0
    return fitter, targets, start, steps


def test_the_levels_go_from_coarse_to_fine(case):
    fitter, targets, start, steps = case
    fitter.fit(targets, start, 40)
    assert [(count, factor) for _, count, _, factor in steps] == [(10, 3), (10, 3), (10, pytest.approx(1.7)), (10, 1)]
    inside = np.asarray(targets.alpha)[0, :, 1:, 0] > 0.5
    sharp = [np.abs(np.diff(picture[0], axis=1))[inside].mean() for _, _, picture, _ in steps]
    given = np.abs(np.diff(targets.image[0], axis=1))[inside].mean()
    assert sharp[0] == sharp[1] < 0.9 * sharp[2] < 0.8 * sharp[3]
    assert sharp[3] < given
    steps.clear()
    fitter.fit(targets, start, 20, settled=True)
    assert [factor for _, _, _, factor in steps] == [1, 1]


def test_each_level_has_its_share_of_the_steps(case):
    fitter, targets, start, steps = case
    fitter.fit(targets, start, 100)
    assert [round(factor, 1) for _, _, _, factor in steps] == [3.0] * 3 + [1.7] * 3 + [1.0] * 4


def test_the_light_is_solved_before_the_first_step(case):
    fitter, targets, start, steps = case
    fitter.fit(targets, start, 20)
    light = fitter.model.layout.slices["light"]
    weight = visible_weights(SurfaceSteps(fitter.model, fitter.camera), tf.constant(start), targets.alpha).weight
    solved = solve_light(
        fitter.model, fitter.camera, tf.constant(start), tf.constant(steps[0][2]), weight, fitter.weights
    )
    assert np.abs(steps[0][0][:, light]).max() > 0.05
    for coefficients, *_ in steps:  # once
        np.testing.assert_allclose(coefficients, solved, atol=1e-5)
    steps.clear()
    fitter.fit(targets, start, 10, settled=True)
    np.testing.assert_array_equal(steps[0][0], start)
