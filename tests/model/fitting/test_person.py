"""What the photos of a person share: the robust mean of their coefficients, and the energies of the skin."""

import numpy as np
import pytest
import tensorflow as tf

from lib.geometry.camera import Camera
from model.fitting.energy import FitTargets
from model.fitting.fitter import Fitter
from model.fitting.person import PersonFitter, robust_mean
from model.fitting.surface import Surface
from model.morphable_model import MorphableModel
from tests.support.faces import built_in_face

SIZE = 64


def test_copies_of_a_photo_do_not_silence_the_others():
    """Also if they were fitted in other batches, and rounded differently."""
    generator = np.random.default_rng(0)
    vectors = generator.normal(0, 1, (4, 80))
    copies = vectors[:1] + generator.normal(0, 1e-4, (9, 80))
    np.testing.assert_allclose(robust_mean(np.concatenate([vectors, copies])), robust_mean(vectors), rtol=1e-6)
    np.testing.assert_allclose(robust_mean(np.repeat(vectors[:1], 3, axis=0)), vectors[0], rtol=1e-6)


def test_what_photos_share_counts_once():
    """Equal crops of one person: the energies of identity and albedo do not grow with their number, others do."""
    model, camera = MorphableModel(built_in_face(2500)), Camera((SIZE, SIZE))
    coefficients = np.zeros([1, model.layout.size], np.float32)
    for name in ("identity", "albedo", "light"):
        part = model.layout.slices[name]
        coefficients[:, part] = np.random.default_rng(3).normal(size=part.stop - part.start)
    targets = FitTargets.blank(SIZE, 68, tf.constant(coefficients), False)

    def energies(kind, count):
        several = tf.nest.map_structure(
            lambda array: tf.repeat(array, count, axis=0), (targets, Surface.blank(model, SIZE))
        )
        found = kind(model, camera).energies(tf.repeat(coefficients, count, axis=0), *several, 1.0)
        return {name: float(tf.reduce_sum(found[name])) for name in ("asymmetry", "prior", "points", "light")}

    one, three = energies(Fitter, 1), energies(PersonFitter, 3)
    assert one["asymmetry"] > 0.1
    for name in ("asymmetry", "prior"):
        assert three[name] == pytest.approx(one[name], rel=1e-4)
    for name in ("points", "light"):
        assert three[name] == pytest.approx(3 * one[name], rel=1e-4)
