"""Projection of the crop on the mesh: colours at the vertices, and their visibility."""

from dataclasses import dataclass

import tensorflow as tf

from configs.network_sections import PROJECTIONS
from lib.geometry.camera import Camera
from lib.images.sampling import sample_image
from lib.mesh_renderer.fragments import Fragments, interpolate
from lib.tensor_structure import TensorStructure

# Slack of the depth comparison [dm]: the rendering is a pixel grid, lids and lips are thicker than this.
DEPTH_BIAS = 0.02
# Share of the mask among the four pixels around a vertex below which they do not show it.
LEAST_WEIGHT = 0.1
# Sum of the barycentric weights of a hidden vertex, over the pixels that see its triangles, below which they do not
# determine its colour [px].
LEAST_SHARE = 0.1
# Bounds of de-lit colours. Dividing by less than the first amplifies noise; an albedo above the second is a highlight,
# or teeth or eyes in a hollow, which harmonic light renders darker than they are.
DARKEST_SHADING, BRIGHTEST_ALBEDO = 0.08, 2.0
# Smallest cosine of the view that the slope's part of the slack allows for.
GRAZING_COSINE = 0.1


@dataclass(frozen=True)
class SampledColours(TensorStructure):
    """The crop, read at the vertices.

    Attributes:
      colour: [B, N, 3] RGB in [0, 1] at the projected vertices, hidden ones included.
      visibility: [B, N, 1] in [0, 1], 0 where the colour belongs to something other than the vertex.
    """

    colour: tf.Tensor
    visibility: tf.Tensor


def published_projection(image: tf.Tensor, alpha: tf.Tensor, points: tf.Tensor, normals: tf.Tensor) -> SampledColours:
    """Reads nearest pixels and takes facing vertices for visible, as published.

    A vertex on the mask that faces +z is visible: without a depth test a cheek behind the nose takes the nose's colour.
    Pixels are centred at whole numbers, half a pixel off the rasteriser's.

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
    """Reads bilinear colours inside the mask; a vertex is visible if it lies on the surface that its pixel sees.

    Colours are averaged with the mask as weight, so a vertex at the mask's border takes the colour of the pixels inside
    it and nothing from beyond. A vertex that is itself hidden (behind the silhouette, a lip or the edge of the mask)
    counts as visible where pixels see a triangle of which it is a corner: it takes their mean colour, weighted by its
    share in each. Nothing else determines it, and a guessed colour of the hidden corner would show in those pixels.

    Args:
      image: [B, H, W, 3] RGB in [0, 1].
      alpha: [B, H, W, 1] the mask.
      camera: that rendered `fragments`.
      points: [B, N, 2] projected vertices, pixels.
      vertices, normals: [B, N, 3] world frame.
      triangles: [F, 3].
      fragments: the rasterised vertices.
    """
    depth = camera.depth(vertices)[..., None]
    seen = interpolate(depth, triangles, fragments)
    at_pixel = sample_image(tf.concat([seen * fragments.mask, fragments.mask], axis=-1), points, "nearest")
    seen_depth, covered = at_pixel[..., :1], at_pixel[..., 1:] > 0.5

    cosine = facing_cosine(vertices, normals, camera)
    in_front = depth <= seen_depth + depth_slack(depth, cosine, camera)

    masked = tf.concat([image * alpha, alpha], axis=-1)
    inside = sample_image(masked, points, "bilinear")
    # Sampling repeats the image's border: vertices beyond it would take the colour of another part.
    sides = tf.constant([image.shape[2], image.shape[1]], points.dtype)
    pictured = tf.reduce_all((points >= 0) & (points < sides), axis=-1, keepdims=True)
    itself = pictured & (cosine > 0) & covered & in_front & (inside[..., 3:] > LEAST_WEIGHT)
    # A triangle seen from its inside does not show the skin.
    front = tf.gather(faces_camera(points, triangles), tf.maximum(fragments.triangle_id, 0), batch_dims=1)
    around = gather_at_corners(masked * front[..., None], triangles, fragments, vertices.shape[1])
    as_corner = around[..., 3:] > LEAST_SHARE
    sums = tf.where(itself, inside, around)
    return SampledColours(
        colour=sums[..., :3] / tf.maximum(sums[..., 3:], LEAST_WEIGHT),
        visibility=tf.stop_gradient(tf.cast(itself | as_corner, image.dtype)),
    )


def depth_slack(depth: tf.Tensor, cosine: tf.Tensor, camera: Camera) -> tf.Tensor:
    """Depth by which a visible vertex may lie behind the surface that its pixel shows [dm].

    Between a vertex and the middle of its pixel, a slanted surface changes depth by the tangent times a pixel's width.

    Args:
      depth, cosine: [B, N, 1] of the vertices: before the camera, and `facing_cosine`.
      camera: that rendered the depths it is compared with.
    """
    steepest = tf.maximum(cosine, GRAZING_COSINE)
    tangent = tf.sqrt(1 - tf.minimum(tf.square(steepest), 1.0)) / steepest
    return DEPTH_BIAS + tangent * depth / camera.focal_length


def faces_camera(points: tf.Tensor, triangles: tf.Tensor) -> tf.Tensor:
    """Mask [B, F] of the triangles that show the camera their outside; `points` [B, N, 2] in pixels, y down."""
    # Triangles are counter-clockwise from outside: with y down their signed area is negative.
    a, b, c = (tf.gather(points, triangles[:, corner], axis=1) for corner in range(3))
    area = (b - a)[..., 0] * (c - a)[..., 1] - (b - a)[..., 1] * (c - a)[..., 0]
    return tf.cast(area < 0, points.dtype)


def gather_at_corners(values: tf.Tensor, triangles: tf.Tensor, fragments: Fragments, vertex_count: int) -> tf.Tensor:
    """Sums of pixel values at the corners of the triangles they see, weighted by the barycentrics: [B, N, C].

    The transpose of `interpolate`.

    Args:
      values: [B, H, W, C].
      triangles: [F, 3].
      fragments: of the same pixels.
      vertex_count: N.
    """
    corners = tf.gather(triangles, tf.maximum(fragments.triangle_id, 0))
    batch, channels = tf.shape(corners)[0], values.shape[-1]
    place = corners + vertex_count * tf.reshape(tf.range(batch), [-1, 1, 1, 1])
    shares = fragments.barycentrics[..., None] * values[..., None, :]
    sums = tf.math.unsorted_segment_sum(
        tf.reshape(shares, [-1, channels]), tf.reshape(place, [-1]), batch * vertex_count
    )
    return tf.reshape(sums, [batch, vertex_count, channels])


def delit_albedo(colour: tf.Tensor, shading: tf.Tensor) -> tf.Tensor:
    """Albedo that explains a colour [B, N, 3] under a shading [B, N, 3]: their ratio, within bounds."""
    return tf.clip_by_value(colour / tf.maximum(shading, DARKEST_SHADING), 0.0, BRIGHTEST_ALBEDO)


def projected_albedo(coarse_albedo: tf.Tensor, sampled: SampledColours, shading: tf.Tensor) -> tf.Tensor:
    """De-lit projection, the baseline without a network: the photo's albedo where visible, else the coarse one.

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
