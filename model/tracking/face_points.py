"""The 468 points of one face from frame to frame: where the face was last, else where the detector finds it."""

import numpy as np

from lib.face_image.detection import LARGE, SMALLEST, detect_faces
from lib.face_mesh.network import MeshNetwork, MeshPoints, Square, square_around

# The detector takes ten times as long as tracking; while the face is lost, it runs at most once in this time.
DETECTION_SECONDS = 0.4
# Squares below this side (pixels) show too little of a face.
SMALLEST_SQUARE = 32


class FacePoints:
    """Follows the largest face, possibly in a thread of its own.

    It therefore has a landmark network of its own. The detector is the process's, whose networks keep no state.

    Args:
      min_confidence: detections below it are ignored.

    Attributes:
      moved: whether the last points come from the detector instead of from where the face was last.
      irises: [2, 5, 2] those of the last points, as in `MeshPoints`, pixels of the frame.
    """

    def __init__(self, min_confidence: float):
        self._min_confidence, self._network = min_confidence, MeshNetwork()
        self._square: Square | None = None
        self._detected = -np.inf
        self.moved = False
        self.irises = np.full([2, 5, 2], np.nan)

    def __call__(self, frame: np.ndarray, seconds: float) -> np.ndarray | None:
        """The points [468, 2] of the face in a frame, pixels; None if it is lost.

        Args:
          frame: uint8 [H, W, 3] RGB.
          seconds: time of the frame.
        """
        found = None
        if self._square is not None:
            found, self.moved = _usable(self._network.find_in_square(frame, self._square), frame), False
        if found is None and seconds - self._detected >= DETECTION_SECONDS:
            self._detected, self.moved = seconds, True
            found = self._detect(frame)
        if found is not None:  # else the face may come back where it was
            self._square = square_around(found.points)
            self.irises = found.irises
        return None if found is None else found.points

    def _detect(self, frame: np.ndarray) -> MeshPoints | None:
        """The largest usable face in a frame; small faces, which take most of the time, only if there is no other."""
        for smallest in (LARGE, SMALLEST):
            for face in detect_faces(frame, refine=False, smallest=smallest):
                if face.confidence >= self._min_confidence:
                    found = _usable(self._network.find(frame, face.points), frame)
                    if found is not None:
                        return found
        return None

    def forget(self) -> None:
        """Gives up the place of the face, which turned out to be something else."""
        self._square = None


def _usable(found: MeshPoints, frame: np.ndarray) -> MeshPoints | None:
    """What was found, or None if they are not those of a face in the frame."""
    centre = found.points.mean(axis=0)
    inside = bool(np.all((centre >= 0) & (centre < frame.shape[1::-1])))
    large = bool(np.ptp(found.points, axis=0).max() >= SMALLEST_SQUARE)
    return found if found.is_face and inside and large else None
