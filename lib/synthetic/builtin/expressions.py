"""Expression units of the built-in face, after the Facial Action Coding System, as displacements of the mean surface.

A unit is described at full strength on the half face; units with a side act on one half and fade across the midline.
Muscles only pull: a unit's natural range is 0 to `FULL_STRENGTH` times its basis vector, except where listed in
`SIGNED`. `sample_expressions` draws coefficients that respect this.
"""

from collections.abc import Callable, Sequence

import numpy as np

from lib.face_model.face_model import ExpressionPrior
from lib.geometry.smoothstep import smoothstep
from lib.synthetic.builtin.grid import EYE_CENTRE, MOUTH_CORNER, Grid
from lib.synthetic.builtin.surface import BALL_DEPTH, BALL_RADIUS, LID_THICKNESS, gauss

FULL_STRENGTH = 2.5
SIGNED = ("jaw_sideways", "mouth_sideways")  # positive to the subject's left
JAW_HINGE = (22.0, -62.0)  # y and z of the axis through the joints, millimetres
JAW_ANGLE = np.radians(20.0)


class HalfFace:
    """The mean half surface and the coordinates that the units need (all [R, C] millimetres)."""

    def __init__(self, grid: Grid, position: np.ndarray):
        self.grid = grid
        self.position = position
        self.x, self.y, self.z = np.moveaxis(position, -1, 0)
        self.canonical_y = grid.y
        first = grid.rows["mouth"]
        last = grid.rows["upper_lip"]
        self.mouth_line = 0.5 * (grid.y[first] + grid.y[last])[None, :]
        row = np.arange(len(grid.y))[:, None]
        self.below_line = (row < 0.5 * (first + last)).astype(float)
        self.taper = np.sqrt(grid.mouth_taper)[None, :]
        self.ball = (grid.section == "ball")[:, None].astype(float)
        teeth = (row > first) & (row < last)
        self.teeth = teeth * (grid.mouth_taper[None, :] > 0)

    def spot(self, x: float, y: float, width: float, height: float) -> np.ndarray:
        """Gaussian weight around a point of the frontal plane; eyeballs and teeth do not follow the skin."""
        field = gauss(self.x, x, width) * gauss(self.canonical_y, y, height)
        return field * (1.0 - np.maximum(self.ball * self.grid.eye_taper.clip(0, 1), self.teeth))


def _vector(weight: np.ndarray, x: float, y: float, z: float) -> np.ndarray:
    return weight[..., None] * np.array([x, y, z])


def _lower_jaw(face: HalfFace) -> np.ndarray:
    """1 on the lower jaw, 0 above, with a cut at the mouth and a soft transition in the cheeks."""
    spread = 17.0 + 14.0 * smoothstep((face.x - MOUTH_CORNER) / 40.0)
    ramp = smoothstep(0.5 - (face.canonical_y - face.mouth_line - 2.0) / (2.0 * spread))
    weight = face.taper * face.below_line + (1.0 - face.taper) * ramp
    return weight * smoothstep((-6.0 - face.canonical_y) / 14.0) * (1 - 0.6 * smoothstep((face.x - 45) / 30))


def _jaw_open(face: HalfFace) -> np.ndarray:
    y, z = face.y - JAW_HINGE[0], face.z - JAW_HINGE[1]
    cos, sin = np.cos(JAW_ANGLE), np.sin(JAW_ANGLE)
    turned = np.stack([np.zeros_like(y), cos * y - sin * z - y, sin * y + cos * z - z], axis=-1)
    weight = _lower_jaw(face)
    move = weight[..., None] * turned
    move += _vector(face.spot(MOUTH_CORNER, -32, 9, 9), -2.5, 0, -0.5)
    return move + _vector(face.spot(0, -25, 14, 4) * (1 - face.below_line), 0, 1.0, 0)


def _jaw_sideways(face: HalfFace) -> np.ndarray:
    return _vector(_lower_jaw(face) * smoothstep((face.z + 60) / 50), 6.0, 0, 0)


def _lip_band(face: HalfFace, upper: bool) -> np.ndarray:
    """Weight of one lip, strongest at the line in the middle of the mouth and fading into the skin beyond."""
    side = (1.0 - face.below_line) if upper else face.below_line
    distance = np.abs(face.canonical_y - face.mouth_line)
    return side * np.exp(-0.5 * (distance / 8.0) ** 2) * face.taper**1.5 * (1 - face.teeth)


def _smile(face: HalfFace) -> np.ndarray:
    move = _vector(face.spot(MOUTH_CORNER + 2, -30, 8.2, 9), 7.5, 10.0, -4.5)
    lips = np.exp(-0.5 * ((face.canonical_y + 31) / 11) ** 2) * (face.x < 40) * (1 - face.teeth)
    move += _vector(lips * np.clip(face.x / MOUTH_CORNER, 0, 1) * gauss(face.x, 14, 9), 2.2, 0.4, -1.0)
    move += _vector(lips * gauss(face.x, 0, 18), 0, 0, -1.6)
    move += _vector(face.spot(37, 7, 13, 11), 2.2, 5.2, 4.4)
    move += _vector(face.spot(24, -12, 5, 9), 1.5, 1.5, -1.6)
    move += _vector(face.spot(31, 29, 12, 5), 0, 1.6, 0.8)
    move += _vector(face.spot(16, -2, 6, 7), 1.4, 0.8, 0)
    move += _vector(_lip_band(face, True), 0, 0.9, -0.8)
    return move + _vector(_lip_band(face, False), 0, 0, -0.8)


def _stretch(face: HalfFace) -> np.ndarray:
    move = _vector(face.spot(MOUTH_CORNER + 1, -33, 11, 10), 7.5, -2.0, -4.5)
    return move + _vector(face.spot(13, -32, 8, 9), 2.0, 0, -1.2)


def _pucker(face: HalfFace) -> np.ndarray:
    near = np.exp(-0.5 * (((face.x) / 25) ** 4 + ((face.canonical_y + 31) / 13) ** 2))
    move = np.zeros_like(face.position)
    move[..., 0] = -0.36 * face.x * near
    near = near * (1 - face.teeth)
    move[..., 2] = 5.5 * near * gauss(face.x, 0, 16)
    move[..., 1] = 0.12 * (face.canonical_y + 31) * near
    return move + _vector(face.spot(30, -32, 9, 12), -3.0, 0, 0.5)


def _frown(face: HalfFace) -> np.ndarray:
    move = _vector(face.spot(MOUTH_CORNER + 1, -34, 8, 8), 0.8, -6.5, -1.0)
    return move + _vector(face.spot(18, -44, 8, 7), 0, -2.0, 1.0)


def _lip_press(face: HalfFace) -> np.ndarray:
    upper, lower = _lip_band(face, True), _lip_band(face, False)
    distance = np.clip(np.abs(face.canonical_y - face.mouth_line) / 9.0, 0, 1)
    move = _vector(upper * distance, 0, -5.0, 0) + _vector(lower * distance, 0, 5.0, 0)
    move += _vector((upper + lower), 0, 0, -2.0)
    return move + _vector(face.spot(MOUTH_CORNER, -32, 8, 6), 1.2, 0, -1.0)


def _upper_lip_raise(face: HalfFace) -> np.ndarray:
    move = _vector(_lip_band(face, True), 0, 5.0, 0.6)
    move += _vector(face.spot(14, -12, 10, 9) * (1 - face.below_line), 0.4, 3.0, 1.2)
    return move + _vector(face.spot(17, -1, 5, 6), 0.6, 2.0, 0)


def _lower_lip_depress(face: HalfFace) -> np.ndarray:
    move = _vector(_lip_band(face, False), 0, -5.5, -0.4)
    return move + _vector(face.spot(14, -42, 12, 7) * face.below_line, 1.0, -2.5, 0)


def _chin_raise(face: HalfFace) -> np.ndarray:
    move = _vector(face.spot(0, -62, 16, 12), 0, 3.8, 2.0)
    lips = np.exp(-0.5 * ((face.canonical_y + 34) / 10) ** 2) * gauss(face.x, 0, 15) * (1 - face.teeth)
    return move + _vector(lips, 0, 2.4, 1.6)


def _cheek_puff(face: HalfFace) -> np.ndarray:
    move = _vector(face.spot(42, -22, 14, 15), 5.0, 0, 5.5)
    return move + _vector(face.spot(8, -17, 14, 6) + face.spot(8, -46, 14, 6), 0, 0, 2.2)


def _nose_wrinkle(face: HalfFace) -> np.ndarray:
    move = _vector(face.spot(15, 2, 7, 8), 0.8, 3.6, 0.6)
    move += _vector(face.spot(8, 28, 8, 9), 0, 2.0, 1.2)
    move += _vector(face.spot(10, 58, 11, 8), -1.2, -3.0, 0.8)
    return move + _vector(face.spot(9, -22, 12, 6) * (1 - face.below_line), 0, 2.4, 0.5)


def _brow_inner(face: HalfFace) -> np.ndarray:
    move = _vector(face.spot(12, 62, 12, 9), 0, 6.5, 0.2)
    return move + _vector(face.spot(8, 82, 18, 10), 0, 2.0, 0.6)


def _brow_outer(face: HalfFace) -> np.ndarray:
    move = _vector(face.spot(42, 62, 14, 9), 0, 6.5, -0.3)
    return move + _vector(face.spot(38, 49, 12, 4), 0, 1.8, 0)


def _brow_lower(face: HalfFace) -> np.ndarray:
    move = _vector(face.spot(16, 60, 13, 9), -3.0, -5.5, 0.8)
    move += _vector(face.spot(5, 60, 5, 8), -0.4, -1.5, 1.6)
    return move + _vector(face.spot(24, 48, 12, 4), 0, -1.6, 0.3)


def _lids(face: HalfFace, upper_drop: float, lower_rise: float) -> np.ndarray:
    """Lids sliding over the eyeball by shares of the opening; negative values open."""
    grid = face.grid
    rows = grid.rows
    first, last = rows["lower_lid"], rows["crease"]
    opening = (grid.y[last] - grid.y[first]) * np.minimum(1.0, 5.0 * grid.eye_taper)
    shift = np.zeros_like(face.y)
    top = rows["lid_brow"] + max(1, round(0.5 * (rows["brow"] - rows["lid_brow"])))
    fade = np.clip((np.arange(len(grid.y)) - last) / (top - last), 0.0, 1.0)
    upper = (1.0 - fade) ** 1.3 * (np.arange(len(grid.y)) >= last - 1)
    low_rows = np.arange(len(grid.y))
    reach = 3.5 / 8.0 * (first - rows["cheek"])
    lower_fade = np.clip((first - low_rows) / reach, 0.0, 1.0)
    lower = (1.0 - lower_fade) ** 1.5 * (low_rows <= first + 1)
    shift += -upper_drop * upper[:, None] * opening + lower_rise * lower[:, None] * opening
    move = np.zeros_like(face.position)
    move[..., 1] = shift

    def lid_depth(y):
        square = (face.x - EYE_CENTRE[0]) ** 2 + (y - EYE_CENTRE[1]) ** 2
        return BALL_DEPTH + np.sqrt(np.clip((BALL_RADIUS + LID_THICKNESS + 0.5) ** 2 - square, 40.0, None))

    near = (upper + lower)[:, None] * np.minimum(1.0, 1.6 * grid.eye_taper)
    move[..., 2] = near * (lid_depth(face.y + shift) - lid_depth(face.y))
    return move


def _blink(face: HalfFace) -> np.ndarray:
    return _lids(face, 0.84, 0.10)


def _squint(face: HalfFace) -> np.ndarray:
    return _lids(face, 0.10, 0.20) + _vector(face.spot(33, 22, 14, 7), 0, 2.2, 1.4)


def _eye_wide(face: HalfFace) -> np.ndarray:
    return _lids(face, -0.22, -0.06) + _vector(face.spot(26, 58, 20, 8), 0, 1.5, 0)


def _mouth_sideways(face: HalfFace) -> np.ndarray:
    near = np.exp(-0.5 * ((face.x / 27) ** 2 + ((face.canonical_y + 31) / 13) ** 2)) * (1 - face.teeth)
    return _vector(near, 6.0, 0, 0)


_BOTH: dict[str, Callable] = {
    "jaw_open": _jaw_open,
    "pucker": _pucker,
    "lip_press": _lip_press,
    "upper_lip_raise": _upper_lip_raise,
    "lower_lip_depress": _lower_lip_depress,
    "chin_raise": _chin_raise,
    "cheek_puff": _cheek_puff,
    "nose_wrinkle": _nose_wrinkle,
    "brow_inner_raise": _brow_inner,
    "eye_wide": _eye_wide,
    "jaw_sideways": _jaw_sideways,
    "mouth_sideways": _mouth_sideways,
}
_SIDED: dict[str, Callable] = {
    "smile": _smile,
    "mouth_stretch": _stretch,
    "frown": _frown,
    "brow_outer_raise": _brow_outer,
    "brow_lower": _brow_lower,
    "blink": _blink,
    "squint": _squint,
}
# Expressions that part the lips, and their standard deviation in fitting: most lips are closed, and the line between
# them is too thin to be detected from colours.
PARTING = ("jaw_open", "upper_lip_raise", "lower_lip_depress")
PARTING_SIGMA = 0.35
EXPRESSION_NAMES = (*_BOTH, *(f"{name}_{side}" for name in _SIDED for side in ("right", "left")))


def expression_prior(names: Sequence[str]) -> ExpressionPrior | None:
    """The prior of expressions named like this module's units; None if there are none.

    Published models may have adopted these units or have shapes with the same names. All other expressions count as
    two-sided with unit variance.
    """
    if not set(names) & set(EXPRESSION_NAMES):
        return None
    return ExpressionPrior(
        one_sided=np.array([name in EXPRESSION_NAMES and name not in SIGNED for name in names]),
        sigma=np.array([PARTING_SIGMA if name in PARTING else 1.0 for name in names]),
    )


def expression_displacements(grid: Grid, position: np.ndarray) -> dict[str, tuple[np.ndarray, str]]:
    """Full-strength displacement of every unit on the half face.

    Args:
      grid: the half grid.
      position: [R, C, 3] its mean surface, millimetres.

    Returns:
      name -> ([R, C, 3] millimetres, kind), kind one of "even" (mirror images move as mirror images), "odd" (x moves
      alike on both sides), "left" and "right".
    """
    face = HalfFace(grid, position)
    # Sideways movement vanishes on the midline, where the two halves meet.
    centre = np.tanh(face.x / 6.0)[..., None] * (1.0, 0.0, 0.0) + (0.0, 1.0, 1.0)
    units = {name: (f(face), "odd") if name in SIGNED else (f(face) * centre, "even") for name, f in _BOTH.items()}
    for name, f in _SIDED.items():
        move = f(face) * centre
        units |= {f"{name}_right": (move, "right"), f"{name}_left": (move, "left")}
    return units


def sample_expressions(generator: np.random.Generator, count: int, activity: float = 0.35) -> np.ndarray:
    """Draws plausible coefficients: few active units, pulling muscles only, both sides mostly together.

    Args:
      generator: source of randomness.
      count: number of faces.
      activity: share of active units in a face.

    Returns:
      [count, Ke] float32.
    """
    names = EXPRESSION_NAMES
    strength = np.minimum(np.abs(generator.normal(size=(count, len(names)))) * 1.1, FULL_STRENGTH)
    active = generator.random((count, len(names))) < activity
    together = generator.random((count, len(_SIDED))) < 0.85
    ratio = generator.uniform(0.75, 1.0, (count, len(_SIDED)))
    first = len(_BOTH)
    for i in range(len(_SIDED)):
        right, left = first + 2 * i, first + 2 * i + 1
        active[:, left] = np.where(together[:, i], active[:, right], active[:, left])
        strength[:, left] = np.where(together[:, i], strength[:, right] * ratio[:, i], strength[:, left])
    sign = np.ones((count, len(names)))
    for name in SIGNED:
        sign[:, names.index(name)] = np.where(generator.random(count) < 0.5, -0.6, 0.6)
    return (active * strength * sign).astype(np.float32)
