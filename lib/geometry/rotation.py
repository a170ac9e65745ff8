"""Conversion of Euler angles to rotation matrices."""

import numpy as np
import tensorflow as tf
from scipy.spatial.transform import Rotation


def rotation_matrix(angles: tf.Tensor) -> tf.Tensor:
    """Rotation matrices for row vectors: `rotated = vectors @ rotation_matrix(angles)`.

    R = (Rz(c) Ry(b) Rx(a))^T with the usual right-handed matrices for column vectors; transposed, R acts from the right
    (the convention of Deep3DFaceReconstruction and the paper).

    Args:
      angles: [B, 3] (a, b, c) = pitch about x, yaw about y, roll about z, radians; not wrapped.

    Returns:
      [B, 3, 3].
    """
    angles = tf.convert_to_tensor(angles)
    if angles.shape.rank != 2 or angles.shape[-1] != 3:
        raise ValueError(f"angles must be [B, 3], got {list(angles.shape)}")
    sine_a, sine_b, sine_c = tf.unstack(tf.sin(angles), axis=-1)
    cosine_a, cosine_b, cosine_c = tf.unstack(tf.cos(angles), axis=-1)
    rows = [
        [cosine_b * cosine_c, cosine_b * sine_c, -sine_b],
        [
            sine_a * sine_b * cosine_c - cosine_a * sine_c,
            sine_a * sine_b * sine_c + cosine_a * cosine_c,
            sine_a * cosine_b,
        ],
        [
            cosine_a * sine_b * cosine_c + sine_a * sine_c,
            cosine_a * sine_b * sine_c - sine_a * cosine_c,
            cosine_a * cosine_b,
        ],
    ]
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2)


def rotation_arrays(angles: np.ndarray) -> np.ndarray:
    """`rotation_matrix` [B, 3, 3] of angles [B, 3] in NumPy, without TensorFlow's cost per call."""
    return np.swapaxes(Rotation.from_euler("xyz", angles).as_matrix(), 1, 2)
