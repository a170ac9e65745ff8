"""Ears, skull and neck beyond a reconstructed face: geometry and colours continue it."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from configs import schema
from lib.face_image.region import PhotoRegion
from lib.face_model_files.human_head import ExtendedHead, human_head_model
from lib.geometry.camera import Camera
from lib.geometry.lighting import shading
from lib.geometry.rotation import rotation_matrix
from lib.human_head.shipped import SHIPPED, HumanHead
from lib.mesh_renderer.fragments import interpolate
from model.face_gcn import FaceGCN
from model.morphable_model import MorphableModel
from model.reconstruction.baking import TextureBaker
from model.reconstruction.new_views import framing, shape_view
from model.whole_head import wide_view
from model.whole_head.extension import HeadExtension
from model.whole_head.scalp.baldness import Baldness
from tests.support.faces import coarse_head

SIZE = 64
STEP = 1.5  # at the border, relative to the largest on the face


@pytest.fixture(scope="module")
def case(extended):
    """Extension, reconstruction of a random face in warm light from one side, its extension, and its coefficients."""
    face_model, camera = coarse_head("face"), Camera((SIZE, SIZE))
    tan = tf.constant([0.10, 0.0, -0.08])

    def texture(embedding, coarse, colour, visibility, shading, training=False):
        return tf.concat([coarse + tan + 0.02, coarse + tan], axis=-1)

    face_gcn = FaceGCN(MorphableModel(face_model), camera, texture)
    layout = face_model.layout
    coefficients = np.zeros([1, layout.size], np.float32)
    coefficients[:, layout.slices["identity"]] = np.random.default_rng(3).normal(size=[1, layout.identity])
    light = np.zeros([3, 9], np.float32)
    light[:, 0], light[:, 3] = (0.3, 0.1, -0.1), 0.3
    coefficients[:, layout.slices["light"]] = light.ravel()
    crop = tf.ones([1, SIZE, SIZE, 4]) * 0.5
    result = face_gcn(crop, tf.constant(coefficients), tf.zeros([1, 4]))
    extension = HeadExtension(face_model, extended, camera, hair=False)
    whole = extension(result, coefficients, np.ones([SIZE, SIZE]), None)
    assert whole.scalp is None
    return extension, result, whole.reconstruction, face_model


def test_the_face_stays_and_the_head_joins_it(case):
    extension, result, whole, face_model = case
    count, known = face_model.vertex_count, extension._known[: face_model.vertex_count]
    assert whole.albedo.shape[1] == extension.morphable.vertex_count > count
    towards = known & (result.coarse.face.normals[0, :, 2].numpy() >= 0)
    for rows, of in (
        (known, lambda r: r.albedo),
        (known, lambda r: r.appearance),
        (towards, lambda r: r.colour),
        (known, lambda r: r.coarse.face.shape),
        (towards, lambda r: r.coarse.face.shading),
    ):
        ours, theirs = of(whole)[0].numpy()[:count][rows], of(result)[0].numpy()[rows]
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
    np.testing.assert_allclose(whole.coarse.face.landmarks, result.coarse.face.landmarks, atol=1e-3)
    inside, border = result.mask[0, ..., 0].numpy() > 0.5, drawn_border(extension, result, whole)
    for ours, theirs in ((whole.rendering, result.rendering), (whole.coarse.rendering, result.coarse.rendering)):
        own = inside & (border == 0)
        assert own.sum() > 0.7 * inside.sum()
        np.testing.assert_array_equal(ours[0].numpy()[own], theirs[0].numpy()[own])
    around = (whole.mask[0, ..., 0].numpy() > 0.5) & ~inside
    assert around[: SIZE // 8].any(), "the skull above the face"
    assert whole.rendering[0].numpy()[around].min() > 0
    assert whole.overlay is result.overlay
    visibility = whole.coarse.sampled.visibility[0].numpy()
    np.testing.assert_array_equal(visibility[:count], result.coarse.sampled.visibility[0])
    assert not visibility[count:].any()


def drawn_border(extension, result, whole):
    """[H, W] share of each pixel in which the face's own rendering is not used."""
    border, fragments = extension._at_border, whole.coarse.fragments
    head = interpolate(border, extension.morphable.triangles, fragments)
    face = interpolate(border[:, : extension._count], extension._face_triangles, result.coarse.fragments)
    return tf.maximum(head, face * fragments.mask)[0, ..., 0].numpy()


def test_hair_has_the_light_of_its_own_surface(case):
    extension, _, whole, _ = case
    bare = whole.coarse.face
    lift = np.random.default_rng(0).uniform(0, 0.3, (extension.morphable.vertex_count, 3)).astype(np.float32)
    lifted = extension._lifted(bare, lift)
    np.testing.assert_allclose(lifted.normals, extension.morphable.normals(lifted.vertices), atol=1e-6)
    lit, unlit = (shading(normals, bare.coefficients.light) for normals in (lifted.normals, bare.normals))
    np.testing.assert_allclose(lifted.shading, lit, atol=1e-6)
    assert np.abs(lit - unlit).mean() > 0.02


def test_no_line_is_drawn_where_the_face_ends(case):
    extension, result, whole, face_model = case
    known = extension._known[: face_model.vertex_count]
    colour = tf.where(known[None, :, None], result.colour, 0.0)
    rendering = interpolate(colour, tf.constant(face_model.triangles), result.coarse.fragments)
    spoilt = dataclasses.replace(result, rendering=rendering)
    coefficients = face_model.layout.join(result.coarse.face.coefficients).numpy()
    drawn = extension(spoilt, coefficients, np.ones([SIZE, SIZE]), None).reconstruction.rendering
    border = (drawn_border(extension, result, whole) == 1) & (result.mask[0, ..., 0].numpy() > 0.5)
    assert border.sum() > 50
    assert np.abs(rendering[0].numpy() - whole.rendering[0].numpy())[border].max() > 0.2
    covered = whole.coarse.fragments.mask[0, ..., 0].numpy() > 0
    np.testing.assert_allclose(drawn[0].numpy()[covered], whole.rendering[0].numpy()[covered], atol=1e-5)


def test_the_neck_is_in_shadow_and_the_face_keeps_its_light(case):
    extension = case[0]
    model, (factors, _, blue) = extension.morphable.face_model, extension._unshadowed.T
    np.testing.assert_array_equal(factors[extension._known], 1)
    np.testing.assert_array_equal(factors[model.regions["scalp"] == 1], 1)
    assert factors.min() > 0.1
    dark = factors < 0.8
    assert 0.005 < dark.mean() < 0.1
    assert np.median((factors / blue)[dark]) > 1.05, "warm"
    assert (np.abs(model.mean_shape[dark, 0]) < 0.5).any(), "the neck"
    assert (np.abs(model.mean_shape[dark, 0]) > 0.6).any(), "the ears"


def test_the_shape_is_shown_with_its_crown(case):
    extension, _, whole, _ = case
    camera = Camera((SIZE, SIZE))
    seen = whole.coarse.fragments.mask[0, ..., 0].numpy() > 0
    assert seen[0].any(), "the photo's own view cuts it"
    shown = shape_view(extension.morphable, whole, camera)[..., 3] > 0
    assert shown.any()
    for border in (shown[0], shown[-1], shown[:, 0], shown[:, -1]):
        assert not border.any()


def test_colours_and_light_continue_without_a_seam(case):
    extension, _, whole, _ = case
    triangles, known = extension.morphable.face_model.triangles, extension._known
    edges = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    ends = known[edges]
    across, own = edges[ends[:, 0] != ends[:, 1]], edges[ends.all(axis=1)]
    assert len(across) > 100
    for values in (whole.albedo - whole.coarse.albedo, whole.coarse.face.shading):
        rows = values[0].numpy()
        steps, largest = (np.abs(rows[a] - rows[b]).max() for a, b in (across.T, own.T))
        assert steps < max(STEP * largest, 0.01)


def test_light_beyond_the_face_stays_in_its_range_and_hue(case):
    extension, result, whole, face_model = case
    front = result.coarse.face.shading[0].numpy()[face_model.front_mask]
    beyond = (whole.coarse.face.shading[0].numpy() / extension._unshadowed)[~extension._known]
    assert beyond.mean(axis=1).min() > np.quantile(front.mean(axis=1), 0.02) - 0.1
    assert beyond.mean(axis=1).max() < np.quantile(front.mean(axis=1), 0.98) + 0.1
    assert (np.diff(beyond, axis=1) < 0).mean() > 0.9  # red above green above blue
    # Of the back of the head, which the photo does not show, nothing is known.
    expected = extension._expected_light(result.coarse.face.shading, whole.coarse.face)[0].numpy()
    towards = whole.coarse.face.normals[0].numpy()[:, 2]
    assert np.ptp(expected[towards < -0.5], axis=0).max() < 1e-6
    assert front.min() < expected[towards < -0.5].min() < expected[towards < -0.5].max() < front.max()
    assert np.ptp(expected[towards > 0], axis=0).min() > 0.3
    hues = (expected / expected.mean(axis=1, keepdims=True))[towards > 0]
    assert np.ptp(hues, axis=0).max() > 0.1, "white light from one side"


def test_the_light_of_the_face_itself_is_that_of_an_average_place_where_it_turns_away(case, extended):
    _, result, _, face_model = case
    camera = Camera((SIZE, SIZE))
    extension = HeadExtension(face_model, extended, camera, hair=False)
    coefficients = face_model.layout.join(result.coarse.face.coefficients).numpy()
    coefficients[0, face_model.layout.slices["angles"]] = [0, 1.2, 0]
    face = extension.morphable.posed(tf.constant(coefficients), camera)
    count = face_model.vertex_count
    away = extension._known[:count] & (face.normals[0, :count, 2].numpy() < -0.5)
    assert away.sum() > 20
    dazzled = face.shading[:, :count] * np.where(away, 5.0, 1.0)[None, :, None]
    found = extension._light(tf.constant(dazzled, tf.float32), face, None)[0].numpy()[:count]
    assert np.ptp(found[away], axis=0).max() < 1e-4
    toward = extension._known[:count] & (face.normals[0, :count, 2].numpy() > 0)
    np.testing.assert_allclose(found[toward], dazzled[0].numpy()[toward], atol=1e-4)


def test_only_smaller_areas_of_the_head_are_extended(case, source, extended, monkeypatch):
    _, _, _, face_model = case
    monkeypatch.setattr(ExtendedHead, "load", lambda *arguments: extended)
    config, camera = schema.load(), Camera((SIZE, SIZE))
    assert isinstance(HeadExtension.of(config, face_model, camera), HeadExtension)
    assert HeadExtension.of(config, source, camera) is None
    assert HeadExtension.of(config, face_model, camera)._scalp is not None
    assert HeadExtension.of(schema.load(overrides={"export.hair": False}), face_model, camera)._scalp is None
    for options in ({"export.area": "face"}, {"face_model.area": "head"}):
        assert HeadExtension.of(schema.load(overrides=options), face_model, camera) is None


@pytest.mark.parametrize(("area", "level"), [("ears", 0), ("face", 1)])
def test_a_file_of_another_area_or_density_is_not_extended(source, extended, monkeypatch, capsys, area, level):
    monkeypatch.setattr(ExtendedHead, "load", lambda *arguments: extended)
    other = human_head_model(HumanHead.load(SHIPPED), source, area, level)
    config = schema.load(overrides={"face_model.source": "head.npz", "face_model.vertex_count": 3800})
    assert HeadExtension.of(config, other, Camera((SIZE, SIZE))) is None
    printed = capsys.readouterr()
    assert "head.npz: is exported without the rest of the head" in printed.err
    assert not printed.out


def test_a_face_is_shown_as_the_crops_are_and_a_whole_head_smaller(case, extended):
    """Where boxes of heads are put is tested with the framing."""
    camera = Camera((SIZE, SIZE))
    assert framing(case[3].mean_shape, camera)[0] is camera
    assert framing(extended.model.mean_shape, camera)[0].focal_ratio < camera.focal_ratio


def test_hair_with_volume_changes_shape_light_and_outline_but_no_landmark(case, extended):
    extension, result, flat, face_model = case
    camera = Camera((SIZE, SIZE))
    coefficients = face_model.layout.join(result.coarse.face.coefficients).numpy()
    hairy = HeadExtension(face_model, extended, camera)(result, coefficients, np.ones([SIZE, SIZE]), None)
    face, bare = hairy.reconstruction.coarse.face, flat.coarse.face
    np.testing.assert_allclose(face.shape[0].numpy() - bare.shape[0].numpy(), hairy.lift, atol=1e-5)
    turn = rotation_matrix(face.coefficients.angles)[0].numpy()
    np.testing.assert_allclose(face.vertices[0].numpy() - bare.vertices[0].numpy(), hairy.lift @ turn, atol=1e-5)
    assert np.linalg.norm(hairy.lift, axis=1).max() > 0.08
    np.testing.assert_array_equal(face.landmarks, bare.landmarks)
    np.testing.assert_allclose(
        face.normals[0].numpy(), extension.morphable.normals(face.vertices)[0].numpy(), atol=1e-6
    )
    assert (hairy.reconstruction.mask.numpy() > 0.5).sum() > (flat.mask.numpy() > 0.5).sum()


def test_cloth_has_the_photos_hue_all_around_in_its_own_light(case, extended):
    _, result, _, face_model = case
    camera, margin, blue = Camera((SIZE, SIZE)), 20, np.array([0.24, 0.33, 0.54])
    coefficients = face_model.layout.join(result.coarse.face.coefficients).numpy()
    pixels = np.tile(np.float32([0.4, 0.3, 0.25]), (SIZE + 2 * margin, SIZE + 2 * margin, 1))
    pixels[: margin + 16] = blue
    region = PhotoRegion(np.uint8(pixels * 255), np.array([[1.0, 0, margin], [0, 1.0, margin]]))
    readable = np.where(np.arange(SIZE)[:, None] > 16, 1.0, 0.0) * np.ones(SIZE)
    extension = HeadExtension(face_model, extended, camera, volume=False)
    whole = extension(result, coefficients, readable, region)
    reconstruction, scalp = whole.reconstruction, whole.scalp
    np.testing.assert_array_equal(reconstruction.coarse.face.shading[0], scalp.light)
    baker = TextureBaker(extension.morphable, camera, extension.chart, 256, False)
    textures = baker(SimpleNamespace(reconstruction=reconstruction, readable=readable, scalp=scalp, region=region))
    cloth = baker.raster.interpolate(scalp.cloth[:, None])[..., 0] > 0.99
    assert cloth.sum() > 1000
    lit = textures.lit[cloth].astype(float)
    hue = lit / lit.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.quantile(hue, [0.01, 0.99], axis=0), [blue / blue.sum()] * 2, atol=0.015)


@pytest.mark.parametrize("volume", [True, False])
def test_a_head_that_shows_no_hair_gets_none(case, extended, monkeypatch, volume):
    """Blue above the face is hair or a cap, unless the person's outline says that it is the sky."""
    _, result, _, face_model = case
    camera, margin = Camera((SIZE, SIZE)), 20
    coefficients = face_model.layout.join(result.coarse.face.coefficients).numpy()
    pixels = np.full([SIZE + 2 * margin] * 2 + [3], [0.24, 0.33, 0.54])
    region = PhotoRegion(np.uint8(pixels * 255), np.array([[1.0, 0, margin], [0, 1.0, margin]]))
    readable = np.where(np.arange(SIZE)[:, None] > 16, 1.0, 0.0) * np.ones(SIZE)
    extension, found = HeadExtension(face_model, extended, camera, volume=volume), {}
    for sky in (0.0, -9.0):
        monkeypatch.setattr(wide_view, "person_log_odds", lambda image, sky=sky: outline(len(image), 27, sky))
        found[sky] = extension(result, coefficients, readable, region).scalp
    assert found[0.0].share.max() > 0.9
    assert found[-9.0].bald
    assert not found[-9.0].share.any()


def test_the_photo_of_a_bald_head_is_looked_at_once(case, extended, monkeypatch):
    """Its colours tell that it is bald; then it is dressed again, without hair."""
    _, result, _, face_model = case
    coefficients = face_model.layout.join(result.coarse.face.coefficients).numpy()
    region = PhotoRegion(np.full([SIZE + 40] * 2 + [3], 120, np.uint8), np.array([[1.0, 0, 20], [0, 1.0, 20]]))
    extension, looks = HeadExtension(face_model, extended, Camera((SIZE, SIZE))), []
    monkeypatch.setattr(wide_view, "person_log_odds", lambda image: looks.append(1) or outline(len(image), 0, 0.0))
    monkeypatch.setattr(Baldness, "__call__", lambda *_: True)
    assert extension(result, coefficients, np.ones([SIZE, SIZE]), region).scalp.bald
    assert len(looks) == 1


def outline(side: int, row: int, above: float) -> np.ndarray:
    """[side, side] log odds of a person who begins at a row of the picture; `above` are those above it."""
    return np.tile(np.where(np.arange(side)[:, None] < row, above, 9.0), (1, side))
