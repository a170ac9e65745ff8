"""The exported texture in new views, against the truth and beside the vertex albedo."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from lib.face_image.region import PhotoRegion
from lib.images.display import to_bytes
from lib.images.holes import holes
from lib.mesh_export.texture_baking import inside_mask
from model.evaluation.new_views import NewViews, new_view_angles
from model.face_gcn import FaceReconstruction
from model.metrics.images import SSIM_WINDOW, masked_psnr, structural_similarity
from model.pipeline import Pipeline
from model.reconstruction.albedo.careful import careful_albedo
from model.reconstruction.albedo.detail import AlbedoDetail
from model.reconstruction.baking import FaceTextures
from model.reconstruction.export import Exporter
from model.reconstruction.new_views import turned_view

# Side of the baked textures. Crops of 224 px fill it, and baking takes a sixth of the time of 1,024.
TEXTURE_SIZE = 512
TEXTURED = "textured"


@dataclass(frozen=True, eq=False)
class BakedCrop:
    """A reconstructed crop, as `TextureBaker` expects it."""

    reconstruction: FaceReconstruction
    readable: np.ndarray
    region: PhotoRegion
    scalp: None = None


class ExportedTexture:
    """Bakes the textures of crops as test mode does, and compares them in new views."""

    def __init__(self, pipeline: Pipeline):
        self.face_gcn = pipeline.face_gcn
        camera, cache = pipeline.camera, pipeline.config.generated_dir
        self._two_textures = pipeline.config.texture.intrinsic
        self.export = Exporter(self.face_gcn.morphable, camera, (), TEXTURE_SIZE, False, cache)
        self._detail = AlbedoDetail(self.face_gcn.morphable.face_model)
        self._careful = tf.function(
            lambda coarse, embedding, inside: careful_albedo(self.face_gcn, coarse, embedding, inside),
            reduce_retracing=True,
            autograph=False,
        )

    def bake(self, result: FaceReconstruction, crop: tf.Tensor, embedding: tf.Tensor) -> FaceTextures:
        """Bakes the textures of a reconstructed crop [1, H, W, 4] with its embedding [1, E]."""
        pixels, mask = crop[0].numpy(), crop[0, ..., 3].numpy()
        if self._two_textures:
            inside = tf.constant(inside_mask(mask)[None, ..., None])
            albedo, readable = self._careful(result.coarse, embedding, inside)
            result = dataclasses.replace(result, albedo=self._detail(albedo, result.appearance, readable))
        region = PhotoRegion(to_bytes(pixels[..., :3]), np.eye(2, 3))
        return self.export.baker(BakedCrop(result, mask * ~holes(result.mask[0].numpy()), region))

    def draw(self, albedo: np.ndarray, coefficients: np.ndarray, light: np.ndarray) -> list[np.ndarray]:
        """Pictures [H, W, 3] of an albedo texture [T, T, 3] on the true shape in each new view.

        Args:
          albedo: uint8, row 0 at v = 1.
          coefficients: [K] true coefficients.
          light: [27] light of the new views.
        """
        morphable, parts = self.face_gcn.morphable, self.face_gcn.morphable.layout.split(coefficients[None])
        shape = morphable.shape(tf.constant(parts.identity), tf.constant(parts.expression))[0].numpy()
        drawn = [
            turned_view(
                morphable, self.export.chart, shape, albedo, angles, self.face_gcn.camera, light, complete=False
            )
            for angles in new_view_angles(tf.constant(parts.angles)).numpy()
        ]
        return [picture[..., :3] * (picture[..., 3:] > 0) for picture in drawn]


def psnr_in_views(pictures: list[np.ndarray], views: NewViews) -> list[float]:
    """PSNR [dB] over the skin of a picture [H, W, 3] in each view, against the first picture of `views`."""
    return [
        float(masked_psnr(tf.constant(picture[None]), view[:1], skin[None])[0])
        for picture, view, skin in zip(pictures, views.pictures, views.skin, strict=True)
    ]


def ssim_in_views(pictures: list[np.ndarray], views: NewViews) -> float:
    """Mean SSIM over the skin; the truth is shown everywhere else."""
    found = []
    for picture, view, skin in zip(pictures, views.pictures.numpy(), views.skin.numpy(), strict=True):
        box = _box(skin[..., 0] >= 0.5)
        mask, true = skin[box], view[0][box]
        found.append(structural_similarity(picture[box] * mask + true * (1 - mask), true, mask[..., 0])[0])
    return float(np.mean(found))


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the pixels of a mask [H, W] and of all that their SSIM windows reach."""
    return _reach(np.any(mask, axis=1)), _reach(np.any(mask, axis=0))


def _reach(used: np.ndarray) -> slice:
    """From the first to the last of the `used`, bool [N], and an SSIM window beyond; one window if there are none."""
    places = np.flatnonzero(used)
    if not len(places):
        return slice(SSIM_WINDOW)
    return slice(max(int(places[0]) - SSIM_WINDOW, 0), int(places[-1]) + SSIM_WINDOW + 1)
