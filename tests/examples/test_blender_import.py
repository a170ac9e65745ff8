"""The Blender script, with Blender or its package bpy: shape keys, weights, materials and textures arrive."""

import importlib.util
import shutil
import subprocess
import sys

import numpy as np
import pytest

from examples import blender_import
from lib.mesh_export.gltf import Material
from lib.mesh_export.rig import write_rig
from lib.mesh_export.textured_obj import write_textured_obj
from lib.mesh_export.uv_chart import uncut
from tests.support.gltf.sheets import NAMES, PNG, WEIGHTS, sheet
from tests.support.helpers import ROOT

SCRIPT = ROOT / "examples" / "blender_import.py"
LOOK = """
import sys, bpy
bpy.ops.wm.open_mainfile(filepath=sys.argv[-1])
for item in bpy.data.objects:
    if item.type == "MESH":
        keys = item.data.shape_keys.key_blocks[1:] if item.data.shape_keys else []
        print("FOUND", item.name, *(f"{key.name}={key.value:.3f}" for key in keys))
        placed = [item.matrix_world @ vertex.co for vertex in item.data.vertices]
        print("SIZE", *(f"{max(p[i] for p in placed) - min(p[i] for p in placed):.3f}" for i in range(3)))
        normal = item.matrix_world.to_3x3() @ item.data.vertices[0].normal
        print("FRONT", round(normal.normalized().y))
print("PACKED", sum(image.packed_file is not None for image in bpy.data.images))
"""


def blender(script, *words) -> str:
    """Runs a script in Blender or with its package, and returns what it prints."""
    if importlib.util.find_spec("bpy") is not None:
        command = [sys.executable, str(script), *map(str, words)]
    elif (program := shutil.which("blender")) is not None:
        command = [program, "--background", "--python-exit-code", "1", "--python", str(script), "--", *map(str, words)]
    else:
        pytest.skip("needs Blender or its package bpy (pip install bpy==4.5.15; 373 MB, so in no requirements file)")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_rig_arrives_with_shape_keys_and_textures(tmp_path):
    write_rig(tmp_path / "anna" / "rig.glb", [sheet("face")], NAMES, WEIGHTS, Material(PNG, PNG))
    printed = blender(SCRIPT, tmp_path / "anna", tmp_path / "a.blend", "--fbx", tmp_path / "a.fbx")
    assert "face: 144 vertices, 2 shape keys, material skin" in printed
    (tmp_path / "look.py").write_text(LOOK, encoding="utf-8")
    found = blender(tmp_path / "look.py", tmp_path / "a.blend").splitlines()
    assert "FOUND face jawOpen=0.250 browInnerUp=-0.125" in found
    assert "PACKED 2" in found
    assert "FRONT -1" in found
    fbx = (tmp_path / "a.fbx").read_bytes()
    assert fbx.startswith(b"Kaydara FBX Binary")
    assert b"jawOpen" in fbx
    assert PNG in fbx


def test_an_obj_arrives_upright_in_metres(tmp_path):
    part = sheet("face")
    (tmp_path / "mesh_albedo.png").write_bytes(PNG)
    chart = uncut(part.uv, part.triangles)
    write_textured_obj(tmp_path / "mesh.obj", part.vertices, part.normals, chart, {"albedo": "mesh_albedo.png"})
    assert "144 vertices, 0 shape keys" in blender(SCRIPT, tmp_path / "mesh.obj", tmp_path / "a.blend")
    (tmp_path / "look.py").write_text(LOOK, encoding="utf-8")
    found = blender(tmp_path / "look.py", tmp_path / "a.blend").splitlines()
    (sides,) = [np.array(line.split()[1:], float) for line in found if line.startswith("SIZE")]
    np.testing.assert_allclose(sides[[0, 2]], 0.1, atol=1e-3)  # z is up
    assert sides[1] < 0.02
    assert "FRONT -1" in found


def test_the_best_file_of_a_folder(tmp_path):
    with pytest.raises(SystemExit, match=r"must hold rig\.glb, mesh\.glb or mesh\.obj, got none"):
        blender_import.source_file(tmp_path)
    for name in reversed(blender_import.FILES):
        (tmp_path / name).touch()
        assert blender_import.source_file(tmp_path) == tmp_path / name
    assert blender_import.source_file(tmp_path / "mesh.obj") == tmp_path / "mesh.obj"


def test_outside_of_blender_it_says_where_to_run(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bpy", None)
    with pytest.raises(SystemExit, match="must run in Blender"):
        blender_import.main([str(tmp_path / "mesh.glb"), str(tmp_path / "a.blend")])
