"""GNM Head's file as published, made up from the built-in face: what is read must be that face again."""

import shutil

import numpy as np
import pytest

from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.face_model_files import published
from lib.face_model_files.formats.gnm import load_gnm
from lib.face_model_files.landmark_files import FILE
from lib.face_model_files.published import load_published
from lib.mesh_export.uv_chart import chart_fault
from tests.support.faces import built_in_face
from tests.support.published_files.gnm_files import gnm_arrays, write_gnm
from tests.support.published_files.pinned import check_conversion


@pytest.fixture(scope="module")
def built_in() -> FaceModel:
    return built_in_face(2000)


@pytest.fixture(scope="module")
def arrays(built_in) -> dict[str, np.ndarray]:
    return gnm_arrays(built_in, part=0.05)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, arrays, built_in):
    path = tmp_path_factory.mktemp("gnm")
    write_gnm(path, arrays, built_in.landmarks)
    return path


@pytest.fixture(scope="module")
def model(folder, built_in) -> FaceModel:
    return load_gnm(folder, built_in)


def test_the_face_is_read_without_corneas_and_the_back_of_the_head(model, arrays, built_in):
    check_conversion("GNM", model)
    np.testing.assert_allclose(model.mean_shape, built_in.mean_shape, atol=1e-4)
    outside = arrays["triangles"].max(axis=1) >= built_in.vertex_count
    np.testing.assert_array_equal(model.triangles, arrays["triangles"][~outside])
    np.testing.assert_array_equal(model.mirror_index, built_in.mirror_index)
    np.testing.assert_array_equal(model.landmarks, built_in.landmarks)


def test_modes_that_a_photo_can_show_are_kept_by_their_names(model, built_in):
    assert model.layout.identity == 8  # of 8 head modes, without eyes and teeth
    np.testing.assert_allclose(model.identity_basis, built_in.identity_basis[:8], atol=1e-5)
    sides = [f"{side}_eye_region_{number:03d}" for side in ("left", "right") for number in range(5)]
    assert model.expression_names == (*sides, *(f"lower_face_region_{number:03d}" for number in range(8)))
    np.testing.assert_allclose(model.expression_basis[10:], built_in.expression_basis[:8], atol=1e-5)
    assert model.expression_prior is None  # principal components have both signs


def test_colours_are_carried_over_and_parts_painted(model, built_in):
    skin = model.skin_mask & built_in.skin_mask
    assert np.median(np.abs(model.mean_albedo - built_in.mean_albedo)[skin]) < 1e-3
    assert np.median(np.abs(model.albedo_basis - built_in.albedo_basis)[:, skin]) < 1e-3
    np.testing.assert_allclose(model.mean_albedo[model.mirror_index], model.mean_albedo, atol=1e-4)
    white = (model.regions["eye"] > 0.5) & (model.regions["iris"] < 0.01)
    black = model.regions["pupil"] > 0.9
    assert model.mean_albedo[white].min() > 0.5 > 0.2 > model.mean_albedo[black].max()
    for name in ("eye", "iris", "pupil", "teeth"):
        np.testing.assert_allclose(model.regions[name] > 0.5, built_in.regions[name] > 0.5)
    assert not model.skin_mask[model.regions["eye"] > 0.5].any()


def test_the_parts_of_the_chart_have_cells_of_their_own(model):
    assert chart_fault(model.uv, model.triangles) is None
    eye = model.uv[model.regions["eye"] > 0.5]
    skin = model.uv[model.skin_mask]
    assert eye[:, 1].max() < skin[:, 1].min()


def test_found_by_its_arrays_and_cached(folder, built_in, model, tmp_path, monkeypatch):
    monkeypatch.setattr(published, "load_built_in", lambda cache_dir: built_in)
    assert load_published(folder / "gnm_head.npz", tmp_path).fingerprint == model.fingerprint
    monkeypatch.setattr(published, "load_built_in", None)
    assert load_published(folder / "gnm_head.npz", tmp_path).fingerprint == model.fingerprint


def test_landmarks_where_a_clone_has_them_or_of_ones_choice(tmp_path, folder, arrays, built_in):
    path = write_gnm(tmp_path / "data" / "versions" / "v3_0", arrays)
    with pytest.raises(UserError, match=r"must have head_sparse_68\.txt.*github\.com/google/GNM.*copy the file there"):
        load_gnm(path, built_in)
    (tmp_path / "data" / "landmarks").mkdir()
    shutil.copy(folder / "head_sparse_68.txt", tmp_path / "data" / "landmarks")
    np.testing.assert_array_equal(load_gnm(path, built_in).landmarks, built_in.landmarks)
    marks = built_in.landmarks.copy()
    marks[30] += 1
    (path.parent / FILE).write_text("\n".join(map(str, marks)))
    np.testing.assert_array_equal(load_gnm(path, built_in).landmarks, marks)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"triangles": None}, r"no array 'triangles'"),
        ({"expression_basis": np.zeros((3, 7, 3))}, r"'expression_basis' must be \[\d+, \d+, 3\], got \[3, 7, 3\]"),
        ({"triangles": np.array(1)}, r"'triangles' must be an array, got a single value"),
        ({"identity_names": np.array("head_0")}, r"'identity_names' must be an array, got a single value"),
        ({"mirror_indices": "roll"}, r"'mirror_indices' must be an involution, got \d+ vertices"),
        ({"triangles": np.zeros((0, 3), int), "triangle_uvs": np.zeros((0, 3, 2))}, r"'triangles' must not be empty"),
        ({"triangles": "high"}, r"'triangles' must lie within 0\.\.\d+, got 0\.\.1000000"),
        ({"template_vertex_positions": "nan"}, r"'template_vertex_positions' must be finite numbers"),
        ({"identity_names": "other"}, r"modes' names must begin with head_, got none"),
        ({"vertex_group_names": "other"}, r"'vertex_group_names' must hold left_eye, right_eye, skin"),
    ],
)
def test_files_with_other_arrays_are_refused_by_their_names(tmp_path, arrays, built_in, changed, message):
    other = dict(arrays)
    for name, how in changed.items():
        if how is None:
            del other[name]
        elif isinstance(how, np.ndarray):
            other[name] = how
        elif how == "roll":
            other[name] = np.roll(arrays[name], 1)
        elif how == "other":
            other[name] = np.array([f"x{value}" for value in arrays[name]])
        else:
            other[name] = arrays[name].copy()
            other[name].flat[0] = {"high": 10**6, "nan": np.nan}[how]
    with pytest.raises(UserError, match=message):
        load_gnm(write_gnm(tmp_path, other, built_in.landmarks), built_in)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0.5 2 0.5\n" * 68, r"68 lines of three vertices and their weights.*got 68 x 4 numbers"),
        ("1 0.5 x 0.5 3 0\n" * 68, r"head_sparse_68\.txt: must have 68 lines"),
        ("1 0.5 9999999 0.5 3 0\n" * 68, r"vertices must lie within 0\.\.\d+, got 1\.\.9999999"),
    ],
)
def test_tables_of_landmarks_that_do_not_fit(tmp_path, folder, built_in, text, message):
    shutil.copy(folder / "gnm_head.npz", tmp_path)
    (tmp_path / "head_sparse_68.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        load_gnm(tmp_path, built_in)
