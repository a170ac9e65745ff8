"""Baking on a plane seen head on, where every texel's colour is known."""

import dataclasses

import numpy as np
import pytest

from lib.mesh_export import texture_baking
from lib.mesh_export.texture_baking import SurfaceView, blend, inside_mask, photo_weight, sample_photo
from lib.mesh_export.texture_fill import SkinChart
from lib.mesh_export.uv_chart import UvChart, texel_footprint

SIZE = 256
UV = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
CHART = UvChart(np.arange(4, dtype=np.int32), UV, np.array([[0, 1, 2], [0, 2, 3]], np.int32))
# Its left half mirrors its right one.
SKIN = SkinChart.of(CHART, SIZE, np.ones(4, bool), np.array([1, 0, 3, 2]))
RASTER = SKIN.raster


def grid(side):
    """The plane as a mesh of `side` x `side` vertices."""
    row, column = np.divmod(np.arange(side * side), side)
    uv = np.column_stack([column, row]).astype(np.float32) / (side - 1)
    corner = (row * side + column).reshape(side, side)[:-1, :-1].ravel()
    squares = np.stack([corner, corner + 1, corner + side + 1, corner + side], axis=1)
    triangles = np.concatenate([squares[:, [0, 1, 2]], squares[:, [0, 2, 3]]]).astype(np.int32)
    mirror = row * side + side - 1 - column
    return SkinChart.of(UvChart(np.arange(side * side, dtype=np.int32), uv, triangles), SIZE, row >= 0, mirror)


GRID = grid(64)


def corners(side):
    """The plane's vertices in an image of `side` pixels that it fills."""
    return np.column_stack([UV[:, 0], 1 - UV[:, 1]]) * side


def view(zbuffer=None, mask=None, cosine=1.0, side=512):
    zbuffer = np.full((side, side), 10, np.float32) if zbuffer is None else zbuffer
    mask = np.ones((side // 4, side // 4)) if mask is None else mask
    return SurfaceView(corners(side), np.full(4, 10.0), np.full(4, 0.02), np.full(4, cosine), zbuffer, mask, 4.0)


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
    # A little is so many pixels of the usual crop, whatever the size of this one.
    finer = photo_weight(RASTER, dataclasses.replace(view(half), reference_pixel=16.0))
    assert (finer[16:-16, 138] == 0).all()
    assert (farther[16:-16, 138] > 0).all()


def test_the_photo_counts_inside_the_mask_and_fades_at_its_border():
    """The border's own pixels, which may show hair or background, do not count at all."""
    mask = np.ones((224, 224))
    mask[:, :112] = 0
    weight = photo_weight(RASTER, dataclasses.replace(view(mask=mask), reference_pixel=512 / 224))[128]
    assert (weight[:129] == 0).all()
    assert (weight[140:-16] == 1).all()
    assert (np.diff(weight[120:140]) >= 0).all()
    assert 0 < weight[133] < 1


@pytest.mark.parametrize(("behind", "counts"), [(0.01, 1), (0.03, 0)])
def test_the_surface_may_lie_a_little_behind_its_own_picture(behind, counts):
    """Within the slack: triangles seen at a flat angle are drawn in front of their vertices."""
    near = view(np.full((512, 512), 10 - behind, np.float32))
    assert near.slack.max() == pytest.approx(0.02)
    assert (photo_weight(RASTER, near)[16:-16, 16:-16] == counts).all()


def test_beyond_its_image_the_mask_is_empty():
    """The right half of the plane lies beside a picture whose border is skin, as in a close-up."""
    beside = view()
    beside = dataclasses.replace(beside, points=beside.points + (256, 0), reference_pixel=0.05)
    weight = photo_weight(RASTER, beside)
    assert (weight[16:-16, 16:120] == 1).all()
    assert (weight[16:-16, 136:] == 0).all()


def test_a_wider_picture_has_the_same_border():
    mask, margin = np.zeros((224, 224)), 67
    mask[60:150, 80:190] = 1
    inside = inside_mask(mask)
    wider = inside_mask(np.pad(mask, margin), reference_pixel=1.0)
    np.testing.assert_array_equal(wider[margin:-margin, margin:-margin], inside)
    # The plane fills the middle of a picture that shows more around it.
    near = dataclasses.replace(view(mask=mask, side=448), reference_pixel=2.0)
    far = dataclasses.replace(
        near,
        points=near.points + 2 * margin,
        zbuffer=np.pad(near.zbuffer, 2 * margin, constant_values=np.inf),
        mask=np.pad(mask, margin),
    )
    np.testing.assert_allclose(photo_weight(RASTER, far), photo_weight(RASTER, near), atol=1e-5)
    assert photo_weight(RASTER, near).any()


def test_grazing_views_count_less():
    weights = [photo_weight(RASTER, view(cosine=cosine))[128, 128] for cosine in (0.15, 0.3, 0.4, 0.6)]
    assert weights[0] == 0
    assert 0 < weights[1] < weights[2] < 1
    assert weights[3] == 1


def test_with_one_texture_the_albedo_is_the_photo_without_the_shading():
    generator = np.random.default_rng(0)
    photo = generator.uniform(0.3, 0.5, (SIZE, SIZE, 3)).astype(np.float32)
    albedo, shading = np.full((4, 3), 0.5), np.tile([0.9, 0.8, 0.7], (4, 1))
    baked = blend(SKIN, photo, np.ones((SIZE, SIZE), np.float32), albedo * shading, albedo, shading)
    np.testing.assert_allclose(baked.lit, photo, atol=1e-6)
    np.testing.assert_allclose(baked.albedo, photo / shading[0], atol=0.02)  # DARKEST bends it a little


def test_shadows_the_vertices_know_of_stay_out_of_the_albedo():
    photo = np.full((SIZE, SIZE, 3), 0.1, np.float32)
    photo[100:102] = 0.09  # a wrinkle in the shadow
    vertices = [np.full((4, 3), value) for value in (0.1, 0.6, 1.0)]
    baked = blend(SKIN, photo, np.ones((SIZE, SIZE), np.float32), *vertices)
    np.testing.assert_allclose(baked.albedo[50], 0.6, atol=1e-6)
    assert baked.albedo[101, 5, 0] == pytest.approx(0.55, abs=0.01)


def half(visible=slice(128, None)):
    """Weight of a photo that shows some columns of the texture."""
    weight = np.zeros((SIZE, SIZE), np.float32)
    weight[:, visible] = 1
    return weight


def test_a_face_that_is_brighter_than_its_model_is_so_where_it_is_not_seen():
    photo = np.full((SIZE, SIZE, 3), 0.8, np.float32)
    vertices = [np.full((4, 3), value) for value in (0.8, 0.5, 1.0)]
    np.testing.assert_allclose(blend(SKIN, photo, half(), *vertices).lit, 0.8, atol=1e-3)


def test_at_the_seam_there_is_no_step_and_far_from_it_the_shaded_albedo():
    """The photo is brighter than the model towards the seam only; beyond, that fades."""
    photo = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    photo *= np.exp(0.2 * np.exp(-np.square((np.arange(SIZE) - 128) / 16)))[None, :, None]
    vertices = [np.full((len(GRID.skin), 3), value) for value in (0.5, 0.5, 1.0)]
    row = blend(GRID, photo, half(), *vertices).lit[128, :, 0]
    np.testing.assert_allclose(row[128:], photo[128, 128:, 0], atol=1e-5)
    assert row[124] > 0.55
    assert np.abs(np.diff(row)).max() < 0.02
    assert row[10] == pytest.approx(0.51, abs=0.01)  # the mean ratio: the exposure


@pytest.mark.parametrize("kind", ["lit", "albedo"])
def test_where_only_the_other_side_is_seen_its_detail_is_mirrored(kind):
    photo = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    photo[:, 200:202] = 0.4  # a wrinkle
    vertices = [np.full((len(GRID.skin), 3), value) for value in (0.5, 0.5, 1.0)]
    row = getattr(blend(GRID, photo, half(), *vertices), kind)[128, :, 0]
    assert row[54] == pytest.approx(0.4, abs=0.02)  # texel 201 seen from the other end
    np.testing.assert_allclose(np.delete(row[:120], [53, 54, 55, 56]), 0.5, atol=0.02)
    everything = getattr(blend(GRID, photo, half(slice(None)), *vertices), kind)[128, :, 0]
    np.testing.assert_allclose(everything[:190], 0.5, atol=1e-4)  # what is seen is not overwritten


@pytest.mark.parametrize("kind", ["lit", "albedo"])
def test_vertices_may_refuse_the_mirrored_detail(kind):
    photo = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    photo[:, 200:202] = 0.4
    vertices = [np.full((len(GRID.skin), 3), value) for value in (0.5, 0.5, 1.0)]
    baked = blend(GRID, photo, half(), *vertices, mirrored=np.zeros(len(GRID.skin)))
    np.testing.assert_allclose(getattr(baked, kind)[128, 30:90, 0], 0.5, atol=0.02)


def test_smeared_colours_at_the_border_hardly_reach_the_hidden_side():
    """Background beside an outline, say, of which the photo's weight is almost 0."""
    photo, weight, vertices = np.full((SIZE, SIZE, 3), 0.5, np.float32), half(), [np.full((len(GRID.skin), 3), 0.5)] * 2
    weight[:, 128:140] = 0.2
    smeared = photo.copy()
    smeared[:, 128:140] = 0.9
    clean, stained = (
        blend(GRID, picture, weight, *vertices, np.ones_like(vertices[0]), np.zeros(len(GRID.skin))).lit
        for picture in (photo, smeared)
    )
    assert np.abs(stained - clean)[:, :120].max() < 0.01


@pytest.mark.parametrize("kind", ["lit", "albedo"])
def test_grain_is_added_where_neither_side_is_seen(kind):
    photo, grain = np.full((SIZE, SIZE, 3), 0.5, np.float32), np.full((SIZE, SIZE), np.log(1.2), np.float32)
    vertices = [np.full((len(GRID.skin), 3), value) for value in (0.5, 0.5, 1.0)]
    row = getattr(blend(GRID, photo, half(slice(160, None)), *vertices, grain=grain), kind)[128, :, 0]
    np.testing.assert_allclose(row[165:], 0.5, atol=1e-3)  # seen
    np.testing.assert_allclose(row[:90], 0.5, atol=1e-3)  # seen from the other end
    np.testing.assert_allclose(row[100:155], 0.6, atol=0.02)
    alone = getattr(blend(GRID, photo, half(slice(160, None)), *vertices, np.zeros(len(GRID.skin)), grain), kind)
    np.testing.assert_allclose(alone[128, :150, 0], 0.6, atol=0.02)


@pytest.mark.parametrize("later", [False, True])
def test_a_part_of_one_colour_has_it_where_it_is_not_seen(later):
    side = GRID.raster.size
    part = (np.abs(GRID.chart.uv[:, 1] - 0.5) < 0.3).astype(float)  # on both sides, the right one hidden
    plain = GRID.chart, side, np.zeros(len(part), bool), np.arange(len(part))
    eyes = SkinChart.of(*plain).with_part(part) if later else SkinChart.of(*plain, part[:, None])
    photo, vertices = np.full((SIZE, SIZE, 3), 0.25, np.float32), [np.full((len(part), 3), 0.5)] * 2
    lit = blend(eyes, photo, half(), *vertices, np.ones((len(part), 3))).lit[..., 0]
    np.testing.assert_allclose(lit[SIZE // 2, :20], 0.25, atol=0.01)
    np.testing.assert_allclose(lit[5, :20], 0.5, atol=0.01)  # another part


@pytest.mark.parametrize("kind", ["lit", "albedo"])
def test_bright_grain_is_less_saturated_and_dark_grain_keeps_its_hue(kind):
    blond = np.array([0.5, 0.4, 0.2])
    vertices = [np.tile(colour, (len(GRID.skin), 1)) for colour in (blond, blond, np.ones(3))]
    for factor, expected in ((1.3, blond + 0.3 * blond.mean()), (0.7, 0.7 * blond)):
        grain = np.full((SIZE, SIZE), np.log(factor), np.float32)
        baked = blend(
            GRID, np.zeros((SIZE, SIZE, 3), np.float32), np.zeros((SIZE, SIZE), np.float32), *vertices, None, grain
        )
        np.testing.assert_allclose(getattr(baked, kind)[128, 128], expected, atol=0.01)


def test_detail_is_bounded():
    photo = np.ones((SIZE, SIZE, 3), np.float32)
    vertices = [np.full((4, 3), value) for value in (0.01, 0.3, 1.0)]
    baked = blend(SKIN, photo, np.ones((SIZE, SIZE), np.float32), *vertices)
    np.testing.assert_allclose(baked.albedo, 0.3 * texture_baking.DETAIL_RANGE[1], atol=1e-6)
