"""Interpolation of mesh values at the pixels of an image, given the triangle visible at each pixel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lib.geometry.camera import Camera
from lib.runtime.compilation import compiled
from lib.synthetic.rendering.compiled import project


@dataclass(frozen=True)
class Layer:
    """The pixels that show a mesh, in row order.

    Attributes:
      pixels: [P] flat index of each covered pixel.
      triangle: [P] its triangle.
      depth: [P] distance in front of the camera, decimetres.
      values: [P, C] all channels of the vertices, interpolated with perspective.
      columns: channel -> its column of `values`, or its slice of columns.
    """

    pixels: np.ndarray
    triangle: np.ndarray
    depth: np.ndarray
    values: np.ndarray
    columns: Mapping[str, int | slice]

    def __getitem__(self, channel: str) -> np.ndarray:
        """Values of one channel: [P] if the vertices have one number each, else [P, c]."""
        return self.values[:, self.columns[channel]]

    def select(self, chosen: np.ndarray) -> Layer:
        """The layer of some pixels only, by a bool mask [P]."""
        return Layer(self.pixels[chosen], self.triangle[chosen], self.depth[chosen], self.values[chosen], self.columns)


@compiled()
def _interpolate(ids, triangles, rays, attributes, pixels, found, depth, values):
    height, width = ids.shape
    channels = attributes.shape[1]
    count = 0
    for row in range(height):
        for column in range(width):
            t = ids[row, column]
            if t < 0:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            # Positions times depth, relative to the pixel's centre: edge functions from them keep their precision.
            px, py = column + 0.5, row + 0.5
            ax, ay, aw = rays[a, 0] - px * rays[a, 2], rays[a, 1] - py * rays[a, 2], rays[a, 2]
            bx, by, bw = rays[b, 0] - px * rays[b, 2], rays[b, 1] - py * rays[b, 2], rays[b, 2]
            cx, cy, cw = rays[c, 0] - px * rays[c, 2], rays[c, 1] - py * rays[c, 2], rays[c, 2]
            u, v, w = bx * cy - by * cx, cx * ay - cy * ax, ax * by - ay * bx
            total = u + v + w
            if total == 0.0:
                u = v = w = 1.0 / 3.0
            else:
                u, v, w = u / total, v / total, w / total
            pixels[count] = row * width + column
            found[count] = t
            depth[count] = u * aw + v * bw + w * cw
            for k in range(channels):
                values[count, k] = u * attributes[a, k] + v * attributes[b, k] + w * attributes[c, k]
            count += 1
    return count


def read_layer(
    triangle_ids: np.ndarray,
    triangles: np.ndarray,
    vertices: np.ndarray,
    channels: Mapping[str, np.ndarray],
    camera: Camera,
) -> Layer:
    """Interpolates values of the vertices at every covered pixel.

    Args:
      triangle_ids: [H, W] int32, -1 where nothing is.
      triangles: [F, 3].
      vertices: [N, 3] world, decimetres.
      channels: name -> [N] or [N, c].
      camera: of the picture; its image size is (H, W).
    """
    projected = project(camera, vertices)
    depth = camera.depth(vertices.astype(np.float64))
    rays = np.column_stack([projected * depth[:, None], depth])
    columns: dict[str, int | slice] = {}
    width = 0
    for name, values in channels.items():
        size = 1 if values.ndim == 1 else values.shape[1]
        columns[name] = width if values.ndim == 1 else slice(width, width + size)
        width += size
    attributes = np.empty((len(vertices), width), np.float32)
    for name, values in channels.items():
        attributes[:, columns[name]] = values
    size = int((triangle_ids >= 0).sum())
    arrays = (
        np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.float32),
        np.empty((size, width), np.float32),
    )  # fmt: skip
    _interpolate(triangle_ids, triangles, rays, attributes, *arrays)
    return Layer(*arrays, columns)
