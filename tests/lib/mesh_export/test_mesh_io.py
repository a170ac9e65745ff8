"""Meshes survive the way to a file and back."""

import numpy as np
import pytest
import trimesh

from lib.mesh_export.mesh_io import write_mesh
from tests.support.helpers import read_mesh


def mesh():
    """A bumpy sphere with two duplicated positions, which a careless reader would merge, and random colours."""
    generator = np.random.default_rng(0)
    sphere = trimesh.creation.icosphere(2)
    vertices = (sphere.vertices * generator.uniform(0.9, 1.1, (len(sphere.vertices), 1))).astype(np.float32)
    vertices = np.concatenate([vertices, vertices[:2]])
    triangles = np.concatenate([sphere.faces, [[len(vertices) - 2, 1, 5], [0, len(vertices) - 1, 11]]]).astype(np.int32)
    return vertices, triangles, generator.integers(0, 256, vertices.shape) / 255


@pytest.mark.parametrize("name", ["face.obj", "face.ply", "FACE.PLY"])
def test_written_and_read_again_is_identical(tmp_path, name):
    vertices, triangles, colours = mesh()
    write_mesh(tmp_path / "new" / name, vertices, triangles, colours)
    again = read_mesh(tmp_path / "new" / name)
    np.testing.assert_allclose(again[0], vertices, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(again[1], triangles)
    np.testing.assert_allclose(again[2], colours, atol=1e-6)
    # Writing what was read gives the same bytes: nothing is reordered, merged or rounded twice.
    write_mesh(tmp_path / f"again-{name}", *again)
    assert (tmp_path / f"again-{name}").read_bytes() == (tmp_path / "new" / name).read_bytes()


def test_obj_lists_colours_as_other_programs_expect(tmp_path):
    write_mesh(tmp_path / "a.obj", np.eye(3), np.array([[0, 1, 2]]), np.array([[1, 0, 0], [0, 2, 0], [0, 0, -1.0]]))
    lines = (tmp_path / "a.obj").read_text().splitlines()
    positions = [[float(x) for x in line.split()[1:]] for line in lines if line.startswith("v ")]
    np.testing.assert_allclose(positions, [[1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 0]])
    assert [line for line in lines if line.startswith("f ")] == ["f 1 2 3"]


def test_indices_of_a_small_type_do_not_overflow(tmp_path):
    write_mesh(tmp_path / "a.obj", np.zeros((256, 3)), np.array([[253, 254, 255]], np.uint8))
    assert "\nf 254 255 256\n" in (tmp_path / "a.obj").read_text()


@pytest.mark.parametrize("name", ["a.obj", "a.ply"])
def test_points_need_no_triangles(tmp_path, name):
    write_mesh(tmp_path / name, np.eye(3), np.zeros((0, 3), int))
    vertices = trimesh.load(tmp_path / name, process=False).vertices
    np.testing.assert_array_equal(vertices, np.eye(3))


def test_wrong_meshes_are_refused(tmp_path):
    vertices, triangles, colours = mesh()
    with pytest.raises(ValueError, match=r"\.obj or \.ply"):
        write_mesh(tmp_path / "face.stl", vertices, triangles, colours)
    with pytest.raises(ValueError, match=r"indices below 164, from 0, got 164 to 327"):
        write_mesh(tmp_path / "a.ply", vertices, triangles + len(vertices), colours)
    with pytest.raises(ValueError, match="finite"):
        write_mesh(tmp_path / "a.ply", vertices * np.nan, triangles, colours)
    with pytest.raises(ValueError, match=r"must be \[N, 3\]"):
        write_mesh(tmp_path / "a.ply", vertices, triangles, colours[:5])
    assert not list(tmp_path.iterdir())
