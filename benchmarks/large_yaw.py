"""Measures fits of faces at large yaw.

python -m benchmarks.large_yaw [--config FILE.yaml] [--faces 24] [--starts] [--speed] [section.key=value ...]

The photos are new synthetic ones with 45 to 75 degrees of yaw, aligned at the points a detector would find. Measures
are the angle between true and fitted rotation, the distance of the 68 landmarks (px of 224), and the share of faces
beyond 10 degrees or 8 px. `--starts` fits from the placed regressor and from 25 degrees of yaw to both sides of it, and
keeps the fit with the lowest energy. `--speed` prints seconds per photo, alone and in a batch.
"""

import argparse
import dataclasses
import time
from unittest import mock

import numpy as np
import tensorflow as tf

from benchmarks.synthetic_photos import aligned_photo
from configs import schema
from lib.geometry.rotation import rotation_matrix
from lib.synthetic import photos
from model.person.estimator import BATCH, batches
from model.pipeline import load_pipeline
from model.reconstruction.draft import Draft
from model.reconstruction.face_reconstructor import FaceReconstructor

SEED = 555
YAW = (45.0, 75.0)  # degrees, to either side
OTHER_STARTS = (-25.0, 25.0)  # degrees
FAILED_DEGREES, FAILED_PIXELS = 10.0, 8.0


def turned_faces(config: schema.Config, face_model, count: int) -> list[photos.SyntheticFace]:
    """Photos of `count` people with heads at large yaw."""
    sample_moment = photos.sample_moment

    def turned_moment(generator, model, person):
        moment = sample_moment(generator, model, person)
        angles = np.array(moment.angles)
        angles[1] = np.radians(generator.uniform(*YAW)) * generator.choice([-1, 1])
        return dataclasses.replace(moment, angles=angles)

    with mock.patch.object(photos, "sample_moment", turned_moment):
        faces = photos.SyntheticFaces(face_model, config.data.image_size, SEED)
        return [faces.sample(faces.settings.photos_per_identity * person) for person in range(count)]


def describe(reconstruct: FaceReconstructor, found: np.ndarray, faces: list[photos.SyntheticFace]) -> str:
    """Errors of coefficients [S, K]."""
    pipeline = reconstruct.pipeline
    angles = pipeline.face_model.layout.slices["angles"]
    true = np.stack([face.coefficients for face in faces])
    ours, theirs = (rotation_matrix(tf.constant(rows[:, angles])).numpy() for rows in (found, true))
    cosine = (np.einsum("bij,bij->b", ours, theirs) - 1) / 2
    degrees = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    landmarks = pipeline.face_gcn.morphable.posed(tf.constant(found), pipeline.camera).landmarks.numpy()
    pixels = np.linalg.norm(landmarks - np.stack([face.landmarks for face in faces]), axis=-1).mean(axis=1)
    failed = (degrees > FAILED_DEGREES) | (pixels > FAILED_PIXELS)
    return (
        f"rotation {degrees.mean():.2f} +- {_standard_error(degrees):.2f} degrees, landmarks {pixels.mean():.2f} +- "
        f"{_standard_error(pixels):.2f} px, failed {100 * failed.mean():.0f} %"
    )


def fitted_with_energy(reconstruct: FaceReconstructor, drafts: list[Draft], starts: list[Draft]):
    """Coefficients [S, K] fitted from `starts`, and energies [S] against what `drafts` show."""
    fitted = [draft for batch in batches(starts) for draft in reconstruct.fit(batch, reconstruct.fitter)]
    fitter, energies = reconstruct.fitter, []
    for draft, start in zip(fitted, drafts, strict=True):
        targets = reconstruct.targets([dataclasses.replace(start, alpha=draft.alpha)], start.regressed[None])
        result = fitter.fit(targets, draft.coefficients[None], 1, settled=True)
        energies.append(sum(float(term[0]) for term in result.energies.values()))
    return np.stack([draft.coefficients for draft in fitted]), np.array(energies)


def with_yaw(reconstruct: FaceReconstructor, draft: Draft, degrees: float) -> Draft:
    """Turns a draft by additional degrees of yaw."""
    layout = reconstruct.pipeline.face_model.layout
    coefficients = np.array(draft.coefficients)
    coefficients[layout.slices["angles"].start + 1] += np.radians(degrees)
    return dataclasses.replace(draft, coefficients=coefficients)


def print_speed(reconstruct: FaceReconstructor, drafts: list[Draft]) -> None:
    """Prints the seconds of test mode's fit per photo, by batch size up to the number of drafts, after a first call."""
    for size in (size for size in (1, 2, 4, BATCH) if size <= len(drafts)):
        reconstruct.fit(drafts[:size], reconstruct.fitter)
        wall, processor = time.perf_counter(), time.process_time()
        reconstruct.fit(drafts[:size], reconstruct.fitter)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        print(f"batch of {size}: {wall / size:.2f} s a photo, processor {processor / size:.2f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=24)
    parser.add_argument("--starts", action="store_true")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--config", help="configuration (default: configs/default.yaml)")
    parser.add_argument("overrides", nargs="*", help="section.key=value")
    args = parser.parse_args()
    config = schema.load(args.config, args.overrides)
    pipeline = load_pipeline(config)
    reconstruct = FaceReconstructor(config, pipeline)
    faces = turned_faces(config, pipeline.face_model, args.faces)
    drafts = [
        reconstruct.initial_estimate(aligned_photo(reconstruct.reader, f"{i}", face)) for i, face in enumerate(faces)
    ]
    print("regressed, placed", describe(reconstruct, np.stack([draft.coefficients for draft in drafts]), faces))
    fits = [fitted_with_energy(reconstruct, drafts, drafts)]
    print("fitted           ", describe(reconstruct, fits[0][0], faces), flush=True)
    if args.starts:
        for degrees in OTHER_STARTS:
            starts = [with_yaw(reconstruct, draft, degrees) for draft in drafts]
            fits.append(fitted_with_energy(reconstruct, drafts, starts))
            print(f"from {degrees:+.0f} degrees ", describe(reconstruct, fits[-1][0], faces), flush=True)
        energies = np.stack([energy for _, energy in fits])
        best = energies.argmin(axis=0)
        chosen = np.stack([fits[start][0][row] for row, start in enumerate(best)])
        print("lowest energy    ", describe(reconstruct, chosen, faces), f"({(best > 0).sum()} of another start)")
    if args.speed:
        print_speed(reconstruct, drafts)


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


if __name__ == "__main__":
    main()
