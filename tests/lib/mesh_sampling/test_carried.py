"""Levels that a file of weights carries: the same on every machine."""

import numpy as np
import pytest

from lib.files import headed_npz
from lib.files.numpy_files import DamagedFile
from lib.mesh_sampling import build_hierarchy, carried_arrays, load_or_build, read_carried, upsampling_matrix
from lib.mesh_sampling.transfer import interpolated_triangles
from tests.support.meshes import wavy_grid

FACTORS = (3, 3, 3)


@pytest.fixture(scope="module")
def mesh():
    return wavy_grid(24, 24)


def written(path, arrays):
    headed_npz.write(path, {"kernel": np.ones(3), **arrays}, {}, compress=True)
    return path


def nudged(vertices: np.ndarray) -> np.ndarray:
    """Half of the coordinates moved by their last bit."""
    vertices = np.float32(vertices)
    half = np.random.default_rng(0).random(vertices.shape) < 0.5
    return np.where(half, np.nextafter(vertices, np.float32(np.inf)), vertices)


def test_the_last_bits_choose_other_levels_unless_a_file_carries_them(tmp_path, mesh):
    vertices, triangles = mesh
    built = build_hierarchy(vertices, triangles, FACTORS)
    path = written(tmp_path / "weights.npz", carried_arrays(built))
    assert build_hierarchy(nudged(vertices), triangles, FACTORS).choice != built.choice
    steps = read_carried(path, len(vertices), triangles, FACTORS)
    again = load_or_build(tmp_path / "params", nudged(vertices), triangles, FACTORS, steps)
    assert again.choice == built.choice
    for ours, theirs in zip((*again.down, *again.laplacian), (*built.down, *built.laplacian), strict=True):
        np.testing.assert_array_equal(ours.toarray(), theirs.toarray())
    for ours, theirs in zip(again.up, built.up, strict=True):
        np.testing.assert_allclose(ours.toarray(), theirs.toarray(), atol=1e-4)
    assert not (tmp_path / "params").exists(), "the folder is for levels that are chosen here"


def test_the_choice_repeated_on_the_same_mesh_gives_the_same_matrices(mesh):
    built = build_hierarchy(*mesh, FACTORS)
    again = build_hierarchy(*mesh, FACTORS, built.steps)
    for ours, theirs in zip((*again.up, *again.adjacency), (*built.up, *built.adjacency), strict=True):
        np.testing.assert_array_equal(ours.toarray(), theirs.toarray())


def test_levels_of_another_mesh_or_of_none_are_not_taken(tmp_path, mesh):
    vertices, triangles = mesh
    path = written(tmp_path / "weights.npz", carried_arrays(build_hierarchy(vertices, triangles, FACTORS)))
    assert read_carried(path, len(vertices), triangles, (3, 3, 4)) is None
    assert read_carried(path, len(vertices) + 1, triangles, FACTORS) is None
    assert read_carried(path, len(vertices), triangles[::-1], FACTORS) is None
    assert read_carried(written(tmp_path / "earlier.npz", {}), len(vertices), triangles, FACTORS) is None


@pytest.mark.parametrize(
    ("name", "array"),
    [("triangles0", np.zeros((0, 3), np.int32)), ("triangles0", np.full((1, 3), 600)), ("triangles1", np.zeros((1, 3))),
     ("triangles1", np.full((1, 3), -1)), ("triangles2", np.zeros(3, np.int32)), ("nearest0", np.zeros(575, np.int32)),
     ("nearest2", None)],
)  # fmt: skip
def test_levels_that_cannot_be_are_refused(tmp_path, mesh, name, array):
    vertices, triangles = mesh
    arrays = carried_arrays(build_hierarchy(vertices, triangles, FACTORS)) | {f"levels/{name}": array}
    path = written(tmp_path / "weights.npz", {name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(DamagedFile, match=rf"'levels/{name}' must be indices below \d+ of the shape \["):
        read_carried(path, len(vertices), triangles, FACTORS)


def test_a_vertex_as_near_to_two_triangles_stays_on_its_own(tmp_path):
    """The midpoint between two parallel triangles, and a last bit that brings it nearer to the other one."""
    coarse = np.array([[0, 0, 0], [3, 0, 0], [0, 3, 0], [0, 0, 2], [3, 0, 2], [0, 3, 2]], float)
    fine, triangles = np.concatenate([coarse, [[1, 1, 1]]]), np.array([[0, 1, 2], [3, 4, 5]])
    for own, other in ((0, 1 + 1e-7), (1, 1 - 1e-7)):
        moved = fine.copy()
        moved[-1, 2] = other
        chosen = upsampling_matrix(moved, coarse, triangles, np.arange(6), np.array([0, 0, 0, 1, 1, 1, own]))
        np.testing.assert_allclose(chosen[6, 3 * own : 3 * own + 3].toarray(), [[1 / 3, 1 / 3, 1 / 3]], atol=1e-6)
        assert interpolated_triangles(chosen, triangles)[6] == own
        free = upsampling_matrix(moved, coarse, triangles, np.arange(6))
        assert interpolated_triangles(free, triangles)[6] != own
