"""Runs a face detector trained on real photos on synthetic ones; measures detection rate and errors of its points.

python -m benchmarks.detector_check --count 500
python -m benchmarks.detector_check --count 300 --min-yaw 30 --yaw 60
python -m benchmarks.detector_check --count 100 --controls
python -m benchmarks.detector_check --count 60 --controls face_model.source=data/ict/FaceXModel

A detection rate alone proves little: the detector also responds to features painted on a smooth egg, and to features in
shape with uniform colour. The controls measure both effects. They remove each face's features in shape (an egg of the
same size), in albedo (the mean colour of the skin), or in both; head, hair, light and background stay. With both
removed, the detector must find less than 5 % of the faces; otherwise it responds to the surroundings, and the exit code
is 1. The controls show no glasses, hands or strands of hair, because these are features as well.
"""

import argparse
import dataclasses
import itertools
import sys
from collections.abc import Iterator

import numpy as np

from configs import schema
from lib.face_model.face_model import FaceModel
from lib.synthetic.appearance.canonical import REGIONS
from lib.synthetic.photos import PhotoSettings, SyntheticFace, SyntheticFaces
from lib.synthetic.rendering.placement import five_points
from lib.synthetic.rendering.shadows import averaging
from model.evaluation.detector import find_face, summary
from model.face_model_source import load_face_model

EGG_DEGREE = 3  # degree of the polynomial in the direction that gives an egg's radius
FEATURELESS = 0.05  # share of faces without features that may be found
UNFOLDING = 300  # rounds of averaging, enough to remove all creases


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    model = load_face_model(schema.load(overrides=args.overrides))
    if args.controls:
        print(f"{args.count} faces each, yaw {args.min_yaw:g} to {args.yaw:g} degrees, no occluders")
        for name, face_model, detail in (
            ("everything", model, True),
            ("flat albedo", flat_albedo(model), False),
            ("featureless shape", featureless_shape(model), True),
            ("featureless shape, flat albedo", flat_albedo(featureless_shape(model, UNFOLDING)), False),
        ):
            settings = PhotoSettings(photos_per_identity=1, detail=detail, occluders=False)
            findings = check(face_model, settings, args)[1]
            print(f"{name}: {describe(findings)}", flush=True)
        return 1 if summary(findings)["found"] >= FEATURELESS else 0  # the last ones have no features
    indices, findings = check(model, PhotoSettings(photos_per_identity=1), args)
    print(f"yaw {args.min_yaw:g} to {args.yaw:g} degrees: {describe(findings)}")
    errors = np.array([finding.errors for finding in findings if finding is not None])
    if len(errors):
        means = errors.mean(axis=1)
        print(f"median {np.median(means):.1f}, 90th percentile {np.percentile(means, 90):.1f}")
        names = ("eye left", "eye right", "nose", "mouth left", "mouth right")
        print(", ".join(f"{name} {value:.1f}" for name, value in zip(names, errors.mean(axis=0), strict=True)))
    if args.show_missed:
        print("not found:", *[i for i, finding in zip(indices, findings, strict=True) if finding is None])
    return 0


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500, help="number of photos within the limits of yaw")
    parser.add_argument("--yaw", type=float, default=30.0, help="largest yaw in degrees")
    parser.add_argument("--min-yaw", type=float, default=0.0, help="smallest yaw in degrees")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--refine", action="store_true", help="run the detector's second pass, as for real photos")
    parser.add_argument("--show-missed", action="store_true", help="print the indices of faces not found")
    parser.add_argument("--controls", action="store_true", help="use faces without features in shape, albedo or both")
    parser.add_argument("overrides", nargs="*", help="section.key=value, for another face model")
    args = parser.parse_args(argv)
    if not 0 <= args.min_yaw < args.yaw <= 60 or args.count < 1:
        parser.error(
            f"must be 0 <= --min-yaw < --yaw <= 60 and --count at least 1, got {args.min_yaw:g}, {args.yaw:g} and "
            f"{args.count}"
        )
    return args


def check(model: FaceModel, settings: PhotoSettings, args: argparse.Namespace) -> tuple[list[int], list]:
    """Indices of the first photos within the limits of yaw, and the detector's findings."""
    photos = itertools.islice(photos_within(model, settings, args), args.count)
    shown = [(i, find_face(face.image, five_points(face.landmarks), args.refine)) for i, face in photos]
    return [i for i, _ in shown], [finding for _, finding in shown]


def photos_within(
    model: FaceModel, settings: PhotoSettings, args: argparse.Namespace
) -> Iterator[tuple[int, SyntheticFace]]:
    """All photos within the limits of yaw, with their indices."""
    faces = SyntheticFaces(model, args.size, args.seed, settings)
    for index in itertools.count():
        face = faces.sample(index)
        yaw = abs(np.degrees(model.layout.split(face.coefficients).angles[1]))
        if args.min_yaw <= yaw <= args.yaw:
            yield index, face


def describe(findings: list) -> str:
    """Formats a `summary` as one line."""
    found = summary(findings)
    line = f"found {found['found']:.1%} of {found['faces']}, {found['sure']:.1%} with a confidence above 0.99"
    if found["points_percent"] is None:
        return line
    return f"{line}; five points off by {found['points_percent']:.1f} % of the distance between the eyes"


def flat_albedo(model: FaceModel) -> FaceModel:
    """Copy of the model whose faces have one colour, that of their skin."""
    skin = model.skin_mask & model.front_mask

    def flat(albedo: np.ndarray) -> np.ndarray:
        return np.broadcast_to(albedo[..., skin, :].mean(axis=-2, keepdims=True), albedo.shape).copy()

    # Explicitly empty regions: with the default ones, eyes would still get a glint.
    return dataclasses.replace(
        model,
        mean_albedo=flat(model.mean_albedo),
        albedo_basis=flat(model.albedo_basis),
        regions={name: np.zeros(model.vertex_count) for name in REGIONS},
    )


def featureless_shape(model: FaceModel, unfolding: int = 0) -> FaceModel:
    """Copy of the model whose shapes are eggs without expressions; the radius is a low polynomial of the direction.

    Args:
      model: the model.
      unfolding: rounds of averaging. Eyelids and lips are folds that become creases on an egg; averaging smooths them
        out, but also widens the texture painted on them.
    """
    points = model.mean_shape.astype(np.float64)
    middle = np.array([0.0, points[:, 1].mean(), points[:, 2].min()])
    radius, terms = _egg_terms(points - middle)
    weights = np.linalg.lstsq(terms, radius, rcond=None)[0]
    neighbours = averaging(model.triangles, model.vertex_count)
    inner = np.ones((len(points), 1))
    inner[border_vertices(model.triangles)] = 0
    for round_ in range(unfolding + 1):
        if round_:
            points += inner * (neighbours @ points - points)
        radius, terms = _egg_terms(points - middle)
        points = middle + (points - middle) / radius * (terms @ weights)
    return dataclasses.replace(
        model,
        mean_shape=points - points.mean(axis=0),
        identity_basis=np.zeros_like(model.identity_basis),
        expression_basis=np.zeros_like(model.expression_basis),
    )


def _egg_terms(offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lengths [N, 1] of offsets [N, 3] and the polynomial's terms [N, T] of their directions."""
    length = np.linalg.norm(offsets, axis=1, keepdims=True)
    direction = offsets / np.maximum(length, 1e-9)
    powers = [p for p in itertools.product(range(EGG_DEGREE + 1), repeat=3) if sum(p) <= EGG_DEGREE]
    return length, np.stack([np.prod(direction**p, axis=1) for p in powers], axis=1)


def border_vertices(triangles: np.ndarray) -> np.ndarray:
    """Vertices of edges that belong to only one triangle."""
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    return np.unique(unique[count == 1])


if __name__ == "__main__":
    sys.exit(main())
