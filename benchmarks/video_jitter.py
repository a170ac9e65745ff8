"""Measures jitter and lag of a tracked face: python -m benchmarks.video_jitter [--frames 32] [fit.steps=20].

The clip is rendered from the face model at 25 frames per second: the head turns and nods, the expression changes, and
pixels and detected points are noisy. `track_face` is compared with fitting frame by frame, on the 68 landmarks: jitter
is the RMS of the second difference of their error (px of 224), lag the shift in time at which the recovered
trajectories correlate best with the true ones.
"""

import argparse
import math

import numpy as np
import tensorflow as tf

from benchmarks.synthetic_photos import aligned_at
from configs import schema
from lib.mesh_renderer.fragments import interpolate, rasterize
from lib.synthetic.photos import SyntheticFaces
from lib.synthetic.rendering.placement import five_points
from model.person.estimator import batches
from model.pipeline import load_pipeline
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.video.face_track import frame_landmarks, track_face

SEED, FRAME_RATE = 4321, 25.0
LARGEST_LAG = 0.5  # seconds
PIXEL_NOISE, POINT_NOISE = 0.02, 0.7  # RGB in [0, 1]; pixels


def moving_face(layout, start: np.ndarray, count: int) -> np.ndarray:
    """Coefficients [T, K] of a person whose head and expression move smoothly."""
    seconds = np.arange(count)[:, None] / FRAME_RATE
    clip = np.repeat(start[None], count, axis=0)
    wave = np.sin(2 * np.pi * seconds * np.array([0.7, 0.5, 0.4]) + np.array([0.0, 1.0, 2.0]))
    clip[:, layout.slices["angles"]] = wave * np.array([0.1, 0.35, 0.06])
    clip[:, layout.slices["translation"]] = 0.15 * np.sin(2 * np.pi * seconds * np.array([0.6, 0.4, 0.3]))
    clip[:, layout.slices["expression"]] *= 0.5 - 0.5 * np.cos(2 * np.pi * 1.2 * seconds)
    return clip.astype(np.float32)


def jitter(found: np.ndarray, true: np.ndarray) -> float:
    """RMS of the second difference of the error of landmarks [T, 68, 2]."""
    return float(np.sqrt(np.mean(np.sum(np.diff(found - true, n=2, axis=0) ** 2, axis=-1))))


def lag(found: np.ndarray, true: np.ndarray, frame_rate: float, step: float = 0.1) -> tuple[float, bool]:
    """Seconds by which trajectories [T, ...] lag behind the true ones: the shift that correlates best.

    Shifts of up to half a second are tried, in clips of less than four seconds of up to an eighth; none in those of
    fewer than ten frames.

    Returns:
      the lag, not a number if none is tried; and whether it may be larger, because the largest shift correlates best.
    """
    frames, reach = np.arange(len(true)), min(int(LARGEST_LAG * frame_rate), (len(true) - 2) // 8)
    if reach < 1:
        return math.nan, False
    inner = frames[reach + 1 : -reach - 1]
    ours, theirs = found.reshape(len(found), -1), true.reshape(len(true), -1)
    centred = ours[inner] - ours[inner].mean(axis=0)
    shifts = np.arange(-reach, reach + step / 2, step)
    scores = []
    for shift in shifts:
        moved = np.stack([np.interp(inner - shift, frames, column) for column in theirs.T], axis=-1)
        moved -= moved.mean(axis=0)
        scores.append((centred * moved).sum() / np.linalg.norm(centred) / np.linalg.norm(moved))
    best = int(np.argmax(scores))
    return float(shifts[best]) / frame_rate, best in (0, len(shifts) - 1)


def described_lag(found: np.ndarray, true: np.ndarray, frame_rate: float) -> str:
    """`lag` in words."""
    seconds, more = lag(found, true, frame_rate)
    if math.isnan(seconds):
        return "unknown (too few frames)"
    return f"{'at least ' * more}{round(1e3 * seconds):+d} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("overrides", nargs="*", help="section.key=value")
    args = parser.parse_args()
    config = schema.load(overrides=args.overrides)
    pipeline = load_pipeline(config)
    morphable, camera = pipeline.face_gcn.morphable, pipeline.camera
    reconstruct = FaceReconstructor(config, pipeline)
    start = SyntheticFaces(pipeline.face_model, config.data.image_size, SEED).sample(0).coefficients
    true = moving_face(pipeline.face_model.layout, start, args.frames)
    generator = np.random.default_rng(SEED)
    photos, truth = [], []
    for index, row in enumerate(true):
        face = morphable.posed(tf.constant(row[None]), camera)
        fragments = rasterize(camera.clip_coordinates(face.vertices), morphable.triangles, camera.image_size)
        drawn = interpolate(face.albedo * face.shading, morphable.triangles, fragments)[0].numpy()
        drawn = np.where(fragments.mask[0] > 0, drawn, [0.25, 0.35, 0.3])
        drawn = np.clip(drawn + generator.normal(0, PIXEL_NOISE, drawn.shape), 0, 1)
        points = five_points(face.landmarks[0].numpy()) + generator.normal(0, POINT_NOISE, (5, 2))
        frame = np.rint(255 * drawn).astype(np.uint8)
        photos.append(aligned_at(reconstruct.reader, f"frame {index}", frame, points))
        truth.append(face.landmarks[0].numpy())
    truth = np.stack(truth)
    drafts = [reconstruct.initial_estimate(photo) for photo in photos]
    if reconstruct.steps:
        drafts = [draft for batch in batches(drafts) for draft in reconstruct.fit(batch, reconstruct.fitter)]
    crops = np.stack([photo.alignment.photo_to_crop for photo in photos])
    single = frame_landmarks(reconstruct, np.stack([draft.coefficients for draft in drafts]), crops)
    track = track_face(reconstruct, photos, FRAME_RATE, config.test.smoothing)
    for name, found in (("frame by frame", single), ("tracked", track.landmarks)):
        distance = np.linalg.norm(found - truth, axis=-1).mean()
        moved = f"jitter {jitter(found, truth):.3f} px, lag {described_lag(found, truth, FRAME_RATE)}"
        print(f"{name:15s} {moved}, off {distance:.2f} px")


if __name__ == "__main__":
    main()
