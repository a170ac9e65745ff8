"""Which folders are searched for photos: not those of earlier results, and those that links lead to, once each."""

import json

import pytest

from lib.errors import UserError
from lib.face_image import earlier_results
from lib.face_image.earlier_results import tell_of_results
from lib.face_image.photo_io import photo_paths
from model.reconstruction.files import _ALL_FILES

MARKS = {
    "coefficients.json": {"photo": "a.png", "face_model": {}, "coefficients": {}},
    "summary.json": {"given": 1, "reconstructed": 1, "failed": {}},
    "images.json": {"images": 1, "protocol": {}, "mean": {}},
    "progress.jsonl": {"source": "/photos", "crc32": 1},
}


def files(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")


def marked(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(json.dumps(MARKS[name]))


def found(root, skip=None):
    return [path.relative_to(root).as_posix() for path in photo_paths(root, skip)]


def test_pictures_of_earlier_results_are_no_photos(tmp_path, capsys):
    pictures = [name for name in _ALL_FILES if name.endswith(".png")]
    files(tmp_path, "a.png", "out/sheet.png", *(f"out/a/{name}" for name in [*pictures, "own.png"]))
    files(tmp_path, "prep/crops/a.png", "prep/sheets/page_001.png", "prep/b.png", "part/crops/a.png")
    files(tmp_path, "part/.shards/00000-of-00002.jsonl", "eval/images.png", "anna/person/sheet.png", "anna/crops/c.png")
    marked(tmp_path / "out", "summary.json")
    marked(tmp_path / "prep", "progress.jsonl")
    marked(tmp_path / "eval", "images.json")
    for result in ("out/a", "anna/person"):
        marked(tmp_path / result, "coefficients.json")
    assert found(tmp_path) == ["a.png", "anna/crops/c.png", "out/a/own.png", "prep/b.png"]
    told = capsys.readouterr().err
    assert told.startswith(f"left out: results of earlier runs in 6 folders, the first {tmp_path}")
    assert found(tmp_path / "anna") == ["crops/c.png"]
    assert not capsys.readouterr().err, "it has been said"


def test_the_same_files_of_others_are_photos(tmp_path, capsys):
    files(tmp_path, "a/crop.png", "a/sheet.png", "crops/a.png", "summary.json", "a/coefficients.json", "progress.jsonl")
    (tmp_path / "summary.json").write_text("{}")
    assert found(tmp_path) == ["a/crop.png", "a/sheet.png", "crops/a.png"]
    tell_of_results([])
    assert not capsys.readouterr().err


def test_nothing_but_results_is_no_photo(tmp_path):
    files(tmp_path, "crops/a.png")
    marked(tmp_path, "progress.jsonl")
    with pytest.raises(UserError, match="must hold photos"):
        photo_paths(tmp_path)


def test_links_to_folders_are_followed_once(tmp_path):
    files(tmp_path, "in/a/1.png", "in/.hidden/2.png", "disk/b/3.png", "disk/4.png", "5.png", "out/6.png")
    for link, target in {
        "in/again": "a",
        "in/hidden": ".hidden",
        "in/disk": "../disk",
        "in/part": "../disk/b",
        "in/results": "../out",
        "in/a/up": "..",
        "in/a/above": "../..",
        "disk/loop": ".",
        "disk/back": "../in",
        "in/gone": "nowhere",
    }.items():
        (tmp_path / link).symlink_to(target, target_is_directory=True)
    assert found(tmp_path / "in", skip=tmp_path / "out") == ["a/1.png", "disk/4.png", "disk/b/3.png", "hidden/2.png"]


@pytest.mark.parametrize("fault", ["too large", "a folder", "closed"])
def test_a_mark_that_is_nobodys_result_costs_nothing(tmp_path, monkeypatch, fault):
    """Such as another program's list of a million pictures beside them."""
    files(tmp_path, "sheet.png")
    mark = tmp_path / "images.json"
    if fault == "a folder":
        mark.mkdir()
    else:
        marked(tmp_path, mark.name)
    if fault == "too large":
        monkeypatch.setattr(earlier_results, "_LARGEST", 10)
    if fault == "closed":

        def closed(path, kind):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(earlier_results, "is_own", closed)
    assert found(tmp_path) == ["sheet.png"]
