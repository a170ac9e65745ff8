"""Filling of the skin that a photo does not show: smooth continuation over the mesh, and the mirrored side's detail.

Both together are gradient-domain blending (Perez, Gangnet, Blake, "Poisson Image Editing", 2003): the mirrored detail
is added to a membrane, the smooth function that meets the photo at the seam. The membrane is screened, so that far from
the photo the network's albedo decides, at the photo's exposure. It is computed on the mesh's vertices, so cuts of the
texture chart do not matter.
"""

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np
import scipy.sparse as sp
import tensorflow as tf

from lib.images.sampling import sample_image
from lib.mesh_export.uv_chart import ChartRaster, UvChart, rasterize_chart

# Lengths over which a membrane smooths its data, and over which it fades to 0 beyond them: in edges of the mesh, as
# shares of the square root of its vertex count. On the built-in model 0.12 is 12 edges, two centimetres.
SMOOTHED, FADED = 0.04, 0.12
# Usual limit of the deviations of colours, or of their log, from their median that are continued: more is a shadow, a
# highlight, or hair inside the mask.
LARGEST_CONTINUED = 0.25
# Relative residual to which the membrane is solved, below one grey level, and the largest number of steps.
TOLERANCE, STEPS = 1e-3, 300
# Share from which a texel counts as one of a part.
WHOLE = 0.95


@dataclass(frozen=True, eq=False)
class SkinChart:
    """A mesh with its texture chart, prepared for baking.

    Attributes:
      chart, raster: the chart and its texels.
      skin: [N] bool, vertices whose colours may be continued to their surroundings.
      laplacian: [N, N] from `edge_laplacian`.
      mirror: [T, T, 2] from `mirror_map`.
      parts: [N, P] share at each vertex of parts that have one colour each, such as both irises.
      part_texels: [P, T, T] bool, the texels of each part.
    """

    chart: UvChart
    raster: ChartRaster
    skin: np.ndarray
    laplacian: sp.csr_matrix
    mirror: np.ndarray
    parts: np.ndarray
    part_texels: np.ndarray

    @classmethod
    def of(
        cls, chart: UvChart, size: int, skin: np.ndarray, mirror_index: np.ndarray, parts: np.ndarray | None = None
    ) -> "SkinChart":
        """Prepares a chart at `size` texels per side; `mirror_index` [N] is the mirrored vertex of each vertex."""
        raster, count = rasterize_chart(chart, size), len(mirror_index)
        laplacian = edge_laplacian(chart.mesh_triangles, count)
        parts = np.zeros((count, 0)) if parts is None else parts
        texels = _part_texels(raster, parts)
        return cls(chart, raster, skin, laplacian, mirror_map(chart, raster, mirror_index), parts, texels)

    def with_part(self, part: np.ndarray) -> "SkinChart":
        """The chart with one more part of one colour, [N] in [0, 1]."""
        parts = part[:, None]
        texels = np.concatenate([self.part_texels, _part_texels(self.raster, parts)])
        return dataclasses.replace(self, parts=np.concatenate([self.parts, parts], axis=1), part_texels=texels)

    def mirrored(self, texture: np.ndarray) -> np.ndarray:
        """A texture [T, T, C] as the mirrored side has it; 0 where there is no mirrored texel."""
        # OpenCV takes at most four channels.
        parts = [
            cv2.remap(np.ascontiguousarray(part), self.mirror, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
            for part in np.split(texture, range(3, texture.shape[-1], 3), axis=-1)
        ]
        return np.dstack(parts)


def _part_texels(raster: ChartRaster, parts: np.ndarray) -> np.ndarray:
    """Bool [P, T, T], the texels of parts [N, P]."""
    return np.moveaxis(raster.interpolate(parts) > WHOLE, -1, 0)


def edge_laplacian(triangles: np.ndarray, vertex_count: int) -> sp.csr_matrix:
    """Graph Laplacian [N, N] of a mesh: degrees minus adjacency."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    ones = np.ones(len(edges), np.float32)
    adjacency = sp.coo_matrix((ones, edges.T), shape=(vertex_count, vertex_count)).tocsr()
    adjacency = ((adjacency + adjacency.T) > 0).astype(np.float32)
    return (sp.diags(np.asarray(adjacency.sum(axis=1)).ravel()) - adjacency).tocsr().astype(np.float32)


def neighbours(laplacian: sp.csr_matrix) -> sp.csr_matrix:
    """[N, N], 1 for each vertex's neighbours, from `edge_laplacian`."""
    return (sp.diags(laplacian.diagonal()) - laplacian).tocsr()


def neighbour_mean(laplacian: sp.csr_matrix) -> sp.csr_matrix:
    """[N, N] that takes the mean over each vertex's neighbours, from `edge_laplacian`."""
    return (sp.diags(1 / np.maximum(laplacian.diagonal(), 1)) @ neighbours(laplacian)).tocsr()


def membrane(
    laplacian: sp.csr_matrix,
    values: np.ndarray,
    weight: np.ndarray,
    limit: float = LARGEST_CONTINUED,
    smoothed: float = SMOOTHED,
) -> np.ndarray:
    """Smooth function over the mesh: close to `values` where they have weight, fading to their median beyond.

    Minimises k sum_i w_i |m_i - v_i|^2 + sum_edges |m_i - m_j|^2 + f sum_i |m_i|^2 over the deviations m from the
    median, with k and f from the two lengths.

    Args:
      laplacian: [N, N] from `edge_laplacian`.
      values: [N, C], finite; without influence where the weight is 0.
      weight: [N] in [0, 1].
      limit: of the deviations of the values from their median; larger ones are reduced to it.
      smoothed: length over which the data are smoothed, as a share of the square root of the vertex count.

    Returns:
      [N, C] float32; 0 if nothing has weight.
    """
    if not weight.any():
        return np.zeros(values.shape, np.float32)
    middle = _medians(values, weight)
    weight = weight[:, None]
    values = np.clip(values - middle, -limit, limit)
    side = np.sqrt(len(values))
    data = (weight / (smoothed * side) ** 2).astype(np.float32)
    pull = np.float32(1 / (FADED * side) ** 2)
    wanted = data * values.astype(np.float32)
    diagonal = laplacian.diagonal()[:, None] + data + pull
    # Conjugate gradients with the diagonal as preconditioner, all channels at once.
    solution = wanted / diagonal
    residual = wanted - (laplacian @ solution + (data + pull) * solution)
    scaled = residual / diagonal
    direction, product = scaled.copy(), _products(residual, scaled)
    goal = TOLERANCE**2 * np.maximum(_products(wanted, wanted / diagonal), np.finfo(np.float32).tiny)
    for _ in range(STEPS):
        if (product <= goal).all():
            break
        image = laplacian @ direction + (data + pull) * direction
        step = product / np.maximum(_products(direction, image), np.finfo(np.float32).tiny)
        solution += step * direction
        residual -= step * image
        scaled = residual / diagonal
        previous, product = product, _products(residual, scaled)
        direction = scaled + product / np.maximum(previous, np.finfo(np.float32).tiny) * direction
    return (solution + middle).astype(np.float32)


def _medians(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted medians [C] of the columns of values [N, C]."""
    order = np.argsort(values, axis=0)
    mass = np.cumsum(weight[order], axis=0)
    place = (mass < 0.5 * mass[-1]).sum(axis=0)
    return np.take_along_axis(values, np.take_along_axis(order, place[None], axis=0), axis=0)[0]


def _products(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Scalar products [C] of the columns of two arrays [N, C]."""
    return np.einsum("nc,nc->c", one, other)


def mirror_map(chart: UvChart, raster: ChartRaster, mirror_index: np.ndarray) -> np.ndarray:
    """The texel that shows the mirrored point of the mesh, for every texel.

    Args:
      chart: chart of the mesh, and its `raster`.
      mirror_index: [N] mirrored vertex of each vertex.

    Returns:
      [T, T, 2] float32 column and row, in the convention of cv2.remap; far outside the texture where there is none:
      outside the chart, and where the mirrored point lies on a cut.
    """
    count = np.bincount(chart.vertex, minlength=len(mirror_index))
    first = np.zeros(len(mirror_index), np.intp)
    first[chart.vertex[::-1]] = np.arange(len(chart.vertex))[::-1]
    whole = (count[mirror_index] == 1).astype(np.float32)
    found = raster.interpolate(np.column_stack([chart.uv[first[mirror_index]], whole]))
    place = np.stack([found[..., 0], 1 - found[..., 1]], axis=-1) * raster.size - 0.5
    # A triangle with a corner on a cut is not whole; rounding is far below the hundredth.
    place[found[..., 2] < 0.99] = -2 * raster.size
    return place


def at_vertices(chart: UvChart, texture: np.ndarray, vertex_count: int) -> np.ndarray:
    """Reads a texture [S, S, C] at the vertices [N, C]; on cuts, the mean of all sides."""
    points = (chart.uv * (1, -1) + (0, 1)) * texture.shape[0]
    read = sample_image(tf.constant(texture[None]), tf.constant(points[None], tf.float32))[0].numpy()
    sums = np.column_stack([np.bincount(chart.vertex, column, vertex_count) for column in read.T])
    return sums / np.maximum(np.bincount(chart.vertex, minlength=vertex_count), 1)[:, None]
