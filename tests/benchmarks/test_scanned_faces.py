"""Fits to scans: a face of the model itself is met through a rigid motion, and the prior holds its coefficients."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmarks.scanned_faces import Scans, Surface, fit, measure
from tests.support.faces import built_in_face


@pytest.fixture(scope="module")
def surface():
    return Surface(built_in_face(2500))


def scanned(surface, shape):
    """A scan with the model's own vertices, turned and moved."""
    turn = Rotation.from_euler("xyz", [4, -7, 3], degrees=True).as_matrix()
    moved = shape @ turn.T + [3.0, -5.0, 8.0]
    used = np.zeros(len(shape), bool)
    used[np.unique(surface.triangles)] = True
    used[::2] = False
    return Scans(moved, moved[None], surface.landmarks, used)


def test_an_identity_of_the_model_is_met(surface):
    coefficients = np.random.default_rng(0).normal(0, 0.7, len(surface.identity))
    scans = scanned(surface, surface.shape(coefficients))
    found = fit(surface, scans.mean, scans)
    assert found.distances.mean() < 0.1
    np.testing.assert_allclose(found.moved(surface, found.closest), scans.mean[scans.open_skin], atol=1)
    assert fit(surface, scans.mean, scans, with_identity=False).distances.mean() > 3 * found.distances.mean()


def test_the_prior_holds_coefficients_that_nobody_has(surface):
    scans = scanned(surface, surface.shape(np.full(len(surface.identity), 3.0)))
    found = fit(surface, scans.mean, scans)
    assert 0.9 < np.mean(np.square(found.coefficients)) < 1.05
    assert found.distances.mean() > 0.3


def test_the_spread_is_that_of_the_fitted_people_and_not_of_the_scans():
    """A model that cannot follow people has the spread that moving its mean face to them makes, and no other."""
    face = built_in_face(2500)
    surface = Surface(face)
    people = np.random.default_rng(0).normal(0, 0.7, (4, len(surface.identity)))
    mean = scanned(surface, surface.mean)
    scans = dataclasses.replace(mean, people=np.stack([surface.shape(coefficients) for coefficients in people]))
    able = measure(face, scans, "able")
    assert able["fitted_spread_mm"] == pytest.approx(able["true_spread_mm"], rel=0.15)
    stiff = measure(dataclasses.replace(face, identity_basis=1e-3 * face.identity_basis[:1]), scans, "stiff")
    assert stiff["fitted_spread_mm"] == pytest.approx(stiff["rigid_spread_mm"], rel=0.01)
    assert able["rigid_spread_mm"] < 0.95 * able["fitted_spread_mm"]
