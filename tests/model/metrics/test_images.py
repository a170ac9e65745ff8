import numpy as np
import pytest
import tensorflow as tf

from model.metrics.images import coverage, masked_l1, masked_psnr, structural_similarity


def test_a_known_error_gives_its_decibels():
    image = tf.fill([2, 4, 4, 3], 0.5)
    target = tf.stack([tf.fill([4, 4, 3], 0.6), tf.fill([4, 4, 3], 0.51)])
    np.testing.assert_allclose(masked_psnr(image, target, tf.ones([2, 4, 4, 1])), [20.0, 40.0], atol=1e-3)


def test_only_masked_pixels_count():
    rng = np.random.default_rng(0)
    target = rng.uniform(size=(1, 6, 6, 3)).astype(np.float32)
    mask = (rng.uniform(size=(1, 6, 6, 1)) > 0.5).astype(np.float32)
    image = np.where(mask > 0, target + 0.1, rng.uniform(size=target.shape)).astype(np.float32)
    assert float(masked_psnr(image, target, mask)[0]) == pytest.approx(20.0, abs=1e-3)


def test_scikit_image_agrees():
    from skimage.metrics import peak_signal_noise_ratio

    rng = np.random.default_rng(1)
    image, target = rng.uniform(size=(2, 1, 8, 8, 3)).astype(np.float32)
    expected = peak_signal_noise_ratio(target[0], image[0], data_range=1.0)
    assert float(masked_psnr(image, target, tf.ones([1, 8, 8, 1]))[0]) == pytest.approx(expected, abs=1e-4)


def test_nothing_to_compare_is_not_a_number_and_perfection_is_finite():
    image = tf.zeros([1, 4, 4, 3])
    assert np.isnan(masked_psnr(image, image, tf.zeros([1, 4, 4, 1]))[0])
    assert float(masked_psnr(image, image, tf.ones([1, 4, 4, 1]))[0]) == pytest.approx(100.0)


def test_coverage_is_the_share_of_the_alpha():
    alpha = np.zeros((1, 4, 4, 1), np.float32)
    alpha[0, :2] = 1
    mask = np.zeros_like(alpha)
    mask[0, 0] = 1
    mask[0, 3] = 1  # outside the alpha: no credit
    assert float(coverage(mask, alpha)[0]) == pytest.approx(0.5)
    assert np.isnan(coverage(mask, np.zeros_like(alpha))[0])


def test_pixels_of_at_least_one_half_count_whole():
    """Masks are soft at their borders."""
    target = np.full((1, 16, 16, 3), 0.5, np.float32)
    image = target + np.where(np.arange(16) < 8, 0.4, 0.1)[:, None].astype(np.float32)
    mask = np.broadcast_to(np.where(np.arange(16) < 8, 0.3, 0.7)[:, None], (1, 16, 16, 1)).astype(np.float32)
    assert float(masked_psnr(image, target, mask)[0]) == pytest.approx(20.0, abs=1e-3)
    assert float(masked_l1(image, target, mask)[0]) == pytest.approx(0.1, abs=1e-6)
    whole = (mask > 0.5).astype(np.float32)
    soft, hard = (structural_similarity(image[0], target[0], some[0, ..., 0]) for some in (mask, whole))
    assert soft == hard
    alpha = np.full((1, 16, 16, 1), 0.3, np.float32)
    alpha[:, :, 6:12] = 0.7
    assert float(coverage(mask, alpha)[0]) == pytest.approx(4 / 6)
