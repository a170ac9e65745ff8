"""Rigs: the validator finds nothing, weights move what they say, eyes are nodes about their centres."""

import dataclasses

import numpy as np
import pytest

from lib.mesh_export.gltf import Material
from lib.mesh_export.rig import RigMotion, RigPart, write_rig
from lib.mesh_export.rig_parts import head_parts
from tests.support.gltf.rigs import Rig
from tests.support.gltf.sheets import NAMES, PNG, SIDE, WEIGHTS, sheet
from tests.support.gltf.validator import faults


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("rig") / "rig.glb"
    eye = sheet("eyeLeft", np.array([0.3, 0.2, 0.1]))
    still = RigPart(**(vars(eye) | {"moves": 0 * eye.moves, "name": "eyeLeft"}))
    write_rig(path, [sheet("face"), still], NAMES, WEIGHTS, Material(PNG, PNG))
    return path


def test_the_khronos_validator_finds_nothing(path):
    assert faults(path) == [[]]


def test_weights_and_names_of_the_targets_that_move_a_mesh(path):
    rig = Rig.read(path)
    assert rig.names("face") == ["jawOpen", "browInnerUp"]
    assert rig.mesh("face")["weights"] == [0.25, -0.125]
    assert rig.names("eyeLeft") == []
    assert "weights" not in rig.mesh("eyeLeft")


def test_a_viewer_gets_the_displacements_and_normals(path):
    part, rig = sheet("face"), Rig.read(path)
    wanted = part.vertices + np.tensordot(WEIGHTS[:2], part.moves[:2], 1)
    np.testing.assert_allclose(rig.vertices("face"), wanted * 0.1, atol=1e-7)
    moved = rig.vertices("face", {"jawOpen": 1.0}, "NORMAL")
    unit = part.moved_normals[0] / np.linalg.norm(part.moved_normals[0], axis=1, keepdims=True)
    np.testing.assert_allclose(moved, unit, atol=1e-6)
    targets = rig.mesh("face")["primitives"][0]["targets"]
    assert "sparse" in rig.content["accessors"][targets[0]["POSITION"]]
    assert "sparse" not in rig.content["accessors"][targets[1]["POSITION"]]


def test_a_small_turn_of_the_skin_is_kept_and_rounding_is_not(tmp_path):
    """Three degrees, which a light from the side shows; a twentieth of a degree."""
    part = sheet("face")
    angles = np.radians(np.where(np.arange(len(part.vertices)) % 2, 3.0, 0.05))
    turned = np.stack([np.zeros_like(angles), np.sin(angles), np.cos(angles)], axis=1)
    tilted = dataclasses.replace(part, moved_normals=np.stack([turned] * 3))
    write_rig(tmp_path / "rig.glb", [tilted], NAMES, WEIGHTS, Material(PNG, PNG))
    found = Rig.read(tmp_path / "rig.glb").vertices("face", {"jawOpen": 1.0}, "NORMAL")
    np.testing.assert_allclose(found[1::2], turned[1::2], atol=1e-6)
    np.testing.assert_allclose(found[::2], part.normals[::2], atol=1e-7)


def test_an_eye_turns_about_its_pivot(path):
    rig, part = Rig.read(path), sheet("eyeLeft")
    assert rig.node("eyeLeft")["translation"] == pytest.approx([0.03, 0.02, 0.01])
    np.testing.assert_allclose(rig.vertices("eyeLeft"), part.vertices * 0.1, atol=1e-7)
    head = rig.node("head")
    assert [rig.content["nodes"][child]["name"] for child in head["children"]] == ["face", "eyeLeft"]


def test_a_motion_is_an_animation_of_weights_and_of_the_head(tmp_path):
    times, weights = np.array([0, 0.1, 0.3]), np.arange(9.0).reshape(3, 3) / 9
    motion = RigMotion(times, weights, np.tile([0.0, 0.6, 0.0, 0.8], (3, 1)))
    write_rig(tmp_path / "a.glb", [sheet("face"), sheet("teeth")], NAMES, weights[0], Material(PNG, PNG), motion)
    assert faults(tmp_path / "a.glb") == [[]]
    rig = Rig.read(tmp_path / "a.glb")
    (animation,) = rig.content["animations"]
    found = {
        (rig.content["nodes"][channel["target"]["node"]]["name"], channel["target"]["path"]): animation["samplers"][
            channel["sampler"]
        ]
        for channel in animation["channels"]
    }
    assert found.keys() == {("head", "rotation"), ("face", "weights"), ("teeth", "weights")}
    np.testing.assert_allclose(rig.values(found["head", "rotation"]["input"])[:, 0], times, rtol=1e-6)
    values = rig.values(found["face", "weights"]["output"]).reshape(3, 2)
    np.testing.assert_allclose(values, weights[:, :2], rtol=1e-6)  # the third target moves nothing


def test_an_eye_opens_turned_and_moves_in_an_animation(tmp_path):
    turns = np.array([[0.0, 0.6, 0.0, 0.8], [0.6, 0.0, 0.0, 0.8]])
    eye = dataclasses.replace(sheet("eyeLeft", np.array([0.3, 0.2, 0.1])), turn=turns[0])
    motion = RigMotion(np.array([0, 0.1]), np.zeros([2, 3]), np.tile([0.0, 0, 0, 1], (2, 1)), {"eyeLeft": turns})
    write_rig(tmp_path / "a.glb", [sheet("face"), eye], NAMES, WEIGHTS, Material(PNG, PNG), motion)
    rig = Rig.read(tmp_path / "a.glb")
    assert rig.node("eyeLeft")["rotation"] == turns[0].tolist()
    assert "rotation" not in rig.node("face")
    (animation,) = rig.content["animations"]
    targets = [channel["target"] for channel in animation["channels"]]
    place = targets.index({"node": 2, "path": "rotation"})
    np.testing.assert_allclose(rig.values(animation["samplers"][place]["output"]), turns, atol=1e-7)
    assert faults(tmp_path / "a.glb") == [[]]


def test_pieces_become_parts_by_their_regions():
    """A sheet that a seam joins to the mouth's inside, two eyes, a piece with teeth, one without, and a stray piece."""
    names = ("face", "face", "eyeRight", "eyeLeft", "teeth", "tongue", "face")
    xs = (0, 1, -0.4, 0.4, 0.0, 0.1, 3.0)
    pieces = [sheet("").vertices * (1.0 if number < 2 else 0.2) for number in range(7)]
    pieces[1] = pieces[1] * [1, 1, 0] + [0, 0, pieces[0].reshape(SIDE, SIDE, 3)[0, -1, 2]]
    pieces[0][:, 2] = pieces[1][0, 2]
    shape = np.concatenate(
        [piece + [x, 0, number > 1] for number, (piece, x) in enumerate(zip(pieces, xs, strict=True))]
    )
    count = SIDE * SIDE
    triangles = np.concatenate([sheet("").triangles + number * count for number in range(7)])
    owner = np.repeat(np.arange(7), count)
    regions = {"eye": np.isin(owner, (2, 3)), "mouth_inside": np.isin(owner, (1, 4, 5)), "teeth": owner == 4}
    regions["teeth"][4 * count : 4 * count + 40] = False  # gums
    regions = {name: values.astype(np.float32) for name, values in regions.items()}
    regions["iris"] = np.zeros(len(shape))
    regions["iris"][2 * count] = 1
    parts = {part.name: part for part in head_parts(shape, triangles, regions)}
    assert parts.keys() == set(names)
    for name, part in parts.items():
        wanted = [number for number, known in enumerate(names) if known == name]
        np.testing.assert_array_equal(np.unique(owner[triangles[part.triangles]]), wanted)
    assert len(parts["eyeRight"].round) == count - 1
    assert len(parts["face"].round) == 0
    (whole,) = head_parts(shape, triangles, {})
    assert (whole.name, len(whole.triangles)) == ("face", len(triangles))
