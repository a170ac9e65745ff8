"""Export of one mesh as a binary glTF 2.0 file, textured or with vertex colours.

trimesh's exporter supports neither unlit materials nor vertex colours of more than 8 bits. Vertex colours are linear in
glTF, so 8 bits would cause errors of up to 12 / 255 in dark colours. Files pass the Khronos validator
(tests/lib/mesh_export/test_gltf.py).
"""

import dataclasses
import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

from lib.files.atomic import atomic_path

METRES_PER_DECIMETRE = 0.1
# Roughness of skin: between glossy and fully matte.
ROUGHNESS = 0.6
FLOAT, UNSIGNED_SHORT, UNSIGNED_INT = 5126, 5123, 5125
VERTEX_BUFFER, INDEX_BUFFER = 34962, 34963
LINEAR, LINEAR_MIPMAP_LINEAR, CLAMP_TO_EDGE = 9729, 9987, 33071
JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942


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
    vertices = np.asarray(vertices, np.float32) * np.float32(METRES_PER_DECIMETRE)
    if not np.isfinite(vertices).all():
        raise ValueError("vertices must be finite, got NaN or infinity")
    lengths = np.linalg.norm(normals, axis=-1, keepdims=True)
    # A vertex without triangles has no normal; any direction is valid.
    normals = np.where(lengths > 0, normals / np.where(lengths > 0, lengths, 1), [0, 0, 1])
    file = _Buffer()
    attributes = {
        "POSITION": file.accessor(vertices, "VEC3", FLOAT, VERTEX_BUFFER, bounds=True),
        "NORMAL": file.accessor(normals.astype(np.float32), "VEC3", FLOAT, VERTEX_BUFFER),
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
    content = {
        "asset": {"version": "2.0", "generator": "3d-face-gcns"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "face"}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": indices, "material": 0}]}],
        **_material(material, file),
    }
    content |= {"accessors": file.accessors, "bufferViews": file.views, "buffers": [{"byteLength": len(file.data)}]}
    with atomic_path(path) as temporary:
        _write(temporary, content, bytes(file.data))


class _Buffer:
    """Builder of the binary chunk with its views and accessors, aligned to four bytes."""

    def __init__(self):
        self.data = bytearray()
        self.views: list[dict] = []
        self.accessors: list[dict] = []

    def view(self, data: bytes, target: int | None = None) -> int:
        """Adds a buffer view and returns its index."""
        entry = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        self.views.append(entry | ({"target": target} if target else {}))
        self.data += data + bytes(-len(data) % 4)
        return len(self.views) - 1

    def accessor(
        self, values: np.ndarray, kind: str, component: int, target: int, bounds: bool = False, normalized: bool = False
    ) -> int:
        """Adds an accessor over `values` and returns its index."""
        entry = {
            "bufferView": self.view(np.ascontiguousarray(values).tobytes(), target),
            "componentType": component,
            "count": len(values),
            "type": kind,
        }
        if normalized:
            entry["normalized"] = True
        if bounds:
            entry |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        self.accessors.append(entry)
        return len(self.accessors) - 1


def _material(material: Material, file: _Buffer) -> dict:
    """The JSON entries of the material, its textures and images."""
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


def _write(path: Path, content: dict, binary: bytes) -> None:
    """Writes the container: header, JSON chunk, binary chunk."""
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    with open(path, "wb") as stream:
        stream.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(binary)))
        stream.write(struct.pack("<II", len(text), JSON_CHUNK) + text)
        stream.write(struct.pack("<II", len(binary), BINARY_CHUNK) + binary)
