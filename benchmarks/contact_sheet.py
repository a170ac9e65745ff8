"""Renders contact sheets of random people of the configuration's face model.

python -m benchmarks.contact_sheet                                     # synthetic photos: docs/faces.jpg
python -m benchmarks.contact_sheet --bare --count 24 --output docs/shapes.jpg face_model.area=head   # neutral shapes
python -m benchmarks.contact_sheet --bare --scans FILE.npz --output FILE.jpg

With --scans, a model made from scans (arrays as for benchmarks.scanned_faces), every second row shows its people.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from configs import schema
from lib.face_model.face_model import FaceModel
from lib.files.atomic import atomic_path
from lib.geometry.normals import incident_triangles, vertex_normals
from lib.geometry.rotation import rotation_matrix
from lib.images.contact_sheet import contact_sheet
from lib.mesh_renderer.mesh_renderer import mesh_renderer
from lib.synthetic.photos import PhotoSettings, SyntheticFaces
from model.pipeline import load_face_model

TURNED = np.deg2rad(25.0)
HALF_HEIGHT = 1.55  # decimetres, of what a picture of a bare shape shows
DISTANCE = 10.0  # decimetres


def photos(model: FaceModel, count: int, size: int, seed: int) -> Iterator[np.ndarray]:
    """Synthetic photos of different people, uint8 [size, size, 3]."""
    faces = SyntheticFaces(model, size, seed, PhotoSettings(photos_per_identity=1))
    for index in range(count):
        yield faces.sample(index).image


def bare_shapes(model: FaceModel, count: int, size: int, seed: int) -> Iterator[np.ndarray]:
    """Neutral shapes of the people of `photos`, uint8 [size, size, 3]."""
    faces = SyntheticFaces(model, 32, seed, PhotoSettings(photos_per_identity=1))
    for index in range(count):
        identity = faces.person(faces.identity_of(index)).identity
        yield draw_bare(model.mean_shape + np.tensordot(identity, model.identity_basis, 1), model.triangles, size)


def scanned_shapes(path: Path, count: int, size: int, seed: int, unit: float) -> Iterator[np.ndarray]:
    """Random people of a model made from scans, whose unit is `unit` decimetres."""
    with np.load(path, allow_pickle=False) as data:
        mean, basis = unit * np.float64(data["mean_shape"]), unit * np.float64(data["identity_basis"])
        triangles = data["triangles"].astype(np.int32)
    generator = np.random.default_rng(seed)
    for _ in range(count):
        yield draw_bare(mean + np.tensordot(generator.normal(size=len(basis)), basis, 1), triangles, size)


def draw_bare(shape: np.ndarray, triangles: np.ndarray, size: int) -> np.ndarray:
    """Draws a shape [N, 3] in decimetres, turned and lit from the upper left: uint8 [size, size, 3]."""
    turned = tf.constant((shape - (shape.min(axis=0) + shape.max(axis=0)) / 2)[None], tf.float32)
    turned = turned @ rotation_matrix(tf.constant([[0, TURNED, 0]], tf.float32))
    picture = mesh_renderer(
        turned,
        triangles,
        vertex_normals(turned, triangles, incident_triangles(triangles, len(shape))),
        tf.fill(turned.shape, 0.75),
        camera_position=[0.0, 0.0, DISTANCE],
        camera_lookat=[0.0, 0.0, 0.0],
        camera_up=[0.0, 1.0, 0.0],
        light_positions=[[[-6.0, 6.0, 12.0], [12.0, 0.0, 6.0]]],
        light_intensities=[[[0.85] * 3, [0.2] * 3]],
        image_width=size,
        image_height=size,
        ambient_color=[[0.15] * 3],
        fov_y=float(2 * np.rad2deg(np.arctan(HALF_HEIGHT / DISTANCE))),
        far_clip=20.0,
    )[0].numpy()
    return np.uint8(np.clip(picture[..., :3] + 1 - picture[..., 3:], 0, 1) * 255)


def main() -> None:
    """Renders the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--size", type=int, default=160, help="side of a face in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bare", action="store_true", help="shapes instead of photos")
    parser.add_argument("--scans", type=Path, help="with --bare: model made from scans")
    parser.add_argument(
        "--unit", type=float, default=0.1, help="decimetres per unit of the scans (default: centimetres)"
    )
    parser.add_argument("--output", type=Path, default=Path("docs/faces.jpg"))
    args = parser.parse_intermixed_args()
    if args.scans and not args.bare:
        parser.error("--scans: needs --bare")
    model = load_face_model(schema.load(overrides=args.overrides))
    draw = bare_shapes if args.bare else photos
    pictures = draw(model, args.count, args.size, args.seed)
    tiles = [("", picture) for picture in tqdm(pictures, "render", args.count, unit="face")]
    rows = [tiles[first : first + args.columns] for first in range(0, args.count, args.columns)]
    if args.scans:
        scanned = list(scanned_shapes(args.scans, args.count, args.size, args.seed, args.unit))
        for number, row in enumerate(list(rows)):
            first = number * args.columns
            rows.insert(2 * number + 1, [("", picture) for picture in scanned[first : first + len(row)]])
    with atomic_path(args.output) as path:
        contact_sheet(rows).save(path, "JPEG", quality=88)
    print(args.output)


if __name__ == "__main__":
    main()
