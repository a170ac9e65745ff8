"""Hair on the scalp of a whole head: read where the photo shows it, continued elsewhere, guessed from the brows."""

import dataclasses

import cv2
import numpy as np
import pytest
import tensorflow as tf

from lib.face_image.region import PhotoRegion
from lib.geometry.camera import Camera
from lib.mesh_renderer.fragments import triangle_ids
from lib.synthetic.appearance.canonical import CanonicalFace
from lib.synthetic.appearance.hair import above_hairline
from model.morphable_model import MorphableModel
from model.whole_head.hair.hair_shape import HairShape
from model.whole_head.scalp.painted import PaintedScalp
from model.whole_head.scalp.scalp import BROW_CONTRAST, LIGHTEST, Scalp
from model.whole_head.wide_view import WideView

SIZE, PHOTO = 64, 120  # sides of the crop and of the photo around it
SKIN, HAIR, WALL = (np.array(colour) for colour in ([0.7, 0.5, 0.4], [0.3, 0.15, 0.02], [0.1, 0.1, 0.9]))


@pytest.fixture(scope="module")
def case(extended, count):
    """The scalp of a head, the posed head in even light, its skin, and the crop's mask of the face."""
    model = extended.model
    morphable, camera = MorphableModel(model), Camera((SIZE, SIZE))
    face = morphable.posed(tf.zeros([1, model.layout.size]), camera)
    skin = np.tile(SKIN, (model.vertex_count, 1)).astype(np.float32)
    skin[model.regions["brow"] > 0.5] = 0.25
    return Scalp(morphable, camera, count), face, skin


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
    inside, places = found.share > 0.99, face.shape[0].numpy()
    behind = inside & (places[:, 2] < np.quantile(places[inside, 2], 0.3))
    assert behind.sum() > 50
    assert distance(found.albedo[behind], HAIR).max() < 0.05
    front = inside & (places[:, 2] > np.quantile(places[inside, 2], 0.9))
    assert np.median(distance(found.albedo[front], HAIR)) < 0.05


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
    places, inside = face.shape[0].numpy(), found.share > 0.99
    behind = inside & (places[:, 2] < np.quantile(places[inside, 2], 0.3))
    assert np.median(distance(found.albedo[behind], HAIR)) < np.median(distance(found.albedo[behind], SKIN)) / 2


def test_an_unseen_scalp_has_the_colour_of_the_brows(case):
    scalp, face, skin = case
    mask = np.zeros([SIZE, SIZE])
    mask[30:40] = 1
    found = scalp(face, skin, mask, None)
    hair = SKIN * (0.25 / SKIN) ** BROW_CONTRAST
    np.testing.assert_allclose(np.median(found.albedo[found.share > 0], axis=0), hair, atol=0.03)
    assert found.readable.sum() == mask.sum()
    # A photo that ends below the hairline does not show it either.
    below = PhotoRegion(np.full([8, 8, 3], 200, np.uint8), np.array([[1.0, 0, -28], [0, 1.0, -52]]))
    np.testing.assert_array_equal(scalp(face, skin, mask, below).albedo, found.albedo)


def test_faint_brows_do_not_give_hair_in_the_colour_of_skin(case):
    scalp, face, skin = case
    faint = skin.copy()
    faint[scalp._morphable.face_model.regions["brow"] > 0.5] = 0.95 * SKIN
    found = scalp(face, faint, np.zeros([SIZE, SIZE]), None)
    hair = np.median(found.albedo[found.share > 0], axis=0)
    assert hair.mean() == pytest.approx(LIGHTEST * SKIN.mean(), rel=0.02)
    assert distance(hair[None], SKIN).max() < 0.01


def forehead(scalp: Scalp, face, low: float, high: float) -> np.ndarray:
    """Bool [N], vertices in the middle of the forehead between two heights above the natural hairline, millimetres."""
    places = CanonicalFace(scalp._morphable.face_model).points
    height = above_hairline(places)
    return (np.abs(places[:, 0]) < 30) & (places[:, 2] > 0) & (height > low) & (height < high)


def below(row: int) -> np.ndarray:
    """The crop's mask of the skin, below a row."""
    return np.where(np.arange(SIZE)[:, None] > row, 1.0, 0.0) * np.ones(SIZE)


def test_fringes_and_caps_cover_the_forehead_and_only_where_the_mask_ends(case):
    scalp, face, skin = case
    rows = scalp._wide.project(face.vertices)[0, :, 1].numpy() - (scalp._wide.image_size[0] - SIZE) / 2
    covered = forehead(scalp, face, -30, -12)
    row = float(np.quantile(rows[covered], 0.9))
    fringe = scalp(face, skin, below(row), photo(row))
    assert fringe.share[covered & (rows < row - 2)].min() > 0.7
    assert scalp(face, skin, below(0), photo(row)).share[covered].max() < 0.3, "the mask calls it skin"
    assert fringe.share[(rows > row + 8) & (face.shape[0, :, 2].numpy() > 0)].max() < 0.05
    margin, middle = (len(fringe.readable) - SIZE) // 2, len(fringe.readable) // 2
    assert fringe.readable[margin : margin + SIZE, middle].all(), "no gap between hair and skin"


def test_a_receding_hairline_recedes(case):
    scalp, face, skin = case
    places = forehead(scalp, face, 4, 14)
    rows = scalp._wide.project(face.vertices)[0, :, 1].numpy() - (scalp._wide.image_size[0] - SIZE) / 2
    receding = scalp(face, skin, below(SIZE // 2), photo(float(rows[places].min()) - 1))
    assert scalp._hairline.usual[places].mean() > 0.9
    assert receding.share[places].mean() < 0.4


def test_what_is_known_to_be_behind_the_head_is_no_colour_of_hair(case):
    scalp, face, skin = case
    seen = photo(hairline=14)
    seen.pixels[:, PHOTO // 2 :] = np.uint8(WALL * 255)
    side = scalp._wide.image_size[0]
    wall = np.where(np.arange(side) < side // 2, 2.0, -2.0) * np.ones([side, 1])
    without, with_wall = (scalp(face, skin, np.zeros([SIZE, SIZE]), seen, known) for known in (None, wall))
    inside = scalp._hairline.usual > 0.99
    assert distance(without.albedo[inside], HAIR).max() > 0.3
    assert distance(with_wall.albedo[inside], HAIR).max() < 0.1


def test_a_cap_goes_on_behind_in_its_own_colour_and_not_in_that_of_the_shadow_below(case):
    scalp, face, skin = case
    even, shaded, margin = photo(hairline=14), photo(hairline=14), (PHOTO - SIZE) // 2
    shaded.pixels[margin + 8 : margin + 14] = 10
    expected, found = (scalp(face, skin, np.zeros([SIZE, SIZE]), seen) for seen in (even, shaded))
    places, inside = face.shape[0].numpy(), found.share > 0.99
    behind = inside & (places[:, 2] < np.quantile(places[inside, 2], 0.3))
    np.testing.assert_allclose(found.albedo[behind], expected.albedo[behind], atol=0.03)


@pytest.mark.parametrize("plain", [False, True], ids=["one wall", "pasted on a plain ground"])
def test_a_head_drawn_larger_than_in_the_photo_is_not_painted_with_the_wall(case, plain):
    scalp, face, skin = case
    wide, morphable = scalp._wide, scalp._morphable
    side, margin = wide.image_size[0], (wide.image_size[0] - SIZE) // 2
    drawn = triangle_ids(wide.clip_coordinates(face.vertices), morphable.triangles, wide.image_size)[0].numpy() >= 0
    depth, apart = (cv2.distanceTransform(np.uint8(part), cv2.DIST_L2, cv2.DIST_MASK_5) for part in (drawn, ~drawn))
    pixels = np.tile(WALL, (side, side, 1))
    pixels[apart > 16 if plain else apart > side] = 0.3
    pixels[depth > 2] = HAIR
    mask = below(16)
    pixels[margin + 16 : margin + SIZE][depth[margin + 16 : margin + SIZE] > 2] = SKIN
    seen = PhotoRegion(np.uint8(pixels * 255), np.array([[1.0, 0, margin], [0, 1.0, margin]]))
    volume = HairShape(morphable, scalp._count)(face, WideView.of(morphable, scalp._camera, face, mask, seen))
    found = scalp(face, skin, mask * 0, seen, volume.wall)
    hairy = found.share > 0.99
    assert distance(found.albedo[hairy], HAIR).max() < distance(np.array([HAIR + 0.2 * (WALL - HAIR)]), HAIR)[0]
    upper = np.arange(side)[:, None] < margin + 14
    assert not found.readable[upper & (depth < 1.5)].any(), "textures are read where the mask is 1"
    assert found.readable[:margin][depth[:margin] > 5].all()


def test_strands_are_not_mirrored_near_the_end_of_hair_of_either_side(case):
    scalp, face, _ = case
    mirror = scalp._morphable.face_model.mirror_index
    places = face.shape[0].numpy()
    share = np.where(places[:, 0] > 0, scalp._hairline.usual, 0)
    alike = scalp._hairline.alike(share)
    assert alike[share > 0.5].max() == 0
    assert alike[mirror][share > 0.5].max() == 0
    assert alike[scalp._morphable.face_model.landmarks[27:]].min() == 1
    usual = scalp._hairline.usual
    alike = scalp._hairline.alike(usual)
    assert alike[places[:, 1] > np.quantile(places[usual > 0.5, 1], 0.9)].min() > 0.5, (
        "the crown has hair on both sides"
    )
    assert alike[(usual > 0.3) & (usual < 0.7)].max() == 0


def test_an_ear_where_the_head_has_hair_is_not_read(case):
    """The ear of a photo lies a little behind that of the head."""
    scalp, _, skin = case
    morphable, wide = scalp._morphable, scalp._wide
    model, side = morphable.face_model, wide.image_size[0]
    turned = dataclasses.replace(
        morphable.layout.split(tf.zeros([1, model.layout.size])), angles=tf.constant([[0, 0.8, 0.0]])
    )
    face = morphable.posed(morphable.layout.join(turned), scalp._camera)
    ids = triangle_ids(wide.clip_coordinates(face.vertices), morphable.triangles, wide.image_size)[0].numpy()
    hairy = (scalp._hairline.usual[model.triangles].mean(axis=1) > 0.5)[ids] & (ids >= 0)
    behind = scalp._hairline.behind[model.triangles].all(axis=1)[ids] & (ids >= 0)
    pixels = np.where(hairy[..., None], HAIR, np.where((ids >= 0)[..., None], SKIN, WALL))
    margin, mask = (side - SIZE) // 2, (~hairy & (ids >= 0)).astype(np.float32)
    inner = slice(margin, margin + SIZE)

    def read(picture: np.ndarray) -> PaintedScalp:
        seen = PhotoRegion(np.uint8(picture * 255), np.array([[1.0, 0, margin], [0, 1.0, margin]]))
        return scalp(face, skin, mask[inner, inner], seen)

    rows, columns = np.nonzero(cv2.erode(behind.astype(np.uint8), np.ones((7, 7), np.uint8)))
    ear = np.hypot(*(np.indices(ids.shape) - np.array([rows[0], columns[0]])[:, None, None])) < 3
    with_ear = np.where(ear[..., None], SKIN, pixels)
    without, found = read(pixels), read(with_ear)
    assert without.readable[ear].all()
    assert not found.readable[ear].any()
    near = (found.share > 0.9) & scalp._hairline.behind
    assert distance(found.albedo[near], HAIR).max() < 0.05
    np.testing.assert_array_equal(found.share, without.share)
