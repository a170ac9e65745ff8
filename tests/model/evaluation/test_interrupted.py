"""--mode evaluate on the records, told to stop: what was measured until then is written, and marked."""

import json
import shutil

import numpy as np
import pytest

from lib.errors import UserError
from lib.runtime.interruption import Interrupted
from model.evaluation import records as evaluation
from model.evaluation.textures import TextureMeasure
from tests.model.evaluation.test_records import configuration, root, save_run
from tests.support.helpers import eager_functions

__all__ = ["root"]  # the fixture


@pytest.fixture(autouse=True)
def eagerly():
    with eager_functions():
        yield


def test_what_was_measured_before_an_interruption_is_written(root, tmp_path, monkeypatch):
    measure, seen = TextureMeasure.__call__, []

    def stopped(self, *arguments):
        if seen:
            raise Interrupted(number=15)
        seen.append(1)
        return measure(self, *arguments)

    monkeypatch.setattr(TextureMeasure, "__call__", stopped)
    with pytest.raises(Interrupted) as caught:
        evaluation.evaluate(configuration(root), tmp_path)
    assert caught.value.advice == f"1 of 2 crops were measured, in {tmp_path}; the same command starts again"
    assert caught.value.number == 15
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["partial"], metrics["faces"], metrics["regressor"]) == (True, 1, None)
    assert "The evaluation was interrupted" in (tmp_path / "index.html").read_text(encoding="utf-8")
    monkeypatch.setattr(TextureMeasure, "__call__", measure)
    assert not evaluation.evaluate(configuration(root), tmp_path)["partial"]
    assert "interrupted" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_an_interruption_before_the_first_face_writes_nothing(root, tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(TextureMeasure, "__call__", stopped)
    with pytest.raises(KeyboardInterrupt):
        evaluation.evaluate(configuration(root), tmp_path)
    assert not list(tmp_path.iterdir())


def test_only_the_crops_to_be_measured_are_encoded(root, tmp_path, monkeypatch):
    encode, found = evaluation.encode_records, {}

    def noted(*arguments, **options):
        found["rows"] = encode(*arguments, **options)
        return found["rows"]

    monkeypatch.setattr(evaluation, "encode_records", noted)
    config = configuration(root, evaluate__faces=1)
    for folder in config.generated_dir.glob("encoded-*"):
        shutil.rmtree(folder)
    assert evaluation.evaluate(config, tmp_path)["faces"] == 1
    assert np.isfinite(found["rows"].coefficients).all(axis=1).tolist() == [False, False, True, False]


def test_crops_of_another_camera_are_measured_without_new_photos(root, tmp_path, capsys):
    config = configuration(root, camera__distance=12.0, train__suffix="far", evaluate__detector_faces=2)
    save_run(config)
    with pytest.raises(UserError, match=r"camera\.distance: must be .* for synthetic faces"):
        evaluation.evaluate(config, tmp_path / "out")  # the crops are synthetic, their camera is known
    truth = config.crops_dir / "truth.npz"
    truth.rename(tmp_path / "truth.npz")
    capsys.readouterr()
    try:
        metrics = evaluation.evaluate(config, tmp_path / "out")
    finally:
        (tmp_path / "truth.npz").rename(truth)
    assert (metrics["detector"], metrics["identity"], metrics["faces"]) == (None, None, 2)
    shown = capsys.readouterr().err
    assert "not measured, because synthetic photos show another camera than" in shown
    assert "camera.distance 12" in shown


def test_a_run_cannot_stand_in_the_row_of_a_texture(root, tmp_path):
    with pytest.raises(UserError, match=r"evaluate\.runs: names must not be coarse, projection, .*, got fine "):
        evaluation.evaluate(configuration(root, evaluate__runs=["default", "fine"]), tmp_path)
