"""What messages about weight files advise."""

import re
import shutil
from pathlib import Path

import pytest

from configs import schema
from lib.errors import UserError
from model.weights.mask_weights import load_mask_decoder
from model.weights.pretrained import read_metadata
from tests.support.helpers import ROOT

SECTIONS = ("regressor", "identity", "mask", "texture")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Another checkout, without its data."""
    monkeypatch.setattr(schema, "REPOSITORY", tmp_path)
    return tmp_path


def shipped() -> list[str]:
    configurations = schema.load(), schema.load(ROOT / "configs" / "built_in.yaml")
    names = {getattr(config, section).weights for section in SECTIONS for config in configurations}
    return sorted(names - {""})


@pytest.mark.parametrize("damaged", [False, True])
def test_shipped_files_are_restored_not_trained_again(checkout, damaged):
    names = shipped()
    assert "data/weights/mask.npz" in names
    for name in names:
        path = checkout / name
        if damaged:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"PK")
        remedy = f"`git checkout -- {path}` restores it, or a new copy of the program does)"
        with pytest.raises(UserError, match=f"{re.escape(remedy)}$"):
            read_metadata(path)


@pytest.mark.parametrize(
    ("mode", "advice"),
    [("masks", "--mode masks face_model.source=built-in` to"), ("pretrain", "--mode pretrain` with the same --config")],
)
@pytest.mark.parametrize("damaged", [False, True])
def test_other_files_come_from_their_mode(tmp_path, mode, advice, damaged):
    path = tmp_path / "own.npz"
    if damaged:
        path.write_bytes(b"PK")
    with pytest.raises(UserError, match=re.escape(advice)):
        read_metadata(path, mode)


def test_a_decoder_of_another_landmark_network_is_trained_on_the_faces_that_suit_it(tmp_path, monkeypatch):
    path = shutil.copy(schema.asset_path(schema.load().mask.weights), tmp_path)
    monkeypatch.setattr("model.weights.mask_weights.landmark_network", lambda: "another")
    with pytest.raises(UserError, match=r"or python main\.py --mode masks face_model\.source=built-in\)"):
        load_mask_decoder(Path(path))
