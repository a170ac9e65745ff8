"""Reader for files of the eos library (Huber et al. 2016): face models and blendshapes. It checks every length.

The files are binary archives of the cereal library: little-endian values in sequence, without names.

    matrix      int32 rows, int32 columns, then float32 values in column-major order
    list        uint64 length, then the entries; text is a list of bytes
    linear      matrices: mean [3 N, 1], orthonormal columns [3 N, K], variances [K, 1]; triangles: list of 3 int32
    blendshape  text, its name; matrix [3 N, 1], a displacement at full strength
    optional    one byte: 1 if absent; 0 if present, followed by the value

A model file holds

    version     uint32, 1 to 4
    shape       linear, millimetres, interleaved
    colours     linear, RGB in [0, 1]; without vertices if the model has no colours
    expressions from version 2: optional; int32 0 before a linear model, 1 before a list of blendshapes
    landmarks   from version 3: optional; list of text and int32, the vertex (not used: names differ between models)
    chart       list of 2 float64 for each vertex, v downwards
    its corners from version 4: list of 3 int32; equal to the triangles if each vertex has one point in the chart

A file of blendshapes is a list of blendshapes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from lib.errors import UserError

VERSIONS = range(1, 5)


@dataclass(frozen=True)
class Linear:
    """A linear model in the units of its file.

    Attributes:
      mean: [N, 3]; N = 0 if the file has no such model.
      components: [K, N, 3], times their standard deviations.
      triangles: [F, 3].
    """

    mean: np.ndarray
    components: np.ndarray
    triangles: np.ndarray


@dataclass(frozen=True)
class EosModel:
    """A model file.

    Attributes:
      shape: millimetres, axes as in the file.
      colour: RGB in [0, 1]; None if the file has no colours.
      expression: a linear model, blendshapes (name -> [N, 3] mm), or None.
      uv: [N, 2], v upwards; None if missing, or if a vertex has several texture coordinates.
    """

    shape: Linear
    colour: Linear | None
    expression: Linear | dict[str, np.ndarray] | None
    uv: np.ndarray | None


def read_eos_model(path: Path) -> EosModel:
    """Reads a model file.

    Raises:
      UserError: the file is of another kind, truncated or too long, or its parts are inconsistent.
    """
    file = _Archive(path, "a face model of the eos library")
    version = file.number("<u4", "version")
    if version not in VERSIONS:
        file.fail(f"with a version from 1 to {VERSIONS[-1]}, got {version}")
    shape = _linear(file, "shape")
    count = len(shape.mean)
    if not count or not len(shape.components) or not len(shape.triangles):
        file.fail(f"with vertices, components and triangles, got {count} vertices")
    colour = _linear(file, "colour")
    if len(colour.mean) not in (0, count):
        file.fail(f"with a colour for each of its {count} vertices, got {len(colour.mean)}")
    expression = None
    if version >= 2 and not file.absent("expressions"):
        kind = file.number("<i4", "kind of expressions")
        if kind not in (0, 1):
            file.fail(f"with expressions of kind 0 or 1, got {kind}")
        expression = _blendshapes(file, count) if kind else _linear(file, "expression", count)
    if version >= 3 and not file.absent("landmarks"):
        for _ in range(file.length("landmarks", 12)):
            file.text("name of a landmark")
            file.number("<i4", "vertex of a landmark")
    chart = file.rows("texture coordinates", "<f8", 2)
    corners = file.rows("texture triangles", "<i4", 3) if version >= 4 else np.zeros((0, 3))
    file.end()
    # v points down in eos files, as in images.
    uv = chart * [1.0, -1.0] + [0.0, 1.0]
    seams = len(corners) and not np.array_equal(corners, shape.triangles)
    return EosModel(
        shape=shape,
        colour=colour if len(colour.mean) else None,
        expression=expression,
        uv=None if len(uv) != count or seams or not np.isfinite(uv).all() else uv,
    )


def read_blendshapes(path: Path, vertices: int) -> dict[str, np.ndarray]:
    """Reads blendshapes: name -> [vertices, 3] displacement at full strength, millimetres.

    Raises:
      UserError: the file cannot be read, or belongs to another model.
    """
    file = _Archive(path, "blendshapes of the eos library")
    shapes = _blendshapes(file, vertices)
    file.end()
    return shapes


def _linear(file: "_Archive", part: str, vertices: int | None = None) -> Linear:
    """Reads the next linear model; `vertices` is the required number of vertices."""
    mean, basis = file.matrix(f"{part} mean"), file.matrix(f"{part} basis")
    variances, triangles = file.matrix(f"{part} variances").ravel(), file.rows(f"{part} triangles", "<i4", 3)
    count = mean.size // 3
    # A missing part has an empty mean; its other arrays are empty, too, but their shapes vary.
    if not mean.size and not basis.size and vertices is None:
        return Linear(np.zeros((0, 3)), np.zeros((0, 0, 3)), triangles)
    if mean.size % 3 or basis.shape != (mean.size, variances.size) or vertices not in (None, count):
        wanted = "3 N" if vertices is None else 3 * vertices
        file.fail(
            f"whose {part} has a mean of {wanted} numbers and as many rows in its basis as columns in its variances, "
            f"got {mean.size}, {list(basis.shape)} and {variances.size}"
        )
    if variances.size and variances.min() < 0:
        file.fail(f"whose {part} variances are not negative, got {variances.min():g}")
    if len(triangles) and (triangles.min() < 0 or triangles.max() >= count):
        file.fail(f"whose {part} triangles are within 0..{count - 1}, got {triangles.min()}..{triangles.max()}")
    components = (basis * np.sqrt(variances)).T.reshape(variances.size, -1, 3)
    return Linear(mean.reshape(-1, 3), components, triangles.astype(np.int64))


def _blendshapes(file: "_Archive", vertices: int) -> dict[str, np.ndarray]:
    shapes: dict[str, np.ndarray] = {}
    for number in range(file.length("blendshapes", 16)):
        name = file.text("name of a blendshape") or str(number)
        offset = file.matrix(f"blendshape {name!r}")
        if offset.size != 3 * vertices or name in shapes:
            file.fail(f"of {vertices} vertices with a name each, got {offset.size // 3} vertices in {name!r}")
        shapes[name] = offset.reshape(-1, 3)
    if not shapes:
        file.fail("with at least one blendshape, got none")
    return shapes


class _Archive:
    """Sequential reader of a file; allocates no array larger than the unread rest of the file.

    Args:
      path: the file.
      kind: kind of the file, for error messages.

    Raises:
      UserError: the file cannot be read.
    """

    def __init__(self, path: Path, kind: str):
        self.path, self.kind, self._at = path, kind, 0
        try:
            self._data = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: must be {kind}, got {error.strerror}") from None

    def fail(self, expected: str) -> NoReturn:
        raise UserError(
            f"{self.path}: must be {self.kind} {expected} (docs/guide/own_face_model.md lists the files that are read)"
        )

    def number(self, dtype: str, what: str) -> int:
        return int(self._take(1, dtype, what)[0])

    def length(self, what: str, least: int) -> int:
        """Length of a list; checked against the unread rest, because each entry takes at least `least` bytes."""
        count = self.number("<u8", f"number of {what}")
        self._check(count * least, what)
        return count

    def absent(self, what: str) -> bool:
        """True if an optional value is missing."""
        mark = self.number("u1", what)
        if mark > 1:
            self.fail(f"with a byte 0 or 1 before its {what}, got {mark}")
        return mark == 1

    def text(self, what: str) -> str:
        raw = self._take(self.length(what, 1), "u1", what).tobytes()
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            self.fail(f"whose {what} is UTF-8, got other bytes")

    def matrix(self, what: str) -> np.ndarray:
        """[rows, columns] float64."""
        rows, columns = self.number("<i4", what), self.number("<i4", what)
        if rows < 0 or columns < 0:
            self.fail(f"whose {what} has rows and columns, got {rows} x {columns}")
        values = self._take(rows * columns, "<f4", what)
        if not np.isfinite(values).all():
            self.fail(f"whose {what} is finite, got NaN or infinity")
        return values.reshape(columns, rows).T.astype(np.float64)

    def rows(self, what: str, dtype: str, width: int) -> np.ndarray:
        """Reads a list as [count, width]."""
        count = self.length(what, width * np.dtype(dtype).itemsize)
        return self._take(count * width, dtype, what).reshape(count, width)

    def end(self) -> None:
        if self._at != len(self._data):
            self.fail(f"that ends after its last part, got {len(self._data) - self._at} more bytes")

    def _take(self, count: int, dtype: str, what: str) -> np.ndarray:
        size = count * np.dtype(dtype).itemsize
        self._check(size, what)
        values = np.frombuffer(self._data, dtype, count, self._at) if count else np.zeros(0, dtype)
        self._at += size
        return values

    def _check(self, size: int, what: str) -> None:
        left = len(self._data) - self._at
        if size > left:
            self.fail(f"that is whole, got {left} bytes where its {what} needs {size}: truncated, or another file")
