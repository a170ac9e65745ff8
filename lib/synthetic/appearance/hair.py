"""Hair and head coverings: shells over the scalp with a hairline of strands, and sheets of long hanging hair."""

from dataclasses import dataclass

import numpy as np

from lib.synthetic.appearance.canonical import CanonicalFace
from lib.synthetic.appearance.head import SKULL_CENTRE, Head, Part, grid_triangles, join
from lib.synthetic.appearance.noise import noise
from lib.synthetic.appearance.sampling_priors import Moment, Person

CROWN = np.array([0.0, 146.0, -96.0])
# Millimetres across the strands per radian around the crown.
RADIUS = 75.0
# Height of the hairline by the direction from the axis of the head: 0 the front, 90 the side, 180 the back.
_DIRECTIONS = np.radians([0, 14, 28, 42, 54, 66, 78, 86, 92, 100, 112, 126, 150, 180])
_HAIRLINE = np.array([100, 102, 102, 92, 76, 62, 44, 22, 16, 52, 40, -10, -55, -60.0])
# The same for heads made from photos: short hair runs down close behind the ears and ends nearly level at the nape.
_SHORT_HAIR = np.array([100, 102, 102, 92, 76, 62, 44, 22, 16, 52, 0, -46, -64, -62.0])
_COVER = {
    # Lower borders for the same directions; None: the hairline.
    "beanie": np.array([84, 84, 82, 78, 72, 66, 60, 56, 54, 50, 40, 20, 0, -5.0]),
    "scarf": np.array([90, 89, 86, 76, 60, 40, 12, -20, -40, -60, -90, -110, -120, -120.0]),
    "bowl": np.array([88, 84, 80, 72, 58, 40, 10, -12, -16, -18, -20, -25, -55, -60.0]),
}
_THICKNESS = {
    "short": 8.0, "medium": 15.0, "long": 15.0, "curly": 22.0, "shaved": 0.8, "bald": 0.6, "swept": 15.0,
    "fringe": 13.0, "beanie": 8.0, "scarf": 9.0,
}  # fmt: skip


@dataclass(frozen=True)
class Sheet:
    """One layer of hair.

    Attributes:
      part: the mesh, canonical millimetres, deformed.
      cover: [N] signed distance in millimetres, positive inside the hairline; no hair below 0.
      flow: [N, 2] millimetres across and along the strands.
    """

    part: Part
    cover: np.ndarray
    flow: np.ndarray

    def visible_triangles(self, margin: float) -> np.ndarray:
        """Triangles [F, 3] with hair; strands reach `margin` millimetres beyond the hairline."""
        return self.part.triangles[(self.cover[self.part.triangles] > -margin).any(1)]


@dataclass(frozen=True)
class Hair:
    """Hair of one photo.

    Attributes:
      shell: hair on the scalp; its vertices are those of `Scalp.ids`, followed by those of the skull.
      curtains: hanging hair, innermost first; drawn sheet by sheet, because gaps between strands show what is behind.
      colour: [3]; cloth: whether this is a head covering instead of hair.
      ragged: millimetres by which strands cross the hairline.
      covers_ears: whether the ears are hidden.
    """

    shell: Sheet
    curtains: tuple[Sheet, ...]
    colour: np.ndarray
    cloth: bool
    ragged: float
    covers_ears: bool

    def contact_shadow(self, count: int) -> np.ndarray:
        """Darkening [count] by nearby hair at the first vertices of the scalp, which belong to the face."""
        near = np.exp(np.minimum(self.shell.cover[:count], 0) / 6.0)
        return 1 - (0.12 if self.ragged < 2 else 0.24) * near


def above_hairline(places: np.ndarray) -> np.ndarray:
    """[N] millimetres of canonical places [N, 3] above the hairline of short hair; negative on face and neck."""
    return _above(places, _SHORT_HAIR)


def hair_flow(places: np.ndarray, curl: float = 0.0) -> np.ndarray:
    """[N, 2] millimetres across and along the strands at canonical places [N, 3]; strands start at the crown."""
    offset = places - CROWN
    angle = np.arctan2(offset[:, 0], offset[:, 2])
    along = np.linalg.norm(offset, axis=1)
    return np.stack([angle * RADIUS, along * (1 + 2.0 * curl)], axis=1)


def lock_factors(places: np.ndarray, share: float, size: tuple[float, float], seed: int) -> np.ndarray:
    """[N] factors around 1 at canonical places [N, 3], which vary in locks by about `share`.

    Args:
      places: [N, 3] millimetres.
      share: of the variation.
      size: of the locks across and along the strands, millimetres.
      seed: other seeds have other locks.
    """
    return 1 + share * noise(np.pad(hair_flow(places), ((0, 0), (0, 1))), (*size, 1.0), seed, octaves=2)


def below_bare_top(places: np.ndarray) -> np.ndarray:
    """[N] millimetres of canonical places [N, 3] below a bald top, around which only a ring of hair is left."""
    return 86 - places[:, 1] + 60 * np.clip(_azimuth(places) - 1.2, -0.6, 0.4)


def _above(places: np.ndarray, line: np.ndarray) -> np.ndarray:
    """[N] millimetres above a border that is given by its heights in `_DIRECTIONS`."""
    return places[:, 1] - np.interp(_azimuth(places), _DIRECTIONS, line)


def _azimuth(places: np.ndarray) -> np.ndarray:
    """[N] radians about the vertical axis of the head: 0 in front, pi at the back, the same on both sides."""
    return np.arctan2(np.abs(places[:, 0]), places[:, 2] + 78.0)


class Scalp:
    """The part of head and face where hair can grow, for one face model."""

    def __init__(self, face: CanonicalFace, triangles: np.ndarray, head: Head):
        self.face, self.head = face, head
        low = np.interp(_azimuth(face.points), _DIRECTIONS, _COVER["scarf"]) - 38
        inside = (face.points[:, 1] > low) & ((face.points[:, 1] > 48) | (face.points[:, 2] < -18))
        chosen = inside[triangles].all(1)
        self.ids, compact = np.unique(triangles[chosen], return_inverse=True)
        self.triangles = compact.reshape(-1, 3).astype(np.int32)

    def grow(self, vertices: np.ndarray, person: Person, moment: Moment, generator: np.random.Generator) -> Hair:
        """Creates hair for a deformed face.

        Args:
          vertices: [N, 3] the deformed face in canonical millimetres.
          person: the person.
          moment: holds the hair style.
          generator: random numbers for lengths and the colours of coverings.
        """
        style = moment.hair_style
        skull = self.head.skull(vertices[self.head.border])
        base = join([Part(vertices[self.ids], self.triangles, self.face.points[self.ids]), skull])
        cover = self._cover(base.places, style, person, generator)
        volume = _THICKNESS[style] * generator.uniform(0.75, 1.25)
        lift = volume * _ramp(cover / (6 + 1.4 * volume))
        front = np.clip(np.cos(_azimuth(base.places)), 0, 1) * np.clip((base.places[:, 1] - 70) / 40, 0, 1)
        if style in ("swept", "medium"):
            lift = lift * (1 + generator.uniform(0.2, 0.9) * front)
        if style == "fringe":
            lift = np.maximum(lift, 3.5 * (cover > -4))
        curl = person.curl if style not in ("beanie", "scarf", "shaved", "bald") else 0.0
        if style == "curly" or curl > 0.55:
            curl = max(curl, 0.7)
            lift = (
                lift
                * (1 + curl * generator.uniform(0.1, 0.9))
                * (1 + 0.35 * noise(base.places, 13.0, person.seed + 61, 2))
            )
        else:
            lift = lift * (1 + 0.14 * noise(base.places, 24.0, person.seed + 62, 2))
        outwards = base.vertices - SKULL_CENTRE
        outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
        shell = Part(base.vertices + outwards * np.maximum(lift, 0.35)[:, None], base.triangles, base.places)
        curtains: tuple[Sheet, ...] = ()
        if style in ("long", "scarf") or (style == "fringe" and generator.random() < 0.6):
            length = generator.uniform(90, 260) if style != "scarf" else 190
            # A second sheet further inside closes gaps of the first one beside the face.
            curtains = tuple(self._curtain(vertices, style, length, inset, generator) for inset in (6.0, 0.0))
        cloth = style in ("beanie", "scarf")
        colour = np.clip(generator.beta(1.2, 1.5) + generator.normal(0, 0.16, 3), 0.04, 0.9) if cloth else person.hair
        if style in ("shaved", "bald"):
            colour = 0.45 * np.minimum(person.hair, 0.3) + 0.55 * person.skin * 0.8
        return Hair(
            Sheet(shell, cover, hair_flow(base.places, curl)), curtains, colour, cloth,
            ragged=0.0 if cloth else (1.5 if style in ("shaved", "short") else 5.0),
            covers_ears=style in ("scarf", "long") or (style == "fringe" and len(curtains) > 0),
        )  # fmt: skip

    def _cover(self, places, style, person, generator) -> np.ndarray:
        """[N] millimetres inside the hairline."""
        line = _HAIRLINE.copy()
        if style in _COVER:
            line = _COVER[style].copy()
        elif style == "long" or (style == "medium" and generator.random() < 0.5):
            line[4:] = np.minimum(line[4:], _COVER["bowl"][4:])
        if style not in ("beanie", "scarf"):
            line[1:5] += person.receding * np.array([14, 26, 26, 12])
            line[0] += 8 * person.receding
        if style == "fringe":
            depth = generator.uniform(8, 26)
            line[:5] -= depth * np.array([1, 1, 0.95, 0.75, 0.4])
        parted = style == "fringe" and generator.random() < 0.5
        lean = generator.uniform(-0.5, 0.5) * places[:, 0] if parted else 0.0
        cover = _above(places, line) + lean * (places[:, 1] < 104) * (places[:, 2] > -60)
        if style == "bald":
            cover = np.minimum(cover, below_bare_top(places))
        return cover

    def _curtain(self, vertices, style, length, inset, generator) -> Sheet:
        """A sheet of hair or cloth hanging from the sides and the back of the head."""
        first = np.radians((50 if style == "scarf" else 62) + 2.5 * inset)
        theta = np.linspace(first, 2 * np.pi - first, 56)
        t = np.linspace(0, 1, 16)[:, None]
        width = np.ptp(vertices[self.head.border][:, 0]) / 2
        out = generator.uniform(8, 17) - inset
        bulge = out + generator.uniform(4, 22) * np.sin(np.pi * np.clip(t * 0.8, 0, 1))
        wave = 3.0 * np.sin(theta * 9 + generator.uniform(0, 6) + 4 * t) * t
        if style == "scarf":  # drawn together under the chin
            bulge = 9 - 26 * t**0.6
        x = (width + bulge + wave) * np.sin(theta)
        z = -82 + (width + 12 + bulge + wave) * np.cos(theta) * np.where(np.cos(theta) > 0, 0.75, 1.0)
        y = 62 - (length + 62) * t + 0 * x
        places = np.stack([x, y, z], -1)
        edge = np.minimum((theta - first), (2 * np.pi - first - theta)) * 80 - 1 + inset + 0 * t
        end = (1 - t) * (length + 62) - generator.uniform(0, 10)
        if style == "scarf":
            edge = edge + 10
        cover = np.minimum(edge, end + 0 * theta).ravel()
        flow = np.stack([theta * 85 + 0 * t, 90 - y], -1).reshape(-1, 2)
        points = places.reshape(-1, 3)
        return Sheet(Part(points, grid_triangles(16, 56, closed=False), points), cover, flow)


def _ramp(t):
    """A quarter circle from 0 at t <= 0, where it is steep, to 1 at t >= 1."""
    t = np.clip(t, 0, 1)
    return np.sqrt(t * (2 - t))
