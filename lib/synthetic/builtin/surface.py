"""The surface of the built-in mean face: positions of the grid points, in millimetres.

Horizontal sections are superellipses whose width and depth follow tables of the height; the features are smooth fields
added in depth. Lengths follow adult anthropometry (means between men and women). Frame: x to the right of the image
(the subject's left), y up, z out of the face; the tip of the nose is at about (0, 3.8, 36).
"""

import numpy as np

from lib.geometry.smoothstep import smoothstep
from lib.synthetic.builtin.grid import (
    EYE_CENTRE,
    HALF_WIDTH,
    MOUTH_CORNER,
    MOUTH_ROWS,
    SHAPE_POWER,
    Grid,
    monotone_cubic,
)

BALL_RADIUS = 12.1
BALL_DEPTH = -12.4  # z of the centre of the eyeball
LID_THICKNESS = 1.8
BROW_DROP = 3.7  # the grid and its colours place the brow this many millimetres above where it lies
NECK_AXIS = np.array([0.0, 0.0, -48.0])
CORNEA_RADIUS, CORNEA_HEIGHT = 6.0, 0.9

_LEVELS = (-80, -74, -66, -58, -48, -40, -30, -20, -5, 15, 30, 42, 55, 70, 85, 100, 112)
_WIDTHS = (24, 30.5, 39.5, 46.8, 53.0, 57.0, 61.2, 65.2, 69.2, 72.2, 73.4, 73.8, 73.6, 73.0, 71.2, 68.0, 64.0)
_FRONT = (2, 8, 11.0, 11.0, 11.2, 11.8, 12.6, 12.6, 11.4, 9.8, 10.4, 12.0, 14.4, 15.0, 12.4, 6.4, -0.6)
_DEPTHS = (66, 68, 70, 70, 70, 70, 71, 72, 75, 80, 82, 83, 84, 84, 82, 78, 74)
_RIDGE_LEVELS = (-13, -9.4, -7.4, -5.4, -2.8, 0.4, 3.8, 7.2, 17, 28.5, 36, 41, 46, 52)
_RIDGE = (20.0, 21.4, 24.8, 28.4, 32.2, 35.2, 36.2, 34.9, 29.2, 21.2, 15.6, 13.2, 13.4, 15.6)


def gauss(x: np.ndarray, centre: float, width: float) -> np.ndarray:
    """exp(-((x - centre) / width)^2 / 2)."""
    return np.exp(-0.5 * ((x - centre) / width) ** 2)


def smooth_max(first: np.ndarray, second: np.ndarray, width: float) -> np.ndarray:
    """Maximum of two fields, rounded over about `width` millimetres."""
    return 0.5 * (first + second + np.sqrt((first - second) ** 2 + width * width))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Logistic function."""
    return 1.0 / (1.0 + np.exp(-np.clip(x, -60, 60)))


def outline(across: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x and the share of the section's half width, from the nominal distance and the height (arrays of one shape)."""
    width = monotone_cubic(_LEVELS, _WIDTHS, extrapolate=True)(y)
    share = across / HALF_WIDTH
    x = across * (1.0 + (width / HALF_WIDTH - 1.0) * share**1.5)
    return x, np.clip(x / width, 0.0, 1.0)


def base_depth(share: np.ndarray, y: np.ndarray) -> np.ndarray:
    """z of the featureless head."""
    front = monotone_cubic(_LEVELS, _FRONT, extrapolate=True)(y)
    depth = monotone_cubic(_LEVELS, _DEPTHS, extrapolate=True)(y)
    return front - depth * (1.0 - (1.0 - share**SHAPE_POWER) ** (1.0 / SHAPE_POWER))


def _bone_and_fat(a: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Broad fields: brow ridge, orbits, cheekbones, cheeks, dental arch, chin."""
    r = np.sqrt(a * a + 12.0)  # even and smooth across the midline
    field = 1.2 * gauss(r, 25, 14) * gauss(y, 53.5, 6.5)
    field += 1.2 * gauss(r, 4, 9) * gauss(y, 54.5, 6)
    field -= 4.8 * gauss(r, 31, 12) * gauss(y, 39.0, 7.5)
    field -= 6.2 * gauss(r, 16.5, 5.2) * gauss(y, 37.5, 7.5)
    field -= 3.6 * gauss(r, 47, 6.5) * gauss(y, 38, 6)
    field += 1.6 * gauss(r, 41, 12) * gauss(y, 50, 5)
    field += 4.6 * gauss(r, 47, 13) * gauss(y, 20, 10)
    field += 2.6 * gauss(r, 32, 12) * gauss(y, 10, 12)
    field -= 3.6 * gauss(r, 46, 12) * gauss(y, -18, 14)
    field -= 2.5 * gauss(r, 62, 8) * gauss(y, 58, 14)
    field += 9.8 * gauss(r, 0, 17.5) * gauss(y, -27.5, 14.5)
    field -= 2.4 * gauss(r, 26.5, 6) * gauss(y, -31.5, 6.5)
    field -= 3.4 * gauss(r, 0, 13) * gauss(y, -50.5, 5.2)
    field += 5.4 * gauss(r, 0, 13) * gauss(y, -66, 8.5)
    return field


def _lips(a: np.ndarray, y: np.ndarray, grid: Grid) -> np.ndarray:
    """Profile across each lip, philtrum and the line between the lips."""
    taper = grid.mouth_taper[None, :]
    field = np.zeros_like(y)
    for name, height, power in (("lower_lip", 3.6, 0.75), ("upper_lip", 2.4, 0.7)):
        low = grid.rows[name]
        high = grid.rows["mouth"] if name == "lower_lip" else grid.rows["philtrum"]
        f = (np.arange(low, high) - low) / (high - low)
        f = f if name == "lower_lip" else 1.0 - f
        f = f[:, None]  # 0 at the outer border, towards 1 at the line
        profile = np.sin(np.pi * np.clip(f, 0, 1) ** power) * height - 2.0 * f**3 + 0.6 * (1 - f)
        field[low:high] += profile * taper
    mouth = slice(grid.rows["mouth"], grid.rows["upper_lip"])
    field[mouth] -= 2.0 * taper
    field[grid.rows["upper_lip"]] -= 0.6 * taper[0]
    strip = sigmoid((y + 22.0) / 1.6) * sigmoid((-9.5 - y) / 2.0)
    field -= 1.5 * gauss(a, 0, 2.6) * strip
    field += 0.8 * gauss(a, 5.8, 2.0) * strip
    field -= 0.9 * gauss(a, 21, 5) * gauss(y, -14, 8)
    return field


def _mouth_inside(position: np.ndarray, grid: Grid) -> None:
    """Folds the rows between the lip lines into teeth and a dark back, hidden while the lips are closed."""
    start = grid.rows["mouth"]
    heights = {"line": 0.4, "pocket": -8.0, "gum": -6.8, "tooth": -5.2, "edge": -2.0, "dark": -2.2}
    depths = {"line": -0.6, "pocket": -7.2, "gum": -5.4, "tooth": -4.4, "edge": -4.3, "dark": -10.0}
    taper = grid.mouth_taper
    arch = -6.0 * (np.clip(grid.across / MOUTH_CORNER, 0, 1.0)) ** 2 * taper
    for i, name in enumerate(MOUTH_ROWS):
        upper = i >= len(MOUTH_ROWS) // 2
        # The upper teeth hang in front of the lower ones and reach a little below the line.
        height = -heights[name] if upper else heights[name]
        height += {"edge": -4.4, "dark": -3.4}.get(name, 0.0) * upper
        depth = depths[name] - (1.2 if name in ("tooth", "edge") and not upper else 0.0)
        # The lines overlap right to the corners, so that no tooth shines through between closed lips.
        position[start + i, :, 1] += height * (np.minimum(1.0, 4.0 * taper) if name == "line" else taper)
        position[start + i, :, 2] += depth * taper + (0.0 if name == "line" else 0.3) * arch


def _nose(a: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth with the nose, and the sideways flare of its wings."""
    ridge = monotone_cubic(_RIDGE_LEVELS, _RIDGE, extrapolate=True)(np.clip(y, -13, 52))
    order = np.argsort(y[:, 0])
    midline = np.interp(y, y[order, 0], z[order, 0])
    height = np.clip(ridge - midline, 0.0, None) * smoothstep((y + 14.5) / 4)
    height *= 1.0 - smoothstep((y - 40) / 12)

    def table(levels, values):
        return monotone_cubic(levels, values)(np.clip(y, -13, 52))

    wide = table([-13, -6, 0, 6, 12, 20, 28, 36, 44, 52], [9, 12, 14.2, 14, 13.4, 12.6, 11.4, 10, 10, 11])
    narrow = table([-13, -8, 0, 6, 14, 25, 40, 52], [5.0, 6.2, 9.4, 9.8, 7.2, 5.8, 6.8, 9.0])
    share = table([-13, 8, 20, 40, 52], [0.38, 0.38, 0.42, 0.55, 0.8])
    # A round back of the nose, and a fuller ball at its tip.
    power = table([-13, -5, 2.5, 10, 18, 52], [2.1, 2.4, 2.7, 2.4, 2.1, 2.1])
    profile = share * np.exp(-0.5 * (a / narrow) ** power) + (1 - share) * np.exp(-0.5 * (a / wide) ** 2.0)
    # The outline in front view: crisp where the wings meet the cheek, soft higher up.
    edge = table([-13, -10, -7.5, -4, 0, 4, 9, 16, 30, 52], [1, 6, 11.4, 15.8, 17.5, 16.9, 14.8, 13.8, 14, 15])
    soft = table([-13, -8, -3, 2, 6, 12, 20, 52], [1.6, 1.6, 1.5, 1.3, 2.0, 3.4, 4.6, 5.0])
    z = z + height * profile * sigmoid((edge - a) / soft) / sigmoid(edge / soft)
    level = np.exp(-(np.abs((y + 0.6) / 7.6) ** 3.2))
    z = z + 1.6 * gauss(a, 13.2, 3.0) * gauss(y, -1.0, 4.5)
    z = z - 1.5 * gauss(a, 19.2, 2.3) * np.exp(-(np.abs((y + 1.0) / 7.5) ** 2.6))
    z = z - 2.0 * gauss(a - 0.35 * (y - 5.0), 10.8, 2.4) * gauss(y, 6.5, 4.0)
    z = z + 0.7 * gauss(a, 0, 7.0) * gauss(y, 2.0, 5.0)
    z = z - 5.6 * np.exp(-(((a - 6.9) / 3.3) ** 2) - ((y + 6.2) / 2.0) ** 2)
    flare = 1.0 * gauss(a, 16.6, 2.2) * level
    return z, flare


def _eyes(x: np.ndarray, y: np.ndarray, z: np.ndarray, grid: Grid) -> np.ndarray:
    """Depth with lids resting on the eyeball, and the ball itself in the rows between them."""
    distance = np.hypot(x - EYE_CENTRE[0], y - EYE_CENTRE[1])

    def sphere(radius):
        inside = np.clip(1.0 - (distance / radius) ** 2, 0.0, None)
        return BALL_DEPTH + radius * np.sqrt(inside) - 0.9 * np.clip(distance - radius, 0.0, None)

    skin = smooth_max(z, sphere(BALL_RADIUS + LID_THICKNESS), 2.2)
    skin = np.where(distance < 26, z + (skin - z) * (1 - smoothstep((distance - 15) / 9)), z)
    ball = sphere(BALL_RADIUS) + CORNEA_HEIGHT * np.clip(1 - (distance / CORNEA_RADIUS) ** 2, 0, None)
    result = skin.copy()
    rows = slice(grid.rows["ball"], grid.rows["upper_lid"])
    taper = np.minimum(1.0, 1.5 * grid.eye_taper)
    result[rows] = skin[rows] + (np.maximum(ball, skin - 3.4)[rows] - skin[rows]) * taper
    for row in (grid.rows["lower_lid"] + 1, grid.rows["upper_lid"]):
        result[row] -= 1.2 * taper
    crease = grid.rows["crease"]
    lid = (grid.across > EYE_CENTRE[0] - 16) & (grid.across < EYE_CENTRE[0] + 18)
    fold = gauss(grid.across, EYE_CENTRE[0], 9.0) * lid
    result[grid.rows["lid_brow"]] -= 1.3 * fold
    result[grid.rows["lid_brow"] + 1] += 0.6 * fold
    result[crease + 1] += 0.3 * fold
    return result


def _under_jaw(position: np.ndarray, grid: Grid) -> None:
    """Rolls the rows below the jaw border inwards and back, towards the neck."""
    border = position[grid.rows["jaw"]]
    # All columns run towards one vertical axis inside the neck and stop before it, so they never cross.
    inward = NECK_AXIS - border
    inward[:, 1] = 0.0
    reach = 0.66 - 0.36 * smoothstep(grid.across / HALF_WIDTH)
    drop = 6.0 + 10.0 * smoothstep(grid.across / HALF_WIDTH)
    for row in range(grid.rows["jaw"]):
        t = grid.under[row]
        position[row] = border + inward * (reach * (0.3 * t + 0.7 * t * t))[:, None]
        position[row, :, 1] -= drop * (1.0 - (1.0 - t) ** 2.2)
    # The same breadth of rounding at every density: 5 rows and 14 passes where 8 rows lie under the jaw.
    density = grid.rows["jaw"] / 8.0
    _relax(position, grid.rows["jaw"] + round(5 * density), round(14 * density**2))


def _relax(position: np.ndarray, rows: int, passes: int) -> None:
    """Rounds the first `rows` rows by averaging neighbours, the outermost row fixed."""
    fade = max(1.0, rows * 5.0 / 13.0)
    strength = (1.0 - smoothstep((np.arange(1, rows) - rows + fade) / fade))[:, None, None]
    for _ in range(passes):
        mirrored = np.concatenate([position[:, 1:2] * (-1.0, 1.0, 1.0), position], axis=1)
        across = mirrored[:, :-2] + mirrored[:, 2:]
        mean = position.copy()
        mean[1:-1, :-1] = 0.25 * (across[1:-1] + position[:-2, :-1] + position[2:, :-1])
        mean[1:-1, -1] = 0.5 * (position[:-2, -1] + position[2:, -1])
        position[1:rows] += 0.5 * strength * (mean[1:rows] - position[1:rows])


def build_surface(grid: Grid) -> np.ndarray:
    """Positions of the half grid.

    Args:
      grid: the half grid.

    Returns:
      [R, C, 3] float64 millimetres; column 0 has x = 0.
    """
    a = np.broadcast_to(grid.across, grid.y.shape)
    y = grid.y - BROW_DROP * smoothstep((grid.y - 47.0) / 11.0) * (1.0 - smoothstep((grid.y - 64.0) / 36.0))
    x, share = outline(a, y)
    z = base_depth(share, y) + _bone_and_fat(x, y) + _lips(x, y, grid)
    z, flare = _nose(x, y, z)
    z = _eyes(x, y, z, grid)
    position = np.stack([x + flare, y, z], axis=-1)
    _mouth_inside(position, grid)
    _under_jaw(position, grid)
    position[:, 0, 0] = 0.0
    return position
