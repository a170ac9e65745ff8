"""Greyscale morphology of alpha masks."""

from collections.abc import Callable

import cv2
import numpy as np
import tensorflow as tf


def elliptical_kernel(size: int) -> np.ndarray:
    """Flat elliptical structuring element: [size, size] float32 of 0 and 1, `size` odd.

    With radius r, row i holds the columns within round(sqrt(r^2 - (i - r)^2)) of the centre, as in OpenCV before
    version 5, which the paper used.
    """
    if size < 1 or size % 2 == 0:
        raise ValueError(f"size must be odd and positive, got {size}")
    radius = size // 2
    offset = np.arange(-radius, radius + 1)
    reach = np.rint(np.sqrt(radius**2 - offset**2))
    return (np.abs(offset)[None, :] <= reach[:, None]).astype(np.float32)


def dilate(mask: tf.Tensor, kernel: np.ndarray) -> tf.Tensor:
    """Maximum under the kernel's ones; without gradient.

    OpenCV computes it, many times as fast on a CPU as TensorFlow's pooling or dilation.

    Args:
      mask: [B, H, W, 1], may be soft; pixels outside the image are ignored.
      kernel: [k, l] of 0 and 1, both sides odd.

    Returns:
      [B, H, W, 1].
    """
    return _filtered(cv2.dilate, mask, kernel)


def erode(mask: tf.Tensor, kernel: np.ndarray) -> tf.Tensor:
    """Minimum under the kernel's ones, the dual of `dilate`; same arguments."""
    return _filtered(cv2.erode, mask, kernel)


def _filtered(operation: Callable[..., np.ndarray], mask: tf.Tensor, kernel: np.ndarray) -> tf.Tensor:
    kernel = np.asarray(kernel) != 0
    if kernel.ndim != 2 or kernel.shape[0] % 2 == 0 or kernel.shape[1] % 2 == 0 or not kernel.any():
        raise ValueError(f"kernel must be [odd, odd] with at least one 1, got {list(kernel.shape)} with {kernel.sum()}")
    mask, ones = tf.convert_to_tensor(mask), kernel.astype(np.uint8)

    def run(masks: np.ndarray) -> np.ndarray:
        filtered = np.empty_like(masks)  # also of a batch without images
        for image, place in zip(masks, filtered, strict=True):
            place[..., 0] = operation(image[..., 0], ones)
        return filtered

    result = tf.numpy_function(run, [tf.stop_gradient(mask)], mask.dtype, stateful=False)
    result.set_shape(mask.shape)
    return result


def published_erosion(alpha: tf.Tensor) -> tf.Tensor:
    """Processes the input alpha as in the paper: one dilation, which closes small holes, then two erosions.

    The sizes are pixels of crops of any size, as in the published code; the authors' crops have 224.

    Args:
      alpha: [B, H, W, 1] in [0, 1], 1 = skin.

    Returns:
      [B, H, W, 1]; where the mask touches the image border, it is not eroded from there.
    """
    eroder = elliptical_kernel(9)
    return erode(erode(dilate(alpha, elliptical_kernel(5)), eroder), eroder)
