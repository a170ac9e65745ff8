"""Where training starts: trained weights of the same networks, or random ones."""

import json
from pathlib import Path

import numpy as np
import pytest

from configs import schema
from configs.training_sections import EPOCHS, EPOCHS_FROM_WEIGHTS, RATE, RATE_FROM_WEIGHTS
from lib.errors import UserError
from lib.files import headed_npz
from model.pipeline import Pipeline, load_face_model, load_pipeline, load_texture_weights, restore_texture_network
from model.runs import checkpoints
from model.runs.training_data import ENTRY, UNKNOWN, TrainingData, of_weights, to_json
from model.training.loop import train
from model.training.resuming import compare_options, run_options
from model.training.run_log import RunLog
from model.training.start import Start, begin_from_weights
from model.weights.texture_weights import save_texture_network
from tests.support.helpers import eager_functions
from tests.support.toy_faces import ToyFaces, save_toy_model, save_toy_records, toy_configuration

SIZE = 32


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Folder of a face model, untrained frozen networks, and the weights of a texture network."""
    folder = tmp_path_factory.mktemp("root")
    save_toy_model(configured(folder))
    pipeline = load_pipeline(configured(folder))
    for variable in pipeline.texture_network.weights:
        variable.assign(np.full(variable.shape, 0.25))
    save_texture_network(
        folder / "texture.npz", pipeline.texture_network, pipeline.face_model.fingerprint, pipeline.signature(), {}
    )
    return folder


def configured(folder: Path, **overrides) -> schema.Config:
    files = {"texture__weights": str(folder / "texture.npz"), "data__root_dir": str(folder / "run")}
    return toy_configuration(folder, SIZE, **(files | overrides))


def values(pipeline: Pipeline) -> list[np.ndarray]:
    return [np.array(variable) for variable in pipeline.texture_network.weights]


def settled(config: schema.Config) -> tuple[schema.Config, Pipeline]:
    pipeline = load_pipeline(config)
    return begin_from_weights(config, pipeline, config.run_dir / "latest.npz")[0], pipeline


def test_a_run_of_the_same_networks_starts_from_the_weights(root, capsys):
    config, pipeline = settled(configured(root))
    assert all(np.allclose(value, 0.25, rtol=0.01) for value in values(pipeline))
    assert (config.train.epochs, config.train.learning_rate) == (EPOCHS_FROM_WEIGHTS, RATE_FROM_WEIGHTS)
    assert config.schedule.coarse_fraction == 0
    assert f"starts from {root / 'texture.npz'}: {EPOCHS_FROM_WEIGHTS} epochs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"texture__order": 2}, "made for texture network default/residual/mirrored/K3/"),
        ({"identity__crop_fraction": 0.9}, "made for regressor and identity network"),
        ({"texture__weights": ""}, "starts from random weights: "),
    ],
)
def test_other_networks_start_from_random_weights_and_say_why(root, capsys, changes, words):
    config, pipeline = settled(configured(root, **changes))
    assert not any(np.allclose(value, 0.25, rtol=0.01) for value in values(pipeline))
    assert (config.train.epochs, config.train.learning_rate) == (EPOCHS, RATE)
    assert words in capsys.readouterr().out


def test_stages_that_would_undo_trained_weights_are_refused(root):
    with pytest.raises(UserError, match=r"schedule\.stages: must be ramp in a run that starts from .*texture\.npz"):
        settled(configured(root, schedule__stages="published"))
    config, _ = settled(configured(root, schedule__stages="published", texture__weights=""))
    assert config.schedule.stages == "published"


def test_a_stage_that_would_undo_trained_weights_is_refused(root):
    with pytest.raises(UserError, match=r"train\.stage: must be all or render in a run that starts from .*, got rec"):
        settled(configured(root, train__stage="rec"))
    for changes in ({"train__stage": "render"}, {"train__stage": "rec", "texture__weights": ""}):
        settled(configured(root, **changes))


@pytest.mark.parametrize("since", [True, False])
def test_weights_belong_to_their_camera_unless_they_are_older(root, tmp_path, since):
    pipeline = load_pipeline(configured(root))
    signature = {key: value for key, value in pipeline.signature().items() if since or key != "camera"}
    path = tmp_path / "texture.npz"
    save_texture_network(path, pipeline.texture_network, pipeline.face_model.fingerprint, signature, {})
    other = load_pipeline(configured(root, texture__weights=str(path), camera__distance=11.0))
    assert load_texture_weights(other) == ("made for camera 4.53125/10, not 4.53125/11" if since else "")


def test_given_numbers_stay(root):
    config, _ = settled(configured(root, train__epochs=5, train__learning_rate=0.01))
    assert (config.train.epochs, config.train.learning_rate) == (5, 0.01)


def test_a_run_that_is_continued_keeps_its_length(root, tmp_path, capsys):
    config = configured(root, data__root_dir=str(tmp_path), train__restore=True)
    options = {"train.epochs": 7, "train.learning_rate": 0.02}
    config.run_dir.mkdir(parents=True)
    checkpoints.save(config.run_dir / "latest.npz", {}, checkpoints.Progress(), {}, options)
    continued, _ = settled(config)
    assert (continued.train.epochs, continued.train.learning_rate) == (7, 0.02)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("began_with", "weights"), [(0.1, "texture.npz"), (0.0, "none.npz")])
def test_a_run_that_is_continued_keeps_its_start(root, tmp_path, began_with, weights):
    """Also if the shipped weights arrived, changed or were lost since it began."""
    files = {"data__root_dir": str(tmp_path), "texture__weights": str(root / weights)}
    config = configured(root, train__restore=True, schedule__coarse_fraction=0.1, **files)
    options = run_options(config) | {"schedule.coarse_fraction": began_with}
    config.run_dir.mkdir(parents=True)
    checkpoints.save(config.run_dir / "latest.npz", {}, checkpoints.Progress(), {}, options)
    continued, _ = settled(config)
    assert continued.schedule.coarse_fraction == began_with
    compare_options(continued, options, config.run_dir / "latest.npz")


def test_a_continued_run_refuses_another_coarse_fraction_than_was_given(root, tmp_path):
    """Although trained weights overrule it; an earlier version's checkpoint does not tell what was given."""
    config = configured(root, train__restore=True, data__root_dir=str(tmp_path), schedule__coarse_fraction=0.2)
    config.run_dir.mkdir(parents=True)
    latest = config.run_dir / "latest.npz"
    overruled = run_options(config) | {"schedule.coarse_fraction": 0.0}
    for options in (overruled | {"given": {"schedule.coarse_fraction": 0.2}}, overruled):
        checkpoints.save(latest, {}, checkpoints.Progress(), {}, options)
        assert settled(config)[0].schedule.coarse_fraction == 0
    checkpoints.save(latest, {}, checkpoints.Progress(), {}, overruled | {"given": {"schedule.coarse_fraction": 0.1}})
    with pytest.raises(UserError, match=r"schedule\.coarse_fraction: must be 0\.1 as in the run .*, got 0\.2"):
        settled(config)


def test_a_start_brings_the_crops_of_its_weights_along(root, tmp_path):
    seen, pipeline = TrainingData("r", "s", 700), load_pipeline(configured(root))
    path, signature = tmp_path / "texture.npz", pipeline.signature()
    metadata = {ENTRY: to_json([seen])}
    save_texture_network(path, pipeline.texture_network, pipeline.face_model.fingerprint, signature, metadata)
    config = configured(root, texture__weights=str(path), schedule__coarse_fraction=0.2)
    start = begin_from_weights(config, pipeline, tmp_path / "latest.npz")[1]
    assert start == Start(True, {"schedule.coarse_fraction": 0.2}, (seen,))
    checkpoints.save(tmp_path / "latest.npz", {}, checkpoints.Progress(), {}, {}, trained_on=[UNKNOWN, seen])
    config = configured(root, texture__weights=str(path), train__restore=True)
    assert begin_from_weights(config, pipeline, tmp_path / "latest.npz")[1].trained_on == (UNKNOWN, seen)


def test_a_run_from_before_the_option_went_on_with_the_epsilon_of_keras(root, tmp_path, capsys):
    options = run_options(configured(root))
    del options["train.epsilon"]
    compare_options(configured(root), options, tmp_path / "latest.npz")
    assert capsys.readouterr().err == ""
    compare_options(configured(root, train__epsilon=1e-8), options, tmp_path / "latest.npz")
    assert capsys.readouterr().err == "continuing with train.epsilon 1e-08 (so far 1e-07)\n"


def test_missing_and_foreign_files_are_named(root, tmp_path):
    with pytest.raises(UserError, match=r"none\.npz: network weights must be here, got none .*--mode train"):
        settled(configured(root, texture__weights=str(tmp_path / "none.npz")))
    (tmp_path / "foreign.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"foreign\.npz: must be weights written by this program"):
        settled(configured(root, texture__weights=str(tmp_path / "foreign.npz")))
    with pytest.raises(UserError, match=r"regressor\.npz: must hold the weights of a texture network, got .* another"):
        settled(configured(root, texture__weights=str(root / "regressor.npz")))


def test_weights_of_another_kind_are_not_replaced(root):
    config = configured(root, train__weights=str(root / "regressor.npz"))
    with pytest.raises(UserError, match=r"would be replaced by weights of another kind.*train\.weights=FILE\.npz"):
        settled(config)


@pytest.mark.parametrize(
    ("name", "got"),
    [("folder.npz", "a folder"), ("texture.json", "the suffix '.json'"), ("file/texture.npz", "file, which is not a")],
)
def test_places_that_cannot_take_the_weights_are_refused_before_training(root, tmp_path, name, got):
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=rf"must be a \.npz file that can be written, got .*{got}"):
        settled(configured(root, train__weights=str(tmp_path / name)))


def test_weights_may_go_to_a_folder_that_does_not_exist_yet(root, tmp_path):
    settled(configured(root, train__weights=str(tmp_path / "new" / "folder" / "texture.npz")))


def test_photos_use_the_weights_until_there_is_a_run(root, tmp_path):
    config = configured(root, data__root_dir=str(tmp_path))
    pipeline = load_pipeline(config)
    restore_texture_network(pipeline)
    assert all(np.allclose(value, 0.25, rtol=0.01) for value in values(pipeline))
    assert config.texture_path == root / "texture.npz"
    other = configured(root, data__root_dir=str(tmp_path), texture__order=2)
    with pytest.raises(UserError, match=r"best\.npz: .* got none \(.*--mode train.*texture\.npz is made for .*, not "):
        restore_texture_network(load_pipeline(other))
    for variable in pipeline.texture_network.weights:
        variable.assign(np.full(variable.shape, 0.5))
    state = {"texture": {variable.path: variable for variable in pipeline.texture_network.weights}}
    config.run_dir.mkdir(parents=True)
    checkpoints.save(config.run_dir / "best.npz", state, checkpoints.Progress(), pipeline.signature())
    trained = load_pipeline(config)
    restore_texture_network(trained)
    assert all((value == 0.5).all() for value in values(trained))
    assert config.texture_path == config.run_dir / "best.npz"


def test_trained_weights_are_validated_before_their_successors(root, tmp_path, monkeypatch):
    asked = []

    def getting_worse(self, update):
        asked.append(update)
        return {"psnr_fine": 30.0 - update}

    monkeypatch.setattr(RunLog, "validate", getting_worse)
    small = {"train__epochs": 1, "train__batch_size": 2, "train__samples": 1}
    config = configured(root, data__root_dir=str(tmp_path), **small)
    save_toy_records(config, ToyFaces(load_face_model(config), SIZE, 3), 10)
    with eager_functions():
        train(config, config.run_dir)
    assert asked == [0, 3]
    trained = load_pipeline(config)
    restore_texture_network(trained)
    assert all(np.allclose(value, 0.25, rtol=0.01) for value in values(trained)), "the best are still the first"


def test_the_best_weights_are_written_for_the_next_run(root, tmp_path):
    path = tmp_path / "texture.npz"
    config = configured(
        root, data__root_dir=str(tmp_path), texture__weights="", train__weights=str(path), train__epochs=1,
        train__batch_size=2, schedule__warmup=1,
    )  # fmt: skip
    save_toy_records(config, ToyFaces(load_face_model(config), SIZE, 3), 10)
    with eager_functions():  # compiling would take longer than three updates
        train(config, config.run_dir)
    stored = json.loads(path.with_suffix(".json").read_text())
    assert stored["run"]["updates"] == 3
    belongs_to = checkpoints.read_identifiers(config.run_dir / "best.npz")
    assert of_weights(stored) == (TrainingData(belongs_to["records"], belongs_to["split"]),)
    pipeline = load_pipeline(configured(root, texture__weights=str(path)))
    assert load_texture_weights(pipeline) == ""
    _, best = headed_npz.read(config.run_dir / "best.npz")
    for variable in pipeline.texture_network.weights:
        wanted = best[f"texture/{variable.path}"]
        np.testing.assert_allclose(variable, wanted, atol=0.01 * np.abs(wanted).max() + 1e-6)


def test_earlier_weights_may_name_a_bottleneck_that_their_network_lacks(root, tmp_path):
    pipeline = load_pipeline(configured(root))
    signature = pipeline.signature()
    signature["texture network"] = signature["texture network"].replace("/nz64", "/nz128")
    path = tmp_path / "texture.npz"
    save_texture_network(path, pipeline.texture_network, pipeline.face_model.fingerprint, signature, {})
    assert "/nz128" in signature["texture network"]
    assert load_texture_weights(load_pipeline(configured(root, texture__weights=str(path)))) == ""
