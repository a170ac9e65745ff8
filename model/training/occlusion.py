"""Artificial occlusion: hides random regions of faces from the texture network during training.

In photos, head pose and objects hide such regions. Artificially hidden vertices are still visible in the photo and
count in the loss, so the network learns to infer them from the other side of the face and from their surroundings, with
the photo as the only ground truth.
"""

import tensorflow as tf

# Share of hidden regions that are a whole side of the face, as in a turned head; the others are discs, like objects.
SIDES = 0.6
BORDER = 0.4  # largest distance of a hidden side's border from the middle of the face [dm]
RADII = (0.15, 0.45)  # smallest and largest radius of a disc [dm]


def unoccluded_vertices(points: tf.Tensor, batch: tf.Tensor | int, seed: tf.Tensor, share: float) -> tf.Tensor:
    """Random mask of vertices: 1 shown to the network, 0 hidden from it.

    Args:
      points: [N, 3] the mean face, decimetres.
      batch: B.
      seed: [2] integers; equal seeds hide equal regions.
      share: share of faces that get a hidden region.

    Returns:
      [B, N, 1].
    """
    keys = tf.unstack(tf.random.experimental.stateless_split(seed, 6))
    hit = tf.random.stateless_uniform([batch, 1], keys[0]) < share
    whole_side = tf.random.stateless_uniform([batch, 1], keys[1]) < SIDES

    # A hidden side is bounded by a plane that is slightly tilted against the mirror plane.
    direction = tf.random.stateless_normal([batch, 3], keys[2]) * [1.0, 0.3, 0.3]
    direction = tf.math.l2_normalize(direction, axis=-1)
    border = tf.random.stateless_uniform([batch, 1], keys[3], -BORDER, BORDER)
    beyond = tf.matmul(direction, points, transpose_b=True) > border

    centre = tf.gather(points, tf.random.stateless_uniform([batch], keys[4], 0, points.shape[0], tf.int32))
    radius = tf.random.stateless_uniform([batch, 1], keys[5], *RADII)
    within = tf.norm(points[None] - centre[:, None], axis=-1) < radius

    hidden = hit & tf.where(whole_side, beyond, within)
    return tf.cast(~hidden, tf.float32)[..., None]
