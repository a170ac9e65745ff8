"""Worker of --mode prepare: turns one photo into RGBA crops."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from configs import schema
from lib.face_image import quality
from lib.face_image.detection import Face
from lib.files.atomic import atomic_path
from model.fitting.masks import MaskFinder
from model.fitting.placement import PointPlacement
from model.morphable_model import MorphableModel
from model.photos.cut_outs import without_cut_out
from model.photos.errors import failure_reason, photo_barrier
from model.photos.reader import AlignedPhoto, FoundFaces, PhotoReader
from model.pipeline import build_camera, load_face_model, load_parser, load_regressor
from model.preparation.job import RETRY, Job


class Preparer:
    """Writes the crops of one photo after another.

    Args:
      config: the effective configuration.
    """

    def __init__(self, config: schema.Config):
        self.section = config.prepare
        face_model = load_face_model(config)
        regressor = load_regressor(config, face_model)
        self._regress = tf.function(lambda images: regressor(images, training=False)[0], autograph=False)
        camera = build_camera(config)
        self.reader = PhotoReader(face_model, camera, self.section.min_confidence, self.section.beside)
        self.place = PointPlacement(face_model, camera)
        self.find_mask = MaskFinder(MorphableModel(face_model), camera, load_parser(config))

    def __call__(self, job: Job) -> dict:
        """Prepares a photo; returns its record: crops with their origin, and faces left out with the reasons."""
        crops: list[dict] = []
        left_out: list[dict] = []
        remarks: list[str] = []
        every = self.section.faces == "all"
        found: FoundFaces | None = None

        def leave_out(kind: str, error: Exception) -> None:
            # What is not known to be the photo's fault may be mended without a change to the photo: a missing package,
            # the right to read it, too little memory.
            record[RETRY] |= not isinstance(error, quality.Unusable)
            kind = error.kind if isinstance(error, quality.Unusable) else kind
            left_out.append({"kind": kind, "reason": failure_reason(job.path, error)})

        record: dict[str, Any] = {
            "photo": job.photo,
            "key": job.key,
            "crops": crops,
            "left_out": left_out,
            "remark": "",
            RETRY: False,
        }
        with photo_barrier(functools.partial(leave_out, "unreadable")):
            found = self.reader.find(job.path, None if every else 1, job.sidecars)
        if found is None:
            return record
        for number, face in enumerate(found.faces):
            file = job.crop.with_stem(f"{job.crop.stem}_{number}") if every else job.crop
            with photo_barrier(functools.partial(leave_out, "failed")):
                crop, remark = self._write(job, file, found, face)
                crops.append(crop)
                remarks.append(remark)
        return record | {"remark": "; ".join(dict.fromkeys(filter(None, (found.remark, *remarks))))}

    def _write(self, job: Job, file: Path, found: FoundFaces, face: Face) -> tuple[dict, str]:
        """Writes a face's crop; returns its record and the remark on its photo."""
        # The remark on the photo is told once, for all its faces.
        aligned = self.reader.aligned(job.path.name, dataclasses.replace(found, remark=""), face)
        alignment, larger = aligned.alignment, float(found.ratio[0])
        width = quality.check_size(alignment.scale / larger, self.section.min_width)
        blur = quality.check_sharpness(self.reader.reference_crop(found, face, aligned), self.section.max_blur)
        aligned, alpha, share = self._mask(aligned)
        pixels = np.dstack([alignment.crop[..., :3], np.rint(alpha * 255).astype(np.uint8)])
        record = {
            "file": file.name,
            "face_width_px": round(width * larger, 1),
            "blur": round(blur, 3),
            "mask_share": round(share, 3),
            "mask_given": aligned.alpha is not None,
            "landmarks_given": bool(face.given),
            "confidence": round(face.confidence, 3),
            "photo_size": list(aligned.photo_size),
            "quarter_turns": found.turns,
            "points_in_photo": np.round(aligned.face.points, 2).tolist(),
            "photo_to_crop": alignment.photo_to_crop.tolist(),
        }
        with atomic_path(file) as path:  # last, so that a photo that is gone by now leaves no crop without a record
            Image.fromarray(pixels).save(path)
        return record, aligned.remark

    def _mask(self, photo: AlignedPhoto) -> tuple[AlignedPhoto, np.ndarray, float]:
        """The photo without a cut-out of a person; alpha [S, S] and its share of the posed face's area.

        That face is the regressed one, placed on the five points.
        """
        regressed = self._regress(tf.constant(photo.rgb[None])).numpy()
        coefficients = self.place(regressed, photo.alignment.points)
        photo = without_cut_out(photo, self.find_mask, coefficients)
        silhouette = self.find_mask.silhouette(coefficients)
        # The regressed face leaves out the ears, so treat it like a fitted one.
        alpha = self.find_mask(photo.alignment, photo.alpha, coefficients, fitted=True)
        share = quality.check_mask(alpha, silhouette, photo.covered, photo.alpha is not None)
        return photo, alpha, share
