"""How faces differ: smooth deformations with adult spreads, common axes such as sex or age, and a Gaussian process.

Every deformation is a displacement of the mean half surface worth one standard deviation. The sum of independent
deformations is a Gaussian over shapes; its principal components, sorted, are the identity basis.
"""

import numpy as np

from lib.synthetic.builtin.grid import EYE_CENTRE, MOUTH_CORNER, Grid, soft_step
from lib.synthetic.builtin.surface import gauss, sigmoid

# Joint axes: weights of single deformations (in their standard deviations) when the axis is at +1.
_AXES = {
    "sex": {  # towards male
        "size": 0.75,
        "brow_ridge": 0.8,
        "jaw_width": 0.6,
        "gonion": 0.7,
        "chin_height": 0.6,
        "chin_width": 0.6,
        "nose_length": 0.4,
        "nose_width": 0.4,
        "nose_tip": 0.4,
        "bridge": 0.5,
        "lip_upper": -0.4,
        "lip_lower": -0.3,
        "brow_height": -0.6,
        "forehead_slope": -0.6,
        "cheek_fat": -0.4,
        "eye_open": -0.3,
    },
    "weight": {
        "cheek_fat": 1.1,
        "jaw_width": 0.5,
        "jowl": 1.0,
        "submental": 1.1,
        "width": 0.4,
        "eye_open": -0.3,
        "nose_width": 0.3,
        "lower_cheek": 1.2,
        "cheek_bone": -0.4,
    },
    "age": {
        "jowl": 0.8,
        "nose_length": 0.3,
        "nose_tip_turn": -0.6,
        "cheek_hollow": 0.7,
        "lip_upper": -0.7,
        "lip_lower": -0.5,
        "lid_fold": -0.9,
        "nasolabial": 1.2,
        "under_eye": 1.1,
        "temple": 0.6,
        "eye_open": -0.4,
        "upper_lip_skin": 0.5,
        "mouth_corner_turn": -0.5,
    },
    "length_against_width": {"height": 0.7, "width": -0.7, "nose_length": 0.5, "jaw_width": -0.4, "chin_height": 0.4},
    "flatness": {
        "bridge": -0.9,
        "nose_width": 0.7,
        "cheek_bone": 0.7,
        "lid_fold": -0.6,
        "nose_tip": -0.6,
        "eye_depth": 0.8,
    },
    "childlike": {
        "size": -0.7,
        "upper_height": 0.7,
        "lower_height": -0.7,
        "nose_length": -0.7,
        "bridge": -0.7,
        "nose_tip": -0.6,
        "nose_tip_turn": 0.7,
        "chin_height": -0.5,
        "brow_ridge": -0.8,
        "eye_open": 0.7,
        "cheek_fat": 0.6,
        "cheek_hollow": -0.5,
        "jaw_width": -0.4,
        "gonion": -0.6,
    },
}


def _deformations(grid: Grid, position: np.ndarray) -> dict[str, np.ndarray]:
    """name -> [R, C, 3] millimetres for one standard deviation."""
    x, z = position[..., 0], position[..., 2]
    cy = grid.y  # canonical height: hidden rows move with the row they belong to
    eye = np.exp(-0.5 * (((x - EYE_CENTRE[0]) / 17.0) ** 4 + ((cy - EYE_CENTRE[1]) / 11.0) ** 4))
    mouth = np.exp(-0.5 * ((np.abs(x) / 30.0) ** 4 + (np.abs(cy + 31.0) / 13.0) ** 4))
    nose = np.exp(-0.5 * ((np.abs(x) / 20.0) ** 4)) * sigmoid((cy + 14) / 2.5) * sigmoid((40 - cy) / 5)
    lower = soft_step((8.0 - cy) / 45.0)
    jaw = soft_step((0.0 - cy) / 40.0)
    skin = 1.0 - np.where((grid.section == "ball")[:, None], np.minimum(1, 1.5 * grid.eye_taper)[None, :], 0.0)
    row = np.arange(len(cy))[:, None]
    first, last = grid.rows["mouth"], grid.rows["upper_lip"]
    inside = ((row > first) & (row < last)) * (grid.mouth_taper[None, :] > 0)
    line = 0.5 * (grid.y[first] + grid.y[last])[None, :]
    below = row < 0.5 * (first + last)
    lip = np.exp(-0.5 * ((cy - line) / 10.0) ** 2) * grid.mouth_taper[None, :]
    zero = np.zeros_like(x)

    def field(dx=zero, dy=zero, dz=zero):
        return np.stack(np.broadcast_arrays(dx, dy, dz), axis=-1).astype(np.float64)

    def spot(px, py, wx, wy):
        return gauss(x, px, wx) * gauss(cy, py, wy) * skin

    def out(weight, amount):
        """Outwards from the vertical axis of the head."""
        radius = np.hypot(x, z + 70.0)
        return field(weight * amount * x / radius, zero, weight * amount * (z + 70.0) / radius)

    centred = cy - 20.0
    return {
        "size": field(0.032 * x, 0.032 * centred, 0.032 * (z + 30)),
        "width": field(0.026 * x),
        "height": field(dy=0.026 * centred),
        "depth": field(dz=0.030 * (z - 10) * (1 - 0.5 * nose)),
        "lower_height": field(dy=-1.8 * lower),
        "upper_height": field(dy=2.8 * soft_step((cy - 50) / 50)),
        "jaw_width": field(x / 60 * 2.2 * jaw),
        "gonion": field(1.7 * spot(58, -38, 15, 16), -2.0 * spot(58, -38, 15, 16)),
        "jaw_slope": field(dy=3.0 * gauss(x, 46, 14) * soft_step((-30 - cy) / 25)),
        "chin_height": field(dy=-2.2 * soft_step((-50 - cy) / 22) * gauss(x, 0, 26)),
        "chin_width": field(0.14 * x * gauss(x, 0, 30) * soft_step((-48 - cy) / 20)),
        "chin_forward": field(dz=3.2 * gauss(x, 0, 24) * soft_step((-42 - cy) / 22)),
        "chin_ball": field(dz=1.6 * spot(0, -65, 10, 7)),
        "cheek_bone": out(spot(52, 18, 15, 12), 2.6),
        "cheek_bone_height": field(dz=1.6 * (spot(44, 26, 13, 8) - spot(44, 8, 13, 8))),
        "cheek_hollow": out(spot(48, -14, 14, 15), -2.0),
        "cheek_fat": out(spot(38, -6, 16, 16), 2.3),
        "lower_cheek": out(spot(52, -26, 16, 17), 1.6),
        "jowl": out(spot(38, -52, 13, 12), 1.3) + field(dy=-1.3 * spot(40, -56, 14, 13)),
        "submental": field(dy=-3.4 * grid.under[:, None] * gauss(x, 0, 40), dz=1.0 * grid.under[:, None]),
        "temple": out(spot(64, 58, 12, 18), -2.0),
        "forehead_slope": field(dz=3.0 * soft_step((cy - 58) / 50)),
        "forehead_round": field(dz=1.8 * (spot(22, 82, 14, 14) - 0.6 * spot(0, 82, 10, 14))),
        "brow_ridge": field(dz=1.9 * (spot(24, 56, 15, 7) + 0.5 * spot(0, 57, 8, 7))),
        "brow_height": field(dy=2.0 * spot(30, 60, 24, 9)),
        "brow_tilt": field(dy=1.6 * (spot(46, 60, 12, 9) - spot(14, 60, 11, 9))),
        "eye_distance": field(1.6 * eye),
        "eye_height": field(dy=1.8 * eye),
        "eye_depth": field(dz=1.5 * eye * gauss(x, 31, 18)),
        "eye_width": field(0.055 * (x - EYE_CENTRE[0]) * eye),
        "eye_tilt": field(dy=0.05 * (x - EYE_CENTRE[0]) * eye),
        "eye_open": field(dy=0.09 * (cy - EYE_CENTRE[1]) * eye * gauss(cy, EYE_CENTRE[1], 9)),
        "lid_fold": field(dy=-1.0 * spot(32, 47, 13, 3.0), dz=-0.9 * spot(32, 48, 14, 3.5)),
        "under_eye": field(dz=0.9 * (spot(31, 27, 10, 2.5) - spot(28, 22, 11, 2.5))),
        "nose_length": field(dy=-2.3 * nose * soft_step((38 - cy) / 40)),
        "nose_width": field(0.105 * x * nose * soft_step((22 - cy) / 18) * gauss(x, 0, 22)),
        "wing_flare": field(1.0 * spot(16, -1, 5, 6), zero, 0.8 * spot(15, -1, 4, 6)),
        "wing_height": field(dy=1.4 * spot(16, 0, 6, 8)),
        "bridge": field(dz=2.3 * gauss(x, 0, 9) * gauss(cy, 32, 11)),
        "bridge_hump": field(dz=1.7 * gauss(x, 0, 8) * gauss(cy, 22, 7)),
        "bridge_width": field(1.1 * spot(9, 24, 6, 14)),
        "root_height": field(dz=1.4 * gauss(x, 0, 8) * (gauss(cy, 48, 5) - gauss(cy, 38, 5))),
        "nose_tip": field(dz=2.6 * gauss(x, 0, 14) * gauss(cy, 3, 10)),
        "nose_tip_turn": field(dy=2.0 * gauss(x, 0, 11) * gauss(cy, 4, 8)),
        "tip_width": field(1.0 * spot(8, 5, 5, 6)),
        "columella": field(dy=-1.2 * gauss(x, 0, 6) * gauss(cy, -4, 4)),
        "upper_lip_skin": field(dy=-1.8 * soft_step((-11 - cy) / 9) * (0.3 + 0.7 * np.exp(-0.5 * (x / 34) ** 4))),
        "mouth_width": field(0.06 * x * mouth * gauss(x, 0, 34)),
        "mouth_forward": field(dz=2.0 * mouth * gauss(x, 0, 22)),
        "mouth_height": field(dy=1.3 * mouth),
        "mouth_corner_turn": field(dy=1.1 * spot(MOUTH_CORNER, -32, 8, 7)),
        "lip_upper": field(
            dy=2.2 * ~below * ~inside * lip * np.clip((cy - line) / 8.5, 0, 1.3), dz=1.0 * ~below * ~inside * lip
        ),
        "lip_lower": field(
            dy=2.4 * below * ~inside * lip * np.clip((cy - line) / 10, -1.3, 0), dz=1.2 * below * ~inside * lip
        ),
        "lip_bow": field(dy=0.8 * (spot(6, -22, 3.5, 3) - spot(0, -22, 2.2, 3) - spot(14, -25, 4, 3))),
        "philtrum": field(dz=0.6 * (spot(5.8, -15, 2.4, 6) - spot(0, -15, 2.6, 6))),
        "mentolabial": field(dz=-1.2 * spot(0, -50, 14, 5)),
        "nasolabial": field(dz=0.9 * spot(31, -12, 6, 12) - 1.0 * spot(24, -16, 4.5, 11)),
        "lip_tilt": field(dz=1.2 * mouth * np.clip((cy + 31) / 10, -1, 1)),
    }


def _process(grid: Grid, position: np.ndarray, seed: int) -> list[np.ndarray]:
    """Random smooth fields: band-limited cosines at three lengths, even in x for y and z and odd for x itself."""
    generator = np.random.default_rng([seed, 101])
    x = position[..., 0]
    where = np.stack([x, grid.y, position[..., 2]], axis=-1)
    # Eyeballs stay round; beyond the corners of the eyes their rows are ordinary skin.
    section = grid.section[:, None]
    calm = 1.0 - np.where(section == "ball", np.minimum(1, 1.5 * grid.eye_taper), 0.0)
    fields = []
    for length, amplitude, count in ((50.0, 0.75, 18), (26.0, 0.5, 26), (14.0, 0.22, 24)):
        for _ in range(count):
            move = np.zeros_like(position)
            for axis in range(3):
                total = np.zeros_like(x)
                for _ in range(3):
                    k = generator.normal(size=3) / length
                    phase = generator.uniform(0, 2 * np.pi)
                    across = np.sin(k[0] * where[..., 0]) if axis == 0 else np.cos(k[0] * where[..., 0])
                    total += across * np.cos(k[1] * where[..., 1] + k[2] * where[..., 2] + phase)
                move[..., axis] = total * (amplitude * np.sqrt(2.0 / 3.0) / np.sqrt(count) * 2.0)
            if length < 30:
                move *= calm[..., None]
            fields.append(move)
    return fields


def _close_lips(terms: np.ndarray, grid: Grid) -> None:
    """Moves both lip lines and all between them together, in place: nobody is born with parted lips."""
    low, high = grid.rows["mouth"], grid.rows["upper_lip"]
    line = 0.5 * (terms[:, low] + terms[:, high])[:, None]
    together = np.minimum(1.0, 3.0 * grid.mouth_taper)[:, None]
    terms[:, low : high + 1] += together * (line - terms[:, low : high + 1])


def principal_components(rows: np.ndarray, count: int, weights: np.ndarray) -> np.ndarray:
    """Leading components of a Gaussian given by independent unit-variance terms.

    Args:
      rows: [M, D] float64, one term a row.
      count: number of components, at most M.
      weights: [D] importance of the columns.

    Returns:
      [count, D] components sorted by falling weighted norm, each times an independent N(0, 1); the sign of each makes
      its largest entry positive.
    """
    # einsum without BLAS: the order of summation, and so every bit, is the same for any number of threads.
    gram = np.einsum("md,nd->mn", rows * weights, rows, optimize=False)
    values, vectors = np.linalg.eigh(gram)
    order = np.argsort(values)[::-1][:count]
    components = np.einsum("mk,md->kd", vectors[:, order], rows, optimize=False)
    peak = np.abs(components).argmax(axis=1)
    return components * np.sign(components[np.arange(len(components)), peak])[:, None]


def identity_components(grid: Grid, position: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Principal identity components of the half face.

    Args:
      grid: the half grid.
      position: [R, C, 3] its mean surface, millimetres.
      count: number of components.
      seed: of the Gaussian process.

    Returns:
      [count, R, C, 3] millimetres for one standard deviation, largest first; x is odd across the midline.
    """
    single = _deformations(grid, position)
    terms = [sum(weight * single[name] for name, weight in axis.items()) for axis in _AXES.values()]
    terms += [0.7 * field for field in single.values()]
    terms += _process(grid, position, seed)
    terms = np.array(terms)
    _close_lips(terms, grid)
    terms[..., 0, 0] = 0.0
    area = np.prod([np.linalg.norm(np.gradient(position, axis=axis), axis=-1) for axis in (0, 1)], axis=0)
    weights = np.repeat((area / area.mean()).ravel(), 3)
    components = principal_components(terms.reshape(len(terms), -1), count, weights)
    return components.reshape(count, *position.shape)
