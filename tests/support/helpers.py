"""Shared by the tests: reference numbers, optional development data, comparisons."""

import contextlib
import csv
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
import trimesh

from configs import schema

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
SHARED = ROOT.parent / "shared"


def golden(name: str) -> dict[str, np.ndarray]:
    """All arrays of tests/golden/<name>.npz: numbers computed with the published code (tests/golden/README.md)."""
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as data:
        return dict(data)


def shared_file(relative: str) -> Path:
    """A development file beside the checkout; the test is skipped, saying so, where it is missing."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"needs the development file {relative}, which is not part of the repository")
    return path


def sparse(arrays: dict[str, np.ndarray], name: str) -> scipy.sparse.csr_matrix:
    """A sparse matrix stored as COO triplets under `<name>/row|col|data|shape`."""
    row, col, data = (arrays[f"{name}/{part}"] for part in ("row", "col", "data"))
    return scipy.sparse.csr_matrix((data.astype(np.float32), (row, col)), shape=tuple(arrays[f"{name}/shape"]))


def assert_close(actual, expected, rtol: float = 1e-4) -> None:
    """Fails unless the largest error is at most `rtol` times the largest magnitude of `expected`."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, f"shape must be {expected.shape}, got {actual.shape}"
    assert np.isfinite(actual).all(), "every value must be finite"
    scale = np.abs(expected).max() if expected.size else 1.0
    error = np.abs(actual - expected).max() if expected.size else 0.0
    assert error <= rtol * max(scale, 1e-12), f"largest error {error:.3e} exceeds {rtol:g} x {scale:.3e}"


def assert_gradient(function, *inputs, delta: float = 1e-6, rtol: float = 1e-5) -> None:
    """Fails unless the gradient of `function` is that of finite differences, and none of its inputs is without one.

    Args:
      function: float64 tensors like `inputs` -> one tensor.
      inputs: where to differentiate, away from kinks by more than `delta`.
    """
    inputs = [tf.constant(np.asarray(value), tf.float64) for value in inputs]
    analytic, numeric = tf.test.compute_gradient(tf.function(function, autograph=False), inputs, delta=delta)
    for ours, differences in zip(analytic, numeric, strict=True):
        assert np.abs(differences).max() > 1e-6, "the input must count"
        assert_close(ours, differences, rtol)


@contextlib.contextmanager
def eager_functions():
    """Within, every tf.function runs without being traced, which takes longer than a few calls of it."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def csv_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table: column -> text."""
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def read_mesh(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Vertices [N, 3], triangles [F, 3] and colours [N, 3], RGB in [0, 1] or None, of an OBJ or PLY."""
    mesh = trimesh.load(path, process=False, maintain_order=True, force="mesh")
    colours = mesh.visual.vertex_colors[:, :3] / 255 if mesh.visual.kind == "vertex" else None
    return mesh.vertices.view(np.ndarray), mesh.faces.view(np.ndarray), colours


def published_weights(coarse: float, render: float) -> dict[str, float]:
    """The loss weights of configs/paper.yaml at the stage weights `coarse` (ref) and `render` (ren) of an epoch."""
    loss = schema.load(ROOT / "configs/paper.yaml").loss
    weights = {name: render * getattr(loss, name) for name in ("project", "hidden", "identity", "symmetry", "variance")}
    return weights | {"coarse": coarse * loss.coarse, "weight_decay": loss.weight_decay}
