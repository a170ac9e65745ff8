"""Identity from four photos against one: python -m benchmarks.same_person [--people 12].

Shows fresh synthetic people (hair, occluders and the camera's faults included), four photos each, at the points a
detector would find, and measures how far vertices of the front of the face lie from the true identity (mm, without
expression and pose): regressed and fitted photo by photo, as the robust mean of those (of the fitted ones: what
--same-person does), and from one energy over all four photos.
"""

import argparse

import numpy as np

from configs import schema
from lib.face_image.detection import Face
from lib.synthetic.photos import SyntheticFaces
from model import components
from model.fitting_groups import share
from model.person import person_fitter, share_drafts
from model.reconstruction import Reconstructor

SEED = 4321  # neither the data's, nor the pre-training's, nor the evaluation's
PER_PERSON = 4
MM = 100.0  # per decimetre


def identity_error(face_model, found: np.ndarray, true: np.ndarray) -> float:
    """Mean distance in mm of the vertices of the front, identity coefficients alone."""
    part = face_model.layout.slices["identity"]
    offsets = np.tensordot(found[part] - true[part], face_model.identity_basis[:, face_model.front_mask], 1)
    return MM * float(np.linalg.norm(offsets, axis=-1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=12)
    parser.add_argument("overrides", nargs="*", help="section.key=value")
    args = parser.parse_args()
    config = schema.load(overrides=args.overrides)
    parts = components.load(config)
    layout, model = parts.face_model.layout, parts.face_model
    reconstruct = Reconstructor.of(config, parts)
    fitter = person_fitter(reconstruct, frozen=False)
    faces = SyntheticFaces(model, config.data.image_size, SEED)
    errors: dict[str, list[float]] = {}
    for person in range(args.people):
        samples = [faces.sample(PER_PERSON * person + photo) for photo in range(PER_PERSON)]
        true = samples[0].coefficients
        drafts = [
            reconstruct.guess(
                reconstruct.reader.aligned(f"{index}", face.image, Face(np.zeros(4), face.five_points, 1.0))
            )
            for index, face in enumerate(samples)
        ]
        regressed = np.stack([draft.coefficients for draft in drafts])
        fitted = np.stack([reconstruct.fit([draft], reconstruct.fitter)[0].coefficients for draft in drafts])
        joint = reconstruct.fit(share_drafts(reconstruct, drafts), fitter)[0].coefficients
        rows = {
            "mean face": [np.zeros_like(true)],
            "regressed, one photo": regressed,
            "fitted, one photo": fitted,
            "regressed, robust mean": share(layout, regressed)[:1],
            "fitted, robust mean": share(layout, fitted)[:1],
            "joint fit": [joint],
        }
        for name, found in rows.items():
            errors.setdefault(name, []).append(np.mean([identity_error(model, row, true) for row in found]))
        print(
            f"person {person}: " + ", ".join(f"{name} {values[-1]:.2f}" for name, values in errors.items()), flush=True
        )
    single = np.mean(errors["fitted, one photo"])
    for name, values in errors.items():
        print(
            f"{name:24s} {np.mean(values):.3f} mm, {100 * (np.mean(values) / single - 1):+.1f} % of fitted, one photo"
        )


if __name__ == "__main__":
    main()
