"""Options of the regressor do not train the identity network again, and earlier versions' runs continue."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from configs import schema
from lib.files import headed_npz
from model.pretraining import loop as pretraining
from model.pretraining.identity_task import IdentityTask
from model.weights.pretrained import read_metadata
from tests.model.pretraining.test_loop import small_config, toy_pretrain

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


def test_the_identity_task_reads_none_of_the_regressors_options():
    """By its source: an option that it reads would otherwise not begin another run."""
    source = (Path(pretraining.__file__).parent / "identity_task.py").read_text()
    read = {name for name in pretraining._REGRESSOR_ONLY if f"section.{name}" in source or f"pretrain.{name}" in source}
    assert not read


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
