"""Orders to stop, and kills, during a validation: it is given up, and repeated when the run continues."""

import os
import signal

import pytest

from lib.files import headed_npz
from lib.runtime.interruption import Interrupted
from model.training import loop as training
from model.training.run_folder import RunFolder
from model.training.run_log import RunLog
from model.training.trainer import TextureTrainer
from tests.support.helpers import eager_functions
from tests.support.toy_faces import save_toy_root, toy_configuration

SIZE, COUNT = 32, 10  # crops: six to train, three to validate


class Killed(BaseException):
    """Stands for SIGKILL."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("root")
    config = configuration(folder)
    save_toy_root(config, COUNT)
    return folder


def configuration(folder, **overrides):
    small = {"train__epochs": 1, "train__batch_size": 2, "schedule__warmup": 1, "train__samples": 1}
    return toy_configuration(folder, SIZE, **(small | overrides))


def progress_of(path):
    return headed_npz.read(path)[0]["progress"]


@pytest.mark.parametrize("order", [signal.SIGTERM, None])
def test_a_validation_that_is_given_up_is_repeated(root, tmp_path, monkeypatch, order):
    measured, validated = [], []
    validate, whole = TextureTrainer.validate, RunLog.validate

    def stopping(self, batch):
        measured.append(batch)
        if len(measured) == 2:
            if order is None:
                raise Killed
            os.kill(os.getpid(), order)
        return validate(self, batch)

    def noted(self, update):
        validated.append(update)
        return whole(self, update)

    monkeypatch.setattr(TextureTrainer, "validate", stopping)
    monkeypatch.setattr(RunLog, "validate", noted)
    with eager_functions():
        with pytest.raises(Killed if order is None else Interrupted) as caught:
            training.train(configuration(root), tmp_path)
        assert len(measured) == 2, "the third crop need not be waited for"
        if order is not None:
            assert "latest.npz is saved" in caught.value.advice
        assert not (tmp_path / "best.npz").exists()
        found = progress_of(tmp_path / "latest.npz")
        assert (found["update"], found["unmeasured"]) == (3, True)
        result = training.train(configuration(root, train__restore=True), tmp_path)
    assert validated == [3, 3]
    assert progress_of(tmp_path / "best.npz")["best_psnr"] == pytest.approx(result["psnr_fine"])
    assert not progress_of(tmp_path / "latest.npz")["unmeasured"]


def test_the_last_validation_can_be_given_up_again(root, tmp_path, monkeypatch):
    """That of a run which was killed after its last update, before its summary was written."""
    validate, stops, asked = TextureTrainer.validate, [], []
    told = RunFolder.stop_if_told

    def stopping(self, batch):
        if stops:
            os.kill(os.getpid(), stops.pop())
        return validate(self, batch)

    def noted(self, stop, progress):
        asked.append(stop.requested)
        told(self, stop, progress)

    monkeypatch.setattr(TextureTrainer, "validate", stopping)
    monkeypatch.setattr(RunFolder, "stop_if_told", noted)
    with eager_functions():
        whole = training.train(configuration(root), tmp_path)
        (tmp_path / "training.json").unlink()
        stops.append(signal.SIGTERM)
        asked.clear()
        with pytest.raises(Interrupted):
            training.train(configuration(root, train__restore=True), tmp_path)
        assert asked == [True], "all processes stop together"
        assert progress_of(tmp_path / "latest.npz")["unmeasured"]
        result = training.train(configuration(root, train__restore=True), tmp_path)
    assert result == pytest.approx(whole)
    assert not progress_of(tmp_path / "latest.npz")["unmeasured"]
    assert (tmp_path / "training.json").is_file()
