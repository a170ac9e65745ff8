"""Mesh simplification to a subset of the vertices with meshoptimizer's quadric edge collapses."""

import math

import meshoptimizer
import numpy as np

_MAX_TRIALS = 24
# Maximum excess over the target; beyond it the settings are relaxed, and whole small components may vanish.
_TOLERATED_EXCESS = 1.1
_UNLIMITED_ERROR = 1e9


def simplify(vertices: np.ndarray, triangles: np.ndarray, target: int) -> np.ndarray:
    """Collapses edges until about `target` vertices are in use; the remaining vertices do not move.

    Borders are protected: border vertices collapse only along their border, so holes and the outer rim are kept and the
    topology is preserved as long as there are enough vertices (a hole needs three). Therefore the result can exceed
    `target`, by a few per cent on meshes with non-manifold edges, which are never collapsed. If the excess is more than
    a tenth, the rules are relaxed: first, components smaller than the simplification error may be dropped; then,
    vertices at the same position count as different (coincident surfaces are not welded, a seam may open). The result
    is then accepted.

    Args:
      vertices: [N, 3].
      triangles: [F, 3]; unused vertices are dropped.
      target: desired number of used vertices, at least 3.

    Returns:
      [F', 3] int32 triangles, indices into `vertices`, at least one; they use at most `target` vertices if possible.
      The input triangles if nothing can be collapsed.
    """
    best = np.asarray(triangles, np.int32)
    prune = meshoptimizer.SIMPLIFY_PRUNE
    for positions, options in ((vertices, 0), (vertices, prune), (_separated(vertices), prune)):
        candidate = _search(positions, triangles, target, options)
        if _used(candidate) < _used(best):
            best = candidate
        if _used(best) <= _TOLERATED_EXCESS * target:
            break
    return best


def _search(vertices, triangles, target: int, options: int) -> np.ndarray:
    """Searches for the largest result with at most `target` vertices; the smallest one if all have more.

    meshoptimizer takes a number of triangles, but the target is a number of vertices. Near the solution, one vertex
    corresponds to about two triangles, so a few trials of a few milliseconds suffice.
    """
    low, high = 0, len(triangles)
    budget = max(1, round(len(triangles) * target / max(_used(triangles), 1)))
    best = np.asarray(triangles, np.int32)
    for _ in range(_MAX_TRIALS):
        result = _collapse(vertices, triangles, budget, options)
        count = _used(result)
        if count and _is_better(count, _used(best), target):
            best = result
        if count == target:
            break
        low, high = (budget, high) if count < target else (low, budget)
        if high - low <= 1:
            break
        budget += 2 * (target - count)
        if not low < budget < high:
            budget = (low + high) // 2
    return best


def _is_better(count: int, best: int, target: int) -> bool:
    """Whether `count` vertices are better than `best`: more of them within the target, or fewer beyond it."""
    if count <= target:
        return best > target or count > best
    return count < best


def _collapse(vertices, triangles, budget: int, options: int) -> np.ndarray:
    indices = np.ascontiguousarray(triangles, np.uint32).ravel()
    destination = np.zeros(len(indices), np.uint32)
    count = meshoptimizer.simplify(
        destination,
        indices,
        np.ascontiguousarray(vertices, np.float32),
        target_index_count=3 * budget,
        target_error=_UNLIMITED_ERROR,
        options=options,
    )
    return destination[:count].reshape(-1, 3).astype(np.int32)


def _separated(vertices: np.ndarray) -> np.ndarray:
    """Moves the vertices by a millionth of the mesh's size, so that no two share a position."""
    vertices = np.asarray(vertices, np.float64)
    size = np.ptp(vertices, axis=0).max()
    return vertices + 1e-6 * size * np.random.default_rng(0).uniform(-1, 1, vertices.shape)


def _used(triangles: np.ndarray) -> int:
    return len(np.unique(triangles))


def target_count(vertex_count: int, factor: float) -> int:
    """Target vertex count of the next level: ceil(N / factor), but enough for one triangle."""
    return max(math.ceil(vertex_count / factor), 3)
