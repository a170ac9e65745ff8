"""Steps of `FaceGCN` with an albedo that ignores the photo's colours near outlines and keeps its detail elsewhere."""

import dataclasses

import numpy as np
import tensorflow as tf

from lib.images.sampling import sample_image
from lib.mesh_export.texture_baking import FULL_COSINE, LEAST_COSINE
from model.face_gcn import CoarseFace, FaceGCN, FaceReconstruction
from model.projection import facing_cosine
from model.reconstruction.albedo.detail import AlbedoDetail


def reconstruct_carefully(
    face_gcn: FaceGCN,
    crop: tf.Tensor,
    coefficients: tf.Tensor,
    embedding: tf.Tensor,
    inside: tf.Tensor,
    detail: AlbedoDetail,
    gaze: np.ndarray | None = None,
) -> FaceReconstruction:
    """`FaceGCN.__call__`, but near outlines the network predicts the albedo without the photo's colours.

    Elsewhere the albedo has more of the photo's detail (`AlbedoDetail`).

    Mask and outline are right to a pixel or two. Hair and background that are read there hardly show in the photo's
    view, but become dark smears when the face turns. The appearance, which reproduces the photo, uses every visible
    vertex. A network with one texture has no albedo of its own, so its result is unchanged.

    Args:
      face_gcn: face model, camera and texture network.
      crop: [1, H, W, 4] RGBA in [0, 1].
      coefficients: [1, K]; embedding: [1, E].
      inside: [1, H, W, 1] weights of `lib.mesh_export.texture_baking.inside_mask` for the crop's mask.
      detail: for the face model.
      gaze: [2] where the eyes turn, see `model.gaze`; None leaves them straight ahead.
    """
    coarse = face_gcn.coarse(coefficients, crop, gaze)
    readable = readable_vertices(face_gcn, coarse, inside)
    # Both in one call, as a batch of two.
    twice = tf.nest.map_structure(lambda x: tf.concat([x, x], axis=0), coarse)
    unoccluded = tf.concat([tf.ones_like(readable), readable], axis=0)
    textures = face_gcn.refine(tf.concat([embedding, embedding], axis=0), twice, unoccluded=unoccluded)
    result = face_gcn.render(coarse, textures[:1], crop)
    if textures.shape[-1] == 3:
        return result
    seen = readable * coarse.sampled.visibility
    return dataclasses.replace(result, albedo=detail(textures[1:, :, 3:], result.appearance, seen))


def careful_albedo(
    face_gcn: FaceGCN, coarse: CoarseFace, embedding: tf.Tensor, inside: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """The network's albedo [1, N, 3] in `reconstruct_carefully`, and where `AlbedoDetail` may read the photo [1, N, 1].

    For a network with two textures and a given coarse face.
    """
    readable = readable_vertices(face_gcn, coarse, inside)
    return face_gcn.refine(embedding, coarse, unoccluded=readable)[..., 3:], readable * coarse.sampled.visibility


def readable_vertices(face_gcn: FaceGCN, coarse: CoarseFace, inside: tf.Tensor) -> tf.Tensor:
    """[1, N, 1], 1 for vertices well inside outline and mask; eyes and mouth, which have hollows, always count."""
    camera, face = face_gcn.camera, coarse.face
    well_inside = sample_image(inside, camera.project(face.vertices)) > 0.5
    frontal = facing_cosine(face.vertices, face.normals, camera) > (LEAST_COSINE + FULL_COSINE) / 2
    skin = tf.constant(face_gcn.morphable.face_model.skin_mask)[None, :, None]
    return tf.cast((well_inside & frontal) | ~skin, tf.float32)
