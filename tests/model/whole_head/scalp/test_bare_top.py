"""A head that is bald on top keeps the ring of hair that the photo shows around it."""

import numpy as np
import pytest
import tensorflow as tf

from lib.face_image.region import PhotoRegion
from lib.geometry.camera import Camera
from lib.geometry.lighting import AMBIENT
from lib.synthetic.appearance.canonical import CanonicalFace
from lib.synthetic.appearance.hair import below_bare_top
from model.morphable_model import MorphableModel
from model.whole_head.scalp.colours import apart
from model.whole_head.scalp.scalp import Scalp

SIZE, MARGIN = 128, 56  # side of the crop; pixels of the photo around it
SKIN, GREY = np.array([0.7, 0.5, 0.4]), np.array([0.3, 0.31, 0.32])


@pytest.fixture(scope="module")
def case(extended, count):
    """The scalp of a head, the head turned to show a side, and each vertex's millimetres below a bald top."""
    morphable, camera = MorphableModel(extended.model), Camera((SIZE, SIZE))
    coefficients = np.zeros([1, extended.model.layout.size], np.float32)
    coefficients[0, extended.model.layout.slices["angles"]] = 0.3, 0.5, 0
    face = morphable.posed(tf.constant(coefficients), camera)
    return Scalp(morphable, camera, count), face, below_bare_top(CanonicalFace(extended.model).points)


def painted(case, sides: np.ndarray, bald: bool = False, grain: float = 0.005, top: np.ndarray = SKIN):
    """The scalp of a person with a top of some colour and grain, and sides of a colour."""
    scalp, face, below = case
    ids = scalp._ids(face)
    outside = (len(ids) - SIZE) // 2
    # The mean face in a crop of its own, continued by its border: vertex numbers for the whole photo.
    ids = np.pad(ids, MARGIN - outside, mode="edge")
    triangles = scalp._morphable.face_model.triangles
    usual = scalp._hairline.usual
    on_scalp = (usual[triangles].min(axis=1) > 0.5)[ids] & (ids >= 0)
    ring = on_scalp & (below[triangles].max(axis=1) > 0)[ids]
    noise = np.random.default_rng(0).normal(size=[*ids.shape, 1])
    pixels = np.where(on_scalp[..., None], top, SKIN) * np.exp(np.where(on_scalp, grain, 0.02)[..., None] * noise)
    pixels[ring] = sides * np.exp(0.05 * noise[ring])
    place = np.array([[1.0, 0, MARGIN], [0, 1.0, MARGIN]])
    region = PhotoRegion(np.uint8(np.clip(AMBIENT * pixels, 0, 1) * 255), place)
    crop = slice(MARGIN, MARGIN + SIZE)
    mask = ((ids >= 0) & ~on_scalp)[crop, crop].astype(np.float32)
    skin = np.tile(SKIN, (len(usual), 1)).astype(np.float32)
    return scalp(face, skin, mask, region, bald=bald)


def test_a_bare_top_keeps_the_hair_around_it(case):
    assert painted(case, GREY).bald
    found, (scalp, _, below) = painted(case, GREY, bald=True), case
    crown = scalp._hairline.crown
    assert found.share[crown & (below < -10)].max() == 0
    ring = (scalp._hairline.usual > 0.9) & (below > 15)
    assert np.median(found.share[ring]) > 0.9
    assert np.median(apart(found.albedo[ring], GREY[None])) < 0.15


def test_without_hair_around_it_there_is_no_ring(case):
    assert painted(case, SKIN).bald
    found = painted(case, SKIN, bald=True)
    assert found.bald
    assert not found.share.any()
    assert not found.albedo.any()


def test_blue_around_a_bare_top_is_no_hair(case):
    found = painted(case, np.array([0.2, 0.4, 0.9]), bald=True)
    assert found.bald
    assert not found.share.any()


@pytest.mark.parametrize("beige", [(0.62, 0.5, 0.45), (0.6, 0.5, 0.42), (0.58, 0.46, 0.4), (0.66, 0.52, 0.34)])
def test_a_beige_cap_is_no_bare_top(case, beige):
    assert not painted(case, np.array(beige), top=np.array(beige), grain=0.01).bald


def test_a_top_with_the_grain_of_hair_is_not_bare(case):
    found = painted(case, GREY, grain=0.05)
    assert not found.bald
    assert found.share[case[0]._hairline.crown].max() > 0.9
