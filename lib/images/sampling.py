"""Sampling of images at points."""

import tensorflow as tf


def sample_image(image: tf.Tensor, points: tf.Tensor, method: str = "bilinear") -> tf.Tensor:
    """Samples an image at pixel coordinates; points outside get the nearest border value.

    Args:
      image: [B, H, W, C], row 0 at the top.
      points: [B, N, 2] (x right, y down), pixel i spans [i, i + 1).
      method: "bilinear" interpolates between pixel centres and is differentiable in image and points; "nearest" takes
        the pixel that contains the point and is differentiable only in the image.

    Returns:
      [B, N, C].
    """
    if method not in ("bilinear", "nearest"):
        raise ValueError(f"method must be 'bilinear' or 'nearest', got {method!r}")
    image, points = tf.convert_to_tensor(image), tf.convert_to_tensor(points)
    if image.shape.rank != 4 or points.shape.rank != 3 or points.shape[-1] != 2:
        raise ValueError(
            f"image must be [B, H, W, C] and points [B, N, 2], got {list(image.shape)} and {list(points.shape)}"
        )
    size = tf.shape(image)
    batch, height, width = size[0], size[1], size[2]
    pixels = tf.reshape(image, tf.stack([batch * height * width, size[3]]))
    start = tf.range(batch)[:, None] * (height * width)
    limit = tf.cast(tf.stack([width, height]) - 1, points.dtype)

    def pixel(column, row):
        return tf.gather(pixels, start + row * width + column)

    if method == "nearest":
        # Clip before the conversion: a point far outside would overflow an integer.
        inside = tf.cast(tf.clip_by_value(tf.floor(points), 0.0, limit), tf.int32)
        return pixel(inside[..., 0], inside[..., 1])

    centred = tf.clip_by_value(points - 0.5, 0.0, limit)
    low = tf.floor(centred)
    weight = tf.cast(centred - low, image.dtype)
    low = tf.cast(low, tf.int32)
    high = tf.minimum(low + 1, tf.stack([width, height]) - 1)
    right, down = weight[..., :1], weight[..., 1:]
    upper = pixel(low[..., 0], low[..., 1]) * (1 - right) + pixel(high[..., 0], low[..., 1]) * right
    lower = pixel(low[..., 0], high[..., 1]) * (1 - right) + pixel(high[..., 0], high[..., 1]) * right
    return upper * (1 - down) + lower * down
