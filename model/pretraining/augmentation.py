"""Data augmentation of synthetic faces.

`augment` does not move pixels, so that the coefficients stay valid: shifting or rotating a picture would change the
perspective in a way that the coefficients cannot express. `mirror_some` mirrors coefficients along with pictures.
`move` moves pixels, for the identity network, which does not predict coefficients.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import tensorflow as tf

from configs import training_sections
from lib.geometry.lighting import ambient_light, light_channels
from lib.tensor_structure import TensorStructure


@dataclass(frozen=True)
class Augmented(TensorStructure):
    """Augmented pictures and the ground truth adapted to them.

    Attributes:
      images: [B, H, W, 3] RGB in [0, 1].
      alpha: [B, H, W, 1] in [0, 1], 1 on skin that is still visible.
      light: [B, 27] coefficients of the light.
    """

    images: tf.Tensor
    alpha: tf.Tensor
    light: tf.Tensor


# The pattern of light has this many nodes along each side.
PATTERN_NODES = 3
# Coarse pictures are reduced to these shares of their side, the first as often as the second.
COARSE_SIDES = (1 / 2, 5 / 16)


@dataclass(frozen=True)
class Changes:
    """Strengths of the changes that `augment` makes.

    Attributes:
      gain: standard deviation of the logarithm of the light's gain; the tint varies by a third of that.
      pattern: standard deviation of the logarithm of a smooth pattern of light and shadow, which no light coefficient
        expresses, as near lamps and cast shadows make it in real photos.
      noise: largest standard deviation of the pixel noise.
      background: share of faces for which another photo replaces all that is not visible skin: background, hair, neck,
        clothes, and what is in front of the face.
      boxes: share of faces that are partly covered by a rectangle from another photo.
      coarse: share of faces shown as small photos, enlarged.
    """

    gain: float = 0.0
    pattern: float = 0.0
    noise: float = 0.0
    background: float = 0.0
    boxes: float = 0.0
    coarse: float = 0.0

    @classmethod
    def of(cls, section: training_sections.Pretrain) -> "Changes":
        """The changes of a configuration's section `pretrain`."""
        return cls(
            gain=section.gain,
            pattern=section.pattern,
            noise=section.noise,
            background=section.background,
            boxes=section.boxes,
            coarse=section.coarse,
        )


def augment(faces: tf.Tensor, light: tf.Tensor, seed: tf.Tensor | tuple[int, int], changes: Changes) -> Augmented:
    """Changes level, tint and pattern of the light, background, occluders, resolution, blur and noise.

    Args:
      faces: [B, H, W, 4] uint8 RGBA, alpha on visible skin.
      light: [B, 27] the light the faces were rendered with.
      seed: [2] integers; equal seeds give equal changes.
      changes: strengths of the changes.
    """
    keys = iter(tf.unstack(tf.random.experimental.stateless_split(seed, 14)))
    batch, height, width = faces.shape[0], faces.shape[1], faces.shape[2]
    replaced = _uniform(keys, [batch]) < changes.background
    box = _rectangles(keys, batch, height, width) * tf.cast(
        _uniform(keys, [batch, 1, 1, 1]) < changes.boxes, tf.float32
    )
    plain, colour = _uniform(keys, [batch]) < 0.5, _uniform(keys, [batch, 3])
    factor = tf.exp(changes.gain * (_normal(keys, [batch, 1]) + _normal(keys, [batch, 3]) / 3.0))
    blurred, strength = _uniform(keys, [batch]) < 0.25, changes.noise * _uniform(keys, [batch])
    grain = _normal(keys, [batch, height, width, 3])
    nodes = changes.pattern * _normal(keys, [batch, PATTERN_NODES, PATTERN_NODES, 1])
    # Without its mean, which would be a gain that the light coefficients do not follow.
    pattern = tf.exp(tf.image.resize(nodes - tf.reduce_mean(nodes, (1, 2), keepdims=True), (height, width), "bicubic"))
    rgb, alpha = _lit(faces, replaced, box, plain, colour, factor, pattern)
    rgb = _some_coarse(rgb, _uniform(keys, [batch]), changes.coarse)
    return Augmented(_photographed(rgb, blurred, strength, grain), alpha, scale_light(light, factor))


# XLA fuses the changes into few passes over the pixels, a fifth of the time; its random numbers would be slow.
@tf.function(jit_compile=True, autograph=False)
def _lit(faces, replaced, box, plain, colour, factor, pattern):
    replaced, plain = (v[:, None, None, None] for v in (replaced, plain))
    faces = tf.cast(faces, tf.float32) / 255.0
    rgb, alpha = faces[..., :3], faces[..., 3:]
    # Another picture of the batch replaces whatever is not skin, or covers it, upside down so that it is not a second
    # face.
    other = tf.reverse(tf.roll(rgb, 1, axis=0), axis=[1])
    rgb += tf.where(replaced, 1.0 - _box_blur(alpha), 0.0) * (other - rgb)
    occluder = tf.where(plain, colour[:, None, None, :], tf.roll(other, 1, axis=0))
    return (rgb + box * (occluder - rgb)) * factor[:, None, None, :] * pattern, alpha * (1.0 - box)


@tf.function(jit_compile=True, autograph=False)
def _photographed(rgb, blurred, strength, grain):
    blurred, strength = (v[:, None, None, None] for v in (blurred, strength))
    return tf.clip_by_value(tf.where(blurred, _box_blur(rgb), rgb) + strength * grain, 0.0, 1.0)


def _some_coarse(images: tf.Tensor, draws: tf.Tensor, share: float) -> tf.Tensor:
    """Shows `share` of the images [B, H, W, 3] at one of the lower resolutions, those with the smallest draws [B]."""
    if not share:
        return images
    sides = images.shape[1:3]
    for number, scale in enumerate(COARSE_SIDES):
        small = tf.image.resize(images, [max(round(scale * side), 1) for side in sides], antialias=True)
        low, high = (share * k / len(COARSE_SIDES) for k in (number, number + 1))
        chosen = ((draws >= low) & (draws < high))[:, None, None, None]
        images = tf.where(chosen, tf.image.resize(small, sides, "bicubic"), images)
    return images


def _box_blur(images: tf.Tensor) -> tf.Tensor:
    """Mean of images [B, H, W, C] over 3 x 3 pixels, at the border over those that exist."""

    # Sums of shifted images, because XLA's pooling on the CPU takes longer than everything else here.
    def sums(x):
        rows = tf.pad(x, [[0, 0], [1, 1], [0, 0], [0, 0]])
        x = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
        columns = tf.pad(x, [[0, 0], [0, 0], [1, 1], [0, 0]])
        return columns[:, :, :-2] + columns[:, :, 1:-1] + columns[:, :, 2:]

    return sums(images) / sums(tf.ones([1, *images.shape[1:3], 1]))


def mirror_some(
    images: tf.Tensor, coefficients: tf.Tensor, matrix: tf.Tensor, seed: tf.Tensor | tuple[int, int]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mirrors each picture and its coefficients with probability 0.5.

    Args:
      images: [B, H, W, C].
      coefficients: [B, K] of the faces.
      matrix: [K, K] from `model.networks.mirroring.mirrored_coefficients`.
      seed: [2] integers; equal seeds mirror equal rows.
    """
    coin = tf.random.stateless_uniform([images.shape[0]], seed) < 0.5
    images = tf.where(coin[:, None, None, None], tf.reverse(images, axis=[2]), images)
    return images, tf.where(coin[:, None], tf.matmul(coefficients, matrix), coefficients)


def move(images: tf.Tensor, seed: tf.Tensor | tuple[int, int], shift: float, zoom: float) -> tf.Tensor:
    """Mirrors half of the pictures at random, and shifts and zooms all of them; border pixels are repeated.

    Args:
      images: [B, H, W, C].
      seed: [2] integers; equal seeds give equal changes.
      shift: largest shift along each axis, as a share of the side.
      zoom: standard deviation of the logarithm of the scale.
    """
    coin, places, sizes = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    batch, height, width = images.shape[0], images.shape[1], images.shape[2]
    scale = tf.exp(zoom * tf.random.stateless_normal([batch], sizes))
    mirror = tf.where(tf.random.stateless_uniform([batch], coin) < 0.5, -1.0, 1.0)
    offset = tf.random.stateless_uniform([batch, 2], places, -shift, shift)
    # The transform maps output to input: output pixel (x, y) shows input pixel (a x + c, b y + d), and a = -1 / scale
    # mirrors about the middle column.
    a, b = mirror / scale, 1.0 / scale
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    c = middle_x - a * middle_x + offset[:, 0] * width
    d = middle_y - b * middle_y + offset[:, 1] * height
    zero = tf.zeros([batch])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a, zero, c, zero, b, d, zero, zero], axis=-1),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def scale_light(light: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Light coefficients whose shading is `factor` times that of `light`.

    Args:
      light: [B, 27]; its band 0 is relative to the ambient light, which must be scaled along with it.
      factor: [B, 3] for R, G, B.
    """
    ambient = ambient_light(light.dtype)
    channels = (light_channels(light) + ambient) * factor[:, :, None] - ambient
    return tf.reshape(channels, [-1, light.shape[-1]])


def _rectangles(keys: Iterator[tf.Tensor], batch: int, height: int, width: int) -> tf.Tensor:
    """Masks [B, H, W, 1], each of one box with sides of an eighth to a half of the picture's."""
    size = 0.125 + 0.375 * _uniform(keys, [batch, 2])
    start = _uniform(keys, [batch, 2]) * (1.0 - size)
    rows = (tf.range(height, dtype=tf.float32) + 0.5) / height
    columns = (tf.range(width, dtype=tf.float32) + 0.5) / width

    def inside(positions, axis):
        first = start[:, axis, None]
        return tf.cast((positions >= first) & (positions < first + size[:, axis, None]), tf.float32)

    return inside(rows, 0)[:, :, None, None] * inside(columns, 1)[:, None, :, None]


def _uniform(keys: Iterator[tf.Tensor], shape: Sequence[int]) -> tf.Tensor:
    return tf.random.stateless_uniform(shape, next(keys))


def _normal(keys: Iterator[tf.Tensor], shape: Sequence[int]) -> tf.Tensor:
    return tf.random.stateless_normal(shape, next(keys))
