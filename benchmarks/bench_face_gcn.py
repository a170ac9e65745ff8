"""Times the steps around the texture network: posing, rasterising, sampling the crop, loss terms with gradient.

python -m benchmarks.bench_face_gcn [--vertices 35709] [--image-size 224] [--batch 4] [--threads 2]
"""

import argparse

from benchmarks.timing import milliseconds, use_threads


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vertices", type=int, default=35709)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--projection", choices=("zbuffer", "published"), default="zbuffer")
    return parser.parse_args()


def random_model(count):
    """A face-like sheet with bases of noise, for 80 + 64 + 80 coefficients."""
    import numpy as np

    from benchmarks.meshes import face_like_sheet
    from lib.face_model.face_model import FaceModel

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
    use_threads(arguments.threads)
    import numpy as np
    import tensorflow as tf

    from lib.geometry.camera import Camera
    from lib.mesh_renderer.fragments import rasterize
    from model.face_gcn import FaceGCN
    from model.morphable_model import MorphableModel

    morphable = MorphableModel(random_model(arguments.vertices))
    size = arguments.image_size
    camera = Camera((size, size))

    def network(embedding, albedo, colour, visibility, shading, training):
        return albedo

    face_gcn = FaceGCN(morphable, camera, network, arguments.projection)
    print(
        f"tensorflow {tf.__version__}, numpy {np.__version__}, {arguments.threads} threads, "
        f"{morphable.vertex_count} vertices, {len(morphable.triangles)} triangles, batch {arguments.batch}, {size} px, "
        f"{arguments.projection}"
    )
    generator = np.random.default_rng(1)
    coefficients = tf.constant(0.3 * generator.normal(size=(arguments.batch, 257)), tf.float32)
    crop = tf.constant(generator.uniform(size=(arguments.batch, size, size, 4)) > 0.05, tf.float32)

    def timed(name, function, *inputs):
        compiled = tf.function(function)
        print(f"{name:26s} {milliseconds(lambda: compiled(*inputs), arguments.repeats)}")
        return compiled(*inputs)

    face = timed("coefficients to face", lambda c: morphable.posed(c, camera), coefficients)
    timed("normals, part of it", morphable.normals, face.vertices)
    clip = camera.clip_coordinates(face.vertices)
    timed("rasterise", lambda c: rasterize(c, morphable.triangles, camera.image_size), clip)
    coarse = timed("coarse face, in total", face_gcn.coarse, coefficients, crop)

    def gradient(albedo):
        with tf.GradientTape() as tape:
            tape.watch(albedo)
            terms = face_gcn.terms(face_gcn.render(coarse, albedo, crop), crop)
            total = tf.add_n(list(terms.values()))
        return tape.gradient(total, albedo)

    timed("render, terms, gradient", gradient, face.albedo)


if __name__ == "__main__":
    main()
