"""Speed, delay and accuracy of live tracking: python -m benchmarks.tracking [--input CLIP] [--frames 300] [...].

Without --input, a clip of 480 x 640 pixels is rendered from the configuration's face model: one person who turns, moves
and changes expression, with known truth. The person is taken from the first frames as --mode track does it, and every
frame tracked. The same figures follow for frames as --mode test --video fits them, for fewer frames, because that takes
longer: smoothed over the clip, with knowledge of later frames.

    python -m benchmarks.tracking                                   # 300 frames; rendering them takes minutes
    python -m benchmarks.tracking --input clip.mp4                  # speed and jitter alone
    python -m benchmarks.tracking track.cutoff=3 --compared 0
"""

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.synthetic_clip import FRAME_RATE, Clip, true_gaze
from benchmarks.video_jitter import described_lag, jitter
from configs import schema
from lib.face_model.face_model import FaceModel
from lib.face_model_files.arkit import arkit_weights
from lib.files.numpy_files import read_npz, write_npz
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.tracking.stages import StageTimes
from model.video.face_track import frame_landmarks, track_face
from model.video.frames import FrameSource, FrameTracker, fill_gaps
from model.video.live import first_person, live_tracker
from model.video.video_file import write_video


@dataclasses.dataclass(frozen=True)
class Motion:
    """A face in T frames: coefficients [T, K], 68 landmarks [T, 68, 2] in pixels of the frame, gazes [T, 2] if any."""

    coefficients: np.ndarray
    landmarks: np.ndarray
    gaze: np.ndarray | None

    def some(self, frames: np.ndarray) -> "Motion":
        gaze = None if self.gaze is None else self.gaze[frames]
        return Motion(self.coefficients[frames], self.landmarks[frames], gaze)


def synthetic(model: FaceModel, folder: Path, count: int, seed: int) -> tuple[Path, Motion]:
    """The rendered clip and its truth; both are kept in a folder and used again."""
    clip_path, truth_path = folder / f"clip_{seed}_{count}.mp4", folder / f"clip_{seed}_{count}.npz"
    if not truth_path.is_file():
        clip = Clip(model, seed)
        pictures, rows, landmarks = zip(*(clip.frame(frame) for frame in tqdm(range(count), "render")), strict=True)
        write_video(clip_path, pictures, FRAME_RATE)
        arrays = {"coefficients": np.stack(rows), "landmarks": np.stack(landmarks)}
        write_npz(truth_path, arrays | {"model": np.array(model.fingerprint)})
    stored = read_npz(truth_path)
    if str(stored["model"]) != model.fingerprint:
        raise SystemExit(f"{truth_path}: must be of face model {model.fingerprint}, got {stored['model']} (delete it)")
    return clip_path, Motion(stored["coefficients"], stored["landmarks"], true_gaze(model, count))


def track(config: schema.Config, reconstruct: FaceReconstructor, frames: FrameSource) -> tuple[Motion, np.ndarray]:
    """Tracks a clip and prints the speed; also returns the frames with the face, [T] bool."""
    shared, keys = first_person(reconstruct, frames)
    times, layout = StageTimes(), reconstruct.pipeline.face_model.layout
    tracker = live_tracker(reconstruct, config, shared, list(keys.values()), times)
    rows, crops, gazes, seen = [], [], [], []
    pictures, started, worked = fill_gaps(frames), time.perf_counter(), time.process_time()
    while True:
        with times("read"):
            frame = next(pictures, None)
        if frame is None:
            break
        with times("delay"):
            face = tracker(frame, frames.seconds[len(seen)])
        seen.append(face is not None)
        if face is not None:
            pose = {"expression": face.expression, "angles": face.angles, "translation": face.translation}
            rows.append(layout.join(dataclasses.replace(layout.split(shared), **pose)))
            crops.append(face.photo_to_crop)
            gazes.append(face.gaze)
    elapsed, worked = time.perf_counter() - started, time.process_time() - worked
    print(f"tracked {len(seen)} frames, {sum(seen)} with the face: {len(seen) / elapsed:.1f} frames a second")
    print(f"  processor time {1e3 * worked / len(seen):.1f} ms a frame, however busy the computer is")
    for stage, figures in times.summary().items():
        print(f"  {stage:10s} {figures['median']:6.2f} ms median, {figures['95th_percentile']:6.2f} ms 95th percentile")
    coefficients = np.stack(rows).astype(np.float32)
    gaze = None if gazes[0] is None else np.stack(gazes)
    return Motion(coefficients, frame_landmarks(reconstruct, coefficients, np.stack(crops)), gaze), np.array(seen)


def fit_as_video(
    config: schema.Config, reconstruct: FaceReconstructor, frames: FrameSource, count: int
) -> tuple[Motion, np.ndarray]:
    """The first frames as --mode test --video fits them; prints the time, start and tracing included."""
    tracker, started = FrameTracker(reconstruct.reader), time.perf_counter()
    photos = (tracker(frame, f"frame {index}") for index, frame in zip(range(count), frames, strict=False))
    fitted = track_face(reconstruct, photos, frames.frame_rate, config.test.smoothing)
    elapsed = time.perf_counter() - started
    print(f"fitted {len(fitted.seen)} frames as --mode test --video: {len(fitted.seen) / elapsed:.2f} frames a second")
    gaze = None if fitted.gaze is None else fitted.gaze[fitted.seen]
    return Motion(fitted.coefficients[fitted.seen], fitted.landmarks[fitted.seen], gaze), fitted.seen


def describe(model: FaceModel, found: Motion, true: Motion, seen: np.ndarray) -> None:
    """Prints errors, jitter and delay of the frames `seen` [T]."""
    true = true.some(np.flatnonzero(seen))
    off = np.linalg.norm(found.landmarks - true.landmarks, axis=-1).mean()
    eyes = np.linalg.norm(true.landmarks[:, 36:42].mean(1) - true.landmarks[:, 42:48].mean(1), axis=-1).mean()
    shift, jerk = described_lag(found.landmarks, true.landmarks, FRAME_RATE), jitter(found.landmarks, true.landmarks)
    print(f"  landmarks {off:.2f} px off ({off / eyes:.1%} of the eyes' distance), jitter {jerk:.2f} px")
    print(f"  landmarks lag {shift}")
    ours, theirs = (model.layout.split(motion.coefficients) for motion in (found, true))
    turned = np.degrees(np.abs((ours.angles - ours.angles.mean(0)) - (theirs.angles - theirs.angles.mean(0))))
    print(f"  angles {turned.mean():.2f} degrees off, apart from a constant")
    if found.gaze is not None and true.gaze is not None:
        for column, way in enumerate(("across", "up")):
            looked, wanted = np.degrees(found.gaze[:, column]), np.degrees(true.gaze[:, column])
            alike = np.corrcoef(looked, wanted)[0, 1]
            print(f"  gaze {way} {np.abs(looked - wanted).mean():.1f} degrees off, correlation {alike:.2f}")
    names = list(arkit_weights(model, ours.expression))
    weights, truth = (np.stack(list(arkit_weights(model, part.expression).values()), 1) for part in (ours, theirs))
    active = np.flatnonzero(truth.max(axis=0) > 0.1)
    error, noise = np.abs(weights - truth), np.diff(weights - truth, n=2, axis=0)
    others = np.delete(error, active, axis=1)
    print(f"  weights {error[:, active].mean():.3f} off where the face moves, {others.mean():.3f} elsewhere")
    print(f"  weights jitter {np.sqrt(np.mean(noise**2)):.3f}")
    print(f"  weights lag {described_lag(weights[:, active], truth[:, active], FRAME_RATE)}")
    for place in active:
        alike = np.corrcoef(weights[:, place], truth[:, place])[0, 1]
        print(f"    {names[place]:18s} {error[:, place].mean():.3f} off, correlation {alike:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, help="a video or a folder of frames (default: a synthetic clip)")
    parser.add_argument("--frames", type=int, default=300, help="of the synthetic clip")
    parser.add_argument("--seed", type=int, default=5, help="of the synthetic person")
    parser.add_argument("--clips", type=Path, help="folder that keeps synthetic clips (default: none are kept)")
    parser.add_argument("--compared", type=int, default=48, help="frames to fit as --mode test --video does; 0: none")
    parser.add_argument("--config", type=Path)
    parser.add_argument("overrides", nargs="*", help="section.key=value")
    args = parser.parse_args()
    config = schema.load(args.config, args.overrides)
    reconstruct = FaceReconstructor.load(config)
    model = reconstruct.pipeline.face_model
    with tempfile.TemporaryDirectory() as folder:
        path, true = args.input, None
        if path is None:
            path, true = synthetic(model, args.clips or Path(folder), args.frames, args.seed)
        frames = FrameSource(path, FRAME_RATE)
        found, seen = track(config, reconstruct, frames)
        if true is None:
            print(f"  jitter {jitter(found.landmarks, np.zeros_like(found.landmarks)):.2f} px, motion included")
            return
        describe(model, found, true, seen)
        if compared := min(args.compared, len(seen)):
            fitted, fitted_seen = fit_as_video(config, reconstruct, frames, compared)
            describe(model, fitted, true.some(np.arange(compared)), fitted_seen)
            print(f"tracked, the same {compared} frames:")
            first = np.arange(len(seen)) < compared
            describe(model, found.some(first[seen]), true.some(first), seen[first])


if __name__ == "__main__":
    main()
