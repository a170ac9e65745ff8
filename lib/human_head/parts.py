"""Eyeballs and teeth, made by code and placed by MakeHuman's helpers."""

from dataclasses import dataclass

import numpy as np

from lib.geometry.sphere import fit_sphere

# MakeHuman's helpers: the subject's right eye first, as at the image's left.
EYES = ("helper-r-eye", "helper-l-eye")
TEETH = ("helper-upper-teeth", "helper-lower-teeth")
TONGUE = "helper-tongue"
# Angles [degrees] of the rings of an eyeball from its pole; the borders of pupil and iris are rings.
# MakeHuman's balls, on which its lids lie, have a radius of 16.7 mm.
PUPIL, IRIS = 6.9, 20.7
RING_ANGLES = (3.45, PUPIL, 10.3, 13.8, 17.2, IRIS, 25.0, 30.0, 36.0, 43.0, 51.0, 60.0, 70.0)
SECTORS = 24
CORNEA = 0.03  # height of the cornea over the ball, in radii


@dataclass(frozen=True)
class Part:
    """A mesh of its own.

    Attributes:
      vertices: [N, 3].
      triangles: [F, 3] counter-clockwise from outside.
      uv: [N, 2] in [0, 1], for the part's island in the chart.
      mirror: [N] mirrored vertex within the part, or within the other eye.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    mirror: np.ndarray


def cornea_height(share: np.ndarray) -> np.ndarray:
    """Distance of eyeball and cornea from the ball's centre, in radii of the ball.

    Args:
      share: angle from the direction of the gaze, as a share of that of the iris's border.
    """
    return 1 + CORNEA * np.clip(1 - share**2, 0, None)


def eyeball() -> Part:
    """The front of an eyeball of radius 1 about the origin, looking along z."""
    around = 2 * np.pi * np.arange(SECTORS) / SECTORS
    angles = np.radians(RING_ANGLES)[:, None]
    height = cornea_height(angles / np.radians(IRIS))
    rings = np.stack(
        np.broadcast_arrays(
            height * np.sin(angles) * np.cos(around), height * np.sin(angles) * np.sin(around), height * np.cos(angles)
        ),
        axis=-1,
    )
    vertices = np.concatenate([[[0, 0, 1 + CORNEA]], rings.reshape(-1, 3)])
    radius = np.concatenate([[0.0], np.repeat(np.array(RING_ANGLES) / RING_ANGLES[-1], SECTORS)])
    angle = np.concatenate([[0.0], np.tile(around, len(RING_ANGLES))])
    uv = 0.5 + 0.5 * radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    sector = np.arange(SECTORS)
    following = (sector + 1) % SECTORS
    fan = np.stack([np.zeros_like(sector), 1 + sector, 1 + following], axis=1)
    strips = [fan]
    for ring in range(len(RING_ANGLES) - 1):
        inner, outer = 1 + SECTORS * ring, 1 + SECTORS * (ring + 1)
        strips.append(np.stack([inner + sector, outer + sector, outer + following], axis=1))
        strips.append(np.stack([inner + sector, outer + following, inner + following], axis=1))
    # x -> -x maps sector s to SECTORS / 2 - s.
    image = (SECTORS // 2 - sector) % SECTORS
    mirror = np.concatenate([[0], (1 + SECTORS * np.arange(len(RING_ANGLES))[:, None] + image).ravel()])
    return Part(vertices, np.concatenate(strips), uv, mirror)


@dataclass(frozen=True)
class BallPlacement:
    """Centre and radius of an eyeball as linear functions of its helper's vertices.

    Attributes:
      centre: [3] and radius of the mean.
      response: [4, h, 3] derivative of centre and radius with respect to the helper's h vertices.
    """

    centre: np.ndarray
    radius: float
    response: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray) -> "BallPlacement":
        """From the helper's vertices [h, 3] on the mean head, which lie on the front of a sphere."""
        centre, radius = fit_sphere(points)
        direction = (points - centre) / np.linalg.norm(points - centre, axis=1, keepdims=True)
        # A displacement d of the vertex in direction n moves the surface by n . d = n . dc + dr.
        inverse = np.linalg.pinv(np.column_stack([direction, np.ones(len(points))]))
        return cls(centre, radius, inverse[:, :, None] * direction)

    def change(self, moved: np.ndarray, unit: np.ndarray) -> np.ndarray:
        """Displacements [K, N, 3] of a ball, `unit` [N, 3] at radius 1, for displacements [K, h, 3] of the helper."""
        found = np.einsum("qhc,khc->kq", self.response, moved)
        return found[:, None, :3] + found[:, 3, None, None] * unit


TEETH_SPAN, TEETH_ROWS, TEETH_COLUMNS = 64.0, 6, 45  # mm along the arch; vertices up and along


def teeth(is_upper: bool) -> Part:
    """A row of teeth with its gum on an arch, millimetres; the front edge of the middle is at the origin.

    The vertices are in rows from the gum to the edge, each from the subject's right to the left.
    """
    along = np.linspace(-1, 1, TEETH_COLUMNS)
    s = TEETH_SPAN / 2 * along
    # Half an ellipse, by arc length.
    t = np.linspace(-np.pi / 2, np.pi / 2, 2001)
    width, depth = (26.0, 27.0) if is_upper else (24.0, 25.0)
    arc = np.concatenate([[0], np.cumsum(np.hypot(np.diff(width * np.sin(t)), np.diff(depth * np.cos(t))))])
    angle = np.interp(s, arc - arc[-1] / 2, t)
    x, z = width * np.sin(angle), depth * (np.cos(angle) - 1)
    outward = np.stack([np.sin(angle) / width, np.cos(angle) / depth], axis=1)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    gap = _nearness_of_gap(np.abs(s), is_upper)
    length = (10.0 if is_upper else 8.5) - 1.5 * np.clip(np.abs(along) - 0.2, 0, 1)
    direction = -1.0 if is_upper else 1.0
    up = np.linspace(0, 1, TEETH_ROWS)[:, None]
    bulge = 1.4 * (1 - gap) * np.sin(np.pi * np.clip((up - 0.25) / 0.9, 0, 1))
    height = direction * (length * up - length) + direction * (-0.35 * gap) * (up > 0.9)
    height = height + 0 * along
    position = np.stack(
        [x + bulge * outward[:, 0], height, z + bulge * outward[:, 1] - 1.5 * (1 - up) - 1.2 * (up > 0.9)], axis=-1
    )
    index = np.arange(TEETH_ROWS * TEETH_COLUMNS).reshape(TEETH_ROWS, TEETH_COLUMNS)
    a, b, c, d = index[:-1, :-1].ravel(), index[:-1, 1:].ravel(), index[1:, 1:].ravel(), index[1:, :-1].ravel()
    triangles = np.concatenate([np.stack([a, d, c], 1), np.stack([a, c, b], 1)])
    if not is_upper:
        triangles = triangles[:, ::-1]
    uv = np.stack(np.broadcast_arrays((1 + along) / 2, 1 - up if is_upper else up), axis=-1)
    return Part(position.reshape(-1, 3), triangles, uv.reshape(-1, 2), index[:, ::-1].ravel())


# Widths [mm] of the teeth from the midline outwards.
_UPPER_WIDTHS = (8.6, 6.6, 7.6, 7.0, 6.8, 9.5)
_LOWER_WIDTHS = (5.3, 5.8, 6.8, 7.0, 7.2, 10.0)


def _nearness_of_gap(distance: np.ndarray, is_upper: bool) -> np.ndarray:
    """[C] 1 at the gaps between teeth, 0 away from them, by distance [C] from the midline along the arch."""
    borders = np.concatenate([[0.0], np.cumsum(_UPPER_WIDTHS if is_upper else _LOWER_WIDTHS)])
    return np.exp(-((np.abs(distance[:, None] - borders).min(axis=1) / 0.9) ** 2))
