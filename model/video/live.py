"""--mode track: tracks the face of a video frame by frame, as if it came from a camera."""

import dataclasses
import functools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from configs import schema
from lib.messages import counted
from lib.runtime.interruption import DeferredStop, advised
from model.person.estimator import PersonEstimator
from model.person.files import PERSON_FOLDER, check_person, remove_person, write_person
from model.photos.errors import photo_barrier
from model.photos.reader import AlignedPhoto
from model.reconstruction.draft import Draft
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.tracking.face_points import FacePoints
from model.tracking.newcomer import Newcomer
from model.tracking.stages import StageTimes
from model.tracking.tracker import FaceTracker, TrackedFace
from model.video.animation import write_animated_rig
from model.video.appearances import main_person
from model.video.face_track import (
    KEY_FRAMES,
    NoFace,
    Track,
    estimate_person,
    find_faces,
    frame_landmarks,
    held,
    naming,
    report_frame,
)
from model.video.frame_tables import FrameTables, frame_tables
from model.video.frames import FrameSource, FrameTracker
from model.video.outputs import OVERLAY, check_replaceable, remove_earlier, some_of
from model.video.track import drawn, key_records, write_track
from model.video.video_file import write_video

# Time between the frames from which the person is estimated, seconds.
KEY_SECONDS = 0.25


@advised(lambda: "the same command starts again with the first frame")
def track_video(config: schema.Config, source: Path, output: Path) -> None:
    """Tracks the face of a video.

    The person is reconstructed from the first frames that show a face. Then, each frame's pose and expression are in
    pose.csv and arkit.csv before the next frame is read. Afterwards follow coefficients.npz (arrays of `Track`),
    summary.json with the speed, the animated rig if the export formats include rigs, and overlay.mp4.

    Args:
      config: the effective configuration.
      source: a video that OpenCV can read, or a folder of frames, ordered by name.
      output: folder for the results.

    Raises:
      UserError: no frame can be read or none shows a face; the video changes meanwhile; or `output` holds a file that
        is not of an earlier run.
      Interrupted: told to stop; everything but overlay.mp4 is there for the frames tracked until then.
    """
    check_replaceable(source, output)
    check_person(output / PERSON_FOLDER)
    frames = FrameSource(source, config.test.frame_rate, output)
    reconstruct = FaceReconstructor.load(config)
    export = reconstruct.export  # a face model that cannot have rigs is refused before the work
    with naming(source):
        shared, keys = first_person(reconstruct, frames)
    remove_earlier(output)
    remove_person(output / PERSON_FOLDER)
    skin = write_person(output / PERSON_FOLDER, reconstruct, export, key_records(reconstruct, export, frames, keys))
    times, model, camera = StageTimes(), reconstruct.pipeline.face_model, reconstruct.pipeline.camera
    tracker = live_tracker(reconstruct, config, shared, list(keys.values()), times)
    with DeferredStop() as stop:
        started = time.perf_counter()
        with frame_tables(output, model, camera) as tables:
            faces, damaged = _track_frames(tracker, frames, tables, times, stop)
        elapsed = time.perf_counter() - started
        if stop.requested and not any(faces):
            raise stop.interruption("no frame was tracked before")
        with naming(source):
            track = _joined(reconstruct, shared, faces, keys)
        speed = {"frames_per_second": round(len(faces) / elapsed, 2), "milliseconds": times.summary()}
        write_track(output, track, frames, damaged, speed)
        write_animated_rig(output, export, skin, track.coefficients, track.gaze, frames.seconds[: len(faces)])
    if stop.requested:
        raise stop.interruption(f"the first {len(faces)} frames are in {output}, without overlay.mp4")
    with advised(lambda: f"everything but overlay.mp4 is in {output}"):
        write_video(output / OVERLAY, drawn(reconstruct, frames, track, skin.albedo), frames.frame_rate)
    lost = some_of(int(np.sum(~track.seen)), "without the face", len(damaged))
    print(f"{counted(len(faces), 'frame')}, {speed['frames_per_second']} a second, {lost}; results in {output}")


def _joined(
    reconstruct: FaceReconstructor, shared: np.ndarray, faces: Sequence[TrackedFace | None], keys: dict[int, Draft]
) -> Track:
    """The tracked frames as arrays; frames without the face repeat the last one with it, or the first.

    Raises:
      NoFace: no frame shows the face.
    """
    seen = np.array([face is not None for face in faces], bool)
    known = np.flatnonzero(seen)
    if not len(known):
        raise NoFace(f"at least one frame must show a face that can be tracked, got none in {len(faces)}")
    layout = reconstruct.pipeline.face_model.layout
    rows, crops, gazes = [], [], []
    for row in np.maximum(np.searchsorted(known, np.arange(len(faces)), "right") - 1, 0):
        face = faces[known[row]]
        assert face is not None
        pose = {"expression": face.expression, "angles": face.angles, "translation": face.translation}
        rows.append(layout.join(dataclasses.replace(layout.split(shared), **pose)))
        crops.append(face.photo_to_crop)
        gazes.append(face.gaze)
    coefficients, transforms = np.stack(rows).astype(np.float32), np.stack(crops)
    landmarks = frame_landmarks(reconstruct, coefficients, transforms)
    gaze = None if reconstruct.pipeline.face_gcn.morphable.eyes is None else held(gazes)
    return Track(coefficients, transforms, landmarks, seen, seen, np.zeros_like(seen), keys, gaze)


def live_tracker(
    reconstruct: FaceReconstructor,
    config: schema.Config,
    shared: np.ndarray,
    drafts: Sequence[Draft],
    times: StageTimes,
) -> FaceTracker:
    """Tracker of the person with coefficients `shared` [K], who was fitted to drafts of some frames.

    It tracks the identity that the landmarks of these frames see, so that brows and lips are at rest where they are.
    """
    assert reconstruct.mesh is not None, "fit.landmarks is true"
    model, camera = reconstruct.pipeline.face_model, reconstruct.pipeline.camera
    reconstructed = model.layout.split(shared).identity
    person = Newcomer(model, camera, reconstruct.mesh, reconstruct.weights, reconstructed)
    for draft in drafts:
        if draft.mesh is not None:
            person.add(draft.mesh)
    return FaceTracker(
        FacePoints(config.test.min_confidence),
        model,
        person.identity(),
        camera,
        reconstruct.mesh,
        reconstruct.weights,
        config.track.cutoff,
        times,
    )


def first_person(reconstruct: FaceReconstructor, frames: FrameSource) -> tuple[np.ndarray, dict[int, Draft]]:
    """Coefficients [K] of the person in the first frames with a face, and those frames: number -> fitted draft.

    Identity and albedo are the person's, the light is the mean of the frames', pose and expression are one frame's.

    Raises:
      NoFace: no frame shows a face.
    """
    layout = reconstruct.pipeline.face_model.layout
    numbers: list[int] = []
    gallery, found, appearances = find_faces(reconstruct, _first_photos(reconstruct, frames, numbers))
    own = np.concatenate([appearance.frames for appearance in main_person(appearances)])
    samples = np.flatnonzero(found)
    person = estimate_person(PersonEstimator(reconstruct), gallery, np.flatnonzero(np.isin(samples, own)).tolist())
    rows = np.stack([draft.coefficients for draft in person.keys.values()])
    parts = dataclasses.replace(layout.split(person.shared), light=layout.split(rows).light.mean(axis=0))
    keys = {numbers[samples[row]]: draft for row, draft in person.keys.items()}
    return layout.join(parts).astype(np.float32), keys


def _first_photos(
    reconstruct: FaceReconstructor, frames: FrameSource, numbers: list[int]
) -> Iterator[AlignedPhoto | None]:
    """Frames until `KEY_FRAMES` show a face, None without one: all until the first face, then `KEY_SECONDS` apart.

    Args:
      reconstruct: reads the photos.
      frames: the video.
      numbers: receives the number of each of these frames.
    """
    tracker, count, following = FrameTracker(reconstruct.reader), 0, 0
    step = max(1, round(KEY_SECONDS * frames.frame_rate))
    for index, frame in enumerate(tqdm(frames, "first frames", unit="frame", dynamic_ncols=True)):
        if index < following:
            continue
        photo = None
        name = f"frame {index}"
        with photo_barrier(functools.partial(report_frame, name)):
            photo = tracker(frame, name)
        numbers.append(index)
        yield photo
        count += photo is not None
        if count == KEY_FRAMES:
            return
        following = index + (step if count else 1)


def _track_frames(
    tracker: FaceTracker, frames: FrameSource, tables: FrameTables, times: StageTimes, stop: DeferredStop
) -> tuple[list[TrackedFace | None], list[int]]:
    """The face in every frame until the end or the order to stop, and the numbers of damaged frames."""
    faces: list[TrackedFace | None] = []
    damaged: list[int] = []
    end = object()
    rest = iter(tqdm(frames, "track", unit="frame", dynamic_ncols=True))
    while not stop.requested:
        with times("read"):
            frame = next(rest, end)
        if frame is end:
            break
        seconds = frames.seconds[len(faces)]
        with times("delay"):
            face = None
            if isinstance(frame, np.ndarray):
                with photo_barrier(functools.partial(report_frame, f"frame {len(faces)}")):
                    face = tracker(frame, seconds)
            else:
                damaged.append(len(faces))
            with times("write"):
                tables.add(None if face is None else face.in_larger(frames.ratio), seconds)
        faces.append(face)
    return faces, damaged
