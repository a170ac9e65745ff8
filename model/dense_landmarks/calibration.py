"""Locates the face mesh's 468 points on a face model's surface, with renderings of that model."""

import numpy as np
from tqdm import tqdm

from lib.errors import UserError
from lib.face_mesh.groups import POINTS, mirror_numbers
from lib.face_mesh.network import find_mesh_points
from lib.face_mesh.surface_points import SurfacePoints, Views, locate
from lib.face_model.face_model import FaceModel
from lib.geometry.reference import REFERENCE_SIZE
from lib.synthetic.photos import PhotoSettings, SyntheticFaces
from lib.synthetic.rendering import compiled

# Number of pictures, each of a different person. With fewer, points are off by a pixel.
VIEWS = 96
# Half of the pictures are those with the widest open mouths among this many candidates: closed lips coincide.
CANDIDATES = 600
SEED = 468
# Of the open mouths: profile views, of which the other half has some, hide half of the points.
MOST_YAW = np.radians(40)
# Regions without points: the network locates eyelids and lips, not the parts behind them.
BEHIND = ("teeth", "mouth_inside", "eye", "iris", "pupil")
# Indices of the inner lips among the 68 landmarks, upper and lower.
_UPPER, _LOWER = (61, 62, 63), (67, 66, 65)


def calibrate(face_model: FaceModel, views: int = VIEWS, candidates: int = CANDIDATES) -> SurfacePoints:
    """Finds the surface points whose projections are closest on average to the points that the network detects.

    Every detection is also used, mirrored, for the mirror image of its point.

    Args:
      face_model: the model.
      views: number of pictures to render.
      candidates: number of pictures from which those with the widest open mouths are chosen.

    Raises:
      UserError: the network recognises too few of the pictures as faces.
    """
    settings = PhotoSettings(photos_per_identity=1, occluders=False)
    faces = SyntheticFaces(face_model, REFERENCE_SIZE, SEED, settings)
    seen = [_view(faces, index) for index in tqdm(_choose(faces, views, candidates), "calibrate", unit="face")]
    seen = [view for view in seen if view is not None]
    if len(seen) < 0.5 * views:
        raise UserError(
            f"face model {face_model.name!r}: at least half of {views} renders must look like faces to the landmark "
            f"network, got {len(seen)} (fit.landmarks=false leaves it out)"
        )
    return _solve(face_model, Views(*(np.stack(part) for part in zip(*seen, strict=True))))


def _solve(face_model: FaceModel, views: Views) -> SurfacePoints:
    """Locates half of the points from the views and the mirrored views, and mirrors them for the other half."""
    mirror, vertex_mirror = mirror_numbers(), face_model.mirror_index
    half = np.flatnonzero(np.arange(POINTS) <= mirror)
    flip, shift = np.array([-1, 1], np.float32), np.array([REFERENCE_SIZE, 0], np.float32)
    both = Views(
        np.concatenate([views.projected, views.projected[:, vertex_mirror] * flip + shift]),
        np.concatenate([views.facing, views.facing[:, vertex_mirror]]),
        np.concatenate([views.found[:, half], views.found[:, mirror[half]] * flip + shift]),
    )
    allowed = np.ones(face_model.vertex_count, bool)
    for name in BEHIND:
        if name in face_model.regions:
            allowed &= face_model.regions[name] < 0.5
    found = locate(both, face_model.triangles, allowed)
    vertices, barycentrics = np.zeros([POINTS, 3], np.int32), np.zeros([POINTS, 3], np.float32)
    other = mirror[half] != half
    vertices[half], barycentrics[half] = found.vertices, found.barycentrics
    # Mirroring reverses the winding of triangles, so the corners are reversed.
    vertices[mirror[half[other]]] = vertex_mirror[found.vertices[other]][:, ::-1]
    barycentrics[mirror[half[other]]] = found.barycentrics[other][:, ::-1]
    return SurfacePoints(vertices, barycentrics)


def _choose(faces: SyntheticFaces, views: int, candidates: int) -> list[int]:
    """Indices of the pictures to use: half have the widest open mouths, the rest are the first of the others."""
    model = faces.model
    lips = model.landmarks[list(_UPPER + _LOWER)]
    mean, basis = model.mean_shape[lips], model.expression_basis[:, lips]
    gaps, yaws = np.zeros(candidates), np.zeros(candidates)
    for index in range(candidates):
        moment = faces.moment(index)
        upper, lower = np.split(mean + np.tensordot(moment.expression, basis, 1), 2)
        gaps[index], yaws[index] = np.linalg.norm(upper - lower, axis=1).mean(), moment.angles[1]
    wide = [int(i) for i in np.argsort(-gaps) if abs(yaws[i]) < MOST_YAW][: views // 2]
    rest = [i for i in range(candidates) if i not in set(wide)]
    return wide + rest[: views - len(wide)]


def _view(faces: SyntheticFaces, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Projected vertices, cosines of their viewing angles, and detected points; None if no face is detected."""
    model, camera, face = faces.model, faces.camera, faces.sample(index)
    found = find_mesh_points(face.image, face.five_points)
    if not found.is_face:
        return None
    parts = model.layout.split(face.coefficients.astype(np.float64))
    shape = model.mean_shape + np.tensordot(parts.identity, model.identity_basis, 1)
    shape = shape + np.tensordot(parts.expression, model.expression_basis, 1)
    vertices = shape @ compiled.rotation(parts.angles) + parts.translation
    towards = np.array([0, 0, camera.distance]) - vertices
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    facing = (compiled.normals(vertices, model.triangles) * towards).sum(1)
    projected = compiled.project(camera, vertices)
    return projected.astype(np.float32), facing.astype(np.float32), found.points.astype(np.float32)
