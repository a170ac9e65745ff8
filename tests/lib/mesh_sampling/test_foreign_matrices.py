"""Matrices of the original program: those of another mesh and those that would fill the memory are refused."""

import numpy as np
import pytest
import scipy.sparse

from lib.errors import UserError
from lib.mesh_sampling.storage import load_hierarchy
from tests.lib.mesh_sampling.test_mesh_sampling import write_original
from tests.support.helpers import golden


@pytest.mark.parametrize("vertices", [-1, 1])
def test_another_meshs_matrices_are_told_from_its_vertices(tmp_path, vertices):
    data = golden("networks")
    write_original(tmp_path, data)
    mesh = np.concatenate([data["vertices"], np.zeros((1, 3))]), data["faces"]
    if vertices < 0:
        mesh = data["vertices"][:5], np.array([[0, 1, 2]])
    with pytest.raises(UserError, match=r"adjacency0\.npz:? must match this mesh's"):
        load_hierarchy(tmp_path, *mesh)


@pytest.mark.parametrize("form", ["coo", "csc"])
def test_a_shape_without_end_is_refused_before_memory_is_taken(tmp_path, form):
    data = golden("networks")
    write_original(tmp_path, data)
    empty = scipy.sparse.coo_matrix(([1.0], ([0], [0])), shape=(10**10, 3))
    scipy.sparse.save_npz(tmp_path / "adjacency0.npz", empty.tocsc() if form == "csc" else empty)
    with pytest.raises(UserError, match=r"adjacency0\.npz:? must match this mesh's .*got \[10000000000, 3\]"):
        load_hierarchy(tmp_path, data["vertices"], data["faces"])
