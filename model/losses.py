"""Loss terms of the texture networks, as the paper's published code computes them.

Colours are given in [0, 1] but compared in the published range [-1, 1], which doubles their differences. Each term is a
scalar, averaged over the batch; training minimises their weighted sum (`weighted_total`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from lib.tensor_structure import TensorStructure

# Width of the published colour range [-1, 1] relative to this program's [0, 1].
RANGE = 2.0


@dataclass(frozen=True)
class LossInputs(TensorStructure):
    """Images and vertex colours that the terms compare.

    Attributes:
      image: [B, H, W, 3] the crop, RGB in [0, 1].
      image_mask: [B, H, W, 1] in [0, 1], weights of the crop's pixels.
      coarse_render, fine_render: [B, H, W, 3] renderings, RGB in [0, 1].
      render_mask: [B, H, W, 1] pixels the face covers.
      coarse_albedo, fine_albedo: [B, N, 3] RGB in [0, 1].
      fine_appearance: [B, N, 3] texture that reproduces the crop under the coarse face's light; equal to the fine
        albedo if the network predicts only one texture.
      albedo_target: [B, N, 3] target of the fine albedo.
      coarse_colour, fine_colour: [B, N, 3] coarse albedo and fine appearance under light.
      sampled_colour: [B, N, 3] colour of the crop at the vertices.
      visibility: [B, N, 1] in [0, 1].
    """

    image: tf.Tensor
    image_mask: tf.Tensor
    coarse_render: tf.Tensor
    fine_render: tf.Tensor
    render_mask: tf.Tensor
    coarse_albedo: tf.Tensor
    fine_appearance: tf.Tensor
    fine_albedo: tf.Tensor
    albedo_target: tf.Tensor
    coarse_colour: tf.Tensor
    fine_colour: tf.Tensor
    sampled_colour: tf.Tensor
    visibility: tf.Tensor


def masked_difference(
    image: tf.Tensor, target: tf.Tensor, mask: tf.Tensor, pixels: tf.Tensor | None = None
) -> tf.Tensor:
    """Absolute difference of two images inside a mask, summed over channels, averaged over the mask's pixels.

    Args:
      image, target: [B, H, W, 3] RGB in [0, 1].
      mask: [B, H, W, 1] weights in [0, 1]; if they are all 0, so is the result.
      pixels: number of pixels to average over; by default the sum of the mask.
    """
    pixels = tf.reduce_sum(mask) if pixels is None else pixels
    return tf.math.divide_no_nan(RANGE * tf.reduce_sum(tf.abs(image - target) * mask), pixels)


def weighted_difference(colour: tf.Tensor, target: tf.Tensor, weight: tf.Tensor | float = 1.0) -> tf.Tensor:
    """Weighted absolute difference, averaged over the channels and all vertices, including those of weight 0.

    Args:
      colour, target: [B, N, 3] RGB in [0, 1].
      weight: [B, N, 1] in [0, 1], or a number.
    """
    return RANGE * tf.reduce_mean(tf.abs(colour - target) * weight)


def identity_distance(features: tf.Tensor, target: tf.Tensor, weight: tf.Tensor | float = 1.0) -> tf.Tensor:
    """Weighted mean over the batch of 1 - cosine similarity of the embeddings [B, E] of rendering and photo.

    `weight` is [B] or a number; the sum is divided by B, not by the sum of the weights.
    """
    dot = tf.reduce_sum(features * target, axis=-1)
    return tf.reduce_mean(weight * (1 - dot / (safe_norm(features) * safe_norm(target) + 1e-8)))


def conditional_term(needed: tf.Tensor, term: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """The scalar `term(x)` if `needed`, a bool tensor, otherwise 0; only `x` receives a gradient.

    The branch computes both the value and the gradient: the gradient of tf.cond itself would pass every tensor of a
    deep network from one branch to another, which adds a second to the compilation.
    """

    @tf.custom_gradient
    def computed(x: tf.Tensor):
        def with_gradient() -> tuple[tf.Tensor, tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = term(x)
            return value, tape.gradient(value, x)

        value, gradient = tf.cond(needed, with_gradient, lambda: (tf.zeros([]), tf.zeros_like(x)))
        return value, lambda upstream: upstream * gradient

    return computed(x)


def asymmetry(albedo: tf.Tensor, pairs: tf.Tensor) -> tf.Tensor:
    """Mean RGB distance between the albedos [B, N, 3] of mirrored vertices, given as pairs [P, 2]; 0 without pairs."""
    difference = RANGE * (tf.gather(albedo, pairs[:, 0], axis=1) - tf.gather(albedo, pairs[:, 1], axis=1))
    # The square root has no finite gradient at 0; 1e-16 per channel keeps it finite where both sides are equal.
    distance = tf.sqrt(tf.reduce_sum(tf.square(difference) + 1e-16, axis=-1))
    return tf.math.divide_no_nan(tf.reduce_sum(distance), tf.cast(tf.size(distance), distance.dtype))


def skin_variance(albedo: tf.Tensor, skin_vertices: tf.Tensor) -> tf.Tensor:
    """Variance of the albedo [B, N, 3] over the skin vertices [S], averaged over batch and channels."""
    skin = RANGE * tf.gather(albedo, skin_vertices, axis=1)
    return tf.reduce_mean(tf.math.reduce_variance(skin, axis=1))


def weight_decay(variables: Sequence[tf.Variable]) -> tf.Tensor:
    """Half the sum of squares of the variables: the L2 term of the fully connected layers."""
    return tf.add_n([tf.nn.l2_loss(variable) for variable in variables]) if variables else tf.zeros([])


def texture_terms(
    inputs: LossInputs,
    skin_vertices: tf.Tensor,
    pairs: tf.Tensor,
    mean: Callable[[Sequence[tf.Tensor]], Sequence[tf.Tensor]] = tuple,
) -> dict[str, tf.Tensor]:
    """Unweighted loss terms that compare a fine texture with the crop and with the coarse texture.

    Args:
      inputs: renderings, colours and masks.
      skin_vertices: [S] vertices whose albedo should vary little.
      pairs: [P, 2] mirrored vertices.
      mean: averages tensors over the processes that share a batch, so that masks are normalised over the whole batch.

    Returns:
      `render`, `coarse_render`: fine and coarse rendering against the crop, inside both masks; `coarse_render` is for
      comparison only. `project`: fine colours against the crop's, at visible vertices. `hidden`: fine colours against
      coarse ones, at hidden vertices. `coarse`: fine appearance against the coarse albedo. `albedo`: fine albedo
      against its target. `symmetry`, `variance`: of the fine albedo.
    """
    mask = inputs.render_mask * inputs.image_mask
    (pixels,) = mean([tf.stop_gradient(tf.reduce_sum(mask))])
    visible = inputs.visibility
    return {
        "render": masked_difference(inputs.fine_render, inputs.image, mask, pixels),
        "coarse_render": masked_difference(inputs.coarse_render, inputs.image, mask, pixels),
        "project": weighted_difference(inputs.fine_colour, inputs.sampled_colour, visible),
        "hidden": weighted_difference(inputs.fine_colour, inputs.coarse_colour, 1 - visible),
        "coarse": weighted_difference(inputs.fine_appearance, inputs.coarse_albedo),
        "albedo": weighted_difference(inputs.fine_albedo, inputs.albedo_target),
        "symmetry": asymmetry(inputs.fine_albedo, pairs),
        "variance": skin_variance(inputs.fine_albedo, skin_vertices),
    }


def weighted_total(terms: Mapping[str, tf.Tensor], weights: Mapping[str, float]) -> tf.Tensor:
    """Weighted sum of the loss terms; a term without a weight does not contribute.

    A weight may be a number or a scalar tensor. A term whose weight is the number 0 may be missing.

    Raises:
      ValueError: a weight refers to an unknown term.
    """
    used = {name: weight for name, weight in weights.items() if isinstance(weight, tf.Tensor) or weight != 0}
    if unknown := used.keys() - terms.keys():
        raise ValueError(f"weights must name terms ({', '.join(terms)}), got {', '.join(sorted(unknown))}")
    return tf.add_n([weight * terms[name] for name, weight in used.items()]) if used else tf.zeros([])


def safe_norm(vectors: tf.Tensor) -> tf.Tensor:
    """Euclidean norm over the last axis, with a gradient of zero instead of NaN at zero."""
    return safe_sqrt(tf.reduce_sum(tf.square(vectors), axis=-1))


def safe_sqrt(squared: tf.Tensor) -> tf.Tensor:
    """Square root of values >= 0, with a gradient of zero instead of infinity at zero."""
    # The inner tf.where keeps zeros out of the square root. The outer one alone would not do: in the backward pass
    # the root's infinite slope is multiplied by 0, which gives NaN.
    positive = squared > 0
    return tf.where(positive, tf.sqrt(tf.where(positive, squared, tf.ones_like(squared))), 0.0)
