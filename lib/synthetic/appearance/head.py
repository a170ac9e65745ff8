"""The head around a face model: skull, ears, neck and collar, joined to the border of any face mesh."""

from dataclasses import dataclass

import numpy as np

from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.geometry.smoothstep import smoothstep
from lib.synthetic.appearance.canonical import CanonicalFace

SKULL_CENTRE = np.array([0.0, 40.0, -86.0])
SKULL_RADII = np.array([77.0, 108.0, 97.0])
BACK = np.array([0.0, -0.10, -1.0])
RINGS = 14
EAR_ANGLES, EAR_RINGS = 22, 7
EAR_STAND_OFF = 9.0  # mm: a mesh that extends this far beyond the outer jaw landmarks has ears


@dataclass(frozen=True)
class Part:
    """A mesh with undeformed positions, on which its colours depend.

    Attributes:
      vertices: [N, 3] canonical millimetres, deformed.
      triangles: [F, 3].
      places: [N, 3] canonical millimetres of the undeformed piece (hairline, noise).
    """

    vertices: np.ndarray
    triangles: np.ndarray
    places: np.ndarray


def border_loops(triangles: np.ndarray, points: np.ndarray) -> list[np.ndarray]:
    """All loops of border edges as ordered vertex ids; the loop with the largest extent comes first."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    key = np.sort(edges, axis=1)
    _, index, counts = np.unique(key, axis=0, return_index=True, return_counts=True)
    following = {int(a): int(b) for a, b in edges[index[counts == 1]]}
    loops = []
    while following:
        start, current = next(iter(following.items()))
        loop = [start]
        del following[start]
        while current in following:
            loop.append(current)
            current = following.pop(current)
        loops.append(np.array(loop))
    return sorted(loops, key=lambda loop: np.ptp(points[loop], axis=0).sum(), reverse=True)


def grid_triangles(rows: int, columns: int, closed: bool) -> np.ndarray:
    """Triangles of a grid of vertices, the last column joined to the first when closed."""
    r, c = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij")
    a, b = r * columns + c, r * columns + (c + 1) % columns
    d, e = a + columns, b + columns
    return np.concatenate([np.stack([a, d, b], -1).reshape(-1, 3), np.stack([b, d, e], -1).reshape(-1, 3)]).astype(
        np.int32
    )


class Head:
    """Topology of the head for one face model, and its shape for one person.

    Attributes:
      border: [L] vertex ids of the face's border.
      needs_ears: true if the face model lacks ears.

    Raises:
      UserError: the face model has no border.
    """

    def __init__(self, face: CanonicalFace, model: FaceModel):
        self.face = face
        loops = border_loops(model.triangles, face.points)
        if not loops:
            raise UserError(
                f"face model {model.name!r}: triangles must have a border to join the head to, got a closed surface "
                "(leave out the back of the head)"
            )
        self.border = loops[0]
        beside = np.abs(face.points[:, 0]).max() - np.abs(face.landmarks[[0, 16], 0]).max()
        self.needs_ears = bool(beside < EAR_STAND_OFF)
        self._mean_skull = self._skull(face.points[self.border].astype(np.float64))
        self._skull_triangles = grid_triangles(RINGS, len(self.border), closed=True)

    def skull(self, border: np.ndarray) -> Part:
        """Rings from the deformed border [L, 3] to the back of the skull."""
        vertices = self._skull(border.astype(np.float64))
        return Part(vertices.reshape(-1, 3), self._skull_triangles, self._mean_skull.reshape(-1, 3))

    def _skull(self, border: np.ndarray) -> np.ndarray:
        """[RINGS, L, 3]."""
        width = np.ptp(border[:, 0]) / np.ptp(self.face.points[self.border, 0])
        offset = border - SKULL_CENTRE
        radius = np.linalg.norm(offset, axis=1, keepdims=True)
        start = offset / radius
        back = BACK / np.linalg.norm(BACK)
        angle = np.arccos(np.clip(start @ back, -1, 1))[:, None]
        rings = []
        for t in np.linspace(0, 1, RINGS):
            direction = (np.sin((1 - t) * angle) * start + np.sin(t * angle) * back) / np.maximum(np.sin(angle), 1e-6)
            full = 1 / np.linalg.norm(direction / (SKULL_RADII * (width, 1.0, 1.0)), axis=1, keepdims=True)
            # Below the jaw the skull ends; the neck takes over.
            full = np.where(
                direction[:, 1:2] < -0.2, full * (1 - 0.38 * smoothstep((-0.2 - direction[:, 1:2]) / 0.5)), full
            )
            s = smoothstep(t * 2.2)
            rings.append(SKULL_CENTRE + direction * (radius * (1 - s) + full * s))
        return np.array(rings)

    def ears(self, border: np.ndarray, stand_off: float) -> Part:
        """Both ears at the sides of the deformed face; `stand_off` 0 flat to 1 protruding."""
        pieces = []
        for side in (-1.0, 1.0):
            level = np.abs(self.face.points[self.border, 1] - 18) < 14
            near = self.border_side(border, side, level)
            theta = np.linspace(0, 2 * np.pi, EAR_ANGLES, endpoint=False)
            r = np.linspace(1.0, 0.0, EAR_RINGS)[:, None]
            # The outline: round above, a narrow lobe below; local axes point backwards and up.
            back = 17.0 * np.cos(theta) * (1 + 0.25 * np.sin(theta)) + 3.0 * np.sin(theta)
            up = 31.0 * np.sin(theta)
            # Helix, groove, antihelix, hollow: heights over the ear's plane by the share of the radius.
            profile = np.interp(r, [0, 0.35, 0.55, 0.68, 0.78, 0.9, 1.0], [-9, -8, 0.0, 1.8, -3.0, 3.2, -0.5])
            lobe = smoothstep((np.sin(theta) + 0.35) / 0.5)
            height = profile * (0.25 + 0.75 * lobe)
            tilt = np.radians(18 + 24 * stand_off)
            backwards = np.array([side * np.sin(tilt), -0.12, -np.cos(tilt)])
            upwards = np.array([side * 0.10, 1.0, -0.12])
            outwards = np.cross(upwards, backwards) * side
            outwards *= -1.0 if outwards[0] * side < 0 else 1.0
            outwards /= np.linalg.norm(outwards)
            centre = near + np.array([side * 2.0, 0, 0]) + backwards * 13
            local = (r * back)[..., None] * backwards + (r * up)[..., None] * upwards + height[..., None] * outwards
            vertices = (centre + local).reshape(-1, 3)
            places = np.stack(np.broadcast_arrays(r * np.cos(theta), r * np.sin(theta), profile), -1).reshape(-1, 3)
            pieces.append(Part(vertices, grid_triangles(EAR_RINGS, EAR_ANGLES, closed=True), places))
        return join(pieces)

    def border_side(self, border: np.ndarray, side: float, level: np.ndarray) -> np.ndarray:
        """Mean position of the border on one side at some levels: where the ear grows."""
        chosen = level & (border[:, 0] * side > 0)
        anchor = border[chosen].mean(0) if chosen.any() else np.array([side * 74.0, 18.0, -70.0])
        return np.array([anchor[0], 16.0, min(anchor[2], -62.0) - 12.0])

    def neck(self, border: np.ndarray, male: float, weight: float, rotation: np.ndarray) -> tuple[Part, Part]:
        """Neck and collar; lower parts turn less than the head (rotation [3, 3] for row vectors, of the head)."""
        low = self.face.points[self.border, 1] < -15
        jaw = np.ptp(border[low, 0]) / np.ptp(self.face.points[self.border][low, 0]) if low.sum() > 3 else 1.0
        columns, levels = 40, np.linspace(0, 1, 12)
        theta = np.linspace(0, 2 * np.pi, columns, endpoint=False)
        width = (47 + 7 * male + 5 * weight) * jaw
        t = levels[:, None]
        # Narrow at the top, where the jaw hides it, and wider towards the shoulders.
        flare = (0.80 + 0.20 * smoothstep(t / 0.3)) * (1 + 0.12 * smoothstep((t - 0.35) / 0.65))
        centre_z = -88 - 14 * t
        neck = np.stack(
            np.broadcast_arrays(
                width * flare * np.sin(theta), -28 - 150 * t, centre_z + (width - 4) * flare * np.cos(theta)
            ),
            -1,
        )
        t = np.linspace(0, 1, 8)[:, None]
        spread = smoothstep(t) ** 0.7
        collar = np.stack(
            np.broadcast_arrays(
                (width + 5 + 160 * spread) * np.sin(theta),
                -104 - 78 * t**1.3 - 16 * np.cos(theta) + 8 * np.sin(theta) ** 2,
                -100 + (width + 4 + 50 * spread) * np.cos(theta),
            ),
            -1,
        )  # fmt: skip
        parts = []
        for piece, share in ((neck, 0.75 * levels), (collar, np.full(8, 0.75))):
            turned = np.array([_undo(ring, rotation, s) for ring, s in zip(piece, share, strict=True)])
            count = len(piece)
            parts.append(Part(turned.reshape(-1, 3), grid_triangles(count, columns, closed=True), piece.reshape(-1, 3)))
        return parts[0], parts[1]


def _undo(points: np.ndarray, rotation: np.ndarray, share: float) -> np.ndarray:
    """Undoes a share of the head's rotation at points, about the neck's joint."""
    joint = np.array([0.0, -25.0, -95.0])
    blended = np.eye(3) * share + rotation * (1 - share)
    u, _, vt = np.linalg.svd(blended)
    partial = u @ vt
    # The head's rotation is applied to all parts later; only `partial` of it should remain.
    return (points - joint) @ partial @ rotation.T + joint


def join(parts: list[Part]) -> Part:
    """Joins several parts into one."""
    starts = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    return Part(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.triangles + start for part, start in zip(parts, starts, strict=True)]).astype(np.int32),
        np.concatenate([part.places for part in parts]),
    )
