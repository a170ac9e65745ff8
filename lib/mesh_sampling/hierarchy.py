"""Mesh hierarchies: all levels of a mesh and the matrices between them."""

import dataclasses
import hashlib
import math
from collections.abc import Sequence

import numpy as np
import scipy.sparse

from lib.mesh_sampling.graph import adjacency_matrix, normalised_laplacian
from lib.mesh_sampling.simplification import simplify, target_count
from lib.mesh_sampling.transfer import downsampling_matrix, interpolated_triangles, upsampling_matrix

# Part of the hash: increase the number when a change makes the same input give different matrices.
METHOD = "meshoptimizer quadrics, barycentric upsampling, 1"
# A mesh whose centre lies more than this many times its extent from the origin is centred. Others are not moved,
# because the hash covers their position.
FAR = 10.0


@dataclasses.dataclass(frozen=True)
class Step:
    """What the last bits of the vertices' positions decide in a step from a fine level to a coarse one.

    Attributes:
      triangles: [F, 3] the coarse level's triangles, as vertices of the fine level.
      nearest: [N] the coarse triangle on which each vertex of the fine level is interpolated.
    """

    triangles: np.ndarray
    nearest: np.ndarray


@dataclasses.dataclass(frozen=True)
class MeshHierarchy:
    """Levels 0 (the mesh itself) to S. Matrices are float32 CSR.

    Attributes:
      vertices: per level [N_i, 3] float32, each a subset of the level before, in its order.
      triangles: per level [F_i, 3] int32; None for the coarse levels of files that do not hold them (the original's).
      adjacency: per level [N_i, N_i]; each triangle adds 1 to its edges.
      laplacian: per level [N_i, N_i], symmetric normalised, spectrum in [0, 2].
      down: S matrices D_i [N_(i+1), N_i] that pick vertices.
      up: S matrices U_i [N_i, N_(i+1)] that interpolate on the coarse surface; rows sum to 1.
      factors: S reduction factors.
      hash: hash of the mesh and the settings (`mesh_hash`).
    """

    vertices: tuple[np.ndarray, ...]
    triangles: tuple[np.ndarray | None, ...]
    adjacency: tuple[scipy.sparse.csr_matrix, ...]
    laplacian: tuple[scipy.sparse.csr_matrix, ...]
    down: tuple[scipy.sparse.csr_matrix, ...]
    up: tuple[scipy.sparse.csr_matrix, ...]
    factors: tuple[float, ...]
    hash: str

    @property
    def level_sizes(self) -> tuple[int, ...]:
        """Vertices of each level, finest first."""
        return tuple(laplacian.shape[0] for laplacian in self.laplacian)

    @property
    def steps(self) -> tuple[Step, ...] | None:
        """The S steps, from which `build_hierarchy` makes the same levels; None if coarse triangles are unknown."""
        coarse = [triangles for triangles in self.triangles[1:] if triangles is not None]
        if len(coarse) < len(self.down):
            return None
        return tuple(
            Step(down.indices[triangles], interpolated_triangles(up, triangles))
            for down, up, triangles in zip(self.down, self.up, coarse, strict=True)
        )

    @property
    def choice(self) -> str:
        """Short hash of which vertices each level keeps and how edges join them.

        Unlike `hash`, it does not depend on the last bits of the vertices' positions.
        """
        digest = hashlib.sha256()
        for matrix in (*self.down, *self.adjacency):
            digest.update(np.ascontiguousarray(matrix.indptr, "<i4").tobytes())
            digest.update(np.ascontiguousarray(matrix.indices, "<i4").tobytes())
        return digest.hexdigest()[:16]


def build_hierarchy(
    vertices: np.ndarray,
    triangles: np.ndarray,
    factors: Sequence[float] = (4, 4, 4, 4),
    steps: Sequence[Step] | None = None,
) -> MeshHierarchy:
    """Simplifies a mesh level by level.

    A level has ceil(N / factor) vertices, or a few per cent more if borders and non-manifold edges prevent further
    collapses, and at least three. A mesh too small to be simplified is repeated.

    Which vertices are kept depends on the last bits of their positions. `steps` repeats an earlier choice.

    Args:
      vertices: [N, 3], any unit.
      triangles: [F, 3] indices into them; any mesh: open, in several pieces, with unused vertices (which only level 0
        keeps), with non-manifold edges.
      factors: reduction factor of each step, above 1.
      steps: `MeshHierarchy.steps` of levels of the same triangles and factors; None to simplify.

    Raises:
      ValueError: the arrays are not a valid mesh.
    """
    vertices, triangles = check_mesh(vertices, triangles)
    factors = check_factors(factors)
    level_vertices, level_triangles, down, up = [vertices], [triangles], [], []
    for i, factor in enumerate(factors):
        fine, fine_triangles = level_vertices[-1], level_triangles[-1]
        if steps is None:
            collapsed, nearest = simplify(fine, fine_triangles, target_count(len(fine), factor)), None
        else:
            collapsed, nearest = steps[i].triangles, steps[i].nearest
        kept, renumbered = np.unique(collapsed, return_inverse=True)
        coarse, coarse_triangles = fine[kept], renumbered.reshape(-1, 3).astype(np.int32)
        down.append(downsampling_matrix(kept, len(fine)))
        up.append(upsampling_matrix(fine, coarse, coarse_triangles, kept, nearest))
        level_vertices.append(coarse)
        level_triangles.append(coarse_triangles)
    adjacency = tuple(adjacency_matrix(t, len(v)) for v, t in zip(level_vertices, level_triangles, strict=True))
    return MeshHierarchy(
        vertices=tuple(level_vertices),
        triangles=tuple(level_triangles),
        adjacency=adjacency,
        laplacian=tuple(normalised_laplacian(a) for a in adjacency),
        down=tuple(down),
        up=tuple(up),
        factors=factors,
        hash=mesh_hash(vertices, triangles, factors),
    )


def mesh_hash(vertices: np.ndarray, triangles: np.ndarray, factors: Sequence[float]) -> str:
    """Hexadecimal digest of all inputs that determine a hierarchy."""
    digest = hashlib.sha256(METHOD.encode())
    digest.update(repr(tuple(float(factor) for factor in factors)).encode())
    for array, dtype in ((vertices, "<f4"), (triangles, "<i4")):
        array = np.ascontiguousarray(array, dtype)
        digest.update(repr(array.shape).encode() + array.tobytes())
    return digest.hexdigest()


def check_mesh(vertices: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Checks a mesh and converts it to float32 and int32 arrays; raises ValueError if it is invalid.

    A mesh far from the origin is centred first: float32 would round its coordinates.
    """
    vertices, triangles = np.asarray(vertices, np.float64), np.asarray(triangles)
    if vertices.ndim != 2 or vertices.shape[1] != 3:
        raise ValueError(f"vertices must be [N, 3], got {list(vertices.shape)}")
    if not np.isfinite(vertices).all():
        raise ValueError("vertices must be finite, got NaN or infinity")
    if triangles.ndim != 2 or triangles.shape[1] != 3 or len(triangles) == 0:
        raise ValueError(f"triangles must be [F, 3] with at least one, got {list(triangles.shape)}")
    if not np.issubdtype(triangles.dtype, np.integer):
        raise ValueError(f"triangles must be integers, got {triangles.dtype}")
    if triangles.min() < 0 or triangles.max() >= len(vertices):
        raise ValueError(
            f"triangles must index {len(vertices)} vertices from 0, got {triangles.min()} to {triangles.max()}"
        )
    centre = vertices.mean(axis=0)
    if np.abs(centre).max() > FAR * np.ptp(vertices, axis=0).max():
        vertices = vertices - centre
    return vertices.astype(np.float32), triangles.astype(np.int32)


def check_factors(factors: Sequence[float]) -> tuple[float, ...]:
    """Checks the reduction factors; raises ValueError if they are invalid."""
    factors = tuple(float(factor) for factor in factors)
    if not all(math.isfinite(factor) and factor > 1 for factor in factors):
        raise ValueError(f"factors must be above 1, got {factors}")
    return factors
