"""Examination of the first crops: good ones pass, bad ones are named."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from lib.records.crop_faults import crop_fault
from model.training import first_look
from model.training.first_look import CROPS, crop_faults, look, report

SIZE = 32


def posed(alpha=None, middle=(16.0, 16.0), roll=0.0, rgb=None):
    """A crop with a square face in its middle, drawn where it is, and changes to that."""
    face = np.zeros((SIZE, SIZE, 1), np.float32)
    face[8:24, 8:24] = 1
    crop = np.random.default_rng(0).uniform(0.2, 0.8, (1, SIZE, SIZE, 4)).astype(np.float32)
    crop[..., 3] = face[..., 0] if alpha is None else alpha
    if rgb is not None:
        crop[..., :3] = rgb
    landmarks = np.tile(np.float32(middle), (1, 68, 1))
    coefficients = SimpleNamespace(angles=np.float32([[0, 0, roll]]))
    coarse = SimpleNamespace(
        fragments=SimpleNamespace(mask=face[None]), face=SimpleNamespace(landmarks=landmarks, coefficients=coefficients)
    )
    return SimpleNamespace(crop=crop, coarse=coarse)


def alpha_at(rows, columns):
    alpha = np.zeros((SIZE, SIZE), np.float32)
    alpha[rows, columns] = 1
    return alpha


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"alpha": alpha_at(slice(8, 16), slice(8, 24))}, None),  # hair hides half of it
        ({"alpha": alpha_at(slice(0, 6), slice(0, 6))}, "mask and face hardly overlap"),
        ({"alpha": alpha_at(slice(15, 17), slice(15, 17))}, "mask and face hardly overlap"),
        ({"alpha": 1.0}, "alpha is 255 everywhere"),
        ({"alpha": 0.0}, "alpha is 0 everywhere"),
        ({"rgb": 0.0}, "the skin is black"),
        ({"rgb": 0.5}, "the skin has one colour"),
        ({"middle": (26.0, 16.0)}, "the face is not in the middle"),
        ({"middle": (16.0, 4.0)}, "the face is not in the middle"),
        ({"roll": np.pi}, "the face is not upright"),
        ({"roll": 0.5}, None),
    ],
)
def test_faults_of_a_crop(changes, fault):
    found = crop_faults(posed(**changes), 0)
    if fault is None:
        assert found == []
    else:
        assert any(text.startswith(fault) for text in found), found


@pytest.mark.parametrize(("batch_size", "examined", "passed_on"), [(5, 15, 15), (64, CROPS, 64), (16, CROPS, 16)])
def test_as_many_crops_are_examined_whatever_the_batch(tmp_path, monkeypatch, capsys, batch_size, examined, passed_on):
    asked, sheets = [], []

    def batches_of(indices, size):
        asked.extend(indices)
        return (indices[start : start + size] for start in range(0, len(indices), size))

    monkeypatch.setattr(first_look, "_tiles", lambda posed, row: row)
    monkeypatch.setattr(first_look, "contact_sheet", lambda rows: sheets.append(rows) or Image.new("RGB", (8, 8)))
    monkeypatch.setattr(first_look, "crop_faults", lambda posed, row: ["black"])
    coarse = SimpleNamespace(loss_mask=np.ones(batch_size), fragments=SimpleNamespace(mask=np.ones(batch_size)))
    trainer = SimpleNamespace(pose=lambda batch: SimpleNamespace(coarse=coarse))
    names = [f"{index}.png" for index in range(100)]
    look(trainer, batches_of, range(100), batch_size, names, tmp_path)
    assert len(asked) == passed_on, "whole batches, for which the functions are compiled"
    assert (asked[0], asked[examined - 1]) == (0, 99), "from the whole data set"
    assert len(sheets[0]) == examined
    printed = capsys.readouterr().err
    assert f"warning: {examined} of {examined} training crops: black (0.png, " in printed
    sheet = printed.partition("; see ")[2].partition(" (first_crops.png once the run begins)\n")[0]
    assert Path(sheet).is_file(), "a sheet that can be opened now"


def test_a_fault_of_most_crops_is_the_data_sets():
    few, most = report({"black": ["a", "b"], "tilted": [f"{i}.png" for i in range(9)]}, 16)
    assert few == "warning: 2 of 16 training crops: black (a, b)"
    assert most == (
        "warning: 9 of 16 training crops: tilted (0.png, 1.png, 2.png, ...); the training data is probably bad"
    )


def test_soft_masks_have_skin():
    crop = np.random.default_rng(1).integers(0, 255, (8, 8, 4)).astype(np.uint8)
    crop[..., 3] = 0
    crop[2:6, 2:6, 3] = 90
    assert crop_fault(crop) is None
