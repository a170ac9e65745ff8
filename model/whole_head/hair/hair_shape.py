"""The volume of hair, or of a cap, over the scalp of a whole head, from its outline in the photo."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse.csgraph
import tensorflow as tf

from lib.mesh_export.texture_fill import membrane
from lib.synthetic.appearance.canonical import CanonicalFace
from lib.synthetic.appearance.hair import lock_factors
from model.morphable_model import MorphableModel, PosedFace
from model.whole_head.hair.curtain import Curtain, CurtainShape
from model.whole_head.hair.hanging_hair import Look
from model.whole_head.hair.wall import hair_to_wall
from model.whole_head.scalp_mesh import ScalpMesh
from model.whole_head.wide_view import WideView

# Lengths in decimetres. Hair is this thick where the photo does not show its outline, and never thicker than the other.
USUAL, LARGEST = 0.12, 0.5
# The outline is looked for from this far inside the skull's.
INWARDS = 0.08
# Directions around the head in which the outline is looked for, and the median's width over them.
DIRECTIONS, MEDIAN = 120, 9
# Log of the odds of wall to hair in favour of little hair, per decimetre.
THRIFT = 6.0
# Means of the log ratio within `EDGE` of an outline, inside minus outside, from and above which the outline counts.
EDGE, FAINT, CLEAR = 0.12, 0.7, 2.0
# Outlines count for vertices this far from the plane of the picture through the head's middle (sine of the angle).
BESIDE = 0.35
# Weight of a mirrored outline and of the usual thickness, relative to an outline that is seen.
MIRRORED, PRIOR = 0.3, 0.08
# Behind the ears (canonical places, mm), hair becomes thinner from one height down to the other, the nape.
BEHIND_EARS, FULL_HEIGHT, NAPE = -78.0, 50.0, -60.0
# Downward part of displacements at most: hair stands out from the nape, instead of hanging over the neck.
DOWNWARDS = 0.15
# Hair rises to its full thickness over this length from the hairline, plus a multiple of its thickness.
RISE, RISE_SHARE = 0.1, 1.2
# Variation of the thickness in locks of this size [mm], and rounds of smoothing over the mesh.
LOCKS, LOCK_SIZE, ROUNDS = 0.12, (22.0, 60.0), 4


@dataclass(frozen=True, eq=False)
class HairVolume:
    """The volume of the hair of one head.

    Attributes:
      lift: [N, 3] float32 displacement of the head's vertices before the pose, decimetres.
      wall: [S, S] log of the odds of hair to what is behind the head; None if the photo does not show both.
      curtain: long hair, which `lift` includes; None if the photo shows none.
    """

    lift: np.ndarray
    wall: np.ndarray | None
    curtain: Curtain | None


class HairShape:
    """Displaces the scalp of a whole head outwards, by the thickness of the hair that the photo shows.

    The displacement is radial from the scalp's middle, at most `LARGEST`, smooth, and 0 outside the scalp, but for long
    hair. The outline of the hair is where colours of the scalp give way to those of the wall behind the head, along
    rays from the scalp's middle.

    Args:
      morphable: a head whose model has the region "scalp".
      count: number of vertices of its face, which come first.
      volume: whether hair displaces anything; otherwise only the wall behind the head is found.
    """

    def __init__(self, morphable: MorphableModel, count: int, volume: bool = True):
        model = morphable.face_model
        self._morphable, self._curtain = morphable, CurtainShape(model, count) if volume else None
        self._scalp = model.regions["scalp"]
        self._mesh = mesh = ScalpMesh(model, self._scalp > 0)
        self._depth = _depth(mesh, model.mean_shape)
        number = np.full(model.vertex_count, -1)
        number[mesh.rows] = np.arange(len(mesh.rows))
        self._mirror = number[model.mirror_index[mesh.rows]]
        places = CanonicalFace(model).points[mesh.rows]
        self._full = np.clip((places[:, 1] - NAPE) / (FULL_HEIGHT - NAPE), 0, 1)
        self._full = np.where(places[:, 2] < BEHIND_EARS, self._full, 1)
        self._locks = lock_factors(places, LOCKS, LOCK_SIZE, seed=1)

    def __call__(self, face: PosedFace, view: WideView | None, bald: bool = False) -> "HairVolume":
        """The volume of the hair of one head.

        Args:
          face: the bare head, a batch of one.
          view: the photo around it; None if it must not be read.
          bald: whether it has none. What the outline shows is then the skull.
        """
        usual = 0.0 if bald else USUAL
        rows = self._mesh.rows
        places = face.vertices.numpy()[0, rows]
        middle = places.mean(axis=0)
        outwards = (places - middle) / np.linalg.norm(places - middle, axis=1, keepdims=True)
        values, weight, wall = np.zeros(len(rows)), np.zeros(len(rows)), None
        if view is not None:
            thickness, trust, wall = self._outline(view, middle)
        if self._curtain is None:
            return HairVolume(np.zeros([self._morphable.vertex_count, 3], np.float32), wall, None)
        if view is not None:
            angle = np.arctan2(outwards[:, 1], outwards[:, 0])
            values = np.interp(angle, _ANGLES, thickness, period=2 * np.pi)
            beside = np.exp(-np.square(outwards[:, 2] / BESIDE))
            weight = beside * np.interp(angle, _ANGLES, trust, period=2 * np.pi)
        paired = np.where(self._mirror >= 0, MIRRORED * weight[self._mirror], 0)
        joined = weight + paired + PRIOR
        values = (weight * values + paired * values[self._mirror] + PRIOR * usual) / joined
        # `LARGEST` limits the thickness, and the outline has no outliers.
        thick = membrane(self._mesh.laplacian, values[:, None], np.minimum(joined, 1), limit=np.inf)[:, 0]
        lift, curtain = self._raised(face, np.clip(thick, 0, LARGEST) * self._full), None
        if view is not None and wall is not None and not bald:
            curtain = self._curtain(face, lift, self._looks(view, wall, middle))
        return HairVolume(lift if curtain is None else lift + curtain.lift, wall, curtain)

    def _looks(self, view: WideView, wall: np.ndarray, middle: np.ndarray) -> Iterator[Look]:
        """Ways to look for long hair, the best first; `middle` as in `_outline`."""
        yield Look(view, wall)
        if view.person.any():
            # Thin hair may be left out of the person, so that its colours alone are better.
            blind = view.without_person()
            by_colours = self._outline(blind, middle)[2]
            if by_colours is not None:
                yield Look(blind, by_colours)
            yield Look(view, wall, by_outline=True)

    def _raised(self, face: PosedFace, thick: np.ndarray) -> np.ndarray:
        """Displacement [N, 3] for a thickness [M]."""
        rise = np.clip(self._depth / (RISE + RISE_SHARE * thick), 0, 1)
        lift = thick * self._locks * rise * (2 - rise)
        for _ in range(ROUNDS):
            lift = self._mesh.mean(lift)
        lift = np.clip(lift, 0, LARGEST) * np.clip(self._depth / RISE, 0, 1)
        places = face.shape.numpy()[0, self._mesh.rows]
        outwards = places - places.mean(axis=0)
        length = np.linalg.norm(outwards, axis=1)
        outwards[:, 1] = np.maximum(outwards[:, 1], -DOWNWARDS * length)
        result = np.zeros([self._morphable.vertex_count, 3], np.float32)
        result[self._mesh.rows] = (lift / np.linalg.norm(outwards, axis=1))[:, None] * outwards
        return result

    def _outline(self, view: WideView, middle: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Thickness [D] of the hair in the directions `_ANGLES` of the picture, the trust in it [D], and the wall.

        Args:
          view: of the bare head.
          middle: [3] of the scalp, world frame.
        """
        camera, size = view.camera, view.camera.image_size[0]
        scale = camera.focal_length / (camera.distance - middle[2])
        scalp = view.shown(self._scalp[self._morphable.face_model.triangles].mean(axis=1) > 0.5)
        centre = camera.project(tf.constant(middle[None, None])).numpy()[0, 0]
        rays = np.stack([np.cos(_ANGLES), -np.sin(_ANGLES)], axis=1)
        skull, hairy = _reach(view.head, scalp, centre, rays)
        row, column = np.indices(view.head.shape) + 0.5
        nearest = np.rint(np.arctan2(centre[1] - row, column - centre[0]) / (2 * np.pi) * DIRECTIONS).astype(int)
        around = hairy[nearest % DIRECTIONS] & view.inside
        odds = hair_to_wall(view.image, view.person, view.head, scalp & view.inside, view.skin, around, scale)
        if odds is None:
            return np.full(DIRECTIONS, USUAL), np.zeros(DIRECTIONS), None
        steps = np.arange(-round(INWARDS * scale), round((LARGEST + EDGE) * scale) + 1)
        points = centre + (skull[:, None] + steps)[..., None] * rays[:, None]
        # The picture's border is taken to go on beyond it: thick hair ends just before it, and would not count.
        at = tuple(np.clip(points[..., axis].astype(int), 0, size - 1) for axis in (1, 0))
        ratio = odds[at] * view.inside[at]
        best, trust = _boundary(ratio, view.inside[at], scale)
        valid = hairy * trust
        found = np.where(valid > 0, np.clip(steps[best] / scale, 0, LARGEST), np.nan)
        return _median(found), valid, odds


_ANGLES = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)


def _depth(mesh: ScalpMesh, shape: np.ndarray) -> np.ndarray:
    """[M] length of the shortest way over the scalp to its border, decimetres."""
    edges = mesh.laplacian.tocoo()
    used = edges.row < edges.col
    ends = np.stack([edges.row[used], edges.col[used]])
    places = shape[mesh.rows]
    lengths = np.linalg.norm(places[ends[0]] - places[ends[1]], axis=1)
    graph = scipy.sparse.coo_matrix((lengths, ends), shape=mesh.laplacian.shape).tocsr()
    border = np.flatnonzero(mesh.border)
    return scipy.sparse.csgraph.dijkstra(graph, directed=False, indices=border, min_only=True)


def _reach(head: np.ndarray, scalp: np.ndarray, centre: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance [D] along each ray to the head's last pixel, and whether that is the scalp, bool [D]."""
    steps = np.arange(1, head.shape[0])
    points = centre + steps[:, None] * rays[:, None]
    at = tuple(np.clip(points[..., axis].astype(int), 0, head.shape[0] - 1) for axis in (1, 0))
    within = ((points >= 0) & (points < head.shape[0])).all(axis=-1)
    on = head[at] & within
    last = np.where(on.any(axis=1), on.shape[1] - 1 - np.argmax(on[:, ::-1], axis=1), 0)
    return steps[last], scalp[at][np.arange(len(rays)), last] & on.any(axis=1)


def _boundary(ratio: np.ndarray, inside: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The step [D] at which hair ends along each ray, and the trust [D] in it.

    Args:
      ratio: [D, S] log of the odds of hair to wall along the rays.
      inside: [D, S] whether the photo shows the place.
      scale: pixels per decimetre.
    """
    edge = round(EDGE * scale)
    total = np.cumsum(ratio - THRIFT / scale, axis=1)
    best = np.argmax(total[:, :-edge], axis=1)
    rays = np.arange(len(ratio))
    sums = np.pad(np.cumsum(ratio, axis=1), ((0, 0), (1, 0)))
    within = (sums[rays, best + 1] - sums[rays, np.maximum(best + 1 - edge, 0)]) / edge
    outside = (sums[rays, best + 1 + edge] - sums[rays, best + 1]) / edge
    shown = inside[rays, best + edge]
    return best, np.clip((within - outside - FAINT) / (CLEAR - FAINT), 0, 1) * shown


def _median(values: np.ndarray) -> np.ndarray:
    """Medians over `MEDIAN` neighbours on the circle, ignoring NaN; NaN becomes the nearest value, or `USUAL`."""
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return np.full_like(values, USUAL)
    around = np.arange(len(values))[:, None] + np.arange(MEDIAN) - MEDIAN // 2
    gathered = values[around % len(values)]
    count = (~np.isnan(gathered)).sum(axis=1)
    middle = np.sort(gathered, axis=1)[np.arange(len(values)), np.maximum(count - 1, 0) // 2]  # NaN comes last
    known = np.flatnonzero(count)
    return np.interp(np.arange(len(values)), known, middle[known], period=len(values))
