"""Track of a face through the frames of a video: one identity and albedo; pose, expression and light smoothed."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from lib.errors import UserError
from model.person.estimator import Gallery, PersonEstimator, batches, spread
from model.photos.reader import AlignedPhoto
from model.reconstruction.draft import Draft
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.tracking.frame_place import crop_scales, place_in_frame, translation_in_crop
from model.video.appearances import Appearance, find_appearances, main_person
from model.video.smoothing import smooth, stiffness

# Number of frames from which identity and albedo are estimated.
KEY_FRAMES = 6
SMOOTHED = ("expression", "angles", "light")


class NoFace(UserError):
    """No frame shows a face; the message does not name the video, see `naming`."""


@contextlib.contextmanager
def naming(source: Path) -> Iterator[None]:
    """Context manager that raises UserError, with the name of the video, in place of `NoFace`."""
    try:
        yield
    except NoFace as error:
        raise UserError(f"{source}: {error}") from error


@dataclasses.dataclass(frozen=True)
class Track:
    """A face in T frames.

    Attributes:
      coefficients: [T, K], relative to each frame's crop; identity and albedo are the same in all frames.
      photo_to_crop: [T, 2, 3] transforms to the crops, see `Alignment`; bridged frames use their neighbour's.
      landmarks: [T, 68, 2] pixels of the frame.
      seen: [T] bool, False where the person's face was not found.
      shown: [T] bool, False where the person is not in the picture; where it is True and `seen` is not, the motion is
        bridged. Rows of frames that are not shown are those of the nearest frame.
      others: [T] bool, True where another person was found instead.
      keys: frame -> fitted draft, for the frames from which identity and albedo were estimated.
      gaze: [T, 2] as in `model.gaze`, the last one while the eyes are closed; None if the face model has no eyeballs.
    """

    coefficients: np.ndarray
    photo_to_crop: np.ndarray
    landmarks: np.ndarray
    seen: np.ndarray
    shown: np.ndarray
    others: np.ndarray
    keys: dict[int, Draft]
    gaze: np.ndarray | None


def track_face(
    reconstruct: FaceReconstructor, photos: Iterable[AlignedPhoto | None], frame_rate: float, cutoff: float
) -> Track:
    """Tracks a face through the aligned frames of a video; iterates over them once and stores crops on disk.

    Of several people, the one found in most frames is tracked.

    Args:
      reconstruct: fits and refines the face.
      photos: one for each frame, None where the face was not found.
      frame_rate: Hz.
      cutoff: Hz; faster motion is smoothed away as noise.

    Raises:
      NoFace: no frame shows a face.
    """
    gallery, found, appearances = find_faces(reconstruct, photos)
    own = main_person(appearances)
    frames = np.concatenate([appearance.frames for appearance in own])
    seen, shown = np.zeros([2, len(found)], bool)
    seen[frames] = True
    for appearance in own:
        shown[appearance.span] = True
    drafts = [int(row) for row in np.flatnonzero(seen[found])]  # positions of the person's in the gallery
    estimator = PersonEstimator(reconstruct)
    person = estimate_person(estimator, gallery, drafts)
    rows, transforms, gazes = [], [], []
    own_drafts = (gallery.drafts[index] for index in drafts)
    for batch in batches(tqdm(own_drafts, "fit", total=len(drafts), unit="frame", dynamic_ncols=True)):
        for draft in estimator.fit_with_identity(person.shared, batch):
            rows.append(draft.coefficients)
            transforms.append(draft.photo.alignment.photo_to_crop)
            gazes.append(reconstruct.gaze(draft))
    nearest = nearest_rows(frames, len(seen))
    coefficients, crops = np.stack(rows)[nearest], np.stack(transforms)[nearest]
    gaze = None if reconstruct.pipeline.face_gcn.morphable.eyes is None else held(gazes)[nearest]
    for appearance in own:
        span = appearance.span  # a face jumps from one to the next
        coefficients[span], crops[span] = smooth_track(
            reconstruct, coefficients[span], crops[span], seen[span], stiffness(cutoff, frame_rate)
        )
        if gaze is not None:
            gaze[span] = smooth(gaze[span], seen[span], stiffness(cutoff, frame_rate))
    landmarks = frame_landmarks(reconstruct, coefficients, crops)
    numbers = np.flatnonzero(found).tolist()
    keys = {numbers[row]: draft for row, draft in person.keys.items()}
    return Track(coefficients, crops, landmarks, seen, shown, found & ~seen, keys, gaze)


def nearest_rows(frames: np.ndarray, count: int) -> np.ndarray:
    """For each of `count` frames, [T], the row of the nearest of `frames` [n], which increase; of two, the earlier."""
    after = np.searchsorted(frames, np.arange(count)).clip(1, max(len(frames) - 1, 1))
    later = np.minimum(after, len(frames) - 1)
    return np.where(2 * np.arange(count) > frames[after - 1] + frames[later], later, after - 1)


def held(gazes: Sequence[np.ndarray | None]) -> np.ndarray:
    """[T, 2] gazes of T frames, None where the eyes are closed: then they stay where they were; at first, straight."""
    found = [np.zeros(2)]
    for gaze in gazes:
        found.append(found[-1] if gaze is None else gaze)
    return np.stack(found[1:])


@dataclasses.dataclass(frozen=True)
class TrackedPerson:
    """What all frames of a person share.

    Attributes:
      shared: [K] coefficients; identity and albedo are the person's, the others one frame's.
      keys: position in the gallery -> fitted draft, for the frames from which they were estimated.
    """

    shared: np.ndarray
    keys: dict[int, Draft]


def estimate_person(estimator: PersonEstimator, gallery: Gallery, drafts: list[int]) -> TrackedPerson:
    """Estimates a person from those of the drafts, positions in the gallery, whose poses differ most."""
    layout, keys = estimator.reconstruct.pipeline.face_model.layout, Gallery()
    chosen = [drafts[index] for index in spread(layout.split(gallery.regressed[drafts]).angles, KEY_FRAMES)]
    for draft in estimator.fit_each([gallery.drafts[index] for index in chosen]):
        keys.append(draft)
    shared = estimator.fit_shared(keys)
    fitted = estimator.fit_with_identity(shared, list(keys.drafts))
    return TrackedPerson(shared, dict(zip(chosen, fitted, strict=True)))


def find_faces(
    reconstruct: FaceReconstructor, photos: Iterable[AlignedPhoto | None]
) -> tuple[Gallery, np.ndarray, list[Appearance]]:
    """Initial estimates of all faces, the frames with a face [T] bool, and the appearances; raises NoFace."""
    gallery, found = Gallery(), []
    size = reconstruct.pipeline.identity.embedding_size
    centres, widths, embeddings = [], [], []
    for photo in photos:
        found.append(photo is not None)
        if photo is not None:
            draft = reconstruct.initial_estimate(photo)
            gallery.append(draft)
            centres.append(photo.face.points.mean(axis=0))
            widths.append(photo.face.box[2])
            embeddings.append(np.asarray(draft.embedding)[0, -size:])
    if not centres:
        raise NoFace(f"at least one frame must show a face, got none in {len(found)}")
    frames = np.flatnonzero(found)
    appearances = find_appearances(frames, np.stack(centres), np.array(widths), np.stack(embeddings))
    return gallery, np.array(found), appearances


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
    place = layout.slices["translation"]
    moved = smooth(place_in_frame(camera, result[:, place], crops), weights, stiff)
    result[:, place] = translation_in_crop(camera, moved, crops)
    return result.astype(np.float32), crops


def frame_landmarks(reconstruct: FaceReconstructor, coefficients: np.ndarray, crops: np.ndarray) -> np.ndarray:
    """Landmarks [T, 68, 2] in pixels of the frames, for coefficients [T, K] in crops [T, 2, 3]."""
    pipeline = reconstruct.pipeline
    landmarks = np.concatenate(
        [pipeline.face_gcn.morphable.posed(tf.constant(row[None]), pipeline.camera).landmarks for row in coefficients]
    )
    return (landmarks - crops[:, None, :, 2]) / crop_scales(crops)[:, None]
