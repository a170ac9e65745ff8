"""Compares identity from several photos and from one: python -m benchmarks.same_person [--people 12] [--photos 4].

Renders new synthetic people (including hair, occluders and camera artefacts), by default with four photos each, aligned
at the points a detector would find. After each stage of --same-person, the last of which is `together`, it measures the
distance of the front's vertices from the true identity (mm, without expression and pose) in three ways: without
alignment; after rigid alignment, as in --mode evaluate; and after alignment with scale, as in benchmarks of methods
that cannot know a face's size. Alignment matters because identities also differ in size and position, and a photo does
not separate a head's size from its distance. Differences between stages are paired, person by person.
"""

import argparse

import numpy as np

from benchmarks.synthetic_photos import aligned_photo
from configs import schema
from lib.face_model.face_model import FaceModel
from lib.geometry.lengths import MILLIMETRES
from lib.synthetic.photos import PhotoSettings, SyntheticFaces
from model.fitting.person import with_shared_mean
from model.metrics.shape import aligned_distance
from model.person.estimator import Gallery, PersonEstimator, batches
from model.pipeline import load_pipeline
from model.reconstruction.face_reconstructor import FaceReconstructor

SEED = 4321  # differs from the seeds of data, pre-training and evaluation
ALIGNMENTS = ("as it is", "rigid", "with scale")
SINGLE = "fitted, one photo"


def identity_errors(face_model: FaceModel, found: np.ndarray, true: np.ndarray) -> list[float]:
    """Mean distances [mm] of the front's vertices between identities [Ki], in the order of ALIGNMENTS."""
    front = face_model.front_mask
    ours, theirs = (
        face_model.mean_shape[front] + np.tensordot(identity, face_model.identity_basis[:, front], 1)
        for identity in (found, true)
    )
    plain = MILLIMETRES * float(np.linalg.norm(ours - theirs, axis=-1).mean())
    return [plain, aligned_distance(ours, theirs), aligned_distance(ours, theirs, scaled=True)]


def stages(reconstruct: FaceReconstructor, estimator: PersonEstimator, samples) -> dict[str, np.ndarray]:
    """Estimates of a person after each stage: name -> coefficients [S, K], whose errors are averaged over S."""
    layout = reconstruct.pipeline.face_model.layout
    drafts = [
        reconstruct.initial_estimate(aligned_photo(reconstruct.reader, f"{i}", face)) for i, face in enumerate(samples)
    ]
    gallery = Gallery()
    for batch in batches(drafts):
        for draft in estimator.fit_each(batch):
            gallery.append(draft)
    return {
        "mean face": np.zeros([1, layout.size]),
        "regressed, one photo": gallery.regressed,
        SINGLE: gallery.coefficients,
        "regressed, robust mean": with_shared_mean(layout, gallery.regressed)[:1],
        "fitted, robust mean": with_shared_mean(layout, gallery.coefficients)[:1],
        "together": estimator.fit_shared(gallery)[None],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=12)
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("overrides", nargs="*", help="section.key=value")
    args = parser.parse_args()
    config = schema.load(overrides=args.overrides)
    pipeline = load_pipeline(config)
    model = pipeline.face_model
    reconstruct = FaceReconstructor(config, pipeline)
    estimator = PersonEstimator(reconstruct)
    faces = SyntheticFaces(model, config.data.image_size, args.seed, PhotoSettings(photos_per_identity=args.photos))
    part = model.layout.slices["identity"]
    errors: dict[str, list[np.ndarray]] = {}
    for person in range(args.people):
        samples = [faces.sample(args.photos * person + photo) for photo in range(args.photos)]
        true = samples[0].coefficients[part]
        for name, found in stages(reconstruct, estimator, samples).items():
            rows = [identity_errors(model, row[part], true) for row in found]
            errors.setdefault(name, []).append(np.mean(rows, axis=0))
        print(
            f"person {person}: " + ", ".join(f"{name} {rows[-1][0]:.2f}" for name, rows in errors.items()), flush=True
        )
    measured = {name: np.array(rows) for name, rows in errors.items()}
    print(f"{args.people} people, {args.photos} photos each; mm, +- standard error; change against {SINGLE}")
    for name, rows in measured.items():
        cells = []
        for column, kind in enumerate(ALIGNMENTS):
            single, ours = measured[SINGLE][:, column], rows[:, column]
            change = 100 * (ours - single) / single.mean()
            cells.append(
                f"{kind} {ours.mean():.3f} +- {standard_error(ours):.3f} ({change.mean():+.1f} +- "
                f"{standard_error(change):.1f} %)"
            )
        print(f"{name:24s} " + "   ".join(cells))


def standard_error(values: np.ndarray) -> float:
    """Standard error of the mean of values [S]."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))


if __name__ == "__main__":
    main()
