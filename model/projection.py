"""The crop's colours at the vertices, and which of them can be seen."""

from dataclasses import dataclass

import tensorflow as tf

from lib.geometry.camera import Camera
from lib.geometry.sampling import sample_image
from lib.mesh_renderer.fragments import Fragments, interpolate
from lib.morphology import erode_one_pixel, published_erosion
from lib.structures import TensorStructure

PROJECTIONS = ("zbuffer", "published")

# Slack of the depth comparison [dm]: the rendering is a pixel grid, lids and lips are thicker than this.
DEPTH_BIAS = 0.02
# Bounds of de-lit colours: below, dividing by the shading amplifies noise; above, it is a highlight.
DARKEST_SHADING, BRIGHTEST_ALBEDO = 0.08, 1.2
# Steepest view of a surface that the slope's share of the slack allows for, as a cosine.
GRAZING_COSINE = 0.1


@dataclass(frozen=True)
class SampledColours(TensorStructure):
    """What the crop says about the vertices.

    Attributes:
      colour: [B, N, 3] RGB in [0, 1] at the projected vertices, hidden ones included.
      visibility: [B, N, 1] in [0, 1], 0 where the colour belongs to something else than the vertex.
    """

    colour: tf.Tensor
    visibility: tf.Tensor


def processed_alpha(alpha: tf.Tensor, projection: str) -> tf.Tensor:
    """The alpha mask [B, H, W, 1] that `projection` trusts: eroded by a pixel, or as published."""
    check_projection(projection)
    return published_erosion(alpha) if projection == "published" else erode_one_pixel(alpha)


def published_projection(image: tf.Tensor, alpha: tf.Tensor, points: tf.Tensor, normals: tf.Tensor) -> SampledColours:
    """Nearest pixel and facing normals, as published.

    Visible is what faces +z on the mask: no depth test, so a cheek behind the nose takes the nose's colour. Pixels are
    centred at whole numbers, half a pixel off the rasteriser's.

    Args:
      image: [B, H, W, 3] RGB in [0, 1].
      alpha: [B, H, W, 1] the eroded mask.
      points: [B, N, 2] projected vertices, pixels.
      normals: [B, N, 3] world frame.
    """
    # The middle of the pixel whose index is the rounded coordinate, halves to even.
    middles = tf.round(points) + 0.5
    sampled = sample_image(tf.concat([image, alpha], axis=-1), middles, "nearest")
    facing = tf.cast(normals[..., 2:] > 0, image.dtype)
    return SampledColours(colour=sampled[..., :3], visibility=facing * sampled[..., 3:])


def zbuffer_projection(
    image: tf.Tensor,
    alpha: tf.Tensor,
    camera: Camera,
    points: tf.Tensor,
    vertices: tf.Tensor,
    normals: tf.Tensor,
    triangles: tf.Tensor,
    fragments: Fragments,
) -> SampledColours:
    """Bilinear colours; visible is what faces the camera and lies on the surface seen at its pixel.

    Args:
      image: [B, H, W, 3] RGB in [0, 1].
      alpha: [B, H, W, 1] the mask, eroded by a pixel.
      camera: that rendered `fragments`.
      points: [B, N, 2] projected vertices, pixels.
      vertices, normals: [B, N, 3] world frame.
      triangles: [F, 3].
      fragments: the rasterised vertices.
    """
    depth = camera.depth(vertices)[..., None]
    seen = interpolate(depth, triangles, fragments)
    # Background is seen at no depth at all, so that nothing can lie on it.
    surface = tf.concat([seen * fragments.mask, fragments.mask, alpha], axis=-1)
    at_pixel = sample_image(surface, points, "nearest")
    seen_depth, covered, trusted = at_pixel[..., :1], at_pixel[..., 1:2], at_pixel[..., 2:]

    cosine = facing_cosine(vertices, normals, camera)
    # Between a vertex and the middle of its pixel a slanted surface changes depth by the tangent times a pixel's width.
    steepest = tf.maximum(cosine, GRAZING_COSINE)
    tangent = tf.sqrt(1 - tf.minimum(tf.square(steepest), 1.0)) / steepest
    slack = DEPTH_BIAS + tangent * depth / camera.focal_length
    visible = (cosine > 0) & (depth <= seen_depth + slack) & (covered > 0.5)
    return SampledColours(
        colour=sample_image(image, points, "bilinear"),
        visibility=tf.stop_gradient(tf.cast(visible, image.dtype) * trusted),
    )


def delit_albedo(colour: tf.Tensor, shading: tf.Tensor) -> tf.Tensor:
    """The albedo that explains a colour [B, N, 3] under a shading [B, N, 3]: their ratio, kept within bounds."""
    return tf.clip_by_value(colour / tf.maximum(shading, DARKEST_SHADING), 0.0, BRIGHTEST_ALBEDO)


def projected_albedo(coarse_albedo: tf.Tensor, sampled: SampledColours, shading: tf.Tensor) -> tf.Tensor:
    """The de-lit projection, the baseline without a network: the photo's albedo where seen, the coarse one elsewhere.

    Args:
      coarse_albedo: [B, N, 3] RGB in [0, 1].
      sampled: colours and visibility of the crop.
      shading: [B, N, 3].
    """
    return coarse_albedo + (delit_albedo(sampled.colour, shading) - coarse_albedo) * sampled.visibility


def facing_cosine(vertices: tf.Tensor, normals: tf.Tensor, camera: Camera) -> tf.Tensor:
    """Cosine between normals and the direction to the camera: [B, N, 3] twice -> [B, N, 1]."""
    to_camera = tf.constant([0.0, 0.0, camera.distance], vertices.dtype) - vertices
    return tf.reduce_sum(normals * tf.math.l2_normalize(to_camera, axis=-1), axis=-1, keepdims=True)


def check_projection(projection: str) -> None:
    """Raises ValueError unless `projection` names one of PROJECTIONS."""
    if projection not in PROJECTIONS:
        raise ValueError(f"projection must be one of {', '.join(PROJECTIONS)}, got {projection!r}")
