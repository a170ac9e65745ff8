"""Messages about a folder without a finished run: what there is instead, and how to use it."""

import pytest

import main
from configs import schema
from lib.errors import UserError
from model.runs import checkpoints
from model.runs.set_aside import what_is_left
from tests.support.programs.main_program import called_instead


@pytest.fixture
def run_dir(tmp_path):
    """The folder of a run that has just begun: several earlier ones were set aside, the last without a validation."""
    folder = tmp_path / "checkpoints" / "face_default"
    for name in ("previous-2", "previous-10", "previous-11", "previous-mine"):
        (folder / name).mkdir(parents=True)
    for name in ("previous-2", "previous-10", "previous-mine"):
        (folder / name / "best.npz").touch()
    return folder


def test_the_newest_run_with_trained_weights_is_named(tmp_path, run_dir):
    wanted = f"an earlier run is in {run_dir / 'previous-10'} (to use it again, move its files up to {run_dir})"
    assert what_is_left(run_dir) == wanted
    (run_dir / "latest.npz").touch()
    assert what_is_left(run_dir) == f"its run is unfinished (--mode train --restore continues it); {wanted}"
    assert what_is_left(tmp_path / "nothing") == ""


@pytest.mark.parametrize("name", ["latest.npz", "best.npz"])
def test_a_missing_checkpoint_is_refused_with_what_is_left(run_dir, name):
    with pytest.raises(UserError, match=rf"{name}: a checkpoint must be here, got none; an earlier run is in .*-10 "):
        checkpoints.restore(run_dir / name, {}, {})


def test_the_training_that_is_advised_is_that_of_the_same_network(tmp_path):
    with pytest.raises(UserError, match=r"must be here, got none \(run `.* train` with the same --config, --model and"):
        checkpoints.restore(tmp_path / "face_resnet" / "best.npz", {}, {})


def test_reconstructing_with_shipped_weights_says_what_is_left(tmp_path, run_dir, monkeypatch, capsys):
    called_instead(monkeypatch, "model.reconstruction.folder", "reconstruct_folder")
    monkeypatch.setattr(main, "input_photos", lambda *_, **__: None)
    command = ["--mode", "test", "--root_dir", str(tmp_path), "--output", str(tmp_path / "out")]
    main.main(command)
    weights = schema.load().texture.weights
    shipped = f"; uses the shipped texture network, {weights}, if it fits the face model and the options\n"
    said = capsys.readouterr().out
    assert said.startswith(f"{run_dir}: no best.npz; an earlier run is in ")
    assert said.endswith(shipped)
    main.main([*command, "--suffix", "another"])
    assert capsys.readouterr().out == f"nothing was trained in {run_dir.with_name('face_another')}{shipped}"
