"""What goes into the drawing of a synthetic photo, what it draws on, and what comes out."""

from dataclasses import dataclass

import numpy as np

from lib.synthetic.appearance.sampling_priors import Moment, Person
from lib.synthetic.rendering.lights import Light

# Depth, in decimetres, that a landmark may lie behind the surface of its pixel and still count as seen.
LANDMARK_TOLERANCE = 0.05


@dataclass(frozen=True)
class Scene:
    """Everything that decides a picture but the surroundings' dice.

    Attributes:
      person, moment, light: what was drawn.
      shape: [N, 3] before the pose; vertices: [N, 3] world; decimetres.
      rotation: [3, 3] for row vectors; translation: [3].
      normals, shading, coarse: [N, 3] world normals, plain shading and coarse albedo.
      fields: [N, FIELDS] slow variations of the skin.
    """

    person: Person
    moment: Moment
    light: Light
    shape: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    vertices: np.ndarray
    normals: np.ndarray
    shading: np.ndarray
    coarse: np.ndarray
    fields: np.ndarray


@dataclass(frozen=True)
class Picture:
    """What was drawn.

    Attributes:
      image: float32 [H, W, 3]; alpha: uint8 [H, W]; occluder: bool [H, W].
      depth: [H, W] of the nearest surface of the head, infinite in the background.
    """

    image: np.ndarray
    alpha: np.ndarray
    occluder: np.ndarray
    depth: np.ndarray

    def visible_at(self, points: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Whether points [M, 2] at some depth [M] are seen: inside, on the surface of their pixel, and not covered."""
        size = self.alpha.shape[0]
        inside = ((points >= 0) & (points < size)).all(1)
        column, row = np.clip(points.astype(int), 0, size - 1).T
        return inside & (depth < self.depth[row, column] + LANDMARK_TOLERANCE) & ~self.occluder[row, column]


@dataclass
class Canvas:
    """Pixels being drawn, flat: colour [P, 3], depth, and which pixels show face or something before it."""

    colour: np.ndarray
    depth: np.ndarray
    face: np.ndarray
    covered: np.ndarray
