"""Headwear on a whole head: told from hair by its hue, with a lower border around the head.

Heights are canonical millimetres (lib/synthetic/appearance/canonical.py); azimuths are about the head's vertical axis,
0 in front and positive towards positive x.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import scipy.ndimage

from lib.face_model.face_model import FaceModel
from lib.geometry.smoothstep import smoothstep
from lib.synthetic.appearance.canonical import CanonicalFace
from model.whole_head.scalp.colours import DARKEST, log_brightness, log_ratio
from model.whole_head.scalp.grain import contrast
from model.whole_head.scalp.hairline import MIDDLE
from model.whole_head.scalp_mesh import SeenScalp, well_inside

# Pigments of hair are brown and yellowish red, so its hues [degrees in CIELAB] lie between these, and that of hair
# with more than the second chroma, between narrower ones. Below the first chroma, it may be the sky's reflection.
HUES, VIVID_HUES = (15.0, 100.0), (40.0, 100.0)
LEAST_CHROMA, VIVID = 15.0, 36.0
# Hair is darker than this lightness, but for white hair in bright light.
PALE = 80.0
# Contrast of the detail (standard deviation of the log of its brightness) that strands of hair have at least, also dyed
# ones, and that even hair which shines has.
STRANDS, SMOOTH = 0.035, 0.017
# Share of what covers the head that must have such a hue, both in the photo and without its light: coloured lamps make
# hair blue, and the light that was estimated may be wrong, but hardly both.
LEAST_SHARE = 0.4
# So much of the vertices that headwear may cover must be seen to have it.
LEAST_SEEN = 0.01
# Hues (log of the ratio of colours without their mean) that differ this much from the cloth's count 1/e; so do colours
# that are brighter or darker by this factor (log).
UNLIKE, SHADED = 0.15, 1.0
# Least variance of the log of light that tells anything about its effect.
EVEN = 1e-4
# Cloth is at least so uneven, relative to what is expected.
LEAST_UNEVEN = 0.5
# Standard deviations of that log on the cloth that is seen which the light on all cloth may differ from the mean.
SPREAD = 2.0
# Usual height of the border by the azimuth: over the forehead, above the ears, and above the nape.
AZIMUTHS = np.radians([0, 30, 60, 90, 110, 140, 180])
BORDER = np.array([80, 77, 66, 56, 42, 16, 4.0])
# The border is looked for in sectors of the head, between these heights in steps.
SECTORS, LOWEST, HIGHEST, STEP = 36, -60.0, 120.0, 2.0
# A border costs as much as one wrong vertex among so many if it is this far from the usual one; evidence from the other
# side counts this much.
USUAL, ONE_AMONG, MIRRORED = 25.0, 2500, 0.3
# Blur of the evidence and of the border, sectors, and half the length over which cloth ends, millimetres.
EVIDENCE_BLUR, BORDER_BLUR, EDGE = 1.0, 1.2, 4.0


@dataclass(frozen=True, eq=False)
class Headwear:
    """The headwear of one head, at the M vertices that it may cover.

    Attributes:
      cloth: [M] in [0, 1], share of cloth.
      alike: [M] in [0, 1], how much the photo's colour there is the cloth's.
    """

    cloth: np.ndarray
    alike: np.ndarray

    def light(self, light: np.ndarray, photo: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """The light [M, 3] on cloth and all else, for one that was estimated on skin, which says little about cloth.

        A brim shades the face, and blue cloth hardly reflects what warms the skin. So light on cloth has one hue, is
        as uneven as explains the cloth's own brightness in the photo, and elsewhere about as bright as there.

        Args:
          light: [M, 3] as the skin suggests.
          photo: [M, 3] its colours.
          weight: [M] in [0, 1], how well it shows something else than skin; cloth must have some.
        """
        weight = weight * self.cloth * self.alike
        weight = weight / weight.sum()
        bright = np.maximum(light.mean(axis=1), DARKEST)
        expected, shown = (np.log(np.maximum(values, DARKEST)) for values in (bright, photo.mean(axis=1)))
        middle = weight @ expected
        varies = expected - middle
        variance = max(weight @ np.square(varies), EVEN)
        slope = np.clip((weight * varies) @ shown / variance, LEAST_UNEVEN, 1)
        most = SPREAD * np.sqrt(variance)
        level = np.exp(middle + slope * most * np.tanh(varies / most))
        even = level[:, None] * (weight @ (light / bright[:, None]))
        return light + self.cloth[:, None] * (even - light)


class HeadwearFinder:
    """Finds headwear on one whole head.

    Args:
      model: the head.
      rows: [M] numbers of the vertices that headwear may cover.
    """

    def __init__(self, model: FaceModel, rows: np.ndarray):
        x, self._height, z = CanonicalFace(model).points[rows].T
        self._azimuth = np.arctan2(x, z - MIDDLE)

    def __call__(self, seen: SeenScalp, albedo: np.ndarray, weight: np.ndarray, covered: np.ndarray) -> Headwear | None:
        """The headwear in a photo; None if it may be hair.

        Args:
          seen: the photo at the vertices.
          albedo: [M, 3] its colours without light, at most 1.
          weight: [M] in [0, 1], how well it shows a vertex.
          covered: [M] in [0, 1], how surely it shows something else than skin there.
        """
        coloured = no_hue_of_hair(seen.pixels) & no_hue_of_hair(albedo)
        pale = _pale(seen.pixels) & _pale(albedo)
        detail, on_head = _detail(seen.image, seen.hairy), weight * covered
        unlike_hair = coloured | pale if detail < SMOOTH else coloured
        least = max(LEAST_SHARE * on_head.sum(), LEAST_SEEN * len(weight))
        if detail >= STRANDS or on_head @ unlike_hair <= least:
            return None
        usual = np.median(albedo[unlike_hair & (on_head > 0)], axis=0)
        difference = log_ratio(albedo, usual)
        apart = np.square(difference.std(axis=1) / UNLIKE) + np.square(difference.mean(axis=1) / SHADED)
        alike = np.exp(-apart)
        line = self._border(weight * (2 * alike - 1))
        above = self._height - np.interp(self._azimuth, _MIDDLES, line, period=2 * np.pi)
        cloth = smoothstep(0.5 + above / (2 * EDGE))
        # Coloured lamps on a temple have no border below which they end.
        return Headwear(cloth, alike) if on_head @ (cloth * alike) > 0 else None

    def _border(self, evidence: np.ndarray) -> np.ndarray:
        """Height [SECTORS] of the lower border, for evidence [M] of cloth, negative where there is something else."""
        sector = np.floor(self._azimuth / (2 * np.pi) * SECTORS).astype(int) % SECTORS
        step = np.clip(np.searchsorted(_HEIGHTS, self._height), 1, len(_HEIGHTS)) - 1
        found = np.zeros([SECTORS, len(_HEIGHTS)])
        np.add.at(found, (sector, step), evidence)
        above = np.cumsum(found[:, ::-1], axis=1)[:, ::-1]
        above = scipy.ndimage.gaussian_filter1d(above + MIRRORED * above[::-1], EVIDENCE_BLUR, axis=0, mode="wrap")
        usual = np.interp(np.abs(_MIDDLES), AZIMUTHS, BORDER)
        cost = len(evidence) / ONE_AMONG * np.square((_HEIGHTS - usual[:, None]) / USUAL)
        best = np.argmax(above - cost, axis=1)
        return scipy.ndimage.gaussian_filter1d(_HEIGHTS[best], BORDER_BLUR, mode="wrap")


_HEIGHTS = np.arange(LOWEST, HIGHEST, STEP)
_MIDDLES = (np.arange(SECTORS) + 0.5) * (2 * np.pi / SECTORS)
_MIDDLES = (_MIDDLES + np.pi) % (2 * np.pi) - np.pi


def no_hue_of_hair(colours: np.ndarray) -> np.ndarray:
    """Bool [M], which colours [M, 3] have a hue that hair does not have."""
    _, hue, chroma = _lightness_hue_chroma(colours)
    low, high = np.where((chroma > VIVID)[:, None], VIVID_HUES, HUES).T
    return (chroma > LEAST_CHROMA) & ((hue < low) | (hue > high))


def _pale(colours: np.ndarray) -> np.ndarray:
    """Bool [M], which colours [M, 3] are as pale as hair hardly is."""
    lightness, _, chroma = _lightness_hue_chroma(colours)
    return (chroma <= LEAST_CHROMA) & (lightness > PALE)


def _lightness_hue_chroma(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CIELAB's lightness, hue in degrees and chroma [M] of colours [M, 3]."""
    pixels = np.ascontiguousarray(colours[:, None], np.float32)
    lightness, a, b = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)[:, 0].T
    return lightness, np.degrees(np.arctan2(b, a)), np.hypot(a, b)


def _detail(image: np.ndarray, part: np.ndarray) -> float:
    """Spread of the log of the brightness of an image [S, S, 3] around its local mean, well inside a part [S, S]."""
    part = well_inside(part)
    return contrast(log_brightness(image), part) if part.any() else np.inf
