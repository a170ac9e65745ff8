"""The photo's detail of brows, eyes, beard and skin in the albedo of a reconstructed photo."""

import numpy as np
import tensorflow as tf

from lib.face_model.face_model import FaceModel
from lib.mesh_export.texture_baking import DARKEST
from lib.mesh_export.texture_fill import edge_laplacian, membrane, neighbour_mean
from lib.synthetic.appearance.canonical import REGIONS, CanonicalFace

# Share of the detail that each part takes over from the photo. On synthetic photos, whose albedo is known, this lowers
# the error of eyes, beards and brows, and raises that of other skin, lids and lips a little: they shine and lie in
# shadow. But real people are hardly recognised without their creases and make-up.
SKIN, LIDS, BEARD, BROWS, LIPS, EYES = 0.4, 0.4, 0.7, 1.0, 0.4, 0.9
# Places on the canonical face [mm]. Each part fades between two distances: a brow from the curve of its landmarks and
# beyond its ends, lids from their height and to the sides.
BROW_HEIGHT, BROW_ENDS, LID_HEIGHT, LID_WIDTH = (10.0, 14.0), (6.0, 9.0), (10.0, 14.0), (54.0, 58.0)
LIDS_AT = 42.0
# There may be a beard this far below the middle, and all parts end where the ears begin.
BEARD_TOP, EARS = (8.0, 12.0), -60.0
# Length over which the light that the network sees is smoothed, as a share of the square root of the vertex count.
SMOOTHED = 0.02
# Limits of the log of that light, and of what the eyes' detail may differ in hue: their white tells no other colour.
LARGEST_LIGHT, LARGEST_HUE = 1.0, 0.1
# Rings of vertices next to what the photo does not show over which the detail fades in.
BORDER = 3


class AlbedoDetail:
    """Adds to an albedo what the network leaves to the appearance alone though it is no light.

    The ratio of appearance to albedo is what the network takes for shadows and highlights. Real brows, beards and
    make-up differ more from the coarse albedo than those of the synthetic training crops, so a part of them ends up
    there. Light is smooth next to them: the ratio is continued over these parts from the skin around (`membrane`), and
    what it has beyond that belongs to the albedo. Brows and beards only darken.

    Args:
      model: the face model.
    """

    def __init__(self, model: FaceModel):
        face = CanonicalFace(model)
        region = dict(zip(REGIONS, face.regions.T, strict=True))
        x, y, z = np.abs(face.points[:, 0]), face.points[:, 1], face.points[:, 2]
        ends, heights = face.brow_curves
        before_ears = z > EARS
        brow = (
            _falling(np.abs(y - np.interp(x, ends, heights)), *BROW_HEIGHT)
            * _falling(ends[0] - x, *BROW_ENDS)
            * _falling(x - ends[-1], *BROW_ENDS)
            * before_ears
        )
        lid = _falling(np.abs(y - LIDS_AT), *LID_HEIGHT) * _falling(x, *LID_WIDTH) * before_ears
        beard = (1 - _falling(-y, *BEARD_TOP)) * before_ears
        share, darkens = np.full(len(y), SKIN), np.zeros(len(y))
        parts = (
            (lid, LIDS, 0),
            (beard, BEARD, 1),
            (brow, BROWS, 1),
            (region["lips"], LIPS, 0),
            (region["eye"], EYES, 0),
        )
        for part, own, only_darkens in parts:
            share += part * (own - share)
            darkens += part * (only_darkens - darkens)
        of_face = model.skin_mask | (region["eye"] > 0.5) | (brow > 0)
        self._share = (share * of_face)[:, None].astype(np.float32)
        self._darkens = darkens[:, None].astype(np.float32)
        self._eye = region["eye"][:, None].astype(np.float32)
        covered = np.maximum.reduce([brow > 0.3, region["eye"], region["lips"], region["lash"], beard])
        self._bare = ((1 - covered) * model.skin_mask).astype(np.float32)
        self._mirror = model.mirror_index
        self._laplacian = edge_laplacian(model.triangles, model.vertex_count)
        self._mean = neighbour_mean(self._laplacian)

    def __call__(self, albedo: tf.Tensor, appearance: tf.Tensor, readable: tf.Tensor) -> tf.Tensor:
        """The albedo [1, N, 3] with the photo's detail.

        Args:
          albedo, appearance: [1, N, 3] of the network, RGB.
          readable: [1, N, 1] in [0, 1], vertices where the photo's colours count. Others take the detail of their
            mirrored vertices.
        """
        inside = readable[0, :, 0].numpy()
        for _ in range(BORDER):
            inside = np.minimum(inside, self._mean @ inside)
        if not (inside * self._bare).any():
            return albedo
        own, seen = (np.maximum(colours[0].numpy(), 0) + DARKEST for colours in (albedo, appearance))
        ratio = np.log(seen / own)
        light = membrane(self._laplacian, ratio, inside * self._bare, LARGEST_LIGHT, SMOOTHED)
        detail = ratio - light
        detail -= self._darkens * np.maximum(detail, 0)
        brightness = detail.mean(axis=1, keepdims=True)
        hue = detail - brightness
        hue += self._eye * (np.clip(hue, -LARGEST_HUE, LARGEST_HUE) - hue)
        detail = brightness + hue
        added = self._share * inside[:, None] * detail
        # The side that the photo does not show has the same brows and beard, but its eye looks elsewhere.
        added += (1 - inside[:, None]) * (1 - self._eye) * added[self._mirror]
        detailed = own * np.exp(added) - DARKEST
        return tf.constant(np.clip(detailed, 0, 1)[None].astype(np.float32))


def _falling(distance: np.ndarray, start: float, end: float) -> np.ndarray:
    """1 up to the distance `start`, 0 from `end` on."""
    return np.clip((end - distance) / (end - start), 0, 1)
