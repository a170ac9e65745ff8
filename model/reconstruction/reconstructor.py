"""Test mode: reconstructs the face of every photo of a folder and writes what can be looked at, measured and opened."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from configs import schema
from lib.errors import UserError
from lib.face_image.parsing import FaceParser
from lib.face_image.photo_io import photo_paths, result_names
from lib.face_image.region import PhotoRegion
from lib.images.display import clipped
from lib.mesh_renderer.fragments import interpolate, rasterize
from model.face_gcn import FaceReconstruction
from model.fitting.energy import REFERENCE_SIZE, FitTargets
from model.fitting.fitter import Fitter
from model.metrics.images import coverage, masked_psnr
from model.photos.errors import PHOTO_ERRORS
from model.photos.reader import AlignedPhoto, PhotoReader, readable_mask
from model.pipeline import Pipeline, load_parser, load_pipeline, restore_texture_network
from model.reconstruction.files import RUN_FILES
from model.reconstruction.result_folder import ResultFolder

# Share of the fitting steps before the mask is sought again around the fitted face.
FIRST_STEPS = 0.7
# The face may be turned by this much (radians) in the new views.
NEW_VIEWS = (-0.6, 0.6)
# Direction of the light on the picture of the bare shape.
STUDIO_LIGHT = np.array([-0.35, 0.4, 0.85]) / np.linalg.norm([-0.35, 0.4, 0.85])


@dataclasses.dataclass(frozen=True)
class PhotoResult:
    """Everything about one reconstructed photo.

    Attributes:
      photo: the aligned photo.
      region: the photo's own pixels around the face, which textures are baked from.
      alpha: [H, W] mask used.
      coefficients: [K] final coefficients.
      reconstruction: the face with its fine texture, a batch of one.
      views: name -> [H, W, 4] further pictures: the bare shape, and the fine texture seen from elsewhere; alpha is 1
        where there is a face.
      metrics: numbers by name.
    """

    photo: AlignedPhoto
    region: PhotoRegion
    alpha: np.ndarray
    coefficients: np.ndarray
    reconstruction: FaceReconstruction
    views: dict[str, np.ndarray]
    metrics: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Draft:
    """A photo on its way to a result.

    Attributes:
      photo: the aligned photo.
      alpha: [H, W] mask found so far.
      coefficients: [K] found so far.
      embedding: [1, E] of the crop.
      regressed: [K] the regressor's output, moved to meet the five points.
    """

    photo: AlignedPhoto
    alpha: np.ndarray
    coefficients: np.ndarray
    embedding: tf.Tensor
    regressed: np.ndarray


class Reconstructor:
    """Photo to fine texture, one photo at a time.

    Args:
      pipeline: face model and networks; the texture network trained.
      steps: of the fit; 0 trusts the regressor's shape, albedo and light and only meets the five points.
      learning_rate: of the fit.
      min_confidence: of the detector.
      beside, parser: see `PhotoReader`.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        steps: int,
        learning_rate: float,
        min_confidence: float,
        beside: bool = True,
        parser: FaceParser | None = None,
    ):
        self.pipeline, self.steps, self.learning_rate = pipeline, steps, learning_rate
        self.reader = PhotoReader(pipeline.face_gcn.morphable, pipeline.camera, min_confidence, beside, parser)
        self.fitter = Fitter(pipeline.face_gcn.morphable, pipeline.camera, learning_rate)
        self._face_gcn = tf.function(pipeline.face_gcn, reduce_retracing=True)

    @classmethod
    def of(cls, config: schema.Config, pipeline: Pipeline) -> "Reconstructor":
        """As the configuration's sections fit, test and prepare say."""
        return cls(
            pipeline,
            config.fit.steps,
            config.fit.learning_rate,
            config.test.min_confidence,
            config.prepare.beside,
            load_parser(config),
        )

    def __call__(self, path: Path) -> PhotoResult:
        """Reconstructs one photo.

        Raises:
          UserError: the file is no image or shows no face.
        """
        photo, region = self.reader.read(path)
        draft = self.guess(photo)
        if self.steps:
            (draft,) = self.fit([draft], self.fitter)
        return self.finish(draft, region)

    def guess(self, photo: AlignedPhoto) -> Draft:
        """What the frozen networks say of a photo, moved to meet its five points, and a first mask."""
        crop = _rgba(photo.rgb, np.ones(photo.rgb.shape[:2], np.float32))
        encoded = self.pipeline.encode(crop)
        coefficients = self.reader.place(encoded.coefficients.numpy(), photo.alignment.points)
        mask = self.reader.mask(photo, coefficients)
        return Draft(photo, mask, coefficients[0], encoded.embedding, coefficients[0])

    def fit(self, drafts: list[Draft], fitter: Fitter) -> list[Draft]:
        """Fits drafts as one batch, twice: the mask of a fitted face is better than that of a guessed one."""
        coefficients = np.stack([draft.coefficients for draft in drafts])
        targets = self.targets(drafts, coefficients)
        first = max(round(FIRST_STEPS * self.steps), 1)
        fitted = fitter.fit(targets, coefficients, first).coefficients
        drafts = [
            dataclasses.replace(draft, coefficients=row, alpha=self.reader.mask(draft.photo, row[None], fitted=True))
            for draft, row in zip(drafts, fitted, strict=True)
        ]
        if self.steps > first:
            targets = dataclasses.replace(targets, alpha=_alphas(drafts))
            fitted = fitter.fit(targets, fitted, self.steps - first, settled=True).coefficients
            drafts = [dataclasses.replace(draft, coefficients=row) for draft, row in zip(drafts, fitted, strict=True)]
        return drafts

    def targets(self, drafts: list[Draft], landmarks_of: np.ndarray) -> FitTargets:
        """What the drafts' crops show; the weak landmarks are those of coefficients `landmarks_of` [B, K]."""
        return FitTargets(
            image=tf.constant(np.stack([draft.photo.rgb for draft in drafts])),
            alpha=_alphas(drafts),
            points=tf.constant(np.stack([draft.photo.alignment.points for draft in drafts]), tf.float32),
            landmarks=self.pipeline.face_gcn.morphable.posed(tf.constant(landmarks_of), self.pipeline.camera).landmarks,
            landmark_weight=tf.ones([len(drafts), 68]),
        )

    def finish(self, draft: Draft, region: PhotoRegion) -> PhotoResult:
        """The fine texture of a fitted draft, its pictures and numbers.

        Args:
          draft: coefficients and mask are final.
          region: the photo's own pixels around the face.

        Raises:
          UserError: mask and face have no pixel in common.
        """
        photo, coefficients = draft.photo, draft.coefficients[None]
        crop = tf.constant(_rgba(photo.rgb, draft.alpha))
        readable = tf.constant(_rgba(photo.rgb, readable_mask(photo, draft.alpha)))
        result = self._face_gcn(readable, tf.constant(coefficients), draft.embedding)
        if not np.any(result.mask.numpy() * crop[..., 3:].numpy() >= 0.5):
            raise UserError("the photo's mask must cover some of the face, got none of it (another face's mask?)")
        metrics = self._measure(result, crop, photo.alignment.points)
        views = self._views(coefficients, result)
        return PhotoResult(photo, region, draft.alpha, draft.coefficients, result, views, metrics)

    def _measure(self, result: FaceReconstruction, crop: tf.Tensor, points: np.ndarray) -> dict[str, float]:
        mask = result.mask * crop[..., 3:]
        found = result.coarse.face.landmarks
        distance = np.linalg.norm((self.fitter.five_points(found)[0] - points), axis=-1)
        to_reference = REFERENCE_SIZE / crop.shape[1]
        return {
            "psnr_coarse": float(masked_psnr(clipped(result.coarse.rendering), crop[..., :3], mask)[0]),
            "psnr_fine": float(masked_psnr(clipped(result.rendering), crop[..., :3], mask)[0]),
            "coverage": float(coverage(mask, crop[..., 3:])[0]),
            "five_point_residual_px": float(distance.mean() * to_reference),
            "five_point_residual_px_max": float(distance.max() * to_reference),
        }

    def _views(self, coefficients: np.ndarray, result: FaceReconstruction) -> dict[str, np.ndarray]:
        """The bare shape, and the face turned to both sides with its fine texture under the photo's light."""
        morphable, layout = self.pipeline.face_gcn.morphable, self.pipeline.face_model.layout
        light = tf.constant(STUDIO_LIGHT[:, None], tf.float32)
        grey = 0.15 + 0.8 * tf.maximum(result.coarse.face.normals @ light, 0) * tf.ones([1, 1, 3])
        shape = interpolate(grey, morphable.triangles, result.coarse.fragments)
        views = {"shape": tf.concat([shape, result.mask], axis=-1)[0].numpy()}
        for yaw in NEW_VIEWS:
            parts = layout.split(coefficients)
            angles = np.array([[0.0, yaw, 0.0]], np.float32)
            turned = layout.join(dataclasses.replace(parts, angles=angles, translation=np.zeros([1, 3], np.float32)))
            views[f"yaw {np.degrees(yaw):+.0f}"] = self.draw(turned, result.albedo)
        return views

    def draw(self, coefficients: np.ndarray, albedo: tf.Tensor) -> np.ndarray:
        """[H, W, 4] RGBA picture of an albedo [1, N, 3] on the face of coefficients [1, K]."""
        face_gcn, camera = self.pipeline.face_gcn, self.pipeline.camera
        face = face_gcn.morphable.posed(tf.constant(coefficients), camera)
        triangles = face_gcn.morphable.triangles
        fragments = rasterize(camera.clip_coordinates(face.vertices), triangles, camera.image_size)
        rendering = clipped(interpolate(face_gcn.shade(albedo, face), triangles, fragments))
        return tf.concat([rendering, fragments.mask], axis=-1)[0].numpy()


def reconstruct_folder(config: schema.Config, source: Path, output: Path) -> dict[str, str]:
    """Reconstructs every photo of a folder with the run's best texture network.

    For each photo `<output>/<where it lies in source>/<name>/` receives renderings, landmarks, meshes, coefficients and
    metrics; in `output` stand index.html, the page that shows them all, summary.csv, summary.json, failed.txt and a
    picture sheet. One bad photo never stops the folder.

    Args:
      config: the effective configuration.
      source: folder of photos, nested or not.
      output: folder of the results.

    Returns:
      The photos that could not be reconstructed: name -> reason.

    Raises:
      UserError: there is no photo, no trained network, or not one photo could be reconstructed.
    """
    source, output = Path(source), Path(output)
    paths = photo_paths(source, skip=output)
    pipeline = load_pipeline(config)
    restore_texture_network(pipeline)
    reconstruct = Reconstructor.of(config, pipeline)
    results = ResultFolder(config, pipeline, source, output)
    names = result_names(paths, source, taken=RUN_FILES)
    bar = tqdm(paths, "reconstruct", unit="photo", dynamic_ncols=True)
    for path in bar:
        bar.set_postfix_str(path.name)
        try:
            started = time.monotonic()
            result = reconstruct(path)
            results.add(path, names[path], result, time.monotonic() - started)
        except PHOTO_ERRORS as error:
            results.fail(path, error)
    return results.finish()


def _alphas(drafts: list[Draft]) -> tf.Tensor:
    """[B, H, W, 1] masks."""
    return tf.constant(np.stack([draft.alpha for draft in drafts])[..., None])


def _rgba(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """[1, H, W, 4] float32."""
    return np.concatenate([rgb, alpha[..., None]], axis=-1)[None].astype(np.float32)
