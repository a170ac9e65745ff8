"""Long hair: found where a photo shows it on both sides, as wide and as long as there, and nowhere else."""

import dataclasses

import cv2
import numpy as np
import pytest
import tensorflow as tf

from lib.face_image.region import PhotoRegion
from lib.geometry.camera import Camera
from lib.geometry.rotation import rotation_matrix
from lib.mesh_renderer.fragments import triangle_ids
from lib.synthetic.appearance.canonical import CanonicalFace
from model.morphable_model import MorphableModel
from model.whole_head.hair.curtain import CurtainShape
from model.whole_head.hair.hair_shape import HairShape
from model.whole_head.hair.hanging_hair import HairOdds, Look
from model.whole_head.scalp.scalp import Scalp
from model.whole_head.scalp_mesh import widened
from model.whole_head.wide_view import WideView

SIZE = 96
CAMERA, WIDE = Camera((SIZE, SIZE)), widened(Camera((SIZE, SIZE)))
MARGIN = (WIDE.image_size[0] - SIZE) // 2
HAIR, SKIN, WALL = [45, 30, 20], [205, 150, 125], [90, 120, 200]
SHORT, OVER_EARS, BOB, DOWN = 60.0, -10.0, -85.0, -200.0  # canonical heights [mm] at which hair ends
WIDTH = 102.0  # distance [mm] of its outline from the middle


class Heads:
    """A head in the middle of pictures with hair of several lengths, turned by an angle (radians)."""

    def __init__(self, model, count: int, yaw: float = 0.0):
        self.model, self.morphable, self.count = model, MorphableModel(model), count
        self.shape = HairShape(self.morphable, count)
        self.places = CanonicalFace(model).points
        angles = np.float32([[0.0, yaw, 0.0]])
        coefficients = np.zeros([1, model.layout.size], np.float32)
        coefficients[:, model.layout.slices["angles"]] = angles
        self.face = self.morphable.posed(tf.constant(coefficients), CAMERA)
        x, y = WIDE.project(self.face.vertices)[0].numpy().T
        # The picture's pixels in canonical millimetres, in the plane of the ears, or of whatever is beside the head.
        turned = (self.places + [0, 0, 85]) @ rotation_matrix(tf.constant(angles))[0].numpy()
        beside = np.abs(turned[:, 2]) < 25
        row, column = np.indices(WIDE.image_size) + 0.5
        self.height = np.polyval(np.polyfit(y[beside], turned[beside, 1], 1), row)
        self.across = np.polyval(np.polyfit(x[beside], turned[beside, 0], 1), column)

    def photo(
        self,
        end: float,
        colour: list = HAIR,
        sides: tuple = (-1, 1),
        wall: list = WALL,
        ears: bool = False,
        width: float = WIDTH,
    ):
        """A photo with hair down to a height, and the pixels [SIZE, SIZE] of the crop that show the face's skin."""
        clip = WIDE.clip_coordinates(self.face.vertices)
        ids = triangle_ids(clip, self.morphable.triangles, WIDE.image_size)[0].numpy()
        head = ids >= 0
        scalp = (self.model.regions["scalp"][self.model.triangles].mean(axis=1) > 0.5)[ids] & head
        face = (self.model.triangles < self.count).all(axis=1)[ids] & head
        hanging = (np.abs(self.across) < width) & (self.height < 75) & (self.height > end)
        hanging &= np.isin(np.sign(self.across), sides) & (~head | ~face & (np.abs(self.across) > 40))
        hanging &= ~(head & ears & (self.height > -32))
        hair = scalp | hanging | ~head & (cv2.dilate(np.uint8(scalp), np.ones([7, 7])) > 0)
        skin = cv2.erode(np.uint8(head & face & ~hair), np.ones([3, 3]))
        pixels = np.where(hair[..., None], colour, np.where(head[..., None], SKIN, wall))
        pixels = pixels + np.random.default_rng(0).integers(-5, 6, pixels.shape)
        region = PhotoRegion(np.uint8(pixels.clip(0, 255)), np.array([[1.0, 0, MARGIN], [0, 1.0, MARGIN]]))
        return region, skin[MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE].astype(float)

    def volume(self, *args, outlined: bool = False, **more):
        """The volume of the hair in a photo; with the person's outline if that is known."""
        region, readable = self.photo(*args, **more)
        view = WideView.of(self.morphable, CAMERA, self.face, readable, region)
        if outlined:
            wall = np.abs(view.image * 255 - WALL).max(axis=2) < 6
            view = dataclasses.replace(view, person=np.where(wall, -2, 2).astype(np.float32))
        return self.shape(self.face, view)


@pytest.fixture(scope="module")
def heads(extended, count):
    return Heads(extended.model, count)


@pytest.fixture(scope="module")
def long(heads):
    return heads.volume(DOWN)


def test_long_hair_is_as_wide_as_in_the_photo(heads, long):
    assert long.curtain is not None
    moved = heads.places + long.lift * CanonicalFace(heads.model).placement.scale
    for height in (-50, -80, -110):
        row = (np.abs(moved[:, 1] - height) < 8) & (long.curtain.share > 0.9)
        assert np.abs(moved[row, 0]).max() == pytest.approx(WIDTH, abs=8)
        assert moved[row, 2].min() < heads.places[np.abs(heads.places[:, 1] - height) < 8, 2].min() - 10, "the nape"


def test_the_face_stays_and_the_front_of_the_neck(heads, long):
    front = (np.abs(heads.places[:, 0]) < 30) & (heads.places[:, 2] > -90)
    for part in (np.arange(len(heads.places)) < heads.count, front):
        assert not long.curtain.lift[part].any()
    assert not long.curtain.share[front].any()


def test_hair_ends_where_it_does_in_the_photo(heads):
    found = heads.volume(BOB).curtain
    lowest = heads.places[found.share > 0.5, 1].min()
    assert lowest == pytest.approx(BOB, abs=14)
    below = heads.places[:, 1] < BOB - 14
    assert below.any()
    assert not found.lift[below].any()


def test_ears_under_hair_are_flat(heads, long):
    x, y, z = heads.places.T
    ear = (x > 70) & (z > -110) & (z < -60) & (np.abs(y) < 40)
    lifted = heads.places + long.curtain.lift * CanonicalFace(heads.model).placement.scale
    before = np.hypot(x[ear], z[ear] + 95)
    for hidden in (lifted, heads.shape._curtain.usual()):
        azimuth = np.arctan2(hidden[ear, 0], hidden[ear, 2] + 95)
        around = np.polyfit(azimuth, np.hypot(hidden[ear, 0], hidden[ear, 2] + 95), 3)
        apart = np.hypot(hidden[ear, 0], hidden[ear, 2] + 95) - np.polyval(around, azimuth)
        assert apart.std() < 0.5 * before.std()


def test_usual_long_hair_hangs_as_wide_as_the_skull(heads):
    x, y, z = heads.shape._curtain.usual().T
    upper, lower = (np.abs(x[(np.abs(y - height) < 10) & (np.abs(z + 95) < 25)]).max() for height in (60, -90))
    assert lower == pytest.approx(upper, abs=12)


def test_hair_may_end_over_the_ears(heads):
    found = heads.volume(OVER_EARS).curtain
    assert found.share[heads.places[:, 1] < -40].max() < 0.5
    assert found.lift[(np.abs(heads.places[:, 0]) > 75) & (np.abs(heads.places[:, 1] - 15) < 15)].any()


def test_ears_that_the_photo_shows_stay_before_long_hair(heads):
    found = heads.volume(DOWN, ears=True).curtain
    x, y, z = heads.places.T
    assert not found.lift[(np.abs(x) > 70) & (z > -85) & (np.abs(y) < 40)].any()
    assert found.lift[(z < -140) & (y < -50)].any()


@pytest.mark.parametrize(
    "more",
    [
        {"end": SHORT},
        {"end": OVER_EARS, "ears": True},
        {"end": DOWN, "sides": (1,)},
        {"end": DOWN, "colour": SKIN},
        {"end": DOWN, "wall": HAIR},
    ],
    ids=[
        "short",
        "beside ears that are seen",
        "on one side only",
        "in the colour of the skin",
        "before a wall like it",
    ],
)
def test_other_photos_have_no_long_hair(heads, more):
    assert heads.volume(**more).curtain is None


def test_hair_in_the_colour_of_the_skin_is_found_by_the_persons_outline(heads, long):
    found = heads.volume(DOWN, outlined=True, colour=SKIN).curtain
    assert found is not None
    beside = (np.abs(heads.places[:, 1] + 30) < 20) & (long.curtain.share > 0.99)
    assert beside.any()
    assert found.share[beside].min() > 0.9


@pytest.mark.parametrize(
    "more",
    [{"end": SHORT}, {"end": DOWN, "sides": (1,)}, {"end": -60.0, "colour": SKIN, "width": 94.0}],
    ids=["short", "on one side only", "ears and cheeks larger than the head's"],
)
def test_the_persons_outline_alone_is_no_long_hair(heads, more):
    assert heads.volume(outlined=True, **more).curtain is None


def test_hair_that_the_network_leaves_out_of_the_person_is_found_by_its_colours(heads):
    region, readable = heads.photo(DOWN)
    view = WideView.of(heads.morphable, CAMERA, heads.face, readable, region)
    view = dataclasses.replace(view, person=np.where(view.head, 2, -2).astype(np.float32))
    assert heads.shape(heads.face, view).curtain is not None


@pytest.fixture(scope="module")
def turned(extended, count):
    return Heads(extended.model, count, yaw=0.6)


@pytest.mark.parametrize(
    "more", [{"end": BOB}, {"end": DOWN}, {"end": DOWN, "ears": True}], ids=["over the ear", "longer", "behind the ear"]
)
def test_one_side_of_a_turned_head_shows_long_hair(turned, more):
    assert turned.volume(**more).curtain is not None


@pytest.mark.parametrize(
    "more",
    [{"end": BOB, "ears": True}, {"end": DOWN, "colour": SKIN, "outlined": True, "width": 125.0}],
    ids=["a nape, or hair that is tied, behind the ear", "by the outline, which neck and collar share"],
)
def test_one_side_of_a_turned_head_is_no_proof_of_long_hair(turned, more):
    assert turned.volume(**more).curtain is None


def outlined(heads, region, readable, where: np.ndarray) -> WideView:
    """A photo with green cloth outside the head, and the person's outline."""
    view = WideView.of(heads.morphable, CAMERA, heads.face, readable, region)
    image = np.where((where & ~view.head)[..., None], np.float32([0.2, 0.5, 0.3]), view.image)
    wall = np.abs(image * 255 - WALL).max(axis=2) < 6
    return dataclasses.replace(view, image=image, person=np.where(wall, -2, 2).astype(np.float32))


def test_raised_shoulders_are_no_hair(heads):
    where = (heads.height < OVER_EARS) & (np.abs(heads.across) < 140) & (np.abs(heads.across) > WIDTH)
    view = outlined(heads, *heads.photo(OVER_EARS), where | (heads.height < -90))
    curtain = heads.shape._curtain
    look = Look(view, view.person, by_outline=True)
    odds = HairOdds.of(look, curtain._scalp, curtain._plain, heads.height)
    assert np.median(odds.any[where & (heads.height > -55)]) < -1
    hair = (heads.height > OVER_EARS + 5) & (heads.height < 40) & (np.abs(heads.across) < WIDTH - 5) & ~view.head
    assert np.median(odds.any[hair]) > 1


@pytest.mark.parametrize("sides", [(-1, 1), (1,)], ids=["both sides", "one side"])
def test_hair_wider_than_it_is_looked_for_takes_its_width_from_the_other_side(heads, sides):
    wide = np.isin(np.sign(heads.across), sides) & (heads.height < 40) & (heads.height > -80)
    view = outlined(heads, *heads.photo(BOB), wide)
    view = dataclasses.replace(view, image=np.where(wide[..., None], np.float32(HAIR) / 255, view.image))
    found = heads.shape(heads.face, view).curtain
    if sides == (1,):
        moved = heads.places + found.lift * CanonicalFace(heads.model).placement.scale
        row = (np.abs(moved[:, 1] + 50) < 20) & (found.share > 0.9)
        assert np.abs(moved[row, 0]).max() == pytest.approx(WIDTH, abs=12)
    else:
        assert found is None


def test_a_gap_beside_the_ear_does_not_show_the_width_of_wide_hair(heads):
    view = outlined(heads, *heads.photo(DOWN), np.zeros_like(heads.height, bool))
    row, beside, below = np.abs(heads.height + 11) < 3, np.abs(heads.across) > 50, heads.height < -14
    gap, hair = row & ~view.head, (row & view.head & beside) | (below & ~view.head)
    image = np.where(gap[..., None], np.float32(WALL) / 255, view.image)
    image = np.where(hair[..., None], np.float32(HAIR) / 255, image)
    person = np.where(gap, -2, np.where(hair, 2, view.person)).astype(np.float32)
    view = dataclasses.replace(view, image=image, person=person, inside=view.inside & (heads.height > -85))
    moved = heads.places + heads.shape(heads.face, view).lift * CanonicalFace(heads.model).placement.scale
    row = np.abs(moved[:, 1] + 60) < 20
    assert np.abs(moved[row, 0]).max() == pytest.approx(WIDTH, abs=8)


def test_a_head_cut_off_by_the_photo_has_no_long_hair(heads):
    region, readable = heads.photo(DOWN)
    half = region.pixels.shape[1] // 2
    cut = PhotoRegion(region.pixels[:, half - 20 :], region.crop_to_region - [[0, 0, half - 20], [0, 0, 0]])
    view = WideView.of(heads.morphable, CAMERA, heads.face, readable, cut)
    assert heads.shape(heads.face, view).curtain is None


def test_the_curtain_is_painted_as_hair_and_bare_skin_is_not(heads, long):
    region, readable = heads.photo(DOWN)
    skin = np.tile(np.float32(SKIN) / 255, (heads.model.vertex_count, 1))
    scalp = Scalp(heads.morphable, CAMERA, heads.count)
    painted = scalp(heads.face, skin, readable, region, long.wall, long.curtain)
    hanging = long.curtain.share > 0.99
    hues = painted.albedo[hanging] / painted.albedo[hanging].sum(axis=1, keepdims=True)
    assert painted.share[hanging].min() > 0.9
    assert np.abs(hues - np.array(HAIR) / np.sum(HAIR)).max() < 0.1
    without = scalp(heads.face, skin, readable, region, long.wall)
    assert not without.share[hanging & (heads.places[:, 1] < -100)].any()


def test_hair_that_the_photo_cuts_off_goes_down_to_the_base(heads, long):
    region, readable = heads.photo(DOWN)
    rows = np.searchsorted(-heads.height[:, 0], 70)
    cut = PhotoRegion(region.pixels[:rows], region.crop_to_region)
    found = heads.shape(heads.face, WideView.of(heads.morphable, CAMERA, heads.face, readable, cut)).curtain
    lowest = np.argmin(np.where(long.curtain.share > 0.99, heads.places[:, 1], np.inf))
    assert found.share[lowest] > 0.99


def test_a_coarse_head_has_no_groove_where_it_has_no_vertices(extended, count):
    """This head has none at the middle of the back, in a sector of six degrees."""
    shape = CurtainShape(extended.model, count)
    behind = shape._skull(shape._places)(np.radians(np.arange(165, 196)))
    assert np.ptp(behind) < 0.05 * behind.mean()
