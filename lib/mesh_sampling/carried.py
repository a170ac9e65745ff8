"""Mesh levels in the file of the weights that were trained on them.

A simplification chooses other vertices if the last bit of a coordinate differs, as it does between processors. On other
levels than its own, a network is worse without any sign of it. So its file carries them. For a mesh of S factors:

    levels/mesh                       hash of its triangles, number of vertices and factors
    levels/triangles<i>, i = 0..S-1   [F, 3] triangles of level i + 1, as vertices of level i (`Step.triangles`)
    levels/nearest<i>, i = 0..S-1     [N] triangle for each vertex of level i (`Step.nearest`)
"""

import hashlib
import os
from collections.abc import Sequence

import numpy as np

from lib.files import headed_npz
from lib.files.numpy_files import DamagedFile
from lib.mesh_sampling.hierarchy import MeshHierarchy, Step, check_factors

PREFIX = "levels/"


def carried_arrays(hierarchy: MeshHierarchy) -> dict[str, np.ndarray]:
    """The arrays of a file that carries a hierarchy, by name; none if its coarse triangles are unknown."""
    steps, triangles = hierarchy.steps, hierarchy.triangles[0] if hierarchy.triangles else None
    if steps is None or triangles is None:
        return {}
    arrays = {f"{PREFIX}mesh": np.array(_mesh(hierarchy.level_sizes[0], triangles, hierarchy.factors))}
    for i, step in enumerate(steps):
        for name, array in (("triangles", step.triangles), ("nearest", step.nearest)):
            arrays[f"{PREFIX}{name}{i}"] = array.astype(np.min_scalar_type(array.max()))
    return arrays


def read_carried(
    path: str | os.PathLike, vertex_count: int, triangles: np.ndarray, factors: Sequence[float]
) -> tuple[Step, ...] | None:
    """Reads the levels that a file carries, for `build_hierarchy`; None if it carries none, or those of another mesh.

    Args:
      path: a file written by `lib.files.headed_npz`.
      vertex_count: N, triangles: [F, 3], factors: of the mesh, see `build_hierarchy`.

    Raises:
      DamagedFile: the file is damaged, or there cannot be such levels.
      OSError: the file cannot be read.
    """
    arrays = headed_npz.read_group(path, PREFIX)
    mesh = arrays.get(f"{PREFIX}mesh")
    if mesh is None or mesh.tolist() != _mesh(vertex_count, triangles, factors):
        return None
    steps = []
    for i in range(len(factors)):
        coarse = _indices(arrays, f"triangles{i}", (-1, 3), vertex_count)
        steps.append(Step(coarse, _indices(arrays, f"nearest{i}", (vertex_count,), len(coarse))))
        vertex_count = len(np.unique(coarse))
    return tuple(steps)


def _indices(arrays: dict[str, np.ndarray], name: str, shape: tuple[int, ...], count: int) -> np.ndarray:
    """An array of indices below `count`, of this shape; -1 stands for any length."""
    array = arrays.get(PREFIX + name, np.zeros(0))
    fits = array.ndim == len(shape) and all(
        wanted in (-1, found) for wanted, found in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in "iu" or not array.size or array.min() < 0 or array.max() >= count:
        raise DamagedFile(f"array '{PREFIX}{name}' must be indices below {count} of the shape {list(shape)}")
    return array.astype(np.int32)


def _mesh(vertex_count: int, triangles: np.ndarray, factors: Sequence[float]) -> str:
    digest = hashlib.sha256(repr((vertex_count, check_factors(factors))).encode())
    digest.update(np.ascontiguousarray(triangles, "<i4").tobytes())
    return digest.hexdigest()
