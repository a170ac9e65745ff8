"""Measures the regressor and the identity network on real photos of known people.

python -m benchmarks.real_people --input FOLDER --output FILE.json [section.key=value ...]

FOLDER holds a folder of photos for each person, as the data set Labeled Faces in the Wild does; people with a single
photo count, too. The largest face of each photo is used, without any fit. The file holds:

* landmarks_percent: distance between the 468 points that MediaPipe's network finds and those of the regressed face,
  placed on the detector's five points, in per cent of the outer-eye distance (median over the photos). The regressor is
  trained on synthetic photos only, so this is its gap to real ones;
* shape_auc, albedo_auc: how often two photos of one person have closer regressed shapes (root mean square over the
  front of the face), or albedo coefficients, than two photos of different people;
* identity: verification by the identity network, as in `--mode evaluate`;
* photos, people: their numbers; left_out: the other photos with the reason, such as no face that both networks find.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from scipy.spatial.distance import pdist
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from configs import schema
from lib.errors import UserError
from lib.face_image.photo_io import photo_paths
from lib.face_model.face_model import FaceModel
from lib.files.atomic import atomic_path
from model.metrics.networks import identity_metrics
from model.photos.errors import failure_reason, photo_barrier
from model.reconstruction.draft import mesh_points, rgba
from model.reconstruction.face_reconstructor import FaceReconstructor

FOUND = "prepare.beside=false"  # ignores landmark files beside photos: the detector's points are asked for
# Outer corners of the eyes among the 468 points.
OUTER_EYES = (33, 263)


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, required=True, help="folder with a folder of photos for each person")
    parser.add_argument("--output", type=Path, required=True, help="JSON file of the numbers")
    parser.add_argument("overrides", nargs="*", help="options of the configuration, section.key=value")
    return parser.parse_args(argv)


def photos_of_people(folder: Path) -> list[tuple[str, Path]]:
    """The person and the path of each photo.

    Raises:
      UserError: there are no two people, or nobody has two photos.
    """
    relative = [path.relative_to(folder) for path in photo_paths(folder)]
    people = [(path.parts[0], folder / path) for path in relative if len(path.parts) > 1]
    names = [name for name, _ in people]
    if len(set(names)) < 2 or len(set(names)) == len(names):
        raise UserError(
            f"{folder}: must hold folders of photos of at least two people, one of them with two, got {len(names)} "
            f"photos of {len(set(names))} people"
        )
    return people


def measure_photo(reconstruct: FaceReconstructor, path: Path) -> tuple[float, np.ndarray, np.ndarray]:
    """Landmark error [%], coefficients [K] and identity embedding [E] of a photo.

    Raises:
      UserError: the photo cannot be read, or shows no face.
    """
    photo, _ = reconstruct.reader.read(path)
    found, _ = mesh_points(photo)
    if found is None or reconstruct.mesh is None:
        raise UserError("must show a face with 468 points, got none")
    encoded = reconstruct.pipeline.regress(rgba(photo.rgb, np.ones(photo.rgb.shape[:2], np.float32)))
    placed = reconstruct.place(encoded.coefficients.numpy(), photo.alignment.points)
    camera = reconstruct.pipeline.camera
    face = reconstruct.pipeline.face_gcn.morphable.posed(tf.constant(placed), camera)
    points = camera.project(tf.constant(reconstruct.mesh.on(face.vertices.numpy())))[0].numpy()
    eyes = np.linalg.norm(found[OUTER_EYES[0]] - found[OUTER_EYES[1]])
    error = 100 * np.linalg.norm(points - found, axis=1).mean() / eyes
    return float(error), placed[0], encoded.identity_embedding[0].numpy()


def measure_photos(
    reconstruct: FaceReconstructor, photos: list[tuple[str, Path]]
) -> tuple[list[str], list[tuple[float, np.ndarray, np.ndarray]], dict[str, str]]:
    """Person and measures of each photo, and the photos that cannot be measured: path -> reason."""
    people, rows, left_out = [], [], {}
    for person, path in tqdm(photos, unit="photo"):
        with photo_barrier(lambda error, path=path: left_out.update({str(path): failure_reason(path, error)})):
            rows.append(measure_photo(reconstruct, path))
            people.append(person)
    return people, rows, left_out


def front_map(model: FaceModel) -> np.ndarray:
    """[K, K] matrix after which coefficients are as far apart as their shapes on the front of the face.

    Distances between all pairs of photos take K numbers a photo then, not three for each vertex.
    """
    basis = model.identity_basis[:, model.front_mask].reshape(len(model.identity_basis), -1)
    return np.linalg.qr(basis.T.astype(np.float64), mode="r").T


def summarise(model: FaceModel, names: list[str], rows: list[tuple[float, np.ndarray, np.ndarray]]) -> dict:
    """The measures over all photos, see the module's docstring."""
    errors, coefficients, embeddings = (np.stack(column) for column in zip(*rows, strict=True))
    parts = [model.layout.split(row) for row in coefficients]
    people = np.unique(names, return_inverse=True)[1]
    same = np.concatenate([people[row] == people[row + 1 :] for row in range(len(rows))])

    def auc(values: np.ndarray) -> float:
        return float(roc_auc_score(same, -pdist(values)))

    return {
        "landmarks_percent": float(np.median(errors)),
        "shape_auc": auc(np.stack([part.identity for part in parts]) @ front_map(model)),
        "albedo_auc": auc(np.stack([part.albedo for part in parts])),
        "identity": identity_metrics(embeddings, people),
        "photos": len(rows),
        "people": len(set(names)),
    }


def main(argv=None) -> int:
    arguments = parse_arguments(argv)
    try:
        photos = photos_of_people(arguments.input)
        reconstruct = FaceReconstructor.load(schema.load(overrides=[*arguments.overrides, FOUND]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    people, rows, left_out = measure_photos(reconstruct, photos)
    if len(set(people)) < 2 or len(set(people)) == len(people):
        print(
            f"error: {arguments.input}: two people and two photos of one must be left, got {len(people)} photos of "
            f"{len(set(people))} ({len(left_out)} left out, first {next(iter(left_out.items()), 'none')})",
            file=sys.stderr,
        )
        return 2
    summary = summarise(reconstruct.pipeline.face_model, people, rows) | {"left_out": left_out}
    with atomic_path(arguments.output) as path:
        path.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: value for name, value in summary.items() if name != "left_out"}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
