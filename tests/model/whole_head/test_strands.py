"""Strands of hair where no photo shows it."""

import numpy as np
import pytest

from lib.mesh_export.uv_chart import rasterize_chart
from lib.synthetic.appearance.canonical import CanonicalFace
from model.whole_head.strands import USUAL, Strands, _brightness, _contrast

SIZE = 512


@pytest.fixture(scope="module")
def case(extended):
    """The head, its texels, its strands, and the texels of its scalp."""
    raster = rasterize_chart(extended.chart, SIZE)
    scalp = raster.interpolate(extended.model.regions["scalp"][:, None])[..., 0]
    return extended.model, raster, Strands(extended.model, raster), scalp


def grainy(contrast: float) -> np.ndarray:
    """A photo [SIZE, SIZE, 3] with noise from pixel to pixel."""
    noise = np.random.default_rng(0).normal(0, contrast, (SIZE, SIZE, 1))
    return np.repeat(0.4 * np.exp(noise), 3, axis=-1).astype(np.float32)


def test_strands_run_down_from_the_crown():
    down = np.stack([np.full(200, 75.0), np.linspace(60, 0, 200), np.full(200, -90.0)], axis=1)
    across = np.stack([np.full(200, 75.0), np.full(200, 30.0), np.linspace(-120, -60, 200)], axis=1)
    assert np.abs(np.diff(_brightness(across))).mean() > 4 * np.abs(np.diff(_brightness(down))).mean()


def test_they_close_behind_the_head():
    """The angle around the crown jumps there."""
    left, right = (np.array([[x, y, -190.0] for y in range(-20, 100, 5)]) for x in (-1e-3, 1e-3))
    np.testing.assert_allclose(_brightness(left), _brightness(right), atol=0.02)


@pytest.mark.parametrize("contrast", [0.02, 0.15])
def test_they_are_as_distinct_as_those_in_the_photo(case, contrast):
    model, _, strands, scalp = case
    field = strands(grainy(contrast), np.ones((SIZE, SIZE), np.float32), model.regions["scalp"])
    assert _contrast(field, scalp > 0.9) == pytest.approx(contrast, rel=0.15)


def test_without_hair_in_the_photo_they_are_as_usual_and_only_on_the_hair(case):
    model, _, strands, scalp = case
    field = strands(grainy(0.02), np.zeros((SIZE, SIZE), np.float32), model.regions["scalp"])
    assert _contrast(field, scalp > 0.9) == pytest.approx(USUAL, rel=0.15)
    assert (field[scalp == 0] == 0).all()


def test_a_fringe_has_strands_and_what_is_bare_has_none(case):
    model, raster, strands, _ = case
    fringe = np.zeros(model.vertex_count, np.float32)
    forehead = np.abs(CanonicalFace(model).points - (0, 80, 0)).max(axis=1) < 15
    fringe[forehead] = 1
    field = strands(grainy(0.1), np.zeros((SIZE, SIZE), np.float32), fringe)
    inside = raster.interpolate(fringe[:, None])[..., 0] > 0
    assert field[inside].std() > 0.02
    assert not field[~inside].any()
