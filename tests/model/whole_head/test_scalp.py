"""Hair on the scalp of a whole head: read where the photo shows it, continued elsewhere, guessed from the brows."""

import numpy as np
import pytest
import tensorflow as tf

from lib.face_image.region import PhotoRegion
from lib.face_model_files.human_head import ExtendedHead
from lib.geometry.camera import Camera
from lib.human_head.shipped import SHIPPED, HumanHead
from lib.synthetic.builtin.face_generator import build_face_model
from model.morphable_model import MorphableModel
from model.whole_head.scalp import Scalp

SIZE, PHOTO = 64, 120  # sides of the crop and of the photo around it
SKIN, HAIR, WALL = (np.array(colour) for colour in ([0.7, 0.5, 0.4], [0.2, 0.6, 0.2], [0.1, 0.1, 0.9]))


@pytest.fixture(scope="module")
def case():
    """The scalp of a head, the posed head in even light, its skin, and the crop's mask of the face."""
    model = ExtendedHead.build(HumanHead.load(SHIPPED), build_face_model(2000), "face", "head", 0).model
    morphable, camera = MorphableModel(model), Camera((SIZE, SIZE))
    face = morphable.posed(tf.zeros([1, model.layout.size]), camera)
    skin = np.tile(SKIN, (model.vertex_count, 1)).astype(np.float32)
    skin[model.regions["brow"] > 0.5] = 0.25
    return Scalp(morphable, camera), face, skin


def photo(hairline: float) -> PhotoRegion:
    """A head as wide as the picture's middle: hair above the row `hairline` of the crop, skin below, a wall around."""
    margin = (PHOTO - SIZE) // 2
    pixels = np.tile(SKIN, (PHOTO, PHOTO, 1))
    pixels[: round(margin + hairline)] = HAIR
    pixels[:, : margin - 8] = pixels[:, PHOTO - margin + 8 :] = WALL
    return PhotoRegion(np.uint8(pixels * 255), np.array([[1.0, 0, margin], [0, 1.0, margin]]))


def distance(colours: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """[N] difference of hue: of the colours [N, 3] scaled to a sum of 1."""
    return np.abs(colours / colours.sum(axis=1, keepdims=True) - colour / colour.sum()).max(axis=1)


def test_the_scalp_takes_the_colour_of_the_hair_also_behind(case):
    scalp, face, skin = case
    found = scalp(face, skin, np.zeros([SIZE, SIZE]), photo(hairline=14))
    inside, places = scalp.share > 0.99, face.shape[0].numpy()
    behind = inside & (places[:, 2] < np.quantile(places[inside, 2], 0.3))
    assert behind.sum() > 50
    assert distance(found.albedo[behind], HAIR).max() < 0.05
    front = inside & (places[:, 2] > np.quantile(places[inside, 2], 0.9))
    assert np.median(distance(found.albedo[front], HAIR)) < 0.05
    assert found.albedo[inside].std() > 0.005, "strands"


def test_pixels_of_scalp_and_face_may_be_read_and_no_others(case):
    scalp, face, skin = case
    mask = np.zeros([SIZE, SIZE])
    mask[40, 30] = 1
    found = scalp(face, skin, mask, photo(hairline=14))
    margin = (len(found.readable) - SIZE) // 2
    assert found.readable[margin + 40, margin + 30] == 1
    assert found.readable[:margin, len(found.readable) // 2].any(), "the crown is above the crop"
    assert not found.readable[margin + 41 :].any()
    assert not found.readable[:, : margin - 8].any(), "the wall"


def test_a_high_forehead_is_no_colour_of_hair(case):
    scalp, face, skin = case
    found = scalp(face, skin, np.zeros([SIZE, SIZE]), photo(hairline=4))
    places, inside = face.shape[0].numpy(), scalp.share > 0.99
    behind = inside & (places[:, 2] < np.quantile(places[inside, 2], 0.3))
    assert np.median(distance(found.albedo[behind], HAIR)) < np.median(distance(found.albedo[behind], SKIN)) / 2


def test_an_unseen_scalp_has_the_colour_of_the_brows(case):
    scalp, face, skin = case
    mask = np.zeros([SIZE, SIZE])
    mask[30:40] = 1
    found = scalp(face, skin, mask, None)
    np.testing.assert_allclose(np.median(found.albedo[scalp.share > 0], axis=0), 0.25, atol=0.03)
    assert found.readable.sum() == mask.sum()
    # A photo that ends below the hairline does not show it either.
    below = PhotoRegion(np.full([8, 8, 3], 200, np.uint8), np.array([[1.0, 0, -28], [0, 1.0, -52]]))
    np.testing.assert_array_equal(scalp(face, skin, mask, below).albedo, found.albedo)
