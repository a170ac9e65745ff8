"""Tracks a face through a video: one identity and albedo; pose, expression and light smoothed without lag."""

import dataclasses
import functools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from configs import schema
from lib.errors import UserError
from lib.face_image.region import face_region
from lib.files.disk_list import DiskList
from lib.files.json_files import write_json
from lib.files.numpy_files import write_npz
from model.person.estimator import Gallery, PersonEstimator, batches, spread
from model.person.files import PERSON_FOLDER, PersonRecord, write_person
from model.photos.errors import failure_reason, photo_barrier
from model.photos.reader import AlignedPhoto
from model.reconstruction.draft import Draft
from model.reconstruction.export import Exporter
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.video.animation import write_animated_rig, write_weights
from model.video.frames import FrameSource, FrameTracker, fill_gaps, write_video
from model.video.smoothing import smooth, stiffness

# Number of frames from which identity and albedo are estimated.
KEY_FRAMES = 6
SMOOTHED = ("expression", "angles", "light")


@dataclasses.dataclass(frozen=True)
class Track:
    """A face in T frames.

    Attributes:
      coefficients: [T, K], relative to each frame's crop; identity and albedo are the same in all frames.
      photo_to_crop: [T, 2, 3] transforms to the crops, see `Alignment`; bridged frames use their neighbour's.
      landmarks: [T, 68, 2] pixels of the frame.
      seen: [T] bool, False where the face was not found and its motion is bridged.
      keys: frame -> fitted draft, for the frames from which identity and albedo were estimated.
    """

    coefficients: np.ndarray
    photo_to_crop: np.ndarray
    landmarks: np.ndarray
    seen: np.ndarray
    keys: dict[int, Draft]


def track_face(
    reconstruct: FaceReconstructor, photos: Iterable[AlignedPhoto | None], frame_rate: float, cutoff: float
) -> Track:
    """Tracks a face through the aligned frames of a video; iterates over them once and stores crops on disk.

    Args:
      reconstruct: fits and refines the face.
      photos: one for each frame, None where the face was not found.
      frame_rate: Hz.
      cutoff: Hz; faster motion is smoothed away as noise.

    Raises:
      UserError: no frame shows a face.
    """
    gallery, found = Gallery(), []
    for photo in photos:
        found.append(photo is not None)
        if photo is not None:
            gallery.append(reconstruct.initial_estimate(photo))
    seen = np.array(found)
    frames = np.flatnonzero(seen)
    if not len(frames):
        raise UserError(f"at least one frame must show a face, got none in {len(seen)}")
    layout = reconstruct.pipeline.face_model.layout
    chosen = spread(layout.split(gallery.regressed).angles, KEY_FRAMES)
    estimator, keys = PersonEstimator(reconstruct), Gallery()
    for draft in estimator.fit_each([gallery.drafts[index] for index in chosen]):
        keys.append(draft)
    shared = estimator.fit_shared(keys)
    fitted = estimator.fit_with_identity(shared, list(keys.drafts))
    rows, transforms = [], []
    for batch in batches(tqdm(gallery.drafts, "fit", unit="frame", dynamic_ncols=True)):
        for draft in estimator.fit_with_identity(shared, batch):
            rows.append(draft.coefficients)
            transforms.append(draft.photo.alignment.photo_to_crop)
    nearest = np.abs(np.arange(len(seen))[:, None] - frames).argmin(axis=1)
    coefficients, crops = smooth_track(
        reconstruct,
        np.stack(rows)[nearest],
        np.stack(transforms)[nearest],
        seen,
        stiffness(cutoff, frame_rate),
    )
    landmarks = frame_landmarks(reconstruct, coefficients, crops)
    return Track(coefficients, crops, landmarks, seen, dict(zip(frames[chosen].tolist(), fitted, strict=True)))


def smooth_track(
    reconstruct: FaceReconstructor, coefficients: np.ndarray, crops: np.ndarray, seen: np.ndarray, stiff: float
) -> tuple[np.ndarray, np.ndarray]:
    """Smooths pose, expression and light.

    The position is smoothed in pixels of the frame instead of the crop, because crops jump between frames.

    Args:
      coefficients: [T, K] relative to the crops; rows of frames that were not seen are ignored.
      crops: [T, 2, 3] transforms photo_to_crop.
      seen: [T] bool.
      stiff: stiffness, see `model.video.smoothing`.

    Returns:
      coefficients [T, K] and crops [T, 2, 3].
    """
    layout, camera = reconstruct.pipeline.face_model.layout, reconstruct.pipeline.camera
    result, weights = np.array(coefficients, np.float64), seen.astype(np.float64)
    for name in SMOOTHED:
        part = layout.slices[name]
        result[:, part] = smooth(result[:, part], weights, stiff)
    zoom = 0.5 * (crops[:, 0, 0] + crops[:, 1, 1])
    place = layout.slices["translation"]
    translation = result[:, place]
    depth = camera.distance - translation[:, 2]
    in_crop = camera.project(tf.constant(translation[:, None], tf.float32))[:, 0].numpy()
    diagonal = _scales(crops)
    in_frame = (in_crop - crops[..., 2]) / diagonal
    size = np.log(camera.focal_length / depth / zoom)
    moved = smooth(np.concatenate([in_frame, size[:, None]], axis=1), weights, stiff)
    depth = camera.focal_length / (np.exp(moved[:, 2]) * zoom)
    in_crop = moved[:, :2] * diagonal + crops[..., 2]
    height, width = camera.image_size
    offset = (in_crop - np.array([width, height]) / 2) * (depth / camera.focal_length)[:, None]
    result[:, place] = np.stack([offset[:, 0], -offset[:, 1], camera.distance - depth], axis=-1)
    return result.astype(np.float32), crops


def frame_landmarks(reconstruct: FaceReconstructor, coefficients: np.ndarray, crops: np.ndarray) -> np.ndarray:
    """Landmarks [T, 68, 2] in pixels of the frames, for coefficients [T, K] in crops [T, 2, 3]."""
    pipeline = reconstruct.pipeline
    landmarks = np.concatenate(
        [pipeline.face_gcn.morphable.posed(tf.constant(row[None]), pipeline.camera).landmarks for row in coefficients]
    )
    return (landmarks - crops[:, None, :, 2]) / _scales(crops)[:, None]


def _scales(crops: np.ndarray) -> np.ndarray:
    """Crop pixels per frame pixel, [T, 2], of crops [T, 2, 3]; alignment neither rotates nor shears."""
    return np.stack([crops[:, 0, 0], crops[:, 1, 1]], axis=-1)


def overlay(
    reconstruct: FaceReconstructor, frame: np.ndarray, crop: np.ndarray, coefficients: np.ndarray, albedo: np.ndarray
) -> np.ndarray:
    """Draws the face with coefficients [K] and albedo [N, 3] over a frame, uint8 [H, W, 3]."""
    layers = reconstruct.draw(coefficients[None], tf.constant(albedo[None]))
    centres = np.array(crop, np.float64)  # OpenCV's origin is the centre of the first pixel, ours is its corner
    centres[:, 2] += 0.5 * crop[:, :2].sum(axis=1) - 0.5
    size = frame.shape[1::-1]
    layers = cv2.warpAffine(layers, centres, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    blended = layers[..., 3:] * layers[..., :3] * 255 + (1 - layers[..., 3:]) * frame
    return np.rint(np.clip(blended, 0, 255)).astype(np.uint8)


def reconstruct_video(config: schema.Config, source: Path, output: Path) -> dict[str, str]:
    """Reconstructs the face of a video.

    Writes overlay.mp4, coefficients.npz (arrays of `Track`), summary.json, the folder `person`, arkit.csv if the face
    model has expressions that ARKit names, and an animated rig.glb if the export formats include rigs.

    Args:
      config: the effective configuration.
      source: a video that OpenCV can read, or a folder of frames, ordered by name.
      output: folder for the results.

    Returns:
      Always {}, no failures: damaged frames and frames without a face are bridged and listed in summary.json.

    Raises:
      UserError: no frame can be read or none shows a face.
    """
    source, output, settings = Path(source), Path(output), config.test
    frames = FrameSource(source, settings.frame_rate, output)
    if settings.smoothing > frames.frame_rate / 2:
        raise UserError(
            f"test.smoothing: must be at most half of the frame rate {frames.frame_rate:g} Hz, "
            f"got {settings.smoothing:g}"
        )
    reconstruct = FaceReconstructor.load(config)
    export = reconstruct.export  # a face model that cannot have rigs is refused before the work
    try:
        track, damaged = _track_frames(reconstruct, frames, settings.smoothing)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error
    records = _key_records(reconstruct, export, frames, track)
    bridged = _write_track(output, track, frames.frame_rate, damaged)
    write_weights(
        output / "arkit.csv", reconstruct.pipeline.face_model, track.coefficients, track.seen, frames.frame_rate
    )
    skin = write_person(output / PERSON_FOLDER, reconstruct, export, records)
    if "rig" in export.formats:
        write_animated_rig(output / "rig.glb", export, skin, track.coefficients, frames.frame_rate)
    rows = zip(fill_gaps(frames), track.photo_to_crop, track.coefficients, strict=True)
    write_video(output / "overlay.mp4", (overlay(reconstruct, *row, skin.albedo) for row in rows), frames.frame_rate)
    print(
        f"{len(track.seen)} frames, {bridged} bridged without a face ({len(damaged)} of them damaged), results in "
        f"{output}"
    )
    return {}


def _track_frames(reconstruct: FaceReconstructor, frames: FrameSource, cutoff: float) -> tuple[Track, list[int]]:
    """Tracks the face through the frames; also returns the indices of damaged frames."""
    tracker, damaged = FrameTracker(reconstruct.reader), []

    def photos() -> Iterator[AlignedPhoto | None]:
        for index, frame in enumerate(tqdm(frames, "detect", unit="frame", dynamic_ncols=True)):
            photo = None
            if frame is None:
                damaged.append(index)
            with photo_barrier(functools.partial(_report_frame, index)):
                photo = tracker(frame, f"frame {index}")
            yield photo

    return track_face(reconstruct, photos(), frames.frame_rate, cutoff), damaged


def _report_frame(index: int, error: Exception) -> None:
    name = f"frame {index}"
    tqdm.write(f"{name}: bridged, {failure_reason(Path(name), error)}", file=sys.stderr)


def _key_records(
    reconstruct: FaceReconstructor, export: Exporter, frames: FrameSource, track: Track
) -> DiskList[PersonRecord]:
    """Records of the key frames, refined and textured from the full-resolution frames."""
    records: DiskList[PersonRecord] = DiskList()
    for index, frame in enumerate(frames):
        if index in track.keys:
            draft = track.keys[index]
            assert frame is not None, "a face was found in it"
            result = reconstruct.finish(draft, face_region(frame, draft.photo.alignment))
            records.append(PersonRecord.named(result, result.textures if export.textured else None, result.photo.name))
    return records


def _write_track(output: Path, track: Track, frame_rate: float, damaged: list[int]) -> int:
    """Writes coefficients.npz and summary.json; returns the number of bridged frames."""
    arrays = ("coefficients", "photo_to_crop", "landmarks", "seen")
    write_npz(output / "coefficients.npz", {name: getattr(track, name) for name in arrays}, compress=True)
    bridged = np.flatnonzero(~track.seen).tolist()
    summary = {
        "frames": len(track.seen),
        "frame_rate": frame_rate,
        "bridged": bridged,
        "damaged": damaged,
        "key_frames": [key.photo.name for key in track.keys.values()],
    }
    write_json(output / "summary.json", summary)
    return len(bridged)
