"""Texture charts of meshes: the face model's own chart if it is usable, otherwise an unwrapping."""

from dataclasses import dataclass

import cv2
import numpy as np
import xatlas

from lib.mesh_renderer import visibility
from lib.runtime.compilation import compiled

# Side [texels] at which charts are checked.
TRIAL_SIZE = 1024
# Maximum shares of triangles without area, and of texels covered by several triangles, in a usable chart.
DEGENERATE_SHARE, OVERLAP_SHARE = 0.01, 0.01


@dataclass(frozen=True, eq=False)
class UvChart:
    """Texture coordinates of a mesh, with cuts where needed.

    Attributes:
      vertex: [M] int32, mesh vertex of each chart vertex; 0 .. N - 1 without cuts.
      uv: [M, 2] float32 in [0, 1], u right, v up: (0, 0) is the lower left corner of the texture.
      triangles: [F, 3] int32 vertices of the chart, in the order and winding of the mesh's triangles.
    """

    vertex: np.ndarray
    uv: np.ndarray
    triangles: np.ndarray

    @property
    def mesh_triangles(self) -> np.ndarray:
        """[F, 3] the triangles as indices of mesh vertices."""
        return self.vertex[self.triangles]


@dataclass(frozen=True, eq=False)
class ChartRaster:
    """The point of the mesh at every texel; row 0 is the top (v = 1), texel i spans [i, i + 1).

    Attributes:
      size: T, texels per side.
      inside: [T, T] bool, texels whose centre lies on the chart.
      triangles: [F, 3] vertices of the mesh.
      triangle_id: [T, T] int32, -1 outside.
      barycentrics: [T, T, 3] float32 weights of the triangle's corners, 0 outside.
      outside, nearest: [Q] int64 flat indices: the texels outside, and for each the nearest one inside.
    """

    size: int
    inside: np.ndarray
    triangles: np.ndarray
    triangle_id: np.ndarray
    barycentrics: np.ndarray
    outside: np.ndarray
    nearest: np.ndarray

    def interpolate(self, attributes: np.ndarray) -> np.ndarray:
        """Interpolates vertex values [N, C] at every texel: [T, T, C] float32, 0 outside the chart."""
        attributes = np.ascontiguousarray(attributes, np.float32)
        values = np.zeros((self.size, self.size, attributes.shape[1]), np.float32)
        _interpolate(self.triangle_id, self.barycentrics, self.triangles, attributes, values)
        return values

    def dilate(self, texture: np.ndarray) -> np.ndarray:
        """Fills texels of [T, T, C] outside the chart with the nearest inside value, which hides seams."""
        flat = texture.reshape(self.size * self.size, -1).copy()
        flat[self.outside] = flat[self.nearest]
        return flat.reshape(texture.shape)


def uncut(uv: np.ndarray, triangles: np.ndarray) -> UvChart:
    """Chart without cuts from texture coordinates [N, 2] of a mesh [F, 3]; check these with `chart_fault` first."""
    return UvChart(np.arange(len(uv), dtype=np.int32), np.asarray(uv, np.float32), np.asarray(triangles, np.int32))


def chart_fault(uv: np.ndarray, triangles: np.ndarray) -> str | None:
    """The reason why texture coordinates [N, 2] of a mesh [F, 3] are unusable; None if they are usable."""
    uv = np.asarray(uv, np.float64)
    if uv.min() < 0 or uv.max() > 1:
        return f"coordinates must lie in [0, 1], got {uv.min():.3g} to {uv.max():.3g}"
    areas = np.abs(_signed_areas(uv, triangles)) * TRIAL_SIZE**2
    degenerate = float((areas < 1e-3).mean())
    if degenerate > DEGENERATE_SHARE:
        return f"{degenerate:.0%} of the triangles have no area"
    covered = int((_draw(uv, triangles, TRIAL_SIZE) >= 0).sum())
    if not covered:
        return "the whole chart is smaller than a texel"
    overlap = areas.sum() / covered - 1
    if overlap > OVERLAP_SHARE:
        return f"triangles overlap on {overlap:.0%} of the chart"
    return None


def unwrap(vertices: np.ndarray, triangles: np.ndarray) -> UvChart:
    """Unwraps a mesh with xatlas; deterministic; takes seconds for 10,000 vertices."""
    vertices = np.ascontiguousarray(vertices, np.float32)
    vertex, corners, uv = xatlas.parametrize(vertices, np.ascontiguousarray(triangles, np.uint32))
    return UvChart(vertex.astype(np.int32), np.clip(uv, 0, 1).astype(np.float32), corners.astype(np.int32))


def rasterize_chart(chart: UvChart, size: int) -> ChartRaster:
    """Rasterises a chart at `size` x `size` texels."""
    ids = _draw(chart.uv, chart.triangles, size)
    inside = ids >= 0
    barycentrics = np.zeros((size, size, 3), np.float32)
    _barycentrics(ids, chart.triangles, _texel_coordinates(chart.uv, size), barycentrics)
    outside = np.flatnonzero(~inside)
    nearest = np.empty(0, np.int64)
    if len(outside):
        # Every inside texel gets a unique label, which the distance transform propagates to the nearest outside texels.
        _, labels = cv2.distanceTransformWithLabels(
            np.uint8(~inside), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        index_of_label = np.zeros(labels.max() + 1, np.int64)
        index_of_label[labels[inside]] = np.flatnonzero(inside)
        nearest = index_of_label[labels.reshape(-1)[outside]]
    return ChartRaster(size, inside, chart.mesh_triangles, ids, barycentrics, outside, nearest)


def texel_shapes(chart: UvChart, vertices: np.ndarray, size: int) -> np.ndarray:
    """Length of one texel on the surface along u and along v, and how far it is sheared.

    Args:
      chart: chart of the mesh.
      vertices: [N, 3].
      size: T, texels per side.

    Returns:
      [N, 3]: two lengths in the unit of `vertices`, and the cosine of the angle between the directions of u and v on
      the surface: 0 on a right-angled chart. Means over the triangles around each vertex, weighted by area.
    """
    along_u, along_v, area = _derivatives(chart, vertices)
    tiny = np.finfo(np.float32).tiny
    lengths = [np.linalg.norm(along, axis=1) for along in (along_u, along_v)]
    cosine = (along_u * along_v).sum(axis=1) / np.maximum(lengths[0] * lengths[1], tiny)
    sums = vertex_sums(chart.mesh_triangles, np.column_stack([*lengths, cosine * area, area]), len(vertices))
    return sums[:, :3] / np.maximum(sums[:, 3:], tiny) / (size, size, 1)


def tangents(chart: UvChart, vertices: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Tangents at the chart's vertices for tangent-space normal maps, as stored in glTF.

    Args:
      chart: chart of the mesh.
      vertices: [N, 3].
      normals: [N, 3] unit vectors; a vertex without triangles may have 0, which counts as the z axis as in glTF files.

    Returns:
      [M, 4] unit vectors along u, orthogonal to the normal, and the sign w of the third axis, which points along v:
      w cross(normal, tangent).
    """
    along_u, along_v, _ = _derivatives(chart, vertices)
    sums = vertex_sums(chart.triangles, np.column_stack([along_u, along_v]), len(chart.uv))
    normals = np.asarray(normals, np.float64)[chart.vertex]
    normals = np.where(normals.any(axis=1, keepdims=True), normals, [0, 0, 1])
    tangent = sums[:, :3] - normals * (sums[:, :3] * normals).sum(axis=1, keepdims=True)
    length = np.linalg.norm(tangent, axis=1, keepdims=True)
    # Where the chart defines no direction, use any direction orthogonal to the normal.
    axis = np.eye(3)[np.abs(normals).argmin(axis=1)]
    tangent = np.where(length > 0, tangent, np.cross(normals, axis))
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    sign = np.where((np.cross(normals, tangent) * sums[:, 3:]).sum(axis=1) < 0, -1.0, 1.0)
    return np.column_stack([tangent, sign])


def _derivatives(chart: UvChart, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Derivatives of position by u and v on each triangle, times twice its area on the chart; and that area [F]."""
    corners = chart.mesh_triangles
    first, second = (vertices[corners[:, k]].astype(np.float64) - vertices[corners[:, 0]] for k in (1, 2))
    a, b, c = (chart.uv[chart.triangles[:, k]].astype(np.float64) for k in range(3))
    (u1, v1), (u2, v2) = (b - a).T[..., None], (c - a).T[..., None]
    signed = u1 * v2 - u2 * v1
    sign = np.sign(signed)
    return sign * (v2 * first - v1 * second), sign * (u1 * second - u2 * first), np.abs(signed)[:, 0]


def texel_footprint(chart: UvChart, points: np.ndarray, size: int) -> np.ndarray:
    """Side of a texel in an image, at each vertex: [N] pixels for vertices projected to `points` [N, 2]."""
    corners = chart.mesh_triangles
    areas = [np.abs(_signed_areas(points, corners)), np.abs(_signed_areas(chart.uv, chart.triangles)) * size**2]
    seen, drawn = vertex_sums(corners, np.column_stack(areas), len(points)).T
    return np.sqrt(seen / np.maximum(drawn, np.finfo(np.float32).tiny))


def vertex_sums(triangles: np.ndarray, values: np.ndarray, vertex_count: int) -> np.ndarray:
    """Sums [N, C] of triangle values [F, C] over the triangles around each vertex."""
    corners = triangles.reshape(-1)
    columns = [np.bincount(corners, np.repeat(column, 3), vertex_count) for column in values.T]
    return np.column_stack(columns)


def _draw(uv: np.ndarray, triangles: np.ndarray, size: int) -> np.ndarray:
    """Triangle [T, T] int32 at the centre of every texel, -1 outside the chart."""
    flat = np.zeros(len(uv))
    clip = np.column_stack([2 * np.asarray(uv, np.float64) - 1, flat, flat + 1])
    return visibility.visible_triangles(clip[None], np.asarray(triangles, np.int32), (size, size))[0][0]


def _texel_coordinates(uv: np.ndarray, size: int) -> np.ndarray:
    """Texture coordinates in texels: [M, 2] float64 (x right, y down)."""
    return np.column_stack([uv[:, 0], 1 - uv[:, 1].astype(np.float64)]) * size


def _signed_areas(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """[F] signed areas of triangles in the plane, positive if counter-clockwise."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    return ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2


@compiled()
def _barycentrics(ids, triangles, texels, barycentrics):
    """Fills in barycentrics at texel centres: the areas opposite the corners; affine, without perspective."""
    for row in range(ids.shape[0]):
        for column in range(ids.shape[1]):
            if ids[row, column] < 0:
                continue
            a, b, c = triangles[ids[row, column]]
            ax, ay = texels[a, 0] - column - 0.5, texels[a, 1] - row - 0.5
            bx, by = texels[b, 0] - column - 0.5, texels[b, 1] - row - 0.5
            cx, cy = texels[c, 0] - column - 0.5, texels[c, 1] - row - 0.5
            u, v, w = bx * cy - by * cx, cx * ay - cy * ax, ax * by - ay * bx
            total = u + v + w  # not zero: the rasteriser skips triangles without area
            barycentrics[row, column, 0] = u / total
            barycentrics[row, column, 1] = v / total
            barycentrics[row, column, 2] = w / total


@compiled()
def _interpolate(ids, barycentrics, triangles, attributes, values):
    """Fills `values` with the weighted sums of corner attributes."""
    for row in range(ids.shape[0]):
        for column in range(ids.shape[1]):
            if ids[row, column] < 0:
                continue
            a, b, c = triangles[ids[row, column]]
            u, v, w = barycentrics[row, column]
            for k in range(attributes.shape[1]):
                values[row, column, k] = u * attributes[a, k] + v * attributes[b, k] + w * attributes[c, k]
