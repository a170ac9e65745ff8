"""--mode test --video: tracks the face of a video and writes the results."""

import functools
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from configs import schema
from lib.errors import UserError
from lib.face_image.alignment import from_larger
from lib.face_image.region import face_region
from lib.files.disk_list import DiskList
from lib.files.json_files import write_json
from lib.files.numpy_files import write_npz
from lib.messages import counted
from lib.runtime.interruption import advised
from model.person.files import PERSON_FOLDER, PersonRecord, check_person, remove_person, write_person
from model.photos.errors import photo_barrier
from model.photos.reader import AlignedPhoto
from model.reconstruction.draft import Draft
from model.reconstruction.export import Exporter
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.video.animation import write_animated_rig, write_weights
from model.video.face_track import Track, naming, report_frame, track_face
from model.video.frames import FrameSource, FrameTracker, fill_gaps
from model.video.outputs import OVERLAY, SUMMARY, check_replaceable, remove_earlier, some_of
from model.video.smoothing import stiffness
from model.video.video_file import write_video


def overlay(
    reconstruct: FaceReconstructor,
    frame: np.ndarray,
    crop: np.ndarray,
    coefficients: np.ndarray,
    albedo: np.ndarray,
    gaze: np.ndarray | None = None,
) -> np.ndarray:
    """Draws the face with coefficients [K], albedo [N, 3] and gaze [2] over a frame, uint8 [H, W, 3]."""
    layers = reconstruct.draw(coefficients[None], tf.constant(albedo[None]), gaze)
    centres = np.array(crop, np.float64)  # OpenCV's origin is the centre of the first pixel, ours is its corner
    centres[:, 2] += 0.5 * crop[:, :2].sum(axis=1) - 0.5
    size = frame.shape[1::-1]
    layers = cv2.warpAffine(layers, centres, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    # The colours are 0 around the face, so that the warp has already multiplied them by alpha.
    blended = layers[..., :3] * 255 + (1 - layers[..., 3:]) * frame
    return np.rint(np.clip(blended, 0, 255)).astype(np.uint8)


@advised(lambda: "the same command starts again with the first frame")
def reconstruct_video(config: schema.Config, source: Path, output: Path) -> dict[str, str]:
    """Reconstructs the face of a video.

    Writes overlay.mp4, coefficients.npz (arrays of `Track`), summary.json, the folder `person`, arkit.csv if the face
    model has expressions that ARKit names, and an animated rig if the export formats include rigs.

    Args:
      config: the effective configuration.
      source: a video that OpenCV can read, or a folder of frames, ordered by name.
      output: folder for the results.

    Returns:
      Always {}, no failures: summary.json lists the frames that are damaged, show no face or another person's.

    Raises:
      UserError: no frame can be read or none shows a face; the video changes meanwhile; or `output` holds a file that
        is not of an earlier run.
      Interrupted: told to stop.
    """
    source, output, settings = Path(source), Path(output), config.test
    check_replaceable(source, output)
    check_person(output / PERSON_FOLDER)
    frames = FrameSource(source, settings.frame_rate, output)
    cutoff = usable_cutoff(settings.smoothing, frames.frame_rate)
    reconstruct = FaceReconstructor.load(config)
    export = reconstruct.export  # a face model that cannot have rigs is refused before the work
    with naming(source):
        track, damaged = _track_frames(reconstruct, frames, cutoff)
    bridged = np.flatnonzero(track.shown & ~track.seen).tolist()
    more = {"bridged": bridged, "other_people": np.flatnonzero(track.others).tolist()}
    remove_earlier(output)
    remove_person(output / PERSON_FOLDER)
    write_track(output, track, frames, damaged, more)
    write_weights(
        output / "arkit.csv",
        reconstruct.pipeline.face_model,
        track.coefficients,
        track.gaze,
        track.seen,
        frames.seconds[: len(track.seen)],
    )
    skin = write_person(
        output / PERSON_FOLDER, reconstruct, export, key_records(reconstruct, export, frames, track.keys)
    )
    write_animated_rig(output, export, skin, track.coefficients, track.gaze, frames.seconds[: len(track.seen)])
    write_video(output / OVERLAY, drawn(reconstruct, frames, track, skin.albedo), frames.frame_rate)
    without = some_of(len(bridged), "bridged for lack of a face", len(set(bridged) & set(damaged)))
    print(f"{counted(len(track.seen), 'frame')}, {without}; results in {output}")
    _print_left_out(track)
    return {}


def usable_cutoff(smoothing: float, frame_rate: float) -> float:
    """The cut-off frequency `test.smoothing`; if frames are too slow to show it, half their rate, and a line says so.

    Raises:
      UserError: it is too low for the frame rate.
    """
    cutoff = min(smoothing, frame_rate / 2)
    try:
        stiffness(cutoff, frame_rate)
    except ValueError as error:
        raise UserError(f"test.smoothing: {error}") from error
    if cutoff < smoothing:
        print(f"test.smoothing: {cutoff:g} Hz, half the frame rate, in place of {smoothing:g} Hz")
    return cutoff


def drawn(
    reconstruct: FaceReconstructor, frames: FrameSource, track: Track, albedo: np.ndarray
) -> Iterator[np.ndarray]:
    """The frames with the face drawn over them where it is shown."""
    gazes = itertools.repeat(None, len(track.shown)) if track.gaze is None else track.gaze
    rows = zip(track.shown, fill_gaps(frames), track.photo_to_crop, track.coefficients, gazes, strict=True)
    for shown, frame, crop, coefficients, gaze in rows:
        yield overlay(reconstruct, frame, crop, coefficients, albedo, gaze) if shown else frame


def _print_left_out(track: Track) -> None:
    absent = ~track.shown & ~track.others
    if absent.any():
        print(f"nothing is drawn on {counted(absent.sum(), 'frame')} without a face: {_ranges(absent)}")
    if track.others.any():
        print(
            f"another person is left out, in {counted(track.others.sum(), 'frame')}: {_ranges(track.others)} (give "
            "that person a video of their own)"
        )


def _ranges(frames: np.ndarray) -> str:
    """The numbers of the frames [T] bool that are True, e.g. `3 to 7, 9`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], frames.astype(int), [0]])))
    pairs = [(first, end - 1) for first, end in edges.reshape(-1, 2).tolist()]
    return ", ".join(f"{first} to {last}" if last > first else f"{first}" for first, last in pairs)


def _track_frames(reconstruct: FaceReconstructor, frames: FrameSource, cutoff: float) -> tuple[Track, list[int]]:
    """Tracks the face through the frames; also returns the indices of damaged frames."""
    tracker, damaged = FrameTracker(reconstruct.reader), []

    def photos() -> Iterator[AlignedPhoto | None]:
        for index, frame in enumerate(tqdm(frames, "detect", unit="frame", dynamic_ncols=True)):
            photo = None
            if frame is None:
                damaged.append(index)
            name = f"frame {index}"
            with photo_barrier(functools.partial(report_frame, name)):
                photo = tracker(frame, name)
            yield photo

    return track_face(reconstruct, photos(), frames.frame_rate, cutoff), damaged


def key_records(
    reconstruct: FaceReconstructor, export: Exporter, frames: FrameSource, keys: Mapping[int, Draft]
) -> DiskList[PersonRecord]:
    """Records of key frames, number of the frame -> draft, refined and textured from the full-resolution frames.

    A frame that fails is left out.

    Raises:
      UserError: all of them failed.
    """
    records: DiskList[PersonRecord] = DiskList()
    last = max(keys)
    for index, frame in enumerate(frames):
        if index in keys:
            draft = keys[index]
            assert frame is not None, "a face was found in it"
            with photo_barrier(functools.partial(report_frame, draft.photo.name)):
                result = reconstruct.finish(draft, face_region(frame, draft.photo.alignment, draft.photo.photo_size))
                textures = result.textures if export.textured else None
                records.append(PersonRecord.named(result, textures, result.photo.name))
        if index == last:
            break
    if not len(records):
        raise UserError(
            f"{frames.source}: at least one key frame must be reconstructed, got none of {len(keys)} (for the reasons "
            "above)"
        )
    return records


def write_track(
    output: Path, track: Track, frames: FrameSource, damaged: list[int], more: Mapping[str, object]
) -> None:
    """Writes coefficients.npz, in pixels of the frames' files, and summary.json: numbers of frames, and `more`."""
    arrays = {name: getattr(track, name) for name in ("coefficients", "photo_to_crop", "landmarks", "seen", "shown")}
    arrays["photo_to_crop"] = from_larger(track.photo_to_crop, frames.ratio)
    arrays["landmarks"] = track.landmarks * frames.ratio
    write_npz(output / "coefficients.npz", arrays, compress=True)
    summary = {
        "frames": len(track.seen),
        "frame_rate": frames.frame_rate,
        "damaged": damaged,
        "without_face": np.flatnonzero(~track.shown & ~track.others).tolist(),
        "key_frames": [key.photo.name for key in track.keys.values()],
        **more,
    }
    write_json(output / SUMMARY, summary)
