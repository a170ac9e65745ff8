"""The 68 landmarks of a mesh: read from a text file, found from 3-D points, or completed from a subset."""

from pathlib import Path

import numpy as np
import scipy.spatial

from lib.errors import UserError
from lib.face_model.face_model import LANDMARKS, FaceModel
from lib.face_model_files.correspondence import warp_between
from lib.sidecar.landmark_reading import landmark_numbers, landmark_text

FILE = "landmarks.txt"
LARGEST = 1e100  # of a coordinate, so that its square is a number
FEWEST = 6  # minimum number of known landmarks for the warp that completes the others


def read_landmarks(path: Path, shape: np.ndarray, used: np.ndarray | None = None) -> np.ndarray:
    """Reads [68] landmark vertices from a text file with one line per landmark: a 0-based vertex or three coordinates.

    Landmarks are in iBUG order, starting with the jaw at the left of the image. Marks of encodings, separators and
    comments are those of photos' landmark files (`lib.sidecar.landmark_reading`).

    Args:
      path: the file.
      shape: [N, 3] vertices of the mesh, in the units of the file's coordinates.
      used: numbers of the vertices that polygons use; None for all.

    Raises:
      UserError: the file does not hold 68 such lines, or a vertex does not exist or is not used.
    """
    try:
        numbers = landmark_numbers(landmark_text(path))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: must have {LANDMARKS} lines, each a vertex number from 0 or three coordinates, got others "
            f"({error})"
        ) from None
    if not (np.abs(numbers) < LARGEST).all():
        raise UserError(f"{path}: numbers must be finite and below {LARGEST:g}, got others")
    if numbers.shape == (LANDMARKS, 3):
        return _nearest_used(shape, numbers, used)
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
    if used is not None and not np.isin(vertices, used).all():
        stray = vertices[~np.isin(vertices, used)][0]
        raise UserError(f"{path}: landmarks must be vertices of polygons, got vertex {stray}, which no polygon uses")
    return vertices


def _nearest_used(shape: np.ndarray, points: np.ndarray, used: np.ndarray | None) -> np.ndarray:
    return nearest_vertices(shape, points) if used is None else used[nearest_vertices(shape[used], points)]


def nearest_vertices(shape: np.ndarray, points: np.ndarray) -> np.ndarray:
    """[M] vertices of a mesh [N, 3] nearest to points [M, 3]."""
    return scipy.spatial.cKDTree(shape).query(points)[1]


def complete_landmarks(
    where: str, shape: np.ndarray, known: dict[int, np.ndarray], source: FaceModel, used: np.ndarray | None = None
) -> np.ndarray:
    """Completes [68] landmark vertices: the known landmarks define a warp that places the source's others on the face.

    Args:
      where: file, for error messages.
      shape: [N, 3] dm, axes as in `FaceModel`.
      known: landmark number -> [3] position, dm.
      source: a model with all landmarks.
      used: numbers of the vertices that polygons use; None for all.

    Raises:
      UserError: fewer than FEWEST landmarks are known, or all of them lie in one plane.
    """
    if len(known) < FEWEST:
        raise UserError(
            f"{where}: must name at least {FEWEST} landmarks to find the others from, got {len(known)} (put all "
            f"{LANDMARKS} into {FILE} in its folder, one vertex number per line)"
        )
    numbers = sorted(known)
    places = np.array([known[number] for number in numbers], np.float64)
    reference = source.mean_shape[source.landmarks].astype(np.float64)
    try:
        points = warp_between(reference[numbers], places)(reference)
    except ValueError as error:
        raise UserError(f"{where}: {error} (name some of both sides of the face)") from error
    points[numbers] = places
    return _nearest_used(shape, points, used)
