"""The Chebyshev convolution with its gradients, beside the published formulation and SciPy."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse

from benchmarks.bench.comparison import Benchmark, Row, Samples, Settings
from benchmarks.bench.renderer import milliseconds, start_as_training_does
from benchmarks.bench.side import in_turns, samples_of
from benchmarks.meshes import face_like_sheet
from benchmarks.turns import Figures

ORDER = 6
BATCH = 4
VERTICES = 35_659
# Columns B F of the sparse products -> the bar.
BARS = {28: 3.0, 64: 6.0, 128: 10.0, 512: 16.0}
PUBLISHED, SCIPY = "sparse_dense_matmul as published", "SciPy CSR"


def ours() -> Callable[[int], Figures]:
    """Our convolution, with TensorFlow as training starts it."""
    start_as_training_does()
    laplacian = sheet_laplacian(VERTICES)
    return tensorflow_figures(lambda columns: our_step(laplacian, columns // BATCH, BATCH))


def published() -> Callable[[int], Figures]:
    """The published formulation, with TensorFlow as it starts by itself."""
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    from benchmarks.published_step import chebyshev_convolution, sparse_tensor
    from model.networks.graph_layers import rescaled_laplacian

    matrix = sparse_tensor(rescaled_laplacian(sheet_laplacian(VERTICES)))

    def step(columns: int):
        signal, weights, upstream = (tf.constant(array) for array in inputs(columns // BATCH, BATCH, VERTICES))
        return with_gradients(lambda x, w: chebyshev_convolution(matrix, x, w, ORDER), signal, weights, upstream)

    return tensorflow_figures(step)


def scipy_csr() -> Callable[[int], Figures]:
    """The same numbers with SciPy's sparse and NumPy's dense products."""
    from model.networks.graph_layers import rescaled_laplacian

    matrix = rescaled_laplacian(sheet_laplacian(VERTICES))
    prepared = {columns: inputs(columns // BATCH, BATCH, VERTICES) for columns in BARS}

    def measure(count: int) -> Figures:
        figures = {}
        for columns, (signal, weights, upstream) in prepared.items():
            x, y = (np.ascontiguousarray(a.transpose(1, 0, 2)) for a in (signal, upstream))
            started = time.perf_counter()
            for _ in range(count):
                scipy_step(matrix, x, weights, y)
            figures[f"{columns} columns"] = 1e3 * (time.perf_counter() - started) / count
        return figures

    return measure


def sheet_laplacian(vertices: int) -> scipy.sparse.csr_matrix:
    """Normalised Laplacian of a sheet of about so many vertices, its last ones cut off to have exactly as many."""
    from lib.mesh_sampling.graph import adjacency_matrix, normalised_laplacian

    points, triangles = face_like_sheet(round((vertices**0.5 + 1) ** 2))
    kept = triangles[(triangles < vertices).all(axis=1)]
    assert len(points) >= vertices
    return normalised_laplacian(adjacency_matrix(kept, vertices))


def inputs(channels: int, batch: int, vertices: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random signal [B, N, C], weights [C K, C] and upstream gradient [B, N, C]."""
    generator = np.random.default_rng(0)
    signal, upstream = generator.normal(size=(2, batch, vertices, channels)).astype(np.float32)
    return signal, generator.normal(size=(channels * ORDER, channels)).astype(np.float32), upstream


def our_step(laplacian: scipy.sparse.csr_matrix, channels: int, batch: int) -> Callable[[], Any]:
    """Compiled call of our convolution that returns its result and gradients."""
    import tensorflow as tf

    from model.networks.graph_layers import chebyshev_convolution, laplacian_product

    product = laplacian_product(laplacian)
    signal, weights, upstream = inputs(channels, batch, laplacian.shape[0])
    # Vertices first, as everywhere in our networks.
    x, y = (tf.constant(array.transpose(1, 0, 2)) for array in (signal, upstream))
    return with_gradients(lambda x, w: chebyshev_convolution(product, x, w, ORDER), x, tf.constant(weights), y)


def with_gradients(convolve: Callable[[Any, Any], Any], signal, weights, upstream) -> Callable[[], Any]:
    """Compiled call that returns a convolution and its gradients with respect to signal and weights.

    Without the result, TensorFlow would leave out what the gradients do not need.
    """
    import tensorflow as tf

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            tape.watch([signal, weights])
            result = convolve(signal, weights)
        return [result, *tape.gradient(result, [signal, weights], output_gradients=upstream)]

    return step


def scipy_step(matrix: scipy.sparse.csr_matrix, x: np.ndarray, weights: np.ndarray, upstream: np.ndarray):
    """Result and gradients of a convolution: Chebyshev basis forward, Clenshaw's recursion backward.

    Args:
      matrix: rescaled Laplacian [N, N].
      x, upstream: [N, B, C].
      weights: [C K, C], K fastest.
    """
    count, batch, width = x.shape
    by_order = weights.reshape(width, ORDER, -1).transpose(1, 0, 2)
    basis = [x.reshape(count, -1)]
    basis.append(matrix @ basis[0])
    for _ in range(2, ORDER):
        basis.append(2 * (matrix @ basis[-1]) - basis[-2])
    flat = [signal.reshape(-1, width) for signal in basis]
    result = sum(signal @ by_order[k] for k, signal in enumerate(flat))
    outer = upstream.reshape(-1, upstream.shape[-1])
    gradient_weights = np.stack([signal.T @ outer for signal in flat], axis=1)
    terms = [(outer @ by_order[k].T).reshape(count, batch * width) for k in range(ORDER)]
    last, before = terms[-1], np.zeros_like(terms[-1])
    for term in terms[-2:0:-1]:
        last, before = term + 2 * (matrix @ last) - before, last
    return result, terms[0] + matrix @ last - before, gradient_weights


def tensorflow_figures(make_step: Callable[[int], Callable[[], Any]]) -> Callable[[int], Figures]:
    """Measures the milliseconds of a call for each number of columns."""
    steps = {f"{columns} columns": make_step(columns) for columns in BARS}

    def measure(count: int) -> Figures:
        return {name: milliseconds(step, count) for name, step in steps.items()}

    return measure


def measure(settings: Settings) -> dict[str, Samples]:
    found, missing = in_turns("convolution", ("ours", "published", "scipy_csr"), settings.turns, 1)
    sides = {PUBLISHED: "published", SCIPY: "scipy_csr"}
    return {row.name: samples_of(found, "ours", sides[row.peer], row.figure, missing) for row in ROWS}


ROWS = (
    *(Row(f"convolution: {n} columns", "ms", PUBLISHED, ratio=b, figure=f"{n} columns") for n, b in BARS.items()),
    *(Row(f"convolution: {n} columns, beside SciPy", "ms", SCIPY, figure=f"{n} columns") for n in BARS),
)
BENCHMARK = Benchmark(
    "convolution",
    "Chebyshev convolution",
    "forward and backward, K = 6, 35,659 vertices, batch 4, as many channels out as in; columns are batch times "
    "channels. All sides compute the same numbers: the result and both gradients.",
    ROWS,
    ("tensorflow", "numpy", "scipy"),
    measure,
)
