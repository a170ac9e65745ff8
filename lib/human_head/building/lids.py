"""Eyelids that slide over the eyeballs and meet when they close."""

import numpy as np
import scipy.sparse

from lib.geometry.sphere import fit_sphere
from lib.human_head.building.control_mesh import ControlMesh
from lib.human_head.expressions import NAMES, SIDES
from lib.human_head.parts import EYES, IRIS, cornea_height
from lib.human_head.subdivision import subdivide

CLEARANCE = 0.004  # dm between the subdivided lids and the ball
STAGES = (0.25, 0.5, 0.75, 1.0)  # shares of full strength at which lids must clear the ball
TOLERANCE = 2e-4  # dm
_PASSES, _RELAXATION = 80, 0.8
MOST_ANGLE = 55.0  # degrees from the ball's pole: skin further out hides the ball at rest already


def close_lids(mesh: ControlMesh, mean: np.ndarray, moves: np.ndarray, sockets: np.ndarray) -> np.ndarray:
    """Corrects the expressions that move lids, so that no lid enters its ball.

    Args:
      mesh: the control mesh; mean: [V, 3] the mean head.
      moves: [E, V, 3] displacements at full strength, in the order of `NAMES`.
      sockets: [T] mask of the chart's islands behind the lids.
    """
    step = subdivide(len(mean), mesh.quads)
    in_socket = sockets[mesh.chart_quads].mean(axis=1) > 0.5
    skin = np.unique(step.quads[np.repeat(~in_socket, 4)])
    corrected = moves.copy()
    for side, helper in zip(SIDES, (mesh.helpers[name] for name in EYES), strict=True):
        centre, radius = fit_sphere(mean[helper])
        rows = skin[_is_lid((step.matrix @ mean)[skin], centre, radius)]
        lids = step.matrix[rows]
        for name in NAMES:
            if name.startswith("eye") and name.endswith(side):
                number = NAMES.index(name)
                corrected[number] = _cleared(lids, mean, corrected[number], centre, radius)
    return corrected


def _is_lid(points: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """[P] bool: points of the skin in front of the ball that lie off it at rest."""
    depth, outward = penetration(points, centre, radius)
    near = np.linalg.norm(points - centre, axis=1) < 1.7 * radius
    return near & (depth == 0) & (outward[:, 2] > np.cos(np.radians(MOST_ANGLE)))


def _cleared(
    lids: scipy.sparse.csr_matrix, mean: np.ndarray, move: np.ndarray, centre: np.ndarray, radius: float
) -> np.ndarray:
    """The displacement [V, 3], moved outwards as far as all stages of the lids need to stay off the ball."""
    move = move.copy()
    for _ in range(_PASSES):
        depth, outward = np.zeros(lids.shape[0]), np.zeros((lids.shape[0], 3))
        for stage in STAGES:
            found, direction = penetration(lids @ (mean + stage * move), centre, radius)
            deeper = found / stage > depth
            depth = np.where(deeper, found / stage, depth)
            outward[deeper] = direction[deeper]
        if depth.max() < TOLERANCE:
            break
        # Each control vertex follows the mean of the pushes of the points that it controls.
        share = lids.T @ (depth > 0).astype(float)
        move += _RELAXATION * (lids.T @ (depth[:, None] * outward)) / np.maximum(share, 0.05)[:, None]
    return move


def penetration(points: np.ndarray, centre: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Depth [P] of points [P, 3] below the clearance over an eyeball and its cornea, and the directions outwards."""
    offset = points - centre
    distance = np.linalg.norm(offset, axis=1)
    outward = offset / distance[:, None]
    angle = np.degrees(np.arccos(np.clip(outward[:, 2], -1, 1)))
    surface = radius * cornea_height(angle / IRIS)
    depth = np.clip(surface + CLEARANCE - distance, 0, None)
    return np.where(angle < 90, depth, 0.0), outward
