"""Reader for Wavefront OBJ meshes that keeps the file's vertex order, which mesh libraries change at texture seams."""

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.face_model_files.polygons import convex, triangulate

# A statement's arguments up to the end of the line or a comment. The format allows blanks and tabs anywhere.
_STATEMENTS = {word: re.compile(rb"^[ \t]*" + word + rb"[ \t]+([^\n#]*)", re.MULTILINE) for word in (b"v", b"vt", b"f")}
# Polygons with more corners take seconds each if they are concave, and come from no modelling program.
_MAX_CORNERS = 1000
# Largest sum of squared numbers of corners of all concave polygons, which their triangulation takes time for: a minute.
_MOST_WORK = 5_000_000
_CONTINUED = re.compile(rb"\\[ \t]*\n")


@dataclass(frozen=True)
class ObjMesh:
    """A mesh in the vertex order of its file.

    Attributes:
      vertices: [N, 3] in the file's units, float64.
      triangles: [F, 3], larger polygons split.
      uv: [N, 2] texture coordinates; None if missing, or if a vertex has several.
      on_seams: number of vertices that have several.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray | None
    on_seams: int = 0


def read_vertices(path: Path, kept: int | None = None, total: int | None = None) -> np.ndarray:
    """Reads the first `kept` vertices [kept, 3] of an OBJ file, all by default.

    Raises:
      UserError: the file is missing, has fewer vertices than `kept`, not exactly `total` if given, or bad numbers.
    """
    return _vertices(path, _content(path), kept, total)


def vertex_count(path: Path) -> int:
    """Number of vertices in an OBJ file."""
    return len(_STATEMENTS[b"v"].findall(_content(path)))


def read_obj(path: Path) -> ObjMesh:
    """Reads vertices, triangles and texture coordinates; ignores everything else.

    Raises:
      UserError: the file is not an OBJ file with polygons.
    """
    content = _content(path)
    vertices = _vertices(path, content)
    statements = list(_STATEMENTS[b"f"].finditer(content))
    polygons = [[corner.split(b"/") for corner in statement[1].split()] for statement in statements]
    if not polygons or min(map(len, polygons)) < 3:
        raise UserError(f"{path}: must have polygons of three corners or more, got {len(polygons)} polygons")
    if (most := max(map(len, polygons))) > _MAX_CORNERS:
        raise UserError(f"{path}: polygons must have at most {_MAX_CORNERS} corners, got {most} (triangulate them)")
    starts = np.array([statement.start() for statement in statements])
    sizes = np.array([len(polygon) for polygon in polygons])
    flat = _numbers(path, [corner[0] for polygon in polygons for corner in polygon])
    flat = _from_zero(flat, content, b"v", np.repeat(starts, sizes))
    if flat.min() < 0 or flat.max() >= len(vertices):
        wrong = flat.max() if flat.max() >= len(vertices) else flat.min()
        raise UserError(f"{path}: polygons must use the {len(vertices)} vertices there are, got {wrong + 1}")
    corners = np.split(flat, np.cumsum(sizes)[:-1])
    groups = [np.array([polygon for polygon in corners if len(polygon) == size]) for size in np.unique(sizes)]
    work = sum(int((~convex(vertices[group])).sum()) * group.shape[1] ** 2 for group in groups if group.shape[1] > 3)
    if work > _MOST_WORK:
        raise UserError(
            f"{path}: the squared numbers of corners of concave polygons must add up to {_MOST_WORK:,} at most, got "
            f"{work:,} (triangulate them)"
        )
    texture = [corner[1] if len(corner) > 1 else b"" for polygon in polygons for corner in polygon]
    uv, on_seams = None, 0
    if b"" not in texture:
        index = _from_zero(_numbers(path, texture), content, b"vt", np.repeat(starts, sizes))
        uv, on_seams = _texture_coordinates(path, content, index, flat, len(vertices))
    return ObjMesh(vertices, np.concatenate([triangulate(vertices, group) for group in groups]), uv, on_seams)


def _content(path: Path) -> bytes:
    """The file without byte-order mark, with \\n as line ends, and with continued lines joined."""
    if path.exists() and not path.is_file():  # a pipe would wait for its writer
        got = "a folder" if path.is_dir() else "a device, a pipe or a socket"
        raise UserError(f"{path}: must be an OBJ file, got {got}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: must be an OBJ file, got {error.strerror}") from None
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        content = content.decode("utf-16", errors="replace").encode("utf-8")
    content = content.removeprefix(codecs.BOM_UTF8)
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return _CONTINUED.sub(b" ", content) if b"\\" in content else content


def _vertices(path: Path, content: bytes, kept: int | None = None, total: int | None = None) -> np.ndarray:
    lines = _STATEMENTS[b"v"].findall(content)
    if len(lines) < (kept or 1) or (total is not None and len(lines) != total):
        expected = f"at least {kept or 1}" if total is None else f"{total}, as the other meshes in its folder,"
        raise UserError(f"{path}: must have {expected} vertices, got {len(lines)}")
    try:
        vertices = _first_numbers(lines[:kept], 3)
    except ValueError as error:
        raise UserError(f"{path}: must have three numbers for each vertex, got something else ({error})") from None
    if not np.isfinite(vertices).all():
        raise UserError(f"{path}: coordinates must be finite, got NaN or infinity")
    return vertices


def _first_numbers(lines: list[bytes], width: int) -> np.ndarray:
    """[len(lines), width] numbers at the beginning of each line; raises ValueError if one has fewer, or other words."""
    words = [line.split()[:width] for line in lines]
    if (shortest := min(map(len, words), default=width)) < width:
        raise ValueError(f"{shortest} in a line")
    return np.array(words, np.float64).reshape(-1, width)


def _numbers(path: Path, words: list[bytes]) -> np.ndarray:
    """Vertex numbers as written in polygons."""
    try:
        return np.array([int(word) for word in words], np.int64)
    except (ValueError, OverflowError) as error:
        raise UserError(f"{path}: polygons must name vertices by numbers (f v v v), got others ({error})") from None


def _from_zero(numbers: np.ndarray, content: bytes, word: bytes, places: np.ndarray) -> np.ndarray:
    """0-based indices of corners; negative numbers count back from the last `word` before the corner's polygon.

    Args:
      numbers: [C] as written.
      places: [C] position of each corner's polygon in the file.
    """
    if numbers.min() >= 0:
        return numbers - 1
    before = np.array([statement.start() for statement in _STATEMENTS[word].finditer(content)], np.int64)
    return np.where(numbers < 0, np.searchsorted(before, places) + numbers, numbers - 1)


def _texture_coordinates(
    path: Path, content: bytes, index: np.ndarray, corners: np.ndarray, count: int
) -> tuple[np.ndarray | None, int]:
    """Texture coordinates [N, 2] of the vertices; None if a corner has none, or some vertices have several (a seam).

    Also returns the number of the latter.
    """
    try:
        chart = _first_numbers(_STATEMENTS[b"vt"].findall(content), 2)
    except ValueError as error:
        raise UserError(f"{path}: must have two numbers for each texture coordinate, got others ({error})") from None
    if not len(chart) or index.min() < 0 or index.max() >= len(chart):
        return None, 0
    uv = np.zeros((count, 2))
    uv[corners] = chart[index]
    on_seams = len(np.unique(corners[(uv[corners] != chart[index]).any(axis=1)]))
    return (None if on_seams else uv), on_seams
