"""Bakes the textures of a reconstructed photo from its original pixels."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from lib.face_image.region import PhotoRegion
from lib.geometry.camera import Camera
from lib.mesh_export import normal_map, texture_baking, uv_chart
from lib.mesh_export.texture_fill import SkinChart
from lib.synthetic.appearance.canonical import REGIONS, CanonicalFace
from model.face_gcn import FaceReconstruction
from model.morphable_model import MorphableModel
from model.projection import surface_view
from model.whole_head.scalp.grain import Grain
from model.whole_head.scalp.painted import PaintedScalp


@dataclass(frozen=True, eq=False, repr=False)
class FaceTextures:
    """Textures of one face, uint8 [T, T, 3], row 0 at v = 1.

    Attributes:
      albedo: the skin without light, sRGB.
      lit: the skin as in the photo, sRGB.
      normals: tangent-space normal map (lib/mesh_export/normal_map.py), or None.
      weight: [T, T] float32, share of the photo in each texel.
      density: [T, T] float32, photo pixels per texel side.
    """

    albedo: np.ndarray
    lit: np.ndarray
    normals: np.ndarray | None
    weight: np.ndarray
    density: np.ndarray


class Bakeable(Protocol):
    """The attributes of a `PhotoResult` that its textures are baked from."""

    @property
    def reconstruction(self) -> FaceReconstruction: ...

    @property
    def readable(self) -> np.ndarray: ...

    @property
    def scalp(self) -> PaintedScalp | None: ...

    @property
    def region(self) -> PhotoRegion: ...


class TextureBaker:
    """Bakes textures of one texture chart.

    Args:
      morphable: the face model.
      camera: camera of the crops.
      chart: its texture chart.
      size: T, texels per side.
      normal_map: whether to make normal maps.
    """

    def __init__(self, morphable: MorphableModel, camera: Camera, chart: uv_chart.UvChart, size: int, normal_map: bool):
        model = morphable.face_model
        self._morphable, self._camera, self._chart, self._normal_map = morphable, camera, chart, normal_map
        # Both eyes look to one side, so neither has the other's mirrored detail, but both have the same colours.
        eye = CanonicalFace(model).regions[:, REGIONS.index("eye")]
        iris = model.regions.get("iris", np.zeros_like(eye))
        self._skin = SkinChart.of(
            chart, size, model.skin_mask, model.mirror_index, np.stack([iris, np.maximum(eye - iris, 0)], axis=1)
        )
        self._paired = 1 - eye

    @property
    def raster(self) -> uv_chart.ChartRaster:
        """The chart's texels."""
        return self._skin.raster

    @cached_property
    def grain(self) -> Grain:
        """What is made up where no photo shows skin or hair."""
        return Grain(self._morphable.face_model, self.raster)

    def __call__(self, result: Bakeable) -> FaceTextures:
        """Bakes the textures of a reconstructed photo, such as a `PhotoResult`."""
        reconstruction, scalp = result.reconstruction, result.scalp
        camera, mask = (self._camera, result.readable) if scalp is None else (scalp.camera, scalp.readable)
        view = surface_view(self._morphable, camera, reconstruction.coarse.face, mask, self._camera.image_size[0])
        weight = texture_baking.photo_weight(self.raster, view)
        points = result.region.from_crop(
            self._camera.project(reconstruction.coarse.face.vertices)[0].numpy().astype(np.float64)
        )
        footprint = uv_chart.texel_footprint(self._chart, points, self.raster.size)
        photo = texture_baking.sample_photo(self.raster, result.region.pixels, points, footprint)
        alike, hair, cloth = (1.0, None, None) if scalp is None else (scalp.alike, scalp.strands, scalp.cloth)
        grain = self.grain(photo, weight, hair, cloth)
        known = (reconstruction.colour, reconstruction.albedo, reconstruction.coarse.face.shading)
        appearance, albedo, shading = (tensor[0].numpy() for tensor in known)
        # The ratio of the photo to the face's colours says nothing about cloth.
        skin = self._skin if cloth is None or not cloth.any() else self._skin.with_part(cloth)
        baked = texture_baking.blend(skin, photo, weight, appearance, albedo, shading, alike * self._paired, grain)
        normals = self.relief(reconstruction.coarse.face.shape[0].numpy(), baked.albedo, weight)
        density = self.raster.interpolate(footprint[:, None])[..., 0].astype(np.float32)
        return FaceTextures(texture_bytes(baked.albedo), texture_bytes(baked.lit), normals, weight, density)

    def relief(self, shape: np.ndarray, albedo: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
        """Normal map uint8 [T, T, 3] for an albedo texture [T, T, 3] on a shape [N, 3]; None if disabled.

        Args:
          weight: [T, T] share of photos in each texel.
        """
        if not self._normal_map:
            return None
        texels = self.raster.interpolate(uv_chart.texel_shapes(self._chart, shape, self.raster.size))
        skin = self.raster.interpolate(self._morphable.face_model.skin_mask[:, None])[..., 0]
        return texture_bytes(normal_map.detail_normals(albedo, weight * skin, texels))


def texture_bytes(texture: np.ndarray) -> np.ndarray:
    """Converts a texture in [0, 1] to uint8."""
    return np.rint(texture * 255).astype(np.uint8)
