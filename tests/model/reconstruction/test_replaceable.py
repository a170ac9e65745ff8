"""A run replaces the files of an earlier run, and no others, also in the folders of its photos."""

import numpy as np
import pytest
from PIL import Image

import main
from lib.errors import UserError
from lib.files import own_files
from model.evaluation import records
from model.preparation import prepare
from model.reconstruction.files import check_result_folder, remove_other_faces, remove_results
from model.reconstruction.folder import find_jobs
from model.reconstruction.result_folder import check_replaceable
from tests.support.programs.one_line import one_line

OWN = {
    "index.html": b"<!DOCTYPE html>\n<title>3D faces from photos</title>",
    "summary.csv": b"photo,psnr_coarse,psnr_fine\r\n",
    "summary.json": b'{"given": 1, "reconstructed": 0, "failed": {"a.jpg": "x"}, "seconds": 1}',
    "failed.txt": b"a.jpg: no face found\n",
    "sheet.png": b"\x89PNG\r\n\x1a\n...",
}
FOREIGN = {
    "index.html": b"<!DOCTYPE html>\n<title>My home page</title>",
    "summary.csv": b"name,amount\n",
    "summary.json": b"[1, 2]",
    "failed.txt": b"shopping list\n",
    "sheet.png": b"GIF89a",
}


def test_an_earlier_runs_files_are_replaceable(tmp_path):
    check_replaceable(tmp_path / "missing")
    for name, content in OWN.items():
        (tmp_path / name).write_bytes(content)
    check_replaceable(tmp_path)
    (tmp_path / "failed.txt").write_bytes(b"")
    check_replaceable(tmp_path)


@pytest.mark.parametrize("name", OWN)
def test_another_file_is_named(tmp_path, name):
    for own, content in OWN.items():
        (tmp_path / own).write_bytes(content)
    (tmp_path / name).write_bytes(FOREIGN[name])
    with pytest.raises(UserError, match=f"{name}: must be an earlier run's file to be replaced"):
        check_replaceable(tmp_path)


EVALUATED = {
    "images.csv": b"image,psnr_coarse\n",
    "images.json": b'{"images": 1, "protocol": {}, "mean": {}, "failed": {}}',
    "images.png": OWN["sheet.png"],
    "sheet.png": OWN["sheet.png"],
    "metrics.json": b'{"detector": null, "regressor": null, "split": "test", "versions": {}}',
    "index.html": b"<!DOCTYPE html>\n<title>Measured on 56 held-out faces</title>",
}
PREPARED = {
    "prepared.json": b'{"source": "photos", "photos": 1, "crops": 1, "records": []}',
    "left_out.csv": b"photo,kind,reason\r\n",
}


@pytest.mark.parametrize(
    ("kinds", "own"), [(records.FILES, EVALUATED), (prepare._KINDS, PREPARED)], ids=["evaluate", "prepare"]
)
def test_the_other_modes_replace_their_own_files_only(tmp_path, kinds, own):
    assert kinds.keys() == own.keys()
    for name, content in own.items():
        (tmp_path / name).write_bytes(content)
    own_files.check_replaceable(tmp_path, kinds)
    for name, content in own.items():
        (tmp_path / name).write_bytes(b'{"mine": 1}')
        with pytest.raises(UserError, match=f"{name}: must be an earlier run's file to be replaced"):
            own_files.check_replaceable(tmp_path, kinds)
        (tmp_path / name).write_bytes(content)


@pytest.mark.parametrize("name", ["crops/a.png", "sheets/page_001.png"])
def test_pictures_are_an_earlier_preparations_only_beside_its_records(tmp_path, name):
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(UserError, match=f"{name}: must be an earlier run's file to be replaced"):
        prepare.check_output(tmp_path)
    (tmp_path / ".shards").mkdir()
    for mark in ("progress.jsonl", "prepared.json", ".shards/00000-of-00002.jsonl"):
        (tmp_path / mark).write_bytes(PREPARED["prepared.json"])
        prepare.check_output(tmp_path)
        (tmp_path / mark).unlink()


def test_every_mode_checks_its_folder_before_it_begins(tmp_path, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    for mode, name in (("prepare", "prepared.json"), ("evaluate", "images.json")):
        (tmp_path / mode).mkdir()
        (tmp_path / mode / name).write_text("mine")
        line = one_line(main.main, ["--mode", mode, "--input", tmp_path, "--output", tmp_path / mode], capsys)
        assert f"{tmp_path / mode / name}: must be an earlier run's file" in line
        assert (tmp_path / mode / name).read_text() == "mine"


def test_a_photo_in_the_place_of_a_result_is_refused(tmp_path):
    """The run would replace it, or remove it if it shows no face."""
    photo = tmp_path / "sheet.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(photo)
    with pytest.raises(UserError, match=r"sheet\.png: must not lie where the run writes its sheet\.png"):
        find_jobs(photo, tmp_path)
    assert len(find_jobs(photo, tmp_path / "out")[1]) == 1


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


def test_folders_of_other_names_stay_and_a_folder_called_like_a_file_stops_nothing(tmp_path):
    folder = folder_of(tmp_path / "a", coefficients_json=MARK, mesh_obj="v")
    kept = folder_of(folder / "face_1_backup", coefficients_json=MARK, mesh_obj="v")
    (folder / "crop.png").mkdir()
    remove_other_faces(folder, 1)
    assert sorted(path.name for path in kept.iterdir()) == ["coefficients.json", "mesh.obj"]
    assert sorted(path.name for path in folder.iterdir()) == ["crop.png", "face_1_backup"]
