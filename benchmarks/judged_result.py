"""Test mode's results for a photo, as `benchmarks.judges` draws them."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from lib.geometry.camera import Camera
from lib.geometry.rotation import rotation_matrix
from lib.images.display import to_bytes
from lib.mesh_renderer.fragments import interpolate, rasterize
from lib.mesh_renderer.textured import draw_textured

PICTURES = ("crop", "fine", "mesh_lit", "mesh_albedo")
BACKGROUND = 127  # grey level behind a rendered face
# Direction of the light on bare shapes and albedo textures.
LIGHT = np.array([-0.35, 0.4, 0.85]) / np.linalg.norm([-0.35, 0.4, 0.85])


@dataclasses.dataclass(frozen=True)
class Result:
    """Test mode's results for a photo.

    Attributes:
      crop, fine: uint8 [H, W, 3] and [H, W, 4], the photo and its fine rendering.
      vertices: [N, 3]; texture_points: [M, 2]; corners: [F, 3, 2] numbers of both, of the exported mesh.
      lit, albedo: uint8 [T, T, 3] its textures.
      rotation, translation: [3, 3], [3] its pose in the photo.
      five_points: [5, 2] detected in the crop.
      metrics: those of metrics.json.
    """

    crop: np.ndarray
    fine: np.ndarray
    vertices: np.ndarray
    texture_points: np.ndarray
    corners: np.ndarray
    lit: np.ndarray
    albedo: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    five_points: np.ndarray
    metrics: dict

    @classmethod
    def read(cls, folder: Path) -> "Result":
        lines = [line.split() for line in (folder / "mesh.obj").read_text().splitlines()]
        described = json.loads((folder / "coefficients.json").read_text(encoding="utf-8"))
        angles = np.array([described["coefficients"]["angles"]], np.float32)
        to_crop = np.array(described["photo_to_crop"])
        pixels = {name: np.asarray(Image.open(folder / f"{name}.png")) for name in PICTURES}
        return cls(
            crop=pixels["crop"][..., :3],
            fine=pixels["fine"],
            vertices=np.array([line[1:4] for line in lines if line[0] == "v"], np.float32),
            texture_points=np.array([line[1:3] for line in lines if line[0] == "vt"], np.float32),
            corners=np.array([[c.split("/")[:2] for c in line[1:4]] for line in lines if line[0] == "f"], int) - 1,
            lit=pixels["mesh_lit"][..., :3],
            albedo=pixels["mesh_albedo"][..., :3],
            rotation=rotation_matrix(tf.constant(angles))[0].numpy(),
            translation=np.array(described["coefficients"]["translation"], np.float32),
            five_points=np.array(described["detected_points_in_photo"]) @ to_crop[:, :2].T + to_crop[:, 2],
            metrics=json.loads((folder / "metrics.json").read_text(encoding="utf-8")),
        )

    def draw(self, rotation: np.ndarray, translation: np.ndarray, camera: Camera, surface: str = "lit") -> np.ndarray:
        """Renders the mesh in a pose, in front of a grey background: uint8 [H, W, 3].

        Args:
          rotation, translation: [3, 3], [3].
          camera: with square pictures.
          surface: "lit" with the photo's light, "albedo" under the light from `LIGHT`, or "bare" without a texture.
        """
        posed = (self.vertices @ rotation + translation)[self.corners[..., 0]].reshape(-1, 3)
        triangles = np.arange(len(posed), dtype=np.int32).reshape(-1, 3)
        clip = camera.clip_coordinates(tf.constant(posed))
        if surface == "bare":
            fragments = rasterize(clip[None], triangles, camera.image_size)
            grey = interpolate(tf.constant(self._shading(posed)[None], tf.float32), triangles, fragments)[0].numpy()
            return np.where(fragments.mask[0].numpy() > 0, np.repeat(grey * 255, 3, -1), BACKGROUND).astype(np.uint8)
        texture, light = (self.lit, None) if surface == "lit" else (self.albedo, self._shading(posed).repeat(3, axis=1))
        coordinates = self.texture_points[self.corners[..., 1]].reshape(-1, 2)
        drawn = draw_textured(clip.numpy(), triangles, coordinates, texture, camera.image_size[0], light)
        return to_bytes(drawn[..., :3] * drawn[..., 3:] + (1 - drawn[..., 3:]) * (BACKGROUND / 255))

    def _shading(self, posed: np.ndarray) -> np.ndarray:
        """Grey levels [3 F, 1] of the triangles' corners, smooth over the surface."""
        corners = posed.reshape(-1, 3, 3)
        normals = np.zeros_like(self.vertices)
        np.add.at(
            normals,
            self.corners[..., 0],
            np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, None],
        )
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        return (0.15 + 0.8 * np.maximum(normals @ LIGHT, 0))[self.corners[..., 0]].reshape(-1, 1)
