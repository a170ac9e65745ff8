"""Strands of hair and grain of skin in the texture where no photo shows them, as distinct as those in the photo."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from lib.face_model.face_model import FaceModel
from lib.mesh_export.uv_chart import ChartRaster
from lib.synthetic.appearance.canonical import REGIONS, CanonicalFace
from lib.synthetic.appearance.hair import RADIUS, above_hairline, hair_flow
from lib.synthetic.appearance.noise import noise
from model.whole_head.hair.curtain import CurtainShape
from model.whole_head.scalp.colours import log_brightness
from model.whole_head.scalp.hairline import LOWEST
from model.whole_head.scalp_mesh import SeenScalp, enough, well_inside

# Widths of locks and strands [mm], how much longer than wide they are, and their shares of the contrast.
WIDTHS, STRETCH, SHARES = (6.0, 2.8, 1.4), 14.0, (0.5, 0.8, 1.0)
# Strands sway sideways by this much [mm] over this length [mm].
SWAY, SWAY_LENGTH = 4.0, 50.0
# Sizes of the tufts of cropped hair [mm], and their shares of the contrast.
TUFTS, TUFT_SHARES = (2.8, 1.4), (0.6, 1.0)
# How much of the photo's detail runs in one direction: below the first, hair is cropped or curls, from the second on it
# lies in strands. Fine noise of the camera is blurred first (standard deviation, texels of 1,024), and directions are
# compared over a neighbourhood. Detail without direction reaches 0.2 to 0.4, that of combed hair 0.6 to 0.9.
TUFTED, COMBED = 0.45, 0.55
NOISE_BLUR, NEIGHBOURHOOD = 1.5 / 1024, 4 / 1024
# Sizes of the skin's blotches [mm], and their shares of the contrast.
BLOTCHES, BLOTCH_SHARES = (4.0, 2.0, 1.0), (1.0, 1.0, 0.7)
# Detail is what deviates from the mean over squares of this side, in shares of the texture's.
FINE = 17 / 1024
# Least share of the texture that tells the contrast.
ENOUGH = 2e-3
# Weight of the photo and share of hair or skin from which a texel tells the contrast.
SURE = 0.9
# Ratio of a normal distribution's standard deviation to its median deviation.
NORMAL = 1.4826


@dataclass(frozen=True)
class Contrast:
    """Contrast of the detail: standard deviation of the log of its brightness.

    Attributes:
      usual: if the photo shows too little.
      largest: the limit.
      own: share of the photo's contrast that is of the surface itself; the rest is the camera's noise.
    """

    usual: float
    largest: float
    own: float


HAIR, SKIN = Contrast(0.10, 0.3, 1.0), Contrast(0.01, 0.06, 0.7)


class Grain:
    """The grain of one texture chart.

    Args:
      model: a face or head.
      raster: texels of its chart.
    """

    def __init__(self, model: FaceModel, raster: ChartRaster):
        self._model, self._raster = model, raster
        face = CanonicalFace(model)
        brow = face.regions[:, REGIONS.index("brow")] > 0
        self._plain = (np.asarray(model.skin_mask, bool) & ~brow).astype(np.float32)
        values = raster.interpolate(np.column_stack([face.points, above_hairline(face.points), self._plain]))
        self._places, height, plain = values[..., :3], values[..., 3], values[..., 4]
        self._scalp = raster.inside & (height > LOWEST)
        self._hair = _field(self._places, self._scalp, _strands)
        self._skin = _field(self._places, plain > 0, _blotches)

    @cached_property
    def _cropped(self) -> np.ndarray:
        """[T, T] tufts of hair that is too short or too curly for strands."""
        return _field(self._places, self._scalp, _tufts)

    @cached_property
    def _long_hair(self) -> np.ndarray:
        """[T, T] strands all over a head with long hair: its ears are flat, so strands do not follow their folds."""
        hanging = CurtainShape(self._model, count=0).usual()
        return _field(self._raster.interpolate(hanging), self._raster.inside, _strands)

    def __call__(
        self,
        photo: np.ndarray,
        weight: np.ndarray,
        hair: np.ndarray | None = None,
        cloth: np.ndarray | None = None,
    ) -> np.ndarray:
        """Log of brightness [T, T] of the grain, all over hair and skin.

        Args:
          photo: [T, T, 3] the photo at the texels.
          weight: [T, T] of the photo.
          hair, cloth: [N] their shares at the vertices; none by default. Cloth has no grain.
        """
        hair, cloth = (np.zeros_like(self._plain) if part is None else part for part in (hair, cloth))
        parts = self._raster.interpolate(np.stack([hair, self._plain * (1 - hair - cloth)], axis=1))
        log = log_brightness(photo)
        grain = np.zeros_like(log)
        of_hair, of_skin = np.moveaxis(parts, -1, 0)
        seen, spread = _seen(log, weight, of_hair, HAIR)
        grain += spread * of_hair * self._hair_field(of_hair, log, seen, spread)
        _, spread = _seen(log, weight, of_skin, SKIN)
        grain += spread * of_skin * self._skin
        return grain

    def _hair_field(self, share: np.ndarray, log: np.ndarray, seen: np.ndarray, spread: float) -> np.ndarray:
        """Detail [T, T] of hair, with a contrast of 1: strands, or tufts.

        Args:
          share: [T, T] of hair.
          log: [T, T] of the photo's brightness, of which the texels `seen` [T, T] show hair.
          spread: the contrast found there.
        """
        if (share > SURE)[~self._scalp].any():
            return self._long_hair
        # Faint detail is the camera's, whatever its direction; a photo that shows too little has the usual contrast.
        if spread <= HAIR.usual:
            return self._hair
        combed = np.clip((directedness(log, seen) - TUFTED) / (COMBED - TUFTED), 0, 1)
        if combed == 1:
            return self._hair
        return combed**0.5 * self._hair + (1 - combed) ** 0.5 * self._cropped


def _seen(log: np.ndarray, weight: np.ndarray, share: np.ndarray, limits: Contrast) -> tuple[np.ndarray, float]:
    """Texels [T, T] of which the photo surely shows one part of the head, and the contrast to give that part.

    Args:
      log: [T, T] of the photo's brightness; weight: [T, T] of the photo.
      share: [T, T] of the part.
      limits: of its contrast.
    """
    seen = (weight > SURE) & (share > SURE)
    if seen.mean() <= ENOUGH:
        return seen, limits.usual
    return seen, min(limits.own * contrast(log, seen), limits.largest)


def _field(places: np.ndarray, where: np.ndarray, brightness: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Values [T, T] of `brightness` at places [T, T, 3], scaled to a contrast of 1; 0 outside `where` [T, T]."""
    field = np.zeros(where.shape, np.float32)
    if where.any():
        field[where] = brightness(places[where])
        field /= contrast(field, where)
    return field


def _strands(places: np.ndarray) -> np.ndarray:
    """[P] log of the brightness of strands, at any scale, at canonical places [P, 3] in millimetres."""
    across, along = hair_flow(places + SWAY * noise(places, SWAY_LENGTH, seed=1)[:, None]).T
    # Around a cylinder, because the angle jumps behind the head.
    angle = across / RADIUS
    around = np.stack([RADIUS * np.cos(angle), RADIUS * np.sin(angle), along], axis=1)
    layers = [
        share * noise(around, (width, width, STRETCH * width), seed=2 + number)
        for number, (width, share) in enumerate(zip(WIDTHS, SHARES, strict=True))
    ]
    return np.sum(layers, axis=0)


def _tufts(places: np.ndarray) -> np.ndarray:
    """[P] log of the brightness of cropped hair, at any scale, at canonical places [P, 3] in millimetres."""
    return _specks(places, TUFTS, TUFT_SHARES, seed=21)


def _blotches(places: np.ndarray) -> np.ndarray:
    """[P] log of the brightness of skin, at any scale, at canonical places [P, 3] in millimetres."""
    return _specks(places, BLOTCHES, BLOTCH_SHARES, seed=11)


def _specks(places: np.ndarray, sizes: Sequence[float], shares: Sequence[float], seed: int) -> np.ndarray:
    """[P] noise without direction at places [P, 3]: layers of these sizes by their shares."""
    layers = [
        share * noise(places, size, seed=seed + number)
        for number, (size, share) in enumerate(zip(sizes, shares, strict=True))
    ]
    return np.sum(layers, axis=0)


def contrast(values: np.ndarray, where: np.ndarray) -> float:
    """Spread of the fine detail of values [T, T] at some texels, unmoved by rare highlights and edges."""
    square = 2 * [max(round(FINE * len(values)), 3)]
    share = cv2.blur(where.astype(np.float32), square)
    smooth = cv2.blur(np.where(where, values, 0).astype(np.float32), square)
    detail = values[where] - smooth[where] / share[where]
    return NORMAL * float(np.median(np.abs(detail - np.median(detail))))


def smoother(seen: SeenScalp, top: np.ndarray, plain: np.ndarray, inside: np.ndarray, times: float) -> bool:
    """Whether a part of the scalp has less than so many times the skin's contrast; False if too little of it is seen.

    Args:
      seen: the scalp in the photo.
      top: bool [F], the part's triangles.
      plain: bool [F], triangles of skin without brows.
      inside: bool [S, S], pixels that the photo covers.
      times: the factor.
    """
    part = well_inside((seen.ids >= 0) & top[seen.ids] & inside)
    skin = well_inside((seen.ids >= 0) & plain[seen.ids] & (seen.skin > 0.5))
    if not (enough(part) and enough(skin)):
        return False
    detail = log_brightness(seen.image)
    return contrast(detail, part) < times * contrast(detail, skin)


def directedness(values: np.ndarray, where: np.ndarray) -> float:
    """How much of the detail of values [T, T] at some texels runs in one direction, from 0 to 1.

    The coherence of the structure tensor: (l1 - l2) / (l1 + l2) of its eigenvalues, by the strength of the detail.
    """
    size = len(values)
    smooth = cv2.GaussianBlur(values.astype(np.float32), (0, 0), NOISE_BLUR * size)
    x, y = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    inside = cv2.erode(where.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(np.float32)
    xx, yy, xy = (cv2.GaussianBlur(a * b * inside, (0, 0), NEIGHBOURHOOD * size) for a, b in ((x, x), (y, y), (x, y)))
    directed = np.sqrt((xx - yy) ** 2 + 4 * xy**2)[inside > 0].sum()
    return float(directed / max((xx + yy)[inside > 0].sum(), 1e-12))
