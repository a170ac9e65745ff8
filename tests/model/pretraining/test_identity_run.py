"""Options of the regressor do not train the identity network again, and earlier versions' runs continue."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from configs import schema, training_sections
from lib.files import headed_npz
from lib.synthetic.face_set import load_or_render, recipe
from model.pretraining import loop as pretraining
from model.pretraining.identity_task import IdentityTask
from model.weights.pretrained import read_metadata
from tests.model.pretraining.test_loop import small_config, toy_pretrain
from tests.support.golden_face import golden_face_model
from tests.support.toy_faces import ToyFaces

FACES = SimpleNamespace(folder=Path("pretrain-1"))


def key(**options) -> str:
    overrides = {name.replace("__", "."): value for name, value in options.items()}
    return pretraining._identity_fingerprint(schema.load(overrides=overrides), FACES)


@pytest.mark.parametrize(
    ("options", "same"),
    [
        ({"regressor__width": 16, "pretrain__landmarks": 3.0, "pretrain__regressor_updates": 7}, True),
        ({"identity__weights": "other.npz", "pretrain__checkpoint_every": 9}, True),
        ({"pretrain__gain": 0.5}, False),
        ({"pretrain__identity_updates": 7}, False),
        ({"pretrain__learning_rate": 0.5}, False),
        ({"identity__width": 8}, False),
        ({"train__deterministic": True}, False),
    ],
)
def test_the_run_depends_on_what_the_identity_network_reads(options, same):
    assert (key(**options) == key()) == same


class Noted(training_sections.Pretrain):
    """A section that notes which of its options are read."""

    read: ClassVar[set[str]] = set()

    def __getattribute__(self, name):
        Noted.read.add(name)
        return super().__getattribute__(name)


def test_the_identity_network_s_training_reads_none_of_the_regressor_s_options(tmp_path):
    """One that it read would not begin another run."""
    face_model, config = golden_face_model(), small_config(tmp_path, identity_updates=2)
    made = recipe(face_model, config.pretrain.image_size, 5, config.pretrain.count)
    faces = load_or_render(tmp_path, made, face_model.layout.size, ToyFaces, (face_model, made["image_size"], 5))
    training, _ = faces.split(config.pretrain.held_out)
    config = dataclasses.replace(config, pretrain=Noted(**dataclasses.asdict(config.pretrain)))
    Noted.read.clear()
    task = IdentityTask(config, faces, training)
    pretraining.run_updates(task, config.pretrain, tmp_path / "checkpoint.npz", {})
    assert {"gain", "shift", "cosine_margin", "clip_norm", "batch_size", "learning_rate"} <= Noted.read
    assert not Noted.read & set(pretraining._REGRESSOR_ONLY)


def test_an_option_of_the_regressor_trains_the_regressor_alone(tmp_path, monkeypatch):
    updates, update = [], IdentityTask.update
    monkeypatch.setattr(IdentityTask, "update", lambda *inputs: (updates.append(1), update(*inputs))[1])
    toy_pretrain(tmp_path)
    assert len(updates) == 2
    toy_pretrain(tmp_path, landmarks=3.0)
    assert len(updates) == 2
    assert len(list(tmp_path.rglob("regressor-*.npz"))) == 2


def test_a_run_of_an_earlier_version_continues(tmp_path, monkeypatch):
    """Its checkpoint has the regressor's key."""
    with monkeypatch.context() as patch:
        patch.setattr(pretraining, "_identity_fingerprint", pretraining._fingerprint)
        toy_pretrain(tmp_path)
    (checkpoint,) = tmp_path.rglob("identity-*.npz")
    header, _ = headed_npz.read(checkpoint)
    monkeypatch.setattr(IdentityTask, "update", lambda *_: pytest.fail("it has made all its updates"))
    toy_pretrain(tmp_path)
    assert headed_npz.read(checkpoint)[0]["belongs_to"] == header["belongs_to"]


def test_the_files_hold_all_options_that_decided_their_weights(tmp_path):
    toy_pretrain(tmp_path)
    config = small_config(tmp_path)
    written = read_metadata(tmp_path / "regressor.npz")["config"]
    assert written["identity"]["embedding"] == config.identity.embedding
    assert written["train"] == {"deterministic": False}
    assert written.keys() == {"regressor", "identity", "pretrain", "face_model", "camera", "train"}
