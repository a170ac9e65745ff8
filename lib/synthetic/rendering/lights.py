"""Light for synthetic photos: lamps and a sky, and their spherical-harmonics coefficients."""

import functools
from dataclasses import dataclass

import numpy as np

from lib.geometry.lighting import AMBIENT, BANDS
from lib.synthetic.appearance.sampling_priors import LUMINANCE
from lib.synthetic.rendering.compiled import sh_basis

# Band by band, the clamped cosine max(0, n . d) as a series in Legendre polynomials of n . d.
_COSINE = np.array([1 / 4, 1 / 2, 5 / 16])
_BAND_OF = np.array([0, 1, 1, 1, 2, 2, 2, 2, 2])


@dataclass(frozen=True)
class Lamp:
    """A distant broad light source.

    Attributes:
      direction: [3] unit vector towards the lamp.
      colour: [3] light on a surface facing the lamp.
      softness: 0 point light, 1 half of the sky.
    """

    direction: np.ndarray
    colour: np.ndarray
    softness: float

    def halfway(self, lift: float = 0.0) -> np.ndarray:
        """Half vector [3] float32 between the directions to lamp and camera, raised by `lift`, for highlights."""
        half = self.direction + (0.0, lift, 1.0)
        return (half / np.linalg.norm(half)).astype(np.float32)


@dataclass(frozen=True)
class Light:
    """The light in one photo; the first lamp casts shadows and highlights.

    Attributes:
      coefficients: [27] added to the ambient light of 0.8, for `lib.geometry.lighting.shading`.
      lamps: the lamps in this light.
      ambient: [3] the uniform part.
    """

    coefficients: np.ndarray
    lamps: tuple[Lamp, ...]
    ambient: np.ndarray


def temperature(mired_shift: float) -> np.ndarray:
    """[3] tint of a light, warm for positive values, with a luminance of about 1."""
    tint = np.exp(np.array([0.30, 0.0, -0.42]) * mired_shift)
    return tint / (tint @ LUMINANCE)


def lamp_coefficients(lamp: Lamp) -> np.ndarray:
    """[3, 9] coefficients whose shading is `colour` times the (softened) clamped cosine to the lamp."""
    return _from_basis(lamp, sh_basis(lamp.direction[None])[0])


def _from_basis(lamp: Lamp, basis: np.ndarray) -> np.ndarray:
    """`lamp_coefficients` from the basis functions [9] in the lamp's direction."""
    # The sum of squares over a band is the same in every direction (addition theorem).
    power = np.array([np.sum(basis[band == _BAND_OF] ** 2) for band in range(3)])
    soften = np.array([1.0, 1 - 0.35 * lamp.softness, 1 - 0.75 * lamp.softness])
    return np.outer(lamp.colour, (_COSINE * soften / power)[_BAND_OF] * basis)


def even_coefficients(colour: np.ndarray) -> np.ndarray:
    """[3, 9] coefficients of uniform light from all directions."""
    return np.outer(colour, np.eye(BANDS)[0] / _front_basis()[0, 0])


@functools.cache
def _front_basis() -> np.ndarray:
    """[3, 9] basis functions of directions that a face turned to the camera shows most."""
    return sh_basis(np.array([[0.0, 0.0, 1.0], [0.35, 0.1, 0.93], [-0.35, 0.1, 0.93]]))


def sample_light(generator: np.random.Generator, tone: float = 0.6) -> Light:
    """Draws a plausible light: sky, a main lamp, sometimes a second; exposed and balanced as cameras do.

    Args:
      generator: source of randomness.
      tone: luminance of the skin; light meters increase the exposure of dark subjects.
    """
    azimuth = np.radians(np.clip(generator.normal(0, 42), -95, 95))
    elevation = np.radians(np.clip(generator.normal(26, 20), -25, 75))
    contrast = generator.beta(1.6, 1.8)  # 0 an overcast day, 1 one hard lamp
    warm = generator.normal(0.1, 0.35)
    cool = warm - abs(generator.normal(0, 0.35))
    key = Lamp(
        _direction(azimuth, elevation), temperature(warm) * (0.25 + 1.05 * contrast), generator.uniform(0.1, 1.0)
    )
    lamps = [key]
    lamps.append(
        Lamp(
            _direction(generator.uniform(-0.5, 0.5), np.radians(80)), temperature(cool) * generator.uniform(0, 0.3), 1.0
        )
    )
    if generator.random() < 0.45:
        side = -np.sign(azimuth) * generator.uniform(0.6, 2.2)
        colour = temperature(generator.normal(0, 0.5)) * generator.uniform(0.08, 0.5)
        lamps.append(Lamp(_direction(side, generator.uniform(-0.2, 0.6)), colour, generator.uniform(0.2, 0.9)))
    ambient = temperature(cool) * (0.62 - 0.42 * contrast) * generator.uniform(0.85, 1.15)
    # Expose for a surface that faces the camera, as a camera's meter would, with its usual mistakes.
    bases = sh_basis(np.array([lamp.direction for lamp in lamps]))
    total = even_coefficients(ambient) + sum(_from_basis(*pair) for pair in zip(lamps, bases, strict=True))
    front_light = (_front_basis() @ total.T).mean(0)
    # White balance takes back most of a tint, more of a blue or green one than of a warm one.
    tint = front_light / (front_light @ LUMINANCE)
    kept = generator.uniform(0.15, 0.5) if tint[0] > tint[2] else generator.uniform(0.0, 0.3)
    level = np.clip(generator.normal(1.1, 0.14), 0.66, 1.4) * np.clip((0.55 / tone) ** 0.28, 0.93, 1.35)
    gain = level / max(float(front_light @ LUMINANCE), 0.05) * tint ** (kept - 1)
    exposed = tuple(Lamp(lamp.direction, lamp.colour * gain, lamp.softness) for lamp in lamps)
    coefficients = total * gain[:, None]
    coefficients[:, 0] -= AMBIENT
    return Light(coefficients.reshape(-1), exposed, ambient * gain)


def _direction(azimuth: float, elevation: float) -> np.ndarray:
    """Unit vector; azimuth 0 is the camera's direction, elevation up."""
    return np.array([np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)])
