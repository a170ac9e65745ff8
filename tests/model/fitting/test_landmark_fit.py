"""The fit to the 468 points: known faces found again from where their points project; the term by hand."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from lib.face_mesh.groups import EYES, JAW, LIP_PAIRS, LIPS, POINTS
from lib.face_mesh.surface_points import SurfacePoints
from lib.geometry.camera import Camera
from lib.geometry.rotation import rotation_arrays, rotation_matrix
from model.fitting.energy import FitTargets
from model.fitting.fitter import Fitter
from model.fitting.landmark_fit import LandmarkFitter, LandmarkResiduals, PointShape
from model.fitting.mesh_term import MeshTerm
from model.fitting.weights import PAIRS, FitWeights, RegressedErrors
from model.morphable_model import MorphableModel
from tests.support.faces import built_in_face, built_in_points

SIZE = 112
WEIGHTS = FitWeights(mesh_observations=300.0, feature_sigma=0.8)


@pytest.fixture(scope="module")
def model():
    return MorphableModel(built_in_face(2500))


@pytest.fixture(scope="module")
def points() -> SurfacePoints:
    return built_in_points()


@pytest.fixture(scope="module")
def camera() -> Camera:
    return Camera((SIZE, SIZE))


def face(model, seed: int, jaw: float = 0.0) -> np.ndarray:
    """[K] a random face, turned and shifted a little; its jaw opened."""
    generator, layout = np.random.default_rng(seed), model.layout
    coefficients = np.zeros(layout.size, np.float32)
    coefficients[layout.slices["identity"]] = 0.7 * generator.normal(size=layout.identity)
    coefficients[layout.slices["expression"]] = 0.3 * np.abs(generator.normal(size=layout.expression))
    coefficients[layout.slices["expression"]][model.face_model.expression_names.index("jaw_open")] = jaw
    coefficients[layout.slices["angles"]] = generator.uniform(-0.25, 0.25, 3)
    coefficients[layout.slices["translation"]] = generator.uniform(-0.1, 0.1, 3)
    return coefficients


def project(model, points, camera, coefficients) -> np.ndarray:
    vertices = model.posed(tf.constant(coefficients[None]), camera).vertices
    return camera.project(tf.constant(points.on(vertices.numpy())))[0].numpy()


def start(model, coefficients) -> np.ndarray:
    """The mean face in a pose 10 degrees and some pixels off."""
    moved = np.zeros_like(coefficients)
    for name, shift in (("angles", 0.17), ("translation", 0.1)):
        part = model.layout.slices[name]
        moved[part] = coefficients[part] + shift
    return moved


@pytest.mark.parametrize("jaw", [0.0, 1.5])
def test_known_faces_are_found_again(model, points, camera, jaw):
    fit = LandmarkFitter(model.face_model, camera, points, FitWeights())
    for seed in range(3):
        truth = face(model, seed, jaw)
        seen = project(model, points, camera, truth)
        found = fit(start(model, truth), seen)
        error = np.linalg.norm(project(model, points, camera, found) - seen, axis=1)
        assert error.mean() < 0.15
        assert error.max() < 1.5
        angles = model.layout.slices["angles"]
        np.testing.assert_allclose(found[angles], truth[angles], atol=np.radians(3))
        light = model.layout.slices["light"]
        np.testing.assert_array_equal(found[light], 0)


def test_the_prior_holds_what_points_do_not_show(model, points, camera):
    """Points that are noise move the face, but not into a face that nobody has."""
    truth = face(model, 4)
    seen = project(model, points, camera, truth) + np.random.default_rng(0).normal(0, 1.0, (POINTS, 2))
    found = LandmarkFitter(model.face_model, camera, points, FitWeights())(start(model, truth), seen)
    identity = found[model.layout.slices["identity"]]
    assert np.abs(identity).max() < 3.5
    expression = found[model.layout.slices["expression"]]
    assert expression[np.array(["smile" in name for name in model.face_model.expression_names])].min() > -0.8


def test_the_regressed_identity_is_expected(model, points, camera):
    """As far as the regressor is trusted, its identity stays; the pose comes from the points all the same."""
    truth, identity = face(model, 4), model.layout.slices["identity"]
    seen = project(model, points, camera, truth)
    regressed = start(model, truth)
    regressed[identity] = truth[identity] + 0.3
    errors = RegressedErrors(np.full(model.layout.identity, 0.1, np.float32), np.ones(model.layout.albedo, np.float32))
    trusting = LandmarkFitter(model.face_model, camera, points, FitWeights(), errors)(regressed, seen)
    np.testing.assert_allclose(trusting[identity], regressed[identity], atol=0.1)
    angles = model.layout.slices["angles"]
    np.testing.assert_allclose(trusting[angles], truth[angles], atol=np.radians(3))
    mistrusting = LandmarkFitter(model.face_model, camera, points, FitWeights())(regressed, seen)
    assert np.abs(mistrusting[identity] - regressed[identity]).max() > 0.5


def test_an_expression_that_fits_is_not_refined(model, points, camera):
    """However strong it is: the prior expects it."""
    truth = face(model, 6, jaw=1.5)
    fitter = LandmarkFitter(model.face_model, camera, points, WEIGHTS)
    refined = fitter.refine_expression(truth, project(model, points, camera, truth))
    np.testing.assert_allclose(refined, truth, atol=1e-3)


def test_the_refined_expression_moves_the_lips_alone(model, points, camera):
    truth = face(model, 6, jaw=0.8)
    found, fitter = project(model, points, camera, truth), LandmarkFitter(model.face_model, camera, points, WEIGHTS)
    before = fitter(start(model, truth), found)
    shifted = found.copy()
    shifted[list(LIPS)] += (0, 1.5)  # another person's lips: below where this identity has them
    after = fitter.refine_expression(before, shifted)
    layout = model.layout
    for part in ("identity", "albedo", "angles", "light", "translation"):
        np.testing.assert_array_equal(after[layout.slices[part]], before[layout.slices[part]])

    def distance(coefficients, group):
        offset = project(model, points, camera, coefficients) - shifted
        return np.linalg.norm(offset[list(group)], axis=1).mean()

    assert distance(after, LIPS) < 0.8 * distance(before, LIPS)
    assert distance(after, EYES) < distance(before, EYES) + 0.1


def test_outliers_do_not_move_the_face(model, points, camera):
    truth = face(model, 5)
    seen = project(model, points, camera, truth)
    wrong = seen.copy()
    wrong[:12] += 25
    fit = LandmarkFitter(model.face_model, camera, points, FitWeights())
    error = np.linalg.norm(project(model, points, camera, fit(start(model, truth), wrong)) - seen, axis=1)
    assert np.median(error) < 0.7


def test_the_jacobian_is_that_of_the_residuals(model, points, camera):
    fit = LandmarkFitter(model.face_model, camera, points, FitWeights())
    truth = face(model, 6)
    parts = model.layout.split(truth.astype(np.float64))
    unknowns = np.concatenate([parts.identity, parts.expression, parts.angles, parts.translation])
    found, scale = np.zeros([POINTS, 2]), np.linspace(0.5, 1.5, POINTS)
    jacobian = fit._jacobian(unknowns, fit._landmarks.posed(unknowns), scale)
    expected = np.full(len(unknowns) - 6, 0.2)
    for slot in (0, 5, 62, 70, -6, -5, -4, -3, -2, -1):
        step = np.zeros_like(unknowns)
        step[slot] = 1e-5
        forward, backward = (
            fit._residuals(moved, expected, fit._landmarks.posed(moved).pixels, found, scale)
            for moved in (unknowns + step, unknowns - step)
        )
        np.testing.assert_allclose(jacobian[:, slot], (forward - backward) / 2e-5, rtol=1e-3, atol=1e-4)


def test_rotations_are_those_of_the_renderer():
    angles = np.random.default_rng(9).uniform(-1.5, 1.5, (20, 3))
    np.testing.assert_allclose(rotation_arrays(angles), rotation_matrix(tf.constant(angles)).numpy(), atol=1e-12)


def test_a_fixed_identity_leaves_the_points_of_the_expressions(model, points, camera):
    shape, truth = PointShape.of(model.face_model, points), face(model, 8)
    parts = model.layout.split(truth.astype(np.float64))
    own = LandmarkResiduals(shape.with_identity(parts.identity), camera, FitWeights())
    assert own.count == model.layout.expression
    posed = own.posed(np.concatenate([parts.expression, parts.angles, parts.translation]))
    np.testing.assert_allclose(posed.pixels, project(model, points, camera, truth), atol=2e-3)


def mesh_energies(model, points, camera, offsets, weights=None, weight=1.0):
    """Energies of the mean face whose points are seen at `offsets` from where they project."""
    coefficients = np.zeros(model.layout.size, np.float32)
    vertices = model.posed(tf.constant(coefficients[None]), camera).vertices
    seen = project(model, points, camera, coefficients) + offsets
    term = MeshTerm(camera, points, weights or WEIGHTS)
    found = term(vertices, tf.constant(seen[None], tf.float32), tf.constant([weight]))
    return {name: float(value[0]) for name, value in found.items()}


def test_the_term_is_that_of_independent_measurements(model, points, camera):
    nothing = mesh_energies(model, points, camera, 0.0)
    assert max(nothing.values()) < 1e-4
    offsets = np.zeros([POINTS, 2])
    nose = 1  # an ordinary point
    offsets[nose] = [0.3, 0]
    # 0.3 px of 112 are 0.6 px of 224: half a deviation of 1.2.
    one = mesh_energies(model, points, camera, offsets)
    assert one["mesh"] == pytest.approx(300 / POINTS * 0.5 * 0.5**2, rel=0.02)
    assert one["openings"] == pytest.approx(0, abs=1e-4)
    assert mesh_energies(model, points, camera, offsets, weight=0.0)["mesh"] == 0
    offsets[:] = 0
    offsets[EYES[3]] = [0.3, 0]
    assert mesh_energies(model, points, camera, offsets)["mesh"] == pytest.approx(
        300 / POINTS * 0.5 * 0.75**2, rel=0.02
    )


def test_openings_count_by_themselves(model, points, camera):
    """A mouth that is moved is no mouth that is opened."""
    moved, opened = np.zeros([POINTS, 2]), np.zeros([POINTS, 2])
    upper, lower = LIP_PAIRS[1]
    moved[list(np.unique(PAIRS))] = [0.5, 0.5]
    opened[upper], opened[lower] = [0, -0.2], [0, 0.2]
    assert mesh_energies(model, points, camera, moved)["openings"] < 1e-3
    apart = mesh_energies(model, points, camera, opened)["openings"]
    assert apart == pytest.approx(300 / POINTS * 0.5, rel=0.05)  # 0.8 px of 224 are one deviation
    weights = dataclasses.replace(WEIGHTS, lip_weight=2.0, lid_weight=0.0)
    assert mesh_energies(model, points, camera, opened, weights)["openings"] == pytest.approx(2 * apart, rel=1e-3)


def test_contour_points_turned_away_count_little(model, points, camera):
    offsets = np.zeros([POINTS, 2])
    offsets[JAW[0]] = [0.5, 0]
    facing = mesh_energies(model, points, camera, offsets)["mesh"]
    assert 0 < facing < 0.8 * 300 / POINTS * 0.5 * (1 / 2.5) ** 2  # seen at a flat angle from the front


def test_the_fit_to_colours_keeps_the_points(model, points, camera):
    """Fitter with points: a grey picture says nothing, so the points alone place and open the face."""
    truth = face(model, 7, jaw=1.5)
    seen = project(model, points, camera, truth)
    fitter = Fitter(model, camera, 0.05, FitWeights(), points)
    five = fitter.five_points(model.posed(tf.constant(truth[None]), camera).landmarks)
    targets = FitTargets(
        image=tf.fill([1, SIZE, SIZE, 3], 0.5),
        alpha=tf.zeros([1, SIZE, SIZE, 1]),
        points=five + 3.0,
        landmarks=tf.zeros([1, 68, 2]),
        landmark_weight=tf.zeros([1, 68]),
        point_sigma=tf.constant([5.0]),
        mesh=tf.constant(seen[None], tf.float32),
        mesh_weight=tf.ones([1]),
        mouth_seen=tf.ones([1], tf.bool),
    )
    initial = start(model, truth)[None]
    result = fitter.fit(targets, initial, 40)
    error = np.linalg.norm(project(model, points, camera, result.coefficients[0]) - seen, axis=1).mean()
    before = np.linalg.norm(project(model, points, camera, initial[0]) - seen, axis=1).mean()
    assert error < 0.35 * before
    assert result.energies["mesh"] > 0
    # Five points that are trusted win over them.
    trusted = fitter.fit(dataclasses.replace(targets, point_sigma=tf.constant([0.05])), initial, 40)

    def five_apart(fitted):
        found = fitter.five_points(model.posed(tf.constant(fitted.coefficients), camera).landmarks)
        return np.linalg.norm(found - targets.points, axis=-1).mean()

    assert five_apart(trusted) < 0.5 * five_apart(result)
    # Without them nothing of the term is left.
    without = fitter.fit(dataclasses.replace(targets, mesh=None, mesh_weight=None, mouth_seen=None), initial, 5)
    np.testing.assert_array_equal(without.energies["mesh"], 0)
