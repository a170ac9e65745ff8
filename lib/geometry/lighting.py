"""Second-order spherical-harmonics light (Ramamoorthi and Hanrahan 2001) with the constants of Deep3D."""

import math

import tensorflow as tf

AMBIENT = 0.8  # constant light in band 0 of every colour channel
BANDS = 9  # basis functions of orders 0, 1 and 2

_A0, _A1, _A2 = math.pi, 2 * math.pi / math.sqrt(3), 2 * math.pi / math.sqrt(8)
_C0, _C1, _C2 = 1 / math.sqrt(4 * math.pi), math.sqrt(3 / (4 * math.pi)), 3 * math.sqrt(5 / (12 * math.pi))

# Factors of 1, y, z, x, xy, yz, 3z^2 - 1, xz, x^2 - y^2.
BAND_FACTORS = (
    _A0 * _C0, -_A1 * _C1, _A1 * _C1, -_A1 * _C1,
    _A2 * _C2, -_A2 * _C2, _A2 * _C2 / (2 * math.sqrt(3)), -_A2 * _C2, _A2 * _C2 / 2,
)  # fmt: skip


def sh_basis(normals: tf.Tensor) -> tf.Tensor:
    """The nine basis functions, including cosine-lobe factors and signs.

    Args:
      normals: [..., 3] unit vectors in the world frame, that is, after posing.

    Returns:
      [..., 9] in the order 1, y, z, x, xy, yz, 3z^2 - 1, xz, x^2 - y^2; the bands of y, x, yz and xz are negated.
    """
    x, y, z = tf.unstack(normals, axis=-1)
    a = BAND_FACTORS
    return tf.stack(
        [
            tf.fill(tf.shape(x), tf.constant(a[0], normals.dtype)),
            a[1] * y,
            a[2] * z,
            a[3] * x,
            a[4] * x * y,
            a[5] * y * z,
            a[6] * (3 * z * z - 1),
            a[7] * x * z,
            a[8] * (x * x - y * y),
        ],
        axis=-1,
    )


def shading(normals: tf.Tensor, light: tf.Tensor) -> tf.Tensor:
    """Light arriving at each vertex.

    Args:
      normals: [B, N, 3] unit vectors, world frame.
      light: [B, 27] coefficients, nine for R, then G, then B; added to the ambient light of 0.8 in band 0.

    Returns:
      [B, N, 3] factor for the albedo; may be negative or above 1.
    """
    channels = light_channels(light) + ambient_light(light.dtype)
    return tf.matmul(sh_basis(normals), channels, transpose_b=True)


def light_channels(light: tf.Tensor) -> tf.Tensor:
    """Light coefficients [B, 27] as one row per colour channel, [B, 3, 9]."""
    if light.shape[-1] != 3 * BANDS:
        raise ValueError(f"light must be [B, {3 * BANDS}], got {list(light.shape)}")
    return tf.reshape(light, [-1, 3, BANDS])


def ambient_light(dtype: tf.DType) -> tf.Tensor:
    """Coefficients [9] of the ambient light, to which the coefficients of every colour channel are added."""
    return tf.constant([AMBIENT] + [0.0] * (BANDS - 1), dtype)


def shade(albedo: tf.Tensor, shading: tf.Tensor, clip: bool = False) -> tf.Tensor:
    """Computes colours under light.

    Args:
      albedo: [B, N, 3] RGB in [0, 1].
      shading: [B, N, 3] from `shading`.
      clip: limit the result to [0, 1] as in the paper, which stops gradients in over-exposed areas. Deep3D does not
        clip.

    Returns:
      [B, N, 3] RGB.
    """
    colour = albedo * shading
    return tf.clip_by_value(colour, 0.0, 1.0) if clip else colour
