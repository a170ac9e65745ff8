"""Errors of textures: in the photo's view, in new views, and of the albedo on visible and on hidden skin."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from lib.images.clipping import clipped
from lib.mesh_renderer.fragments import interpolate
from model.evaluation.exported_texture import TEXTURED, ExportedTexture, psnr_in_views, ssim_in_views
from model.evaluation.new_views import NEW_YAWS, new_light, render_new_views, true_visibility
from model.face_gcn import FaceGCN, FaceReconstruction
from model.losses import identity_distance
from model.metrics.images import coverage, masked_psnr
from model.metrics.vertex_optimum import vertex_optimum
from model.pipeline import Pipeline
from model.projection import projected_albedo

# Textures to compare, and columns of the comparison.
KINDS = ("coarse", "projection", "fine", TEXTURED, "optimum")
COLUMNS = ("photo_view", "identity", "new_views", "new_views_ssim", "albedo_visible", "albedo_hidden")
ALIGNED = ("new_views", "albedo_visible", "albedo_hidden")


@dataclass(frozen=True)
class TrueFace:
    """Ground truth of a synthetic crop.

    Attributes:
      coefficients: [K] float32.
      albedo: [N, 3] float32 RGB in [0, 1].
      index: index of the record; every record has a different light in the new views.
    """

    coefficients: np.ndarray
    albedo: np.ndarray
    index: int

    @classmethod
    def of(cls, truth: Mapping[str, np.ndarray], index: int) -> "TrueFace":
        """Record `index` of the arrays of `record_truth`."""
        albedo = np.clip(truth["true_albedo"][index].astype(np.float32), 0.0, 1.0)
        return cls(truth["coefficients"][index].astype(np.float32), albedo, index)


@dataclass(frozen=True)
class MeasuredFace:
    """Numbers and pictures of one face.

    Attributes:
      columns: column -> texture -> value: PSNR [dB] in photo_view and new_views, SSIM in new_views_ssim, cosine in
        identity, mean absolute errors in the albedo columns.
      coverage: share of the photo's mask that the rendering covers.
      photo: picture name -> [H, W, 3] in [0, 1], the photo first.
      aligned: columns after scaling each texture's albedo by one gain, fitted to the truth. This and the following
        attributes are empty without ground truth.
      by_yaw: "30" and "60" -> texture -> PSNR [dB].
      vertices: column -> number of vertices in its mean.
      views: pictures of each new view, the truth first.
    """

    columns: dict[str, dict[str, float]]
    coverage: float
    photo: dict[str, np.ndarray]
    aligned: dict[str, dict[str, float]] = field(default_factory=dict)
    by_yaw: dict[str, dict[str, float]] = field(default_factory=dict)
    vertices: dict[str, int] = field(default_factory=dict)
    views: list[dict[str, np.ndarray]] = field(default_factory=list)


class TextureMeasure:
    """Measures all kinds of textures of one face after the other.

    Args:
      pipeline: face model, camera, and the `FaceGCN` of the texture `fine`.
      others: additional ones: name of the texture -> `FaceGCN`.
    """

    def __init__(self, pipeline: Pipeline, others: Mapping[str, FaceGCN]):
        self.pipeline, self.morphable = pipeline, pipeline.face_gcn.morphable
        self.reconstruct = tf.function(pipeline.face_gcn, reduce_retracing=True, autograph=False)
        self._others = {
            name: tf.function(face_gcn, reduce_retracing=True, autograph=False) for name, face_gcn in others.items()
        }
        self.exported = ExportedTexture(pipeline)
        front = pipeline.face_model.skin_mask & pipeline.face_model.front_mask
        self._front = front if front.any() else pipeline.face_model.skin_mask

    def __call__(
        self,
        result: FaceReconstruction,
        crop: tf.Tensor,
        coefficients: tf.Tensor,
        embedding: tf.Tensor,
        truth: TrueFace | None,
    ) -> MeasuredFace:
        """Measures one face.

        Args:
          result: result of `reconstruct` for crop, coefficients and embedding.
          crop: [1, H, W, 4] RGBA in [0, 1].
          coefficients: [1, K] predicted coefficients.
          embedding: [1, E] image embedding.
          truth: ground truth, None if unknown.
        """
        others = {name: run(crop, coefficients, embedding) for name, run in self._others.items()}
        renderings, albedos = self._textures(result, others, crop)
        photo, mask = crop[..., :3], result.mask * crop[..., 3:]
        person = self.pipeline.embed(photo)
        columns = {
            "photo_view": {
                name: float(masked_psnr(clipped(rendering), photo, mask)[0]) for name, rendering in renderings.items()
            },
            "identity": {
                name: 1.0 - float(identity_distance(self.pipeline.embed(overlay), person))
                for name, overlay in ((n, clipped(r) * mask + photo * (1 - mask)) for n, r in renderings.items())
            },
        }
        pictures = {"photo": photo, **{k: renderings[k] for k in KINDS if k in renderings}, "overlay": result.overlay}
        against_truth: dict[str, Any] = {}
        if truth is not None:
            visible = self._visibility(tf.constant(truth.coefficients[None]), crop)[0].numpy() > 0.5
            baked = self.exported.bake(result, crop, embedding).albedo
            found, against_truth = self._against_truth(albedos, baked, visible, truth)
            columns |= found
        return MeasuredFace(
            columns=columns,
            coverage=float(coverage(mask, crop[..., 3:])[0]),
            photo={name: clipped(tf.convert_to_tensor(picture))[0].numpy() for name, picture in pictures.items()},
            **against_truth,
        )

    def _textures(
        self, result: FaceReconstruction, others: Mapping[str, FaceReconstruction], crop: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], dict[str, np.ndarray]]:
        """Renderings [1, H, W, 3] in the photo's view, and albedos [N, 3] in [0, 1] of all textures but the optimum."""
        face_gcn, coarse = self.pipeline.face_gcn, result.coarse
        projection = projected_albedo(coarse.albedo, coarse.sampled, coarse.face.shading)
        projected = interpolate(face_gcn.shade(projection, coarse.face), self.morphable.triangles, coarse.fragments)
        optimum = vertex_optimum(
            crop[0, ..., :3].numpy(),
            (result.mask * crop[..., 3:])[0, ..., 0].numpy() >= 0.5,
            coarse.fragments.triangle_id[0].numpy(),
            coarse.fragments.barycentrics[0].numpy(),
            self.pipeline.face_model.triangles,
        )
        renderings = {
            "coarse": coarse.rendering,
            "projection": projected,
            "fine": result.rendering,
            "optimum": tf.constant(optimum[None]),
            **{name: other.rendering for name, other in others.items()},
        }
        albedos = {"coarse": coarse.albedo, "projection": projection, "fine": result.albedo}
        albedos |= {name: other.albedo for name, other in others.items()}
        return renderings, {name: clipped(albedo)[0].numpy() for name, albedo in albedos.items()}

    def _against_truth(
        self, albedos: dict[str, np.ndarray], baked: np.ndarray, visible: np.ndarray, truth: TrueFace
    ) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
        """Columns that need the ground truth, and the remaining fields of `MeasuredFace`."""
        front, true = self._front, truth.albedo
        aligned = {name: np.clip(albedo * _gain(albedo[front], true[front]), 0, 1) for name, albedo in albedos.items()}
        seen, hidden = front & visible, front & ~visible
        light = new_light(truth.index, true[front])
        drawn = self._draw(
            tf.constant(truth.coefficients[None]),
            tf.constant(light[None]),
            tf.constant(np.stack([true, *albedos.values(), *aligned.values()])),
        )
        names, count = list(albedos), len(albedos)
        psnr = np.array(
            [[masked_psnr(p[None], view[:1], skin[None])[0] for p in view[1:]]
             for view, skin in zip(drawn.pictures, drawn.skin, strict=True)]
        )  # fmt: skip
        views = dict(zip(names, psnr[:, :count].mean(0).tolist(), strict=True))
        views_aligned = dict(zip(names, psnr[:, count:].mean(0).tolist(), strict=True))
        textured = self.exported.draw(baked, truth.coefficients, light)
        found = psnr_in_views(textured, drawn)
        views[TEXTURED] = float(np.mean(found))
        by_yaw = {
            f"{yaw:g}": dict(zip(names, row[:count].tolist(), strict=True)) | {TEXTURED: value}
            for yaw, row, value in zip(NEW_YAWS, psnr, found, strict=True)
        }
        pictures = {name: list(drawn.pictures[:, k + 1].numpy()) for k, name in enumerate(names)} | {TEXTURED: textured}
        ssim = {name: ssim_in_views(views_of, drawn) for name, views_of in pictures.items()}
        shown = [
            {name: values[view] * face + 1 - face for name, values in pictures.items()}
            | {"truth": drawn.pictures[view, 0].numpy() * face + 1 - face}
            for view, face in enumerate(drawn.face.numpy())
        ]
        return {"new_views": views, "new_views_ssim": ssim, **_errors(albedos, true, seen, hidden)}, {
            "aligned": {"new_views": views_aligned, **_errors(aligned, true, seen, hidden)},
            "by_yaw": by_yaw,
            "vertices": {"albedo_visible": int(seen.sum()), "albedo_hidden": int(hidden.sum())},
            "views": shown,
        }

    @tf.function(reduce_retracing=True, autograph=False)
    def _visibility(self, coefficients, crop):
        return true_visibility(self.morphable, self.pipeline.camera, coefficients, crop)

    @tf.function(reduce_retracing=True, autograph=False)
    def _draw(self, coefficients, light, albedos):
        return render_new_views(self.morphable, self.pipeline.camera, coefficients, light, albedos)


def _gain(albedo: np.ndarray, true: np.ndarray) -> float:
    """Factor that brings an albedo [S, 3] closest to the true one, in the least-squares sense."""
    return float((albedo * true).sum() / max((albedo * albedo).sum(), 1e-9))


def _errors(
    albedos: Mapping[str, np.ndarray], true: np.ndarray, seen: np.ndarray, hidden: np.ndarray
) -> dict[str, dict[str, float]]:
    """Mean absolute albedo errors over visible and over hidden vertices; NaN if there are none."""
    columns = {}
    for column, vertices in (("albedo_visible", seen), ("albedo_hidden", hidden)):
        columns[column] = {
            name: float(np.abs(albedo - true)[vertices].mean()) if vertices.any() else float("nan")
            for name, albedo in albedos.items()
        }
    return columns
