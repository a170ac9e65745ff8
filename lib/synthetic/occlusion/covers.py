"""Occluders for training the mask decoder: more frequent, and harder to tell from skin, than on the usual photos.

Each photo gets a random set of them: caps and hats with a brim, dark and clear glasses, fringes and locks over eyes and
cheeks, hands, microphones, face masks and plain objects.
"""

from dataclasses import dataclass, replace

import numpy as np

from lib.synthetic.appearance.head import Part, grid_triangles
from lib.synthetic.appearance.sampling_priors import Moment
from lib.synthetic.occlusion.occluders import Accessory, glasses, hand, tube

# Share of the photos with each occluder. Only one kind of headgear and one kind of glasses is worn at a time.
CAP, HAT = 0.14, 0.06
DARK_GLASSES, CLEAR_GLASSES = 0.17, 0.17
FRINGE, SIDE_LOCKS, STRANDS = 0.20, 0.14, 0.12
HANDS, MICROPHONE, FACE_MASK, OBJECT = 0.16, 0.09, 0.05, 0.07
# Styles on which no hair can hang into the face.
WITHOUT_FRINGE = ("bald", "shaved", "scarf", "beanie")
# The brim starts at this height above the eyes (mm): the lower border of the cap itself.
BRIM_HEIGHT = 45.0


@dataclass(frozen=True)
class Covers:
    """Occluders of one photo.

    Attributes:
      kinds: names of the occluders.
      generator: random numbers for their shapes and colours.
    """

    kinds: frozenset[str]
    generator: np.random.Generator

    def dressed(self, moment: Moment) -> Moment:
        """The moment with the dome of a cap or hat on the head."""
        return replace(moment, hair_style="beanie") if self.kinds & {"cap", "hat"} else moment

    def accessories(self, vertices: np.ndarray, landmarks: np.ndarray, skin: np.ndarray, cloth: np.ndarray):
        """Solid objects for a deformed face.

        Args:
          vertices: [N, 3] the face in canonical millimetres.
          landmarks: [68, 3] likewise.
          skin, cloth: [3] colours of the skin and of the headgear.
        """
        generator, things = self.generator, []
        if "cap" in self.kinds:
            things.append(brim(landmarks, cloth, generator, around=False))
        if "hat" in self.kinds:
            things.append(brim(landmarks, cloth, generator, around=True))
        if "dark glasses" in self.kinds:
            things += glasses(landmarks, generator, dark_share=1.0)
        if "clear glasses" in self.kinds:
            things += glasses(landmarks, generator, dark_share=0.0)
        if "hand" in self.kinds:
            for _ in range(1 + (generator.random() < 0.25)):
                spot = np.array([generator.uniform(-72, 72), generator.uniform(-85, 75), 0.0])
                things.append(hand(vertices, skin, generator, spot))
        if "microphone" in self.kinds:
            things.append(microphone(landmarks, generator))
        return things


def sample_covers(generator: np.random.Generator, moment: Moment) -> Covers:
    """Draws the occluders of a photo."""
    kinds = set()
    on_head, on_eyes = generator.random(2)
    if on_head < CAP + HAT:
        kinds.add("cap" if on_head < CAP else "hat")
    if on_eyes < DARK_GLASSES + CLEAR_GLASSES:
        kinds.add("dark glasses" if on_eyes < DARK_GLASSES else "clear glasses")
    shares = {
        "fringe": FRINGE, "side locks": SIDE_LOCKS, "strands": STRANDS, "hand": HANDS, "microphone": MICROPHONE,
        "face mask": FACE_MASK, "object": OBJECT,
    }  # fmt: skip
    kinds |= {kind for kind, share in shares.items() if generator.random() < share}
    if moment.hair_style in WITHOUT_FRINGE or kinds & {"cap", "hat"}:
        kinds -= {"fringe", "side locks", "strands"}
    return Covers(frozenset(kinds), generator)


def brim(landmarks: np.ndarray, cloth: np.ndarray, generator: np.random.Generator, around: bool) -> Accessory:
    """Brim of a cap, or of a hat all `around` the head."""
    eyes = landmarks[36:48].mean(0)
    height = eyes[1] + BRIM_HEIGHT + generator.uniform(-4, 8)
    front = landmarks[19:25, 2].mean() + generator.uniform(1, 5)
    length = generator.uniform(40, 75)
    reach = np.pi if around else generator.uniform(1.15, 1.5)
    angle = np.linspace(-reach, reach, 60 if around else 33)[None]
    out = np.linspace(0, 1, 6)[:, None]
    # Seen from above: the head's outline, and from it outwards a crescent or a ring.
    beyond = length * out * (1.0 if around else np.clip(np.cos(angle * (0.5 * np.pi / reach)), 0, 1) ** 0.7)
    x = (78 + beyond * around) * np.sin(angle)
    z = front - (70 + 0.4 * beyond * around) * (1 - np.cos(angle)) + beyond * (1 if not around else np.cos(angle))
    tilt, droop = generator.uniform(-0.15, 0.55), generator.uniform(0, 0.25)
    y = height - tilt * beyond * np.cos(angle) - droop * 78 * np.sin(angle) ** 2 + 0 * out
    y = y + generator.uniform(-0.08, 0.08) * x  # worn askew
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    rows, columns = x.shape
    part = Part(points, grid_triangles(rows, columns, closed=False), points)
    # From in front one sees the upper side of a brim that points down, and the shaded lower side of a raised one.
    normal = np.array([0.0, 1.0, 0.6]) if tilt > 0.2 else np.array([0.0, -0.8, 0.6])
    colour = cloth * generator.uniform(0.5, 1.1) if generator.random() < 0.75 else generator.uniform(0.03, 0.8, 3)
    return Accessory(part, np.tile(normal / np.linalg.norm(normal), (len(points), 1)), colour, gloss=0.1, opacity=1.0)


def microphone(landmarks: np.ndarray, generator: np.random.Generator) -> Accessory:
    """A microphone held to the mouth: a ball and a handle that points down."""
    mouth = landmarks[48:68].mean(0)
    ball, handle = generator.uniform(15, 30), generator.uniform(9, 14)
    start = mouth + np.array([generator.uniform(-22, 22), generator.uniform(-45, 4), ball + generator.uniform(0, 35)])
    down = np.array([generator.uniform(-1.0, 1.0), -1.0, generator.uniform(0.0, 0.8)])
    down /= np.linalg.norm(down)
    along = np.concatenate([np.linspace(-ball, ball, 14), np.linspace(1.1 * ball, 220, 8)])
    radius = np.sqrt(np.clip(ball**2 - along**2, 0.3, None))
    radius = np.where(along > 0.6 * ball, np.maximum(radius, handle), radius)
    part, normals = tube(start + down * along[:, None], radius)
    grey = generator.choice([0.04, 0.07, 0.15, 0.35, 0.6])
    colour = np.clip(grey + generator.normal(0, 0.02, 3), 0.02, 0.8)
    if generator.random() < 0.2:
        colour = generator.uniform(0.05, 0.8, 3)
    return Accessory(part, normals, colour, gloss=generator.uniform(0, 1), opacity=1.0)
