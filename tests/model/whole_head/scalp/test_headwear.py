"""Headwear: told from hair by its colour and smoothness, in its own colour and light down to a border all around."""

import numpy as np
import pytest
import tensorflow as tf

from lib.face_image.region import PhotoRegion
from lib.geometry.camera import Camera
from lib.mesh_export.uv_chart import rasterize_chart
from lib.mesh_renderer.fragments import triangle_ids
from lib.synthetic.appearance.canonical import CanonicalFace
from model.morphable_model import MorphableModel
from model.whole_head.scalp.grain import Grain
from model.whole_head.scalp.headwear import SECTORS, SPREAD, Headwear
from model.whole_head.scalp.scalp import Scalp

SIZE = 96
SKIN, BROW, WALL = [0.7, 0.5, 0.4], [0.2, 0.12, 0.08], [0.5, 0.5, 0.5]
BLUE, RED, WHITE, BROWN, GINGER, GREY = (
    np.array(colour)
    for colour in (
        [0.45, 0.6, 0.95],
        [0.6, 0.05, 0.08],
        [0.9, 0.9, 0.9],
        [0.3, 0.18, 0.1],
        [0.8, 0.45, 0.15],
        [0.5, 0.5, 0.5],
    )
)
USUAL, LOW = 92.0, 66.0  # heights [mm] down to which the head is covered in front


class Heads:
    """A head in even light, in the middle of pictures that show it covered down to some height."""

    def __init__(self, model, count: int):
        self.morphable, camera = MorphableModel(model), Camera((SIZE, SIZE))
        self.scalp = Scalp(self.morphable, camera, count)
        self.face = self.morphable.posed(tf.zeros([1, model.layout.size]), camera)
        self.places = CanonicalFace(model).points
        self.skin = np.tile(SKIN, (model.vertex_count, 1)).astype(np.float32)
        self.skin[model.regions["brow"] > 0.5] = BROW
        wide = self.scalp._wide
        self.margin = (wide.image_size[0] - SIZE) // 2
        ids = triangle_ids(wide.clip_coordinates(self.face.vertices), self.morphable.triangles, wide.image_size)
        self.head = ids[0].numpy() >= 0
        self.height = self.places[model.triangles].mean(axis=1)[ids[0].numpy(), 1]

    def __call__(self, colour: np.ndarray, strands: float = 0.0, border: float = USUAL, logo: bool = False):
        """The painted scalp for a photo.

        Args:
          colour: [3] of what covers the head.
          strands: standard deviation of the log of its brightness, column by column.
          border: height down to which it does.
          logo: whether there is a stripe in another colour.
        """
        covered = self.head & (self.height > border)
        noise = np.exp(np.random.default_rng(0).normal(0, strands, [1, len(self.head), 1]))
        pixels = np.where(covered[..., None], colour * noise, np.where(self.head[..., None], SKIN, WALL))
        if logo:
            pixels[covered & (self.height < 106) & (self.height > 96)] = 0.9
        to_photo = np.array([[1.0, 0, self.margin], [0, 1.0, self.margin]])
        region = PhotoRegion(np.uint8(pixels.clip(0, 1) * 255), to_photo)
        skin = (self.head & ~covered)[self.margin : self.margin + SIZE, self.margin : self.margin + SIZE]
        return self.scalp(self.face, self.skin, skin.astype(float), region)

    def around(self, low: float, high: float, front: bool | None = None) -> np.ndarray:
        """Bool [N], vertices of the scalp between heights; in front of the middle of the head, behind it, or both."""
        y, z = self.places[:, 1], self.places[:, 2]
        part = (y > low) & (y < high) & self.scalp._hairline.reach
        return part if front is None else part & ((z > -20) if front else (z < -120))


@pytest.fixture(scope="module")
def heads(extended, count):
    return Heads(extended.model, count)


@pytest.fixture(scope="module")
def blue(heads):
    return heads(BLUE)


def test_cloth_goes_on_all_around_in_one_colour_and_ends_above_the_nape(heads, blue):
    above, nape = heads.around(100, 200), heads.around(-60, -12, front=False)
    assert blue.cloth[above].min() > 0.99
    assert blue.cloth[nape].max() < 0.01
    lit = (blue.albedo * blue.light)[above]
    np.testing.assert_allclose(lit / lit.sum(axis=1, keepdims=True), [BLUE / BLUE.sum()] * len(lit), atol=0.01)


def test_below_it_there_is_hair_like_the_brows(heads, blue):
    nape = heads.around(-45, -12, front=False)
    assert blue.strands[nape].min() > 0.3
    assert blue.albedo[nape].max() < 0.2
    np.testing.assert_allclose(blue.share, blue.cloth + blue.strands, atol=1e-6)


@pytest.mark.parametrize("colour", [RED, WHITE], ids=["red", "white"])
def test_smooth_colours_that_hair_does_not_have_are_cloth(heads, colour):
    assert heads(colour).cloth.any()


@pytest.mark.parametrize(
    ("colour", "strands"),
    [(BROWN, 0.0), (GINGER, 0.0), (GREY, 0.0), (BLUE, 0.12), (WHITE, 0.05)],
    ids=["brown", "ginger", "grey", "dyed", "white"],
)
def test_hair_is_no_cloth(heads, colour, strands):
    found = heads(colour, strands)
    assert not found.cloth.any()
    np.testing.assert_allclose(found.light, heads.face.shading[0].numpy(), atol=1e-6)
    np.testing.assert_array_equal(found.strands, found.share)


def test_the_border_is_where_the_photo_shows_it_also_below_a_logo(heads, blue):
    forehead = heads.around(LOW + 8, USUAL - 6, front=True) & (np.abs(heads.places[:, 0]) < 35)
    assert forehead.sum() > 5
    assert np.median(blue.cloth[forehead]) < 0.1
    for low in (heads(BLUE, border=LOW), heads(BLUE, border=LOW, logo=True)):
        assert np.median(low.cloth[forehead]) > 0.9
        behind = heads.around(-60, 200, front=False)
        np.testing.assert_allclose(low.cloth[behind], blue.cloth[behind], atol=1e-3)


def test_the_other_side_has_no_mirrored_logo(blue):
    assert blue.alike[blue.cloth > 0.99].max() < 0.01


def test_light_on_cloth_has_one_hue_and_is_as_uneven_as_the_cloth(heads):
    level = np.linspace(0.8, 1.25, 50)
    light = level[:, None] * np.stack([1 + 0.2 * level, np.ones(50), 1 - 0.2 * level], axis=1)
    whole = Headwear(np.ones(50), np.ones(50))
    seen = np.where(np.arange(50) < 40, 1.0, 0.0)
    for power in (1.0, 0.7):
        brightness = light.mean(axis=1) ** power
        found = whole.light(light, 0.5 * np.repeat(brightness[:, None], 3, axis=1), seen)
        np.testing.assert_allclose(found / found.mean(axis=1, keepdims=True), [found[0] / found[0].mean()] * 50)
        middle = slice(15, 25)  # where the limit of the range hardly counts
        slope = np.polyfit(np.log(brightness[middle]), np.log(found[middle].mean(axis=1)), 1)[0]
        assert slope == pytest.approx(1, abs=0.05)
    log = np.log(light.mean(axis=1))
    dark = whole.light(light * np.where(seen, 1, 0.1)[:, None], light, seen).mean(axis=1)
    assert np.log(dark.min()) > log[:40].mean() - SPREAD * log[:40].std() - 1e-6, "not as dark as the skin suggests"
    bare = Headwear(np.arange(50) / 49, np.ones(50)).light(light, light, seen)
    np.testing.assert_array_equal(bare[0], light[0])


def test_cloth_has_no_grain(extended):
    model, size = extended.model, 256
    raster = rasterize_chart(extended.chart, size)
    scalp = model.regions["scalp"]
    photo, weight = np.full([size, size, 3], 0.5, np.float32), np.zeros([size, size], np.float32)
    found = Grain(model, raster)(photo, weight, scalp * 0, scalp)
    assert not found[raster.interpolate(scalp[:, None])[..., 0] == 1].any()


def test_coloured_skin_below_the_border_is_no_headwear(heads, monkeypatch):
    monkeypatch.setattr(heads.scalp._headwear, "_border", lambda evidence: np.full(SECTORS, 500.0))
    found = heads(BLUE)
    assert not found.cloth.any()
    assert np.isfinite(found.light).all()
