"""Tracking: the fit of one person's frames to known points, and the face lost and found again."""

import types

import numpy as np
import pytest
import tensorflow as tf

from lib.face_image.detection import LARGE, SMALLEST, Face
from lib.face_mesh.groups import POINTS
from lib.face_mesh.network import MeshPoints
from lib.geometry.camera import Camera
from model.fitting.weights import FitWeights, fitting_prior
from model.morphable_model import MorphableModel
from model.tracking import face_points, tracker
from model.tracking.expression_fit import ExpressionFitter
from model.tracking.frame_place import crop_at
from model.tracking.newcomer import FRAMES, Newcomer
from model.tracking.tracker import FaceTracker
from tests.support.faces import built_in_face, built_in_points

CAMERA = Camera((112, 112))
FRAME = np.zeros([480, 640, 3], np.uint8)
RATE = 30.0


@pytest.fixture(scope="module")
def model():
    return MorphableModel(built_in_face(2500))


@pytest.fixture(scope="module")
def points():
    return built_in_points()


@pytest.fixture(scope="module")
def identity(model):
    return np.random.default_rng(3).normal(0, 0.7, model.layout.identity)


def face(model, identity, angles=(0.0, 0.0, 0.0), **expression) -> np.ndarray:
    """[K] a face of the person, turned, with the named expressions."""
    coefficients = np.zeros(model.layout.size, np.float32)
    coefficients[model.layout.slices["identity"]] = identity
    coefficients[model.layout.slices["angles"]] = angles
    for name, strength in expression.items():
        place = model.face_model.expression_names.index(name)
        coefficients[model.layout.slices["expression"]][place] = strength
    return coefficients


def project(model, points, coefficients) -> np.ndarray:
    """[468, 2] pixels of the crop."""
    vertices = model.posed(tf.constant(coefficients[None]), CAMERA).vertices
    return CAMERA.project(tf.constant(points.on(vertices.numpy())))[0].numpy()


def test_known_expressions_are_found(model, points, identity):
    fit = ExpressionFitter(model.face_model, identity, CAMERA, points, FitWeights())
    truth = face(model, identity, (0.1, 0.3, -0.05), jaw_open=1.2, smile_left=1.0)
    seen = project(model, points, truth)
    found = fit(np.zeros(fit.count + 6), seen, 15)
    assert np.linalg.norm(fit.project(found) - seen, axis=1).mean() < 0.1
    np.testing.assert_allclose(found[fit.count : fit.count + 3], (0.1, 0.3, -0.05), atol=np.radians(1.5))
    names = model.face_model.expression_names
    strongest = {names[place] for place in np.argsort(-np.abs(found[: fit.count]))[:2]}
    assert strongest == {"jaw_open", "smile_left"}


def test_muscles_only_pull(model, points, identity):
    """Points of a face that pushes where muscles only pull are met as far as the bounds allow."""
    fit = ExpressionFitter(model.face_model, identity, CAMERA, points, FitWeights())
    one_sided = np.asarray(fitting_prior(model.face_model).one_sided) > 0
    assert one_sided.any()
    seen = project(model, points, face(model, identity, smile_left=-1.0, smile_right=-1.0, frown_left=1.0))
    unknowns = np.zeros(fit.count + 6)
    for _ in range(5):
        unknowns = fit(unknowns, seen, 3)
        assert unknowns[: fit.count][one_sided].min() >= 0
    assert unknowns[model.face_model.expression_names.index("frown_left")] > 0.3


def test_a_step_is_the_least_within_the_bounds(model, points, identity):
    """No feasible direction leads down: the gradient vanishes where a coefficient is free, and pushes at the bounds."""
    fit = ExpressionFitter(model.face_model, identity, CAMERA, points, FitWeights())
    generator, count = np.random.default_rng(2), fit.count + 6
    root, right = generator.normal(size=(count, count)), generator.normal(size=count)
    normal = root @ root.T + np.eye(count)
    found = fit._least(normal, right)
    gradient = normal @ found - right
    bounded = np.zeros(count, bool)
    bounded[: fit.count] = np.asarray(fitting_prior(model.face_model).one_sided) > 0
    held = bounded & (found == 0)
    assert 0 < held.sum() < bounded.sum()
    assert found[bounded].min() >= 0
    np.testing.assert_allclose(gradient[~held], 0, atol=1e-8)
    assert gradient[held].min() > 0


def test_a_step_lowers_the_energy_of_the_free_fit(model, points, identity):
    """Beside the bounds, the steps go where a fit without bounds would: to the least energy."""
    fit = ExpressionFitter(model.face_model, identity, CAMERA, points, FitWeights())
    seen = project(model, points, face(model, identity, (0.0, 0.1, 0.0), jaw_open=0.8))
    errors = [
        np.linalg.norm(fit.project(fit(np.zeros(fit.count + 6), seen, steps)) - seen, axis=1).mean()
        for steps in (0, 1, 2, 15)
    ]
    assert errors[1] < 0.2 * errors[0]
    assert errors[2] < 1.5 * errors[3] + 0.02


def test_a_newcomer_s_proportions_are_learned(model, points, identity):
    """From frames with different expressions: nearer to the person than the mean face, where the points are."""
    newcomer = Newcomer(model.face_model, CAMERA, points, FitWeights())
    for frame in range(FRAMES):
        assert newcomer.missing == FRAMES - frame
        strength = frame / FRAMES
        newcomer.add(
            in_frame(project(model, points, face(model, identity, (0.0, 0.3 * strength, 0.0), jaw_open=strength)))
        )
    assert newcomer.missing == 0
    off = apart(model, points, newcomer.identity(), identity)
    assert off < 0.5 * apart(model, points, 0 * identity, identity)


def test_landmarks_correct_a_reconstruction(model, points, identity):
    """They move its points towards where they see them; without any, it stays as it is."""
    reconstructed = identity + np.random.default_rng(6).normal(0, 0.3, len(identity))
    known = Newcomer(model.face_model, CAMERA, points, FitWeights(), reconstructed)
    np.testing.assert_array_equal(known.identity(), reconstructed)
    known.add(in_frame(project(model, points, face(model, identity))))
    off = apart(model, points, known.identity(), identity)
    assert off < 0.5 * apart(model, points, reconstructed, identity)


def in_frame(pixels) -> np.ndarray:
    """Points of the crop in a frame, where the head has 90 pixels per decimetre."""
    crop = crop_at(CAMERA, np.array([320.0, 240.0, np.log(90.0)]))
    return (pixels - crop[:, 2]) / crop[0, 0]


def apart(model, points, one, other) -> float:
    """Mean distance of two people's points, decimetres."""
    moves = np.tensordot(one - other, model.face_model.identity_basis, 1)
    return np.linalg.norm(points.on(moves), axis=1).mean()


class Looks:
    """Points in place of `FacePoints`: one entry for every frame, None without a face."""

    def __init__(self, rows, moved):
        self.rows, self.moves, self.moved, self.forgotten = iter(rows), iter(moved), False, 0
        self.irises = np.zeros([2, 5, 2])

    def __call__(self, frame, seconds):
        self.moved = next(self.moves)
        return next(self.rows)

    def forget(self):
        self.forgotten += 1


def test_a_face_moves_through_the_frame_is_lost_and_found(model, points, identity):
    yaws = np.linspace(-0.2, 0.2, 10)
    crops = [crop_at(CAMERA, np.array([200.0 + 20 * frame, 240.0, np.log(90.0)])) for frame in range(10)]
    rows = []
    for yaw, crop in zip(yaws, crops, strict=True):
        pixels = project(model, points, face(model, identity, (0.0, yaw, 0.0), jaw_open=1.0))
        rows.append((pixels - crop[:, 2]) / crop[0, 0])
    rows[4] = None
    rows[7] = np.random.default_rng(0).uniform(100, 300, (POINTS, 2))  # no face
    look = Looks(rows, [frame in (0, 5, 8) for frame in range(10)])
    track = FaceTracker(look, model.face_model, identity, CAMERA, points, FitWeights(), cutoff=1000.0)
    found = [track(FRAME, frame / RATE) for frame in range(10)]
    assert [frame for frame, one in enumerate(found) if one is None] == [4, 7]
    assert look.forgotten == 1
    jaw = model.face_model.expression_names.index("jaw_open")
    for yaw, place, one in zip(yaws, crops, found, strict=True):
        if one is not None:
            assert one.angles[1] == pytest.approx(yaw, abs=0.03)
            assert one.expression[jaw] == pytest.approx(1.0, abs=0.1)
            centre = CAMERA.project(tf.constant(one.translation[None, None]))[0, 0].numpy()
            in_frame = (centre - one.photo_to_crop[:, 2]) / one.photo_to_crop[0, 0]
            np.testing.assert_allclose(in_frame, (56 - place[:, 2]) / place[0, 0], atol=1.5)


def test_a_face_at_rest_is_smoothed(model, points, identity):
    generator = np.random.default_rng(1)
    crop = crop_at(CAMERA, np.array([320.0, 240.0, np.log(90.0)]))
    still = (project(model, points, face(model, identity)) - crop[:, 2]) / crop[0, 0]
    rows = still + generator.normal(0, 0.5, (40, POINTS, 2))

    def yaws(cutoff):
        look = Looks(rows, [False] * 40)
        track = FaceTracker(look, model.face_model, identity, CAMERA, points, FitWeights(), cutoff)
        return np.array([track(FRAME, frame / RATE).angles[1] for frame in range(40)])

    assert np.diff(yaws(1.0)).std() < 0.4 * np.diff(yaws(1000.0)).std()


def test_after_a_cut_a_face_is_where_it_is_at_once(model, points, identity):
    """However strongly a face at rest is smoothed."""
    before = in_frame(project(model, points, face(model, identity)))
    after = in_frame(project(model, points, face(model, identity, (0.0, 0.3, 0.0), jaw_open=1.0))) + (150, -60)

    def track(rows, moved):
        tracker = FaceTracker(Looks(rows, moved), model.face_model, identity, CAMERA, points, FitWeights(), cutoff=0.01)
        return [tracker(FRAME, frame / RATE) for frame in range(len(rows))][-1]

    found, wanted = track([before] * 5 + [after], [True, *[False] * 4, True]), track([after], [True])
    for name in ("expression", "angles", "translation", "photo_to_crop"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), atol=1e-6)


def test_closed_eyes_keep_their_gaze(model, points, identity, monkeypatch):
    """Straight ahead before they were ever open."""
    gazes = [None, np.array([0.2, -0.1]), None]
    monkeypatch.setattr(tracker.Eyeballs, "of", lambda model: types.SimpleNamespace(person=lambda identity: "spheres"))
    seen = iter(gazes)
    monkeypatch.setattr(tracker, "find_gaze", lambda spheres, *_: next(seen))
    rows = [in_frame(project(model, points, face(model, identity)))] * 3
    track = FaceTracker(
        Looks(rows, [True, False, False]), model.face_model, identity, CAMERA, points, FitWeights(), cutoff=1e5
    )
    found = [track(FRAME, frame / RATE).gaze for frame in range(3)]
    np.testing.assert_allclose(found, [[0, 0], gazes[1], gazes[1]], atol=1e-4)


def test_a_gaze_at_rest_is_smoothed(model, points, identity, monkeypatch):
    monkeypatch.setattr(tracker.Eyeballs, "of", lambda model: types.SimpleNamespace(person=lambda identity: "spheres"))
    rows = [in_frame(project(model, points, face(model, identity)))] * 12

    def variation(cutoff):
        seen = iter([np.array([0.02, -0.01]), np.array([-0.02, 0.01])] * 6)  # noise of a degree
        monkeypatch.setattr(tracker, "find_gaze", lambda spheres, *_: next(seen))
        look = Looks(rows, [False] * 12)
        track = FaceTracker(look, model.face_model, identity, CAMERA, points, FitWeights(), cutoff)
        return np.diff([track(FRAME, frame / RATE).gaze for frame in range(12)], axis=0).std()

    assert variation(1.0) < 0.4 * variation(1000.0)


def test_a_face_without_eyeballs_has_no_gaze(model, points, identity):
    look = Looks([in_frame(project(model, points, face(model, identity)))], [True])
    track = FaceTracker(look, model.face_model, identity, CAMERA, points, FitWeights(), cutoff=1.0)
    assert track(FRAME, 0.0).gaze is None


class Network:
    """A network that sees a face wherever it looks, while `there`."""

    def __init__(self):
        self.there, self.squares, self.starts = True, [], 0
        self.smallest = LARGE  # size of faces that the detector must look for to find it
        self.points = np.random.default_rng(0).uniform(200, 300, (POINTS, 2))

    def find_in_square(self, frame, square):
        self.squares.append(square)
        return MeshPoints(self.points, 0.9 if self.there else 0.1, np.full([2, 5, 2], np.nan))

    def find(self, frame, five):
        self.starts += 1
        return MeshPoints(self.points, 0.9 if self.there else 0.1, np.full([2, 5, 2], np.nan))


@pytest.fixture
def looking(monkeypatch):
    """A `FacePoints` with its network, and the list of the detector's runs: the least size of each."""
    network, runs = Network(), []
    monkeypatch.setattr(face_points, "MeshNetwork", lambda: network)

    def detect(frame, smallest, **_):
        runs.append(smallest)
        return [] if smallest > network.smallest else [Face(np.array([200.0, 200, 100, 100]), np.zeros([5, 2]), 0.95)]

    monkeypatch.setattr(face_points, "detect_faces", detect)
    return face_points.FacePoints(0.9), network, runs


def test_the_detector_starts_and_then_rests(looking):
    look, network, runs = looking
    for frame in range(10):
        assert look(FRAME, frame / RATE) is not None
        assert look.irises.shape == (2, 5, 2)
        assert look.moved == (frame == 0)
    assert len(runs) == 1
    assert len(network.squares) == 9


def test_small_faces_are_looked_for_where_there_is_no_large_one(looking):
    look, network, runs = looking
    network.smallest = SMALLEST
    assert look(FRAME, 0.0) is not None
    assert runs == [LARGE, SMALLEST]


def test_a_lost_face_is_looked_for_at_a_bounded_rate(looking):
    look, network, runs = looking
    look(FRAME, 0.0)
    network.there = False
    assert [look(FRAME, 0.05 * frame) for frame in range(1, 32)] == [None] * 31  # until 1.55 s
    assert runs == [LARGE, *[LARGE, SMALLEST] * 3]  # 0.4 s apart
    network.there = True
    assert look(FRAME, 1.56) is not None  # where it was, without the detector
    assert not look.moved
    look.forget()
    assert look(FRAME, 1.57) is None
    assert look(FRAME, 2.0) is not None
    assert look.moved


def test_faces_that_are_small_or_outside_are_none(looking):
    look, network, runs = looking
    for points in (network.points + (400, 0), network.points * 0.2 + 200):
        network.points = points
        assert look(FRAME, 1.0 + len(runs)) is None
    weak = face_points.FacePoints(0.96)
    assert weak(FRAME, 0.0) is None
    assert network.starts == 4  # both are looked for among small faces, too
