"""Thickness of the hair on a whole head, from the outline that the photo shows."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

from lib.face_image.region import PhotoRegion
from lib.geometry.camera import Camera
from lib.mesh_export.gltf import Material
from lib.mesh_renderer.fragments import triangle_ids
from model import rig
from model.morphable_model import MorphableModel
from model.whole_head.hair.hair_shape import LARGEST, USUAL, HairShape
from model.whole_head.scalp_mesh import widened
from model.whole_head.wide_view import WideView

SIZE = 96
HAIR, WALL = [60, 35, 20], [90, 120, 200]


@pytest.fixture(scope="module")
def case(extended, count):
    """Hair of a head, the head in the middle of the picture, the pixels that show it, and their number a decimetre."""
    model, camera = extended.model, Camera((SIZE, SIZE))
    morphable = MorphableModel(model)
    face = morphable.posed(tf.zeros([1, model.layout.size]), camera)
    wide = widened(camera)
    head = triangle_ids(wide.clip_coordinates(face.vertices), morphable.triangles, wide.image_size)[0].numpy() >= 0
    return HairShape(morphable, count), face, head, wide.focal_length / wide.distance


def view(shape: HairShape, face, head: np.ndarray, pixels: float, wall: list = WALL) -> WideView:
    """A photo of a head all of whose outline is hair of a thickness, before a wall; its colours vary a little."""
    outside = cv2.distanceTransform(np.uint8(~head), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    colours = np.where((outside <= pixels)[..., None], HAIR, wall)
    noise = np.random.default_rng(0).integers(-6, 7, colours.shape)
    margin = (len(head) - SIZE) / 2
    region = PhotoRegion(np.uint8(np.clip(colours + noise, 0, 255)), np.array([[1.0, 0, margin], [0, 1.0, margin]]))
    return WideView.of(shape._morphable, Camera((SIZE, SIZE)), face, np.zeros([SIZE, SIZE]), region)


def beside(shape: HairShape, face, lift: np.ndarray) -> np.ndarray:
    """Lengths of the displacement where the picture shows the outline of the scalp's upper half, well inside it."""
    places = face.shape[0].numpy()
    inside = shape._scalp > 0.99
    middle = places[inside].mean(axis=0)
    offset = (places - middle) / np.linalg.norm(places - middle, axis=1, keepdims=True)
    return np.linalg.norm(lift[inside & (np.abs(offset[:, 2]) < 0.2) & (offset[:, 1] > 0.5)], axis=1)


@pytest.mark.parametrize("thickness", [0.0, 0.15, 0.3])
def test_hair_is_as_thick_as_its_outline(case, thickness):
    shape, face, head, scale = case
    found = shape(face, view(shape, face, head, thickness * scale))
    lengths = beside(shape, face, found.lift)
    assert len(lengths) > 10
    assert np.median(lengths) == pytest.approx(thickness, abs=0.06)
    outside = cv2.distanceTransform(np.uint8(~head), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    assert np.median(found.wall[outside <= thickness * scale]) > 1
    assert np.median(found.wall[outside > thickness * scale + 1]) < -1


def test_a_tuft_is_thicker_than_hair_around_it(case):
    """Only the top of the outline is hair; what the photo does not show of the scalp has the usual thickness."""
    shape, face, head, scale = case
    seen = view(shape, face, head, 0.45 * scale)
    row = np.arange(len(head))[:, None]
    below = ~head & (row > np.flatnonzero(head.any(axis=1))[0] + 0.06 * len(head))
    image = np.where(below[..., None], np.float32(WALL) / 255, seen.image)
    lift = shape(face, dataclasses.replace(seen, image=image)).lift
    assert np.median(beside(shape, face, lift)) > USUAL + 0.02


def test_hair_without_volume_is_told_from_the_wall(case, count):
    shape, face, head, scale = case
    seen = view(shape, face, head, 0.15 * scale)
    flat = HairShape(shape._morphable, count, volume=False)(face, seen)
    assert not flat.lift.any()
    assert flat.curtain is None
    np.testing.assert_array_equal(flat.wall, shape(face, seen).wall)


def test_only_the_scalp_moves_smoothly_and_not_too_far(case):
    shape, face, head, scale = case
    lift = shape(face, view(shape, face, head, 0.4 * scale)).lift
    model = shape._morphable.face_model
    assert not lift[model.regions["scalp"] == 0].any()
    assert not lift[model.landmarks].any()
    length = np.linalg.norm(lift, axis=1)
    assert 0.3 < length.max() <= LARGEST + 1e-5
    places = face.shape[0].numpy()
    edges = model.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    apart = np.linalg.norm(places[edges[:, 0]] - places[edges[:, 1]], axis=1)
    step = np.linalg.norm(lift[edges[:, 0]] - lift[edges[:, 1]], axis=1)
    assert (step - 1.5 * apart).max() < 0.02, "spikes"
    low = places[:, 1] < np.quantile(places[model.regions["scalp"] > 0, 1], 0.05)
    assert length[low].max() < 0.1, "the nape"


@pytest.mark.parametrize("region", ["none", "like the wall"])
def test_hair_without_an_outline_has_the_usual_thickness(case, region):
    shape, face, head, scale = case
    found = shape(face, None if region == "none" else view(shape, face, head, 0.3 * scale, wall=HAIR))
    assert np.median(beside(shape, face, found.lift)) == pytest.approx(USUAL, abs=0.03)


def test_the_hidden_side_gets_about_the_same(case):
    shape, face, head, scale = case
    lift = shape(face, view(shape, face, head, 0.3 * scale)).lift
    places, inside = face.shape[0].numpy(), shape._scalp > 0.99
    behind = inside & (places[:, 2] < np.quantile(places[inside, 2], 0.2)) & (places[:, 1] > 0.5)
    assert 0.1 < np.median(np.linalg.norm(lift[behind], axis=1)) < 0.35


def test_rigs_have_the_volume_and_move_as_without(case, extended, monkeypatch):
    written = {}
    monkeypatch.setitem(rig.WRITERS, ".glb", lambda path, parts, *_: written.update({path.stem: parts}))
    morphable = case[0]._morphable
    model, write = morphable.face_model, rig.RigWriter(morphable, extended.chart)
    lift = np.zeros([model.vertex_count, 3], np.float32)
    lift[:, 2] = 0.1 * model.regions["scalp"]
    person = np.zeros(model.layout.identity, np.float32), np.zeros(model.layout.expression, np.float32)
    for name, added in (("with", lift), ("without", 0.0)):
        write([Path(f"{name}.glb")], *person, None, Material(), lift=added)
    ours, theirs = written["with"][0], written["without"][0]
    assert np.abs(ours.vertices - theirs.vertices).max() == pytest.approx(0.1)
    np.testing.assert_array_equal(ours.moves, theirs.moves)
