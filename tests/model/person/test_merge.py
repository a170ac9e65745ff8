"""Merging of the skins that several photos of one person show."""

import dataclasses

import numpy as np
import pytest

from lib.face_model.face_model import FaceModel
from lib.mesh_export.uv_chart import rasterize_chart, uncut
from model.person.merge import UNSEEN, SeenTexture, SkinView, merge
from tests.support.faces import built_in_face


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return built_in_face(2000)


def view(albedo, visibility, texture=None, lift=0.0, cloth=None, frontality=1.0):
    albedo = np.array(albedo)
    return SkinView(
        albedo=albedo,
        visibility=np.asarray(visibility, float),
        frontality=np.full(len(albedo), frontality),
        lift=np.broadcast_to(lift, albedo.shape).astype(np.float32),
        hair=np.zeros(len(albedo), np.float32),
        cloth=np.zeros(len(albedo), np.float32) if cloth is None else cloth,
        texture=texture,
    )


def test_hair_has_the_volume_that_most_photos_show():
    views = [view(np.full((4, 3), 0.5), np.ones(4), lift=lift) for lift in (0.1, 0.12, 0.5)]
    np.testing.assert_allclose(merge(views).lift, np.full((4, 3), 0.12), rtol=1e-6)


@pytest.mark.parametrize("copies", [1, 2])
def test_hair_that_half_of_the_photos_show_does_not_bulge_under_skin(copies):
    """Where all show hair, its volume is between theirs, also if it points along a negative axis."""
    hanging, tied = np.ones(4, np.float32), np.float32([1, 1, 0, 0])
    for sign in (-1, 1):
        views = [
            dataclasses.replace(view(np.full((4, 3), 0.5), np.ones(4), lift=sign * lift * hair[:, None]), hair=hair)
            for lift, hair in ((0.8, hanging), (0.4, tied))
        ]
        expected = sign * np.repeat(np.float32([[0.6], [0.6], [0], [0]]), 3, axis=1)
        np.testing.assert_allclose(merge(views * copies).lift, expected, rtol=1e-6)


def test_albedo_comes_from_who_saw_it():
    views = [view(np.full((4, 3), 0.4), [1, 1, 1, 0]), view(np.full((4, 3), 0.4), [0, 1, 1, 0])]
    views[0].albedo[0], views[1].albedo[0] = 0.8, 0.2  # only the first photo sees this vertex
    merged = merge(views).albedo
    assert merged[0, 0] > 0.6
    np.testing.assert_allclose(merged[3], 0.4, atol=0.1)


def test_a_grazing_view_counts_less():
    """With the square of the cosine, beside what each photo counts unseen."""
    ours, theirs = (np.array(levels)[:, None] * np.ones(3) for levels in ([0.4, 0.6], [0.6, 0.4]))  # equally bright
    merged = merge([view(ours, [1, 1]), view(theirs, [1, 1], frontality=0.3)]).albedo
    weights = 1 + UNSEEN / 2, 0.3**2 + UNSEEN / 2
    np.testing.assert_allclose(merged, (weights[0] * ours + weights[1] * theirs) / sum(weights), rtol=1e-6)
    away = view(theirs, [1, 1], frontality=-0.5)
    assert not away.weight.any()


@pytest.mark.parametrize(("factor", "gain"), [(4.0, 1 / 1.5), (1.2, 1 / 1.2), (0.25, 1.5)])
def test_the_gain_on_a_photo_is_bounded(factor, gain):
    albedo = np.random.default_rng(2).uniform(0.1, 0.2, (50, 3))
    np.testing.assert_allclose(view(factor * albedo, np.ones(50)).gain(albedo), gain)


def test_guesses_do_not_outvote_the_one_who_saw_it_however_many_they_are():
    views = [view(np.full((100, 3), 0.4), np.arange(100) > 0) for _ in range(200)]
    views[70] = view([[0.8] * 3, *[[0.4] * 3] * 99], np.ones(100))
    np.testing.assert_allclose(merge(views).albedo[0], 0.8, atol=0.02)


def test_a_brighter_photo_leaves_no_seam():
    albedo = np.random.default_rng(2).uniform(0.3, 0.6, (50, 3))
    seen = np.ones(50)
    views = [view(1.3 * albedo, np.arange(50) >= 25), view(albedo, seen), view(albedo, seen)]
    np.testing.assert_allclose(merge(views).albedo, albedo, rtol=0.02)


def test_a_texture_comes_from_who_saw_it_sharpest(model):
    raster = rasterize_chart(uncut(model.uv, model.triangles), 64)
    left = np.arange(64)[None] < np.full((64, 1), 32)
    skin = np.full((model.vertex_count, 3), 0.5)

    def levelled(level, weight, density):
        albedo = np.where(left[..., None], np.uint8(level), np.uint8(127))
        weight, density = np.float32(weight * np.ones((64, 64))), np.full((64, 64), density, np.float32)
        return view(skin, np.ones(len(skin)), SeenTexture(albedo, weight, density))

    views = [levelled(200, left, 0.8), levelled(50, left, 0.1), levelled(100, left * 0.2, 0.8)]
    merged = merge(views, raster).texture
    seen, unseen = raster.inside & left, raster.inside & ~left
    np.testing.assert_allclose(255 * merged.albedo[seen], 200, atol=3)
    np.testing.assert_allclose(merged.albedo[unseen], 0.5, atol=0.01)
    np.testing.assert_array_equal(merged.weight[seen], 1)


def textured(albedo, vertices, share, **parts):
    """A view whose texture [T, T, 3] in [0, 1] is the photo's by a share [T, T]."""
    seen = SeenTexture(np.uint8(np.rint(255 * albedo)), np.float32(share), np.ones(share.shape, np.float32))
    return dataclasses.replace(view(vertices, np.ones(len(vertices)), seen), **parts)


def test_the_texture_of_one_photo_stays_as_it_is(model):
    """Also where the photo fades, and what it has where it shows nothing: the mirrored side's detail and grain."""
    raster, random = rasterize_chart(uncut(model.uv, model.triangles), 64), np.random.default_rng(3)
    albedo, vertices = random.uniform(0.2, 0.8, (64, 64, 3)), random.uniform(0.2, 0.8, (model.vertex_count, 3))
    share = np.tile(np.linspace(-1, 1, 64).clip(0), (64, 1))
    merged = merge([textured(albedo, vertices, share)], raster).texture
    np.testing.assert_allclose(merged.albedo[raster.inside], albedo[raster.inside], atol=0.5 / 255 + 1e-5)
    np.testing.assert_array_equal(merged.weight, np.float32(share))


def test_textures_of_different_colours_have_no_seam_where_one_photo_follows_another(model):
    """One shows the left half of the chart and one the right half; their detail stays."""
    raster = rasterize_chart(uncut(model.uv, model.triangles), 64)
    left, stripes = np.arange(64)[None] < np.full((64, 1), 32), 0.05 * (np.arange(64) % 2)[None, :, None]
    rising = 0.4 + 0.2 * np.repeat(model.uv[:, 1:], 3, axis=1)
    views = [
        textured(raster.interpolate(vertices) + stripes, vertices, share)
        for vertices, share in ((rising, left), (1 - rising, ~left))
    ]
    merged = merge(views, raster)
    expected = raster.interpolate(merged.albedo) + stripes
    np.testing.assert_allclose(merged.texture.albedo[raster.inside], expected[raster.inside], atol=0.01)


@pytest.mark.parametrize("others", [1, 2])
def test_the_colour_of_hair_that_one_photo_alone_shows_does_not_scale_skin(others):
    """Neither that photo's, nor under its hair that of the others, which all see."""
    skin, hair = np.full((100, 3), (0.6, 0.45, 0.35)), np.float32(np.arange(100) < 50)
    dark = np.where(hair[:, None] > 0, 0.1, skin)
    views = [view(albedo, np.ones(100)) for albedo in (dark, *[skin] * others)]
    views[0] = dataclasses.replace(views[0], hair=hair)
    np.testing.assert_allclose(merge(views).albedo, skin, atol=1e-4)


@pytest.mark.parametrize("share", [1, 0.9, 0.7])
@pytest.mark.parametrize("others", [1, 2])
def test_strands_that_one_photo_alone_shows_do_not_end_up_on_skin(model, others, share):
    """Neither their detail nor their colour, also at their border, and where others show little or guess."""
    raster, vertices = rasterize_chart(uncut(model.uv, model.triangles), 64), np.full((model.vertex_count, 3), 0.5)
    skin, strands, dark = np.full((64, 64, 3), 0.5), np.full((64, 64, 3), 0.7), np.full_like(vertices, 0.1)
    for part in ("hair", "cloth"):
        odd = textured(strands, vertices, np.ones((64, 64)), **{part: np.full(len(vertices), share, np.float32)})
        views = [odd, *[textured(skin, vertices, np.full((64, 64), 0.3))] * others]
        np.testing.assert_allclose(merge(views, raster).texture.albedo[raster.inside], 0.5, atol=0.01)
        guess = dataclasses.replace(views[-1], visibility=np.zeros(len(vertices)))
        hair = dataclasses.replace(odd, albedo=dark, visibility=np.arange(len(dark)) < 100)
        np.testing.assert_allclose(merge([hair, *[guess] * others]).albedo[:100], 0.5, atol=0.01)
    np.testing.assert_allclose(merge([odd, odd], raster).texture.albedo[raster.inside], 0.7, atol=0.01)


def test_hair_in_one_photo_and_a_cap_in_the_other_count_alike(model):
    """Neither is what most photos show, so that both would count for nothing."""
    raster, vertices = rasterize_chart(uncut(model.uv, model.triangles), 64), np.full((model.vertex_count, 3), 0.5)
    share, ones = np.ones((64, 64)), np.ones(len(vertices), np.float32)
    views = [
        textured(np.full((64, 64, 3), level), vertices, share, **{part: ones})
        for part, level in (("hair", 0.4), ("cloth", 0.7))
    ]
    merged = merge(views, raster)
    np.testing.assert_allclose(merged.albedo, 0.5, atol=1e-6)
    np.testing.assert_allclose(merged.texture.albedo[raster.inside], 0.55, atol=0.01)
