"""A reconstructed photo: mesh, colours, pose, landmarks and pictures as NumPy arrays, and its files."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lib.face_image.region import PhotoRegion
from lib.geometry.lighting import BANDS
from lib.geometry.rotation import rotation_matrix
from lib.images.display import clipped, to_bytes
from model.face_gcn import FaceReconstruction
from model.photos.reader import AlignedPhoto
from model.reconstruction import files
from model.reconstruction.export import Exporter, FaceTextures


@dataclasses.dataclass(frozen=True, eq=False)
class Pose:
    """Where a face stands in front of the camera: world = rotation @ vertex + translation.

    World frame: right-handed, x right, y up, z towards the camera, which stands at (0, 0, 10) looking at the origin.

    Attributes:
      angles: [3] pitch about x, yaw about y, roll about z, radians.
      rotation: [3, 3], for column vectors.
      translation: [3] decimetres.
    """

    angles: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray

    def __call__(self, vertices: np.ndarray) -> np.ndarray:
        """Points [..., 3] of the model frame in the world frame, decimetres."""
        return vertices @ self.rotation.T + self.translation


@dataclasses.dataclass(frozen=True, eq=False)
class PhotoResult:
    """Everything about one reconstructed photo, as `FaceReconstructor` returns it.

    Attributes:
      photo: the aligned photo.
      region: the photo's own pixels around the face, which textures are baked from.
      alpha: [H, W] mask of the crop, 1 on skin.
      readable: [H, W] pixels of the crop whose colours were read.
      coefficients: [K] of the face model, in the order of its layout (`layout.split` names them).
      reconstruction: the face with its fine texture as tensors, a batch of one.
      views: title -> [H, W, 4] further pictures in [0, 1]: the bare shape, and the fine texture from both sides; alpha
        is 1 where there is a face.
      metrics: by name: PSNR [dB] of coarse and fine rendering against the crop inside the mask (`psnr_coarse`,
        `psnr_fine`), share of the mask that the face covers (`coverage`), mean and largest distance of the five points
        in pixels of a 224 crop (`five_point_residual_px`, `five_point_residual_px_max`).
      export: writes the meshes.
    """

    photo: AlignedPhoto
    region: PhotoRegion
    alpha: np.ndarray
    readable: np.ndarray
    coefficients: np.ndarray
    reconstruction: FaceReconstruction
    views: dict[str, np.ndarray]
    metrics: dict[str, float]
    export: Exporter = dataclasses.field(repr=False)

    @property
    def vertices(self) -> np.ndarray:
        """[N, 3] float32, the shape with its expression and without its pose, as in the files of `save`.

        Model frame: x right, y up, z out of the face, decimetres, the model's mean shape centred on the origin.
        `face.pose(face.vertices)` puts them before the camera.
        """
        return self.reconstruction.coarse.face.shape[0].numpy()

    @property
    def triangles(self) -> np.ndarray:
        """[F, 3] int32 vertices, counter-clockwise from outside; the same for every face of one face model."""
        return self.export.morphable.face_model.triangles

    @property
    def albedo(self) -> np.ndarray:
        """[N, 3] float32 sRGB of the skin without light, in [0, 1] or slightly beyond: the fine texture."""
        return self.reconstruction.albedo[0].numpy()

    @property
    def landmarks(self) -> np.ndarray:
        """[68, 2] projected landmarks in pixels of the photo (x right, y down, pixel i spans [i, i + 1))."""
        in_crop = self.reconstruction.coarse.face.landmarks[0].numpy()
        return self.photo.alignment.to_photo(in_crop.astype(np.float64))

    @property
    def landmarks_3d(self) -> np.ndarray:
        """[68, 3] the landmarks among `vertices`."""
        return self.vertices[self.export.morphable.face_model.landmarks]

    @property
    def pose(self) -> Pose:
        """Where the face stands in front of the camera of its crop."""
        pose = self.export.morphable.layout.split(self.coefficients)
        # The program's matrices act on row vectors; published is the usual one, for columns.
        return Pose(pose.angles, rotation_matrix(pose.angles[None])[0].numpy().T, pose.translation)

    @property
    def light(self) -> np.ndarray:
        """[3, 9] spherical harmonics of the light, a colour channel each (lib/geometry/lighting.py)."""
        return self.export.morphable.layout.split(self.coefficients).light.reshape(3, BANDS)

    @property
    def rendering(self) -> np.ndarray:
        """uint8 [H, W, 4] the face as in its crop, RGB and 255 where there is a face: fine.png of `save`."""
        picture = np.concatenate([clipped(self.reconstruction.rendering)[0], self.reconstruction.mask[0]], axis=-1)
        return to_bytes(picture)

    def save(self, folder: str | os.PathLike[str], formats: Sequence[str] | None = None) -> FaceTextures | None:
        """Writes the face's files, those of `main.py --mode test`, to a folder, which is made.

        Meshes and textures by `formats` (`Exporter`), crop.png, coarse.png, fine.png, overlay.png, landmarks.png,
        coefficients.json and metrics.json.

        Args:
          folder: an earlier result in it is replaced.
          formats: of "obj", "glb", "ply", "neutral"; by default those of the configuration's section export.

        Returns:
          The textures that were written, if the formats have any.

        Raises:
          UserError: a format is unknown.
        """
        folder = Path(folder)
        textures = self.export(folder, self, formats)
        files.write(folder, self)
        return textures
