"""Landmark files as other programs and text editors write them."""

import numpy as np
import pytest

from lib.sidecar.landmark_reading import read_points


@pytest.mark.parametrize("count", [5, 68, 468])
@pytest.mark.parametrize("shape", ["as is", "transposed", "flat", "batched", "deep", "deep transposed"])
def test_arrays(tmp_path, count, shape):
    points = np.random.default_rng(0).uniform(10, 90, (count, 2))
    deep = np.column_stack([points, np.random.default_rng(1).normal(size=count)])
    stored = {
        "as is": points, "transposed": points.T, "flat": points.ravel(), "batched": points[None], "deep": deep,
        "deep transposed": deep.T,
    }[shape]  # fmt: skip
    np.save(tmp_path / "a.npy", stored)
    np.testing.assert_allclose(read_points(tmp_path / "a.npy"), points)


@pytest.mark.parametrize("kind", [complex, bool, str])
def test_arrays_of_anything_but_real_numbers_are_refused(tmp_path, kind):
    np.save(tmp_path / "a.npy", np.ones((5, 2)).astype(kind))
    with pytest.raises(ValueError, match="an array of type"):
        read_points(tmp_path / "a.npy")


def test_iris_points_are_dropped(tmp_path):
    points = np.random.default_rng(0).uniform(10, 90, (478, 3))
    np.save(tmp_path / "a.npy", points)
    np.testing.assert_allclose(read_points(tmp_path / "a.npy"), points[:468, :2])


@pytest.mark.parametrize("name", ["a.pts", "a.txt"])
def test_pts_files_count_pixels_from_one(tmp_path, name):
    points = np.random.default_rng(0).uniform(10, 90, (68, 2))
    lines = "".join(f"{x:.6f} {y:.6f}\n" for x, y in points)
    (tmp_path / name).write_text(f"version: 1\nn_points:  68\n{{\n{lines}}}\n")
    # The centre of the first pixel is (1, 1) there and (0.5, 0.5) here.
    np.testing.assert_allclose(read_points(tmp_path / name), points - 0.5, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("1 2\n3 4\n", "2 x 2 numbers"),
        ("five points", "something else"),
        ("left 30 40\n", "numbers and words in one line"),
        ("eye: 30 40\neye: 60 41\n", r"numbers and words in one line \('eye: 30 40'\)"),
        ("version: 1\nn_points: 5\n{\n}", "something else"),
    ],
)
def test_anything_else_is_refused(tmp_path, content, found):
    (tmp_path / "a.txt").write_text(content)
    with pytest.raises(ValueError, match=found):
        read_points(tmp_path / "a.txt")
