"""Similarity of a rendering to its photo, per image, over the pixels covered by both mask and face."""

import numpy as np
import tensorflow as tf
from skimage import metrics

SSIM_WINDOW = 11  # px, of a Gaussian of sigma 1.5
PEAK_ERROR_FLOOR = 1e-10  # mean squared error of a perfect match: 100 dB instead of infinity


def masked_psnr(image: tf.Tensor, target: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Peak signal-to-noise ratio over the pixels of a mask.

    Args:
      image, target: [B, H, W, 3] RGB in [0, 1].
      mask: [B, H, W, 1]; pixels of at least one half count.

    Returns:
      [B] dB, 10 log10(1 / mean squared error over counted pixels and channels); NaN where no pixel counts.
    """
    counted = tf.cast(mask >= 0.5, image.dtype)
    squared = tf.reduce_sum(tf.square(image - target) * counted, axis=(1, 2, 3))
    samples = tf.reduce_sum(counted, axis=(1, 2, 3)) * float(image.shape[-1])
    error = tf.where(samples > 0, squared / tf.maximum(samples, 1.0), float("nan"))
    return -10.0 * tf.math.log(tf.maximum(error, PEAK_ERROR_FLOOR)) / tf.math.log(10.0)


def masked_l1(image: tf.Tensor, target: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference [B] over the pixels of a mask and the channels; arguments as in `masked_psnr`."""
    counted = tf.cast(mask >= 0.5, image.dtype)
    total = tf.reduce_sum(tf.abs(image - target) * counted, axis=(1, 2, 3))
    samples = tf.reduce_sum(counted, axis=(1, 2, 3)) * float(image.shape[-1])
    return tf.where(samples > 0, total / tf.maximum(samples, 1.0), float("nan"))


def structural_similarity(image: np.ndarray, target: np.ndarray, mask: np.ndarray) -> tuple[float, float]:
    """SSIM (Wang et al. 2004) as computed by scikit-image, per channel and then averaged.

    Gaussian window of sigma 1.5 (11 px), data range 1.

    Args:
      image, target: [H, W, 3] RGB in [0, 1], at least 11 px on each side.
      mask: [H, W]; pixels of at least one half count.

    Returns:
      Mean over the pixels of the mask (NaN if it is empty), and mean over the whole picture except the five pixels at
      its border, where the window does not fit.
    """
    whole, similarity = metrics.structural_similarity(
        np.float64(target), np.float64(image), data_range=1.0, channel_axis=-1, full=True,
        gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    )  # fmt: skip
    counted = mask >= 0.5
    return float(similarity[counted].mean()) if counted.any() else float("nan"), float(whole)


def coverage(mask: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
    """Share [B] of the photo's mask `alpha` [B, H, W, 1] covered by the compared pixels `mask`; NaN if it is empty."""
    wanted = tf.cast(alpha >= 0.5, tf.float32)
    covered = tf.reduce_sum(tf.cast(mask >= 0.5, tf.float32) * wanted, axis=(1, 2, 3))
    total = tf.reduce_sum(wanted, axis=(1, 2, 3))
    return tf.where(total > 0, covered / tf.maximum(total, 1.0), float("nan"))
