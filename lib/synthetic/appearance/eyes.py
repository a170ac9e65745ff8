"""Colours of eyeballs: sclera, iris with fibres and ring, pupil, shadow of the lid, and reflection of the lamp."""

import numpy as np

from lib.synthetic.appearance.canonical import EYES, CanonicalFace
from lib.synthetic.appearance.noise import noise
from lib.synthetic.appearance.sampling_priors import Moment, Person

IRIS_RADIUS, PUPIL_RADIUS, BALL_RADIUS = 5.9, 2.0, 12.1


def eye_coordinates(face: CanonicalFace, points: np.ndarray, moment: Moment) -> tuple[np.ndarray, np.ndarray]:
    """Positions [P, 2] relative to the centre of the moved iris, millimetres, and the index [P] of the eye."""
    side = (points[:, 0] > 0).astype(int)
    return points[:, :2] - (face.eye_centres[side] + moment.gaze), side


def paint_eyes(face: CanonicalFace, points, coarse, person: Person, moment: Moment) -> np.ndarray:
    """Albedo [P, 3] of points on the eyeballs; the coarse albedo shows through at the inner corners."""
    offset, side = eye_coordinates(face, points, moment)
    radius = np.hypot(*offset.T)
    angle = np.arctan2(offset[:, 1], offset[:, 0])
    seed = person.seed + 51
    veins = np.maximum(noise(points, (3.0, 1.2, 3.0), seed, 2) - 0.35, 0)
    from_centre = np.abs(points[:, :2] - face.eye_centres[side])[:, 0]
    white = np.array([0.83, 0.80, 0.78]) * (0.9 + 0.1 * person.tone / 0.6)
    colour = white * (1 - 0.012 * from_centre[:, None] * (0.4, 1.0, 1.0)) - veins[:, None] * np.array(
        [0.02, 0.12, 0.12]
    ) * (from_centre[:, None] / 12)
    # Fibres run radially; a lighter collar lies around the pupil and a dark ring at the rim.
    fibres = noise(np.stack([angle * 5.5, radius * 0.5, side * 7.0], 1), 1.0, seed + 1, 2)
    fibres += 0.5 * noise(np.stack([np.cos(angle) * 9, np.sin(angle) * 9, radius * 0.4], 1), 1.0, seed + 2)
    pupil_radius = PUPIL_RADIUS * (0.8 + 0.5 * (person.seed % 97) / 97)
    collar = np.exp(-(((radius - pupil_radius - 1.0) / 0.9) ** 2))
    iris = person.iris * (1.05 + 0.22 * fibres + 0.45 * collar)[:, None]
    iris *= 1 - 0.65 * np.exp(-(((radius - IRIS_RADIUS + 0.2) / 0.75) ** 2))[:, None]
    inside = 1 / (1 + np.exp(np.clip((radius - IRIS_RADIUS) / 0.28, -30, 30)))[:, None]
    colour = colour + (iris - colour) * inside
    pupil = 1 / (1 + np.exp(np.clip((radius - pupil_radius) / 0.2, -30, 30)))[:, None]
    colour = colour + (np.array([0.02, 0.018, 0.02]) - colour) * pupil
    # The pink corner near the nose comes from the coarse albedo.
    inner = np.array([face.landmarks[39, 0], face.landmarks[42, 0]])[side]
    corner = np.exp(-(((points[:, 0] - inner) / 2.6) ** 2))[:, None]
    colour = colour + (np.maximum(coarse, 0.02) - colour) * 0.8 * corner
    return np.clip(colour * (1 - _lid_shadow(face, points, side))[:, None], 0.005, 1).astype(np.float32)


def _lid_shadow(face: CanonicalFace, points: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Darkness [P] under the upper lid, by the distance from its curve on the mean face."""
    shade = np.zeros(len(points))
    for eye, polygon in enumerate(EYES):
        upper = face.landmarks[list(polygon[:4]), :2]
        order = np.argsort(upper[:, 0])
        curve = np.polyfit(upper[order, 0], upper[order, 1], 2)
        chosen = side == eye
        below = np.polyval(curve, points[chosen, 0]) - points[chosen, 1]
        shade[chosen] = 0.42 * np.exp(-((np.maximum(below, 0) / 2.2) ** 2))
    return shade


def glint(face: CanonicalFace, points, normals, half, moment: Moment) -> np.ndarray:
    """Reflection [P] of the lamp in the cornea, which bulges more over the iris than the mesh does.

    Args:
      face: the canonical face.
      points: [P, 3] canonical millimetres on the eyeballs.
      normals: [P, 3] world normals of the mesh there.
      half: [3] unit vector halfway between lamp and camera.
      moment: gives the gaze.
    """
    offset, _ = eye_coordinates(face, points, moment)
    bulge = np.exp(-((np.hypot(*offset.T) / 6.5) ** 4))
    # The normal changes faster across a cornea of 7.8 mm radius than across the eyeball of 12 mm.
    turned = normals + (bulge * (1 / 7.8 - 1 / BALL_RADIUS))[:, None] * np.column_stack([offset, np.zeros(len(points))])
    turned /= np.linalg.norm(turned, axis=1, keepdims=True) + 1e-9
    cosine = np.clip(turned @ half, 0, 1)
    return (0.95 * bulge + 0.12) * np.exp(-(((1 - cosine) / 0.0035) ** 1.5)) + 0.05 * cosine**40
