"""Export of meshes with vertex colours as OBJ (colours after the coordinates) or PLY (8 bits per channel)."""

import os
from pathlib import Path

import numpy as np

from lib.files.atomic import atomic_path


def write_mesh(
    path: str | os.PathLike, vertices: np.ndarray, triangles: np.ndarray, colours: np.ndarray | None = None
) -> None:
    """Writes a mesh; the suffix, .obj or .ply, selects the format.

    Coordinates keep float32 precision, vertices and triangles keep their order, colours are rounded to 8 bits.

    Args:
      path: the file; its folder is created.
      vertices: [N, 3], any unit.
      triangles: [F, 3] int, 0-based, counter-clockwise from outside.
      colours: [N, 3] RGB, clipped to [0, 1]; None for the shape alone.

    Raises:
      ValueError: another suffix, wrong shapes, indices out of range or values that are not finite.
    """
    import trimesh  # imported here because most runs write no such files, and it takes half a second

    path = Path(path)
    vertices, triangles = np.asarray(vertices), np.asarray(triangles)
    shown = np.zeros_like(vertices) if colours is None else np.asarray(colours)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or shown.shape != vertices.shape:
        raise ValueError(f"vertices and colours must be [N, 3], got {list(vertices.shape)} and {list(shown.shape)}")
    if triangles.ndim != 2 or triangles.shape[1] != 3 or triangles.min() < 0 or triangles.max() >= len(vertices):
        raise ValueError(f"triangles must be [F, 3] with indices below {len(vertices)}, got {list(triangles.shape)}")
    if not (np.isfinite(vertices).all() and np.isfinite(shown).all()):
        raise ValueError("vertices and colours must be finite, got NaN or infinity")
    rgba = None if colours is None else _bytes(shown)
    mesh = trimesh.Trimesh(vertices.astype(np.float32), triangles, vertex_colors=rgba, process=False, validate=False)
    kind = path.suffix.lower()
    if kind == ".obj":
        data = trimesh.exchange.obj.export_obj(mesh, include_normals=False, include_texture=False, digits=7, header="")
    elif kind == ".ply":
        data = trimesh.exchange.ply.export_ply(mesh, encoding="binary", vertex_normal=False)
    else:
        raise ValueError(f"mesh files must end in .obj or .ply, got {path.name}")
    with atomic_path(path) as temporary:
        temporary.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8"))


def _bytes(colours: np.ndarray) -> np.ndarray:
    """uint8 RGBA, opaque, from RGB in [0, 1]."""
    rgb = np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8)
    return np.concatenate([rgb, np.full((len(rgb), 1), 255, np.uint8)], axis=1)
