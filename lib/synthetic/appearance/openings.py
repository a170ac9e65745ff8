"""Eyeballs and the inside of the mouth for face models whose eyes or mouth are holes in the mesh."""

from dataclasses import dataclass

import numpy as np

from lib.synthetic.appearance.canonical import EYES, REGIONS, CanonicalFace
from lib.synthetic.appearance.eyes import BALL_RADIUS
from lib.synthetic.appearance.head import Part, border_loops, grid_triangles, join

RINGS = 8
LID_THICKNESS = 1.0  # mm: distance of the eyeball behind the edges of the lids
MOUTH_DEPTH = 14.0  # mm: apparent depth of an open mouth
EYE_REACH, MOUTH_REACH = 12.0, 30.0  # mm: a hole within this distance of the centre of eye or mouth is its opening
CORNER_COLOUR = np.array([0.62, 0.36, 0.33])  # of the inner corners of the eyes; the rest is painted
MOUTH_COLOUR = np.array([0.10, 0.035, 0.035])


@dataclass(frozen=True)
class _Opening:
    """One hole: its border [L], vertex indices in order, and whether it is an eye's."""

    loop: np.ndarray
    eye: bool


class Openings:
    """Surfaces behind the holes of one face model.

    Attributes:
      count: number of holes that are filled; 0 for models with eyeballs and closed lips.
    """

    def __init__(self, face: CanonicalFace, triangles: np.ndarray):
        self.face = face
        mouth = face.landmarks[48:68].mean(axis=0)
        eyes = [face.landmarks[list(polygon)].mean(axis=0) for polygon in EYES]
        _, *inner = border_loops(triangles, face.points)  # the largest is the border of the face
        self._openings: list[_Opening] = []
        for loop in inner:
            centre = face.points[loop].mean(axis=0)
            if min(np.linalg.norm(centre - eye) for eye in eyes) < EYE_REACH:
                self._add(_Opening(loop, True), "eye")
            elif np.linalg.norm(centre - mouth) < MOUTH_REACH:
                self._add(_Opening(loop, False), "mouth_inside")
        self.count = len(self._openings)

    def _add(self, opening: _Opening, part: str) -> None:
        """Adds an opening, unless the model already has the parts behind it."""
        if part not in self.face.parts:
            self._openings.append(opening)

    def fill(self, canonical: np.ndarray) -> tuple[Part, np.ndarray, np.ndarray]:
        """Surfaces that close the holes of a deformed face.

        Args:
          canonical: [N, 3] the face, canonical millimetres, unposed.

        Returns:
          The surfaces (M vertices), their albedo [M, 3] and regions [M, len(REGIONS)].
        """
        parts, colours, regions = [], [], []
        for opening in self._openings:
            border = canonical[opening.loop].astype(np.float64)
            vertices = _eyeball(border) if opening.eye else _cavity(border)
            # The iris does not move when the lids close, so positions follow the eye, not its opening.
            shift = self.face.points[opening.loop].mean(axis=0) - border.mean(axis=0)
            parts.append(Part(vertices, grid_triangles(RINGS, len(border), closed=True), vertices + shift))
            colours.append(np.tile(CORNER_COLOUR if opening.eye else MOUTH_COLOUR, (len(vertices), 1)))
            region = np.zeros((len(vertices), len(REGIONS)))
            region[:, REGIONS.index("eye" if opening.eye else "mouth_inside")] = 1.0
            regions.append(region)
        return join(parts), np.concatenate(colours), np.concatenate(regions)


def _rings(border: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rings [RINGS, L, 3] that shrink from a border to its centre, and the share [RINGS, 1] of the way."""
    share = np.linspace(0, 1, RINGS)[:, None]
    centre = border.mean(axis=0)
    return centre + (1 - share[..., None]) * (border - centre), share


def _eyeball(border: np.ndarray) -> np.ndarray:
    """[RINGS * L, 3] the front of a ball that touches the lids from behind; the first ring is their edge."""
    rings, _ = _rings(border)
    middle = border[:, :2].mean(axis=0)

    def height(points):
        return np.sqrt(np.maximum(BALL_RADIUS**2 - ((points[..., :2] - middle) ** 2).sum(axis=-1), 0.0))

    # The median, as the corners lie behind the ball in any face.
    back = np.median(border[:, 2] - height(border)) - LID_THICKNESS
    rings[1:, :, 2] = back + height(rings[1:])
    return rings.reshape(-1, 3)


def _cavity(border: np.ndarray) -> np.ndarray:
    """[RINGS * L, 3] a bowl behind a border."""
    rings, share = _rings(border)
    rings[..., 2] -= MOUTH_DEPTH * np.sqrt(share)
    return rings.reshape(-1, 3)
