"""The exported texture in new views: drawn like the vertices' colours, measured against the same truth."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from lib.face_model.coefficients import Coefficients
from lib.face_model_files.human_head import load_human_head
from lib.geometry.camera import Camera
from lib.images.display import to_bytes
from lib.mesh_renderer.fragments import interpolate, rasterize
from model.evaluation.exported_texture import ExportedTexture, psnr_in_views, ssim_in_views
from model.evaluation.new_views import NewViews, render_new_views
from model.face_gcn import FaceGCN
from model.metrics.images import structural_similarity
from model.morphable_model import MorphableModel
from tests.support.faces import built_in_face

CAMERA = Camera((112, 112))
MORPHABLE = MorphableModel(built_in_face(2500))


def coefficients(yaw, layout=MORPHABLE.layout):
    zeros = {name: np.zeros((1, count), np.float32) for name, count in layout.counts.items()}
    zeros["angles"] = np.array([[0.1, yaw, 0.0]], np.float32)
    return layout.join(Coefficients(**zeros))[0]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return exported_texture(MORPHABLE, tmp_path_factory.mktemp("charts"))


def exported_texture(morphable, cache):
    def texture(embedding, coarse, sampled, visibility, shading, training=False):
        return coarse

    config = SimpleNamespace(generated_dir=cache, texture=SimpleNamespace(intrinsic=False))
    return ExportedTexture(SimpleNamespace(face_gcn=FaceGCN(morphable, CAMERA, texture), camera=CAMERA, config=config))


@pytest.mark.parametrize("yaw", [0.4, -0.4])
def test_a_texture_of_the_vertices_colours_looks_like_them(exported, yaw):
    true = coefficients(yaw)
    light = np.random.default_rng(0).normal(0, 0.05, 27).astype(np.float32)
    albedo = np.clip(MORPHABLE.face_model.mean_albedo, 0, 1)
    views = render_new_views(
        MORPHABLE, CAMERA, tf.constant(true[None]), tf.constant(light[None]), tf.constant(albedo[None])
    )
    raster = exported.export.raster
    drawn = exported.draw(to_bytes(raster.dilate(raster.interpolate(albedo))), true, light)
    assert min(psnr_in_views(drawn, views)) > 32
    assert ssim_in_views(drawn, views) > 0.95


@pytest.mark.parametrize("area", ["face", "ears", "head"])
def test_texture_and_vertices_are_drawn_at_the_same_place(area, tmp_path_factory):
    """Whole heads are shown smaller than a photo's face."""
    morphable = MorphableModel(load_human_head(tmp_path_factory.getbasetemp(), area, 2900))
    true, light = coefficients(0.4, morphable.layout), np.zeros(27, np.float32)
    flat = tf.fill([1, morphable.vertex_count, 3], 0.4)
    views = render_new_views(morphable, CAMERA, tf.constant(true[None]), tf.constant(light[None]), flat)
    exported = exported_texture(morphable, tmp_path_factory.mktemp("charts"))
    drawn = exported.draw(np.full((512, 512, 3), 102, np.uint8), true, light)
    assert views.skin.numpy().any()
    for picture, face in zip(drawn, views.face.numpy(), strict=True):
        assert ((picture.max(-1) > 0) != (face[..., 0] > 0)).mean() < 0.03, "less than a pixel at the outline"
    assert min(psnr_in_views(drawn, views)) > 30


def test_what_the_photo_shows_between_the_vertices_is_in_the_texture(exported):
    """The photo has fine lines on the cheek, which vertices cannot show."""
    true = coefficients(0.3)
    face = MORPHABLE.posed(tf.constant(true[None]), CAMERA)
    fragments = rasterize(CAMERA.clip_coordinates(face.vertices), MORPHABLE.triangles, (112, 112))
    photo = interpolate(face.albedo * face.shading, MORPHABLE.triangles, fragments)[0].numpy()
    stripes = np.where(np.arange(112) % 4 < 2, 0.8, 1.0)[:, None]
    crop = np.concatenate([np.clip(photo * stripes, 0, 1), fragments.mask[0]], axis=-1)[None].astype(np.float32)
    result = exported.face_gcn(tf.constant(crop), tf.constant(true[None]), tf.zeros([1, 4]))
    baked = exported.bake(result, tf.constant(crop), tf.zeros([1, 4]))
    seen = baked.weight > 0.99
    assert seen.mean() > 0.2
    raster = exported.export.raster
    vertices = raster.interpolate(np.clip(result.albedo[0], 0, 1))
    ratio = (baked.albedo[seen] / 255 / vertices[seen]).mean(axis=-1)
    assert np.percentile(ratio, 90) / np.percentile(ratio, 10) > 1.15


def test_psnr_and_ssim_count_the_skin_alone():
    truth = np.random.default_rng(0).uniform(size=(1, 1, 32, 32, 3)).astype(np.float32)
    skin = np.zeros((1, 32, 32, 1), np.float32)
    skin[:, :, :16] = 1
    views = NewViews(tf.constant(truth), tf.ones([1, 32, 32, 1]), tf.constant(skin))
    other = truth[0, 0].copy()
    other[:, 16:] = 0
    assert psnr_in_views([other], views) == [pytest.approx(100)]
    assert ssim_in_views([other], views) == pytest.approx(1)
    other[:, :16] += 0.1
    assert psnr_in_views([other], views) == [pytest.approx(20, abs=1e-3)]
    other[:, :16] = other[:, :16].mean()
    assert ssim_in_views([other], views) < 0.5


def test_similarity_in_views_is_that_of_the_whole_picture_though_only_the_skin_is_looked_at():
    random = np.random.default_rng(0)
    truth = tf.constant(random.uniform(size=(2, 1, 64, 64, 3)), tf.float32)
    skin = np.zeros((2, 64, 64, 1), np.float32)
    skin[0, 20:40, 30:50], skin[1, :10, 50:] = 1, 1
    pictures = [random.uniform(size=(64, 64, 3)).astype(np.float32) for _ in range(2)]
    whole = [
        structural_similarity(picture * mask + view[0] * (1 - mask), view[0], mask[..., 0])[0]
        for picture, view, mask in zip(pictures, truth.numpy(), skin, strict=True)
    ]
    found = ssim_in_views(pictures, SimpleNamespace(pictures=truth, skin=tf.constant(skin)))
    assert found == pytest.approx(np.mean(whole), abs=1e-9)
