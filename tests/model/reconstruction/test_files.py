"""The folder of a photo's results: files of others in it are neither replaced nor removed."""

import pytest

from lib.errors import UserError
from model.reconstruction.files import check_result_folder, remove_other_faces, remove_results

MARK = '{"photo": "a.png", "face_model": {}, "coefficients": {}}'
METRICS = '{"photo": "a.png", "psnr_coarse": 20.0}'


def folder_of(path, **contents):
    path.mkdir()
    for name, content in contents.items():
        (path / name.replace("_", ".")).write_text(content)
    return path


@pytest.mark.parametrize(
    ("foreign", "contents"),
    [
        ("rig.glb", {"rig_glb": "mine"}),
        ("metrics.json", {"metrics_json": '{"accuracy": 1}'}),
        ("metrics.json", {"metrics_json": "[1]", "coefficients_json": MARK}),
        ("coefficients.json", {"coefficients_json": "mine", "crop_png": "mine"}),
    ],
)
def test_files_of_others_stay(tmp_path, foreign, contents):
    folder = folder_of(tmp_path / "a", **contents)
    with pytest.raises(UserError, match=f"{foreign}: must be an earlier result's file to be replaced, got another"):
        check_result_folder(folder)
    remove_results(folder)
    remove_other_faces(folder, 2)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        name.replace("_", "."): content for name, content in contents.items()
    }


@pytest.mark.parametrize(
    "contents",
    [
        {},
        {"notes_txt": "mine"},
        {"mesh_obj": ""},
        {"coefficients_json": MARK, "mesh_obj": "v"},
        {"metrics_json": METRICS, "crop_png": "p"},
        {"metrics_json": '{"photos": 2, "psnr_merged": {}}', "mesh_ply": "p"},
    ],
)
def test_an_earlier_result_is_replaceable(tmp_path, contents):
    check_result_folder(tmp_path / "missing")
    folder = folder_of(tmp_path / "a", **contents)
    check_result_folder(folder)
    remove_results(folder)
    assert [path.name for path in folder.iterdir()] == [name.replace("_", ".") for name in contents if "notes" in name]


def test_a_persons_sheet_counts_if_it_would_be_written(tmp_path):
    folder = folder_of(tmp_path / "person", sheet_png="mine")
    check_result_folder(folder)
    with pytest.raises(UserError, match=r"sheet\.png: must be an earlier result's"):
        check_result_folder(folder, "sheet.png")


def test_folders_of_other_faces_are_looked_at_one_by_one(tmp_path):
    folder = folder_of(tmp_path / "a", coefficients_json=MARK)
    own = folder_of(folder / "face_1", coefficients_json=MARK, mesh_obj="v")
    foreign = folder_of(folder / "face_2", mesh_obj="mine")
    remove_other_faces(folder, 1)
    assert not own.exists()
    assert (foreign / "mesh.obj").read_text() == "mine"
    assert not (folder / "coefficients.json").exists()
