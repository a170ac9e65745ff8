"""Similarity of coarse and fine renderings to their photos, image by image: the measures of the paper's comparison.

The protocol, the same for every image (docs/guide/reproduce.md describes it):

  values: RGB in [0, 1], the photo's bytes / 255; renderings clipped to [0, 1], not rounded.
  mask M: pixels whose alpha is at least one half and on which the face is drawn.
  composite: the rendering inside M, the photo everywhere else.
  inside M: L1, PSNR and SSIM (the SSIM map is computed on composites and averaged over M).
  on the composite: the same over the whole crop; pixels outside M are equal, so smaller masks give better values.
  identity: cosine between the embeddings of photo and composite.
  shape [mm]: see model/metrics/shape.py; without pose, with expression, over the vertices of the face's front.
  mean face [mm]: the same, for the model's mean face with the true expression.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from lib.errors import UserError
from lib.face_image.alignment import FIVE_FROM_68
from lib.face_image.earlier_results import is_evaluation
from lib.files.atomic import atomic_path
from lib.files.csv_files import write_csv
from lib.files.json_files import write_json
from lib.files.own_files import begins, is_png
from lib.images.clipping import clipped
from lib.images.contact_sheet import Tile, contact_sheet
from lib.images.display import to_bytes
from model.evaluation.other_identities import OtherIdentity
from model.face_gcn import FaceReconstruction
from model.losses import identity_distance
from model.metrics.images import coverage, masked_l1, masked_psnr, structural_similarity
from model.metrics.shape import aligned_distance
from model.pipeline import Pipeline

TEXTURES = ("coarse", "fine")
OWN = "own"  # the configuration's identity network, which the training loss may have used
ERROR_GAIN = 4.0  # amplification of errors in pictures
PROTOCOL = {
    "values": "RGB in [0, 1]",
    "mask": "alpha >= 0.5 and face drawn",
    "composite": "rendering inside the mask, photo outside",
    "ssim": "scikit-image, Gaussian window, sigma 1.5, data_range 1, mean of the channels",
    "psnr_mean": "mean of the images' decibels",
    "shape": "mean distance of corresponding front vertices after rigid (scaled: similarity) alignment, mm",
    "mean_face": "the same for the model's mean face with the true expression",
}

# The files of `write`, see `check_replaceable`.
FILES = {"images.csv": begins(b"image,"), "images.json": is_evaluation, "images.png": is_png}


class ImageEvaluation:
    """Measures images one after the other; keeps all numbers, but pictures only of the first few.

    Args:
      pipeline: face model and the configuration's identity network.

    Raises:
      UserError: a network of evaluate.networks cannot be used.
    """

    def __init__(self, pipeline: Pipeline):
        self.pipeline, section = pipeline, pipeline.config.evaluate
        self.shown = section.sheet_faces
        others = [OtherIdentity(Path(path)) for path in section.networks]
        self.networks = {network.description.name: network for network in others}
        if len(self.networks) < len(section.networks) or OWN in self.networks:
            raise UserError(f"evaluate.networks: names must be unique and not '{OWN}', got {', '.join(self.networks)}")
        self.rows: dict[str, dict[str, float]] = {}
        self.failed: dict[str, str] = {}
        self._tiles: list[list[Tile]] = []

    def add(
        self, name: str, crop: tf.Tensor, result: FaceReconstruction, truth: np.ndarray | None = None
    ) -> dict[str, float]:
        """Measures one image.

        Args:
          name: name of its row.
          crop: [1, H, W, 4] RGBA in [0, 1].
          result: reconstruction of this crop.
          truth: [K] true coefficients, None if unknown.

        Returns:
          Its row: `<texture>_<measure>`, `coverage` (share of alpha in M), `mask_share` (share of the crop in M), and
          errors of shape.
        """
        photo, alpha = crop[..., :3], crop[..., 3:]
        mask = tf.cast(tf.logical_and(alpha >= 0.5, result.mask >= 0.5), tf.float32)
        points = FIVE_FROM_68 @ result.coarse.face.landmarks[0].numpy()
        row = {"coverage": float(coverage(mask, alpha)[0]), "mask_share": float(tf.reduce_mean(mask))}
        tiles, person = [("photo", to_bytes(photo[0].numpy()))], self.embeddings(photo, points)
        errors = []
        for texture, rendering in zip(TEXTURES, (result.coarse.rendering, result.rendering), strict=True):
            composite = clipped(rendering) * mask + photo * (1 - mask)
            found = self.similarity(composite, photo, mask)
            for network, features in self.embeddings(composite, points).items():
                found[f"identity_{network}"] = float(1 - identity_distance(features, person[network]))
            row |= {f"{texture}_{key}": value for key, value in found.items()}
            caption = f"{texture}  {found['psnr']:.1f} dB  SSIM {found['ssim']:.2f}  id {found[f'identity_{OWN}']:.2f}"
            tiles.append((caption, to_bytes(composite[0].numpy())))
            error = tf.minimum(ERROR_GAIN * tf.reduce_mean(tf.abs(composite - photo), -1, keepdims=True), 1.0)
            caption = f"{texture}: L1 {found['l1']:.4f} (x {ERROR_GAIN:g})"
            errors.append((caption, np.repeat(to_bytes(1 - error[0].numpy()), 3, -1)))
        if truth is not None:
            row |= self.shape(result.coarse.face.shape[0].numpy(), truth)
        self.rows[name] = row
        if len(self._tiles) < self.shown:
            self._tiles.append(tiles + errors)
        return row

    def similarity(self, composite: tf.Tensor, photo: tf.Tensor, mask: tf.Tensor) -> dict[str, float]:
        """L1, PSNR [dB] and SSIM of two pictures [1, H, W, 3], inside the mask [1, H, W, 1] and as a whole."""
        everywhere = tf.ones_like(mask)
        inside, whole = structural_similarity(composite[0].numpy(), photo[0].numpy(), mask[0, ..., 0].numpy())
        return {
            "l1": float(masked_l1(composite, photo, mask)[0]),
            "psnr": float(masked_psnr(composite, photo, mask)[0]),
            "ssim": inside,
            "l1_composite": float(masked_l1(composite, photo, everywhere)[0]),
            "psnr_composite": float(masked_psnr(composite, photo, everywhere)[0]),
            "ssim_composite": whole,
        }

    def embeddings(self, picture: tf.Tensor, points: np.ndarray) -> dict[str, tf.Tensor]:
        """Embeddings of a picture [1, H, W, 3] by the configuration's network and all additional ones.

        Args:
          points: [5, 2] five points of the face, pixels.
        """
        return {OWN: self.pipeline.embed(picture)} | {name: run(picture, points) for name, run in self.networks.items()}

    def shape(self, shape: np.ndarray, truth: np.ndarray) -> dict[str, float]:
        """Errors [mm] of a shape [N, 3], and of the mean face with the true expression, given true coefficients [K]."""
        model = self.pipeline.face_model
        true = model.layout.split(truth[None].astype(np.float32))
        front = model.front_mask
        shape_of = self.pipeline.face_gcn.morphable.shape
        theirs = shape_of(true.identity, true.expression)[0].numpy()[front]
        # With the neutral mean, an open mouth would count as an unusual person.
        mean = shape_of(np.zeros_like(true.identity), true.expression)[0].numpy()
        return {
            f"{name}_{key}": aligned_distance(own[front], theirs, scaled)
            for name, own in (("shape", shape), ("mean_face", mean))
            for key, scaled in (("mm", False), ("scaled_mm", True))
        }

    def means(self) -> dict[str, float | None]:
        """Mean of each column over the images with a number in it; None if there are none."""
        result = {}
        for column in self._columns():
            values = np.array([row.get(column, np.nan) for row in self.rows.values()])
            known = values[np.isfinite(values)]
            result[column] = round(float(known.mean()), 5) if len(known) else None
        return result

    def write(self, output: Path) -> dict:
        """Writes images.csv (one row per image), images.json (means, protocol, failures) and images.png.

        Returns:
          The content of images.json.

        Raises:
          UserError: no image was measured.
        """
        if not self.rows:
            first = next((f"{name}: {reason}" for name, reason in self.failed.items()), "none was given")
            raise UserError(f"{output}: at least one image must be measured, got none ({first})")
        output = Path(output)
        columns = self._columns()
        table = [
            [name, *(f"{row[key]:.6g}" if key in row else "" for key in columns)] for name, row in self.rows.items()
        ]
        write_csv(output / "images.csv", [["image", *columns], *table], line_end="\n")
        summary = {"images": len(self.rows), "protocol": PROTOCOL, "mean": self.means(), "failed": self.failed}
        write_json(output / "images.json", summary)
        with atomic_path(output / "images.png") as path:
            contact_sheet(self._tiles).save(path)
        return summary

    def _columns(self) -> list[str]:
        return list(dict.fromkeys(key for row in self.rows.values() for key in row))


def print_means(mean: Mapping[str, float | None]) -> None:
    """Prints the means, with one row per measure and one column per texture, then the errors of shape."""
    print(f"{'photo and rendering':24}" + "".join(f"{texture:>10}" for texture in TEXTURES))
    for key in mean:
        texture, _, measure = key.partition("_")
        if texture == TEXTURES[0]:
            values = [mean[f"{name}_{measure}"] for name in TEXTURES]
            cells = ("-" if v is None else f"{v:.{2 if measure.startswith('psnr') else 4}f}" for v in values)
            print(f"{measure:24}" + "".join(f"{cell:>10}" for cell in cells))
    if mean.get("shape_mm") is not None:
        print(
            f"shape: {mean['shape_mm']:.2f} mm after rigid alignment, {mean['shape_scaled_mm']:.2f} mm with scale; "
            f"mean face with the true expression: {mean['mean_face_mm']:.2f} mm, {mean['mean_face_scaled_mm']:.2f} mm"
        )
