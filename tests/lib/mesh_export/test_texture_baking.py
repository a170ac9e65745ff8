"""Baking on a plane seen head on, where every texel's colour is known."""

import numpy as np
import pytest

from lib.mesh_export import texture_baking
from lib.mesh_export.normal_map import detail_normals
from lib.mesh_export.texture_baking import SurfaceView, blend, photo_weight, sample_photo
from lib.mesh_export.uv_chart import UvChart, rasterize_chart, texel_footprint

SIZE = 256
UV = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
CHART = UvChart(np.arange(4, dtype=np.int32), UV, np.array([[0, 1, 2], [0, 2, 3]], np.int32))
RASTER = rasterize_chart(CHART, SIZE)


def corners(side):
    """The plane's vertices in an image of `side` pixels that it fills."""
    return np.column_stack([UV[:, 0], 1 - UV[:, 1]]) * side


def view(zbuffer=None, mask=None, cosine=1.0, side=512):
    zbuffer = np.full((side, side), 10, np.float32) if zbuffer is None else zbuffer
    mask = np.ones((side // 4, side // 4)) if mask is None else mask
    return SurfaceView(corners(side), np.full(4, 10.0), np.full(4, 0.02), np.full(4, cosine), zbuffer, mask)


def test_a_photo_finer_than_the_texture_is_averaged_and_a_coarser_one_interpolated():
    pixels = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3)).astype(np.uint8)
    points = corners(1024)
    baked = sample_photo(RASTER, pixels, points, texel_footprint(CHART, points, SIZE))
    blocks = pixels.reshape(SIZE, 4, SIZE, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(baked[16:-16, 16:-16] * 255, blocks[16:-16, 16:-16], atol=1.5)

    ramp = np.repeat(np.linspace(0, 254, 128)[:, None, None], 128, axis=1).repeat(3, axis=-1).astype(np.uint8)
    points = corners(128)
    baked = sample_photo(RASTER, ramp, points, texel_footprint(CHART, points, SIZE))
    expected = (np.arange(SIZE) + 0.5) / 2 - 0.5  # pixel of each row of texels
    np.testing.assert_allclose(baked[16:-16, 70, 1] * 255, expected[16:-16] * 2, atol=1)


def test_the_photo_counts_where_the_surface_is_seen():
    half = np.full((512, 512), 10, np.float32)
    half[:, :256] = 9.95  # a lid's thickness before the plane
    weight = photo_weight(RASTER, view(half))
    assert (weight[16:-16, :124] == 0).all()
    assert (weight[16:-16, 140:-16] == 1).all()
    # In front of something far the same step hides a little more: outlines are never met exactly.
    half[:, :256] = 9
    farther = photo_weight(RASTER, view(half))
    assert (farther[16:-16, 128:130] == 0).all()
    assert (weight[16:-16, 129] > 0).all()
    assert (farther[16:-16, 150:-16] == 1).all()


def test_the_photo_counts_inside_the_mask_and_fades_at_its_border():
    mask = np.ones((128, 128))
    mask[:, :64] = 0
    weight = photo_weight(RASTER, view(mask=mask))[128]
    assert (weight[:127] == 0).all()
    assert (weight[140:-16] == 1).all()
    assert (np.diff(weight[120:140]) >= 0).all()
    assert 0 < weight[128] < 1


def test_grazing_views_count_less():
    weights = [photo_weight(RASTER, view(cosine=cosine))[128, 128] for cosine in (0.05, 0.15, 0.25, 0.5)]
    assert weights[0] == 0
    assert 0 < weights[1] < weights[2] < 1
    assert weights[3] == 1


def test_with_one_texture_the_albedo_is_the_photo_without_the_shading():
    generator = np.random.default_rng(0)
    photo = generator.uniform(0.3, 0.5, (SIZE, SIZE, 3)).astype(np.float32)
    albedo, shading = np.full((4, 3), 0.5), np.tile([0.9, 0.8, 0.7], (4, 1))
    baked = blend(RASTER, photo, np.ones((SIZE, SIZE), np.float32), albedo * shading, albedo, shading)
    np.testing.assert_allclose(baked.lit, photo, atol=1e-6)
    np.testing.assert_allclose(baked.albedo, photo / shading[0], atol=0.02)  # DARKEST bends it a little


def test_shadows_the_vertices_know_of_stay_out_of_the_albedo():
    photo = np.full((SIZE, SIZE, 3), 0.1, np.float32)
    photo[100:102] = 0.09  # a wrinkle in the shadow
    vertices = [np.full((4, 3), value) for value in (0.1, 0.6, 1.0)]
    baked = blend(RASTER, photo, np.ones((SIZE, SIZE), np.float32), *vertices)
    np.testing.assert_allclose(baked.albedo[50], 0.6, atol=1e-6)
    assert baked.albedo[101, 5, 0] == pytest.approx(0.55, abs=0.01)


def test_beyond_the_photo_there_is_no_seam():
    """The photo is brighter than the model: the lit texture goes over from one to the other without a step."""
    photo = np.full((SIZE, SIZE, 3), 0.8, np.float32)
    weight = np.zeros((SIZE, SIZE), np.float32)
    weight[:, 128:] = 1
    vertices = [np.full((4, 3), value) for value in (0.8, 0.5, 1.0)]
    row = blend(RASTER, photo, weight, *vertices).lit[128, :, 0]
    assert row[140] == pytest.approx(0.8, abs=1e-6)
    assert row[20] == pytest.approx(0.5, abs=0.01)
    assert np.abs(np.diff(row)).max() < 0.1 * (0.8 - 0.5) + 0.01


def test_detail_is_bounded():
    photo = np.ones((SIZE, SIZE, 3), np.float32)
    vertices = [np.full((4, 3), value) for value in (0.01, 0.3, 1.0)]
    baked = blend(RASTER, photo, np.ones((SIZE, SIZE), np.float32), *vertices)
    np.testing.assert_allclose(baked.albedo, 0.3 * texture_baking.DETAIL_RANGE[1], atol=1e-6)


def test_a_dark_spot_is_a_dent_in_opengl_s_convention():
    albedo = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    row, column = np.indices((SIZE, SIZE))
    albedo *= (1 - 0.1 * np.exp(-((row - 128.0) ** 2 + (column - 128.0) ** 2) / 8))[..., None]
    ones = np.ones((SIZE, SIZE), np.float32)
    normals = detail_normals(albedo, ones, np.full((SIZE, SIZE, 2), 0.005, np.float32))
    np.testing.assert_allclose(np.linalg.norm(normals * 2 - 1, axis=-1), 1, atol=1e-5)
    assert normals[128, 126, 0] > 0.51 > 0.49 > normals[128, 130, 0]  # walls look at the middle
    assert normals[130, 128, 1] > 0.51 > 0.49 > normals[126, 128, 1]  # rows go down, green goes up
    np.testing.assert_allclose(normals[20, 20], [0.5, 0.5, 1], atol=1e-4)
    hidden = detail_normals(albedo, 0 * ones, np.full((SIZE, SIZE, 2), 0.005, np.float32))
    np.testing.assert_allclose(hidden, np.tile([0.5, 0.5, 1], (SIZE, SIZE, 1)), atol=1e-6)
