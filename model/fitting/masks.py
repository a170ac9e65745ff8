"""Masks of aligned crops: given with the photo, from a parsing network or the mask decoder, or around a posed face."""

from typing import Protocol

import cv2
import numpy as np
import tensorflow as tf

from lib.face_image.alignment import Alignment
from lib.face_mask.dense_mask import dense_mask
from lib.face_mask.parsing import FaceParser
from lib.face_mask.segmentation import segment
from lib.face_mesh.features import crop_features
from lib.face_mesh.network import SIDE, square_around
from lib.geometry.camera import Camera
from lib.geometry.reference import REFERENCE_SIZE
from lib.mesh_renderer.fragments import triangle_ids
from model.morphable_model import MorphableModel


class Decoder(Protocol):
    """The mask decoder, see `model.networks.mask_decoder.MaskDecoder`."""

    def __call__(self, maps: list[tf.Tensor], picture: tf.Tensor) -> tf.Tensor: ...


class MaskFinder:
    """Finds the face masks of aligned crops.

    Args:
      model: the face model.
      camera: camera of the crops.
      parser: finds the masks of photos without one.
      decoder: finds masks, if there is no parser, in crops whose 468 points are known. All others are cut out around
        the posed face.
    """

    def __init__(
        self,
        model: MorphableModel,
        camera: Camera,
        parser: FaceParser | None = None,
        decoder: Decoder | None = None,
    ):
        self.model, self.camera, self.parser, self.decoder = model, camera, parser, decoder

    def __call__(
        self,
        alignment: Alignment,
        given: np.ndarray | None,
        coefficients: np.ndarray,
        fitted: bool = False,
        mesh: np.ndarray | None = None,
    ) -> np.ndarray:
        """Alpha [H, W] float32: `given`, the parser's, the decoder's, or else found around the face of `coefficients`.

        Args:
          alignment: the photo's alignment.
          given: [H, W] float32 mask of the crop that came with the photo, or None.
          coefficients: [1, K] of the face, regressed or `fitted` to this photo.
          fitted: see `lib.face_mask.segmentation.segment`.
          mesh: [468, 2] the face mesh's points, pixels of the crop, or None.
        """
        if given is not None:
            return given
        if self.parser is not None:
            return self.parser(alignment.crop[..., :3]) * alignment.inside
        if self.decoder is not None and mesh is not None:
            return self._decoded(alignment, mesh)
        silhouette = self.silhouette(coefficients)
        alpha = segment(
            alignment.crop[..., :3], alignment.points, silhouette, alignment.inside, soft=True, fitted=fitted
        )
        return alpha.astype(np.float32) / 255

    def _decoded(self, alignment: Alignment, mesh: np.ndarray) -> np.ndarray:
        assert self.decoder is not None
        crop, square = np.ascontiguousarray(alignment.crop[..., :3]), square_around(mesh)
        pixels = square.cut(crop, SIDE)
        maps = [tf.constant(level[None]) for level in crop_features(pixels)]
        picture = cv2.resize(pixels, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        log_odds = self.decoder(maps, tf.constant(picture[None]))[0].numpy()
        return dense_mask(crop, mesh, log_odds, square, alignment.inside)

    def silhouette(self, coefficients: np.ndarray) -> np.ndarray:
        """Bool [H, W], pixels of the crop that the face of coefficients [1, K] covers."""
        posed = self.model.posed(tf.constant(coefficients), self.camera)
        clip = self.camera.clip_coordinates(posed.vertices)
        return triangle_ids(clip, self.model.triangles, self.camera.image_size)[0].numpy() >= 0


def readable_mask(alpha: np.ndarray, given: bool) -> np.ndarray:
    """Weights [H, W], float32, of the pixels whose colours may be used, for a photo with the mask `alpha` [H, W].

    A mask that came with the photo (`given`) is used as it is. A found one is right to a pixel or two of a crop of
    REFERENCE_SIZE, so one such pixel is left out at its border: hair and background there would show as a seam as soon
    as the face is turned.
    """
    if given:
        return alpha
    reach = 2 * max(round(len(alpha) / REFERENCE_SIZE), 1) + 1
    return cv2.erode((alpha >= 0.5).astype(np.float32), np.ones((reach, reach), np.uint8))
