"""A reconstructed photo: mesh, colours, pose, landmarks and pictures as NumPy arrays, and export to files."""

import dataclasses
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from lib.face_image.region import PhotoRegion
from lib.files.atomic import atomic_path
from lib.files.folders import make_folder
from lib.files.json_files import write_json
from lib.geometry.lighting import BANDS
from lib.geometry.rotation import rotation_matrix
from lib.images.display import to_bytes
from lib.images.png import png_bytes
from model.face_gcn import FaceReconstruction
from model.photos.reader import AlignedPhoto
from model.reconstruction.baking import FaceTextures
from model.reconstruction.description import describe, landmark_tables
from model.reconstruction.export import Exporter
from model.reconstruction.files import MARK, check_result_folder
from model.reconstruction.new_views import new_views
from model.report.pictures import crop_pictures, rendered, rendering_alpha
from model.whole_head.scalp.painted import PaintedScalp


@dataclasses.dataclass(frozen=True, eq=False)
class Pose:
    """Rigid transform of a face from model to world frame: world = rotation @ vertex + translation.

    World frame: right-handed, x right, y up, z towards the camera, which is at (0, 0, `camera.distance`), by default
    10, and looks at the origin.

    Attributes:
      angles: [3] pitch about x, yaw about y, roll about z, radians.
      rotation: [3, 3], for column vectors.
      translation: [3] decimetres.
    """

    angles: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray

    def __call__(self, vertices: np.ndarray) -> np.ndarray:
        """Transforms points [..., 3] from the model frame to the world frame, decimetres."""
        return vertices @ self.rotation.T + self.translation


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class PhotoResult:
    """Result of reconstructing one photo with `FaceReconstructor`.

    Attributes:
      photo: the aligned photo.
      region: the photo's original pixels around the face, from which textures are baked.
      alpha: [H, W] mask of the crop, 1 on skin.
      readable: [H, W] pixels of the crop whose colours were used.
      scalp: the painted scalp of a whole head; None if there is none.
      lift: [N, 3] or [3] decimetres, the part of `vertices` that is the volume of hair; the rest is the skull.
      coefficients: [K] of the face model, in the order of its layout (`layout.split` splits them by name).
      gaze: [2] of the eyes as in `model.gaze`; None if it was not found, then they look straight ahead.
      reconstruction: the face with its fine texture as tensors, a batch of one.
      metrics: name -> number: PSNR [dB] of coarse and fine rendering against the crop inside the mask (`psnr_coarse`,
        `psnr_fine`), share of the mask that the face covers (`coverage`), mean and largest distance of the five points
        in pixels of a 224 crop (`five_point_residual_px`, `five_point_residual_px_max`).
      fingerprint: of the face model that the coefficients belong to; `export` may show a larger area than it has.
      export: exporter of the meshes.
    """

    photo: AlignedPhoto
    region: PhotoRegion
    alpha: np.ndarray
    readable: np.ndarray
    scalp: PaintedScalp | None
    lift: np.ndarray
    coefficients: np.ndarray
    gaze: np.ndarray | None
    reconstruction: FaceReconstruction
    metrics: dict[str, float]
    fingerprint: str
    export: Exporter

    def __repr__(self) -> str:
        """One line instead of pages of arrays, for notebooks."""
        return f"PhotoResult({self.photo.name!r}, {len(self.vertices)} vertices, metrics={self.metrics})"

    @cached_property
    def textures(self) -> FaceTextures:
        """Textures baked from the photo's pixels; computed on first use and kept, 17 MB at 1,024 texels per side."""
        return self.export.baker(self)

    @cached_property
    def views(self) -> dict[str, np.ndarray]:
        """Additional pictures by title, [S, S, 4] RGBA in [0, 1]: the shape without texture, and new views.

        New views show the texture as lit in the photo, from both sides; alpha is the face's share of each pixel.
        """
        export = self.export
        return new_views(export.morphable, export.chart, self.reconstruction, self.textures.lit, export.camera)

    @property
    def vertices(self) -> np.ndarray:
        """[N, 3] float32, the shape with expression and without pose, as in the files that `save` writes.

        Model frame: x right, y up, z out of the face, decimetres, with the mean face centred on the origin, also in
        whole heads.
        `face.pose(face.vertices)` transforms them to the world frame.
        """
        return self.reconstruction.coarse.face.shape[0].numpy()

    @property
    def triangles(self) -> np.ndarray:
        """[F, 3] int32 vertex indices, counter-clockwise from outside; the same for all faces of a face model."""
        return self.export.morphable.face_model.triangles

    @property
    def albedo(self) -> np.ndarray:
        """[N, 3] float32 sRGB of the skin without light (the fine albedo), in [0, 1] or slightly outside."""
        return self.reconstruction.albedo[0].numpy()

    @property
    def landmarks(self) -> np.ndarray:
        """[68, 2] projected landmarks in pixels of the file, upright (x right, y down, pixel i spans [i, i + 1))."""
        in_crop = self.reconstruction.coarse.face.landmarks[0].numpy()
        return self.photo.alignment.to_photo(in_crop.astype(np.float64))

    @property
    def landmarks_3d(self) -> np.ndarray:
        """[68, 3] landmarks in the frame of `vertices`."""
        return self.vertices[self.export.morphable.face_model.landmarks]

    @property
    def pose(self) -> Pose:
        """Pose of the face in front of its crop's camera."""
        pose = self.export.morphable.layout.split(self.coefficients)
        # Internally, rotation matrices act on row vectors; `Pose` holds the usual one, for column vectors.
        return Pose(pose.angles, rotation_matrix(pose.angles[None])[0].numpy().T, pose.translation)

    @property
    def light(self) -> np.ndarray:
        """[3, 9] spherical harmonics of the light, one row per colour channel (lib/geometry/lighting.py)."""
        return self.export.morphable.layout.split(self.coefficients).light.reshape(3, BANDS)

    @property
    def rendering(self) -> np.ndarray:
        """uint8 [H, W, 4] RGBA rendering of face or head in its crop, with alpha 255 on it: fine.png of `save`."""
        colours = rendered(self, self.reconstruction.rendering)
        return np.concatenate([colours, to_bytes(rendering_alpha(self))], axis=-1)

    def save(self, folder: str | os.PathLike[str], formats: Sequence[str] | str | None = None) -> FaceTextures | None:
        """Writes the same files as `main.py --mode test` to a folder.

        They are meshes and textures in `formats` (see `Exporter`), crop.png, coarse.png, fine.png, overlay.png,
        landmarks.png, landmarks.txt, landmarks_now.txt, coefficients.json and metrics.json.

        Args:
          folder: created if missing; an earlier result in it is replaced as a whole, also its files in other formats.
          formats: one or more of "obj", "glb", "ply", "neutral", "rig", "usdz"; by default those of the configuration's
            section `export`.

        Returns:
          The textures that were written, if the formats have any.

        Raises:
          UserError: a format is unknown, the face model cannot have rigs, the folder cannot be made, or it holds
            somebody's own file under the name of a result's.
        """
        folder, formats = Path(folder), self.export.chosen(formats)
        make_folder(folder)
        check_result_folder(folder)
        write_json(folder / MARK, describe(self))
        textures = self.export(folder, self, formats)
        _write_pictures(folder, self)
        _write_numbers(folder, self)
        self.export.remove_earlier(folder, formats)
        return textures


def _write_pictures(folder: Path, result: PhotoResult) -> None:
    """Writes crop.png (the photo, with its mask as alpha) and the renderings, whose ground is transparent."""
    cells = crop_pictures(result)
    images = {
        "crop": np.concatenate([cells["photo"], to_bytes(result.alpha[..., None])], axis=-1),
        "coarse": np.concatenate([cells["coarse"], to_bytes(rendering_alpha(result))], axis=-1),
        "fine": result.rendering,
        "overlay": cells["overlay"],
        "landmarks": cells["landmarks"],
    }
    for name, pixels in images.items():
        with atomic_path(folder / f"{name}.png") as path:
            path.write_bytes(png_bytes(pixels))


def _write_numbers(folder: Path, result: PhotoResult) -> None:
    """Writes the tables of landmarks and, last of all files, metrics.json."""
    for name, text in landmark_tables(result).items():
        with atomic_path(folder / name) as path:
            path.write_text(text, encoding="utf-8")
    metrics = {name: round(value, 4) for name, value in result.metrics.items()}
    write_json(folder / "metrics.json", {"photo": result.photo.name, **metrics})
