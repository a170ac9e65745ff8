"""Reader for Wavefront OBJ meshes that keeps the file's vertex order, which mesh libraries change at texture seams."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.errors import UserError


@dataclass(frozen=True)
class ObjMesh:
    """A mesh in the vertex order of its file.

    Attributes:
      vertices: [N, 3] in the file's units.
      triangles: [F, 3], larger polygons split.
      uv: [N, 2] texture coordinates; None if missing, or if a vertex has several.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray | None


def read_vertices(path: Path, kept: int | None = None, total: int | None = None) -> np.ndarray:
    """Reads the first `kept` vertices [kept, 3] of an OBJ file, all by default.

    Raises:
      UserError: the file is missing, has fewer vertices than `kept`, not exactly `total` if given, or bad numbers.
    """
    try:
        lines = [line.split()[1:4] for line in path.read_bytes().split(b"\n") if line.startswith(b"v ")]
    except OSError as error:
        raise UserError(f"{path}: must be an OBJ file, got {error.strerror}") from None
    if len(lines) < (kept or 1) or (total is not None and len(lines) != total):
        expected = f"at least {kept or 1}" if total is None else f"{total}, as the other meshes in its folder,"
        raise UserError(f"{path}: must have {expected} vertices, got {len(lines)}")
    try:
        vertices = np.array(lines[:kept], np.float64).reshape(-1, 3)
    except ValueError as error:
        raise UserError(f"{path}: must have three numbers for each vertex, got something else ({error})") from None
    if not np.isfinite(vertices).all():
        raise UserError(f"{path}: coordinates must be finite, got NaN or infinity")
    return vertices


def vertex_count(path: Path) -> int:
    """Number of vertices in an OBJ file."""
    return sum(line.startswith(b"v ") for line in path.read_bytes().split(b"\n"))


def read_obj(path: Path) -> ObjMesh:
    """Reads vertices, triangles and texture coordinates; ignores everything else.

    Raises:
      UserError: the file is not an OBJ file with polygons.
    """
    vertices = read_vertices(path)
    lines = path.read_bytes().split(b"\n")
    polygons = [[corner.split(b"/") for corner in line.split()[1:]] for line in lines if line.startswith(b"f ")]
    try:
        corners = [np.array([corner[0] for corner in polygon], np.int64) for polygon in polygons]
    except ValueError as error:
        raise UserError(f"{path}: polygons must name vertices by numbers (f v v v), got others ({error})") from None
    # Negative numbers count from the end of the list.
    corners = [np.where(polygon < 0, polygon + len(vertices), polygon - 1) for polygon in corners]
    if not corners or min(map(len, corners)) < 3:
        raise UserError(f"{path}: must have polygons of three corners or more, got {len(corners)} polygons")
    flat = np.concatenate(corners)
    if flat.min() < 0 or flat.max() >= len(vertices):
        raise UserError(f"{path}: polygons must use the {len(vertices)} vertices there are, got {flat.max() + 1}")
    pieces = []
    for size in sorted({len(polygon) for polygon in corners}):
        same = np.array([polygon for polygon in corners if len(polygon) == size])
        pieces.append(split_quads(vertices, same) if size == 4 else _fans(same))
    return ObjMesh(vertices, np.concatenate(pieces), _texture_coordinates(lines, polygons, flat, len(vertices)))


def split_quads(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Splits quads [Q, 4] along their shorter diagonals into triangles [2 Q, 3] with the same winding."""
    a, b, c, d = (vertices[quads[:, corner]] for corner in range(4))
    first = np.linalg.norm(a - c, axis=1) <= np.linalg.norm(b - d, axis=1)
    halves = np.where(first[:, None], quads[:, [0, 1, 2, 0, 2, 3]], quads[:, [0, 1, 3, 1, 2, 3]])
    return halves.reshape(-1, 3)


def _fans(polygons: np.ndarray) -> np.ndarray:
    """Splits polygons [P, S] into triangle fans around their first corners."""
    steps = range(1, polygons.shape[1] - 1)
    return np.concatenate([polygons[:, [0, step, step + 1]] for step in steps])


def _texture_coordinates(lines: list[bytes], polygons: list, corners: np.ndarray, count: int) -> np.ndarray | None:
    """Texture coordinates [N, 2]; None if a corner has none, or a vertex has several (a seam)."""
    flat = [corner[1] if len(corner) > 1 else b"" for polygon in polygons for corner in polygon]
    if b"" in flat:
        return None
    chart = np.array([line.split()[1:3] for line in lines if line.startswith(b"vt ")], np.float64)
    index = np.array(flat, np.int64)
    index = np.where(index < 0, index + len(chart), index - 1)
    if not len(chart) or index.min() < 0 or index.max() >= len(chart):
        return None
    uv = np.zeros((count, 2))
    uv[corners] = chart[index]
    return uv if np.array_equal(uv[corners], chart[index]) else None
