"""Band-limited random fields in three dimensions for the grain of skin, hair, cloth and walls.

Fields are defined in space, not in the image: a point on a face has the same value in every photo of that person, and
there are no streaks on surfaces that turn away.
"""

import functools
import math

import numpy as np

from lib.runtime.compilation import compiled

LATTICE = 64  # cells after which a field repeats; a power of two


@compiled(inline="always")
def _hash(i, j, k, seed):
    """Pseudo-random number in [0, 1] from a lattice point."""
    h = np.uint32(i * 374761393 + j * 668265263 + k * 2147483647 + seed * 1274126177)
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(1274126177))
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(2246822519))
    h ^= h >> np.uint32(15)
    return np.float32(h) * np.float32(2.3283064e-10)


@compiled()
def _value_noise(points, table, seed, out):
    mask = table.shape[0] - 1
    # Every seed uses another offset into the lattice.
    ox, oy, oz = (seed * 7) & mask, (seed * 29 + seed // 64) & mask, (seed * 43 + seed // 1024) & mask
    one, two, three = np.float32(1), np.float32(2), np.float32(3)
    for p in range(points.shape[0]):
        x, y, z = points[p, 0], points[p, 1], points[p, 2]
        fx, fy, fz = math.floor(x), math.floor(y), math.floor(z)
        i, j, k = (int(fx) + ox) & mask, (int(fy) + oy) & mask, (int(fz) + oz) & mask
        i1, j1, k1 = (i + 1) & mask, (j + 1) & mask, (k + 1) & mask
        tx, ty, tz = np.float32(x - fx), np.float32(y - fy), np.float32(z - fz)
        tx, ty, tz = tx * tx * (three - two * tx), ty * ty * (three - two * ty), tz * tz * (three - two * tz)
        sx, sy, sz = one - tx, one - ty, one - tz
        low = sy * (sx * table[k, j, i] + tx * table[k, j, i1]) + ty * (sx * table[k, j1, i] + tx * table[k, j1, i1])
        high = sy * (sx * table[k1, j, i] + tx * table[k1, j, i1]) + ty * (
            sx * table[k1, j1, i] + tx * table[k1, j1, i1]
        )
        out[p] = sz * low + tz * high


@compiled()
def _spots(points, seed, share, smallest, largest, out):
    for p in range(points.shape[0]):
        x, y, z = points[p, 0], points[p, 1], points[p, 2]
        i0, j0, k0 = math.floor(x), math.floor(y), math.floor(z)
        strongest = 0.0
        for i in range(i0 - 1, i0 + 2):
            for j in range(j0 - 1, j0 + 2):
                for k in range(k0 - 1, k0 + 2):
                    if _hash(i, j, k, seed) >= share:
                        continue
                    dx = i + _hash(i, j, k, seed + 1) - x
                    dy = j + _hash(i, j, k, seed + 2) - y
                    dz = k + _hash(i, j, k, seed + 3) - z
                    size = smallest + (largest - smallest) * _hash(i, j, k, seed + 4) ** 2
                    value = (0.4 + 0.6 * _hash(i, j, k, seed + 5)) * math.exp(
                        -(((dx * dx + dy * dy + dz * dz) / (size * size)) ** 1.5)
                    )
                    strongest = max(strongest, value)
        out[p] = strongest


@functools.cache
def _table() -> np.ndarray:
    """[LATTICE]^3 random values; a table is several times faster than hashing every corner."""
    values = np.random.default_rng(20200512).uniform(-1.7, 1.7, (LATTICE, LATTICE, LATTICE))
    return values.astype(np.float32)


def noise(points: np.ndarray, length, seed: int, octaves: int = 1) -> np.ndarray:
    """Smooth noise with zero mean and a standard deviation of about 0.6 in its lowest octave.

    Args:
      points: [P, 3].
      length: size of a feature in the unit of `points`; a number, or three for stretched features.
      seed: of the field.
      octaves: number of octaves; each has half the size and half the strength of the one before.

    Returns:
      [P] float32.
    """
    scaled = np.asarray(points, np.float32) / np.asarray(length, np.float32)
    total = np.zeros(len(scaled), np.float32)
    layer = np.empty_like(total)
    for octave in range(octaves):
        _value_noise(
            np.ascontiguousarray(scaled * np.float32(2**octave)), _table(), np.int64(seed % 65521 + 101 * octave), layer
        )
        total += layer * np.float32(0.5**octave)
    return total


def spots(points: np.ndarray, spacing: float, share: float, sizes: tuple[float, float], seed: int) -> np.ndarray:
    """Scattered round spots, such as freckles.

    Args:
      points: [P, 3].
      spacing: of the lattice that holds at most one spot per cell, in the unit of `points`.
      share: of the cells that hold one.
      sizes: smallest and largest radius in the unit of `points`, below `spacing`.
      seed: of the pattern.

    Returns:
      [P] float32 in [0, 1].
    """
    out = np.empty(len(points), np.float32)
    scaled = np.ascontiguousarray(np.asarray(points, np.float32) / np.float32(spacing))
    _spots(scaled, np.int64(seed % 65521), share, sizes[0] / spacing, sizes[1] / spacing, out)
    return out


def mirrored(points: np.ndarray) -> np.ndarray:
    """Points with x replaced by a smooth |x|: fields of them are the same on both sides of a face."""
    result = np.array(points, np.float32)
    result[:, 0] = np.sqrt(result[:, 0] ** 2 + 1.0)
    return result
