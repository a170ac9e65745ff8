"""Example photos for the first run of test mode."""

import os
import signal
import subprocess
import sys

import pytest
from PIL import Image

from lib.files.locks import sole_writer
from lib.records.example_photos import write_example_photos
from tests.programs.test_create_bin import folder_of_crops
from tests.support.damage import files_of_at_most
from tests.support.helpers import ROOT


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
    assert not photos.parent.exists()
    photos.parent.touch()
    write_example_photos(photos, crops, ["000.png"])
    assert len(capsys.readouterr().err.splitlines()) == 1


KILLED_OR_STOPPED = """
import os, signal, sys
from pathlib import Path
from lib.records import example_photos
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
def interrupted(*_):
    Path(sys.argv[1]).parent.joinpath(".raw-unfinished", "000.png").touch()
    os.kill(os.getpid(), int(sys.argv[2]))
example_photos._write = interrupted
example_photos.write_example_photos(Path(sys.argv[1]), Path("unused"), ["000.png"])
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_killed_or_stopped_leaves_nothing_for_good(tmp_path, number):
    crops, photos = folder_of_crops(tmp_path / "crops", 1), tmp_path / "test" / "raw"
    command = [sys.executable, "-c", KILLED_OR_STOPPED, str(photos), str(int(number))]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60).returncode
    if number == signal.SIGINT:
        assert not list(tmp_path.glob("test/.*"))
    write_example_photos(photos, crops, ["000.png"])
    assert os.listdir(photos.parent) == ["raw"]


def test_photos_that_another_run_writes_are_left_to_it(tmp_path, capsys):
    crops, photos = folder_of_crops(tmp_path / "crops", 1), tmp_path / "test" / "raw"
    with sole_writer(photos, "writing example photos"):
        write_example_photos(photos, crops, ["000.png"])
    assert not photos.exists()
    assert capsys.readouterr() == ("", "")
