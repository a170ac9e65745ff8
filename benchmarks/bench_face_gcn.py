"""Time of the steps around the texture network: posing, rasterising, reading the crop, loss terms with gradient.

python -m benchmarks.bench_face_gcn [--vertices 35709] [--image-size 224] [--batch 4] [--threads 2]
"""

import argparse
import os
import statistics
import time


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vertices", type=int, default=35709)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--projection", choices=("zbuffer", "published"), default="zbuffer")
    return parser.parse_args()


def timed(name, function, *arguments, repeats):
    """Prints the median and the spread [ms] of a compiled function and returns its result."""
    import tensorflow as tf

    compiled = tf.function(function)
    result = compiled(*arguments)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = compiled(*arguments)
        tf.nest.map_structure(lambda tensor: tensor.numpy(), result)
        seconds.append(1e3 * (time.perf_counter() - start))
    print(f"{name:26s} {statistics.median(seconds):8.1f} ms ({min(seconds):.1f} to {max(seconds):.1f})")
    return result


def random_model(count):
    """A sheet shaped like a face with coefficients 80 + 64 + 80 of noise."""
    import numpy as np

    from benchmarks.bench_mesh_sampling import face_like_sheet
    from lib.face_model import FaceModel

    vertices, triangles = face_like_sheet(count, "rows")
    vertices = np.asarray(vertices, np.float64)
    vertices = (vertices - vertices.mean(axis=0)) / np.abs(vertices).max()
    vertices -= vertices.mean(axis=0)
    count = len(vertices)
    generator = np.random.default_rng(0)

    def basis(size):
        return generator.normal(size=(size, count, 3)).astype(np.float32) * 0.002

    return FaceModel(
        name="benchmark",
        mean_shape=vertices,
        identity_basis=basis(80),
        expression_basis=basis(64),
        mean_albedo=np.full((count, 3), 0.6),
        albedo_basis=basis(80),
        triangles=triangles,
        landmarks=np.arange(68),
        skin_mask=np.ones(count, bool),
        front_mask=np.ones(count, bool),
        mirror_index=np.arange(count),
        uv=vertices[:, :2],
    )


def main():
    arguments = parse_arguments()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import numpy as np
    import tensorflow as tf

    from lib.geometry.camera import Camera
    from lib.mesh_renderer.fragments import rasterize
    from model.face_gcn import FaceGCN
    from model.morphable_model import MorphableModel

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(arguments.threads)
    morphable = MorphableModel(random_model(arguments.vertices))
    size = arguments.image_size
    camera = Camera((size, size))

    def network(embedding, albedo, colour, visibility, shading, training):
        return albedo

    chain = FaceGCN(morphable, camera, network, arguments.projection)
    print(
        f"tensorflow {tf.__version__}, numpy {np.__version__}, {arguments.threads} threads, "
        f"{morphable.vertex_count} vertices, {len(morphable.triangles)} triangles, batch {arguments.batch}, {size} px, "
        f"{arguments.projection}"
    )
    generator = np.random.default_rng(1)
    coefficients = tf.constant(0.3 * generator.normal(size=(arguments.batch, 257)), tf.float32)
    crop = tf.constant(generator.uniform(size=(arguments.batch, size, size, 4)) > 0.05, tf.float32)
    repeats = arguments.repeats

    face = timed("coefficients to face", lambda c: morphable.posed(c, camera), coefficients, repeats=repeats)
    timed("of these, normals", morphable.normals, face.vertices, repeats=repeats)
    clip = camera.clip_coordinates(face.vertices)
    timed("rasterise", lambda c: rasterize(c, morphable.triangles, camera.image_size), clip, repeats=repeats)
    coarse = timed("coarse face, all of it", chain.coarse, coefficients, crop, repeats=repeats)

    def gradient(albedo):
        with tf.GradientTape() as tape:
            tape.watch(albedo)
            terms = chain.terms(chain.render(coarse, albedo, crop), crop)
            total = tf.add_n(list(terms.values()))
        return tape.gradient(total, albedo)

    timed("render, terms, gradient", gradient, face.albedo, repeats=repeats)


if __name__ == "__main__":
    main()
