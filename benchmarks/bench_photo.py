"""Times the steps from a photo to fitted coefficients, on scikit-image's portrait.

python -m benchmarks.bench_photo [--vertices 10000] [--image-size 224] [--steps 80] [--threads 1] [--repeats 5]
"""

import argparse
import importlib.metadata
import os
import statistics
import tempfile
import time
from pathlib import Path


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vertices", type=int, default=10000)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=80, help="steps of the fit")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


def timed(name, function, repeats):
    """Prints median and range of wall-clock and processor seconds, after a first call; returns the result."""
    start = time.perf_counter()
    result = function()
    first = time.perf_counter() - start
    wall, processor = [], []
    for _ in range(repeats):
        start, started = time.perf_counter(), time.process_time()
        result = function()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - started)
    print(
        f"{name:24s} {statistics.median(wall):6.2f} s ({min(wall):.2f} to {max(wall):.2f}), "
        f"processor {statistics.median(processor):5.2f} s, first call {first:.2f} s"
    )
    return result


def main():
    arguments = parse_arguments()
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(arguments.threads)
    import numpy as np
    import skimage.data
    import tensorflow as tf
    from PIL import Image

    from lib.face_mesh.network import find_mesh_points
    from lib.geometry.camera import Camera
    from lib.synthetic.builtin.face_generator import build_face_model
    from model.dense_landmarks.source import SHIPPED, at_texture_coordinates, read_points
    from model.fitting.energy import FitTargets
    from model.fitting.fitter import Fitter
    from model.fitting.landmark_fit import LandmarkFitter
    from model.fitting.masks import MaskFinder
    from model.fitting.placement import PointPlacement
    from model.fitting.weights import FitWeights
    from model.morphable_model import MorphableModel
    from model.photos.reader import PhotoReader

    camera = Camera((arguments.image_size, arguments.image_size))
    model = MorphableModel(build_face_model(arguments.vertices))
    points, weights = at_texture_coordinates(model.face_model, read_points(SHIPPED["built-in face"]).uv), FitWeights()
    reader = PhotoReader(model.face_model, camera, 0.5)
    fitter = Fitter(model, camera, 0.05, weights, points)
    fit_landmarks = LandmarkFitter(model.face_model, camera, points, weights)
    place, find_mask = PointPlacement(model.face_model, camera), MaskFinder(model, camera)
    packages = ", ".join(
        f"{p} {importlib.metadata.version(p)}" for p in ("tensorflow", "mtcnn", "opencv-python-headless")
    )
    print(f"{model.vertex_count} vertices, {arguments.image_size} px, {arguments.threads} threads; {packages}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "portrait.png"
        Image.fromarray(skimage.data.astronaut()).save(path)
        photo, _ = timed("read, detect, align", lambda: reader.read(path), arguments.repeats)
    mean = np.zeros([1, model.layout.size], np.float32)
    placed = timed("place on five points", lambda: place(mean, photo.alignment.points), arguments.repeats)
    crop, five = photo.alignment.crop[..., :3], photo.alignment.points
    mesh = timed("find 468 landmarks", lambda: find_mesh_points(crop, five).points, arguments.repeats)
    start = timed("fit to landmarks", lambda: fit_landmarks(placed[0], mesh)[None], arguments.repeats)
    alpha = timed("mask", lambda: find_mask(photo.alignment, None, start), arguments.repeats)
    targets = FitTargets(
        image=tf.constant(photo.rgb[None]),
        alpha=tf.constant(alpha[None, ..., None]),
        points=tf.constant(photo.alignment.points[None], tf.float32),
        landmarks=tf.zeros([1, 68, 2]),
        landmark_weight=tf.zeros([1, 68]),
        point_sigma=tf.constant([weights.detected_sigma]),
        mesh=tf.constant(mesh[None], tf.float32),
        mesh_weight=tf.ones([1]),
        mouth_seen=tf.ones([1], tf.bool),
    )
    timed(f"fit, {arguments.steps} steps", lambda: fitter.fit(targets, start, arguments.steps), arguments.repeats)


if __name__ == "__main__":
    main()
