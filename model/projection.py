"""Projection of the crop onto the mesh: colours and visibility at the vertices."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from configs.network_sections import PROJECTIONS
from lib.geometry.camera import Camera
from lib.geometry.reference import REFERENCE_SIZE
from lib.images.sampling import sample_image
from lib.mesh_export import texture_baking
from lib.mesh_renderer.fragments import Fragments, gather_at_corners, interpolate, triangle_ids_and_depth
from lib.tensor_structure import TensorStructure
from model.morphable_model import MorphableModel, PosedFace

# Slack of the depth test [dm]: depths are known per pixel only. Eyelids and lips are thicker than this.
DEPTH_BIAS = 0.02
# A vertex is visible only if the mask covers at least this much of the four pixels around it (bilinear weights).
LEAST_WEIGHT = 0.1
# A hidden vertex takes its colour from the pixels that show its triangles if its barycentric weights there sum to at
# least this much [px].
LEAST_SHARE = 0.1
# Bounds for removing the light. Dividing by a smaller shading amplifies noise; a larger albedo is a highlight, or teeth
# or eyes in a hollow, where spherical harmonics (which cast no shadows) do not fit.
DARKEST_SHADING, BRIGHTEST_ALBEDO = 0.08, 2.0
# The slack for slanted surfaces grows with their slope, up to the slope at this cosine of the viewing angle.
GRAZING_COSINE = 0.1
# Pixels of the z-buffer per pixel of a crop of REFERENCE_SIZE. It must resolve half a millimetre, to find the texels
# behind a nose.
ZBUFFER_SCALE = 4


@dataclass(frozen=True)
class SampledColours(TensorStructure):
    """The crop's colours at the vertices.

    Attributes:
      colour: [B, N, 3] RGB in [0, 1] at the projected vertices; meaningless at hidden ones.
      visibility: [B, N, 1] in [0, 1], 0 where the pixel shows something other than the vertex.
    """

    colour: tf.Tensor
    visibility: tf.Tensor


def published_projection(image: tf.Tensor, alpha: tf.Tensor, points: tf.Tensor, normals: tf.Tensor) -> SampledColours:
    """Reads the nearest pixels and counts vertices that face the camera as visible, as published.

    A vertex inside the mask whose normal has a positive z is visible. There is no depth test, so a cheek behind the
    nose takes the nose's colour. Pixel centres lie at integers, half a pixel off the rasteriser's.

    Args:
      image: [B, H, W, 3] RGB in [0, 1].
      alpha: [B, H, W, 1] the eroded mask.
      points: [B, N, 2] projected vertices, pixels.
      normals: [B, N, 3] world frame.
    """
    # Centre of the pixel whose index is the rounded coordinate; tf.round rounds halves to even, as published.
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
    """Reads colours at the vertices, bilinearly and inside the mask, with a depth test for visibility.

    Bilinear weights are multiplied by the mask, so colours from outside the mask do not bleed in at its border. A
    hidden vertex (behind the silhouette, a lip or the edge of the mask) still counts as visible if some pixels show one
    of its triangles: it takes the mean colour of those pixels, weighted by its barycentric weights. Those pixels are
    interpolated from its colour, so a guessed one would show in them.

    Args:
      image: [B, H, W, 3] RGB in [0, 1].
      alpha: [B, H, W, 1] the mask.
      camera: the camera that rendered `fragments`.
      points: [B, N, 2] projected vertices, pixels.
      vertices, normals: [B, N, 3] world frame.
      triangles: [F, 3].
      fragments: the rasterised vertices.
    """
    depth = camera.depth(vertices)[..., None]
    buffer = interpolate(depth, triangles, fragments)
    at_pixel = sample_image(tf.concat([buffer * fragments.mask, fragments.mask], axis=-1), points, "nearest")
    buffer_depth, covered = at_pixel[..., :1], at_pixel[..., 1:] > 0.5

    cosine = facing_cosine(vertices, normals, camera)
    in_front = depth <= buffer_depth + depth_slack(depth, cosine, camera)

    masked = tf.concat([image * alpha, alpha], axis=-1)
    inside = sample_image(masked, points, "bilinear")
    # Sampling outside the image repeats its border, which is not what the camera would see there.
    sides = tf.constant([image.shape[2], image.shape[1]], points.dtype)
    in_image = tf.reduce_all((points >= 0) & (points < sides), axis=-1, keepdims=True)
    is_seen = in_image & (cosine > 0) & covered & in_front & (inside[..., 3:] > LEAST_WEIGHT)
    # A triangle seen from behind does not show skin.
    front = tf.gather(faces_camera(points, triangles), tf.maximum(fragments.triangle_id, 0), batch_dims=1)
    gathered = gather_at_corners(masked * front[..., None], triangles, fragments, vertices.shape[1])
    has_pixels = gathered[..., 3:] > LEAST_SHARE
    sums = tf.where(is_seen, inside, gathered)
    return SampledColours(
        colour=sums[..., :3] / tf.maximum(sums[..., 3:], LEAST_WEIGHT),
        visibility=tf.stop_gradient(tf.cast(is_seen | has_pixels, image.dtype)),
    )


def depth_slack(depth: tf.Tensor, cosine: tf.Tensor, camera: Camera) -> tf.Tensor:
    """Tolerance of the depth test [dm]: how far behind the surface in its pixel a vertex still counts as visible.

    The depth buffer is sampled at pixel centres. Between a vertex and the centre of its pixel, the depth of a slanted
    surface changes by up to a pixel's width times the tangent of the slant.

    Args:
      depth: [B, N, 1] depth of the vertices along the camera's axis, dm.
      cosine: [B, N, 1] `facing_cosine` of the vertices.
      camera: the camera that rendered the depth buffer.
    """
    steepest = tf.maximum(cosine, GRAZING_COSINE)
    tangent = tf.sqrt(1 - tf.minimum(tf.square(steepest), 1.0)) / steepest
    return DEPTH_BIAS + tangent * depth / camera.focal_length


def faces_camera(points: tf.Tensor, triangles: tf.Tensor) -> tf.Tensor:
    """Mask [B, F] of the triangles whose outside faces the camera; `points` [B, N, 2] in pixels, y down."""
    # Triangles are counter-clockwise seen from outside. With y down, this makes their signed area negative.
    a, b, c = (tf.gather(points, triangles[:, corner], axis=1) for corner in range(3))
    area = (b - a)[..., 0] * (c - a)[..., 1] - (b - a)[..., 1] * (c - a)[..., 0]
    return tf.cast(area < 0, points.dtype)


def delit_albedo(colour: tf.Tensor, shading: tf.Tensor) -> tf.Tensor:
    """Albedo [B, N, 3] that gives a colour [B, N, 3] under a shading [B, N, 3]: their ratio, within bounds."""
    return tf.clip_by_value(colour / tf.maximum(shading, DARKEST_SHADING), 0.0, BRIGHTEST_ALBEDO)


def projected_albedo(coarse_albedo: tf.Tensor, sampled: SampledColours, shading: tf.Tensor) -> tf.Tensor:
    """De-lit projection, a baseline without a network: the photo's albedo where visible, else the coarse albedo.

    Args:
      coarse_albedo: [B, N, 3] RGB in [0, 1].
      sampled: colours and visibility of the crop.
      shading: [B, N, 3].
    """
    return coarse_albedo + (delit_albedo(sampled.colour, shading) - coarse_albedo) * sampled.visibility


def facing_cosine(vertices: tf.Tensor, normals: tf.Tensor, camera: Camera) -> tf.Tensor:
    """Cosine between vertex normals and the directions to the camera: two [B, N, 3] -> [B, N, 1]."""
    to_camera = tf.constant([0.0, 0.0, camera.distance], vertices.dtype) - vertices
    return tf.reduce_sum(normals * tf.math.l2_normalize(to_camera, axis=-1), axis=-1, keepdims=True)


def check_projection(projection: str) -> None:
    """Raises ValueError unless `projection` is one of PROJECTIONS."""
    if projection not in PROJECTIONS:
        raise ValueError(f"projection must be one of {', '.join(PROJECTIONS)}, got {projection!r}")


def surface_view(
    morphable: MorphableModel, camera: Camera, face: PosedFace, mask: np.ndarray, crop_side: int
) -> texture_baking.SurfaceView:
    """A camera's view of a face.

    Args:
      morphable: the face model.
      camera: of the crops, or one as sharp with a wider picture.
      face: a batch of one.
      mask: [H, W] of the camera's picture, 1 where colours may be read.
      crop_side: side of the crops.
    """
    scale = max(round(ZBUFFER_SCALE * REFERENCE_SIZE / crop_side), 1)
    height, width = camera.image_size
    fine = dataclasses.replace(camera, image_size=(height * scale, width * scale))
    clip = fine.clip_coordinates(face.vertices)
    ids, z = triangle_ids_and_depth(clip, morphable.triangles, fine.image_size)
    zbuffer = tf.where(ids >= 0, fine.depth_of_clip(z), np.inf)
    depth = fine.depth(face.vertices)[..., None]
    cosine = facing_cosine(face.vertices, face.normals, fine)
    skin = morphable.face_model.skin_mask
    return texture_baking.SurfaceView(
        points=fine.project(face.vertices)[0].numpy(),
        depth=depth[0, :, 0].numpy(),
        slack=depth_slack(depth, cosine, fine)[0, :, 0].numpy(),
        # Eyes and mouth interior are exempt: too small to smear visibly, and their normals vary from row to row.
        cosine=np.where(skin, cosine[0, :, 0].numpy(), 1),
        zbuffer=zbuffer[0].numpy(),
        mask=mask,
        reference_pixel=scale * crop_side / REFERENCE_SIZE,
    )
