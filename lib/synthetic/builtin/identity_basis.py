"""The identity basis: smooth deformations with adult spreads, common axes such as sex or age, and a Gaussian process.

Every deformation is a displacement of the mean half surface worth one standard deviation. The sum of independent
deformations is a Gaussian over shapes; its principal components, sorted, are the identity basis.
"""

import numpy as np

from lib.synthetic.builtin.deformations import deformations
from lib.synthetic.builtin.grid import Grid

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
    """Moves both lip lines and all between them together, in place: parted lips are an expression, not identity."""
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
    single = deformations(grid, position)
    joint = [np.sum([weight * single[name] for name, weight in axis.items()], axis=0) for axis in _AXES.values()]
    terms = np.array(joint + [0.7 * move for move in single.values()] + _process(grid, position, seed))
    _close_lips(terms, grid)
    terms[..., 0, 0] = 0.0
    area = np.prod([np.linalg.norm(np.gradient(position, axis=axis), axis=-1) for axis in (0, 1)], axis=0)
    weights = np.repeat((area / area.mean()).ravel(), 3)
    components = principal_components(terms.reshape(len(terms), -1), count, weights)
    return components.reshape(count, *position.shape)
