"""A small rig: sheets with three morph targets, one of which moves nothing."""

import cv2
import numpy as np

from lib.mesh_export.rig import RigPart

SIDE = 12
NAMES, WEIGHTS = ("jawOpen", "browInnerUp", "nothing"), np.array([0.25, -0.125, 1.0])
PNG = cv2.imencode(".png", np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8))[1].tobytes()


def sheet(name: str, pivot=None) -> RigPart:
    """A sheet whose lower half the first target moves, and all of which the second one does."""
    u, v = (axis.ravel() for axis in np.meshgrid(np.linspace(0, 1, SIDE), np.linspace(0, 1, SIDE)))
    vertices = np.stack([u - 0.5, v - 0.5, 0.1 * np.sin(3 * u)], axis=1)
    corner = (np.arange(SIDE - 1)[:, None] * SIDE + np.arange(SIDE - 1)).ravel()
    triangles = np.concatenate(
        [np.stack([corner, corner + 1, corner + SIDE + 1], 1), np.stack([corner, corner + SIDE + 1, corner + SIDE], 1)]
    )
    normals = np.tile([0.0, 0, 1], (len(vertices), 1))
    moves = np.zeros((3, len(vertices), 3))
    moves[0, v < 0.3] = [0, -0.2, 0.05]
    moves[1] = [0.01, 0.3, 0]
    moves[2] = 1e-6  # rounding
    turned = np.stack([normals + 5 * moves[0], normals, normals])
    tangents = np.tile([1.0, 0, 0, 1], (len(vertices), 1))
    return RigPart(name, vertices, normals, triangles, np.stack([u, v], 1), moves, turned, tangents, pivot)
