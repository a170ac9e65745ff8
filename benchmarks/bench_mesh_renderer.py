"""Times the mesh renderer: visibility, rasterisation and interpolation, forward and with gradients.

    python -m benchmarks.bench_mesh_renderer [--repeats 20] [--channels 12]

Prints median, shortest and longest wall-clock time for a batch of four images of 224 x 224 pixels.
"""

import argparse
import platform

import numba
import numpy as np
import tensorflow as tf

from benchmarks.timing import milliseconds
from lib.geometry.camera import Camera
from lib.mesh_renderer.fragments import interpolate, rasterize, triangle_ids

SIZES = (10_000, 35_721)
BATCH = 4


def sphere(vertex_count):
    """Bumpy sphere from a grid of longitudes and latitudes: vertices [N, 3] and triangles [F, 3]."""
    side = round(vertex_count**0.5)
    latitude, longitude = np.meshgrid(
        np.linspace(0.02, np.pi - 0.02, side), np.linspace(-np.pi, np.pi, side), indexing="ij"
    )
    radius = 1 + 0.03 * np.sin(7 * longitude) * np.sin(5 * latitude)
    vertices = np.stack(
        [np.sin(latitude) * np.sin(longitude), np.cos(latitude), np.sin(latitude) * np.cos(longitude)], axis=-1
    )
    index = np.arange(side * side).reshape(side, side)
    a, b, c, d = index[:-1, :-1].ravel(), index[1:, :-1].ravel(), index[1:, 1:].ravel(), index[:-1, 1:].ravel()
    triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    return (radius[..., None] * vertices).reshape(-1, 3).astype(np.float32), triangles.astype(np.int32)


def steps(vertices, triangles, channels):
    """Functions to time, by name."""
    generator = np.random.default_rng(0)
    camera = Camera()
    poses = vertices[None] + generator.normal(0, 0.01, (BATCH, 1, 3))
    clip = tf.constant(camera.clip_coordinates(tf.constant(poses, tf.float32)))
    attributes = tf.constant(generator.random((BATCH, len(vertices), channels)), tf.float32)
    weights = tf.constant(generator.random((BATCH, *camera.image_size, channels)), tf.float32)

    @tf.function
    def forward():
        fragments = rasterize(clip, triangles, camera.image_size)
        return interpolate(attributes, triangles, fragments)

    def with_gradient(in_vertices):
        @tf.function
        def step():
            with tf.GradientTape() as tape:
                tape.watch([attributes, clip] if in_vertices else attributes)
                fragments = rasterize(clip, triangles, camera.image_size)
                loss = tf.reduce_sum(weights * interpolate(attributes, triangles, fragments))
            gradients = tape.gradient(loss, [attributes, clip] if in_vertices else [attributes])
            return [tf.convert_to_tensor(gradient) for gradient in gradients]

        return step

    return {
        "visibility": tf.function(lambda: triangle_ids(clip, triangles, camera.image_size)),
        "forward": forward,
        "forward + gradient of attributes": with_gradient(False),
        "forward + gradient of attributes and vertices": with_gradient(True),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20, help="timed calls per row (default: %(default)s)")
    parser.add_argument("--channels", type=int, default=12, help="interpolated channels (default: %(default)s)")
    args = parser.parse_args()
    print(
        f"TensorFlow {tf.__version__}, numba {numba.__version__}, numpy {np.__version__}, Python "
        f"{platform.python_version()}, {tf.config.threading.get_intra_op_parallelism_threads() or 'default'} intra-op "
        f"threads, {args.channels} channels, batch {BATCH}, 224 x 224 px"
    )
    for vertex_count in SIZES:
        vertices, triangles = sphere(vertex_count)
        for name, step in steps(vertices, triangles, args.channels).items():
            print(
                f"{len(vertices):6d} vertices {len(triangles):6d} triangles  {name:46s}"
                f"{milliseconds(step, args.repeats)}"
            )


if __name__ == "__main__":
    main()
