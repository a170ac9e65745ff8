"""ICT-FaceKit's folder as published: a small made-up one, and one written from the reference arrays."""

import dataclasses

import numpy as np
import pytest

from lib.errors import UserError
from lib.face_model.face_model import ExpressionPrior
from lib.face_model_files.formats.ict import STRENGTH, load_ict
from lib.face_model_files.published import load_published
from model.fitting.weights import fitting_prior
from tests.support.faces import built_in_face
from tests.support.helpers import ROOT, shared_file
from tests.support.published_files.ict_files import SMALL, small_arrays, write_folder
from tests.support.published_files.pinned import check_conversion


@pytest.fixture(scope="module")
def built_in():
    return built_in_face(2000)


def check(model, arrays) -> None:
    mean = arrays["mean_shape"].astype(np.float64)
    np.testing.assert_allclose(model.mean_shape * 10, mean - mean.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(model.identity_basis * 10, arrays["identity_basis"], atol=1e-5)
    np.testing.assert_allclose(model.expression_basis * (10 / STRENGTH), arrays["expression_basis"], atol=1e-5)
    np.testing.assert_allclose(model.uv, arrays["uv"], atol=1e-6)
    np.testing.assert_array_equal(model.landmarks, arrays["landmarks68"])
    np.testing.assert_array_equal(model.mirror_index, arrays["mirror_index"])
    assert model.expression_names == tuple(arrays["expression_names"])
    np.testing.assert_allclose(model.mean_albedo[model.mirror_index], model.mean_albedo, atol=1e-5)


def test_a_small_folder(tmp_path, built_in):
    arrays = small_arrays()
    write_folder(tmp_path / "ict", arrays)
    model = load_ict(tmp_path / "ict", built_in, SMALL)
    check_conversion("ICT", model)
    check(model, arrays)
    assert model.front_mask.sum() == 60
    # Both halves of every quad face the camera as the quad did.
    corners = model.mean_shape[model.triangles]
    assert (np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] > 0).all()


def test_the_published_model(tmp_path):
    """Layout and numbers of the whole model; the folder is written from the reference arrays, to six decimals."""
    with np.load(shared_file("data/ict_face_model.npz")) as data:
        arrays = dict(data)
    write_folder(tmp_path / "FaceXModel", arrays)
    model = load_published(tmp_path / "FaceXModel", tmp_path / "cache")
    check(model, arrays)
    np.testing.assert_array_equal(model.triangles, arrays["triangles"])
    assert model.front_mask.sum() == arrays["narrow_face_vertex_count"]
    assert fitting_prior(model).one_sided.all()
    plain = dataclasses.replace(model, expression_prior=None)
    plain.save(tmp_path / "own.npz")
    assert load_published(tmp_path / "own.npz", tmp_path / "cache").expression_prior.one_sided.all()
    dataclasses.replace(model, expression_prior=ExpressionPrior.standard(53)).save(tmp_path / "own.npz")
    assert not load_published(tmp_path / "own.npz", tmp_path / "cache").expression_prior.one_sided.any()


def test_the_published_folder():
    """The files as their publishers give them out, where somebody put them."""
    folder = ROOT / "data" / "ict" / "FaceXModel"
    if not folder.is_dir():
        pytest.skip("needs ICT-FaceKit's folder FaceXModel in data/ict (data/README.md)")
    with np.load(shared_file("data/ict_face_model.npz")) as data:
        arrays = dict(data)
    model = load_ict(folder, built_in_face(2000))
    check(model, arrays)
    np.testing.assert_array_equal(model.triangles, arrays["triangles"])


@pytest.mark.parametrize("name", ["generic_neutral_mesh.obj", "identity001.obj", "jawOpen.obj"])
def test_a_truncated_mesh_is_named(tmp_path, built_in, name):
    write_folder(tmp_path / "ict", small_arrays())
    path = tmp_path / "ict" / name
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(UserError, match=name):
        load_ict(tmp_path / "ict", built_in, SMALL)


@pytest.mark.parametrize("name", ["identity002.obj", "noseSneer_R.obj", "vertex_indices.json"])
def test_a_missing_file_is_named(tmp_path, built_in, name):
    write_folder(tmp_path / "ict", small_arrays())
    (tmp_path / "ict" / name).unlink()
    with pytest.raises(UserError, match=name):
        load_ict(tmp_path / "ict", built_in, SMALL)


def test_another_release_is_refused(tmp_path, built_in):
    arrays = small_arrays()
    arrays["quads"] = arrays["quads"].copy()
    arrays["quads"][0, 0] = SMALL.vertices
    write_folder(tmp_path / "ict", arrays)
    with pytest.raises(UserError, match="another release"):
        load_ict(tmp_path / "ict", built_in, SMALL)
