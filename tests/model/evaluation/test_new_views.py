"""New views of the truth: turned to the side that the photo does not show, the same for truth and texture."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from lib.face_model.coefficients import Coefficients
from lib.geometry.camera import Camera
from lib.geometry.rotation import rotation_matrix
from lib.mesh_renderer.fragments import rasterize
from model.evaluation.new_views import new_light, render_new_views, true_visibility
from model.evaluation.records import _means
from model.evaluation.textures import _errors, _gain
from model.morphable_model import MorphableModel
from tests.support.golden_face import golden_face_model

CAMERA = Camera((48, 48))


@pytest.fixture(scope="module")
def morphable():
    return MorphableModel(golden_face_model())


def coefficients(morphable: MorphableModel, yaw_degrees: float) -> tf.Tensor:
    layout = morphable.layout
    zeros = {name: np.zeros((1, count), np.float32) for name, count in layout.counts.items()}
    zeros["angles"] = np.radians([[0.0, yaw_degrees, 0.0]]).astype(np.float32)
    return tf.constant(layout.join(Coefficients(**zeros)))


def crop_of(mask) -> tf.Tensor:
    return tf.concat([0.5 * tf.ones([1, 48, 48, 3]), tf.cast(mask, tf.float32)], axis=-1)


def seen_vertices(morphable: MorphableModel, yaw_degrees: float) -> np.ndarray:
    crop = crop_of(tf.ones([1, 48, 48, 1]))
    return true_visibility(morphable, CAMERA, coefficients(morphable, yaw_degrees), crop)[0].numpy() > 0.5


@pytest.mark.parametrize("yaw", [50.0, -50.0])
def test_the_new_views_show_what_the_photo_hides(morphable, yaw):
    """A texture that is white where the photo sees and black elsewhere is darker there than from the photo's side."""
    seen = seen_vertices(morphable, yaw).astype(np.float32)
    albedo = tf.constant(np.repeat(seen[None, :, None], 3, axis=2))

    def brightness(photo_yaw: float) -> np.ndarray:
        views = render_new_views(morphable, CAMERA, coefficients(morphable, photo_yaw), tf.zeros([1, 27]), albedo)
        return views.pictures[:, 0].numpy().sum((1, 2, 3)) / views.face.numpy().sum((1, 2, 3))

    other_side, same_side = brightness(yaw), brightness(-yaw)
    assert (other_side < same_side).all()
    assert other_side[1] < 0.95 * same_side[1], "most at 60 degrees"


def box_of(mask) -> tuple[np.ndarray, np.ndarray]:
    """First and last row and column of the pixels of a mask [H, W, 1]."""
    places = np.argwhere(np.asarray(mask)[..., 0] > 0)
    return places.min(0), places.max(0)


def test_the_views_are_thirty_and_sixty_degrees_from_the_front_in_the_middle_of_the_picture(morphable):
    views = render_new_views(
        morphable, CAMERA, coefficients(morphable, 10.0), tf.zeros([1, 27]), tf.ones([1, morphable.vertex_count, 3])
    )
    large = dataclasses.replace(CAMERA, image_size=(96, 96), focal_ratio=CAMERA.focal_ratio / 2)
    for mask, yaw in zip(views.face, (-30.0, -60.0), strict=True):
        rotation = rotation_matrix(tf.constant(np.radians([[0.0, yaw, 0.0]]), tf.float32))
        vertices = tf.matmul(morphable.shape(tf.zeros([1, 80]), tf.zeros([1, 64])), rotation)
        whole = rasterize(large.clip_coordinates(vertices), morphable.triangles, large.image_size).mask[0]
        (low, high), (first, last) = box_of(mask), box_of(whole)
        np.testing.assert_allclose(high - low, last - first, atol=1)
        assert np.sum(mask) == pytest.approx(np.sum(whole), rel=0.04), "nothing is cut off"
        np.testing.assert_allclose(low + high, 47, atol=1)


def test_every_albedo_gets_its_own_picture_under_the_given_light(morphable):
    count = morphable.vertex_count
    albedos = tf.constant(np.stack([np.full((count, 3), 0.2), np.full((count, 3), 0.4)]).astype(np.float32))
    dark = render_new_views(morphable, CAMERA, coefficients(morphable, 5.0), tf.zeros([1, 27]), albedos)
    half, whole = dark.pictures[:, 0].numpy(), dark.pictures[:, 1].numpy()
    np.testing.assert_allclose(whole, 2 * half, atol=1e-6)
    light = np.zeros((1, 27), np.float32)
    light[0, 0] = 0.8  # twice the ambient light, in red alone
    red = render_new_views(morphable, CAMERA, coefficients(morphable, 5.0), tf.constant(light), albedos)
    np.testing.assert_allclose(red.pictures[:, 0, ..., 0], 2 * half[..., 0], atol=1e-5)
    np.testing.assert_allclose(red.pictures[:, 0, ..., 1], half[..., 1], atol=1e-6)


@pytest.mark.parametrize(("strength", "colour"), [(3.0, 1.0), (-3.0, 0.0)])
def test_light_beyond_what_a_picture_shows_is_clipped(morphable, strength, colour):
    light = np.zeros((1, 3, 9), np.float32)
    light[:, :, 0] = strength
    white = tf.ones([1, morphable.vertex_count, 3])
    views = render_new_views(morphable, CAMERA, coefficients(morphable, 5.0), light.reshape(1, 27), white)
    np.testing.assert_allclose(views.pictures[:, 0].numpy()[views.face.numpy()[..., 0] == 1.0], colour, atol=1e-5)


def test_only_skin_is_compared(morphable):
    views = render_new_views(
        morphable, CAMERA, coefficients(morphable, 5.0), tf.zeros([1, 27]),
        tf.repeat(morphable.skin_mask[None, :, None], 3, axis=2),
    )  # fmt: skip
    skin = views.skin[..., 0].numpy() > 0
    brightness = views.pictures[:, 0].numpy().max(-1)
    assert skin.any()
    assert (brightness[~skin] < 0.5 * brightness.max() + 1e-6).all()
    assert (views.face.numpy() >= views.skin.numpy()).all()


def test_what_an_occluder_covers_is_hidden(morphable):
    whole = seen_vertices(morphable, 0.0)
    mask = np.ones((1, 48, 48, 1), np.float32)
    mask[:, :, :24] = 0
    half = true_visibility(morphable, CAMERA, coefficients(morphable, 0.0), crop_of(mask))[0].numpy() > 0.5
    points = CAMERA.project(morphable.posed(coefficients(morphable, 0.0), CAMERA).vertices)[0].numpy()
    assert (half <= whole).all()
    assert not half[points[:, 0] < 19].any()  # a triangle's breadth from the edge: its other corners are seen
    np.testing.assert_array_equal(half[points[:, 0] > 26], whole[points[:, 0] > 26])


def test_lights_follow_the_record_and_the_skins_tone():
    pale, dark = np.full((5, 3), 0.8), np.full((5, 3), 0.2)
    np.testing.assert_array_equal(new_light(3, pale), new_light(3, pale))
    assert not np.allclose(new_light(3, pale), new_light(4, pale))
    assert new_light(3, dark)[0] > new_light(3, pale)[0], "a camera brightens what is dark"


def test_albedo_errors_are_means_over_seen_and_over_hidden_vertices():
    true = np.full((60, 3), 0.5, np.float32)
    seen = np.arange(60) < 30
    albedo = true + np.where(seen, 0.1, -0.2)[:, None].astype(np.float32)
    errors = _errors({"a": albedo}, true, seen, ~seen)
    assert errors["albedo_visible"]["a"] == pytest.approx(0.1, abs=1e-6)
    assert errors["albedo_hidden"]["a"] == pytest.approx(0.2, abs=1e-6)
    assert np.isnan(_errors({"a": albedo}, true, seen, np.zeros(60, bool))["albedo_hidden"]["a"])


def test_every_vertex_of_every_face_counts_alike():
    rows = [{"fine": 0.1}, {"fine": 0.4}, {"fine": float("nan")}]
    assert _means(rows, [300, 100, 0]) == {"fine": pytest.approx(0.175)}
    assert _means([{"fine": float("nan")}], [0]) == {"fine": None}


def test_the_gain_takes_a_scale_back_and_nothing_else():
    true = np.random.default_rng(0).uniform(0.2, 0.8, (50, 3))
    assert _gain(0.5 * true, true) == pytest.approx(2.0)
    other = np.random.default_rng(1).uniform(0.2, 0.8, (50, 3))
    best = np.square(_gain(other, true) * other - true).sum()
    assert best < min(np.square(gain * other - true).sum() for gain in (0.5, 0.9, 1.0, 1.1, 2.0))
