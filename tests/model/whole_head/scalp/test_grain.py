"""Grain of hair and skin where no photo shows them."""

import numpy as np
import pytest

from lib.mesh_export.uv_chart import rasterize_chart
from lib.synthetic.appearance.canonical import CanonicalFace
from model.whole_head.scalp.grain import COMBED, HAIR, SKIN, TUFTED, Grain, _strands, contrast, directedness

SIZE = 512


@pytest.fixture(scope="module")
def case(extended):
    """The head, its texels, its grain, and the texels of its scalp."""
    raster = rasterize_chart(extended.chart, SIZE)
    scalp = raster.interpolate(extended.model.regions["scalp"][:, None])[..., 0]
    return extended.model, raster, Grain(extended.model, raster), scalp


def grainy(spread: float) -> np.ndarray:
    """A photo [SIZE, SIZE, 3] with noise from pixel to pixel."""
    noise = np.random.default_rng(0).normal(0, spread, (SIZE, SIZE, 1))
    return np.repeat(0.4 * np.exp(noise), 3, axis=-1).astype(np.float32)


def test_strands_run_down_from_the_crown():
    down = np.stack([np.full(200, 75.0), np.linspace(60, 0, 200), np.full(200, -90.0)], axis=1)
    across = np.stack([np.full(200, 75.0), np.full(200, 30.0), np.linspace(-120, -60, 200)], axis=1)
    assert np.abs(np.diff(_strands(across))).mean() > 4 * np.abs(np.diff(_strands(down))).mean()


def test_they_close_behind_the_head():
    """The angle around the crown jumps there."""
    left, right = (np.array([[x, y, -190.0] for y in range(-20, 100, 5)]) for x in (-1e-3, 1e-3))
    np.testing.assert_allclose(_strands(left), _strands(right), atol=0.02)


@pytest.mark.parametrize("spread", [0.02, 0.15])
def test_they_are_as_distinct_as_those_in_the_photo(case, spread):
    model, _, grain, scalp = case
    field = grain(grainy(spread), np.ones((SIZE, SIZE), np.float32), model.regions["scalp"])
    assert contrast(field, scalp > 0.9) == pytest.approx(spread, rel=0.15)


def test_detail_without_direction_is_continued_as_cropped_hair(case):
    model, raster, grain, scalp = case
    everywhere, inside = np.ones((SIZE, SIZE), np.float32), scalp > 0.9
    combed = np.repeat(0.4 * np.exp(0.2 * grain._hair)[..., None], 3, axis=-1).astype(np.float32)
    assert directedness(np.log(grainy(0.2)[..., 0]), raster.inside) < TUFTED < COMBED
    for seen, least, most in ((grainy(0.2), 0, TUFTED), (combed, COMBED, 1)):
        field = grain(seen, everywhere, model.regions["scalp"])
        assert least < directedness(field, inside) < most


def test_faint_detail_tells_nothing_of_its_direction(case):
    model, _, grain, scalp = case
    field = grain(grainy(0.05), np.ones((SIZE, SIZE), np.float32), model.regions["scalp"])
    assert directedness(field, scalp > 0.9) > COMBED


def test_without_hair_in_the_photo_they_are_as_usual_and_only_on_the_hair(case):
    model, _, grain, scalp = case
    field = grain(grainy(0.02), np.zeros((SIZE, SIZE), np.float32), model.regions["scalp"])
    assert contrast(field, scalp > 0.9) == pytest.approx(HAIR.usual, rel=0.15)
    bald = grain(grainy(0.02), np.zeros((SIZE, SIZE), np.float32))
    assert contrast(bald, scalp > 0.9) == pytest.approx(SKIN.usual, rel=0.15)
    np.testing.assert_array_equal(field[scalp == 0], bald[scalp == 0])


@pytest.mark.parametrize("spread", [0.005, 0.03, 0.5])
def test_skin_is_as_blotchy_as_in_the_photo_within_limits(case, spread):
    model, raster, grain, scalp = case
    skin = (scalp == 0) & (raster.interpolate(np.float32(model.skin_mask)[:, None])[..., 0] == 1)
    field = grain(grainy(spread), np.ones((SIZE, SIZE), np.float32))
    assert contrast(field, skin) == pytest.approx(min(SKIN.own * spread, SKIN.largest), rel=0.2)
    assert not field[raster.interpolate(np.float32(model.skin_mask)[:, None])[..., 0] == 0].any(), "eyes and teeth"


def test_a_fringe_has_strands_and_bare_skin_has_none(case):
    model, raster, grain, _ = case
    fringe = np.zeros(model.vertex_count, np.float32)
    forehead = np.abs(CanonicalFace(model).points - (0, 80, 0)).max(axis=1) < 15
    fringe[forehead] = 1
    field = grain(grainy(0.1), np.zeros((SIZE, SIZE), np.float32), fringe)
    inside = raster.interpolate(fringe[:, None])[..., 0] > 0
    bald = grain(grainy(0.1), np.zeros((SIZE, SIZE), np.float32))
    assert field[inside].std() > 3 * bald[inside].std()
    np.testing.assert_array_equal(field[~inside], bald[~inside])
