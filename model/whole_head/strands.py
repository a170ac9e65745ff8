"""Strands of hair in the texture where no photo shows the hair, as distinct as those that the photo shows."""

import cv2
import numpy as np

from lib.face_model.face_model import FaceModel
from lib.mesh_export.uv_chart import ChartRaster
from lib.synthetic.appearance.canonical import CanonicalFace
from lib.synthetic.appearance.hair import RADIUS, above_hairline, hair_flow
from lib.synthetic.appearance.noise import noise
from model.whole_head.hairline import LOWEST

# Widths of locks and strands [mm], how much longer than wide they are, and their shares of the contrast.
WIDTHS, STRETCH, SHARES = (6.0, 2.8, 1.4), 14.0, (0.5, 0.8, 1.0)
# Strands sway sideways by this much [mm] over this length [mm].
SWAY, SWAY_LENGTH = 4.0, 50.0
# Detail is what is finer than this, in shares of the texture's side.
FINE = 5 / 1024
# Contrast of the detail (standard deviation of the log of brightness) if the photo shows too little hair, and at most;
# share of the texture that tells the contrast.
USUAL, LARGEST, ENOUGH = 0.10, 0.3, 2e-3
# Weight of the photo and share of hair from which a texel tells the contrast.
SURE = 0.9
DARKEST = 0.03
# Ratio of a normal distribution's standard deviation to its median deviation.
NORMAL = 1.4826


class Strands:
    """The strands of one texture chart.

    Args:
      model: a head.
      raster: texels of its chart.
    """

    def __init__(self, model: FaceModel, raster: ChartRaster):
        self._raster = raster
        canonical = CanonicalFace(model).points
        height, *places = np.moveaxis(
            raster.interpolate(np.column_stack([above_hairline(canonical), canonical])), -1, 0
        )
        hair = raster.inside & (height > LOWEST)
        self._field = np.zeros(hair.shape, np.float32)
        self._field[hair] = _brightness(np.stack([axis[hair] for axis in places], axis=1))
        self._field /= _contrast(self._field, hair)

    def __call__(self, photo: np.ndarray, weight: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Log of brightness [T, T] of strands all over the hair.

        Args:
          photo: [T, T, 3] the photo at the texels.
          weight: [T, T] of the photo.
          share: [N] of hair at the vertices.
        """
        hair = self._raster.interpolate(share[:, None])[..., 0]
        seen = (weight > SURE) & (hair > SURE)
        contrast = USUAL
        if seen.mean() > ENOUGH:
            contrast = min(_contrast(np.log(np.maximum(photo.mean(axis=-1), 0) + DARKEST), seen), LARGEST)
        return contrast * hair * self._field


def _brightness(places: np.ndarray) -> np.ndarray:
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


def _contrast(values: np.ndarray, where: np.ndarray) -> float:
    """Spread of the fine detail of values [T, T] at some texels, unmoved by rare highlights and edges."""
    side = FINE * len(values)
    share = cv2.GaussianBlur(where.astype(np.float32), (0, 0), side)
    smooth = cv2.GaussianBlur(np.where(where, values, 0).astype(np.float32), (0, 0), side)
    detail = values[where] - smooth[where] / share[where]
    return NORMAL * float(np.median(np.abs(detail - np.median(detail))))
