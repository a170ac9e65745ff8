"""Points fixed to a face model's surface, and the search for the surface points that project to given pixels."""

import dataclasses

import numpy as np

# A first search over FIRST_VIEWS views keeps FIRST_NEAREST vertices per point; a second one over all views keeps
# NEAREST, whose triangles are searched.
FIRST_VIEWS, FIRST_NEAREST, NEAREST = 24, 200, 12
# Steps along a triangle's edge in that search.
STEPS = 6
# Huber threshold (pixels of 224): larger distances grow linearly, for renderings where the network failed.
ROBUST = 3.0
# Surfaces seen at a cosine below GRAZING have less weight, at least LEAST_WEIGHT, because their points slide along the
# silhouette.
GRAZING, LEAST_WEIGHT = 0.3, 0.02
# Minimum share of views that should see a candidate, and the penalty (pixels) per missing view: without it, a candidate
# seen by few views could win.
LEAST_SEEN, PRICE = 0.1, 1.0


@dataclasses.dataclass(frozen=True)
class SurfacePoints:
    """Points on a mesh.

    Attributes:
      vertices: [M, 3] int32, the corners of each point's triangle.
      barycentrics: [M, 3] float32, not negative, rows sum to 1.
    """

    vertices: np.ndarray
    barycentrics: np.ndarray

    def on(self, values: np.ndarray) -> np.ndarray:
        """Interpolates vertex values [..., N, C] at the points: [..., M, C]."""
        return np.einsum("mk,...mkc->...mc", self.barycentrics, values[..., self.vertices, :])


@dataclasses.dataclass(frozen=True)
class Views:
    """A mesh in R images, together with the points found in them.

    Attributes:
      projected: [R, N, 2] vertices, pixels of a 224 crop.
      facing: [R, N] cosine between normal and direction to the camera.
      found: [R, M, 2] points, pixels of a 224 crop.
    """

    projected: np.ndarray
    facing: np.ndarray
    found: np.ndarray

    @property
    def weight(self) -> np.ndarray:
        """Weight [R, N] of each vertex in each view."""
        return np.clip(self.facing / GRAZING, LEAST_WEIGHT, 1)


def locate(views: Views, triangles: np.ndarray, allowed: np.ndarray) -> SurfacePoints:
    """Finds for each point the surface point nearest to it on average over the views.

    Args:
      views: images with varied poses, shapes and expressions, which are needed to determine depth.
      triangles: [F, 3].
      allowed: bool [N], vertices of the triangles to search.
    """
    weight = views.weight
    triangles = triangles[allowed[triangles].all(1)]
    around: list[list[int]] = [[] for _ in range(len(allowed))]
    for number, triangle in enumerate(triangles):
        for vertex in triangle:
            around[vertex].append(number)
    candidates = np.unique(triangles)
    some = np.linspace(0, len(weight) - 1, min(FIRST_VIEWS, len(weight))).astype(int)
    grid = _simplex_grid(STEPS)
    vertices, barycentrics = [], []
    for found in np.moveaxis(views.found, 1, 0):
        first = _cost(views.projected[some][:, candidates], weight[some][:, candidates], found[some])
        near = candidates[np.argsort(first)[:FIRST_NEAREST]]
        near = near[np.argsort(_cost(views.projected[:, near], weight[:, near], found))[:NEAREST]]
        corners = triangles[sorted({number for vertex in near for number in around[vertex]})]
        spots = np.einsum("gk,rtkc->rtgc", grid, views.projected[:, corners]).reshape(len(weight), -1, 2)
        weights = np.einsum("gk,rtk->rtg", grid, weight[:, corners]).reshape(len(weight), -1)
        triangle, place = divmod(int(_cost(spots, weights, found).argmin()), len(grid))
        vertices.append(corners[triangle])
        barycentrics.append(grid[place])
    return SurfacePoints(np.array(vertices, np.int32), np.array(barycentrics, np.float32))


def silhouette_weight(corners: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Weights [M] of points, lower where their triangles [M, 3, 3] face away from a camera at [3]."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    view = camera - corners.mean(1)
    length = np.linalg.norm(normal, axis=1) * np.linalg.norm(view, axis=1)
    return np.clip((normal * view).sum(1) / np.maximum(length, 1e-12) / GRAZING, LEAST_WEIGHT, 1)


def _cost(spots: np.ndarray, weight: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Mean robust distance [S] between candidates [R, S, 2] with weights [R, S] and the points found [R, 2]."""
    distance = np.hypot(spots[..., 0] - found[:, None, 0], spots[..., 1] - found[:, None, 1])
    robust = np.where(distance < ROBUST, 0.5 * distance**2 / ROBUST, distance - 0.5 * ROBUST)
    total = weight.sum(0)
    return (robust * weight).sum(0) / total + PRICE * np.clip(LEAST_SEEN * len(spots) - total, 0, None)


def _simplex_grid(steps: int) -> np.ndarray:
    """Grid [G, 3] of barycentric coordinates in equal steps."""
    return np.array([(i, j, steps - i - j) for i in range(steps + 1) for j in range(steps + 1 - i)]) / steps
