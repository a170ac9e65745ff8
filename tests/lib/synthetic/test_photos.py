"""Synthetic photos: reproducible, and every piece of ground truth agrees with the picture."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from lib.face_image.alignment import align
from lib.geometry.camera import Camera
from lib.geometry.lighting import shading
from lib.geometry.normals import incident_triangles, vertex_normals
from lib.geometry.rotation import rotation_matrix
from lib.mesh_renderer.fragments import interpolate, rasterize
from lib.synthetic.appearance.noise import noise, spots
from lib.synthetic.builtin.face_generator import build_face_model
from lib.synthetic.method import METHOD
from lib.synthetic.photos import PhotoSettings, SyntheticFaces
from lib.synthetic.rendering.lights import Lamp, lamp_coefficients
from lib.synthetic.rendering.placement import five_points
from tests.support.pinned import check_pinned

SIZE = 112
PINNED_METHOD = "procedural photos, 1"
PINNED_PIXELS = [52162.31, -147.51, 253.33, 126.12, -29.68, -109.63]
PINNED_COEFFICIENTS = [0.506, 0.040, -0.255, 0.035, -0.672, 0.654]
PLAIN = PhotoSettings(extra_light=False, surroundings=False, occluders=False, imaging=False)


@pytest.fixture(scope="module")
def model():
    return build_face_model(4000)


@pytest.fixture(scope="module")
def faces(model):
    return SyntheticFaces(model, SIZE, seed=3)


@pytest.fixture(scope="module")
def samples(faces):
    return {index: faces.sample(index) for index in (0, 1, 4, 9, 14, 22)}


def posed(model, coefficients):
    """World vertices [1, N, 3] from a coefficient vector, as the reconstruction computes them."""
    parts = model.layout.split(coefficients.astype(np.float64))
    shape = model.mean_shape + np.tensordot(parts.identity, model.identity_basis, 1)
    shape = shape + np.tensordot(parts.expression, model.expression_basis, 1)
    return (shape @ rotation_matrix(parts.angles[None]).numpy()[0] + parts.translation)[None].astype(np.float32)


def fragments(model, vertices):
    return rasterize(Camera((SIZE, SIZE)).clip_coordinates(vertices), model.triangles, (SIZE, SIZE))


def test_a_photo_depends_on_seed_and_index_alone(model, faces, samples):
    fresh = SyntheticFaces(model, SIZE, seed=3)
    for index in (9, 0):
        again = fresh.sample(index)
        for field in dataclasses.fields(again):
            np.testing.assert_array_equal(getattr(again, field.name), getattr(samples[index], field.name), field.name)
    other = SyntheticFaces(model, SIZE, seed=4, settings=PLAIN).sample(0)
    assert not np.allclose(other.coefficients, samples[0].coefficients)


def test_photos_of_one_person_share_shape_and_colour_but_no_moment(model, faces, samples):
    first, second, third = (samples[i] for i in (0, 1, 4))
    assert first.identity_id == second.identity_id == 0
    assert third.identity_id == 1
    a, b, c = (model.layout.split(sample.coefficients) for sample in (first, second, third))
    for part in ("identity", "albedo"):
        np.testing.assert_array_equal(getattr(a, part), getattr(b, part))
        assert not np.allclose(getattr(a, part), getattr(c, part))
    for part in ("angles", "light"):
        assert not np.allclose(getattr(a, part), getattr(b, part))
    # The same marks on the skin: what detail adds is the same where neither expression nor make-up reach.
    coarse = model.mean_albedo + np.tensordot(a.albedo, model.albedo_basis, 1)
    cheek = np.flatnonzero(model.regions["cheek"] * model.skin_mask > 0.9)
    detail = [sample.true_albedo[cheek] - coarse[cheek] for sample in (first, second)]
    assert np.corrcoef(detail[0].ravel(), detail[1].ravel())[0, 1] > 0.7
    assert detail[0].std() > 0.003


def test_alpha_shows_no_occluder(model, faces, samples):
    without = SyntheticFaces(model, SIZE, seed=3, settings=PhotoSettings(occluders=False))
    covered = 0
    for index, sample in samples.items():
        assert set(np.unique(sample.alpha)) <= {0, 255}
        assert not (sample.occluder & (sample.alpha > 0)).any()
        if index not in (4, 9, 14):
            continue
        bare = without.sample(index)
        seen = sample.alpha > 0
        assert not (seen & (bare.alpha == 0)).any()
        different = np.abs(sample.linear - bare.linear).max(-1) > 0.15
        assert different[seen].mean() < 0.02
        covered += (bare.alpha > 0).sum() - seen.sum()
    assert covered > 100, "one of these photos must hold an occluder for this test to mean anything"


def test_landmarks_lie_where_the_coefficients_project_them(model, samples):
    camera = Camera((SIZE, SIZE))
    for sample in samples.values():
        expected = camera.project(posed(model, sample.coefficients)).numpy()[0, model.landmarks]
        np.testing.assert_allclose(sample.landmarks, expected, atol=0.01)
        visible = sample.landmarks[sample.landmark_visible]
        assert len(visible) >= 15
        column, row = np.clip(visible.astype(int), 0, SIZE - 1).T
        assert (sample.alpha[row, column] > 0).mean() > 0.75


def test_far_side_landmarks_are_hidden_on_turned_heads(model):
    faces = SyntheticFaces(model, SIZE, seed=3, settings=dataclasses.replace(PLAIN, detail=False))
    turned = 0
    for index in range(40):
        sample = faces.sample(index)
        yaw = np.degrees(model.layout.split(sample.coefficients).angles[1])
        if abs(yaw) > 35:
            far, near = (slice(0, 5), slice(12, 17)) if yaw < 0 else (slice(12, 17), slice(0, 5))
            assert sample.landmark_visible[near].sum() > sample.landmark_visible[far].sum()
            turned += 1
    assert turned >= 2


def test_silhouette_of_the_coefficients_is_alpha_and_occluder(model, samples):
    for sample in samples.values():
        silhouette = fragments(model, posed(model, sample.coefficients)).mask.numpy()[0, ..., 0] > 0
        seen = (sample.alpha > 0) | sample.occluder
        assert (silhouette & seen).sum() / (silhouette | seen).sum() > 0.95


def test_without_extras_the_image_is_albedo_times_shading(model):
    faces = SyntheticFaces(model, SIZE, seed=3, settings=dataclasses.replace(PLAIN, supersampling=1))
    incidence = incident_triangles(model.triangles, model.vertex_count)
    for index in (2, 7):
        sample = faces.sample(index)
        vertices = posed(model, sample.coefficients)
        light = model.layout.split(sample.coefficients).light[None]
        expected = shading(
            vertex_normals(tf.constant(vertices), model.triangles, incidence), tf.constant(light)
        ).numpy()[0]
        np.testing.assert_allclose(sample.shading, expected, atol=2e-3)
        colours = (sample.true_albedo * expected)[None]
        rendered = interpolate(tf.constant(colours), model.triangles, fragments(model, vertices)).numpy()[0]
        error = np.abs(rendered.clip(0, 1) - sample.image / 255)[sample.alpha > 0]
        assert np.median(error) < 0.015
        assert error.mean() < 0.03


def test_the_crop_is_its_own_alignment(model, samples):
    template = five_points(model.mean_shape[model.landmarks])
    for sample in samples.values():
        aligned = align(sample.image, sample.five_points, template, SIZE)
        # Truncation to whole pixels moves the published crop by up to one.
        np.testing.assert_allclose(aligned.photo_to_crop[:, :2], np.eye(2), atol=0.015)
        assert np.abs(aligned.photo_to_crop[:, 2]).max() <= 2
        inter_ocular = np.linalg.norm(sample.five_points[1] - sample.five_points[0])
        error = np.linalg.norm(sample.five_points - five_points(sample.landmarks), axis=1) / inter_ocular
        assert 0.002 < error.mean() < 0.15


def test_skin_tones_cover_the_range(model, faces):
    tones = np.array([faces.person(i).tone for i in range(60)])
    assert tones.min() < 0.3
    assert tones.max() > 0.7
    assert np.ptp(np.percentile(tones, [20, 80])) > 0.2


def test_works_without_regions_and_named_expressions(model):
    bare = dataclasses.replace(model, regions={}, expression_names=())
    sample = SyntheticFaces(bare, 64, seed=1).sample(5)
    assert sample.image.shape == (64, 64, 3)
    assert 0.1 < (sample.alpha > 0).mean() < 0.7
    assert np.isfinite(sample.true_albedo).all()


def test_a_lamp_lights_what_faces_it():
    direction = np.array([0.6, 0.0, 0.8])
    lamp = Lamp(direction, np.array([1.0, 0.5, 0.25]), softness=0.0)
    normals = tf.constant(np.stack([direction, -direction, np.array([0.0, 1.0, 0.0])])[None])
    coefficients = lamp_coefficients(lamp)
    coefficients[:, 0] -= 0.8
    light = shading(normals, tf.constant(coefficients.reshape(1, -1))).numpy()[0]
    # 1/4 + c/2 + 5/16 P2(c) for c = 1, -1, 0: the second-order clamped cosine.
    np.testing.assert_allclose(light, np.outer([1.0625, 0.0625, 0.09375], lamp.colour), atol=1e-6)


def test_noise_is_smooth_and_differs_between_seeds():
    generator = np.random.default_rng(0)
    points = generator.uniform(-50, 50, (4000, 3)).astype(np.float32)
    values = noise(points, 10.0, seed=5)
    assert abs(values.mean()) < 0.08
    assert 0.3 < values.std() < 0.9
    assert np.abs(noise(points + np.float32(0.1), 10.0, 5) - values).max() < 0.12
    assert abs(np.corrcoef(noise(points, 10.0, 6), values)[0, 1]) < 0.1
    dots = spots(points, 4.0, 0.4, (0.5, 1.5), seed=2)
    assert 0.0 <= dots.min() <= dots.max() <= 1.0
    assert 0.005 < (dots > 0.5).mean() < 0.2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda model, faces: SyntheticFaces(model, 8), "image_size must be at least 16 pixels, got 8"),
        (lambda model, faces: faces.sample(-1), "index must not be negative, got -1"),
        (lambda model, faces: PhotoSettings(photos_per_identity=0), "photos_per_identity must be at least 1, got 0"),
    ],
)
def test_errors_say_what_is_wrong(model, faces, make, message):
    with pytest.raises(ValueError, match=message):
        make(model, faces)


def test_other_photos_need_another_method(samples):
    """Six photos, among them glasses, hands or objects before the face."""
    pixels = np.stack([np.dstack([photo.image, photo.alpha]) for photo in samples.values()])
    check_pinned(METHOD, pixels, PINNED_METHOD, PINNED_PIXELS, tolerance=2.0)
    coefficients = np.stack([photo.coefficients for photo in samples.values()])
    check_pinned(METHOD, coefficients, PINNED_METHOD, PINNED_COEFFICIENTS, tolerance=0.01)
