"""Python interface for reconstructing photos, also used by the command line's modes."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
import tensorflow as tf

from configs import schema
from lib.arguments import finite_number
from lib.errors import UserError
from lib.face_image.detection import Face
from lib.face_image.region import PhotoRegion
from lib.face_model_files.arkit import BlendShapes
from lib.images.clipping import clipped
from lib.images.display import to_bytes
from lib.images.holes import holes
from lib.mesh_export.texture_baking import inside_mask
from lib.mesh_renderer.fragments import interpolate, rasterize
from lib.runtime.prefetch import Ahead
from model.dense_landmarks.source import surface_points
from model.fitting.energy import FitTargets
from model.fitting.fitter import Fitter
from model.fitting.landmark_fit import LandmarkFitter
from model.fitting.masks import MaskFinder, readable_mask
from model.fitting.placement import PointPlacement
from model.fitting.two_phase import fit_with_masks
from model.fitting.weights import FitWeights
from model.photos.cut_outs import without_cut_out
from model.photos.reader import AlignedPhoto, FoundFaces, PhotoReader
from model.pipeline import Pipeline, load_decoder, load_parser, load_pipeline, restore_texture_network
from model.reconstruction.albedo.careful import reconstruct_carefully
from model.reconstruction.albedo.detail import AlbedoDetail
from model.reconstruction.draft import Draft, draft_gaze, figures, fit_targets, mesh_points, rgba, with_refined_lips
from model.reconstruction.export import Exporter
from model.reconstruction.new_views import checked_light, resized, turned_view
from model.reconstruction.photo_result import PhotoResult
from model.whole_head.extension import HeadExtension

# A file, or pixels [H, W, 3 or 4]; several of them (lists are invariant, so each kind is named).
Photo = str | os.PathLike[str] | np.ndarray
Photos = list[Photo] | list[str] | list[Path] | list[np.ndarray] | tuple[Photo, ...]


class FaceReconstructor:
    """Reconstructs faces from photos with a trained texture network.

        reconstructor = FaceReconstructor.load()
        face = reconstructor("photo.jpg")
        face.save("out", formats=("glb", "obj"))

    Photos are processed one after the other, even if given as a list; each uses all processor cores that TensorFlow may
    use. Networks and face model take about 1.2 GB of memory in total. Each result takes a few megabytes, plus a copy of
    the photo's pixels around the face (at most 50 MB), so save many photos one by one instead of collecting a list.
    Calls are not thread-safe: use one reconstructor per thread or process.

    Args:
      config: used are its sections fit, test, prepare, export, mask, face_model, and the folders of data.
      pipeline: face model and networks of this configuration, with a trained texture network.
    """

    def __init__(self, config: schema.Config, pipeline: Pipeline):
        self.config, self.pipeline = config, pipeline
        self.steps, self.learning_rate = config.fit.steps, config.fit.learning_rate
        morphable, camera = pipeline.face_gcn.morphable, pipeline.camera
        self.reader = PhotoReader(pipeline.face_model, camera, config.test.min_confidence, config.prepare.beside)
        self.place = PointPlacement(pipeline.face_model, camera)
        self.find_mask = MaskFinder(morphable, camera, load_parser(config), load_decoder(config))
        self.weights = FitWeights.of(config.fit)
        self.mesh = surface_points(config, pipeline.face_model) if config.fit.landmarks else None
        graphs, errors = config.generated_dir, pipeline.regressed_errors
        self.fitter = Fitter(morphable, camera, self.learning_rate, self.weights, self.mesh, graphs, errors)
        if self.mesh is not None:
            self.fit_landmarks = LandmarkFitter(pipeline.face_model, camera, self.mesh, self.weights, errors)
        self.detail = AlbedoDetail(pipeline.face_model)
        self.ahead = Ahead()  # for what the first photo needs only in `finish`
        if self.steps:
            self.ahead.start(self.fitter.prepare)

    @classmethod
    def load(
        cls,
        config: schema.Config | str | os.PathLike[str] | None = None,
        overrides: Iterable[str] | Mapping[str, Any] = (),
    ) -> "FaceReconstructor":
        """Loads face model and networks, with the best checkpoint of the configuration's run.

        Args:
          config: a configuration, the path of its YAML file, or None for configs/default.yaml. Its data.root_dir, by
            default the current folder, contains data/ and checkpoints/.
          overrides: changes to the configuration, as {"section.key": value} or "section.key=value" strings; not allowed
            with a configuration that is already loaded.

        Raises:
          UserError: there is no trained texture network, a file is missing or belongs to another face model, or an
            option is unknown.
        """
        if not isinstance(config, schema.Config):
            config = schema.load(config, overrides)
        elif overrides:
            raise UserError("overrides must come with a YAML file or none, got a loaded one (give them to schema.load)")
        pipeline = load_pipeline(config)
        restore_texture_network(pipeline)
        return cls(config, pipeline)

    @cached_property
    def export(self) -> Exporter:
        """Exporter that writes the meshes of this reconstructor's faces."""
        if self.extension is not None:
            return Exporter.of(self.config, self.extension.morphable, self.pipeline.camera, self.extension.chart)
        return Exporter.of(self.config, self.pipeline.face_gcn.morphable, self.pipeline.camera)

    @cached_property
    def extension(self) -> HeadExtension | None:
        """Extends faces to the area that exports show; None if that is the face's own."""
        return HeadExtension.of(self.config, self.pipeline.face_model, self.pipeline.camera)

    @overload
    def __call__(self, photos: Photo) -> PhotoResult: ...

    @overload
    def __call__(self, photos: Photos) -> list[PhotoResult]: ...

    def __call__(self, photos: Photo | Photos) -> PhotoResult | list[PhotoResult]:
        """Reconstructs the largest face in a photo, or in each photo of a list.

        Args:
          photos: a path; an array [H, W, 3] RGB or [H, W, 4] RGBA, uint8 or floating point in [0, 1]; or a list of
            these. Landmark and mask files next to a photo are used (prepare.beside); alpha is taken as the face's mask.

        Returns:
          One result, or a list with one result per photo.

        Raises:
          UserError: a photo is not an image, or shows no face. In a list, the first such photo ends the call; to
            continue after failures, call the reconstructor for each photo.
        """
        if isinstance(photos, list | tuple):
            return [self._reconstruct(photo, f"photo {index}") for index, photo in enumerate(photos)]
        return self._reconstruct(photos, "photo")

    def _reconstruct(self, source: Photo, name: str) -> PhotoResult:
        """Reconstructs one photo; `name` is the name of the result if the photo is an array."""
        if isinstance(source, str | os.PathLike):
            name, found = Path(source).name, self.reader.find(Path(source), 1)
        else:
            found = self.reader.find_in_array(source, name, 1)
        return self.reconstruct_face(name, found, found.faces[0])

    def reconstruct_face(
        self, name: str, found: FoundFaces, face: Face, enter: Callable[[str], None] = lambda stage: None
    ) -> PhotoResult:
        """Reconstructs one of the faces that `reader.find` found.

        Args:
          name: name of the result.
          found, face: the photo, and the face in it.
          enter: called with the description of each stage before it begins.
        """
        enter("finding landmarks and skin")
        photo, region = self.reader.with_region(name, found, face)
        draft = self.initial_estimate(photo)
        if self.steps:
            enter("fitting shape, pose and light")
            (draft,) = self.fit([draft], self.fitter)
        enter("refining the texture")
        return self.finish(draft, region)

    def initial_estimate(self, photo: AlignedPhoto) -> Draft:
        """Runs the frozen networks and finds a first mask; a face to be fitted is also placed on the landmarks."""
        encoded = self.pipeline.regress(rgba(photo.rgb, np.ones(photo.rgb.shape[:2], np.float32)))
        placed = self.place(encoded.coefficients.numpy(), photo.alignment.points)[0]
        mesh, irises = (None, None) if self.mesh is None else mesh_points(photo)
        coefficients = placed if mesh is None or not self.steps else self.fit_landmarks(placed, mesh)
        photo = without_cut_out(photo, self.find_mask, coefficients[None])
        mask = self.find_mask(photo.alignment, photo.alpha, coefficients[None], mesh=mesh)
        if not self.steps:  # placing the face was for the mask: the result is the regressor's
            coefficients = self.pipeline.with_light(encoded.coefficients, rgba(photo.rgb, mask))[0].numpy()
            mesh = irises = None  # eyes that are not fitted lie elsewhere than these irises
        return Draft(photo, mask, coefficients, encoded.embedding, placed, mesh, irises)

    def gaze(self, draft: Draft) -> np.ndarray | None:
        """The gaze [2] of a fitted draft, or None, see `draft_gaze`."""
        pipeline = self.pipeline
        return None if self.mesh is None else draft_gaze(draft, self.mesh, pipeline.face_gcn.morphable, pipeline.camera)

    def fit(self, drafts: Sequence[Draft], fitter: Fitter) -> list[Draft]:
        """Fits drafts as one batch, in two phases."""
        initial = np.stack([draft.coefficients for draft in drafts])
        regressed = np.stack([draft.regressed for draft in drafts])

        def mask(draft: Draft, coefficients: np.ndarray) -> np.ndarray:
            if draft.mesh is not None:  # found from the landmarks, whatever the coefficients
                return draft.alpha
            return self.find_mask(draft.photo.alignment, draft.photo.alpha, coefficients[None], fitted=True)

        def masks(coefficients: np.ndarray) -> np.ndarray:
            return np.stack([mask(draft, row) for draft, row in zip(drafts, coefficients, strict=True)])

        fitted = fit_with_masks(fitter, self.targets(drafts, regressed), initial, self.steps, masks)
        rows = zip(drafts, fitted.coefficients, fitted.alpha, strict=True)
        moved = [dataclasses.replace(draft, coefficients=row, alpha=alpha) for draft, row, alpha in rows]
        return moved if self.mesh is None else [with_refined_lips(draft, self.fit_landmarks) for draft in moved]

    def targets(self, drafts: Sequence[Draft], landmarks_of: np.ndarray) -> FitTargets:
        """Fit targets for the drafts' crops, with weak landmarks from the coefficients `landmarks_of` [B, K]."""
        posed = self.pipeline.face_gcn.morphable.posed(tf.constant(landmarks_of), self.pipeline.camera)
        return fit_targets(drafts, posed.landmarks, self.weights, landmarks_of)

    def finish(self, draft: Draft, region: PhotoRegion) -> PhotoResult:
        """Computes the fine texture, pictures and metrics of a fitted draft.

        Args:
          draft: draft with final coefficients and mask.
          region: the photo's original pixels around the face.

        Raises:
          UserError: mask and face have no pixel in common.
        """
        self.ahead.wait()
        photo, coefficients = draft.photo, draft.coefficients[None]
        crop = tf.constant(rgba(photo.rgb, draft.alpha))
        readable = readable_mask(draft.alpha, given=photo.alpha is not None)
        shown, inside = tf.constant(rgba(photo.rgb, readable)), tf.constant(inside_mask(readable)[None, ..., None])
        # Eagerly: tracing delays the first photo by 1.3 s and saves 0.3 s on each later one.
        face_gcn, gaze, faces = self.pipeline.face_gcn, self.gaze(draft), tf.constant(coefficients)
        result = reconstruct_carefully(face_gcn, shown, faces, draft.embedding, inside, self.detail, gaze)
        if not np.any(result.mask.numpy() * crop[..., 3:].numpy() >= 0.5):
            raise UserError("the photo's mask must overlap the face, got no overlap (another face's mask?)")
        five = self.fitter.five_points(result.coarse.face.landmarks)[0].numpy()
        metrics, scalp, lift = figures(result, crop, five, photo.alignment.points), None, np.zeros(3, np.float32)
        # Through its holes one looks into the mouth, whose darkness must not be painted on the lips.
        readable = readable * ~holes(result.mask[0].numpy())
        if self.extension is not None:
            whole = self.extension(result, coefficients, readable, region if photo.shows_surroundings else None, gaze)
            result, scalp, lift = whole.reconstruction, whole.scalp, whole.lift
        return PhotoResult(
            photo=photo,
            region=region,
            alpha=draft.alpha,
            readable=readable,
            scalp=scalp,
            lift=lift,
            coefficients=draft.coefficients,
            gaze=gaze,
            reconstruction=result,
            metrics=metrics,
            fingerprint=self.pipeline.face_model.fingerprint,
            export=self.export,
        )

    def render(
        self,
        face: PhotoResult,
        *,
        yaw: float = 0.0,
        pitch: float = 0.0,
        roll: float = 0.0,
        light: np.ndarray | None = None,
        size: int | None = None,
        expression: Mapping[str, float] | None = None,
    ) -> np.ndarray:
        """Renders a new view: the face in the middle of the picture, rotated, with its albedo texture.

        Args:
          face: a result of this reconstructor or another one, which is drawn with its own face model.
          yaw, pitch, roll: radians, about y (positive turns the face to the right of the picture), x and z.
          light: [3, 9] spherical harmonics, such as the `light` of another face; by default the photo's light.
          size: side of the picture, at most 4,096 pixels; by default the crops' side.
          expression: ARKit's names -> weights in place of the photo's, e.g. {"jawOpen": 0.5}; 1 is full strength.

        Returns:
          uint8 [size, size, 4] RGBA; alpha is the face's share of each pixel.

        Raises:
          UserError: an argument is of another kind or out of bounds.
        """
        if not isinstance(face, PhotoResult):
            raise UserError(f"a face to render must be a result of a reconstructor, got {type(face).__name__}")
        angles = [finite_number(name, angle) for name, angle in (("pitch", pitch), ("yaw", yaw), ("roll", roll))]
        light = checked_light(face.light if light is None else light)
        export, vertices, albedo = face.export, face.vertices, face.textures.albedo
        morphable, camera = export.morphable, export.camera if size is None else resized(export.camera, size)
        if expression is not None:
            own = morphable.layout.split(face.coefficients).expression
            vertices = BlendShapes.of(morphable.face_model).changed(morphable.face_model, vertices, own, expression)
        return to_bytes(turned_view(morphable, export.chart, vertices, albedo, angles, camera, light))

    def draw(self, coefficients: np.ndarray, albedo: tf.Tensor, gaze: np.ndarray | None = None) -> np.ndarray:
        """Renders coefficients [1, K] with an albedo [1, N, 3], also a whole head's, and a gaze [2]: RGBA [H, W, 4]."""
        face_gcn, morphable, camera = self.pipeline.face_gcn, self.pipeline.face_gcn.morphable, self.pipeline.camera
        face = morphable.posed(tf.constant(coefficients), camera, gaze)
        fragments = rasterize(camera.clip_coordinates(face.vertices), morphable.triangles, camera.image_size)
        colour = face_gcn.shade(albedo[:, : morphable.vertex_count], face)
        rendering = clipped(interpolate(colour, morphable.triangles, fragments))
        return tf.concat([rendering, fragments.mask], axis=-1)[0].numpy()
