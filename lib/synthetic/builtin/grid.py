"""The grid of the built-in face: rows and columns that run along lids, lips, nose and jaw.

Every row is a curve across the face and every column runs from under the chin to the hairline. Rows are laid exactly on
the borders of lids and lips, so that these become real edges of the surface at a modest vertex count. The canonical
coordinates are `across` (a, nominal millimetres from the midline, 0..74) and y (millimetres, up, 0 near the nose base).
Only the half a >= 0 is described; the other half is its mirror image.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from lib.geometry.smoothstep import smoothstep

if TYPE_CHECKING:
    from scipy.interpolate import PchipInterpolator

HALF_WIDTH = 74.0
EYE_INNER, EYE_OUTER = 15.6, 45.6  # corners of the lids, millimetres from the midline
EYE_CENTRE = (30.9, 39.1)
MOUTH_CORNER = 24.2
SHAPE_POWER = 2.3  # exponent of the horizontal superellipse sections

# Row curves from the jaw border to the hairline: (name, intervals up to the next curve, a nodes, y nodes). The curves
# of eye and mouth are described by functions below, because they must meet in the corners.
_NODES = (0, 8, 16, 25, 35, 45, 54, 62, 69, 74)
_CURVES = {
    "jaw": (-77.2, -76.8, -75.2, -72.2, -67.8, -63.0, -58.2, -53.4, -48.6, -42.5),
    "fold": (-50.0, -49.8, -48.8, -47.2, -45.6, -43.0, -39.6, -36.2, -33.4, -31.0),
    "subnasale": (-9.4, -9.7, -8.0, -6.6, -5.2, -3.0, 1.0, 4.0, 6.2, 7.0),
    "nose_top": (9.5, 9.3, 8.6, 8.2, 9.0, 12.0, 15.0, 17.0, 18.5, 19.0),
    "crease": (47.3, 46.8, 46.2, 48.2, 48.7, 47.5, 46.8, 47.1, 47.5, 47.9),
    "brow_low": (57.2, 57.0, 56.8, 57.9, 59.4, 57.6, 54.6, 54.6, 55.4, 56.0),
    "brow_high": (65.0, 65.0, 65.2, 66.0, 66.8, 64.4, 60.4, 60.2, 61.0, 61.6),
    "top": (108.0, 107.8, 107.2, 106.0, 103.8, 100.2, 95.6, 90.4, 86.0, 83.5),
}
# Fractions of the strip between the lip lines for the rows inside the mouth, and its bands (used for colours).
MOUTH_ROWS = ("line", "pocket", "gum", "tooth", "edge", "dark", "dark", "edge", "tooth", "gum", "pocket", "line")
_INTERVALS = {
    "under": 8,
    "jaw": 8,
    "fold": 4,
    "lower_lip": 5,
    "mouth": len(MOUTH_ROWS) - 1,
    "upper_lip": 5,
    "philtrum": 5,
    "nose": 10,
    "cheek": 8,
    "ball": 10,
    "crease": 3,
    "lid_brow": 4,
    "brow": 4,
    "forehead": 10,
}
_REFERENCE_ROWS = sum(_INTERVALS.values()) + 4 + 1
_REFERENCE_COLUMNS = 52


@dataclass(frozen=True)
class Grid:
    """The half grid (a >= 0) with R rows and C columns.

    Attributes:
      across: [C] nominal distance from the midline, millimetres; column 0 is the midline.
      y: [R, C] canonical height, millimetres; rows under the jaw border repeat its height.
      section: [R] names of the strip below which a row starts, e.g. "lower_lip" (the row on the lower border included).
      under: [R] 0 for rows on the face, up to 1 for the last row under the jaw.
      eye_taper, mouth_taper: [C] 1 in the middle of the eye (mouth), 0 at and beyond the corners.
      rows: first row of each strip.
    """

    across: np.ndarray
    y: np.ndarray
    section: np.ndarray
    under: np.ndarray
    eye_taper: np.ndarray
    mouth_taper: np.ndarray
    rows: dict[str, int]


def even_curve(nodes, values, x: np.ndarray) -> np.ndarray:
    """Monotone cubic through (nodes, values), nodes from 0, continued evenly so that it is level on the midline."""
    nodes, values = np.asarray(nodes, float), np.asarray(values, float)
    both = np.concatenate([-nodes[:0:-1], nodes]), np.concatenate([values[:0:-1], values])
    return monotone_cubic(*both)(x)


def monotone_cubic(nodes: ArrayLike, values: ArrayLike, extrapolate: bool | None = None) -> "PchipInterpolator":
    """Monotone cubic through (nodes, values)."""
    from scipy.interpolate import PchipInterpolator  # slow to import, and a face that is already stored needs none

    return PchipInterpolator(nodes, values, extrapolate=extrapolate)


def _columns(count: int) -> np.ndarray:
    """[count + 1] column positions: even along the eye-level section, denser over eyes and mouth, exact at corners."""
    angle = np.linspace(0.0, np.pi / 2, 4001)
    x = HALF_WIDTH * np.sin(angle) ** (2 / SHAPE_POWER)
    z = 82.0 * np.cos(angle) ** (2 / SHAPE_POWER)
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(z)))])
    spacing = 1.0 + 2.6 * smoothstep((x - 46.0) / 22.0)
    density = np.concatenate([[0.0], np.cumsum(np.diff(arc) / spacing[1:])])
    positions = np.interp(np.linspace(0.0, density[-1], count + 1), density, x)
    # Shift whole neighbourhoods so that a column passes through each corner.
    corners = np.array([EYE_INNER, MOUTH_CORNER, EYE_OUTER])
    index = np.arange(count + 1)
    nearest = [int(np.argmin(np.abs(positions - corner))) for corner in corners]
    if len(set(nearest)) < len(nearest) or 0 in nearest:
        return positions
    knots = np.array([0, *nearest, count])
    shift = np.array([0.0, *(corners - positions[nearest]), 0.0])
    return positions + np.interp(index, knots, shift)


def bulge(t: np.ndarray, power: float = 0.8) -> np.ndarray:
    """0 outside (0, 1), 1 in the middle, rising like t^power at both ends."""
    t = np.clip(t, 0.0, 1.0)
    return (4.0 * t * (1.0 - t)) ** power


def _eye_rows(a: np.ndarray, ball: int) -> tuple[np.ndarray, np.ndarray]:
    """[ball + 5, C] rows from the lower to the upper lid border, and the taper [C]."""
    t = (a - EYE_INNER) / (EYE_OUTER - EYE_INNER)
    nodes = [0, 8, EYE_INNER, 24, 36, EYE_OUTER, 60, 74]
    centre = even_curve(nodes, [39.2, 38.5, 37.5, 38.2, 39.3, 39.9, 40.1, 40.3], a)
    spread = 0.7 + 3.6 * smoothstep((EYE_INNER - a) / EYE_INNER) + 4.4 * smoothstep((a - EYE_OUTER) / 26.0)
    lower = centre - spread - 3.9 * bulge(t, 0.75) * (1 + 0.5 * (np.clip(t, 0, 1) - 0.5))
    upper = centre + spread + 5.3 * bulge(t, 0.75) * (1 - 0.45 * (np.clip(t, 0, 1) - 0.5))
    taper = bulge(t, 0.9) ** 0.8
    fractions = np.concatenate([[0.0, 0.06], np.linspace(0.12, 0.88, ball + 1), [0.94, 1.0]])
    plain = lower + (upper - lower) * fractions[:, None]
    # Inside the opening the ball's first and last rows hide behind the lids, so that lids can open and close over it.
    inside = lower - 1.6 + (upper - lower + 3.8) * (np.linspace(0, 1, ball + 1)[:, None])
    open_rows = np.vstack([lower, lower + 0.5, inside, upper - 0.5, upper])
    return plain + (open_rows - plain) * np.minimum(1.0, 1.6 * taper), taper


def _mouth_curves(a: np.ndarray) -> dict[str, np.ndarray]:
    """The four lip curves [C]; beyond the corners they fan out into the cheek."""
    corner = MOUTH_CORNER
    beyond = smoothstep((a - corner) / 42.0)
    tail = np.clip(a - corner, 0.0, None)
    line = even_curve([0, 7, 15, corner, 40, 74], [-29.5, -29.0, -29.1, -29.5, -25.8, -12.0], a)
    near = np.minimum(a, corner)
    upper = even_curve([0, 2.5, 5.6, 11, 17, 21.4, corner], [-21.6, -21.2, -20.3, -21.5, -23.9, -26.9, -28.8], near)
    lower = even_curve([0, 8, 14, 18.6, 22.2, corner], [-39.8, -39.2, -37.2, -34.3, -31.9, -30.2], near)
    over = 0.6 + 13.0 * beyond + 0.06 * tail
    inside = a <= corner
    gap = 0.12 + 5.2 * beyond
    return {
        "lower_lip": np.where(inside, lower, line - over),
        "line_low": np.where(inside, line - 0.12, line - gap),
        "line_high": np.where(inside, line + 0.12, line + gap),
        "upper_lip": np.where(inside, upper, line + over),
    }


def build_grid(vertex_count: int = 10000) -> Grid:
    """Lays the grid with about `vertex_count` vertices on the whole face.

    Args:
      vertex_count: wanted number of vertices, 2,000 to 200,000; the grid comes within a few per cent of it.

    Raises:
      ValueError: vertex_count outside that range.
    """
    if not 2000 <= vertex_count <= 200_000:
        raise ValueError(f"vertex_count must be 2000 to 200000, got {vertex_count}")
    scale = np.sqrt(vertex_count / (_REFERENCE_ROWS * (2 * _REFERENCE_COLUMNS + 1)))
    # The bands inside the mouth have a meaning each and stay as they are; everything else scales.
    count = {name: n if name == "mouth" else max(1, round(n * scale)) for name, n in _INTERVALS.items()}
    total = sum(count.values()) + 5
    half_columns = max(8, round((vertex_count / total - 1) / 2))
    a = _columns(half_columns)
    curves = {name: even_curve(_NODES, values, a) for name, values in _CURVES.items()}
    eye, eye_taper = _eye_rows(a, count["ball"])
    rows, names = _rows(curves, _mouth_curves(a), eye, count)
    section = np.array(names)
    under = np.zeros(len(rows))
    under[: count["under"]] = np.linspace(1.0, 0.0, count["under"], endpoint=False)
    t_mouth = (a + MOUTH_CORNER) / (2 * MOUTH_CORNER)
    return Grid(
        across=a,
        y=np.array(rows),
        section=section,
        under=under,
        eye_taper=eye_taper,
        mouth_taper=bulge(t_mouth, 0.8),
        rows={name: int(np.argmax(section == name)) for name in dict.fromkeys(names)},
    )


def _rows(
    curves: dict[str, np.ndarray], mouth: dict[str, np.ndarray], eye: np.ndarray, count: dict[str, int]
) -> tuple[list[np.ndarray], list[str]]:
    """Rows [C] from under the jaw to the hairline, and the name of each one's strip.

    Args:
      curves, mouth: name -> [C] the curves that the strips lie between.
      eye: [ball + 5, C] rows from the lower to the upper lid.
      count: rows of each strip.
    """
    below_eye = [
        ("jaw", curves["jaw"], curves["fold"]),
        ("fold", curves["fold"], mouth["lower_lip"]),
        ("lower_lip", mouth["lower_lip"], mouth["line_low"]),
        ("mouth", mouth["line_low"], mouth["line_high"]),
        ("upper_lip", mouth["line_high"], mouth["upper_lip"]),
        ("philtrum", mouth["upper_lip"], curves["subnasale"]),
        ("nose", curves["subnasale"], curves["nose_top"]),
        ("cheek", curves["nose_top"], eye[0]),
    ]
    above_eye = [
        ("crease", eye[-1], curves["crease"]),
        ("lid_brow", curves["crease"], curves["brow_low"]),
        ("brow", curves["brow_low"], curves["brow_high"]),
        ("forehead", curves["brow_high"], curves["top"]),
    ]
    rows = [curves["jaw"]] * count["under"]
    names = ["under"] * count["under"]

    def add_strips(strips: list[tuple[str, np.ndarray, np.ndarray]]) -> None:
        for name, low, high in strips:
            fractions = np.arange(count[name]) / count[name]
            rows.extend(low + (high - low) * f for f in fractions)
            names.extend([name] * count[name])

    add_strips(below_eye)
    rows.extend(eye[:-1])
    names.extend(["lower_lid", "lower_lid", *["ball"] * (len(eye) - 4), "upper_lid"])
    add_strips(above_eye)
    rows.append(curves["top"])
    names.append("top")
    return rows, names
