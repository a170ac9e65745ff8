"""lib/mesh_sampling: levels, transfer matrices, Laplacians and their files."""

import igl
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from lib.errors import UserError
from lib.mesh_sampling import (
    adjacency_matrix,
    build_hierarchy,
    load_hierarchy,
    load_or_build,
    normalised_laplacian,
    save_hierarchy,
    upsampling_matrix,
)
from tests.support.helpers import assert_close, golden, shared_file, sparse
from tests.support.meshes import wavy_grid


def euler_characteristic(triangles):
    edges = np.unique(np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    return len(np.unique(triangles)) - len(edges) + len(triangles)


def boundary_loops(triangles):
    return len(igl.boundary_loop_all(triangles.astype(np.int64)))


def topology(triangles):
    return euler_characteristic(triangles), boundary_loops(triangles)


def test_adjacency_and_laplacian_are_the_published_ones():
    data = golden("laplacian_cheb")
    adjacency = adjacency_matrix(data["faces"], len(data["vertices"]))
    np.testing.assert_array_equal(adjacency.toarray(), data["adjacency"])
    assert_close(normalised_laplacian(adjacency).toarray(), data["laplacian"])


def test_every_level_of_the_golden_networks_has_its_laplacian():
    data = golden("networks")
    for i in range(5):
        assert_close(normalised_laplacian(sparse(data, f"A{i}")).toarray(), sparse(data, f"L{i}").toarray())


def test_adjacency_equals_a_loop_over_the_triangles():
    triangles = np.array([[0, 1, 2], [2, 1, 3], [1, 2, 4], [5, 5, 0]])  # three on one edge; one without area
    expected = np.zeros((7, 7))
    for a, b, c in triangles:
        for i, j in ((a, b), (b, c), (c, a)):
            if i != j:
                expected[i, j] += 1
                expected[j, i] += 1
    np.testing.assert_array_equal(adjacency_matrix(triangles, 7).toarray(), expected)
    assert normalised_laplacian(adjacency_matrix(triangles, 7)).toarray()[6].tolist() == [0, 0, 0, 0, 0, 0, 1]


def test_laplacian_is_symmetric_with_spectrum_in_0_to_2():
    hierarchy = build_hierarchy(*wavy_grid(20, 15))
    for laplacian in hierarchy.laplacian:
        dense = laplacian.toarray().astype(np.float64)
        np.testing.assert_array_equal(dense, dense.T)
        eigenvalues = np.linalg.eigvalsh(dense)
        assert abs(eigenvalues[0]) < 1e-6
        assert eigenvalues[-1] < 2 + 1e-6


def test_a_mesh_far_from_the_origin_gives_the_same_levels():
    vertices, triangles = wavy_grid(20, 15)
    vertices = np.asarray(vertices, np.float64)
    here, far = (build_hierarchy(vertices - vertices.mean(0) + place, triangles) for place in (0.0, 1e8))
    assert here.level_sizes == far.level_sizes
    np.testing.assert_allclose(far.vertices[0], here.vertices[0], atol=1e-6)
    for up, moved in zip(here.up, far.up, strict=True):
        np.testing.assert_allclose(moved.toarray(), up.toarray(), atol=1e-4)


def test_round_trip_is_not_worse_than_the_published_hierarchy():
    data = golden("sampling")
    hierarchy = build_hierarchy(data["vertices"], data["faces"], data["factors"])
    for ours, published in zip(hierarchy.level_sizes, data["level_vertex_count"], strict=True):
        assert published * 0.9 <= ours <= published * 1.03
    for i, (down, up) in enumerate(zip(hierarchy.down, hierarchy.up, strict=True)):
        fine = hierarchy.vertices[i]
        squared = ((up @ (down @ fine) - fine) ** 2).sum(axis=1)
        assert np.sqrt(squared.mean()) / data["bbox_diagonal"] <= data["rms_rel"][i]
        if i < 3:  # the coarsest level has four vertices, three of which hold the border: no surface to compare
            assert np.sqrt(squared.max()) / data["bbox_diagonal"] <= data["max_rel"][i]


def test_upsampling_weights_are_the_golden_barycentrics():
    data = golden("sampling")
    down = sparse(data, "D0")
    kept = down.indices[np.argsort(down.indices)]
    coarse = data["vertices"][kept]
    up = upsampling_matrix(data["vertices"], coarse, data["level1_faces"], kept)
    expected = sparse(data, "U0_barycentric") @ coarse
    assert_close(up @ coarse, expected, 1e-5)  # the same closest points, whichever triangle carries them


def test_matrices_keep_constants_pick_vertices_and_invert():
    vertices, triangles = wavy_grid()
    hierarchy = build_hierarchy(vertices + np.float32([5, -7, 11]), triangles)
    for i, (down, up) in enumerate(zip(hierarchy.down, hierarchy.up, strict=True)):
        assert down.dtype == up.dtype == np.float32
        np.testing.assert_allclose(np.asarray(up.sum(axis=1)).ravel(), 1.0, atol=1e-6)
        assert up.data.min() >= 0
        np.testing.assert_array_equal((down @ up).toarray(), np.eye(down.shape[0]))
        np.testing.assert_array_equal(down @ hierarchy.vertices[i], hierarchy.vertices[i + 1])
        assert (np.diff(down.indices) > 0).all(), "the coarse order is the fine one"


def test_holes_and_borders_stay():
    vertices, triangles = wavy_grid(40, 40, hole=(15, 22))
    hierarchy = build_hierarchy(vertices, triangles)
    assert topology(triangles) == (0, 2)
    for level in hierarchy.triangles[:4]:
        assert topology(level) == (0, 2)
    corners = [0, 39, 39 * 40, 40 * 40 - 1]
    assert set(corners) <= set(hierarchy.down[0].indices.tolist()), "a sheet keeps its corners"


def test_levels_shrink_by_the_factors():
    hierarchy = build_hierarchy(*wavy_grid(40, 40), factors=(4, 2, 3))
    for i, factor in enumerate((4, 2, 3)):
        target = np.ceil(hierarchy.level_sizes[i] / factor)
        assert 0.9 * target <= hierarchy.level_sizes[i + 1] <= 1.05 * target


def test_unused_vertices_live_on_level_0_only():
    vertices, triangles = wavy_grid()
    extra = np.float32([[3, 3, 3], [0, 0, 9]])
    hierarchy = build_hierarchy(np.concatenate([extra, vertices]), triangles + 2)
    assert hierarchy.level_sizes[0] == len(vertices) + 2
    assert not {0, 1} & set(hierarchy.down[0].indices.tolist())
    assert hierarchy.laplacian[0][:2].nnz == 2
    np.testing.assert_allclose(np.asarray(hierarchy.up[0].sum(axis=1)).ravel(), 1.0, atol=1e-6)


@pytest.mark.parametrize(
    "triangles",
    [
        [[0, 1, 2]],
        [[0, 1, 2], [0, 2, 3]],
        [[0, 1, 2], [1, 0, 3], [0, 1, 4], [0, 1, 5]],  # four triangles on one edge
        [[0, 1, 2], [3, 4, 5]],  # two pieces
        [[0, 1, 2], [2, 3, 4]],  # two fans on one vertex
        [[0, 1, 2], [0, 0, 1]],  # one without area
        [[0, 0, 1]],  # nothing with an area
    ],
)
def test_tiny_and_broken_meshes_do_not_crash(triangles):
    vertices = np.random.default_rng(0).normal(size=(6, 3))
    hierarchy = build_hierarchy(vertices, np.array(triangles))
    assert min(hierarchy.level_sizes) >= 2
    for up in hierarchy.up:
        np.testing.assert_allclose(np.asarray(up.sum(axis=1)).ravel(), 1.0, atol=1e-6)


def test_many_small_pieces_and_doubled_vertices_do_not_crash():
    rng = np.random.default_rng(1)
    soup = rng.normal(size=(300, 3))
    build_hierarchy(soup, np.arange(300).reshape(100, 3))
    vertices, triangles = wavy_grid(20, 20)
    doubled = np.concatenate([vertices, vertices])
    hierarchy = build_hierarchy(doubled, np.concatenate([triangles, triangles[::-1] + len(vertices)]))
    assert hierarchy.level_sizes[-1] < hierarchy.level_sizes[0] / 30


@pytest.mark.parametrize(
    ("vertices", "triangles", "factors", "message"),
    [
        (np.zeros((4, 2)), [[0, 1, 2]], (4,), "vertices must be"),
        (np.full((4, 3), np.nan), [[0, 1, 2]], (4,), "finite"),
        (np.zeros((4, 3)), [[0, 1, 4]], (4,), "index 4 vertices"),
        (np.zeros((4, 3)), np.zeros((0, 3), int), (4,), "at least one"),
        (np.zeros((4, 3)), [[0.0, 1.0, 2.0]], (4,), "integers"),
        (np.zeros((4, 3)), [[0, 1, 2]], (4, 1), "above 1"),
    ],
)
def test_what_is_no_mesh_is_refused(vertices, triangles, factors, message):
    with pytest.raises(ValueError, match=message):
        build_hierarchy(vertices, np.array(triangles), factors)


def test_real_face_keeps_its_openings_and_size():
    triangles = scipy.io.loadmat(shared_file("data/bfm_index/facemodel_info.mat"))["tri"].astype(np.int32) - 1
    count = triangles.max() + 1
    vertices = invented_geometry(triangles, count)
    hierarchy = build_hierarchy(vertices, triangles)
    target = count
    for size in hierarchy.level_sizes[1:]:
        target = np.ceil(target / 4)
        assert 0.95 * target <= size <= 1.05 * target
    before, after = topology(triangles), topology(hierarchy.triangles[1])
    assert before[1] == after[1] == 2
    assert before[0] == after[0]


def invented_geometry(triangles, count):
    """A smooth height field over the mesh's own harmonic layout: outer border on a circle, the rest by averages."""
    loops = igl.boundary_loop_all(triangles.astype(np.int64))
    outer = max(loops, key=len)
    angle = np.linspace(0, 2 * np.pi, len(outer), endpoint=False)
    adjacency = adjacency_matrix(triangles, count).astype(np.float64)
    laplacian = scipy.sparse.diags(np.asarray(adjacency.sum(axis=1)).ravel()) - adjacency
    inner = np.setdiff1d(np.arange(count), outer)
    layout = np.zeros((count, 2))
    layout[outer] = np.stack([np.cos(angle), np.sin(angle)], -1)
    right = -laplacian[inner][:, outer] @ layout[outer]
    layout[inner] = scipy.sparse.linalg.spsolve(laplacian[inner][:, inner].tocsc(), right)
    height = 0.8 * np.sqrt(np.maximum(1.05 - (layout**2).sum(1), 0)) + 0.05 * np.sin(9 * layout[:, 0])
    return np.concatenate([layout, height[:, None]], 1).astype(np.float32)


def assert_same(first, second):
    for field in ("vertices", "triangles"):
        for a, b in zip(getattr(first, field), getattr(second, field), strict=True):
            np.testing.assert_array_equal(a, b)
    for field in ("adjacency", "laplacian", "down", "up"):
        for a, b in zip(getattr(first, field), getattr(second, field), strict=True):
            assert a.dtype == b.dtype == np.float32
            assert a.format == b.format == "csr"
            assert (a != b).nnz == 0


def test_files_carry_the_original_names_and_read_back(tmp_path):
    vertices, triangles = wavy_grid(12, 12)
    hierarchy = build_hierarchy(vertices, triangles)
    save_hierarchy(tmp_path, hierarchy)
    names = {path.name for path in tmp_path.iterdir()}
    expected = {f"{stem}{i}.npz" for stem in ("adjacency", "laplacians") for i in range(5)}
    expected |= {f"{stem}{i}.npz" for stem in ("downsamp_trans", "upsamp_trans") for i in range(4)}
    assert names == expected | {"hierarchy.npz"}
    assert_same(load_hierarchy(tmp_path, vertices, triangles), hierarchy)
    assert load_hierarchy(tmp_path, vertices, triangles).hash == hierarchy.hash


def test_stale_files_are_refused_and_rebuilt(tmp_path):
    vertices, triangles = wavy_grid(12, 12)
    load_or_build(tmp_path, vertices, triangles)
    moved = vertices + np.float32([0, 0, 1e-3])
    for arguments in ((moved, triangles), (vertices, triangles[:-1]), (vertices, triangles, (4, 4, 4, 3))):
        with pytest.raises(UserError, match="must belong to this mesh"):
            load_hierarchy(tmp_path, *arguments)
    rebuilt = load_or_build(tmp_path, moved, triangles)
    assert_same(rebuilt, build_hierarchy(moved, triangles))
    assert_same(load_hierarchy(tmp_path, moved, triangles), rebuilt)


def test_exchanged_truncated_and_missing_files_are_noticed(tmp_path):
    vertices, triangles = wavy_grid(12, 12)
    built = load_or_build(tmp_path, vertices, triangles)
    scipy.sparse.save_npz(tmp_path / "upsamp_trans1.npz", built.up[1] * 2)
    with pytest.raises(UserError, match="must match their digest"):
        load_hierarchy(tmp_path, vertices, triangles)
    assert_same(load_or_build(tmp_path, vertices, triangles), built)
    (tmp_path / "laplacians2.npz").write_bytes((tmp_path / "laplacians2.npz").read_bytes()[:50])
    with pytest.raises(UserError, match="laplacians2"):
        load_hierarchy(tmp_path, vertices, triangles)
    (tmp_path / "laplacians2.npz").unlink()
    with pytest.raises(UserError, match="no such file"):
        load_hierarchy(tmp_path, vertices, triangles)
    (tmp_path / "hierarchy.npz").write_bytes(b"nothing")
    with pytest.raises(UserError, match="damaged"):
        load_hierarchy(tmp_path, vertices, triangles)
    assert_same(load_or_build(tmp_path, vertices, triangles), built)
    with pytest.raises(UserError, match="got none"):
        load_hierarchy(tmp_path / "elsewhere", vertices, triangles)


def write_original(folder, data, levels=5):
    """The original program's files: the same names, CSC transfers, no header."""
    for i in range(levels):
        scipy.sparse.save_npz(folder / f"adjacency{i}.npz", sparse(data, f"A{i}").tocoo())
        scipy.sparse.save_npz(folder / f"laplacians{i}.npz", sparse(data, f"L{i}"))
    for i in range(levels - 1):
        scipy.sparse.save_npz(folder / f"downsamp_trans{i}.npz", sparse(data, f"D{i}").tocsc())
        scipy.sparse.save_npz(folder / f"upsamp_trans{i}.npz", sparse(data, f"U{i}").tocsc())


def test_the_original_programs_files_load_and_are_left_alone(tmp_path):
    data = golden("networks")
    write_original(tmp_path, data)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    hierarchy = load_or_build(tmp_path, data["vertices"], data["faces"])
    assert hierarchy.level_sizes == tuple(data["pool_size"])
    for i in range(4):
        assert hierarchy.up[i].format == "csr"
        np.testing.assert_array_equal(hierarchy.up[i].toarray(), sparse(data, f"U{i}").toarray())
    assert hierarchy.triangles[1] is None
    assert hierarchy.vertices[4].shape == (3, 3)
    with pytest.raises(UserError, match="another mesh"):
        load_or_build(tmp_path, data["vertices"], data["faces"][:-1])
    with pytest.raises(UserError, match="must hold 4 mesh levels"):
        load_or_build(tmp_path, data["vertices"], data["faces"], (4, 4, 4))
    with pytest.raises(UserError, match="another program"):
        save_hierarchy(tmp_path, hierarchy)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_pickled_matrices_are_refused(tmp_path):
    data = golden("networks")
    write_original(tmp_path, data)
    np.savez(tmp_path / "downsamp_trans1.npz", np.array([{"pickled": 1}], dtype=object))
    with pytest.raises(UserError, match="pickled objects are not read"):
        load_hierarchy(tmp_path, data["vertices"], data["faces"])
