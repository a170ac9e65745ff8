"""One mesh as a binary glTF 2.0 file, either textured or with vertex colours.

trimesh's exporter knows neither unlit materials nor vertex colours of more than 8 bits, and those are linear in glTF:
8 bits would leave the dark ones 12 / 255 off. Validated by the Khronos validator (tests/lib/mesh_export/test_gltf.py).
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
# Skin: neither a mirror nor chalk.
ROUGHNESS = 0.6
FLOAT, UNSIGNED_SHORT, UNSIGNED_INT = 5126, 5123, 5125
VERTEX_BUFFER, INDEX_BUFFER = 34962, 34963
LINEAR, LINEAR_MIPMAP_LINEAR, CLAMP_TO_EDGE = 9729, 9987, 33071
JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942


@dataclasses.dataclass(frozen=True, eq=False)
class Material:
    """Surface of a mesh: its textures, or vertex colours, and whether light falls on it.

    Attributes:
      base_colour: PNG file's bytes, sRGB, or None for vertex colours.
      normals: PNG file's bytes of a tangent-space normal map (green up), or None.
      unlit: the colours are shown as they are: light is in them already (KHR_materials_unlit).
    """

    base_colour: bytes | None = None
    normals: bytes | None = None
    unlit: bool = False


def srgb_to_linear(colours: np.ndarray) -> np.ndarray:
    """Light intensity of sRGB values in [0, 1] (IEC 61966-2-1)."""
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
    """Writes a mesh; y is up and z is the face's front already, only the unit changes, to metres.

    Both sides are drawn: a face is an open surface.

    Args:
      path: of the .glb file; its folder is made.
      vertices: [M, 3] decimetres.
      triangles: [F, 3] int, counter-clockwise from outside.
      normals: [M, 3]; scaled to length 1.
      material: of the whole mesh.
      uv: [M, 2], u right, v up, if the material has textures.
      tangents: [M, 4] of `lib.mesh_export.uv_chart.tangents`, if it has a normal map (viewers differ in their own).
      colours: [M, 3] sRGB in [0, 1], if it has none; written linear, 16 bits a channel.
    """
    vertices = np.asarray(vertices, np.float32) * np.float32(METRES_PER_DECIMETRE)
    if not np.isfinite(vertices).all():
        raise ValueError("vertices must be finite, got NaN or infinity")
    lengths = np.linalg.norm(normals, axis=-1, keepdims=True)
    # A vertex without a triangle has no normal; any direction is valid there.
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
    """Collects the binary chunk with its views and accessors, each starting at a multiple of four bytes."""

    def __init__(self):
        self.data = bytearray()
        self.views: list[dict] = []
        self.accessors: list[dict] = []

    def view(self, data: bytes, target: int | None = None) -> int:
        """Index of a new buffer view."""
        entry = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        self.views.append(entry | ({"target": target} if target else {}))
        self.data += data + bytes(-len(data) % 4)
        return len(self.views) - 1

    def accessor(
        self, values: np.ndarray, kind: str, component: int, target: int, bounds: bool = False, normalized: bool = False
    ) -> int:
        """Index of a new accessor over `values`."""
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
    """The parts of the file that make up the material."""
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
    """The container: header, JSON chunk, binary chunk."""
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    with open(path, "wb") as stream:
        stream.write(struct.pack("<4sII", b"glTF", 2, 12 + 8 + len(text) + 8 + len(binary)))
        stream.write(struct.pack("<II", len(text), JSON_CHUNK) + text)
        stream.write(struct.pack("<II", len(binary), BINARY_CHUNK) + binary)
