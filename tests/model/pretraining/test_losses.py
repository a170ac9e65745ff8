"""Values and gradients of model/pretraining/losses.py."""

import numpy as np
import pytest
import tensorflow as tf

from lib.geometry.camera import Camera
from lib.geometry.lighting import shading
from lib.geometry.normals import incident_triangles, vertex_normals
from lib.geometry.rotation import rotation_arrays
from model.morphable_model import MorphableModel
from model.pretraining.losses import DirectSupervision, WeakSupervision, rotation_distance, total_weak_loss
from tests.support.golden_face import small_face_model
from tests.support.helpers import assert_close, assert_gradient

FACE = small_face_model(front_mask=np.ones(5, bool))
CAMERA = Camera((24, 24))


def coefficients(*shape, seed=0):
    return 0.2 * np.random.default_rng(seed).normal(size=(*shape, FACE.layout.size))


def direct_terms(predicted: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """The direct terms of FACE's coefficients [B, K] in NumPy."""
    spread = {"identity": 1, "expression": 1, "albedo": 1, "angles": 0.2, "light": 0.1, "translation": 0.15}
    ours, theirs = FACE.layout.split(predicted), FACE.layout.split(truth)
    basis = np.concatenate([FACE.identity_basis, FACE.expression_basis])
    shapes, turned, pixels = [], [], []
    for parts in (ours, theirs):
        weights = np.concatenate([parts.identity, parts.expression], axis=1)
        shapes.append(FACE.mean_shape + np.tensordot(weights, basis, 1))
        turned.append(shapes[-1] @ rotation_arrays(parts.angles))
        x, y, z = np.moveaxis(turned[-1] + parts.translation[:, None], -1, 0)
        scale = CAMERA.focal_length / (CAMERA.distance - z)
        pixels.append(np.stack([12 + scale * x, 12 - scale * y], axis=-1))
    off = np.linalg.norm(pixels[0] - pixels[1], axis=-1)
    shapes, turned = ([values[:, FACE.landmarks], values] for values in (shapes[0] - shapes[1], turned[0] - turned[1]))
    incidence = incident_triangles(FACE.triangles, 5)
    normals = np.array(vertex_normals(tf.constant(FACE.mean_shape[None]), FACE.triangles, incidence))
    normals = tf.constant(normals @ rotation_arrays(theirs.angles))
    twenty = 20 * 24 / 224  # landmarks and vertices in units of 20 px of a 224 px picture
    return {
        "coefficients": sum(np.square((getattr(ours, k) - getattr(theirs, k)) / s).mean() for k, s in spread.items()),
        "landmarks": off[:, FACE.landmarks].mean() / twenty,
        "dense": off.mean() / twenty,
        "turned": np.linalg.norm(np.concatenate(turned, axis=1), axis=-1).mean(),
        "rotation": 2 * np.sin(angles_between(ours.angles, theirs.angles) / 2).mean(),
        "translation": np.linalg.norm(ours.translation - theirs.translation, axis=-1).mean(),
        "canonical": np.linalg.norm(np.concatenate(shapes, axis=1), axis=-1).mean(),
        "albedo": np.abs(np.tensordot(ours.albedo - theirs.albedo, FACE.albedo_basis, 1)).mean(),
        "light": np.abs(shading(normals, ours.light) - shading(normals, theirs.light)).mean(),
    }


def angles_between(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Angles [B] of the rotations between poses [B, 3], radians."""
    traces = np.einsum("bij,bij->b", rotation_arrays(ours), rotation_arrays(theirs))
    return np.arccos(np.clip((traces - 1) / 2, -1, 1))


def test_direct_terms_measure_what_they_say():
    """One group at a time, and all of them: light is compared in the true pose although the pose is wrong."""
    direct = DirectSupervision(FACE, CAMERA, 5)
    truth = coefficients(2)
    for value in direct(*[tf.constant(truth, tf.float32)] * 2).values():
        assert float(value) == 0.0
    everything = slice(None)
    for group, part in {**FACE.layout.slices, "all": everything}.items():
        moved = truth.copy()
        moved[:, part] += coefficients(2, seed=5)[:, part]
        terms = direct(tf.constant(moved, tf.float32), tf.constant(truth, tf.float32))
        expected = direct_terms(moved, truth)
        assert terms.keys() == expected.keys()
        for name, value in expected.items():
            assert float(terms[name]) == pytest.approx(value, rel=1e-3, abs=1e-5), (group, name)


def test_the_rotation_term_is_the_angle():
    ours, theirs = np.zeros((2, 3), np.float32), np.array([[0.0, 0.05, 0.0], [0.3, -0.2, 0.1]], np.float32)
    distance = rotation_distance(tf.constant(ours), tf.constant(theirs)).numpy()
    assert distance[0] == pytest.approx(0.05, rel=1e-3)
    # Chordal: 2 sin(angle / 2), whatever the axis.
    assert distance[1] == pytest.approx(2 * np.sin(angles_between(ours, theirs)[1] / 2), rel=1e-4)


def test_a_network_that_tells_no_shapes_apart_is_not_excused_by_its_albedos():
    direct = DirectSupervision(FACE, CAMERA, 5)
    truth = coefficients(2)
    slices = FACE.layout.slices
    truth[:, slices["light"]] = 0.0
    for kept, alike in (("albedo", "identity"), ("identity", "albedo")):
        faces = truth.copy()
        faces[:, slices["expression"]] = faces[:, slices[alike]] = 0.0
        found = direct.symptoms(*[tf.constant(faces, tf.float32)] * 2)
        wanted = {"identity": "dependence shape", "albedo": "dependence albedo"}
        assert float(found[wanted[kept]]) == pytest.approx(1.0), kept
        assert float(found[wanted[alike]]) == 0.0, alike
        assert float(found["saturated"]) == 0.0


def test_light_that_blackens_a_face_is_saturated_and_a_truly_black_face_is_not():
    direct = DirectSupervision(FACE, CAMERA, 5)
    lit, black = (coefficients(2).astype(np.float32) for _ in range(2))
    lit[:, FACE.layout.slices["light"]] = 0.0
    black[:, FACE.layout.slices["light"]] = np.tile([-2.0] + [0.0] * 8, 3)
    assert float(direct.symptoms(tf.constant(black), tf.constant(lit))["saturated"]) == 1.0
    assert float(direct.symptoms(tf.constant(lit), tf.constant(black))["saturated"]) == 0.0


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
