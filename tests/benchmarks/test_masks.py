"""The benchmark's measures of a mask, on rectangles whose areas are known."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from benchmarks.masks import compare, drawn, measure, overlay, summarise
from lib.errors import UserError
from model import FaceReconstructor
from tests.support.photo_corpus import portrait


def block(rows, columns):
    mask = np.zeros((20, 20), bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


def test_areas_by_hand():
    face, occluders, mask = block((0, 10), (0, 10)), block((0, 2), (0, 20)), block((1, 12), (0, 10))
    numbers = compare(mask, face, occluders)
    assert numbers["iou"] == pytest.approx(80 / 110)
    assert numbers["lost"] == 0
    assert numbers["leak"] == pytest.approx(0.5)
    other = compare(block((2, 6), (0, 10)), face, np.zeros((20, 20), bool))
    assert other["lost"] == pytest.approx(0.6)
    summary = summarise({"a": {**numbers, "seconds": 1.0}, "b": {**other, "seconds": 3.0}})
    assert summary["leak"] == pytest.approx(0.5), "a photo without occluders does not count"
    assert summary["iou_lowest"] == pytest.approx(0.4)
    assert summary["lost"] == pytest.approx(0.3)
    assert summary["seconds"] == 2.0


def test_polygons_are_moved_into_the_crop_and_joined():
    to_crop = np.array([[0.5, 0, 1], [0, 0.5, 2]])
    square, other = [[4, 4], [20, 4], [20, 20], [4, 20]], [[20, 4], [28, 4], [28, 20], [20, 20]]
    expected = np.zeros((20, 20), bool)
    expected[4:12, 3:15] = True
    found = drawn([square, other], to_crop, 20)
    assert (found ^ expected).sum() <= 24  # half a pixel along the border
    np.testing.assert_array_equal(drawn([], to_crop, 20), False)


def test_colours_of_the_overlay():
    crop = np.full((20, 20, 3), 100, np.uint8)
    picture = overlay(crop, block((0, 10), (0, 10)), block((5, 15), (0, 10)), np.zeros((20, 20), bool))
    right = picture[:, 60:]
    assert right[21, 15].argmax() == 1, "skin found"
    assert right[6, 15].argmax() == 0, "not skin"
    assert right[39, 15].argmax() == 2, "skin missed"
    np.testing.assert_array_equal(right[55, 55], 100)


def folder_with_outlines(folder):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (20, 20)).save(folder / name)
        outline = {"face": [[[4, 4], [16, 4], [16, 16], [4, 16]]], "occluders": []}
        (folder / name).with_suffix(".outline.json").write_text(json.dumps(outline))
    return folder


class Reconstructor:
    """Takes the whole crop as skin; photos named in `bad` cannot be read."""

    def __init__(self, bad):
        self.bad, self.estimated, self.fitter = bad, [], None
        self.reader = self

    def read(self, path):
        if path.name in self.bad:
            raise UserError(f"{path.name}: must show a face, got none")
        alignment = SimpleNamespace(photo_to_crop=np.eye(2, 3), crop=np.zeros((20, 20, 4), np.uint8))
        return SimpleNamespace(alignment=alignment, alpha=None), None

    def initial_estimate(self, photo):
        self.estimated.append(photo)
        return SimpleNamespace(alpha=np.ones((20, 20)))

    def fit(self, drafts, fitter):
        return drafts


@pytest.mark.parametrize("bad", [("a.png",), ("a.png", "b.png")])
def test_a_photo_that_cannot_be_read_is_left_out_and_the_others_count(tmp_path, monkeypatch, bad):
    reconstructor = Reconstructor(bad)
    monkeypatch.setattr(FaceReconstructor, "load", lambda *_: reconstructor)
    folder = folder_with_outlines(tmp_path)
    if len(bad) == 2:
        with pytest.raises(UserError, match="at least one photo must show a face"):
            measure(folder, None, [])
        return
    found = measure(folder, None, [])
    assert found["left_out"] == {"a.png": "must show a face, got none"}
    assert found["photos"]["b.png"]["iou"] == pytest.approx(144 / 400, abs=0.07)
    assert len(reconstructor.estimated) == 2, "one compiles, the other is measured and used"


@pytest.mark.parametrize("content", ["{", "[]", '{"face": []}'])
def test_an_outline_of_another_form_is_named_before_the_work(tmp_path, content):
    (folder_with_outlines(tmp_path) / "b.outline.json").write_text(content)
    with pytest.raises(UserError, match=r"b\.outline\.json: must hold the polygons face and occluders"):
        measure(tmp_path, None, [])


@pytest.mark.parametrize("polygon", [[1, 2, 3, 4], [[1, 2], [3, 4]], [[1, 2, 9], [3, 4, 9], [5, 6, 9]], [[1, 2]] * 9])
def test_corners_are_pairs_of_numbers(tmp_path, polygon):
    if len(polygon) == 9:
        polygon = [[1, float("nan")], *polygon]
    outline = {"face": [[[4, 4], [16, 4], [16, 16]]], "occluders": [polygon]}
    (folder_with_outlines(tmp_path) / "b.outline.json").write_text(json.dumps(outline))
    with pytest.raises(UserError, match=r"b\.outline\.json: polygons of 'occluders' must have three corners or more"):
        measure(tmp_path, None, [])


def test_a_painted_mask_is_not_scored_as_a_found_one(tmp_path):
    """With the real program: a mask file beside a photo changes nothing, a photo with alpha of its own is left out."""
    disc = Image.new("L", (300, 300))
    ImageDraw.Draw(disc).ellipse((100, 40, 190, 180), fill=255)
    corners = [[145 + 45 * np.cos(angle), 110 + 70 * np.sin(angle)] for angle in np.linspace(0, 6, 30)]
    outline = json.dumps({"face": [corners], "occluders": []})
    for name in ("a", "b", "own"):
        portrait().save(tmp_path / f"{name}.png")
        (tmp_path / f"{name}.outline.json").write_text(outline)
    disc.save(tmp_path / "b_mask.png")
    cut = portrait()
    cut.putalpha(disc)
    cut.save(tmp_path / "own.png")
    found = measure(tmp_path, None, ["fit.steps=0"])
    numbers = [found["photos"][name]["iou"] for name in ("a.png", "b.png")]
    assert numbers[0] == numbers[1] < 0.9
    assert "alpha" in found["left_out"]["own.png"]
