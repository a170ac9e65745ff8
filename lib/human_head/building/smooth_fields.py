"""A Gaussian process of smooth deformations, for the freedom that sliders lack, by random Fourier features."""

from dataclasses import dataclass

import numpy as np

from lib.geometry.smoothstep import smoothstep

# Length [mm] of each band, and its standard deviation [mm] per coordinate on the face.
BANDS = ((60.0, 0.7), (25.0, 0.7), (12.0, 0.4))
FEATURES = 120  # random features of each band, symmetry and coordinate
ASYMMETRIC = 0.3  # standard deviation of the asymmetric part, as a share of the symmetric part's
FADE = (115.0, 165.0)  # mm from the tip of the nose: full strength, none
# The finest band leaves the lids alone, which must keep to the eyeballs: mm from the centre of the ball.
CALM = (14.0, 24.0)


@dataclass(frozen=True)
class FieldPlaces:
    """Places at which fields are evaluated, millimetres.

    Attributes:
      points: [V, 3], x from the plane of symmetry; points that move as one, as on an eyeball, share a place.
      inner: [V] bool, the inner face, where the spread is as in `BANDS`.
      nose: [3] tip of the nose.
      eyes: [2, 3] centres of the eyeballs.
    """

    points: np.ndarray
    inner: np.ndarray
    nose: np.ndarray
    eyes: np.ndarray


def smooth_fields(places: FieldPlaces, generator: np.random.Generator) -> np.ndarray:
    """Independent displacements [M, V, 3] in millimetres, each to be multiplied by its own N(0, 1)."""
    points = places.points
    far = np.linalg.norm(points - places.nose, axis=1)
    fade = 1 - smoothstep((far - FADE[0]) / (FADE[1] - FADE[0]))
    near = np.min([np.linalg.norm(points - eye, axis=1) for eye in places.eyes], axis=0)
    calm = smoothstep((near - CALM[0]) / (CALM[1] - CALM[0]))
    fields = []
    for length, sigma in BANDS:
        envelope = fade * (calm if length == BANDS[-1][0] else 1.0)
        for strength, symmetric in ((sigma, True), (ASYMMETRIC * sigma, False)):
            for axis in range(3):
                is_odd = (axis == 0) == symmetric
                waves = _waves(points, length, is_odd, generator) * envelope
                waves *= strength / np.sqrt(np.square(waves[:, places.inner]).sum(0).mean())
                moved = np.zeros((len(waves), len(points), 3), np.float32)
                moved[..., axis] = waves
                fields.append(moved)
    return np.concatenate(fields)


def _waves(points: np.ndarray, length: float, is_odd: bool, generator: np.random.Generator) -> np.ndarray:
    """[FEATURES, V] random waves of a squared-exponential kernel, odd or even in x."""
    k = generator.normal(size=(FEATURES, 3)) / length
    phase = generator.uniform(0, 2 * np.pi, (FEATURES, 1))
    across = k[:, :1] * points[:, 0]
    along = k[:, 1:] @ points[:, 1:].T + phase
    return (np.sin(across) if is_odd else np.cos(across)) * np.cos(along)
