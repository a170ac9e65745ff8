"""Sheets of crops that somebody has edited, beside pages of an earlier run and the user's own files."""

import numpy as np
import pytest
from PIL import Image

from model.preparation.sheets import write_sheets


@pytest.fixture
def crops(tmp_path):
    """Four crops: whole, and saved as RGB, truncated and emptied by hand."""
    folder = tmp_path / "crops"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 4), np.uint8)
    for name in ("a.png", "cut.png", "empty.png"):
        Image.fromarray(pixels).save(folder / name)
    Image.fromarray(pixels[..., :3]).save(folder / "rgb.png")
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:3000])
    (folder / "empty.png").write_bytes(b"")
    return folder


def test_a_crop_that_is_no_picture_any_more_is_named_and_left_out(tmp_path, crops, capsys):
    names = sorted(path.name for path in crops.iterdir())
    assert write_sheets(tmp_path / "sheets", crops, names) == 1
    with Image.open(tmp_path / "sheets/page_001.png") as page:
        two = page.size
    told = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in told] == [str(crops / name) for name in ("cut.png", "empty.png")]
    assert all(line.endswith(" (left out of the sheets)") for line in told)
    write_sheets(tmp_path / "sheets", crops, ["a.png", "rgb.png"])
    with Image.open(tmp_path / "sheets/page_001.png") as page:
        assert page.size == two


def test_surplus_pages_are_removed_and_nothing_else(tmp_path, crops):
    (tmp_path / "sheets").mkdir()
    for name in ("page_002.png", "page_1000.png", "page_notes.png", "page_002.png.bak.png"):
        (tmp_path / "sheets" / name).touch()
    write_sheets(tmp_path / "sheets", crops, ["a.png"])
    left = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert left == ["page_001.png", "page_002.png.bak.png", "page_notes.png"]
