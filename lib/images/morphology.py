"""Greyscale morphology of alpha masks."""

import functools

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
    """Maximum under the kernel's ones.

    The kernel is decomposed into centred rectangles, one for each distinct row width, because the maximum over a
    rectangle is a pooling along each axis, several times faster on a CPU than a general dilation.

    Args:
      mask: [B, H, W, 1], may be soft; pixels outside the image are ignored.
      kernel: [k, k] of 0 and 1, k odd, a union of rectangles about its middle (ellipses and squares are).

    Returns:
      [B, H, W, 1].
    """
    pooled = []
    for height, width in _rectangles(kernel):
        columns = tf.nn.max_pool2d(mask, [height, 1], strides=1, padding="SAME")
        pooled.append(tf.nn.max_pool2d(columns, [1, width], strides=1, padding="SAME"))
    return functools.reduce(tf.maximum, pooled)


def erode(mask: tf.Tensor, kernel: np.ndarray) -> tf.Tensor:
    """Minimum under the kernel's ones, the dual of `dilate`; same arguments."""
    return -dilate(-tf.convert_to_tensor(mask), kernel)


def _rectangles(kernel: np.ndarray) -> list[tuple[int, int]]:
    """(height, width) of the centred rectangles whose union is `kernel`."""
    kernel = np.asarray(kernel)
    if kernel.ndim == 2 and kernel.shape[0] % 2 and kernel.shape[1] % 2:
        widths = (kernel != 0).sum(axis=1)
        rectangles = [(int((widths >= width).sum()), int(width)) for width in np.unique(widths[widths > 0])]
        drawn = np.zeros(kernel.shape, bool)
        for height, width in rectangles:
            top, left = (kernel.shape[0] - height) // 2, (kernel.shape[1] - width) // 2
            drawn[top : top + height, left : left + width] = True
        if rectangles and (drawn == (kernel != 0)).all():
            return rectangles
    raise ValueError(
        f"kernel must be [odd, odd] and a union of rectangles about its middle, got {list(kernel.shape)} "
        f"with {np.count_nonzero(kernel)} ones"
    )


def published_erosion(alpha: tf.Tensor) -> tf.Tensor:
    """Processes the input alpha as in the paper: one dilation, which closes small holes, then two erosions.

    Args:
      alpha: [B, H, W, 1] in [0, 1], 1 = skin.

    Returns:
      [B, H, W, 1]; where the mask touches the image border, it is not eroded from there.
    """
    eroder = elliptical_kernel(9)
    return erode(erode(dilate(alpha, elliptical_kernel(5)), eroder), eroder)
