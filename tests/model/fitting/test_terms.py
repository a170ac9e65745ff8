"""The terms of the whole energy have the expected errors of the weights."""

import numpy as np
import tensorflow as tf

from lib.geometry.camera import Camera
from model.fitting import energy
from model.fitting.fitter import Fitter
from model.fitting.outline import lower_outline
from model.fitting.surface import SurfaceSteps, visible_surface
from model.fitting.weights import FitWeights, fitting_prior
from model.morphable_model import MorphableModel
from tests.support.faces import built_in_face
from tests.support.toy_faces import ToyFaces

SIZE = 112
WEIGHTS = FitWeights(
    point_sigma=0.7, regressed_sigma=1.5, colour_sigma=0.05, observations=80.0, asymmetry_sigma=0.03,
    outline_sigma=3.0, outline_observations=9.0,
)  # fmt: skip


def test_each_term_has_its_own_weights():
    face_model, camera = built_in_face(2500), Camera((SIZE, SIZE))
    model, sample = MorphableModel(face_model), ToyFaces(face_model, SIZE, seed=5).sample(0)
    fitter = Fitter(model, camera, weights=WEIGHTS)
    alpha = tf.constant(sample.alpha[None, ..., None] / 255, tf.float32)
    landmarks = tf.constant(sample.landmarks[None], tf.float32)
    weight = tf.constant(np.linspace(0, 1, 68, dtype=np.float32)[None])
    targets = energy.FitTargets(
        tf.constant(sample.image[None] / 255, tf.float32), alpha, fitter.five_points(landmarks), landmarks, weight
    )
    start = sample.coefficients[None] + np.random.default_rng(0).normal(0, 0.05, [1, model.layout.size])
    start = tf.constant(start, tf.float32)
    outlines = [lower_outline(alpha[0, ..., 0].numpy(), targets.points[0].numpy())]
    surface = visible_surface(SurfaceSteps(model, camera), start, alpha, outlines)
    face, pairs = model.posed(start, camera), surface.pairs
    points, prior = camera.project(face.vertices), fitting_prior(face_model)
    wanted = {
        "points": energy.point_energy(fitter.five_points(face.landmarks), targets.points, SIZE, 0.7),
        "landmarks": energy.landmark_energy(face.landmarks, landmarks, weight, SIZE, 1.5),
        "photometric": energy.photometric_energy(
            face.albedo * face.shading, targets.image, points, surface.weight, 2 * 0.05, 80
        ),
        "outline": 9
        * energy.outline_energy(
            tf.gather(points, pairs.vertices, batch_dims=1), pairs.points, pairs.outwards, pairs.weight, SIZE, 3.0
        ),
        "prior": energy.prior_energy(face.coefficients, tf.constant(prior.one_sided, tf.float32), prior.sigma),
        "light": energy.light_energy(face.coefficients.light),
        # The skin's two sides are measured less often than its colours.
        "asymmetry": energy.asymmetry_energy(face.albedo, model.symmetric_pairs, 0.03, 20),
        "mesh": tf.zeros([1]),
        "openings": tf.zeros([1]),
    }
    found = fitter.energies(start, targets, surface, 2.0)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)
        assert (value.numpy() > 1e-3).all() == (name not in ("mesh", "openings")), name
