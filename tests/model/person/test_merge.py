"""Merging of the skins that several photos of one person show."""

import dataclasses

import numpy as np
import pytest

from lib.face_model.face_model import FaceModel
from lib.mesh_export.uv_chart import rasterize_chart, uncut
from model.person.merge import SeenTexture, SkinView, merge
from tests.support.faces import built_in_face


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return built_in_face(2000)


def view(albedo, visibility, texture=None, lift=0.0, cloth=None):
    albedo = np.array(albedo)
    return SkinView(
        albedo=albedo,
        visibility=np.asarray(visibility, float),
        frontality=np.ones(len(albedo)),
        lift=np.full(albedo.shape, lift, np.float32),
        hair=np.zeros(len(albedo), np.float32),
        cloth=np.zeros(len(albedo), np.float32) if cloth is None else cloth,
        texture=texture,
    )


def test_hair_has_the_volume_that_most_photos_show():
    views = [view(np.full((4, 3), 0.5), np.ones(4), lift=lift) for lift in (0.1, 0.12, 0.5)]
    np.testing.assert_allclose(merge(views).lift, np.full((4, 3), 0.12), rtol=1e-6)


def test_albedo_comes_from_who_saw_it():
    views = [view(np.full((4, 3), 0.4), [1, 1, 1, 0]), view(np.full((4, 3), 0.4), [0, 1, 1, 0])]
    views[0].albedo[0], views[1].albedo[0] = 0.8, 0.2  # only the first photo sees this vertex
    merged = merge(views).albedo
    assert merged[0, 0] > 0.6
    np.testing.assert_allclose(merged[3], 0.4, atol=0.1)


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

    def textured(level, weight, density):
        albedo = np.full((64, 64, 3), level, np.uint8)
        weight, density = np.float32(weight * np.ones((64, 64))), np.full((64, 64), density, np.float32)
        return view(skin, np.ones(len(skin)), SeenTexture(albedo, weight, density))

    views = [textured(200, left, 0.8), textured(50, left, 0.1), textured(100, left * 0.2, 0.8)]
    merged = merge(views, raster).texture
    seen, unseen = raster.inside & left, raster.inside & ~left
    np.testing.assert_allclose(255 * merged.albedo[seen], 200, atol=3)
    np.testing.assert_allclose(merged.albedo[unseen], 0.5, atol=0.01)
    np.testing.assert_array_equal(merged.weight[seen], 1)


def test_what_no_photo_shows_has_grain_by_the_hair_that_most_see(model):
    raster = rasterize_chart(uncut(model.uv, model.triangles), 64)
    left, skin = np.arange(64)[None] < np.full((64, 1), 32), np.full((model.vertex_count, 3), 0.5)
    seen = SeenTexture(np.full((64, 64, 3), 127, np.uint8), np.float32(left), np.ones((64, 64), np.float32))
    views = [
        dataclasses.replace(view(skin, np.ones(len(skin)), seen, cloth=skin[:, 1] * cloth), hair=skin[:, 0] * hair)
        for hair, cloth in ((0, 0), (1, 0.5), (1, 0.5))
    ]
    asked = []

    def grain(photo, weight, hair, cloth):
        asked.append((weight, hair, cloth))
        return np.full(weight.shape, np.log(1.2), np.float32)

    merged = merge(views, raster, grain).texture
    np.testing.assert_array_equal(asked[0][0], merged.weight)
    np.testing.assert_array_equal(asked[0][1], 0.5)
    np.testing.assert_array_equal(asked[0][2], 0.25)
    np.testing.assert_allclose(merged.albedo[raster.inside & left], 0.5, atol=0.01)
    np.testing.assert_allclose(merged.albedo[raster.inside & ~left], 0.6, atol=0.01)


def test_bright_grain_is_less_saturated_as_in_a_single_photo(model):
    raster, blond = rasterize_chart(uncut(model.uv, model.triangles), 64), np.array([0.5, 0.4, 0.2])
    unseen = SeenTexture(np.zeros((64, 64, 3), np.uint8), *np.zeros((2, 64, 64), np.float32))
    skin = np.tile(blond, (model.vertex_count, 1))
    for factor, expected in ((1.3, blond + 0.3 * blond.mean()), (0.7, 0.7 * blond)):

        def grain(photo, weight, hair, cloth, factor=factor):
            return np.full(weight.shape, np.log(factor), np.float32)

        merged = merge([view(skin, np.ones(len(skin)), unseen)], raster, grain).texture
        np.testing.assert_allclose(merged.albedo[raster.inside], np.tile(expected, (raster.inside.sum(), 1)), atol=1e-5)
