"""The head cut out of MakeHuman's base mesh: skin with the inside of the mouth, and helpers that place other parts."""

from dataclasses import dataclass

import numpy as np
import scipy.spatial

from lib.errors import UserError
from lib.human_head.building.makehuman import BaseMesh
from lib.human_head.parts import EYES, TEETH, TONGUE

BOTTOM = 6.15  # dm: the head with its neck begins at this height of the base mesh
MIRROR_TOLERANCE = 0.01  # dm


@dataclass(frozen=True)
class ControlMesh:
    """Control vertices of the head: those of the skin, then those of the helpers.

    Attributes:
      kept: [V] their vertices in the base mesh.
      vertices: [V, 3] dm, as in the base mesh.
      quads: [Q, 4] skin.
      chart: [T, 2] texture coordinates of the skin.
      chart_quads: [Q, 4] into `chart`.
      mirror: [V] mirrored vertex.
      helpers: group -> [h] vertices.
      tongue_quads: [q, 4].
    """

    kept: np.ndarray
    vertices: np.ndarray
    quads: np.ndarray
    chart: np.ndarray
    chart_quads: np.ndarray
    mirror: np.ndarray
    helpers: dict[str, np.ndarray]
    tongue_quads: np.ndarray

    @property
    def skin(self) -> np.ndarray:
        """Vertices of the skin, increasing."""
        return np.unique(self.quads)


def cut_head(base: BaseMesh) -> ControlMesh:
    """Cuts the head and its helpers out of the base mesh.

    Raises:
      UserError: a group is missing, or the head is not symmetric.
    """
    body = base.groups.get("body", np.zeros(0, int))
    above = (base.vertices[:, 1] > BOTTOM)[base.quads[body]].all(axis=1)
    if not above.any():
        raise UserError(f"the base mesh must have a group 'body' above {BOTTOM} dm, got none")
    polygons = body[above]
    helpers = {name: base.vertices_of(name) for name in (*EYES, *TEETH, TONGUE)}
    kept = np.concatenate([np.unique(base.quads[polygons]), *helpers.values()])
    new = np.full(len(base.vertices), -1)
    new[kept] = np.arange(len(kept))
    used, chart_quads = np.unique(base.chart_quads[polygons], return_inverse=True)
    vertices = base.vertices[kept]
    return ControlMesh(
        kept=kept,
        vertices=vertices,
        quads=new[base.quads[polygons]],
        chart=base.chart[used],
        chart_quads=chart_quads.reshape(-1, 4),
        mirror=_mirror(vertices, [len(part) for part in helpers.values()]),
        helpers={name: new[vertices] for name, vertices in helpers.items()},
        tongue_quads=new[base.quads[base.groups[TONGUE]]],
    )


def _mirror(vertices: np.ndarray, helpers: list[int]) -> np.ndarray:
    """Mirror index [V] by position, of the skin and of the helpers behind it: the eyes' and each other one's.

    Args:
      vertices: [V, 3].
      helpers: numbers of vertices of the right eye, the left eye, and each other helper.
    """
    right, left, *others = helpers
    skin = len(vertices) - sum(helpers)
    mirror = np.zeros(len(vertices), int)
    start = 0
    for count in (skin, right + left, *others):
        part = slice(start, start + count)
        distance, nearest = scipy.spatial.cKDTree(vertices[part]).query(vertices[part] * [-1.0, 1.0, 1.0])
        mirror[part] = start + nearest
        if distance.max() > MIRROR_TOLERANCE or (nearest[nearest] != np.arange(count)).any():
            raise UserError(
                f"the base mesh must be symmetric to {MIRROR_TOLERANCE} dm, got mirror images "
                f"{distance.max():.3f} dm apart"
            )
        start += count
    return mirror
