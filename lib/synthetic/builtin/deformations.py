"""Single deformations of the built-in face, each worth one standard deviation among adults.

The identity basis mixes them. Every function below describes one part of the face on its mean half surface.
"""

import numpy as np

from lib.geometry.smoothstep import smoothstep
from lib.synthetic.builtin.grid import EYE_CENTRE, MOUTH_CORNER, Grid
from lib.synthetic.builtin.surface import gauss, sigmoid

HEAD_AXIS = -70.0  # z of the vertical axis that cheeks and temples move away from, millimetres


class _HalfFace:
    """Coordinates and smooth masks of the mean half surface, all [R, C] or broadcasting to it; millimetres.

    Heights are the grid's: hidden rows move with the row they belong to.
    """

    def __init__(self, grid: Grid, position: np.ndarray):
        self.x, self.y, self.z = position[..., 0], grid.y, position[..., 2]
        self.centred_y = self.y - 20.0
        self.under = grid.under[:, None]
        x, y = self.x, self.y
        self.eye = np.exp(-0.5 * (((x - EYE_CENTRE[0]) / 17.0) ** 4 + ((y - EYE_CENTRE[1]) / 11.0) ** 4))
        self.mouth = np.exp(-0.5 * ((np.abs(x) / 30.0) ** 4 + (np.abs(y + 31.0) / 13.0) ** 4))
        self.nose = np.exp(-0.5 * ((np.abs(x) / 20.0) ** 4)) * sigmoid((y + 14) / 2.5) * sigmoid((40 - y) / 5)
        self.lower = smoothstep((8.0 - y) / 45.0)
        self.jaw = smoothstep((0.0 - y) / 40.0)
        row = np.arange(len(y))[:, None]
        first, last = grid.rows["mouth"], grid.rows["upper_lip"]
        inside = ((row > first) & (row < last)) * (grid.mouth_taper[None, :] > 0)
        below = row < 0.5 * (first + last)
        self.mouth_line = 0.5 * (y[first] + y[last])[None, :]
        lips = np.exp(-0.5 * ((y - self.mouth_line) / 10.0) ** 2) * grid.mouth_taper[None, :]
        self.upper_lip, self.lower_lip = ~below * ~inside * lips, below * ~inside * lips
        ball = np.where((grid.section == "ball")[:, None], np.minimum(1, 1.5 * grid.eye_taper)[None, :], 0.0)
        self._skin = 1.0 - ball

    def spot(self, x: float, y: float, width: float, height: float) -> np.ndarray:
        """Gaussian weight around a point of the frontal plane; eyeballs do not follow the skin."""
        return gauss(self.x, x, width) * gauss(self.y, y, height) * self._skin

    def outwards(self, weight: np.ndarray, amount: float) -> np.ndarray:
        """[R, C, 3] away from the vertical axis of the head."""
        depth = self.z - HEAD_AXIS
        radius = np.hypot(self.x, depth)
        return _move(dx=weight * amount * self.x / radius, dz=weight * amount * depth / radius)


def _move(dx: np.ndarray | float = 0.0, dy: np.ndarray | float = 0.0, dz: np.ndarray | float = 0.0) -> np.ndarray:
    """[R, C, 3] from its three components."""
    return np.stack(np.broadcast_arrays(dx, dy, dz), axis=-1).astype(np.float64)


def _head(half: _HalfFace) -> dict[str, np.ndarray]:
    """Size and proportions of the whole head."""
    x, y, z = half.x, half.y, half.z
    return {
        "size": _move(0.032 * x, 0.032 * half.centred_y, 0.032 * (z + 30)),
        "width": _move(0.026 * x),
        "height": _move(dy=0.026 * half.centred_y),
        "depth": _move(dz=0.030 * (z - 10) * (1 - 0.5 * half.nose)),
        "lower_height": _move(dy=-1.8 * half.lower),
        "upper_height": _move(dy=2.8 * smoothstep((y - 50) / 50)),
    }


def _jaw_and_chin(half: _HalfFace) -> dict[str, np.ndarray]:
    """Jaw and chin."""
    x, y = half.x, half.y
    return {
        "jaw_width": _move(x / 60 * 2.2 * half.jaw),
        "gonion": _move(1.7 * half.spot(58, -38, 15, 16), -2.0 * half.spot(58, -38, 15, 16)),
        "jaw_slope": _move(dy=3.0 * gauss(x, 46, 14) * smoothstep((-30 - y) / 25)),
        "chin_height": _move(dy=-2.2 * smoothstep((-50 - y) / 22) * gauss(x, 0, 26)),
        "chin_width": _move(0.14 * x * gauss(x, 0, 30) * smoothstep((-48 - y) / 20)),
        "chin_forward": _move(dz=3.2 * gauss(x, 0, 24) * smoothstep((-42 - y) / 22)),
        "chin_ball": _move(dz=1.6 * half.spot(0, -65, 10, 7)),
    }


def _cheeks_and_forehead(half: _HalfFace) -> dict[str, np.ndarray]:
    """Cheeks, jowls, temples and forehead."""
    x, y = half.x, half.y
    return {
        "cheek_bone": half.outwards(half.spot(52, 18, 15, 12), 2.6),
        "cheek_bone_height": _move(dz=1.6 * (half.spot(44, 26, 13, 8) - half.spot(44, 8, 13, 8))),
        "cheek_hollow": half.outwards(half.spot(48, -14, 14, 15), -2.0),
        "cheek_fat": half.outwards(half.spot(38, -6, 16, 16), 2.3),
        "lower_cheek": half.outwards(half.spot(52, -26, 16, 17), 1.6),
        "jowl": half.outwards(half.spot(38, -52, 13, 12), 1.3) + _move(dy=-1.3 * half.spot(40, -56, 14, 13)),
        "submental": _move(dy=-3.4 * half.under * gauss(x, 0, 40), dz=1.0 * half.under),
        "temple": half.outwards(half.spot(64, 58, 12, 18), -2.0),
        "forehead_slope": _move(dz=3.0 * smoothstep((y - 58) / 50)),
        "forehead_round": _move(dz=1.8 * (half.spot(22, 82, 14, 14) - 0.6 * half.spot(0, 82, 10, 14))),
    }


def _brows_and_eyes(half: _HalfFace) -> dict[str, np.ndarray]:
    """Brows, lids and the place of the eyes."""
    x, y = half.x, half.y
    return {
        "brow_ridge": _move(dz=1.9 * (half.spot(24, 56, 15, 7) + 0.5 * half.spot(0, 57, 8, 7))),
        "brow_height": _move(dy=2.0 * half.spot(30, 60, 24, 9)),
        "brow_tilt": _move(dy=1.6 * (half.spot(46, 60, 12, 9) - half.spot(14, 60, 11, 9))),
        "eye_distance": _move(1.6 * half.eye),
        "eye_height": _move(dy=1.8 * half.eye),
        "eye_depth": _move(dz=1.5 * half.eye * gauss(x, 31, 18)),
        "eye_width": _move(0.055 * (x - EYE_CENTRE[0]) * half.eye),
        "eye_tilt": _move(dy=0.05 * (x - EYE_CENTRE[0]) * half.eye),
        "eye_open": _move(dy=0.09 * (y - EYE_CENTRE[1]) * half.eye * gauss(y, EYE_CENTRE[1], 9)),
        "lid_fold": _move(dy=-1.0 * half.spot(32, 47, 13, 3.0), dz=-0.9 * half.spot(32, 48, 14, 3.5)),
        "under_eye": _move(dz=0.9 * (half.spot(31, 27, 10, 2.5) - half.spot(28, 22, 11, 2.5))),
    }


def _nose(half: _HalfFace) -> dict[str, np.ndarray]:
    """Nose."""
    x, y = half.x, half.y
    return {
        "nose_length": _move(dy=-2.3 * half.nose * smoothstep((38 - y) / 40)),
        "nose_width": _move(0.105 * x * half.nose * smoothstep((22 - y) / 18) * gauss(x, 0, 22)),
        "wing_flare": _move(dx=1.0 * half.spot(16, -1, 5, 6), dz=0.8 * half.spot(15, -1, 4, 6)),
        "wing_height": _move(dy=1.4 * half.spot(16, 0, 6, 8)),
        "bridge": _move(dz=2.3 * gauss(x, 0, 9) * gauss(y, 32, 11)),
        "bridge_hump": _move(dz=1.7 * gauss(x, 0, 8) * gauss(y, 22, 7)),
        "bridge_width": _move(1.1 * half.spot(9, 24, 6, 14)),
        "root_height": _move(dz=1.4 * gauss(x, 0, 8) * (gauss(y, 48, 5) - gauss(y, 38, 5))),
        "nose_tip": _move(dz=2.6 * gauss(x, 0, 14) * gauss(y, 3, 10)),
        "nose_tip_turn": _move(dy=2.0 * gauss(x, 0, 11) * gauss(y, 4, 8)),
        "tip_width": _move(1.0 * half.spot(8, 5, 5, 6)),
        "columella": _move(dy=-1.2 * gauss(x, 0, 6) * gauss(y, -4, 4)),
    }


def _mouth(half: _HalfFace) -> dict[str, np.ndarray]:
    """Mouth and the folds around it."""
    x, y = half.x, half.y
    return {
        "upper_lip_skin": _move(dy=-1.8 * smoothstep((-11 - y) / 9) * (0.3 + 0.7 * np.exp(-0.5 * (x / 34) ** 4))),
        "mouth_width": _move(0.06 * x * half.mouth * gauss(x, 0, 34)),
        "mouth_forward": _move(dz=2.0 * half.mouth * gauss(x, 0, 22)),
        "mouth_height": _move(dy=1.3 * half.mouth),
        "mouth_corner_turn": _move(dy=1.1 * half.spot(MOUTH_CORNER, -32, 8, 7)),
        "lip_upper": _move(
            dy=2.2 * half.upper_lip * np.clip((y - half.mouth_line) / 8.5, 0, 1.3), dz=1.0 * half.upper_lip
        ),
        "lip_lower": _move(
            dy=2.4 * half.lower_lip * np.clip((y - half.mouth_line) / 10, -1.3, 0), dz=1.2 * half.lower_lip
        ),
        "lip_bow": _move(dy=0.8 * (half.spot(6, -22, 3.5, 3) - half.spot(0, -22, 2.2, 3) - half.spot(14, -25, 4, 3))),
        "philtrum": _move(dz=0.6 * (half.spot(5.8, -15, 2.4, 6) - half.spot(0, -15, 2.6, 6))),
        "mentolabial": _move(dz=-1.2 * half.spot(0, -50, 14, 5)),
        "nasolabial": _move(dz=0.9 * half.spot(31, -12, 6, 12) - 1.0 * half.spot(24, -16, 4.5, 11)),
        "lip_tilt": _move(dz=1.2 * half.mouth * np.clip((y + 31) / 10, -1, 1)),
    }


def deformations(grid: Grid, position: np.ndarray) -> dict[str, np.ndarray]:
    """Displacements of the half face for one standard deviation each.

    Args:
      grid: the half grid.
      position: [R, C, 3] its mean surface, millimetres.

    Returns:
      name -> [R, C, 3] millimetres.
    """
    half = _HalfFace(grid, position)
    parts = (_head, _jaw_and_chin, _cheeks_and_forehead, _brows_and_eyes, _nose, _mouth)
    return {name: move for part in parts for name, move in part(half).items()}
