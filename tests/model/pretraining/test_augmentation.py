"""Augmentation keeps the truth true."""

import numpy as np
import tensorflow as tf

from lib.geometry.lighting import shading
from model.pretraining.augmentation import augment, move, scale_light
from tests.support.helpers import assert_close

OFF = {"gain": 0.0, "noise": 0.0, "background": 0.0, "boxes": 0.0}


def faces(batch: int = 6) -> np.ndarray:
    generator = np.random.default_rng(0)
    images = generator.integers(60, 150, (batch, 24, 24, 4), np.uint8)
    images[..., 3] = 0
    images[:, 6:18, 6:18, 3] = 255
    return images


def light(batch: int = 6):
    return tf.random.stateless_normal([batch, 27], (0, 1), stddev=0.2)


def test_scaled_light_scales_the_shading():
    normals = tf.math.l2_normalize(tf.random.normal([2, 10, 3], seed=2), axis=-1)
    factor = tf.constant([[0.5, 1.0, 2.0], [1.3, 0.9, 0.7]])
    scaled = shading(normals, scale_light(light(2), factor))
    assert_close(scaled, shading(normals, light(2)) * factor[:, None, :], 1e-5)


def test_gain_brightens_the_picture_as_much_as_the_light():
    images = faces()
    seen = augment(images, light(), (1, 2), **{**OFF, "gain": 0.2})
    normals = tf.constant([[[0.0, 0.0, 1.0]]] * 6)
    factor = (shading(normals, seen.light) / shading(normals, light()))[:, 0]
    assert np.std(factor) > 0.02
    blurred = np.asarray(tf.nn.avg_pool2d(tf.cast(images[..., :3], tf.float32) / 255.0, 3, 1, "SAME"))
    for i in range(6):
        expected = images[i, ..., :3] / 255.0 * np.asarray(factor[i])
        error = min(np.abs(seen.images[i] - e).max() for e in (expected, blurred[i] * np.asarray(factor[i])))
        assert error < 1e-5


def test_background_leaves_the_inside_of_the_face_alone():
    images = faces()
    seen = augment(images, light(), (5, 2), **{**OFF, "background": 1.0})
    inside = images[:, 8:16, 8:16, :3] / 255.0
    kept = [np.abs(seen.images[i, 8:16, 8:16] - inside[i]).max() < 1e-5 for i in range(6)]
    assert np.mean(kept) >= 0.5  # the others are blurred
    assert all(np.abs(seen.images[i, :4] - images[i, :4, :, :3] / 255.0).max() > 0.1 for i in range(6))


def test_covered_skin_leaves_the_mask():
    images = faces()
    seen = augment(images, light(), (4, 2), **{**OFF, "boxes": 1.0})
    removed = (images[..., 3:] / 255.0) - seen.alpha.numpy()
    assert removed.min() >= 0.0
    assert removed.max() == 1.0


def test_equal_seeds_give_equal_pictures_and_others_do_not():
    options = {"gain": 0.1, "noise": 0.03, "background": 0.5, "boxes": 0.5}
    first, again = (augment(faces(), light(), (3, 7), **options) for _ in range(2))
    other = augment(faces(), light(), (3, 8), **options)
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.light, again.light)
    assert np.abs(first.images - other.images).max() > 0.05
    assert float(tf.reduce_min(first.images)) >= 0.0
    assert float(tf.reduce_max(first.images)) <= 1.0


def test_moving_mirrors_about_half_and_shifts_no_further_than_asked():
    ramp = np.tile(np.arange(32, dtype=np.float32)[None, None, :, None], (64, 32, 1, 1))
    moved = move(tf.constant(ramp), tf.constant([3, 4]), 0.0, 0.0).numpy()
    mirrored = (moved[:, 16, 0, 0] > 15).sum()
    assert 16 <= mirrored <= 48
    for picture in moved:
        expected = ramp[0, :, ::-1] if picture[16, 0, 0] > 15 else ramp[0]
        np.testing.assert_allclose(picture, expected, atol=1e-4)
    moved = move(tf.constant(ramp), tf.constant([3, 4]), 0.1, 0.0).numpy()[:, 16, 16, 0]
    off = np.minimum(np.abs(moved - 16), np.abs(moved - 15))
    assert 1.0 < off.max() <= 3.2 + 1e-4
    zoomed = move(tf.constant(ramp), tf.constant([3, 4]), 0.0, 0.1).numpy()[:, 16]
    slopes = np.abs(zoomed[:, 17, 0] - zoomed[:, 14, 0]) / 3
    assert 0.03 < np.log(slopes).std() < 0.2
    np.testing.assert_array_equal(moved, move(tf.constant(ramp), tf.constant([3, 4]), 0.1, 0.0).numpy()[:, 16, 16, 0])
