"""A face through a video: one identity and albedo, pose, expression and light smoothed without lag."""

import dataclasses
import json
import time
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from configs import schema
from lib.mesh_renderer.fragments import interpolate, rasterize
from lib.temporal_smoothing import smooth, stiffness
from model import components
from model.fitting_groups import shared_slots
from model.person import fit_person, merged_albedo, person_fitter, write_person
from model.photo import AlignedPhoto
from model.reconstruction import PhotoResult, Reconstructor
from model.texture_trainer import clipped
from model.video_frames import FrameSource, FrameTracker, write_video
from utils import UserError, atomic_path

# Frames that identity and albedo are estimated from.
KEY_FRAMES = 6
# Frames fitted as one batch.
BATCH = 8
SMOOTHED = ("expression", "angles", "light")


@dataclasses.dataclass(frozen=True)
class Track:
    """A face in T frames.

    Attributes:
      coefficients: [T, K], each frame's in its own crop; identity and albedo are the same in all.
      photo_to_crop: [T, 2, 3] the crops, see `Alignment`; bridged frames borrow their neighbour's.
      landmarks: [T, 68, 2] pixels of the frame.
      seen: [T] bool, False where the face was not found and its motion is bridged.
      keys: results of the frames that identity and albedo come from.
    """

    coefficients: np.ndarray
    photo_to_crop: np.ndarray
    landmarks: np.ndarray
    seen: np.ndarray
    keys: list[PhotoResult]


def track_face(
    reconstruct: Reconstructor, photos: list[AlignedPhoto | None], frame_rate: float, cutoff: float
) -> Track:
    """Recovers a face from the aligned frames of a video.

    Args:
      reconstruct: fits and refines.
      photos: one for each frame, None where the face was not found; at least one is there.
      frame_rate: Hz.
      cutoff: motion faster than this many Hz is noise.
    """
    seen = np.array([photo is not None for photo in photos])
    frames = np.flatnonzero(seen)
    drafts = [reconstruct.guess(photos[frame]) for frame in tqdm(frames, "guess", unit="frame", dynamic_ncols=True)]
    layout = reconstruct.parts.face_model.layout
    started = time.monotonic()
    chosen = spread(layout.split(np.stack([draft.coefficients for draft in drafts])).angles, KEY_FRAMES)
    fitter = person_fitter(reconstruct)
    key_drafts = fit_person(reconstruct, fitter, [drafts[index] for index in chosen])
    keys = [reconstruct.finish(draft, started) for draft in key_drafts]
    slots = shared_slots(layout)
    drafts = [
        dataclasses.replace(
            draft, coefficients=np.where(slots, key_drafts[0].coefficients, draft.coefficients).astype(np.float32)
        )
        for draft in drafts
    ]
    if reconstruct.steps:
        fitted = []
        for start in tqdm(range(0, len(drafts), BATCH), "fit", unit="batch", dynamic_ncols=True):
            fitted += reconstruct.fit(drafts[start : start + BATCH], fitter)
        drafts = fitted
    coefficients = np.stack([draft.coefficients for draft in drafts])
    crops = np.stack([draft.photo.alignment.photo_to_crop for draft in drafts])
    nearest = np.abs(np.arange(len(photos))[:, None] - frames).argmin(axis=1)
    coefficients, crops = smooth_track(
        reconstruct, coefficients[nearest], crops[nearest], seen, stiffness(cutoff, frame_rate)
    )
    return Track(coefficients, crops, frame_landmarks(reconstruct, coefficients, crops), seen, keys)


def spread(angles: np.ndarray, count: int) -> np.ndarray:
    """Indices of up to `count` frames whose head poses [T, 3] lie farthest apart, the most frontal one first."""
    chosen = [int(np.linalg.norm(angles, axis=1).argmin())]
    distance = np.full(len(angles), np.inf)
    time_axis = np.linspace(0, 0.1, len(angles))[:, None]  # a still head: frames far apart in time
    places = np.concatenate([angles, time_axis], axis=1)
    while len(chosen) < min(count, len(angles)):
        distance = np.minimum(distance, np.linalg.norm(places - places[chosen[-1]], axis=1))
        distance[chosen] = -1
        chosen.append(int(distance.argmax()))
    return np.array(chosen)


def smooth_track(
    reconstruct: Reconstructor, coefficients: np.ndarray, crops: np.ndarray, seen: np.ndarray, stiff: float
) -> tuple[np.ndarray, np.ndarray]:
    """Smooths what moves; the position in pixels of the frame, because the crops jump.

    Args:
      coefficients: [T, K] in the crops; rows of frames not seen are not read.
      crops: [T, 2, 3] photo_to_crop.
      seen: [T] bool.
      stiff: see `lib.temporal_smoothing`.

    Returns:
      coefficients [T, K] and crops [T, 2, 3].
    """
    layout, camera = reconstruct.parts.face_model.layout, reconstruct.parts.camera
    result, weights = np.array(coefficients, np.float64), seen.astype(np.float64)
    for name in SMOOTHED:
        part = layout.slices[name]
        result[:, part] = smooth(result[:, part], weights, stiff)
    zoom = 0.5 * (crops[:, 0, 0] + crops[:, 1, 1])
    place = layout.slices["translation"]
    translation = result[:, place]
    depth = camera.distance - translation[:, 2]
    in_crop = camera.project(tf.constant(translation[:, None], tf.float32))[:, 0].numpy()
    diagonal = np.stack([crops[:, 0, 0], crops[:, 1, 1]], axis=-1)  # alignment neither turns nor shears
    in_frame = (in_crop - crops[..., 2]) / diagonal
    size = np.log(camera.focal_length / depth / zoom)
    moved = smooth(np.concatenate([in_frame, size[:, None]], axis=1), weights, stiff)
    depth = camera.focal_length / (np.exp(moved[:, 2]) * zoom)
    in_crop = moved[:, :2] * diagonal + crops[..., 2]
    height, width = camera.image_size
    offset = (in_crop - np.array([width, height]) / 2) * (depth / camera.focal_length)[:, None]
    result[:, place] = np.stack([offset[:, 0], -offset[:, 1], camera.distance - depth], axis=-1)
    return result.astype(np.float32), crops


def frame_landmarks(reconstruct: Reconstructor, coefficients: np.ndarray, crops: np.ndarray) -> np.ndarray:
    """Landmarks [T, 68, 2] in pixels of the frames, for coefficients [T, K] in crops [T, 2, 3]."""
    parts = reconstruct.parts
    landmarks = np.concatenate(
        [parts.chain.morphable.posed(tf.constant(row[None]), parts.camera).landmarks for row in coefficients]
    )
    diagonal = np.stack([crops[:, 0, 0], crops[:, 1, 1]], axis=-1)
    return (landmarks - crops[:, None, :, 2]) / diagonal[:, None]


def overlay(reconstruct: Reconstructor, frame: np.ndarray, crop: np.ndarray, coefficients, albedo) -> np.ndarray:
    """A frame (uint8 [H, W, 3]) with the face of coefficients [K] and albedo [N, 3] laid over it."""
    chain, camera = reconstruct.parts.chain, reconstruct.parts.camera
    face = chain.morphable.posed(tf.constant(coefficients[None]), camera)
    triangles = chain.morphable.triangles
    fragments = rasterize(camera.clip_coordinates(face.vertices), triangles, camera.image_size)
    drawn = clipped(interpolate(chain.shade(tf.constant(albedo[None]), face), triangles, fragments))[0].numpy()
    layers = np.concatenate([drawn, fragments.mask[0].numpy()], axis=-1)
    centres = np.array(crop, np.float64)  # OpenCV counts from pixel centres, we from edges
    centres[:, 2] += 0.5 * crop[:, :2].sum(axis=1) - 0.5
    size = frame.shape[1::-1]
    layers = cv2.warpAffine(layers, centres, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    blended = layers[..., 3:] * layers[..., :3] * 255 + (1 - layers[..., 3:]) * frame
    return np.rint(np.clip(blended, 0, 255)).astype(np.uint8)


def reconstruct_video(config: schema.Config, source: Path, output: Path) -> dict[str, str]:
    """Reconstructs the face of a video.

    Writes overlay.mp4, coefficients.npz (a `Track`'s arrays), summary.json and the folder `person`.

    Args:
      config: the effective configuration.
      source: a video that OpenCV reads, or a folder of frames, in the order of their names.
      output: folder of the results.

    Returns:
      Nothing failed: {}; frames without a face are bridged and listed in summary.json.

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
    parts = components.load(config)
    components.restore_texture_network(parts)
    reconstruct = Reconstructor.of(config, parts)
    tracker = FrameTracker(reconstruct.reader)
    photos = [tracker(frame, f"frame {i}") for i, frame in enumerate(tqdm(frames, "detect", unit="frame"))]
    missing = [index for index, photo in enumerate(photos) if photo is None]
    if len(missing) == len(photos):
        raise UserError(f"{source}: at least one frame must show a face, got none in {len(photos)}")
    track = track_face(reconstruct, photos, frames.frame_rate, settings.smoothing)
    albedo = merged_albedo(track.keys)
    output.mkdir(parents=True, exist_ok=True)
    rows = zip(frames, track.photo_to_crop, track.coefficients, strict=True)
    write_video(output / "overlay.mp4", (overlay(reconstruct, *row, albedo) for row in rows), frames.frame_rate)
    write_person(output / "person", reconstruct, track.keys, config.export.formats)
    with atomic_path(output / "coefficients.npz") as path, open(path, "wb") as stream:
        arrays = ("coefficients", "photo_to_crop", "landmarks", "seen")
        np.savez_compressed(stream, **{name: getattr(track, name) for name in arrays})
    summary = {
        "frames": len(photos),
        "frame_rate": frames.frame_rate,
        "bridged": missing,
        "key_frames": [key.photo.name for key in track.keys],
    }
    with atomic_path(output / "summary.json") as path:
        path.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(f"{len(photos)} frames, {len(missing)} without a face bridged, results in {output}")
    return {}
