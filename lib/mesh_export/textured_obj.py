"""Export of a textured mesh as OBJ with a .mtl file that refers to PNG textures."""

import os
from pathlib import Path

import numpy as np

from lib.files.atomic import atomic_path
from lib.mesh_export.mesh_io import text_rows
from lib.mesh_export.uv_chart import UvChart

MATERIAL = """\
# map_Kd: the colour of the skin.{lit_note}
newmtl face
Ka 0 0 0
Kd 1 1 1
Ks 0 0 0
illum 1
map_Kd {albedo}
"""
LIT_NOTE = " {lit} beside it is the same with the photo's light, for viewers without light."
# Tangent space, green up, as in Blender and glTF.
NORMAL_MAP = "norm {normals}\n"


def write_textured_obj(
    path: str | os.PathLike, vertices: np.ndarray, normals: np.ndarray, chart: UvChart, textures: dict[str, str]
) -> None:
    """Writes <name>.obj and <name>.mtl; vertices keep their order, texture coordinates are indexed separately.

    Args:
      path: the .obj file; its folder is created.
      vertices: [N, 3], any unit.
      normals: [N, 3] unit vectors.
      chart: chart of the mesh.
      textures: names of the texture files in the same folder: `albedo` and optionally `lit` and `normals`.
    """
    path = Path(path)
    material = path.with_suffix(".mtl")
    with atomic_path(material) as temporary:
        text = MATERIAL + (NORMAL_MAP if "normals" in textures else "")
        note = LIT_NOTE.format(**textures) if "lit" in textures else ""
        temporary.write_text(text.format(lit_note=note, **textures), encoding="utf-8")
    corners, points = chart.mesh_triangles + 1, chart.triangles + 1
    # Corners are written as vertex/texture coordinate/normal.
    columns = [column for k in range(3) for column in (corners[:, k], points[:, k], corners[:, k])]
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as stream:
        stream.write(f"mtllib {material.name}\no face\n")
        stream.write(text_rows("v %.7g %.7g %.7g", vertices))
        stream.write(text_rows("vt %.7g %.7g", chart.uv))
        stream.write(text_rows("vn %.5f %.5f %.5f", normals))
        stream.write("usemtl face\ns 1\n")
        stream.write(text_rows("f %d/%d/%d %d/%d/%d %d/%d/%d", np.column_stack(columns)))
