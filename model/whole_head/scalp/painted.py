"""The painted scalp of one reconstruction."""

from dataclasses import dataclass

import numpy as np

from lib.geometry.camera import Camera


@dataclass(frozen=True, eq=False)
class PaintedScalp:
    """The scalp of one reconstruction.

    Attributes:
      albedo: [N, 3] colour of hair or cap without light, RGB; 0 elsewhere.
      share: [N] float32 in [0, 1], share of that colour at each vertex.
      cloth: [N] float32 in [0, 1], the part of the share that is cloth.
      light: [N, 3] float32 shading of the whole head; on hair it has one hue, and it falls on cloth in its own way.
      alike: [N] in [0, 1], share of the mirrored side's detail that fits: strands must not end up on skin.
      camera: that of the crops with a wider field of view, because crops end below the crown.
      readable: [S, S] float32, 1 on pixels of that camera whose colours may be read, on the scalp and the face.
      bald: whether the photo shows that the scalp is bare, but for a ring of hair.
    """

    albedo: np.ndarray
    share: np.ndarray
    cloth: np.ndarray
    light: np.ndarray
    alike: np.ndarray
    camera: Camera
    readable: np.ndarray
    bald: bool = False

    @property
    def strands(self) -> np.ndarray:
        """[N] in [0, 1], the part of the share that is hair."""
        return self.share - self.cloth
