"""Examination of the first crops: good ones pass, bad ones are named."""

from types import SimpleNamespace

import numpy as np
import pytest

from lib.records.crop_faults import crop_fault
from model.training.first_look import crop_faults, report

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
