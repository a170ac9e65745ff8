"""Export of one mesh as a binary glTF 2.0 file, textured or with vertex colours.

trimesh's exporter supports neither unlit materials nor vertex colours of more than 8 bits. Vertex colours are linear in
glTF, so 8 bits would cause errors of up to 6 / 255 in dark colours. Files pass the Khronos validator
(tests/lib/mesh_export/test_gltf.py).
"""

import dataclasses
import os
from typing import Any

import numpy as np

from lib.geometry.lengths import lengths
from lib.mesh_export.glb_file import FLOAT, INDEX_BUFFER, UNSIGNED_INT, UNSIGNED_SHORT, VERTEX_BUFFER, GlbFile

METRES_PER_DECIMETRE = 0.1
# Roughness of skin: between glossy and fully matte.
ROUGHNESS = 0.6
LINEAR, LINEAR_MIPMAP_LINEAR, CLAMP_TO_EDGE = 9729, 9987, 33071


@dataclasses.dataclass(frozen=True, eq=False)
class Material:
    """Material of a mesh: textures or vertex colours, and whether it is lit.

    Attributes:
      base_colour: contents of a PNG file, sRGB, or None for vertex colours.
      normals: contents of the PNG file of a tangent-space normal map (green up), or None.
      unlit: show colours without lighting, because they already include light (KHR_materials_unlit).
    """

    base_colour: bytes | None = None
    normals: bytes | None = None
    unlit: bool = False


def srgb_to_linear(colours: np.ndarray) -> np.ndarray:
    """Converts sRGB values in [0, 1] to linear intensity (IEC 61966-2-1)."""
    colours = np.clip(np.asarray(colours, np.float64), 0, 1)
    return np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)


def write_glb(
    path: str | os.PathLike,
    vertices: np.ndarray,
    triangles: np.ndarray,
    normals: np.ndarray,
    material: Material,
    uv: np.ndarray | None = None,
    tangents: np.ndarray | None = None,
    colours: np.ndarray | None = None,
) -> None:
    """Writes a mesh in metres; y is up and z points out of the face, as in the input.

    The material is double-sided, because a face is an open surface.

    Args:
      path: the .glb file; its folder is created.
      vertices: [M, 3] decimetres.
      triangles: [F, 3] int, counter-clockwise from outside.
      normals: [M, 3]; normalised before writing.
      material: material of the whole mesh.
      uv: [M, 2], u right, v up; required for textures.
      tangents: [M, 4] from `lib.mesh_export.uv_chart.tangents`; required for a normal map, because viewers compute
        different ones.
      colours: [M, 3] sRGB in [0, 1], if there are no textures; written as linear, 16 bits per channel.
    """
    file = GlbFile()
    primitive = add_primitive(file, vertices, triangles, normals, uv, tangents, colours)
    content = {
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "face"}],
        "meshes": [{"primitives": [primitive]}],
        **add_material(file, material),
    }
    file.write(path, content)


def add_primitive(
    file: GlbFile,
    vertices: np.ndarray,
    triangles: np.ndarray,
    normals: np.ndarray,
    uv: np.ndarray | None = None,
    tangents: np.ndarray | None = None,
    colours: np.ndarray | None = None,
) -> dict[str, Any]:
    """Adds a mesh to a file and returns its primitive, with material 0; the arguments are described in `write_glb`."""
    vertices = np.asarray(vertices, np.float32) * np.float32(METRES_PER_DECIMETRE)
    if not np.isfinite(vertices).all():
        raise ValueError("vertices must be finite, got NaN or infinity")
    attributes = {
        "POSITION": file.accessor(vertices, "VEC3", FLOAT, VERTEX_BUFFER, bounds=True),
        "NORMAL": file.accessor(unit_normals(normals), "VEC3", FLOAT, VERTEX_BUFFER),
    }
    if tangents is not None:
        attributes["TANGENT"] = file.accessor(tangents.astype(np.float32), "VEC4", FLOAT, VERTEX_BUFFER)
    if uv is not None:
        down = np.column_stack([uv[:, 0], 1 - uv[:, 1]]).astype(np.float32)
        attributes["TEXCOORD_0"] = file.accessor(down, "VEC2", FLOAT, VERTEX_BUFFER)
    if colours is not None:
        linear = np.rint(srgb_to_linear(colours) * 65535).astype(np.uint16)
        opaque = np.column_stack([linear, np.full(len(linear), 65535, np.uint16)])
        attributes["COLOR_0"] = file.accessor(opaque, "VEC4", UNSIGNED_SHORT, VERTEX_BUFFER, normalized=True)
    indices = file.accessor(np.asarray(triangles, np.uint32).reshape(-1), "SCALAR", UNSIGNED_INT, INDEX_BUFFER)
    return {"attributes": attributes, "indices": indices, "material": 0}


def unit_normals(normals: np.ndarray) -> np.ndarray:
    """Normals [M, 3] scaled to length 1, float32; a vertex without triangles has none and gets the z axis."""
    length = lengths(normals)
    return np.where(length > 0, normals / np.where(length > 0, length, 1), [0, 0, 1]).astype(np.float32)


def add_material(file: GlbFile, material: Material) -> dict[str, Any]:
    """Adds a material's images to a file and returns the JSON entries of material, textures and images."""
    surface: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": ROUGHNESS}
    entry: dict[str, Any] = {"name": "skin", "doubleSided": True, "pbrMetallicRoughness": surface}
    images: list[bytes] = []
    if material.base_colour is not None:
        surface["baseColorTexture"] = {"index": len(images)}
        images.append(material.base_colour)
    if material.normals is not None:
        entry["normalTexture"] = {"index": len(images)}
        images.append(material.normals)
    content: dict[str, Any] = {"materials": [entry]}
    if material.unlit:
        entry["extensions"] = {"KHR_materials_unlit": {}}
        content["extensionsUsed"] = ["KHR_materials_unlit"]
    if images:
        content["images"] = [{"mimeType": "image/png", "bufferView": file.view(image)} for image in images]
        content["textures"] = [{"source": index, "sampler": 0} for index in range(len(images))]
        content["samplers"] = [
            {
                "magFilter": LINEAR,
                "minFilter": LINEAR_MIPMAP_LINEAR,
                "wrapS": CLAMP_TO_EDGE,
                "wrapT": CLAMP_TO_EDGE,
            }
        ]
    return content
