"""Binary glTF files: what is in them, byte by byte, and that others read the same."""

import json
import struct

import cv2
import numpy as np
import pytest
import trimesh

from lib.mesh_export.gltf import Material, srgb_to_linear, write_glb
from tests.support.gltf.validator import faults

VERTICES = np.array([[0, 0, 0], [1, 0, 0], [1, 2, 0.5], [0, 2, 0]], np.float32)
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
NORMALS = np.tile([0.0, 0, 2], (4, 1))
UV = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
TANGENTS = np.tile([1.0, 0, 0, 1], (4, 1))
COLOURS = np.array([[0, 0.002, 0.01], [0.05, 0.2, 0.5], [0.5, 0.75, 1], [1.3, -0.2, 0.9]])
PIXELS = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
PNG = cv2.imencode(".png", PIXELS[..., ::-1])[1].tobytes()


def chunks(path):
    """JSON and binary chunk of a .glb."""
    data = path.read_bytes()
    magic, version, length = struct.unpack("<4sII", data[:12])
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size = struct.unpack("<I", data[12:16])[0]
    return json.loads(data[20 : 20 + size]), data[20 + size + 8 :]


def textured(path):
    write_glb(path, VERTICES, TRIANGLES, NORMALS, Material(PNG, PNG), uv=UV, tangents=TANGENTS)
    return path


def unlit(path):
    write_glb(path, VERTICES, TRIANGLES, NORMALS, Material(PNG, unlit=True), uv=UV)
    return path


def coloured(path):
    write_glb(path, VERTICES, TRIANGLES, NORMALS, Material(), colours=COLOURS)
    return path


def test_the_transfer_function_is_srgb():
    np.testing.assert_allclose(srgb_to_linear([0, 0.04045, 0.5, 1]), [0, 0.0031308, 0.2140411, 1], atol=1e-6)


def test_vertex_colours_are_linear_and_exact_to_a_255th(tmp_path):
    content, binary = chunks(coloured(tmp_path / "a.glb"))
    accessor = content["accessors"][content["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]]
    assert (accessor["componentType"], accessor["type"], accessor["normalized"]) == (5123, "VEC4", True)
    start = content["bufferViews"][accessor["bufferView"]]["byteOffset"]
    linear = np.frombuffer(binary, np.uint16, 16, start).reshape(4, 4) / 65535
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(encoded[:, :3], np.clip(COLOURS, 0, 1), atol=0.5 / 255)
    np.testing.assert_array_equal(linear[:, 3], 1)


@pytest.mark.parametrize("write", [textured, unlit])
def test_trimesh_reads_the_same_mesh_and_texture(tmp_path, write):
    mesh = trimesh.load(write(tmp_path / "new" / "a.glb"), process=False, force="mesh")
    np.testing.assert_allclose(mesh.vertices, VERTICES * 0.1, atol=1e-7)  # metres
    np.testing.assert_array_equal(mesh.faces, TRIANGLES)
    np.testing.assert_allclose(mesh.visual.uv, UV, atol=1e-7)
    np.testing.assert_array_equal(np.asarray(mesh.visual.material.baseColorTexture.convert("RGB")), PIXELS)


def test_only_what_a_viewer_needs_is_there(tmp_path):
    content, _ = chunks(unlit(tmp_path / "a.glb"))
    assert content["meshes"][0]["primitives"][0]["attributes"].keys() == {"POSITION", "NORMAL", "TEXCOORD_0"}
    assert content["extensionsUsed"] == ["KHR_materials_unlit"]
    content, _ = chunks(textured(tmp_path / "b.glb"))
    assert "extensionsUsed" not in content
    attributes = content["meshes"][0]["primitives"][0]["attributes"]
    assert attributes.keys() == {"POSITION", "NORMAL", "TANGENT", "TEXCOORD_0"}  # no COLOR_0: it would be multiplied
    material = content["materials"][0]
    assert (material["pbrMetallicRoughness"]["metallicFactor"], material["normalTexture"]) == (0, {"index": 1})


def test_the_khronos_validator_finds_nothing(tmp_path):
    names = {"textured": textured, "unlit": unlit, "coloured": coloured}
    paths = [write(tmp_path / f"{name}.glb") for name, write in names.items()]
    # The test's own normals are not checked: they are scaled to length 1 on the way.
    assert faults(*paths) == [[], [], []]


def test_vertices_that_are_no_numbers_are_refused(tmp_path):
    with pytest.raises(ValueError, match="finite"):
        write_glb(tmp_path / "a.glb", VERTICES * np.nan, TRIANGLES, NORMALS, Material())
    assert not list(tmp_path.iterdir())
