"""Camera and rotation matrices with the names, arguments and conventions of mesh-renderer's camera_utils.

All matrices are [B, 4, 4] for column vectors (m @ [x, y, z, 1]), frames are right-handed, a camera looks along its own
-z with +y up, and clip space is OpenGL's: the near plane at z = -w, the far plane at z = w.
"""

import math

import tensorflow as tf

from lib.geometry.rotation import rotation_matrix

# Minimum length of a viewing direction and of its cross product with the up vector; shorter vectors have no direction.
DEGENERATE_LENGTH = 1e-6


def perspective(aspect_ratio, fov_y, near_clip, far_clip) -> tf.Tensor:
    """Projection matrices, as gluPerspective defines them.

    Args:
      aspect_ratio: float, width / height of the image.
      fov_y: [B] vertical field of view, degrees; a scalar applies to the whole batch, here and below.
      near_clip: [B] distance of the near plane, positive.
      far_clip: [B] distance of the far plane.

    Returns:
      [B, 4, 4] from camera space to clip space.
    """
    fov_y, near, far = (
        tf.reshape(tf.convert_to_tensor(value, tf.float32), [-1]) for value in (fov_y, near_clip, far_clip)
    )
    focal = 1.0 / tf.tan(fov_y * (math.pi / 360.0)) + tf.zeros_like(near + far)
    span = far - near
    zero = tf.zeros_like(focal)
    rows = [
        [focal / tf.cast(aspect_ratio, tf.float32), zero, zero, zero],
        [zero, focal, zero, zero],
        [zero, zero, zero - (far + near) / span, zero - 2.0 * far * near / span],
        [zero, zero, zero - 1.0, zero],
    ]
    return tf.stack([tf.stack(row, axis=-1) for row in rows], axis=-2)


def look_at(eye, center, world_up) -> tf.Tensor:
    """Viewing matrices, as gluLookAt defines them.

    Args:
      eye: [B, 3] position of the camera in the world.
      center: [B, 3] a point it looks at.
      world_up: [B, 3] direction shown upright in the image.

    Returns:
      [B, 4, 4] from the world to camera space.

    Raises:
      InvalidArgumentError: eye and center coincide, or world_up is zero or parallel to the viewing direction.
    """
    eye, center, world_up = (tf.convert_to_tensor(value, tf.float32) for value in (eye, center, world_up))
    forward = _unit(center - eye, "eye and center must differ (they define the viewing direction)")
    up = world_up + tf.zeros_like(forward)
    right = _unit(tf.linalg.cross(forward, up), "world_up must be neither zero nor parallel to the viewing direction")
    rotation = tf.stack([right, tf.linalg.cross(right, forward), -forward], axis=-2)
    return _affine(rotation, -tf.linalg.matvec(rotation, eye))


def euler_matrices(angles) -> tf.Tensor:
    """Rotations Rz(angles[:, 2]) Ry(angles[:, 1]) Rx(angles[:, 0]): [B, 3] radians about x, y, z -> [B, 4, 4]."""
    rotation = tf.linalg.matrix_transpose(rotation_matrix(tf.convert_to_tensor(angles, tf.float32)))
    return _affine(rotation, tf.zeros_like(rotation[..., 0]))


def transform_homogeneous(matrices, vertices) -> tf.Tensor:
    """Transforms points to homogeneous coordinates.

    Args:
      matrices: [B, 4, 4] for column vectors.
      vertices: [B, N, 3].

    Returns:
      [B, N, 4].

    Raises:
      ValueError: a rank is not 3.
    """
    matrices = tf.convert_to_tensor(matrices)
    vertices = tf.convert_to_tensor(vertices, matrices.dtype)
    if matrices.shape.rank != 3:
        raise ValueError(f"matrices must be [B, 4, 4], got {matrices.shape} (is the batch dimension missing?)")
    if vertices.shape.rank != 3:
        raise ValueError(f"vertices must be [B, N, 3], got {vertices.shape} (is the batch dimension missing?)")
    homogeneous = tf.concat([vertices, tf.ones_like(vertices[..., :1])], axis=-1)
    return tf.matmul(homogeneous, matrices, transpose_b=True)


def _unit(vectors, message):
    """Vectors [B, 3] scaled to length 1."""
    length = tf.norm(vectors, axis=-1, keepdims=True)
    tf.debugging.assert_greater(length, DEGENERATE_LENGTH, message=message)
    return vectors / length


def _affine(rotation, translation):
    """Affine matrices [B, 4, 4] from rotations [B, 3, 3] and translations [B, 3]."""
    top = tf.concat([rotation, translation[..., None]], axis=-1)
    bottom = tf.constant([0.0, 0.0, 0.0, 1.0]) + tf.zeros_like(top[..., :1, :])
    return tf.concat([top, bottom], axis=-2)
