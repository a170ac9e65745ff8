"""Properties of mesh hierarchies that must hold for any mesh."""

import numpy as np
import pytest
import scipy.sparse.csgraph
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import Delaunay

from lib.mesh_sampling import build_hierarchy

SEEDS = st.integers(0, 2**32 - 1)


def random_sheet(seed, count, relief):
    """A connected open mesh: random points of the plane, triangulated, at random heights."""
    generator = np.random.default_rng(seed)
    flat = generator.uniform(-1, 1, (count, 2))
    height = relief * generator.normal(size=(count, 1))
    return np.concatenate([flat, height], axis=1).astype(np.float32), Delaunay(flat).simplices.astype(np.int32)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(12, 250), st.floats(0, 0.5), st.lists(st.floats(1.5, 6), min_size=1, max_size=3))
def test_levels_pick_vertices_interpolate_and_stay_connected(seed, count, relief, factors):
    vertices, triangles = random_sheet(seed, count, relief)
    hierarchy = build_hierarchy(vertices, triangles, factors)
    for level, (down, up) in enumerate(zip(hierarchy.down, hierarchy.up, strict=True)):
        fine, coarse = hierarchy.vertices[level], hierarchy.vertices[level + 1]
        # D picks one vertex a row, each once, and keeps its place.
        np.testing.assert_array_equal(down.data, 1)
        np.testing.assert_array_equal(np.diff(down.indptr), 1)
        assert len(np.unique(down.indices)) == len(coarse)
        np.testing.assert_array_equal(down @ fine, coarse)
        # U interpolates on one triangle a vertex and returns kept vertices themselves.
        assert up.data.min() >= 0
        assert np.diff(up.indptr).max() <= 3
        np.testing.assert_allclose(up @ np.full(len(coarse), 7.0), 7.0, rtol=1e-6)
        np.testing.assert_array_equal((down @ up).toarray(), np.eye(len(coarse)))
        assert 3 <= len(coarse) <= len(fine)
    for adjacency in hierarchy.adjacency:
        assert scipy.sparse.csgraph.connected_components(adjacency, directed=False)[0] == 1


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(12, 120))
def test_the_same_mesh_gives_the_same_matrices_wherever_it_sits(seed, count):
    vertices, triangles = random_sheet(seed, count, 0.2)
    # Powers of two move nothing in float32 but the exponent.
    first, second = build_hierarchy(vertices, triangles, (3,)), build_hierarchy(vertices * 4, triangles, (3,))
    np.testing.assert_array_equal(first.down[0].indices, second.down[0].indices)
    np.testing.assert_allclose(first.up[0].toarray(), second.up[0].toarray(), atol=1e-5)
    assert first.hash != second.hash


@given(SEEDS, st.sampled_from(["nan", "infinity", "beyond the last", "negative", "real numbers", "none"]))
@settings(max_examples=40, deadline=None)
def test_meshes_that_are_none_are_refused(seed, fault):
    vertices, triangles = random_sheet(seed, 20, 0.1)
    generator = np.random.default_rng(seed)
    row, column = generator.integers(len(triangles)), generator.integers(3)
    if fault in ("nan", "infinity"):
        vertices[generator.integers(20), column] = np.nan if fault == "nan" else np.inf
    elif fault == "none":
        triangles = triangles[:0]
    elif fault == "real numbers":
        triangles = triangles.astype(np.float32)
    else:
        triangles[row, column] = 20 if fault == "beyond the last" else -1
    with pytest.raises(ValueError, match="must"):
        build_hierarchy(vertices, triangles)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(1, 12), st.integers(3, 9))
def test_triangles_without_area_and_doubled_ones_still_give_weights_that_sum_to_one(seed, triangle_count, count):
    generator = np.random.default_rng(seed)
    vertices = generator.integers(-1, 2, (count, 3)).astype(np.float32)
    triangles = generator.integers(0, count, (triangle_count, 3)).astype(np.int32)
    hierarchy = build_hierarchy(vertices, triangles, (2,))
    np.testing.assert_allclose(np.asarray(hierarchy.up[0].sum(axis=1)), 1, atol=1e-6)
    np.testing.assert_array_equal(np.diff(hierarchy.down[0].indptr), 1)
    assert np.isfinite(hierarchy.laplacian[1].data).all()


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.booleans(), st.integers(5, 120))
def test_the_steps_of_any_mesh_make_its_levels_again(seed, flawed, count):
    """To the bit, also where vertices are as near to several triangles, or triangles have no area."""
    if flawed:
        generator = np.random.default_rng(seed)
        vertices = generator.integers(-1, 2, (count, 3)).astype(np.float32)
        triangles = generator.integers(0, count, (2 * count, 3)).astype(np.int32)
    else:
        vertices, triangles = random_sheet(seed, count, 0.2)
    built = build_hierarchy(vertices, triangles, (2, 3))
    again = build_hierarchy(vertices, triangles, (2, 3), built.steps)
    assert again.choice == built.choice
    for ours, theirs in zip((*again.up, *again.down), (*built.up, *built.down), strict=True):
        np.testing.assert_array_equal(ours.toarray(), theirs.toarray())
