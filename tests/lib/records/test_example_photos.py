"""Example photos for the first run of test mode."""

import os

from PIL import Image

from lib.records.example_photos import write_example_photos
from tests.programs.test_create_bin import folder_of_crops
from tests.support.damage import files_of_at_most


def test_example_photos_are_written_once(tmp_path):
    crops = folder_of_crops(tmp_path / "crops", 4)
    photos = tmp_path / "test" / "raw"
    write_example_photos(photos, crops, ["000.png", "002.png"])
    assert sorted(os.listdir(photos)) == ["000.png", "002.png", "astronaut.png"]
    modes = [Image.open(photos / name).mode for name in ("000.png", "002.png", "astronaut.png")]
    assert modes == ["RGBA", "RGB", "RGB"]
    (photos / "000.png").unlink()
    write_example_photos(photos, crops, ["000.png"])
    assert not (photos / "000.png").exists(), "a folder the user may have changed is left alone"


def test_a_full_disk_or_a_file_in_their_place_is_one_line(tmp_path, capsys):
    crops, photos = folder_of_crops(tmp_path / "crops", 1), tmp_path / "test" / "raw"
    with files_of_at_most(0):
        write_example_photos(photos, crops, ["000.png"])
    assert capsys.readouterr().err == f"{photos}: no example photos for --mode test, got: File too large\n"
    assert not list(photos.parent.iterdir())
    photos.parent.rmdir()
    photos.parent.touch()
    write_example_photos(photos, crops, ["000.png"])
    assert len(capsys.readouterr().err.splitlines()) == 1
