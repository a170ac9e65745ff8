"""Random parts of faces, hidden from the texture network while it learns as poses and occluders hide them in photos.

What is hidden is still in the photo and still in the loss, so the network learns to tell it from the other side and
from what surrounds it, without any truth beyond the photo.
"""

import tensorflow as tf

# Share of the hidden parts that are a whole side, as a turned head hides it; the others are discs, as occluders are.
SIDES = 0.6
# A side's border lies at most so far from the middle [dm]; radii of discs [dm].
BORDER = 0.4
RADII = (0.15, 0.45)


def unoccluded_vertices(points: tf.Tensor, batch: tf.Tensor | int, seed: tf.Tensor, share: float) -> tf.Tensor:
    """What the network may see, 1 shown and 0 hidden.

    Args:
      points: [N, 3] the mean face, decimetres.
      batch: B.
      seed: [2] integers; equal seeds hide equal parts.
      share: of the faces that something is hidden of.

    Returns:
      [B, N, 1].
    """
    keys = tf.unstack(tf.random.experimental.stateless_split(seed, 6))
    hit = tf.random.stateless_uniform([batch, 1], keys[0]) < share
    whole_side = tf.random.stateless_uniform([batch, 1], keys[1]) < SIDES

    # Sides are left or right of a plane that is turned away from the mirror plane a little.
    direction = tf.random.stateless_normal([batch, 3], keys[2]) * [1.0, 0.3, 0.3]
    direction = tf.math.l2_normalize(direction, axis=-1)
    border = tf.random.stateless_uniform([batch, 1], keys[3], -BORDER, BORDER)
    beyond = tf.matmul(direction, points, transpose_b=True) > border

    centre = tf.gather(points, tf.random.stateless_uniform([batch], keys[4], 0, points.shape[0], tf.int32))
    radius = tf.random.stateless_uniform([batch, 1], keys[5], *RADII)
    within = tf.norm(points[None] - centre[:, None], axis=-1) < radius

    hidden = hit & tf.where(whole_side, beyond, within)
    return tf.cast(~hidden, tf.float32)[..., None]
