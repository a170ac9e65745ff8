"""Fits of a face model to scan-based faces: python -m benchmarks.scanned_faces --scans FILE.npz --output FILE.json.

FILE.npz is a linear model made from scans: `mean_shape` [N, 3], `identity_basis` [K, N, 3], `triangles` [F, 3],
`landmarks68` [68], in centimetres (`--unit` for others). Its mean face and `--people` random identities (seed 0) are
fitted by the face model's identity and a rigid motion; identity coefficients may not exceed their prior (mean square at
most one). Errors are distances from the open skin of the scan, the vertices within 95 mm of the tip of the nose that
see more than half of the sky, to the fitted surface without eyeballs and the inside of the mouth.

Written values, all in mm: `scan_mm` mean error over the people, `mean_face_mm` error of the fitted mean face,
`unfitted_mm` mean distance of the people from the model's mean face. Spreads are standard deviations over the people:
`true_spread_mm` of the scans' open skin, `fitted_spread_mm` of fixed points of the fitted surfaces (those closest to
the mean face's open skin), and `rigid_spread_mm` of the same points without identity, which the rigid motions alone
make.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import igl
import numpy as np
import tensorflow as tf
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from configs import schema
from lib.face_model.face_model import FaceModel
from lib.files.json_files import write_json
from lib.geometry.lengths import MILLIMETRES
from lib.geometry.normals import incident_triangles, vertex_normals
from lib.synthetic.rendering.shadows import bake_occlusion
from model.pipeline import load_face_model

MODELS = {"human-head": "human head", "built-in": "built-in face"}
SEED = 0
REACH = 95.0  # mm from the tip of the nose
OPEN = 0.5  # share of the sky
ROUNDS = 20  # of closest points and least squares
SLIDING = 0.3  # weight of the distance along the surface, beside that across it
INNER = slice(17, None)  # landmarks of brows, eyes, nose and mouth
UNSEEN = ("eye", "mouth_inside")  # regions without skin


@dataclass(frozen=True)
class Scans:
    """Faces made from scans, in mm: the mean [N, 3], people [S, N, 3], landmarks [68], open skin [N] bool."""

    mean: np.ndarray
    people: np.ndarray
    landmarks: np.ndarray
    open_skin: np.ndarray

    @classmethod
    def read(cls, path: Path, count: int, unit: float) -> "Scans":
        """Reads a model made from scans and draws people; `unit` is the length of its unit in mm."""
        with np.load(path, allow_pickle=False) as data:
            mean, basis = unit * np.float64(data["mean_shape"]), unit * np.float64(data["identity_basis"])
            triangles, landmarks = data["triangles"].astype(np.int32), data["landmarks68"]
        incidence = incident_triangles(triangles, len(mean))
        normals = vertex_normals(tf.constant(mean[None], tf.float32), triangles, incidence)[0].numpy()
        sky = bake_occlusion(mean, normals, triangles, len(mean))
        near = np.linalg.norm(mean - mean[landmarks[30]], axis=1) < REACH
        people = np.random.default_rng(SEED).normal(size=(count, len(basis)))
        return cls(mean, mean + np.tensordot(people, basis, 1), landmarks, near & (sky > OPEN))


class Surface:
    """The skin of a face model in mm, with its identity: what is fitted."""

    def __init__(self, face_model: FaceModel):
        self.mean = MILLIMETRES * face_model.mean_shape.astype(np.float64)
        self.identity = MILLIMETRES * face_model.identity_basis.astype(np.float64)
        self.landmarks = face_model.landmarks
        unseen = np.zeros(face_model.vertex_count)
        for name in UNSEEN:
            unseen = np.maximum(unseen, face_model.regions.get(name, 0.0))
        self.triangles = face_model.triangles[unseen[face_model.triangles].max(axis=1) <= 0.5].astype(np.int64)

    def shape(self, coefficients: np.ndarray) -> np.ndarray:
        """Vertices [N, 3] of an identity by its first coefficients."""
        return self.mean + np.tensordot(coefficients, self.identity[: len(coefficients)], 1)


@dataclass(frozen=True)
class SurfacePlaces:
    """Points of a surface: corners [P, 3] of their triangles, and weights [P, 3] of these."""

    corners: np.ndarray
    weights: np.ndarray

    def on(self, shape: np.ndarray) -> np.ndarray:
        """Their positions [P, 3] on vertices [N, 3]."""
        return np.einsum("pvc,pv->pc", shape[self.corners], self.weights)


@dataclass(frozen=True)
class Fit:
    """A fitted surface.

    Attributes:
      coefficients: [K] identity.
      distances: [P] of the points of open skin from the surface, mm.
      closest: the points of the surface that are closest to them.
      turn, shift: rotation [3, 3] and translation [3] from the scan to the surface.
    """

    coefficients: np.ndarray
    distances: np.ndarray
    closest: SurfacePlaces
    turn: np.ndarray
    shift: np.ndarray

    def moved(self, surface: Surface, places: SurfacePlaces) -> np.ndarray:
        """Places of the fitted surface, moved to the scan: [P, 3]."""
        return (places.on(surface.shape(self.coefficients)) - self.shift) @ self.turn


def fit(surface: Surface, scan: np.ndarray, scans: Scans, with_identity: bool = True) -> Fit:
    """Fits a rigid motion, and the identity, to a scan [N, 3]: iterated closest points with Gauss-Newton steps."""
    turn, shift = _aligned(scan[scans.landmarks[INNER]], surface.mean[surface.landmarks[INNER]])
    coefficients = np.zeros(len(surface.identity) if with_identity else 0)
    basis = surface.identity[: len(coefficients)]
    points = scan[scans.open_skin]

    def closest():
        shape = surface.shape(coefficients)
        moved = points @ turn.T + shift
        squared, triangle, place = igl.point_mesh_squared_distance(moved, shape, surface.triangles)
        return shape, moved, np.sqrt(squared), surface.triangles[triangle], np.asarray(place)

    for _ in range(ROUNDS):
        shape, moved, _, corners, place = closest()
        step = _step(shape, moved, corners, place, basis, coefficients)
        coefficients = coefficients + step[6:]
        change = Rotation.from_rotvec(step[:3]).as_matrix()
        turn, shift = change @ turn, change @ shift + step[3:6]
    shape, _, distances, corners, place = closest()
    return Fit(coefficients, distances, SurfacePlaces(corners, _weights(shape, corners, place)), turn, shift)


def _weights(shape, corners, place) -> np.ndarray:
    """Weights [P, 3] of the corners [P, 3] of triangles at places [P, 3] within these."""
    return np.asarray(igl.barycentric_coordinates(place, *(shape[corners[:, i]] for i in range(3))))


def _step(shape, moved, corners, place, basis, coefficients) -> np.ndarray:
    """Gauss-Newton step [6 + K] of rotation vector, translation and identity.

    The identity's damping is the least one that keeps the mean square of its coefficients within one.
    """
    a, b, c = (shape[corners[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    weights = _weights(shape, corners, place)
    moves = np.einsum("kpvc,pv->pck", basis[:, corners], weights) if len(basis) else np.zeros((*place.shape, 0))
    cross = np.cross(np.eye(3), moved[:, None, :]).transpose(0, 2, 1)  # d(turned point) / d(rotation vector)
    jacobian = np.concatenate([cross, np.tile(np.eye(3), (len(moved), 1, 1)), -moves], axis=2)
    residual = moved - place
    across = np.einsum("pc,pck->pk", normals, jacobian)
    normal = across.T @ across + SLIDING**2 * np.einsum("pci,pcj->ij", jacobian, jacobian, optimize=True)
    slope = across.T @ np.einsum("pc,pc->p", normals, residual)
    slope += SLIDING**2 * np.einsum("pck,pc->k", jacobian, residual, optimize=True)

    def solved(damping: float) -> np.ndarray:
        prior = np.concatenate([np.full(6, 1e-9), np.full(len(basis), damping)])
        return -np.linalg.solve(normal + np.diag(prior), slope + prior * np.concatenate([np.zeros(6), coefficients]))

    if not len(basis):
        return solved(0.0)
    low, high = 1e-3, 1e6
    for _ in range(20):
        middle = np.sqrt(low * high)
        too_far = np.mean(np.square(coefficients + solved(middle)[6:])) > 1
        low, high = (middle, high) if too_far else (low, middle)
    return solved(high)


def _aligned(points: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation [3, 3] and translation [3] that bring points [M, 3] closest to targets [M, 3]."""
    rotation, _ = Rotation.align_vectors(targets - targets.mean(axis=0), points - points.mean(axis=0))
    turn = rotation.as_matrix()
    return turn, targets.mean(axis=0) - turn @ points.mean(axis=0)


def measure(face_model: FaceModel, scans: Scans, name: str) -> dict[str, float]:
    """The values of the module's docstring for one face model."""
    surface = Surface(face_model)
    fits = [fit(surface, scan, scans) for scan in tqdm(scans.people, name, unit="face")]
    plain = [fit(surface, scan, scans, with_identity=False) for scan in scans.people]
    mean = fit(surface, scans.mean, scans)
    return {
        "scan_mm": float(np.mean([one.distances.mean() for one in fits])),
        "mean_face_mm": float(mean.distances.mean()),
        "unfitted_mm": float(np.mean([one.distances.mean() for one in plain])),
        "fitted_spread_mm": spread(np.stack([one.moved(surface, mean.closest) for one in fits])),
        "rigid_spread_mm": spread(np.stack([one.moved(surface, mean.closest) for one in plain])),
        "true_spread_mm": spread(scans.people[:, scans.open_skin]),
        "modes": len(surface.identity),
    }


def spread(shapes: np.ndarray) -> float:
    """Root of the mean square distance of points [S, P, 3] from their means over the people."""
    return float(np.sqrt(np.square(shapes - shapes.mean(axis=0)).sum(axis=-1).mean()))


def main() -> None:
    """Measures both built-in models and writes the values."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--unit", type=float, default=10.0, help="mm per unit of the scans (default: %(default)s)")
    arguments = parser.parse_args()
    scans = Scans.read(arguments.scans, arguments.people, arguments.unit)
    found = {
        source: measure(load_face_model(schema.load(overrides={"face_model.source": source})), scans, name)
        for source, name in MODELS.items()
    }
    write_json(arguments.output, found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
