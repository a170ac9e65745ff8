"""The light of known faces is found in their pictures, whatever grows on them or covers them."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from lib.geometry.camera import Camera
from lib.geometry.lighting import shading
from lib.mesh_renderer.fragments import interpolate, rasterize
from model.fitting.energy import LIGHT_COLOUR_SIGMA, LIGHT_SIGMA, light_energy
from model.fitting.light import solve_light
from model.fitting.surface import SurfaceSteps, visible_weights
from model.fitting.weights import FitWeights
from model.morphable_model import MorphableModel
from tests.support.faces import built_in_face, coarse_head

CAMERA = Camera((112, 112))
# From above and the left, a little warm.
LIGHT = np.float32([0.1, 0.25, -0.1, 0.15, 0, 0, 0, 0, 0] + np.array([[0.03], [0], [-0.03]]))  # [3, 9]


@pytest.fixture(scope="module", params=["built-in", "human head"])
def model(request):
    return MorphableModel(built_in_face(2500) if request.param == "built-in" else coarse_head("face"))


def face_of(model, light):
    """Coefficients [1, K] of the mean face."""
    zero = model.layout.split(np.zeros([1, model.layout.size], np.float32))
    return model.layout.join(dataclasses.replace(zero, light=np.float32(light).reshape(1, 27)))


def photo_of(model, factor):
    """The mean face under `LIGHT` with its albedo times a factor [N]: picture [1, H, W, 3] and mask [1, H, W, 1]."""
    face = model.posed(tf.constant(face_of(model, LIGHT)), CAMERA)
    fragments = rasterize(CAMERA.clip_coordinates(face.vertices), model.triangles, CAMERA.image_size)
    colour = face.albedo * face.shading * tf.constant(factor, tf.float32)[None, :, None]
    return interpolate(colour, model.triangles, fragments), fragments.mask


def solved_shading(model, image, mask):
    """Shading [N, 3] that is found in a picture, the true one, and which vertices are seen."""
    dark = tf.constant(face_of(model, np.zeros([3, 9])))
    weight = visible_weights(SurfaceSteps(model, CAMERA), dark, mask).weight
    found = solve_light(model, CAMERA, dark, image, weight, FitWeights())
    normals = model.posed(dark, CAMERA).normals
    return shading(normals, model.layout.split(found).light)[0], shading(normals, LIGHT.reshape(1, 27))[0], weight


def error_of(model, factor):
    """Mean error of the shading where the face is seen, as a share of that of ambient light."""
    image, mask = photo_of(model, factor)
    found, true, weight = (np.asarray(value) for value in solved_shading(model, image, mask))
    seen = weight[0] > 0
    ambient = np.asarray(shading(model.posed(tf.constant(face_of(model, LIGHT)), CAMERA).normals, tf.zeros([1, 27])))
    return np.abs(found - true)[seen].mean() / np.abs(ambient[0] - true)[seen].mean()


def top_of(model, share):
    """Bool [N], the highest vertices, a share of the front's."""
    height = model.face_model.mean_shape[:, 1]
    return height > np.quantile(height[model.face_model.front_mask], 1 - share)


def test_a_beard_is_no_shadow(model):
    beard = model.face_model.regions["beard"]
    assert error_of(model, np.ones(model.vertex_count)) < 0.1
    for darker in (0.4, 0.7):
        assert error_of(model, 1 - darker * (beard > 0.3)) < 0.15


@pytest.mark.parametrize(("share", "darker", "most"), [(0.15, 0.95, 0.1), (0.25, 0.5, 0.4), (0.3, 0.95, 0.6)])
def test_a_cap_or_hair_is_no_shadow(model, share, darker, most):
    assert error_of(model, 1 - darker * top_of(model, share)) < most


def test_each_face_of_a_batch_has_its_own_start(model):
    beard = model.face_model.regions["beard"]
    factors = 1 - 0.7 * (beard > 0.3), 1 - 0.95 * top_of(model, 0.15), np.ones(model.vertex_count)
    images, masks = (tf.concat(parts, axis=0) for parts in zip(*(photo_of(model, f) for f in factors), strict=True))
    dark = tf.constant(np.repeat(face_of(model, np.zeros([3, 9])), 3, axis=0))
    weight = visible_weights(SurfaceSteps(model, CAMERA), dark, masks).weight
    together = solve_light(model, CAMERA, dark, images, weight, FitWeights())
    for row in range(3):
        one = slice(row, row + 1)
        alone = solve_light(model, CAMERA, dark[one], images[one], weight[one], FitWeights())
        np.testing.assert_allclose(together[row], alone[0], atol=1e-4)


def test_a_model_without_hairy_regions_has_its_light_found(model):
    bare = MorphableModel(dataclasses.replace(model.face_model, regions={}))
    assert not bare.hairy.numpy().any()
    assert model.hairy.numpy().any()
    assert error_of(bare, np.ones(bare.vertex_count)) < 0.1


def test_without_a_visible_face_the_light_is_the_expected_one(model):
    dark = tf.constant(face_of(model, LIGHT))
    blank = tf.zeros([1, *CAMERA.image_size, 3])
    found = solve_light(model, CAMERA, dark, blank, tf.zeros([1, model.vertex_count]), FitWeights())
    np.testing.assert_allclose(model.layout.split(found).light, 0, atol=1e-6)


def test_energy_of_white_and_of_coloured_light():
    white, red = np.zeros([2, 3, 9], np.float32)
    white[:, 2] = 0.35
    red[0, 4], red[1, 4] = 0.04, -0.04
    energy = light_energy(tf.constant(np.stack([white, red]).reshape(2, 27)))
    # By hand: the mean over channels is one standard deviation off; two channels differ from their mean by one.
    assert (LIGHT_SIGMA[2], LIGHT_COLOUR_SIGMA[4]) == (0.35, 0.04)
    np.testing.assert_allclose(energy, [0.5, 1.0], rtol=1e-5)
