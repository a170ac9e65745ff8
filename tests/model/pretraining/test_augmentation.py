"""Augmentation keeps the truth true."""

import numpy as np
import tensorflow as tf

from lib.geometry.lighting import shading
from model.pretraining.augmentation import Changes, augment, move, scale_light
from tests.support.helpers import assert_close


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
    seen = augment(images, light(), (1, 2), Changes(gain=0.2))
    normals = tf.constant([[[0.0, 0.0, 1.0]]] * 6)
    factor = (shading(normals, seen.light) / shading(normals, light()))[:, 0]
    assert np.std(factor) > 0.02
    assert 0.01 < np.std(np.log(factor), axis=1).mean() < 0.2, "the tint"
    blurred = np.asarray(tf.nn.avg_pool2d(tf.cast(images[..., :3], tf.float32) / 255.0, 3, 1, "SAME"))
    for i in range(6):
        expected = images[i, ..., :3] / 255.0 * np.asarray(factor[i])
        error = min(np.abs(seen.images[i] - e).max() for e in (expected, blurred[i] * np.asarray(factor[i])))
        assert error < 1e-5


def test_background_leaves_the_inside_of_the_face_alone():
    images = faces()
    seen = augment(images, light(), (5, 2), Changes(background=1.0))
    inside = images[:, 8:16, 8:16, :3] / 255.0
    kept = [np.abs(seen.images[i, 8:16, 8:16] - inside[i]).max() < 1e-5 for i in range(6)]
    assert np.mean(kept) >= 0.5  # the others are blurred
    other = np.roll(images, 1, axis=0)[:, ::-1, :, :3] / 255.0  # the picture before, upside down
    assert np.mean([np.abs(seen.images[i, :4] - other[i, :4]).max() < 1e-5 for i in range(6)]) >= 0.5
    assert all(np.abs(seen.images[i, :4] - images[i, :4, :, :3] / 255.0).max() > 0.1 for i in range(6))


def test_covered_skin_leaves_the_mask():
    images = faces()
    seen = augment(images, light(), (4, 2), Changes(boxes=1.0))
    removed = (images[..., 3:] / 255.0) - seen.alpha.numpy()
    assert removed.min() >= 0.0
    assert removed.max() == 1.0
    painted = np.abs(seen.images - images[..., :3] / 255.0)[removed[..., 0] == 1.0]
    assert (painted.max(axis=-1) > 0.01).mean() > 0.9


def test_boxes_have_an_eighth_to_a_half_of_the_side():
    images = np.full((60, 24, 24, 4), 255, np.uint8)
    covered = augment(images, light(60), (4, 2), Changes(boxes=1.0)).alpha.numpy()[..., 0] == 0.0
    for axis in (1, 2):
        sides = covered.any(axis=axis).sum(axis=1)
        assert 3 <= sides.min() < 6 < 9 < sides.max() <= 12


def test_noise_is_that_of_the_picture_and_a_quarter_are_blurred():
    images = np.full((60, 24, 24, 4), 128, np.uint8)
    grain = augment(images, light(60), (8, 2), Changes(noise=0.06)).images.numpy() - 128 / 255
    levels = grain.std(axis=(1, 2, 3))
    assert np.abs(grain.mean()) < 1e-3
    assert levels.min() < 0.01 < 0.05 < levels.max() < 0.065
    images = np.random.default_rng(0).integers(0, 255, (60, 24, 24, 4), np.uint8)
    seen = augment(images, light(60), (8, 2), Changes()).images
    sharp = images[..., :3] / 255.0
    soft = np.asarray(tf.nn.avg_pool2d(tf.constant(sharp), 3, 1, "SAME"))
    blurred = np.abs(seen - soft).max(axis=(1, 2, 3)) < 1e-5
    np.testing.assert_allclose(seen[~blurred], sharp[~blurred], atol=1e-5)
    assert 0.1 < blurred.mean() < 0.4


def test_a_pattern_of_light_is_smooth_and_leaves_the_light_alone():
    images = np.full((40, 24, 24, 4), 100, np.uint8)
    seen = augment(images, light(40), (6, 2), Changes(pattern=0.2))
    assert_close(seen.light, light(40), 1e-6)
    logarithms = np.log(seen.images.numpy() / (100 / 255))
    assert np.abs(logarithms - logarithms[..., :1]).max() < 1e-5  # no colour
    spread = logarithms.std(axis=(1, 2)).mean()
    assert 0.07 < spread < 0.25
    assert logarithms.mean(axis=(1, 2)).std() < 0.3 * spread
    assert np.sqrt(np.square(np.diff(logarithms, axis=1)).mean()) < 0.3 * spread  # white noise: 1.4


def test_coarse_pictures_lose_detail_but_not_their_place():
    images = np.zeros((60, 32, 32, 4), np.uint8)
    images[..., :3] = np.random.default_rng(1).integers(0, 256, (32, 32, 1))
    images[:, :, :16, :3] //= 4
    kept = augment(images, light(60), (7, 2), Changes())
    seen = augment(images, light(60), (7, 2), Changes(coarse=0.5)).images.numpy()
    changed = np.abs(seen - kept.images.numpy()).max(axis=(1, 2, 3)) > 0.05
    assert 0.3 < changed.mean() < 0.7
    rough = np.abs(np.diff(seen, axis=1)).mean(axis=(1, 2, 3))
    sharp = np.abs(np.diff(kept.images.numpy(), axis=1)).mean(axis=(1, 2, 3))
    # Some are blurred without being coarse, so pictures are compared with themselves.
    assert (rough[changed] < 0.8 * sharp[changed]).all()
    halves = seen[..., 16:, :].mean(axis=(1, 2, 3)) - seen[..., :16, :].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(halves, 0.375, atol=0.03)


def test_equal_seeds_give_equal_pictures_and_others_do_not():
    changes = Changes(gain=0.1, pattern=0.2, noise=0.03, background=0.5, boxes=0.5, coarse=0.5)
    first, again = (augment(faces(), light(), (3, 7), changes) for _ in range(2))
    other = augment(faces(), light(), (3, 8), changes)
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
    rows = move(tf.transpose(tf.constant(ramp), [0, 2, 1, 3]), tf.constant([3, 4]), 0.1, 0.0).numpy()[:, 16, 16, 0]
    assert np.abs(rows - 16).max() <= 3.2 + 1e-4
    assert np.abs(np.abs(rows - 16) - off).max() > 1.5, "up and down is not as to the sides"
    zoomed = move(tf.constant(ramp), tf.constant([3, 4]), 0.0, 0.1).numpy()[:, 16]
    slopes = np.abs(zoomed[:, 17, 0] - zoomed[:, 14, 0]) / 3
    assert 0.03 < np.log(slopes).std() < 0.2
    np.testing.assert_array_equal(moved, move(tf.constant(ramp), tf.constant([3, 4]), 0.1, 0.0).numpy()[:, 16, 16, 0])
