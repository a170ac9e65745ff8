"""The albedo does not see what lies near an outline; the appearance does."""

import numpy as np
import tensorflow as tf

from lib.geometry.camera import Camera
from lib.mesh_export.texture_baking import inside_mask
from model.face_gcn import FaceGCN
from model.morphable_model import MorphableModel
from model.reconstruction.albedo.careful import reconstruct_carefully
from model.reconstruction.albedo.detail import AlbedoDetail
from tests.support.faces import built_in_face

CAMERA = Camera((96, 96))
MORPHABLE = MorphableModel(built_in_face(2500))


def visibility_twice(embedding, coarse, sampled, visibility, shading, training=False):
    """In the texture network's place: both textures show the visibility it was given."""
    return tf.repeat(visibility, 6, axis=-1)


def reconstruct(texture=visibility_twice):
    """A frontal face whose mask ends at the middle of the picture."""
    face_gcn = FaceGCN(MORPHABLE, CAMERA, texture)
    mask = np.zeros([96, 96], np.float32)
    mask[:, :48] = 1
    crop = tf.constant(np.concatenate([np.full([96, 96, 3], 0.5, np.float32), mask[..., None]], axis=-1)[None])
    coefficients = tf.zeros([1, MORPHABLE.layout.size])
    inside = tf.constant(inside_mask(mask)[None, ..., None])
    return reconstruct_carefully(
        face_gcn, crop, coefficients, tf.zeros([1, 4]), inside, AlbedoDetail(MORPHABLE.face_model)
    )


def test_near_mask_and_outline_the_albedo_does_not_use_the_photo():
    result = reconstruct()
    face = result.coarse.face
    seen, trusted = (texture[0, :, 0].numpy() > 0 for texture in (result.appearance, result.albedo))
    skin, x = MORPHABLE.face_model.skin_mask, CAMERA.project(face.vertices)[0, :, 0].numpy()
    cosine = face.normals[0, :, 2].numpy()
    at_border = seen & skin & (x > 46.5)
    grazing = seen & skin & (cosine < 0.25)
    assert at_border.sum() > 20
    assert grazing.sum() > 20
    assert not trusted[at_border | grazing].any()
    well = seen & skin & (x < 43) & (cosine > 0.5)
    assert trusted[well].all()
    assert (trusted <= seen).all()
    np.testing.assert_array_equal(trusted[~skin], seen[~skin])


def test_a_single_texture_stays_one():
    result = reconstruct(lambda *inputs, training=False: tf.repeat(inputs[3], 3, axis=-1))
    np.testing.assert_array_equal(result.albedo, result.appearance)
