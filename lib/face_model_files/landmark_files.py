"""The 68 landmarks of a mesh: from a text file, from points in space, or from a few of them by name."""

from pathlib import Path

import numpy as np
import scipy.spatial

from lib.errors import UserError
from lib.face_model.face_model import LANDMARKS, FaceModel
from lib.face_model_files.correspondence import warp_between

FILE = "landmarks.txt"
FEWEST = 6  # landmarks from which a warp of the others can be found


def read_landmarks(path: Path, shape: np.ndarray) -> np.ndarray:
    """[68] vertices from a text file: a line for each landmark, a vertex number from 0 or three coordinates.

    The usual order, beginning at the jaw at the left of the image. What follows # on a line is a comment.

    Args:
      path: the file.
      shape: [N, 3] the vertices it belongs to, in the units of the file's coordinates.

    Raises:
      UserError: not 68 such lines, or a vertex that does not exist.
    """
    try:
        lines = [line.split("#")[0].split() for line in path.read_text(encoding="utf-8").splitlines()]
        numbers = np.array([line for line in lines if line], np.float64)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: must have {LANDMARKS} lines, each a vertex number from 0 or three coordinates, got others "
            f"({error})"
        ) from None
    if numbers.shape == (LANDMARKS, 3):
        return nearest_vertices(shape, numbers)
    if numbers.shape != (LANDMARKS, 1) or (numbers != np.rint(numbers)).any():
        raise UserError(
            f"{path}: must have {LANDMARKS} lines, each a vertex number from 0 or three coordinates, got "
            f"{' x '.join(map(str, numbers.shape))} numbers"
        )
    vertices = numbers[:, 0].astype(np.int64)
    if vertices.min() < 0 or vertices.max() >= len(shape):
        raise UserError(
            f"{path}: vertices must be within 0..{len(shape) - 1}, got {vertices.min()}..{vertices.max()} "
            "(numbers start at 0)"
        )
    return vertices


def nearest_vertices(shape: np.ndarray, points: np.ndarray) -> np.ndarray:
    """[M] the vertex of [N, 3] that is nearest to each of points [M, 3]."""
    return scipy.spatial.cKDTree(shape).query(points)[1]


def complete_landmarks(where: str, shape: np.ndarray, known: dict[int, np.ndarray], source: FaceModel) -> np.ndarray:
    """[68] vertices from some landmarks: the others are those of the source, warped onto the face by the known ones.

    Args:
      where: file, for messages.
      shape: [N, 3] dm, axes of `FaceModel`.
      known: landmark number -> [3] its place, dm.
      source: a model with all landmarks.

    Raises:
      UserError: too few.
    """
    if len(known) < FEWEST:
        raise UserError(
            f"{where}: must name at least {FEWEST} landmarks to find the others from, got {len(known)} (put all "
            f"{LANDMARKS} into {FILE} beside it, a vertex number a line)"
        )
    numbers = sorted(known)
    places = np.array([known[number] for number in numbers], np.float64)
    reference = source.mean_shape[source.landmarks].astype(np.float64)
    points = warp_between(reference[numbers], places)(reference)
    points[numbers] = places
    return nearest_vertices(shape, points)
