"""Occluders in front of a face: glasses, fingers, strands of hair and plain objects."""

from dataclasses import dataclass

import cv2
import numpy as np

from lib.synthetic.appearance.head import Part, grid_triangles, join

SIDES = 8


@dataclass(frozen=True)
class Accessory:
    """A solid object in front of the face.

    Attributes:
      part: mesh in canonical millimetres.
      normals: [N, 3] canonical.
      colour: [3]; gloss: strength of its highlight; opacity: 0 to 1.
    """

    part: Part
    normals: np.ndarray
    colour: np.ndarray
    gloss: float
    opacity: float


def tube(path: np.ndarray, radius, closed: bool = False) -> tuple[Part, np.ndarray]:
    """A tube of round section along a path [P, 3] and its normals; `radius` is a number or [P]."""
    ahead = np.roll(path, -1, 0) - np.roll(path, 1, 0)
    if not closed:
        ahead[0], ahead[-1] = path[1] - path[0], path[-1] - path[-2]
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True) + 1e-9
    reference = np.where(np.abs(ahead[:, 2:]) > 0.8, np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]))
    first = np.cross(ahead, reference)
    first /= np.linalg.norm(first, axis=1, keepdims=True) + 1e-9
    second = np.cross(ahead, first)
    theta = np.linspace(0, 2 * np.pi, SIDES, endpoint=False)[None, :, None]
    normals = np.cos(theta) * first[:, None] + np.sin(theta) * second[:, None]
    vertices = path[:, None] + normals * np.broadcast_to(radius, len(path))[:, None, None]
    triangles = grid_triangles(len(path), SIDES, closed=True)
    if closed:
        last = grid_triangles(2, SIDES, closed=True)
        triangles = np.concatenate([triangles, np.where(last < SIDES, last + (len(path) - 1) * SIDES, last - SIDES)])
    vertices = vertices.reshape(-1, 3)
    return Part(vertices, triangles.astype(np.int32), vertices), normals.reshape(-1, 3)


def glasses(landmarks: np.ndarray, generator: np.random.Generator, dark_share: float = 0.22) -> list[Accessory]:
    """Glasses with clear or, with probability `dark_share`, dark lenses; landmarks [68, 3] in canonical millimetres."""
    centres = [landmarks[36:42].mean(0), landmarks[42:48].mean(0)]
    half_width, half_height = generator.uniform(22, 27), generator.uniform(15, 23)
    power = generator.uniform(2.0, 4.5)
    thickness = generator.uniform(0.6, 1.9)
    theta = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    front = landmarks[27, 2] + 5.0
    c, s = np.cos(theta), np.sin(theta)
    outline = np.sign(c) * np.abs(c) ** (2 / power), np.sign(s) * np.abs(s) ** (2 / power)
    parts, normals, lenses = [], [], []
    colour = np.clip(generator.choice([0.05, 0.08, 0.15, 0.35, 0.6]) + generator.normal(0, 0.05, 3), 0.02, 0.8)

    def add(piece):
        parts.append(piece[0])
        normals.append(piece[1])

    for side, centre in zip((-1, 1), centres, strict=True):
        x = centre[0] + side * 1.0 + half_width * outline[0]
        y = centre[1] - 2.5 + half_height * outline[1] * (1 - 0.08 * side * outline[0])
        # Frames bend back towards the ears.
        z = front - 0.0045 * x * x
        rim = np.stack([x, y, z], 1)
        add(tube(rim, thickness, closed=True))
        fan = np.concatenate([rim, rim.mean(0, keepdims=True)])
        ring = np.arange(40)
        lenses.append(Part(fan, np.stack([ring, (ring + 1) % 40, np.full(40, 40)], 1).astype(np.int32), fan))
        corner = np.array(
            [centre[0] + side * (half_width + 0.5), centre[1] + 4, front - 0.0045 * (half_width + 32) ** 2]
        )
        ear = np.array([side * max(abs(corner[0]) + 7, 79.0), centre[1] - 2, -88.0])
        add(tube(np.linspace(corner, ear, 10), thickness * 1.1))
    inner = [centres[0] + (half_width - 1, 2, 0), centres[1] - (half_width - 1, -2, 0)]
    t = np.linspace(0, 1, 7)[:, None]
    bridge = inner[0] * (1 - t) + inner[1] * t + np.array([0, 3.0, 0]) * np.sin(np.pi * t)
    bridge[:, 2] = front + 0.5
    add(tube(bridge, thickness))
    frame = Accessory(join(parts), np.concatenate(normals), colour, gloss=1.0, opacity=1.0)
    tint = generator.random()
    opacity = generator.uniform(0.75, 0.98) if tint < dark_share else generator.uniform(0.0, 0.10)
    glass = join(lenses)
    dark = np.clip(np.array([0.05, 0.05, 0.055]) + generator.normal(0, 0.02, 3), 0.01, 0.2)
    return [
        frame,
        Accessory(glass, np.tile([0.0, 0.0, 1.0], (len(glass.vertices), 1)), dark, gloss=0.7, opacity=opacity),
    ]


def hand(
    vertices: np.ndarray, skin: np.ndarray, generator: np.random.Generator, target: np.ndarray | None = None
) -> Accessory:
    """Two to four fingers laid over the face, coming from below or the side.

    Args:
      vertices: [N, 3] the face in canonical millimetres.
      skin: [3] RGB.
      generator: random numbers.
      target: [3] canonical place of the fingertips; by default on a cheek or the chin.
    """
    if target is None:
        target = np.array([generator.choice([-1, 1]) * generator.uniform(18, 62), generator.uniform(-75, 5), 0.0])
    near = vertices[np.argmin(((vertices[:, :2] - target[:2]) ** 2).sum(1) - 4.0 * vertices[:, 2])]
    lean = np.sign(target[0]) * generator.uniform(0.1, 1.1)
    up = np.array([-np.sin(lean), np.cos(lean), 0.0])
    aside = np.array([up[1], -up[0], 0.0])
    parts, normals = [], []
    for finger in range(generator.integers(2, 5)):
        length = 62 + 12 * np.sin(finger + 0.7)
        t = np.linspace(0, 1, 14)[:, None]
        start = near + aside * (finger * 17.0 - 20) + up * (length * 0.35 - 4 * finger) + np.array([0, 0, 7.0])
        path = start - up * (length * 2.2 * t) + np.array([0, 0, 1.0]) * (22 * np.sin(np.pi * np.clip(t * 1.1, 0, 1)))
        radius = (
            8.6 * np.sqrt(np.clip(1 - (1 - t[:, 0] * 9).clip(0, 1) ** 2, 0.02, 1)) * (1 + 0.12 * np.sin(t[:, 0] * 17))
        )
        piece = tube(path, radius)
        parts.append(piece[0])
        normals.append(piece[1])
    return Accessory(
        join(parts), np.concatenate(normals), skin * np.exp(generator.normal(0, 0.08)), gloss=0.25, opacity=1.0
    )


def draw_strands(size: int, landmarks: np.ndarray, generator: np.random.Generator, count: int) -> np.ndarray:
    """[size, size] coverage in 0..1 of single locks falling over forehead and cheeks (landmarks [68, 2] pixels)."""
    mask = np.zeros((size, size), np.uint8)
    middle, width = landmarks[27], np.linalg.norm(landmarks[16] - landmarks[0])
    root = middle + np.array([generator.uniform(-0.35, 0.35), -0.75]) * width
    tip = middle + np.array([generator.uniform(-0.5, 0.5), generator.uniform(-0.1, 0.6)]) * width
    bend = generator.uniform(-0.25, 0.25) * width
    t = np.linspace(0, 1, 24)[:, None]
    for _ in range(count):
        offset = generator.normal(0, 0.03 * width, 2) + t * generator.normal(0, 0.10 * width, 2)
        path = (
            root
            + (tip - root) * t * generator.uniform(0.5, 1.1)
            + offset
            + np.array([1.0, 0.3]) * bend * np.sin(np.pi * t)
        )
        points = np.rint(path * 8).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(mask, [points], False, int(generator.uniform(110, 255)), max(1, size // 300), cv2.LINE_AA, 3)
    return mask.astype(np.float32) / 255


def draw_object(size: int, landmarks: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A rounded object in front of the lower or outer face: mask [size, size] in 0..1 and colour [size, size, 3]."""
    width = np.linalg.norm(landmarks[16] - landmarks[0])
    anchor = landmarks[generator.choice([2, 4, 6, 8, 10, 12, 14])] + generator.normal(0, 0.08, 2) * width
    theta = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    power = generator.uniform(2, 8)
    c, s = np.cos(theta), np.sin(theta)
    radius = width * generator.uniform(0.10, 0.30, 2)
    shape = np.stack([np.sign(c) * np.abs(c) ** (2 / power), np.sign(s) * np.abs(s) ** (2 / power)], 1) * radius
    shape *= 1 + 0.10 * np.sin(theta * generator.integers(2, 5) + generator.uniform(0, 6))[:, None] * (power < 4)
    turn = generator.uniform(0, np.pi)
    shape = shape @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + anchor
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.rint(shape * 8).astype(np.int32).reshape(-1, 1, 2)], 255, cv2.LINE_AA, 3)
    first = np.clip(generator.beta(1, 1) + generator.normal(0, 0.15, 3), 0.03, 0.95)
    # Shaded like a cup or a ball: darker towards the sides, brightest slightly off the centre.
    rows, columns = np.mgrid[:size, :size].astype(np.float32) + 0.5
    # It would be along the object's axis if the sign were +: the shading is turned the other way. The shipped weights
    # were trained on such pictures, so it stays until the pictures change anyway (`lib.synthetic.method`).
    sideways = (columns - anchor[0]) * np.cos(turn) - (rows - anchor[1]) * np.sin(turn)
    u = np.clip(sideways / (1.05 * radius[0]), -1, 1)
    light = generator.uniform(-0.5, 0.5)
    round_light = 0.35 + 0.75 * np.clip(np.sqrt(1 - u * u) * np.sqrt(1 - light * light) + u * light, 0, 1)
    colour = first.astype(np.float32) * round_light[..., None]
    if generator.random() < 0.4:
        stripes = np.sin(np.arange(size) * generator.uniform(0.05, 0.4))[None, :, None] > 0
        colour = np.where(stripes, colour, colour * generator.uniform(0.4, 1.4))
    return mask.astype(np.float32) / 255, np.clip(colour, 0, 1)
