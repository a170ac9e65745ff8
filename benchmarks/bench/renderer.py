"""The differentiable renderer beside mesh-renderer 1.4."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.bench.comparison import Benchmark, Row, Samples, Settings
from benchmarks.bench.side import in_turns, samples_of
from benchmarks.meshes import sphere
from benchmarks.turns import Figures

CHANNELS = (3, 12)
BATCH = 4
VERTICES = 35_721
BARS = {"forward": 2.0, "colour gradient": 3.0, "vertex gradient": 2.0}
# (clip vertices [B, N, 4], attributes [B, N, C], triangles [F, 3], (H, W)) -> image [B, H, W, C]
Render = Callable[[Any, Any, np.ndarray, tuple[int, int]], Any]


def ours() -> Callable[[int], Figures]:
    """Our renderer."""
    start_as_training_does()
    return timed(render)


def start_as_training_does() -> None:
    """Imports TensorFlow with the settings of `--mode train`."""
    from lib.runtime.quiet_tensorflow import import_tensorflow

    import_tensorflow(keep_memory=True)


def package() -> Callable[[int], Figures]:
    """mesh-renderer 1.4, compiled from its source distribution."""
    from benchmarks.bench.mesh_renderer_package import load

    module = load()

    def old_render(clip, attributes, triangles, image_size):
        background = np.zeros(attributes.shape[-1], np.float32)
        return module.rasterize_clip_space(clip, attributes, triangles, image_size[1], image_size[0], background)

    return timed(old_render)


def render(clip, attributes, triangles, image_size):
    """Rasterises and interpolates with our renderer."""
    from lib.mesh_renderer.fragments import interpolate, rasterize

    return interpolate(attributes, triangles, rasterize(clip, triangles, image_size))


def timed(renderer: Render) -> Callable[[int], Figures]:
    """Measures the milliseconds of a call, for each kind of call and number of channels."""
    steps: dict[str, Callable[[], Any]] = {}
    for channels in CHANNELS:
        made = calls(renderer, VERTICES, channels, BATCH, 224)
        steps |= {f"{name}, {channels} channels": step for name, step in made.items()}

    def measure(count: int) -> Figures:
        return {name: milliseconds(step, count) for name, step in steps.items()}

    return measure


def milliseconds(step: Callable[[], Any], count: int) -> float:
    """Mean time of `count` calls that return tensors."""
    import tensorflow as tf

    started = time.perf_counter()
    for _ in range(count):
        tf.nest.map_structure(lambda tensor: tf.convert_to_tensor(tensor).numpy(), step())
    return 1e3 * (time.perf_counter() - started) / count


def calls(renderer: Render, vertices: int, channels: int, batch: int, side: int) -> dict[str, Callable[[], Any]]:
    """Compiled calls of a renderer on a sphere that fills the image: forward, and with gradients."""
    import tensorflow as tf

    from lib.geometry.camera import Camera

    points, triangles = sphere(vertices)
    generator, camera = np.random.default_rng(0), Camera((side, side))
    poses = points[None] + generator.normal(0, 0.01, (batch, 1, 3))
    clip = tf.constant(camera.clip_coordinates(tf.constant(poses, tf.float32)))
    attributes = tf.constant(generator.random((batch, len(points), channels)), tf.float32)
    weights = tf.constant(generator.random((batch, side, side, channels)), tf.float32)

    def with_gradient(inputs):
        @tf.function(autograph=False)
        def step():
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                loss = tf.reduce_sum(weights * renderer(clip, attributes, triangles, (side, side)))
            return [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, inputs)]

        return step

    return {
        "forward": tf.function(lambda: renderer(clip, attributes, triangles, (side, side)), autograph=False),
        "colour gradient": with_gradient([attributes]),
        "vertex gradient": with_gradient([attributes, clip]),
    }


def measure(settings: Settings) -> dict[str, Samples]:
    found, missing = in_turns("renderer", ("ours", "package"), settings.turns, 5)
    return {row.name: samples_of(found, "ours", "package", row.figure, missing) for row in ROWS}


ROWS = tuple(
    Row(f"renderer: {figure}", "ms", "mesh-renderer 1.4", ratio=bar, figure=figure)
    for channels in CHANNELS
    for figure, bar in ((f"{name}, {channels} channels", bar) for name, bar in BARS.items())
)
BENCHMARK = Benchmark(
    "renderer",
    "Renderer",
    "batch 4, 224 x 224 px, a sphere of 35,721 vertices and 70,688 triangles; mesh-renderer's kernels and Python are "
    "those of its source distribution, compiled with -O2. The vertex gradient includes that of the colours.",
    ROWS,
    ("tensorflow", "numpy", "numba"),
    measure,
)
