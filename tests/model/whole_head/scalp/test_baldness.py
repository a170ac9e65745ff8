"""Bald heads are told from hair in the colours of skin, and carry no hair."""

import numpy as np
import pytest
import tensorflow as tf

from lib.face_image.region import PhotoRegion
from lib.geometry.camera import Camera
from lib.geometry.lighting import AMBIENT
from model.morphable_model import MorphableModel, PosedFace
from model.whole_head.scalp.scalp import Scalp
from model.whole_head.scalp_mesh import widened
from model.whole_head.wide_view import WideView

SIZE, PHOTO = 128, 240  # sides of the crop and of the photo around it
SKIN, GREY = np.array([0.7, 0.5, 0.4]), np.array([0.52, 0.53, 0.54])
HAIRLINE = 29  # row of the crop


@pytest.fixture(scope="module")
def case(extended, count):
    """The scalp of a head, the posed head in ambient light, and its skin."""
    morphable, camera = MorphableModel(extended.model), Camera((SIZE, SIZE))
    face = morphable.posed(tf.zeros([1, extended.model.layout.size]), camera)
    skin = np.tile(SKIN, (extended.model.vertex_count, 1)).astype(np.float32)
    return Scalp(morphable, camera, count), face, skin


def painted(case, top: np.ndarray, roughness: float = 0.0, bald: bool = False):
    """The scalp of a person whose head has a colour, and streaks of some strength, above the hairline."""
    scalp, face, skin = case
    margin = (PHOTO - SIZE) // 2
    noise = np.random.default_rng(0).normal(size=[2, PHOTO, PHOTO, 1])
    pixels = SKIN * np.exp(0.02 * noise[0])
    pixels[: margin + HAIRLINE] = top * np.exp((0.02 * noise[0] + roughness * noise[1, :1])[: margin + HAIRLINE])
    region = PhotoRegion(
        np.uint8(np.clip(AMBIENT * pixels, 0, 1) * 255), np.array([[1.0, 0, margin], [0, 1.0, margin]])
    )
    mask = np.where(np.arange(SIZE)[:, None] > HAIRLINE, 1.0, 0.0) * np.ones(SIZE)
    return scalp(face, skin, mask, region, bald=bald)


def test_a_crown_like_the_skin_is_bald(case):
    found = painted(case, SKIN)
    assert found.bald
    assert not found.share.any()
    assert not found.strands.any()


def test_hair_of_other_hue_brightness_or_with_strands_is_none(case):
    for top, roughness in ((GREY, 0.0), (0.55 * SKIN, 0.0), (SKIN, 0.15)):
        found = painted(case, top, roughness)
        assert not found.bald
        assert found.share.max() > 0.9


def test_the_photo_is_read_on_a_bald_scalp(case):
    hairy, bald = painted(case, GREY), painted(case, SKIN, bald=True)
    assert bald.bald
    margin = (len(bald.readable) - SIZE) // 2
    top = bald.readable[: margin + HAIRLINE - 4]
    assert top.sum() > 0.5 * hairy.readable[: margin + HAIRLINE - 4].sum() > 100


def test_what_is_not_shown_is_not_bald(case):
    scalp, face, skin = case
    below = PhotoRegion(np.uint8(np.full([8, 8, 3], AMBIENT) * SKIN * 255), np.array([[1.0, 0, -60], [0, 1.0, -110]]))
    assert not scalp(face, skin, np.ones([SIZE, SIZE]), below).bald


def test_a_strip_of_the_crown_is_enough_in_small_crops(case):
    """134 pixels: as large a part of this crop as 400 of one of 224 pixels."""
    scalp, face, skin = case
    pixels = np.clip(AMBIENT * SKIN * np.exp(0.02 * np.random.default_rng(0).normal(size=[PHOTO, 12, 1])), 0, 1)
    strip = PhotoRegion(np.uint8(pixels * 255), np.array([[1.0, 0, 6 - SIZE / 2], [0, 1.0, (PHOTO - SIZE) / 2]]))
    mask = np.where(np.arange(SIZE)[:, None] > HAIRLINE, 1.0, 0.0) * np.ones(SIZE)
    assert scalp(face, skin, mask, strip).bald


@pytest.mark.parametrize(
    ("outside", "odds", "bald"), [(0.7, -2.0, True), (0.3, -2.0, False), (0.7, -0.5, False), (0.7, 0.0, False)]
)
def test_a_scalp_outside_the_persons_outline_is_bald(case, outside, odds, bald):
    """Somebody who looks up: a share of the scalp lies outside the person, as surely as the odds say."""
    scalp, face, _ = case
    view = seen(scalp, face, outside, odds, np.ones([1, 1], bool))
    assert scalp.shows_no_hair(view) == bald


def test_a_scalp_beyond_the_photo_says_nothing(case):
    scalp, face, _ = case
    assert not scalp.shows_no_hair(seen(scalp, face, 0.7, -2.0, np.zeros([1, 1], bool)))


def seen(scalp: Scalp, face: PosedFace, outside: float, odds: float, inside: np.ndarray) -> WideView:
    """A view of a head of whose scalp the upper part, a share `outside`, has these odds of the person, the rest 2."""
    camera = widened(Camera((SIZE, SIZE)))
    ids = scalp._ids(face)
    rows = np.nonzero(scalp._drawn[ids] & (ids >= 0))[0]
    person = np.full(ids.shape, 2.0, np.float32)
    person[: int(np.quantile(rows, outside))] = odds
    inside = np.broadcast_to(inside, ids.shape)
    return WideView(camera, np.zeros([*ids.shape, 3], np.float32), inside, np.zeros(ids.shape, bool), ids, person)
