"""The benchmark's score of masks against outlines, on shapes whose overlap is known."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks import mask_iou
from lib.errors import UserError


@pytest.fixture
def folders(tmp_path):
    """One 100 px crop whose mask is the square 20..60, and a folder for outlines."""
    (tmp_path / "out" / "crops").mkdir(parents=True)
    (tmp_path / "outlines").mkdir()
    crop = np.zeros((100, 100, 4), np.uint8)
    crop[20:60, 20:60, 3] = 255
    Image.fromarray(crop).save(tmp_path / "out" / "crops" / "a.png")
    return tmp_path / "out" / "crops", tmp_path / "outlines"


SQUARE = [[20, 20], [60, 20], [60, 40], [20, 40]]


def test_polygons_and_pngs(folders):
    masks, outlines = folders
    (outlines / "a.txt").write_text("".join(f"{x} {y}\n" for x, y in SQUARE))
    assert mask_iou.score(masks, outlines)["a.png"] == pytest.approx(0.5, abs=0.03)
    hole = [[30, 25], [50, 25], [50, 35], [30, 35]]
    (outlines / "a.json").write_text(json.dumps([SQUARE, hole]))
    assert mask_iou.score(masks, outlines)["a.png"] == pytest.approx(0.375, abs=0.04)
    drawn = np.zeros((100, 100), np.uint8)
    drawn[20:60, 20:50] = 255
    Image.fromarray(drawn).save(outlines / "a.png")
    assert mask_iou.score(masks, outlines)["a.png"] == 0.75


def test_outlines_of_the_photo_are_moved_into_the_crop(folders):
    masks, outlines = folders
    frame = {"file": "a.png", "photo_to_crop": [[0.5, 0, -10], [0, 0.5, -20]], "photo_size": [300, 200]}
    (masks.parent / "prepared.json").write_text(json.dumps({"records": [{"photo": "a.jpg", "crops": [frame]}]}))
    corners = [[60, 80], [140, 80], [140, 160], [60, 160]]
    (outlines / "a.json").write_text(json.dumps([corners]))
    assert mask_iou.score(masks, outlines)["a.png"] > 0.94
    drawn = np.zeros((300, 200), np.uint8)
    drawn[80:160, 60:140] = 255
    Image.fromarray(drawn).save(outlines / "a.png")
    assert mask_iou.score(masks, outlines)["a.png"] > 0.94


def test_a_photo_without_a_mask_lowers_the_mean(folders, capsys):
    masks, outlines = folders
    frame = {"file": "a.png", "photo_to_crop": [[1, 0, 0], [0, 1, 0]], "photo_size": [100, 100]}
    second = {**frame, "file": "two_0.png"}
    photos = {"a.jpg": [frame], "b.jpg": [], "c/d.jpg": [], "two.jpg": [second], "nothing drawn.jpg": []}
    records = [{"photo": photo, "crops": crops} for photo, crops in photos.items()]
    (masks.parent / "prepared.json").write_text(json.dumps({"records": records}))
    for stem in ("a", "b", "c__d", "two", "of another folder"):
        (outlines / f"{stem}.json").write_text(json.dumps([[[20, 20], [60, 20], [60, 60], [20, 60]]]))
    for name in ("notes.md", "README.txt", "prepared.json", "sheet.png"):
        (outlines / name).touch()
    (outlines / "c__d.json").rename(outlines / "c__d.txt")
    scores = mask_iou.score(masks, outlines)
    assert scores == {"a.png": pytest.approx(1, abs=0.05), "b.json": 0.0, "c__d.txt": 0.0}
    assert mask_iou.main(["--masks", str(masks), "--outlines", str(outlines)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[1] == "b.json    0.000"
    assert printed[3].startswith("mean      0.3")
    assert printed[3].endswith("lowest 0.000")
    (masks.parent / "prepared.json").unlink()
    assert mask_iou.score(masks, outlines).keys() == {"a.png"}, "nobody says which photos there were"


def test_what_does_not_fit_is_said(folders, capsys):
    masks, outlines = folders
    with pytest.raises(UserError, match="must hold outlines named like the masks"):
        mask_iou.score(masks, outlines)
    (outlines / "a.json").write_text("[[[1, 2]]]")
    assert mask_iou.main(["--masks", str(masks), "--outlines", str(outlines)]) == 2
    assert "three corners" in capsys.readouterr().err


def test_a_mask_that_came_with_its_photo_does_not_count(folders, capsys):
    masks, outlines = folders
    (outlines / "a.txt").write_text("".join(f"{x} {y}\n" for x, y in SQUARE))
    frame = {"file": "a.png", "photo_to_crop": [[1, 0, 0], [0, 1, 0]], "photo_size": [100, 100], "mask_given": True}
    records = [{"photo": "a.jpg", "crops": [frame]}]
    (masks.parent / "prepared.json").write_text(json.dumps({"records": records}))
    with pytest.raises(UserError, match=r"got none \(1 masks came with their photos"):
        mask_iou.score(masks, outlines)
    (masks / "b.png").write_bytes((masks / "a.png").read_bytes())
    (outlines / "b.txt").write_bytes((outlines / "a.txt").read_bytes())
    assert mask_iou.main(["--masks", str(masks), "--outlines", str(outlines)]) == 0
    assert "a.png  left out: the mask came with its photo" in capsys.readouterr().out
    assert mask_iou.score(masks, outlines).keys() == {"b.png"}
