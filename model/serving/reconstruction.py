"""The work on one uploaded photo: reconstruction, files for download, and the face for the page's viewer."""

import dataclasses
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lib.errors import DiskFull, UserError
from lib.face_image.alignment import five_points
from lib.face_image.detection import Face, detect_faces
from lib.face_model_files.arkit import ARKIT, BlendShapes
from lib.files.atomic import atomic_path, space_for
from lib.files.file_names import fitting
from lib.files.json_files import json_text, write_json
from lib.images.display import to_bytes
from model.gaze import NAMES as LOOKS
from model.gaze import gaze_weights, look_displacements
from model.photos.errors import failure_reason
from model.photos.reader import FoundFaces
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.reconstruction.files import TEXTURES
from model.reconstruction.photo_result import PhotoResult
from model.report.face_data import encode_columns, encode_mesh, encode_shared, encode_textures
from model.serving.photo_queue import Job, Progress, Stopped

# Files of mesh_obj.zip.
OBJ_FILES = ("mesh.obj", "mesh.mtl", *TEXTURES.values())
# What of a result only the page needs.
PAGE_FILES = ("face.json", "mesh_obj.zip")
# In the folder of `serve.keep`, until the results of a photo are complete.
UNFINISHED = ".unfinished"
NOT_KEPT = "The result could not be stored for good; download it before it is removed."


class PhotoWork:
    """Reconstructs uploaded photos, in one thread; the live head asks for `weights` in others.

    Args:
      reconstruct: the reconstructor.
      keep: folder where results are also stored for good, or None.
    """

    def __init__(self, reconstruct: FaceReconstructor, keep: Path | None):
        self.reconstruct, self.keep = reconstruct, keep
        model = reconstruct.pipeline.face_model
        self.formats: tuple[str, ...] = ("obj", "glb")
        self._blend_shapes, self._sliders, self._eyes = None, [], reconstruct.export.morphable.eyes
        try:
            self._blend_shapes = BlendShapes.of(model)
        except UserError:  # the model's expressions have no known names: neither rig nor sliders
            return
        self.formats += ("rig",)
        # Expressions that ARKit does not name, up to hundreds, stay as in the photo.
        self._sliders = [place for place, name in enumerate(self._blend_shapes.names) if name in ARKIT]

    def __call__(self, job: Job, progress: Progress) -> dict[str, Any]:
        """Reconstructs the largest face of a job's photo and writes its files; returns numbers for the page.

        Raises:
          UserError: the photo is not an image, or shows no face.
        """
        started = time.monotonic()
        progress.enter("finding the face")
        found = self.reconstruct.reader.find(job.photo, 1)
        result = self.reconstruct.reconstruct_face(job.name, found, found.faces[0], progress.enter)
        seconds = time.monotonic() - started
        result = dataclasses.replace(result, metrics={**result.metrics, "seconds": round(seconds, 2)})
        numbers = {name: round(result.metrics[name], 2) for name in ("psnr_coarse", "psnr_fine", "coverage")}
        facts: dict[str, Any] = numbers | {"remark": result.photo.remark}
        progress.enter("making textures")
        self.write_face(job.results, result)
        progress.show(facts | {"seconds": round(time.monotonic() - started, 1)})
        progress.enter("writing files")
        self.write_files(job.results, result)
        if self.keep is not None and not store(job, self.keep):
            facts["warning"] = NOT_KEPT
        return facts | {"seconds": round(time.monotonic() - started, 1)}

    def write_face(self, folder: Path, result: PhotoResult) -> None:
        """Writes face.json, all that the page needs to show the head."""
        expression = self.reconstruct.pipeline.face_model.layout.split(result.coefficients).expression
        weights = self.weights(expression, result.gaze)
        face = {"mesh": encode_mesh(result), "textures": encode_textures(result), "weights": weights}
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "face.json", face)

    def write_files(self, folder: Path, result: PhotoResult) -> None:
        """Writes the files of test mode, and mesh_obj.zip."""
        result.save(folder, self.formats)
        with atomic_path(folder / "mesh_obj.zip") as path, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in OBJ_FILES:
                if (folder / name).is_file():
                    archive.write(folder / name, name)

    def shared(self) -> bytes:
        """What all faces share, as JSON: mesh, camera, and the blend shapes of the sliders.

        Blend shapes have `names`, `scales`, the displacement in decimetres that 65535 stands for (32768 is zero), and
        `block` of three 16-bit columns each (`model.report.face_data`).
        """
        pipeline, shown = self.reconstruct.pipeline, self.reconstruct.export.morphable.face_model
        content: dict[str, Any] = {
            "mesh": encode_shared(shown, self.reconstruct.export.chart),
            "camera": dataclasses.asdict(pipeline.camera),
            "blend_shapes": {"names": [], "scales": [], "block": ""},
        }
        if self._blend_shapes is not None:
            moves = self._blend_shapes.displacements(shown)[self._sliders]
            names = [self._blend_shapes.names[place] for place in self._sliders]
            if self._eyes is not None:
                moves, names = np.concatenate([moves, look_displacements(self._eyes)]), [*names, *LOOKS]
            scales = np.maximum(np.abs(moves).max(axis=(1, 2)), 1e-9)
            whole = np.rint(moves / scales[:, None, None] * 32767 + 32768).astype(np.uint16)
            content["blend_shapes"] = {
                "names": names,
                "scales": [float(scale) for scale in scales],
                "block": encode_columns([column for move in whole for column in move.T]),
            }
        return json_text(content).encode()

    def warm_up(self, enter: Callable[[str], None]) -> None:
        """Reconstructs a drawn mean face, because TensorFlow prepares each stage when it first runs.

        Args:
          enter: called before each stage; raises `Stopped` to end the preparation.
        """
        try:
            pixels, points = self._mean_face()
            enter("finding the face")
            detect_faces(pixels)
            box = np.concatenate([points.min(axis=0), np.ptp(points, axis=0)])
            face = Face(box, points, confidence=1.0)
            result = self.reconstruct.reconstruct_face("mean face", FoundFaces(pixels, [face]), face, enter)
            with tempfile.TemporaryDirectory() as folder:
                for write in (self.write_face, self.write_files):
                    enter("writing files")
                    write(Path(folder), result)
        except Stopped:
            raise
        except Exception as error:  # the photos themselves will show whether it matters
            print(f"the networks could not be warmed up: {failure_reason(Path(), error)}", file=sys.stderr)

    def _mean_face(self) -> tuple[np.ndarray, np.ndarray]:
        """Picture of the mean face, uint8 [H, W, 3], and its five points [5, 2]."""
        pipeline = self.reconstruct.pipeline
        coefficients = np.zeros([1, pipeline.face_model.layout.size], np.float32)
        albedo = np.asarray(pipeline.face_model.mean_albedo, np.float32)[None]
        drawn = self.reconstruct.draw(coefficients, albedo)
        posed = pipeline.face_gcn.morphable.posed(coefficients, pipeline.camera)
        rgb = drawn[..., :3] * drawn[..., 3:] + 0.5 * (1 - drawn[..., 3:])
        return to_bytes(rgb), five_points(posed.landmarks[0].numpy())

    def weights(self, expression: np.ndarray, gaze: np.ndarray | None) -> list[float]:
        """Weights of the sliders' blend shapes for expression coefficients [Ke] and a gaze [2], None for straight."""
        if self._blend_shapes is None:
            return []
        weights = self._blend_shapes.weights(expression)[self._sliders]
        if self._eyes is not None:
            looks = gaze_weights(np.zeros(2) if gaze is None else gaze)
            weights = np.concatenate([weights, [looks[name] for name in LOOKS]])
        return [round(float(weight), 5) for weight in weights]


def store(job: Job, keep: Path) -> bool:
    """Copies the results to a folder of their own that appears when it is whole; returns whether it could.

    If not, the reason is printed for the operator, and the visitor still has the results.
    """
    unfinished = keep / UNFINISHED
    # The result's folder never has the name of another photo's.
    folder = keep / fitting(f"{_plain(Path(job.name).stem)}_", job.id)
    try:
        shutil.rmtree(unfinished, ignore_errors=True)  # of a run that was killed, or of a full disk
        with space_for(folder):
            unfinished.mkdir(parents=True)
            for path in job.results.iterdir():
                if path.name not in PAGE_FILES:
                    shutil.copyfile(path, unfinished / path.name)
            unfinished.rename(folder)
    except (OSError, DiskFull) as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        print(f"{folder}: not stored: {failure_reason(folder, error)}", file=sys.stderr)
        return False
    return True


def _plain(stem: str) -> str:
    """A name that is safe on every file system."""
    return "".join(character if character.isalnum() or character in "-_" else "_" for character in stem)
