"""The fit: its terms by hand, and known faces found again from their pictures."""

import dataclasses

import cv2
import numpy as np
import pytest
import tensorflow as tf

from lib.geometry.camera import Camera
from lib.geometry.lighting import sh_basis
from lib.images.sampling import sample_image
from lib.mesh_renderer.fragments import interpolate, rasterize
from model.fitting import energy as terms
from model.fitting.fitter import Fitter, blurred
from model.fitting.light import solve_light
from model.fitting.outline import OUTLINE_POINTS, lower_outline, pair_outline
from model.fitting.surface import SurfaceSteps, visible_surface, visible_weights
from model.morphable_model import MorphableModel
from tests.support.faces import built_in_face
from tests.support.toy_faces import ToyFaces

SIZE = 112


@pytest.fixture(scope="module")
def faces():
    """A small built-in model, its fitter, and two of its faces drawn plainly."""
    face_model = built_in_face(2500)
    model = MorphableModel(face_model)
    samples = [ToyFaces(face_model, SIZE, seed=5).sample(index) for index in (0, 3)]
    fitter = Fitter(model, Camera((SIZE, SIZE)))
    landmarks = np.stack([sample.landmarks for sample in samples])
    targets = terms.FitTargets(
        image=tf.constant(np.stack([sample.image for sample in samples]) / 255, tf.float32),
        alpha=tf.constant(np.stack([sample.alpha for sample in samples])[..., None] / 255, tf.float32),
        points=fitter.five_points(tf.constant(landmarks)),
        landmarks=tf.constant(landmarks),
        landmark_weight=tf.ones([2, 68]),
    )
    return model, fitter, targets, np.stack([sample.coefficients for sample in samples])


def start(model, truth):
    """The truth's pose a little off, and otherwise the mean face in ambient light."""
    parts = model.layout.split(truth)
    zero = {name: np.zeros_like(getattr(parts, name)) for name in ("identity", "expression", "albedo", "light")}
    return model.layout.join(
        dataclasses.replace(parts, **zero, angles=parts.angles + 0.05, translation=parts.translation + 0.03)
    )


def point_residuals(fitter, result, points):
    """Mean distance [B] of the projected five points from the given ones, pixels."""
    found = fitter.five_points(fitter.model.posed(tf.constant(result.coefficients), fitter.camera).landmarks)
    return np.linalg.norm(found - points, axis=-1).mean(axis=-1)


def vertex_errors(model, coefficients, truth):
    """Mean distance of posed vertices [dm], mean albedo error."""
    camera = Camera((SIZE, SIZE))
    found, wanted = (model.posed(tf.constant(c, tf.float32), camera) for c in (coefficients, truth))
    distance = tf.norm((found.vertices - wanted.vertices)[..., :2], axis=-1)
    return float(tf.reduce_mean(distance)), float(tf.reduce_mean(tf.abs(found.albedo - wanted.albedo)))


def test_known_faces_are_found_again(faces):
    model, fitter, targets, truth = faces
    before = vertex_errors(model, start(model, truth), truth)
    result = fitter.fit(targets, start(model, truth), 60)
    after = vertex_errors(model, result.coefficients, truth)
    assert (point_residuals(fitter, result, targets.points) < 0.5).all()
    assert after[0] < 0.5 * before[0]
    assert after[1] < 0.7 * before[1]
    assert np.isfinite(result.coefficients).all()
    # Going on from there changes little and makes nothing worse.
    settled = fitter.fit(targets, result.coefficients, 10, settled=True)
    assert sum(settled.energies.values()).sum() < 1.02 * sum(result.energies.values()).sum()


def test_without_landmark_targets_points_and_colours_do(faces):
    model, fitter, targets, truth = faces
    blind = dataclasses.replace(targets, landmarks=tf.zeros_like(targets.landmarks), landmark_weight=tf.zeros([2, 68]))
    result = fitter.fit(blind, start(model, truth), 60)
    assert (point_residuals(fitter, result, targets.points) < 0.5).all()
    assert (result.energies["landmarks"] == 0).all()
    before, after = (vertex_errors(model, c, truth)[0] for c in (start(model, truth), result.coefficients))
    assert after < 0.8 * before


def test_faces_of_a_batch_do_not_touch_each_other(faces):
    model, fitter, targets, truth = faces
    together = fitter.fit(targets, start(model, truth), 10).coefficients
    for index in range(2):
        alone = tf.nest.map_structure(lambda value, i=index: value[i : i + 1], targets)
        result = fitter.fit(alone, start(model, truth)[index : index + 1], 10).coefficients
        np.testing.assert_allclose(result[0], together[index], atol=2e-3)


def test_light_is_solved_for(faces):
    model, fitter, targets, truth = faces
    parts = model.layout.split(truth)
    dark = model.layout.join(dataclasses.replace(parts, light=np.zeros_like(parts.light)))
    surface = visible_surface(SurfaceSteps(model, fitter.camera), tf.constant(dark), targets.alpha, [no_outline()] * 2)
    solved = solve_light(fitter.model, fitter.camera, tf.constant(dark), targets.image, surface.weight, fitter.weights)
    normals = model.posed(tf.constant(truth), fitter.camera).normals
    seen = surface.weight.numpy() > 0
    basis = sh_basis(normals).numpy()

    def shading(coefficients):
        light = model.layout.split(np.asarray(coefficients)).light.reshape(2, 3, 9)
        return np.einsum("bnk,bck->bnc", basis, light)[seen]

    before, after = (np.abs(shading(c) - shading(truth)).mean() for c in (dark, solved))
    assert after < 0.25 * before


def no_outline():
    return lower_outline(np.zeros([SIZE, SIZE]), np.zeros([5, 2]))


def test_hidden_and_masked_vertices_weigh_nothing(faces):
    model, fitter, targets, truth = faces
    surface = visible_surface(SurfaceSteps(model, fitter.camera), tf.constant(truth), targets.alpha, [no_outline()] * 2)
    posed = model.posed(tf.constant(truth), fitter.camera)
    weight = surface.weight.numpy()
    assert (weight >= 0).all()
    assert (weight[posed.normals.numpy()[..., 2] < 0] == 0).all()
    # What is seen sums up to the face's area as seen: pixels covered, at 4.53125 / 10 image sides a decimetre.
    pixels = (
        targets.alpha.numpy().sum(axis=(1, 2, 3)) / (SIZE * fitter.camera.focal_ratio / fitter.camera.distance) ** 2
    )
    np.testing.assert_allclose(weight.sum(1), pixels, rtol=0.12)
    half = targets.alpha.numpy().copy()
    half[:, :, : SIZE // 2] = 0
    weight = visible_surface(
        SurfaceSteps(model, fitter.camera), tf.constant(truth), tf.constant(half), [no_outline()] * 2
    ).weight.numpy()
    x = fitter.camera.project(posed.vertices).numpy()[..., 0]
    assert (weight[x < SIZE / 2 - 1] == 0).all()
    assert weight.sum() > 0


def test_what_lies_beyond_the_crop_weighs_nothing(faces):
    """There, the border's pixels are repeated."""
    model, fitter, targets, truth = faces
    parts = model.layout.split(truth)
    aside = tf.constant(model.layout.join(dataclasses.replace(parts, translation=np.float32([[0.9, 0, 0]] * 2))))
    weight = visible_weights(SurfaceSteps(model, fitter.camera), aside, tf.ones_like(targets.alpha)).weight.numpy()
    points = fitter.camera.project(model.posed(aside, fitter.camera).vertices).numpy()
    outside = ((points < 0) | (points > SIZE)).any(axis=-1)
    assert min(outside.mean(), (weight > 0).mean()) > 0.1
    assert (weight[outside] == 0).all()


def test_what_lies_behind_the_nose_weighs_nothing(faces):
    model, fitter, targets, truth = faces
    parts = model.layout.split(truth)
    turned = tf.constant(model.layout.join(dataclasses.replace(parts, angles=np.float32([[0, 0.9, 0]] * 2))))
    surface = visible_surface(
        SurfaceSteps(model, fitter.camera), turned, tf.ones_like(targets.alpha), [no_outline()] * 2
    )
    vertices = model.posed(turned, fitter.camera).vertices
    triangles = model.triangles
    fragments = rasterize(fitter.camera.clip_coordinates(vertices), triangles, fitter.camera.image_size)
    depth = interpolate(fitter.camera.depth(vertices)[..., None], triangles, fragments)
    seen = sample_image(depth, fitter.camera.project(vertices), "nearest").numpy()[..., 0]
    far_behind = (seen > 0) & (fitter.camera.depth(vertices).numpy() > seen + 0.07)
    facing = model.posed(turned, fitter.camera).normals.numpy()[..., 2] > 0.3
    hidden = surface.weight.numpy()[far_behind & facing]
    assert len(hidden) > 10
    assert (hidden == 0).all()


def test_point_energies_by_hand():
    wanted = tf.zeros([1, 2, 2])
    found = tf.constant([[[3.0, 4.0], [0.0, 0.0]]])
    # 5 px of a 112 crop are 10 px of 224, that is 5 deviations of 2.
    assert float(terms.point_energy(found, wanted, 112, 2.0)[0]) == pytest.approx(0.5 * 25)
    weight = tf.constant([[0.5, 1.0]])
    expected = 0.5 * (np.sqrt(26) - 1)
    assert float(terms.landmark_energy(found, wanted, weight, 112, 2.0)[0]) == pytest.approx(expected)
    # Across an outline that runs along x only y counts.
    outwards = tf.constant([[[0.0, 1.0], [0.0, 1.0]]])
    expected = 0.5 * (np.sqrt(1 + 16) - 1)
    assert float(terms.outline_energy(found, wanted, outwards, weight, 112, 2.0)[0]) == pytest.approx(expected)


def test_photometric_energy_by_hand():
    image = tf.constant(np.tile(np.linspace(0, 1, 8, dtype=np.float32)[None, None, :, None], [1, 8, 1, 3]))
    points = tf.constant([[[2.5, 4.0], [5.5, 4.0], [1.0, 1.0]]])
    colour = tf.constant([[[2 / 7] * 3, [5 / 7 + 0.1] * 3, [9.0] * 3]])
    weight = tf.constant([[1.0, 3.0, 0.0]])
    squared = 3 * (0.1 / 0.05) ** 2
    expected = 10 * 0.75 * 0.5 * squared / (1 + squared / 9)
    energy = terms.photometric_energy(colour, image, points, weight, 0.05, 10.0)
    assert float(energy[0]) == pytest.approx(expected, rel=1e-4)


def test_outliers_stop_pulling():
    squared = tf.constant([0.0, 0.01, 1e6])
    with tf.GradientTape() as tape:
        tape.watch(squared)
        energy = terms.forgetful(squared)
    slope = tape.gradient(energy, squared).numpy()
    assert slope[0] == pytest.approx(0.5)
    assert slope[2] < 1e-8
    assert float(energy[2]) < 4.5
    assert float(terms.robust(tf.constant(1e6))) == pytest.approx(999, rel=1e-3)


def test_blur_stays_inside_the_mask():
    image = np.full([1, 32, 32, 3], 0.9, np.float32)
    alpha = np.zeros([1, 32, 32, 1], np.float32)
    alpha[:, 8:24, 8:24] = 1
    image[:, 8:24, 8:24] = 0.3
    result = blurred(tf.constant(image), tf.constant(alpha), 14.0, 32).numpy()
    np.testing.assert_allclose(result[:, 8:24, 8:24], 0.3, atol=1e-5)
    spot = np.zeros([1, 32, 32, 3], np.float32)
    spot[:, 16, 16] = 1
    result = blurred(tf.constant(spot), tf.ones([1, 32, 32, 1]), 14.0, 32).numpy()
    assert result.sum() == pytest.approx(3, rel=1e-3)
    assert result.max() < 0.1


def disc(centre=(56, 50), radius=30):
    mask = np.zeros([SIZE, SIZE], np.uint8)
    cv2.circle(mask, centre, radius, 1, -1)
    return mask.astype(np.float32)


POINTS = np.array([[44.0, 40], [68, 40], [56, 52], [48, 62], [64, 62]])


def test_outline_is_the_lower_one_and_points_outwards():
    outline = lower_outline(disc(), POINTS)
    assert 20 < len(outline.points) <= OUTLINE_POINTS
    assert (outline.points[:, 1] > 42).all()
    from_centre = outline.points - (56.5, 50.5)
    np.testing.assert_allclose(np.linalg.norm(from_centre, axis=1), 30.5, atol=1.1)
    cosine = (from_centre * outline.outwards).sum(1) / np.linalg.norm(from_centre, axis=1)
    assert (cosine > 0.95).all()


def test_outline_cut_by_the_image_does_not_count():
    cut = lower_outline(disc((56, 100)), POINTS)
    assert len(cut.points) > 20
    assert (cut.points[:, 1] < SIZE - 1.5).all()
    assert len(no_outline().points) == 0


def test_outline_cut_by_the_photo_does_not_count():
    """A face that the photo's border cuts within the crop has no outline there."""
    inside = np.zeros([SIZE, SIZE], bool)
    inside[:, 40:] = True
    cut = lower_outline(disc() * inside, POINTS, inside)
    assert len(cut.points) > 20
    assert (cut.points[:, 0] > 41.5).all()
    assert (lower_outline(disc() * inside, POINTS).points[:, 0] < 41).any()


def test_the_fit_leaves_out_what_the_photo_cuts(faces, monkeypatch):
    model, fitter, targets, truth = faces
    seen = []
    monkeypatch.setattr("model.fitting.fitter.visible_surface", lambda *given: seen.append(given[-1]) or stop())
    for inside in (None, tf.ones([2, SIZE, SIZE], tf.bool), tf.zeros([2, SIZE, SIZE], tf.bool)):
        with pytest.raises(KeyboardInterrupt):
            fitter.fit(dataclasses.replace(targets, inside=inside), start(model, truth), 1)
    counts = [[len(outline.points) for outline in outlines] for outlines in seen]
    assert counts[0] == counts[1]
    assert min(counts[0]) > 0
    assert counts[2] == [0, 0]


def stop():
    raise KeyboardInterrupt


def test_silhouette_meets_the_outline(faces):
    model, fitter, targets, truth = faces
    surface = visible_surface(
        SurfaceSteps(model, fitter.camera),
        tf.constant(truth),
        targets.alpha,
        [lower_outline(disc(radius=45), POINTS), no_outline()],
    )
    pairs = surface.pairs
    assert float(tf.reduce_sum(pairs.weight[1])) == 0
    used = pairs.weight.numpy()[0] > 0
    assert used.any()
    points = fitter.camera.project(model.posed(tf.constant(truth), fitter.camera).vertices).numpy()[0]
    distance = np.linalg.norm(points[pairs.vertices.numpy()[0][used]] - pairs.points.numpy()[0][used], axis=1)
    assert (distance < 7.1).all()  # the reach, 14 px of 224
    # Nearest among the silhouette's vertices, checked against a plain search.
    ids = np.full([1, SIZE, SIZE], -1)
    ids[0, 20:60, 20:60] = 0
    square = np.array([[[20.0, 20], [60, 20], [20, 60]]])
    found = pair_outline([lower_outline(disc(), POINTS)], ids, np.array([[0, 1, 2]]), square)
    for vertex, point, weight in zip(
        found.vertices[0].numpy(), found.points[0].numpy(), found.weight[0].numpy(), strict=True
    ):
        distances = np.linalg.norm(square[0] - point, axis=1)
        if weight:
            assert vertex == distances.argmin()
            assert distances.min() < 7
