"""A run's folder: what is set aside, what counts as the best and the finished run, and the seconds of all processes."""

import dataclasses
import json
import os
import shlex
import time
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from configs import schema
from lib.errors import DiskFull, UserError
from lib.files import headed_npz
from lib.files.atomic import space_for
from lib.mesh_sampling import build_hierarchy
from lib.runtime.interruption import DeferredStop
from model.networks.variable_names import network_variables
from model.runs import checkpoints
from model.runs.checkpoints import Progress
from model.runs.symptoms import PredictedTexture
from model.runs.training_data import TrainingData, of_weights
from model.training.run_folder import RunFolder, full_disk_advised
from model.training.run_log import RunLog
from model.training.start import Start
from model.training.workers import Workers
from model.weights.pretrained import read_metadata
from tests.support.meshes import wavy_grid

OWN, BEFORE = TrainingData("r", "s", 1), TrainingData("q", "p", 700)
LAST = Progress(epoch=2, update=6)  # position at the end of a run of two epochs


def run_in(folder: Path, started: float | None = None, start: Start | None = None, **options) -> RunFolder:
    """A run whose network is a single variable."""
    config = schema.load(overrides={"train.epochs": 2} | {key.replace("__", "."): v for key, v in options.items()})
    variables = [keras.Variable(np.zeros(3, np.float32), name="kernel")]
    network = SimpleNamespace(weights=variables, hierarchy=build_hierarchy(*wavy_grid(4, 4), (2,)))
    state = {"texture": network_variables(network.weights)}
    trainer = SimpleNamespace(
        workers=Workers(), network=network, state=lambda: state, network_state=lambda: state, start=None
    )
    started = time.monotonic() if started is None else started
    belongs_to = {"face model": "f", "records": "r", "camera": "c"}
    start = start or Start()
    return RunFolder(config, folder, trainer, belongs_to, started, start, (OWN, *start.trained_on))


def kernel(run: RunFolder) -> keras.Variable:
    return run.trainer.network.weights[0]


def measured(psnr: float, coarse: float = 0.1) -> dict[str, float]:
    return {"psnr_fine": psnr, "coarse": coarse}


def finished(folder: Path, **options) -> None:
    """A run whose first validation was better than its last; options as for `run_in`."""
    run = run_in(folder, **options)
    progress = run.keep_best(dataclasses.replace(run.begin(), update=3), measured(31.0))
    kernel(run).assign([1, 2, 3])
    run.keep_best(progress, measured(29.0))
    run.finish(run.save(LAST), measured(29.0))


def test_every_earlier_run_is_set_aside_with_logs_and_samples(tmp_path, capsys):
    for number in range(3):
        run = run_in(tmp_path)
        run.begin()
        run.save(Progress(update=number))
        for name in ("logs", "samples"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "file").write_text(f"{number}")
    for number in range(2):
        aside = tmp_path / f"previous-{number + 1}"
        assert checkpoints.restore(aside / "latest.npz", {}, {}).update == number
        assert (aside / "config.yaml").is_file()
        assert {(aside / name / "file").read_text() for name in ("logs", "samples")} == {f"{number}"}
    assert checkpoints.restore(tmp_path / "latest.npz", {}, {}).update == 2
    assert capsys.readouterr().out.count("the earlier run (--restore would have continued it)") == 2


def test_every_run_keeps_its_own_first_crops(tmp_path):
    """The crops of a run are examined before it begins, and before the earlier one is set aside."""
    first, refused = tmp_path / "first_crops.png", tmp_path / "refused_crops.png"
    for number in range(2):
        refused.write_text(f"{number}")
        run_in(tmp_path).begin()
        assert first.read_text() == f"{number}"
        assert not refused.exists()
    run_in(tmp_path).save(LAST)
    refused.write_text("refused")
    run_in(tmp_path, train__restore=True, train__epochs=3).begin()
    assert first.read_text() == "1", "a run that is continued has its own"
    assert (tmp_path / "previous-1" / "first_crops.png").read_text() == "0"


def test_a_sheet_alone_is_no_earlier_run(tmp_path):
    (tmp_path / "first_crops.png").touch()
    run_in(tmp_path).begin()
    assert not (tmp_path / "previous-1").exists()


def test_weights_come_with_the_accuracy_of_the_best_validation(tmp_path, capsys):
    weights = tmp_path / "texture.npz"
    finished(tmp_path / "run", train__weights=str(weights))
    metadata = json.loads(weights.with_suffix(".json").read_text())
    assert metadata["run"]["psnr_fine"] == 31, "not the last validation's"
    assert metadata["run"]["updates"] == 6
    assert "critic_steps" in metadata["config"]["gan"]
    belongs_to = read_metadata(weights)["belongs_to"]
    assert belongs_to == {"face model": "f", "camera": "c"}, "weights do not depend on a run's data"
    assert json.loads((tmp_path / "run" / "training.json").read_text())["psnr_fine"] == 29
    assert "started from" not in capsys.readouterr().out
    assert not headed_npz.read(weights)[1]["kernel"].any(), "the best state"


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ({}, "--mode test --input PHOTOS"),
        ({"data__name": "mine", "train__learning_rate": 0.001}, "--mode test --name mine --input PHOTOS"),
        ({"texture__wide": True}, "--mode test --config 'checkpoints/{}/config.yaml' --input PHOTOS"),
        ({"train__suffix": "the 2nd"}, "--mode test --config 'checkpoints/{}/config.yaml' --input PHOTOS"),
    ],
)
def test_a_run_ends_with_what_it_reached_and_the_command_that_uses_it(tmp_path, monkeypatch, capsys, options, command):
    monkeypatch.chdir(tmp_path)
    folder = schema.load(overrides={key.replace("__", "."): value for key, value in options.items()}).run_dir
    finished(folder, **options)
    best, use = capsys.readouterr().out.splitlines()
    assert best == f"{folder}/best.npz: 31.0 dB in the photo's view of validation crops"
    words = shlex.split(use.removeprefix("reconstruct photos with it: "))
    assert words == shlex.split(f"python main.py {command.format(folder.name)}")
    if "--config" in words:
        assert schema.load(words[words.index("--config") + 1]).run_dir == folder


def test_checkpoints_and_weights_name_the_crops_of_the_run_and_of_its_start(tmp_path):
    weights = tmp_path / "texture.npz"
    finished(tmp_path / "run", start=Start(trained_on=(BEFORE,)), train__weights=str(weights))
    assert of_weights(read_metadata(weights)) == (OWN, BEFORE)
    for name in ("latest.npz", "best.npz"):
        assert checkpoints.read_training_data(tmp_path / "run" / name) == (OWN, BEFORE)
    begun = run_in(tmp_path / "begun", start=Start(from_weights=True, trained_on=(BEFORE,)))
    begun.begin()
    assert checkpoints.read_training_data(begun.best) == (OWN, BEFORE), "also before the first validation"


def test_a_run_that_ends_while_its_weights_are_written_goes_on_to_write_them(tmp_path, monkeypatch):
    def kill(*_):
        raise KeyboardInterrupt

    weights = {"train__weights": str(tmp_path / "texture.npz")}
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "_write_weights", kill)
        with pytest.raises(KeyboardInterrupt):
            finished(tmp_path / "run", **weights)
    assert not (tmp_path / "run" / "training.json").exists(), "it would be taken for a finished run"
    again = run_in(tmp_path / "run", train__restore=True, **weights)
    progress = again.begin()
    assert (progress.epoch, progress.update) == (2, 6)
    again.finish(progress, measured(29.0))
    assert read_metadata(tmp_path / "texture.npz")["run"]["psnr_fine"] == 31
    with pytest.raises(UserError, match="has completed 2 epochs"):
        run_in(tmp_path / "run", train__restore=True, **weights).begin()


def test_a_finished_run_still_writes_weights_that_are_asked_for_later(tmp_path):
    finished(tmp_path / "run")
    with pytest.raises(UserError, match="has completed 2 epochs"):
        run_in(tmp_path / "run", train__restore=True).begin()
    weights = {"train__weights": str(tmp_path / "texture.npz")}
    again = run_in(tmp_path / "run", train__restore=True, **weights)
    again.finish(again.begin(), measured(29.0))
    assert (tmp_path / "texture.npz").is_file()
    with pytest.raises(UserError, match="has completed 2 epochs"):
        run_in(tmp_path / "run", train__restore=True, **weights).begin()
    finished(tmp_path / "other", started=time.monotonic() - 5)
    other = run_in(tmp_path / "other", train__restore=True, **weights)
    assert other.begin().update == 6, "the file holds another run's weights"


def test_the_seconds_are_those_of_all_processes(tmp_path):
    begun = time.monotonic()
    first = run_in(tmp_path, started=begun - 100)
    first.save(first.begin())
    second = run_in(tmp_path, started=time.monotonic() - 20, train__restore=True)
    seconds = second.save(second.begin()).seconds
    assert 120 <= seconds <= 120 + (time.monotonic() - begun), "and what the test itself takes"


def test_training_that_makes_trained_weights_worse_ends_with_those_it_began_with(tmp_path, capsys):
    begun = run_in(tmp_path, start=Start(from_weights=True))
    kernel(begun).assign([5, 5, 5])
    begun.save(begun.begin())
    run = run_in(tmp_path, train__restore=True)  # also if it was interrupted before the first validation
    run.begin()
    kernel(run).assign([1, 2, 3])
    asked = []

    def validate(update: int) -> dict[str, float]:
        asked.append((update, kernel(run).numpy().tolist()))
        return measured(35.0)

    progress = run.measure_start(Progress(update=3), validate)
    assert asked == [(0, [5, 5, 5])]
    assert kernel(run).numpy().tolist() == [1, 2, 3], "training continues with its own"
    assert progress == Progress(update=3, best_psnr=35.0)
    assert run.measure_start(progress, validate) == progress
    assert len(asked) == 1
    run.keep_best(progress, measured(33.0))
    run.finish(LAST, measured(33.0))
    said = capsys.readouterr().out
    assert "best.npz: 35.0 dB in the photo's view of validation crops; the weights that the run started from" in said
    assert checkpoints.restore(run.best, run.trainer.network_state(), {}).update == 0
    assert kernel(run).numpy().tolist() == [5, 5, 5]
    assert checkpoints.read_validation(run.best) == measured(35.0)


@pytest.mark.parametrize(
    ("coarse", "message"), [(0.1, "validation crops must show the face"), (np.nan, r"lower train\.learning_rate")]
)
def test_a_validation_without_a_psnr_blames_masks_or_weights(tmp_path, coarse, message):
    with pytest.raises(UserError, match=message):
        run_in(tmp_path).keep_best(Progress(update=3), measured(np.nan, coarse))


def validated(folder: Path, psnr: list[float], coarse: list[float]) -> dict[str, float]:
    """Means of a validation of crops with these values."""
    rows = iter(zip(psnr, coarse, strict=True))
    texture = PredictedTexture(tf.zeros([1, 2, 3]), tf.zeros([1, 2, 3]), tf.ones([1, 2, 1]))
    trainer = SimpleNamespace(
        workers=Workers(), validate=lambda _: (dict(zip(("psnr_fine", "coarse"), next(rows), strict=True)), texture)
    )
    return RunLog(folder, trainer, lambda: range(len(psnr)), 1, DeferredStop()).validate(3)


def test_a_crop_without_a_psnr_is_left_out_and_any_other_fault_is_not(tmp_path):
    good = validated(tmp_path / "log", [30.0, np.nan, 32.0], [0.1, 0.2, 0.3])
    assert good["psnr_fine"] == 31
    assert run_in(tmp_path / "run").keep_best(Progress(update=3), good).best_psnr == 31
    for value in (np.nan, np.inf):
        bad = validated(tmp_path / "log", [30.0, np.nan, 32.0], [0.1, value, 0.3])
        with pytest.raises(UserError, match="loss term 'coarse' of the texture network must be finite, got"):
            run_in(tmp_path / "bad").keep_best(Progress(update=3), bad)
    assert not (tmp_path / "bad" / "best.npz").exists()


def test_a_best_state_that_is_newer_than_the_checkpoint_stays(tmp_path):
    """The run was killed after the validation, before its next checkpoint."""
    run = run_in(tmp_path)
    progress = run.save(dataclasses.replace(run.begin(), update=3))
    run.keep_best(progress, measured(31.0))
    resumed = run_in(tmp_path, train__restore=True)
    progress = resumed.begin()
    assert (progress.update, progress.best_psnr) == (3, 31.0)
    best = (tmp_path / "best.npz").read_bytes()
    assert resumed.keep_best(progress, measured(30.0)).best_psnr == 31.0
    assert (tmp_path / "best.npz").read_bytes() == best


def test_a_resumed_run_without_its_best_state_ends_with_the_best_from_then_on(tmp_path, capsys):
    """Only latest.npz was moved to another machine."""
    run = run_in(tmp_path)
    run.save(run.keep_best(dataclasses.replace(run.begin(), update=3), measured(31.0)))
    run.best.unlink()
    weights = tmp_path / "texture.npz"
    resumed = run_in(tmp_path, train__restore=True, train__weights=str(weights))
    progress = resumed.keep_best(dataclasses.replace(resumed.begin(), epoch=2, update=6), measured(30.0))
    resumed.finish(resumed.save(progress), measured(30.0))
    assert "best.npz: 30.0 dB" in capsys.readouterr().out
    assert read_metadata(weights)["run"]["psnr_fine"] == 30
    assert (tmp_path / "training.json").is_file()


def test_a_path_that_is_not_utf_8_is_written_and_read(tmp_path):
    source = os.fsdecode(b"caf\xe9")
    run_in(tmp_path, test__input=source).begin()
    assert schema.load(tmp_path / "config.yaml").test.input == source


def test_an_earlier_run_stays_if_the_new_one_cannot_begin(tmp_path, monkeypatch):
    finished(tmp_path)
    before = sorted(tmp_path.iterdir())

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(schema, "to_yaml", full)
    with pytest.raises((OSError, DiskFull)):
        run_in(tmp_path).begin()
    assert sorted(tmp_path.iterdir()) == before


def test_a_full_disk_comes_with_the_runs_advice(tmp_path):
    run = run_in(tmp_path)
    run.save(run.begin())
    with (
        pytest.raises(
            DiskFull, match=r"got: full; .* \(free space; .*latest\.npz is saved; .* with --restore continues from"
        ),
        full_disk_advised(run.advice),
        space_for(tmp_path / "logs"),
    ):
        raise OSError(28, "full")
