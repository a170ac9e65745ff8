"""Export of meshes with vertex colours as OBJ (colours after the coordinates) or PLY (8 bits per channel)."""

import os
from pathlib import Path

import numpy as np

from lib.files.atomic import atomic_path
from lib.images.display import to_bytes


def write_mesh(
    path: str | os.PathLike, vertices: np.ndarray, triangles: np.ndarray, colours: np.ndarray | None = None
) -> None:
    """Writes a mesh; the suffix, .obj or .ply, selects the format.

    Coordinates are float32 in .ply and have seven decimals in .obj, vertices and triangles keep their order, colours
    are rounded to 8 bits.

    Args:
      path: the file; its folder is created.
      vertices: [N, 3], any unit.
      triangles: [F, 3] int, 0-based, counter-clockwise from outside; F = 0 for points alone.
      colours: [N, 3] RGB, clipped to [0, 1]; None for the shape alone.

    Raises:
      ValueError: another suffix, wrong shapes, indices out of range or values that are not finite.
    """
    path = Path(path)
    # In a small type such as uint8, the 1-based indices of .obj would overflow.
    vertices, triangles = np.asarray(vertices), np.asarray(triangles).astype(np.int64)
    shown = np.zeros_like(vertices) if colours is None else np.asarray(colours)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or shown.shape != vertices.shape:
        raise ValueError(f"vertices and colours must be [N, 3], got {list(vertices.shape)} and {list(shown.shape)}")
    if triangles.ndim != 2 or triangles.shape[1] != 3:
        raise ValueError(f"triangles must be [F, 3], got {list(triangles.shape)}")
    if len(triangles) and (triangles.min() < 0 or triangles.max() >= len(vertices)):
        got = f"{triangles.min()} to {triangles.max()}"
        raise ValueError(f"triangles must hold indices below {len(vertices)}, from 0, got {got}")
    if not (np.isfinite(vertices).all() and np.isfinite(shown).all()):
        raise ValueError("vertices and colours must be finite, got NaN or infinity")
    vertices = vertices.astype(np.float32)
    rgba = None if colours is None else _bytes(shown)
    kind = path.suffix.lower()
    if kind == ".obj":
        data = _obj(vertices, triangles, rgba)
    elif kind == ".ply":
        data = _ply(vertices, triangles, rgba)
    else:
        raise ValueError(f"mesh files must end in .obj or .ply, got {path.name}")
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def text_rows(form: str, values: np.ndarray) -> str:
    """One line per row of values [N, C], with a single formatting operation for speed."""
    return ((form + "\n") * len(values)) % tuple(values.reshape(-1).tolist())


def _obj(vertices: np.ndarray, triangles: np.ndarray, rgba: np.ndarray | None) -> bytes:
    """OBJ with colours [N, 4] after the coordinates."""
    rows, form = vertices.astype(np.float64), "v %.7f %.7f %.7f"
    if rgba is not None:
        rows, form = np.column_stack([rows, rgba[:, :3] / 255]), form + " %.7f %.7f %.7f"
    text = "# 3d-face-gcns\n" + text_rows(form, rows) + text_rows("f %d %d %d", triangles + 1) + "\n"
    return text.encode("utf-8")


def _ply(vertices: np.ndarray, triangles: np.ndarray, rgba: np.ndarray | None) -> bytes:
    """Binary PLY with colours [N, 4]."""
    colours = () if rgba is None else ("red", "green", "blue", "alpha")
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {len(vertices)}",
        *(f"property float {axis}" for axis in "xyz"),
        *(f"property uchar {channel}" for channel in colours),
        f"element face {len(triangles)}",
        "property list uchar int vertex_indices",
        "end_header\n",
    ]
    vertex = np.zeros(len(vertices), [("position", "<f4", 3), ("colour", "u1", len(colours))])
    vertex["position"] = vertices
    if rgba is not None:
        vertex["colour"] = rgba
    face = np.zeros(len(triangles), [("count", "u1"), ("corners", "<i4", 3)])
    face["count"], face["corners"] = 3, triangles
    return "\n".join(header).encode("ascii") + vertex.tobytes() + face.tobytes()


def _bytes(colours: np.ndarray) -> np.ndarray:
    """uint8 RGBA, opaque, from RGB in [0, 1]."""
    rgb = to_bytes(colours)
    return np.concatenate([rgb, np.full((len(rgb), 1), 255, np.uint8)], axis=1)
