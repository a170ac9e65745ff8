"""The Basel Face Model 2009 from files with made-up numbers."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from configs import schema
from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.face_model_files.completion import cylindrical_chart, mirror_by_position, mirror_from_pairs
from lib.face_model_files.formats.basel2009 import is_basel_2009, load_basel_2009
from lib.face_model_files.published import load_published
from model.pipeline import load_face_model
from tests.support.published_files.basel_files import Indices, published_indices, small_indices, write_raw, write_ready
from tests.support.published_files.pinned import check_conversion

PUBLISHED = Path(__file__).resolve().parents[4] / "shared" / "data" / "bfm_index"


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    return folder, small_indices(), write_raw(folder, small_indices(), 90)


def check(model: FaceModel, indices: Indices, arrays: dict[str, np.ndarray], vertices) -> None:
    """Compares some vertices with the recipe written out number by number."""
    everyone = np.array([arrays["shapeMU"][3 * f : 3 * f + 3, 0] for f in indices.cropped_to_full], np.float64) / 1e5
    for c in vertices:
        e = indices.cropped_to_expression[c]
        f = indices.expression_to_full[e]
        np.testing.assert_allclose(model.mean_shape[c], everyone[c] - everyone.mean(axis=0), atol=1e-6)
        for axis in range(3):
            np.testing.assert_allclose(model.mean_albedo[c, axis], arrays["texMU"][3 * f + axis, 0] / 255, rtol=1e-5)
            for k in (0, 7, 79):
                shape = arrays["shapePC"][3 * f + axis, k] * arrays["shapeEV"][k, 0] / 100_000
                np.testing.assert_allclose(model.identity_basis[k, c, axis], shape, rtol=1e-5)
                colour = arrays["texPC"][3 * f + axis, k] * arrays["texEV"][k, 0] / 255
                np.testing.assert_allclose(model.albedo_basis[k, c, axis], colour, rtol=1e-5)
            for k in (0, 5, 63):
                moved = arrays["expPC"][k, 3 * e + axis] * arrays["expEV"][k] / 100_000
                np.testing.assert_allclose(model.expression_basis[k, c, axis], moved, rtol=1e-5)


def test_units_orders_and_offsets(raw):
    folder, indices, arrays = raw
    assert is_basel_2009(folder)
    model = load_basel_2009(folder)
    check_conversion("Basel 2009", model)
    assert (model.layout.identity, model.layout.expression, model.layout.albedo) == (80, 64, 80)
    check(model, indices, arrays, range(40))
    np.testing.assert_array_equal(model.triangles, indices.info["tri"] - 1)
    np.testing.assert_array_equal(model.landmarks, indices.info["keypoints"][0] - 1)
    np.testing.assert_array_equal(np.flatnonzero(model.front_mask), np.arange(4, 29))
    np.testing.assert_array_equal(model.skin_mask, np.arange(40) % 3 == 0)


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the publishers' index files are not here")
def test_the_model_of_true_size(tmp_path):
    indices = published_indices(PUBLISHED)
    arrays = write_raw(tmp_path, indices)
    model = load_basel_2009(tmp_path)
    assert model.vertex_count == 35709
    assert model.layout.size == 257
    assert len(model.triangles) == 70789
    assert model.front_mask.sum() == 27660
    check(model, indices, arrays, np.random.default_rng(1).integers(0, 35709, 50))


def test_the_converted_file_gives_the_same_model(raw, tmp_path):
    folder, indices, _ = raw
    model = load_basel_2009(folder)
    write_ready(tmp_path / "BFM_model_front.mat", model, indices.info)
    converted = load_basel_2009(tmp_path)
    for name in ("mean_shape", "identity_basis", "expression_basis", "mean_albedo", "albedo_basis", "triangles"):
        np.testing.assert_allclose(getattr(converted, name), getattr(model, name), atol=1e-5, err_msg=name)


def test_what_speaks_of_the_full_model_is_used_with_the_converted_one_or_refused(raw, tmp_path):
    folder, indices, _ = raw
    model = load_basel_2009(folder)
    write_ready(tmp_path / "BFM_model_front.mat", model, indices.info)
    segments = np.arange(indices.full) % 4
    scipy.io.savemat(tmp_path / "face05_4seg.mat", {"face05_4seg": segments[:, None]})
    with pytest.raises(UserError, match=r"face05_4seg\.mat: numbers the full model.*needs select_vertex_id\.mat"):
        load_basel_2009(tmp_path)
    shutil.copy(folder / "select_vertex_id.mat", tmp_path)
    expected = segments[indices.cropped_to_full] == 3
    np.testing.assert_array_equal(load_basel_2009(tmp_path).skin_mask, expected)
    (tmp_path / "select_vertex_id.mat").unlink()
    for name in ("BFM_exp_idx.mat", "BFM_front_idx.mat"):
        shutil.copy(folder / name, tmp_path)
    np.testing.assert_array_equal(load_basel_2009(tmp_path).skin_mask, expected)
    scipy.io.savemat(tmp_path / "select_vertex_id.mat", {"select_id": np.arange(1, 31)[:, None]})
    for name in ("BFM_exp_idx.mat", "BFM_front_idx.mat"):
        (tmp_path / name).unlink()
    with pytest.raises(UserError, match="must name the 40 of the converted model, got 30"):
        load_basel_2009(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("01_MorphableModel.mat", {"shapeMU": np.zeros((3, 1))}, r"BFM_exp_idx.*'trimIndex'.*1 to 1"),
        ("01_MorphableModel.mat", b"no mat", r"01_MorphableModel.*MATLAB 5"),
        ("01_MorphableModel.mat", {"other": np.zeros(3)}, r"01_MorphableModel.*'shapeMU', got other"),
        ("BFM_exp_idx.mat", {"trimIndex": np.arange(1, 45)[:, None]}, r"BFM_front_idx.*'idx'"),
        ("BFM_front_idx.mat", {"idx": np.array([[0.0], [3.0]])}, r"BFM_front_idx.*'idx'.*from 1"),
        ("BFM_front_idx.mat", {"idx": np.array([[1.0], [2.5]])}, r"BFM_front_idx.*'idx'.*whole"),
        ("select_vertex_id.mat", {"select_id": np.arange(1, 41)[:, None]}, r"select_vertex_id.*same vertices"),
        ("Exp_Pca.bin", b"\x4f\0\0\0 too short", r"Exp_Pca.*79 components it declares"),
        ("Exp_Pca.bin", b"", r"Exp_Pca.*at least 64 components"),
        ("std_exp.txt", b"1 2 3", r"std_exp.*79 positive numbers"),
        ("std_exp.txt", b"one two", r"std_exp.*must hold numbers"),
        ("facemodel_info.mat", {"tri": np.array([[1.0, 2.0, 99.0]])}, r"facemodel_info.*'tri'.*1 to 40"),
        ("face05_symlist.txt", b"1 1000000000000", r"face05_symlist.*pairs of the full model's 53,490.*to 10{12}"),
    ],
)
def test_a_wrong_file_is_named(raw, tmp_path, name, content, message):
    shutil.copytree(raw[0], tmp_path / "copy")
    path = tmp_path / "copy" / name
    path.write_bytes(content) if isinstance(content, bytes) else scipy.io.savemat(path, content)
    with pytest.raises(UserError, match=message):
        load_basel_2009(tmp_path / "copy")


def test_missing_files_are_all_named(raw, tmp_path):
    shutil.copytree(raw[0], tmp_path / "copy")
    for name in ("Exp_Pca.bin", "facemodel_info.mat"):
        (tmp_path / "copy" / name).unlink()
    with pytest.raises(UserError, match=r"missing: Exp_Pca\.bin, facemodel_info\.mat"):
        load_basel_2009(tmp_path / "copy")


def test_a_folder_is_converted_once_and_again_when_a_file_changes(raw, tmp_path):
    shutil.copytree(raw[0], tmp_path / "bfm")
    first = load_published(tmp_path / "bfm", tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    modified = kept.stat().st_mtime_ns
    assert load_published(tmp_path / "bfm", tmp_path / "cache").fingerprint == first.fingerprint
    assert kept.stat().st_mtime_ns == modified
    write_raw(tmp_path / "bfm", small_indices(), 90, seed=1)
    assert load_published(tmp_path / "bfm", tmp_path / "cache").fingerprint != first.fingerprint
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: must be a face model in a known form .*Basel Face Model 2009"):
        load_published(tmp_path / "empty", tmp_path / "cache")


def test_a_configuration_may_name_the_folder(raw, tmp_path):
    names = {"face_model.source": str(raw[0]), "data.root_dir": str(tmp_path)}
    assert load_face_model(schema.load(overrides=names)).vertex_count == 40
    with pytest.raises(UserError, match=r"face_model\.source.*nowhere"):
        load_face_model(schema.load(overrides=names | {"face_model.source": "nowhere"}))


def mirrored_shape() -> np.ndarray:
    """[60, 3] vertex i and 59 - i mirror each other; decimetres."""
    half = np.random.default_rng(3).uniform(0.1, 1.0, (30, 3))
    return np.concatenate([half, half[::-1] * [-1, 1, 1]])


@pytest.mark.parametrize("base", [0, 1])
def test_the_list_of_pairs_may_count_from_0_or_1(tmp_path, base):
    indices = small_indices()
    arrays = write_raw(tmp_path, indices, 90)
    kinds = ("shapePC", "shapeEV", "texMU", "texPC", "texEV")
    shape = 1e5 * mirrored_shape().reshape(-1, 1)
    scipy.io.savemat(tmp_path / "01_MorphableModel.mat", {"shapeMU": shape} | {k: arrays[k] for k in kinds})
    pairs = np.stack([np.arange(30), 59 - np.arange(30)], axis=1)
    np.savetxt(tmp_path / "face05_symlist.txt", pairs + base, fmt="%d")
    segments = np.arange(60) % 4
    scipy.io.savemat(tmp_path / "face05_4seg.mat", {"face05_4seg": segments[:, None]})
    model = load_basel_2009(tmp_path)
    full = indices.cropped_to_full
    place = {f: c for c, f in enumerate(full)}
    np.testing.assert_array_equal(model.mirror_index, [place.get(59 - f, c) for c, f in enumerate(full)])
    np.testing.assert_array_equal(model.skin_mask, segments[full] == 3)


def test_mirrors_by_position_pair_up_and_leave_the_rest_alone():
    shape = mirrored_shape()
    shape[7] += [0.0, 0.0, 0.5]  # no longer where its partner would be
    mirror = mirror_by_position(shape)
    expected = 59 - np.arange(60)
    expected[[7, 52]] = [7, 52]
    np.testing.assert_array_equal(mirror, expected)
    with pytest.raises(ValueError, match="one pair at most"):
        mirror_from_pairs(np.array([[0, 1], [1, 2]]), 3)


def test_the_chart_keeps_left_and_right_and_up():
    shape = np.array([[-0.7, 0.0, 0.0], [0.7, 0.0, 0.0], [0.0, -0.9, 0.5], [0.0, 0.9, 0.5]])
    chart = cylindrical_chart(shape)
    assert chart.min() >= 0
    assert chart.max() <= 1
    assert chart[0, 0] < chart[2, 0] < chart[1, 0]
    assert chart[2, 1] < chart[3, 1]
