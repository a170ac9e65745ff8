"""Track of a face through the frames of a video: one identity and albedo; pose, expression and light smoothed."""

import contextlib
import dataclasses
import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from lib.errors import UserError
from lib.geometry.rotation import rotation_arrays
from model.person.estimator import Gallery, PersonEstimator, batches, fit_apart, spread
from model.photos.errors import failure_reason, photo_barrier
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
      NoFace: no frame shows a face that can be fitted.
    """
    gallery, found, appearances = find_faces(reconstruct, photos)
    own, numbers = main_person(appearances), np.flatnonzero(found)
    frames = np.concatenate([appearance.frames for appearance in own])
    drafts = np.flatnonzero(np.isin(numbers, frames)).tolist()  # positions of the person's in the gallery
    estimator = PersonEstimator(reconstruct)
    person = estimate_person(estimator, gallery, drafts)
    fitted = fit_frames(estimator, person.shared, gallery, drafts)
    found[frames] = [fit is not None for fit in fitted]
    fits, frames = [fit for fit in fitted if fit is not None], frames[found[frames]]
    if not fits:
        raise NoFace(f"at least one frame must show a face that can be fitted, got none in {len(found)}")
    own = [appearance.among(frames) for appearance in own if np.isin(appearance.frames, frames).any()]
    seen, shown = np.zeros([2, len(found)], bool)
    seen[frames] = True
    for appearance in own:
        shown[appearance.span] = True
    coefficients, crops, gaze = smoothed_motion(
        reconstruct, fits, frames, own, len(found), stiffness(cutoff, frame_rate)
    )
    landmarks = frame_landmarks(reconstruct, coefficients, crops)
    keys = {int(numbers[row]): draft for row, draft in person.keys.items()}
    return Track(coefficients, crops, landmarks, seen, shown, found & ~seen, keys, gaze)


class Motion(NamedTuple):
    """Coefficients [T, K], `photo_to_crop` [T, 2, 3] and gaze [T, 2] of T frames, see `Track`."""

    coefficients: np.ndarray
    photo_to_crop: np.ndarray
    gaze: np.ndarray | None


class FittedFrame(NamedTuple):
    """Coefficients [K] of a frame's face, its `photo_to_crop` [2, 3], and its gaze [2], None if it is not known."""

    coefficients: np.ndarray
    photo_to_crop: np.ndarray
    gaze: np.ndarray | None


def fit_frames(
    estimator: PersonEstimator, shared: np.ndarray, gallery: Gallery, drafts: list[int]
) -> list[FittedFrame | None]:
    """Fits the drafts, positions in the gallery, to a person with coefficients `shared` [K].

    Returns:
      One for each draft; None, and a line that says why, in place of those that cannot be fitted.
    """
    fits: list[FittedFrame | None] = []
    own = (gallery.drafts[index] for index in drafts)
    for batch in batches(tqdm(own, "fit", total=len(drafts), unit="frame", dynamic_ncols=True)):
        for draft in _fitted(functools.partial(estimator.fit_with_identity, shared), batch):
            fit = None
            if draft is not None:
                with photo_barrier(functools.partial(report_frame, draft.photo.name)):
                    gaze = estimator.reconstruct.gaze(draft)
                    fit = FittedFrame(draft.coefficients, draft.photo.alignment.photo_to_crop, gaze)
            fits.append(fit)
    return fits


def _fitted(fit: Callable[[list[Draft]], list[Draft]], drafts: list[Draft]) -> list[Draft | None]:
    """Fits drafts of frames; None, and a line that says why, in place of those that cannot be fitted."""
    return fit_apart(fit, drafts, lambda position, error: report_frame(drafts[position].photo.name, error))


def report_frame(name: str, error: Exception) -> None:
    """Prints why a frame could not be used."""
    tqdm.write(f"{name}: left out, {failure_reason(Path(name), error)}", file=sys.stderr)


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
    """Estimates a person from those of the drafts, positions in the gallery, whose poses differ most.

    Raises:
      NoFace: none of them can be fitted.
    """
    layout, keys = estimator.reconstruct.pipeline.face_model.layout, Gallery()
    chosen = [drafts[index] for index in spread(layout.split(gallery.regressed[drafts]).angles, KEY_FRAMES)]
    fitted = dict(zip(chosen, _fitted(estimator.fit_each, [gallery.drafts[index] for index in chosen]), strict=True))
    alone = {index: draft for index, draft in fitted.items() if draft is not None}
    for draft in alone.values():
        keys.append(draft)
    if alone:
        shared = estimator.fit_shared(keys)
        again = _fitted(functools.partial(estimator.fit_with_identity, shared), list(keys.drafts))
        if found := {index: draft for index, draft in zip(alone, again, strict=True) if draft is not None}:
            return TrackedPerson(shared, found)
    raise NoFace(f"at least one key frame must show a face that can be fitted, got none of {len(chosen)}")


def find_faces(
    reconstruct: FaceReconstructor, photos: Iterable[AlignedPhoto | None]
) -> tuple[Gallery, np.ndarray, list[Appearance]]:
    """Initial estimates of all faces, the frames with one [T] bool, and the appearances; raises NoFace."""
    gallery, found = Gallery(), []
    size = reconstruct.pipeline.identity.embedding_size
    centres, widths, embeddings = [], [], []
    for photo in photos:
        draft = None
        if photo is not None:
            with photo_barrier(functools.partial(report_frame, photo.name)):
                draft = reconstruct.initial_estimate(photo)
        found.append(draft is not None)
        if draft is not None:
            gallery.append(draft)
            centres.append(draft.photo.face.points.mean(axis=0))
            widths.append(draft.photo.face.box[2])
            embeddings.append(np.asarray(draft.embedding)[0, -size:])
    if not centres:
        raise NoFace(f"at least one frame must show a face, got none in {len(found)}")
    frames = np.flatnonzero(found)
    appearances = find_appearances(frames, np.stack(centres), np.array(widths), np.stack(embeddings))
    return gallery, np.array(found), appearances


def smoothed_motion(
    reconstruct: FaceReconstructor,
    fits: Sequence[FittedFrame],
    frames: np.ndarray,
    appearances: Sequence[Appearance],
    count: int,
    stiff: float,
) -> Motion:
    """The motion in `count` frames, smoothed in each appearance; frames outside of them repeat the nearest one.

    Args:
      reconstruct: of the fits.
      fits: of the frames with the face.
      frames: [n] their numbers, increasing.
      appearances: of these frames; a face jumps from one to the next.
      count: number of all frames.
      stiff: stiffness, see `model.video.smoothing`.
    """
    nearest, seen = nearest_rows(frames, count), np.zeros(count, bool)
    seen[frames] = True
    coefficients = np.stack([fit.coefficients for fit in fits])[nearest]
    crops = np.stack([fit.photo_to_crop for fit in fits])[nearest]
    eyes = reconstruct.pipeline.face_gcn.morphable.eyes
    gaze = None if eyes is None else held([fit.gaze for fit in fits])[nearest]
    rows = frames[nearest]  # of a frame that is not shown: the nearest frame's
    for span in (appearance.span for appearance in appearances):
        rows[span] = np.arange(span.start, span.stop)
        coefficients[span], crops[span] = smooth_track(reconstruct, coefficients[span], crops[span], seen[span], stiff)
        if gaze is not None:
            gaze[span] = smooth(gaze[span], seen[span], stiff)
    return Motion(coefficients[rows], crops[rows], None if gaze is None else gaze[rows])


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
    model, camera = reconstruct.pipeline.face_model, reconstruct.pipeline.camera
    parts, vertices = model.layout.split(coefficients), model.landmarks
    shapes = model.mean_shape[vertices] + np.tensordot(parts.identity, model.identity_basis[:, vertices], 1)
    shapes = shapes + np.tensordot(parts.expression, model.expression_basis[:, vertices], 1)
    posed = shapes @ rotation_arrays(parts.angles) + parts.translation[:, None]
    landmarks = camera.project(posed).numpy().astype(np.float32)
    return (landmarks - crops[:, None, :, 2]) / crop_scales(crops)[:, None]
