"""The order in which a crop's mask is looked for: the photo's own, a parser's, the decoder's, the graph cut's."""

import numpy as np
import pytest
import skimage.data
import tensorflow as tf

from configs import schema
from lib.face_image.alignment import Alignment
from lib.face_mesh.network import find_mesh_points
from lib.geometry.camera import Camera
from model.fitting.masks import MaskFinder, readable_mask
from model.morphable_model import MorphableModel
from model.pipeline import load_decoder
from tests.support.faces import built_in_face
from tests.support.helpers import golden
from tests.support.photo_corpus import ASTRONAUT_FIVE

FIVE = ASTRONAUT_FIVE - (112, 8)  # in a crop around them


@pytest.fixture(scope="module")
def alignment():
    crop = np.ascontiguousarray(skimage.data.astronaut()[8:232, 112:336])
    inside = np.ones((224, 224), bool)
    inside[:, :20] = False
    return Alignment(crop, FIVE, np.eye(2, 3), inside, 1.0, np.zeros(2), (224, 224), (0, 0, 224, 224))


@pytest.fixture(scope="module")
def model():
    return MorphableModel(built_in_face(2000))


class Circle:
    """A decoder that takes a circle in the middle of its square for skin; remembers what it was given."""

    def __call__(self, maps, picture):
        self.maps, self.picture = maps, picture
        rows, columns = np.mgrid[:96, :96] - 47.5
        return tf.constant(np.where(np.hypot(rows, columns) < 30, 6.0, -6.0)[None], tf.float32)


def test_the_decoder_is_asked_if_the_points_are_known(alignment, model):
    decoder = Circle()
    find = MaskFinder(model, Camera((224, 224)), decoder=decoder)
    mesh = find_mesh_points(alignment.crop, alignment.points).points
    alpha = find(alignment, None, np.zeros((1, 1), np.float32), mesh=mesh)
    assert alpha.dtype == np.float32
    assert alpha[tuple(np.rint(mesh[4][::-1]).astype(int))] > 0.9, "tip of the nose"
    assert alpha[:, :20].max() == 0
    assert alpha[-20:].max() < 0.1
    assert [tuple(level.shape) for level in decoder.maps] == [
        (1, 96, 96, 16), (1, 48, 48, 32), (1, 24, 24, 64), (1, 12, 12, 128), (1, 6, 6, 128),
    ]  # fmt: skip
    assert decoder.picture.shape == (1, 96, 96, 3)
    assert 0 <= tf.reduce_min(decoder.picture) < tf.reduce_max(decoder.picture) <= 1


def test_the_shipped_mask_of_the_portrait(alignment, model):
    """Against the mask that was looked at, in tests/golden."""
    find = MaskFinder(model, Camera((224, 224)), decoder=load_decoder(schema.load()))
    mesh = find_mesh_points(alignment.crop, alignment.points).points
    found = find(alignment, None, np.zeros((1, 1), np.float32), mesh=mesh) > 0.5
    expected = np.unpackbits(golden("portrait_mask")["bits"]).reshape(found.shape) > 0
    assert (found & expected).sum() / (found | expected).sum() > 0.95


def test_a_given_mask_and_a_parser_come_first(alignment, model):
    mesh, given = np.zeros((468, 2)), np.full((224, 224), 0.25, np.float32)

    def parser(crop):
        return np.full(crop.shape[:2], 0.75, np.float32)

    find = MaskFinder(model, Camera((224, 224)), parser, Circle())
    none = np.zeros((1, 1), np.float32)
    assert find(alignment, given, none, mesh=mesh) is given
    np.testing.assert_array_equal(find(alignment, None, none, mesh=mesh), 0.75 * alignment.inside)


@pytest.mark.parametrize(("side", "left_out"), [(32, 1), (224, 1), (1024, 5)])
def test_the_border_that_is_not_read_grows_with_the_crop(side, left_out):
    alpha, inner = np.zeros((side, side), np.float32), np.zeros((side, side), np.float32)
    alpha[8:24, 8:24] = 1
    inner[8 + left_out : 24 - left_out, 8 + left_out : 24 - left_out] = 1
    np.testing.assert_array_equal(readable_mask(alpha, given=False), inner)
