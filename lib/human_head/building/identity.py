"""The identity model: target displacements aligned to the face, random heads, and their principal components."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from lib.geometry.lengths import MILLIMETRES
from lib.geometry.sphere import fit_sphere
from lib.human_head.building.control_mesh import ControlMesh
from lib.human_head.building.smooth_fields import FieldPlaces, smooth_fields
from lib.human_head.parts import EYES
from lib.human_head.population import Population

SCALE = 1.119  # MakeHuman's pupils are 56.4 mm apart, people's 63
INNER_FACE = 0.95  # dm from the tip of the nose
# The importance of a square millimetre away from the inner face in the principal components.
ELSEWHERE = 0.25


@dataclass(frozen=True)
class IdentityModel:
    """Shapes of heads, decimetres, with the centroid of the mean's inner face at the origin.

    Attributes:
      mean: [V, 3].
      basis: [K, V, 3], scaled for coefficients of unit variance; each symmetric or antisymmetric, largest first.
      targets: [T, K] coefficients that a target adds at weight 1.
      offset: [K] coefficients of the base mesh without any target.
      growth: [K] coefficients of the mean shape itself: what a larger scale adds.
      fields: [K, K] lower factor of the covariance of the smooth fields.
      share: of the variance that the K components hold.
    """

    mean: np.ndarray
    basis: np.ndarray
    targets: np.ndarray
    offset: np.ndarray
    growth: np.ndarray
    fields: np.ndarray
    share: float


def build_identity(
    mesh: ControlMesh,
    displacements: np.ndarray,
    population: Population,
    generator: np.random.Generator,
    samples: int,
    components: int,
) -> IdentityModel:
    """Draws heads and computes their principal components.

    Args:
      mesh: the control mesh.
      displacements: [T, V, 3] of the population's targets, decimetres in the base mesh.
      population: whom to draw.
      generator: of people and fields.
      samples: number of heads.
      components: K.
    """
    count = len(mesh.vertices)
    people = population.draw(generator, samples)
    base = SCALE * mesh.vertices
    moves = SCALE * displacements
    average = _symmetric(base + np.tensordot(people.weights.mean(axis=0), moves, 1), mesh.mirror)
    nose = _nose_tip(mesh, average)
    inner = np.zeros(count, bool)
    inner[mesh.skin] = np.linalg.norm(average[mesh.skin] - nose, axis=1) < INNER_FACE
    origin = average[inner].mean(axis=0)
    # All effects are small enough for a linear alignment, so that shapes stay linear in the weights.
    moves = _without_rigid_motion(moves, average - origin, inner)
    base = average - origin + _without_rigid_motion((base - average)[None], average - origin, inner)[0]
    mean = _symmetric(base + np.tensordot(people.weights.mean(axis=0), moves, 1), mesh.mirror)
    waves = _fields(mesh, mean, inner, generator) / MILLIMETRES
    waves = _without_rigid_motion(waves, mean, inner)
    flat = moves.reshape(len(moves), -1)
    strengths = generator.normal(size=(samples, len(waves))).astype(np.float32)
    heads = (people.weights @ flat + (base - mean).ravel()).astype(np.float32)
    heads += strengths @ waves.reshape(len(waves), -1).astype(np.float32)
    heads = people.size[:, None].astype(np.float32) * heads
    heads += (people.size - 1)[:, None].astype(np.float32) * mean.ravel().astype(np.float32)
    weight = _importance(mesh, mean, inner)
    basis, share = _components(heads.reshape(samples, count, 3), mesh.mirror, weight, components)

    def coefficients(shapes: np.ndarray) -> np.ndarray:
        return _project(shapes.reshape(-1, count, 3), basis, weight)

    projected = coefficients(waves)
    factor = scipy.linalg.cholesky(projected.T @ projected + 1e-9 * np.eye(components), lower=True)
    return IdentityModel(
        mean=mean,
        basis=basis,
        targets=coefficients(moves),
        offset=coefficients(base - mean)[0],
        growth=coefficients(mean)[0],
        fields=factor,
        share=share,
    )


def _nose_tip(mesh: ControlMesh, shape: np.ndarray) -> np.ndarray:
    skin = mesh.skin
    return shape[skin[shape[skin, 2].argmax()]]


def _symmetric(shape: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    return 0.5 * (shape + shape[..., mirror, :] * [-1.0, 1.0, 1.0])


def _without_rigid_motion(moves: np.ndarray, shape: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Removes the translation and small rotation of the inner face from displacements [M, V, 3] of a shape [V, 3]."""

    def motions(points: np.ndarray) -> np.ndarray:
        """[P * 3, 6] velocities of the six rigid motions."""
        x, y, z = points.T
        o, one = np.zeros_like(x), np.ones_like(x)
        columns = [(one, o, o), (o, one, o), (o, o, one), (o, -z, y), (z, o, -x), (-y, x, o)]
        return np.stack([np.stack(column, axis=1).ravel() for column in columns], axis=1)

    found = np.linalg.lstsq(motions(shape[inner]), moves[:, inner].reshape(len(moves), -1).T, rcond=None)[0]
    return moves - (motions(shape) @ found).T.reshape(moves.shape)


def _fields(mesh: ControlMesh, mean: np.ndarray, inner: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """[M, V, 3] millimetres."""
    points = mean.copy()
    centres = []
    for name in EYES:
        centre, _ = fit_sphere(mean[mesh.helpers[name]])
        points[mesh.helpers[name]] = centre
        centres.append(centre)
    places = FieldPlaces(
        MILLIMETRES * points, inner, MILLIMETRES * _nose_tip(mesh, mean), MILLIMETRES * np.array(centres)
    )
    return smooth_fields(places, generator)


def _importance(mesh: ControlMesh, mean: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """[V] area around each vertex, less away from the inner face and on helpers."""
    a, b, c, d = (mean[mesh.quads[:, i]] for i in range(4))
    area = 0.5 * np.linalg.norm(np.cross(c - a, d - b), axis=1)
    weight = np.bincount(mesh.quads.ravel(), np.repeat(area / 4, 4), len(mean))
    weight[~inner] *= ELSEWHERE
    helpers = np.concatenate(list(mesh.helpers.values()))
    weight[helpers] = 0.1 * weight[inner].mean()
    return weight / weight.sum()


def _components(heads: np.ndarray, mirror: np.ndarray, weight: np.ndarray, count: int) -> tuple[np.ndarray, float]:
    """Principal components [K, V, 3] of heads [n, V, 3], and their share of the variance.

    People are as likely as their mirror images, so that the components are symmetric or antisymmetric.
    """
    image = heads[:, mirror] * np.array([-1, 1, 1], np.float32)
    found: list[tuple[float, np.ndarray]] = []
    total = 0.0
    for part in (0.5 * (heads + image), 0.5 * (heads - image)):
        flat = part.reshape(len(part), -1)
        weighted = flat * np.repeat(np.sqrt(weight), 3).astype(np.float32)
        gram = weighted @ weighted.T
        total += np.trace(gram)
        first = max(len(gram) - count, 0)
        values, vectors = scipy.linalg.eigh(gram, subset_by_index=(first, len(gram) - 1))
        found += [(values[k], vectors[:, k] @ flat / np.sqrt(len(flat))) for k in range(len(values))]
    found.sort(key=lambda item: -item[0])
    basis = np.array([component for _, component in found[:count]]).reshape(count, -1, 3).astype(np.float64)
    peak = np.abs(basis).reshape(count, -1).argmax(axis=1)
    sign = np.sign(basis.reshape(count, -1)[np.arange(count), peak])
    return basis * sign[:, None, None], float(sum(value for value, _ in found[:count]) / total)


def _project(shapes: np.ndarray, basis: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Coefficients [n, K] of shapes [n, V, 3]: weighted least squares on components orthogonal under the weight."""
    flat = basis.reshape(len(basis), -1)
    weighted = flat * np.repeat(weight, 3)
    return shapes.reshape(len(shapes), -1) @ weighted.T / (weighted * flat).sum(axis=1)
