"""Training of the texture networks, end to end on a tiny face model, with the real parts."""

import json
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from configs import schema
from configs.training_sections import RATE
from lib.errors import UserError
from lib.files import headed_npz
from lib.files.locks import sole_user
from lib.records.record_file import RecordReader
from lib.records.record_writer import RecordWriter
from lib.records.splits import save_split
from lib.runtime.interruption import Interrupted
from model import losses
from model.face_gcn import FaceGCN
from model.input_pipeline.batches import batches
from model.input_pipeline.frozen_outputs import encode_records
from model.networks.identifiers import LEVELS
from model.pipeline import load_pipeline
from model.runs import checkpoints, symptoms
from model.runs.symptoms import FOLLOWED, SATURATED, Symptoms
from model.training import loop as training
from model.training.resuming import compare_options, run_options
from model.training.run_log import RunLog
from model.training.trainer import TextureTrainer
from tests.support.helpers import eager_functions
from tests.support.toy_faces import save_toy_root, toy_configuration

SIZE, COUNT = 32, 10


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A root folder with records, split, face model and (untrained) weights."""
    folder = tmp_path_factory.mktemp("root")
    config = configuration(folder)
    save_toy_root(config, COUNT)
    return folder


def configuration(folder, **overrides) -> schema.Config:
    small = {"train__epochs": 2, "train__batch_size": 2, "schedule__warmup": 1}
    return toy_configuration(folder, SIZE, **(small | overrides))


def weights_of(path) -> list[np.ndarray]:
    with np.load(path) as data:
        return [data[name] for name in sorted(data.files) if name.startswith("texture/")]


# Dropout and the critic draw random numbers and keep state of their own: what a resumed run could lose.
FULL = {"gan__enabled": True, "gan__critic_steps": 2, "texture__drop_rate": 0.2}


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """What a kill after the second update leaves, before the first validation, with no best state yet."""
    return tmp_path_factory.mktemp("killed") / "run"


@pytest.fixture(scope="module")
def traced():
    """The trainer of the undisturbed run, in a list: to trace another takes as long as the run."""
    return []


@pytest.fixture(scope="module")
def finished(root, killed, traced, tmp_path_factory):
    """A run of 2 epochs x 3 updates, undisturbed: its folder and what `train` returned."""
    folder, log = tmp_path_factory.mktemp("run"), RunLog.training

    def kept(*arguments):
        traced.append(TextureTrainer(*arguments))
        return traced[0]

    def keep(self, terms, update):
        log(self, terms, update)
        if update == 2:
            shutil.copytree(folder, killed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "SECONDS", 0)
        patch.setattr(RunLog, "training", keep)
        patch.setattr(training, "TextureTrainer", kept)
        return folder, training.train(configuration(root, **FULL), folder)


@pytest.fixture
def eagerly():
    """Without compiling, which takes longer than the few updates of a run that is stopped."""
    with eager_functions():
        yield


def test_training_brings_the_render_closer_to_the_photo(root, tmp_path):
    result = training.train(configuration(root, train__updates_per_epoch=30), tmp_path)
    assert result["psnr_fine"] > result["psnr_coarse"] + 1


def test_a_run_leaves_what_it_promises(root, finished):
    folder, result = finished
    summary = json.loads((folder / "training.json").read_text())
    assert summary["updates"] == 6
    assert summary["psnr_fine"] == result["psnr_fine"]
    assert summary["dependence"] > FOLLOWED
    assert summary["saturated"] < SATURATED
    assert schema.load(folder / "config.yaml") == configuration(root, train__learning_rate=RATE, **FULL)
    assert [path.name for path in sorted((folder / "samples").iterdir())] == ["0000003.png", "0000006.png"]
    assert list((folder / "logs").iterdir())


def test_a_killed_run_goes_on_to_the_same_weights(root, finished, killed, traced, monkeypatch):
    header, _ = headed_npz.read(killed / "latest.npz")
    assert header["progress"]["update"] == 1, "the last that was saved"
    assert not (killed / "best.npz").exists()
    for group in traced[0].state().values():
        for variable in group.values():
            variable.assign(np.ones(variable.shape))  # a new process knows nothing but the checkpoint
    monkeypatch.setattr(training, "TextureTrainer", lambda *_: traced[0])
    training.train(configuration(root, train__restore=True, **FULL), killed)
    (_, whole), (_, resumed) = (headed_npz.read(folder / "latest.npz") for folder in (finished[0], killed))
    assert {name.partition("/")[0] for name in whole} >= {"texture", "texture_random", "texture_optimizer", "critic"}
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        if os.environ.get("OMP_NUM_THREADS") == "1":  # with more threads, sums are rounded in another order
            np.testing.assert_array_equal(resumed[name], value, err_msg=name)
        elif value.dtype.kind == "f":
            np.testing.assert_allclose(resumed[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_validation_is_the_mean_over_every_crop(root, finished, traced):
    (folder, result), (trainer,) = finished, traced
    config = configuration(root)
    pipeline = load_pipeline(config)
    checkpoints.restore(folder / "latest.npz", trainer.network_state(), pipeline.signature())
    records = RecordReader(config.records_path)
    encoded = encode_records(records, pipeline.encode, config.generated_dir, pipeline.cache_key)
    values = [
        {name: float(value) for name, value in trainer.validate(batch)[0].items()}
        for batch in batches(records, encoded, (6, 7, 8), 1)
    ]
    for name in ("psnr_fine", "render", "symmetry"):
        assert result[name] == pytest.approx(np.mean([v[name] for v in values]), rel=1e-4)
        assert result[name] > 0


def test_a_finished_run_says_so(root, finished):
    with pytest.raises(UserError, match="has completed 2 epochs"):
        training.train(configuration(root, train__restore=True, **FULL), finished[0])


def test_a_run_killed_before_its_summary_gets_one(root, finished, tmp_path):
    folder = shutil.copytree(finished[0], tmp_path / "run")
    (folder / "training.json").unlink()
    with eager_functions():  # one validation
        training.train(configuration(root, train__restore=True, **FULL), folder)
    found, expected = (json.loads((path / "training.json").read_text()) for path in (folder, finished[0]))
    assert found.keys() == expected.keys()
    assert found["updates"] == expected["updates"]
    assert found["psnr_fine"] == pytest.approx(expected["psnr_fine"], rel=1e-4)


def test_a_loss_that_is_not_finite_stops_the_run_and_is_named(root, tmp_path, monkeypatch, eagerly):
    monkeypatch.setattr(losses, "skin_variance", lambda albedo, skin: float("nan") * albedo[0, 0, 0])
    with pytest.raises(
        UserError, match="loss term 'variance' of the texture network must be finite, got nan at update 0"
    ):
        training.train(configuration(root), tmp_path)
    assert not (tmp_path / "latest.npz").exists()


def test_only_a_run_with_a_checkpoint_can_be_restored(root, tmp_path):
    with pytest.raises(UserError, match=r"latest\.npz: a checkpoint must be here, got none"):
        training.train(configuration(root, train__restore=True), tmp_path)


def test_a_batch_larger_than_the_data_is_refused(root, tmp_path):
    with pytest.raises(UserError, match="at most the 6 training crops"):
        training.train(configuration(root, train__batch_size=7), tmp_path)


def test_an_empty_validation_split_is_refused_before_anything_is_computed(root, tmp_path):
    config = configuration(root, data__name="unsplit")
    shutil.copy(configuration(root).records_path, config.records_path)
    names = RecordReader(config.records_path).names
    save_split(config.params_dir, {"train": names, "val": [], "test": []})
    with pytest.raises(UserError, match=r"the val split must hold a crop .*\(pack two distinct images or more"):
        training.train(config, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_earlier_run_is_set_aside(root, finished, tmp_path, monkeypatch, capsys, eagerly):
    shutil.copytree(finished[0], tmp_path / "run")
    earlier = {name: (tmp_path / "run" / f"{name}.npz").read_bytes() for name in ("latest", "best")}
    summary = (tmp_path / "run" / "training.json").read_text()

    def kill(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "_run_updates", kill)
    with pytest.raises(KeyboardInterrupt):
        training.train(configuration(root, **FULL), tmp_path / "run")
    aside = tmp_path / "run" / "previous-1"
    printed = capsys.readouterr().out
    assert printed.startswith("trains on ")
    assert f"{aside}: the earlier run (--restore would have continued it)" in printed
    for name, content in earlier.items():
        assert (aside / f"{name}.npz").read_bytes() == content
        assert not (tmp_path / "run" / f"{name}.npz").exists(), "--restore would go on from it"
    assert (aside / "training.json").read_text() == summary
    assert not (tmp_path / "run" / "training.json").exists(), "it is not this run's"


def test_a_checkpoint_belongs_to_its_encoder_and_mesh_levels(root, finished):
    changes = {
        "mesh levels": {"texture__factors": [3, 3, 3, 2]},
        "regressor and identity network": {"regressor__mirror": False},
        "camera": {"camera__distance": 11.0},
    }
    saved = load_pipeline(configuration(root, **FULL)).signature()
    for key, change in changes.items():
        config = configuration(root, **(FULL | change))
        belongs_to = load_pipeline(config).signature()
        assert {name for name in belongs_to if belongs_to[name] != saved[name]} - {LEVELS} == {key}
        with pytest.raises(UserError, match=f"{key} {belongs_to[key]}, got {saved[key]}"):
            checkpoints.restore(finished[0] / "latest.npz", {}, belongs_to)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_told_to_stop_saves_and_says_how_to_go_on(root, tmp_path, monkeypatch, number, eagerly):
    def told(self, terms, update):
        if update == 2:
            os.kill(os.getpid(), number)

    if signal.getsignal(number) == signal.SIG_IGN:  # as in a background job
        pytest.skip(f"signal {number} is ignored here")
    monkeypatch.setattr(RunLog, "training", told)
    with pytest.raises(Interrupted) as caught:
        training.train(configuration(root), tmp_path)
    assert caught.value.number == number
    latest = tmp_path / "latest.npz"
    assert caught.value.advice == f"{latest} is saved; the same command with --restore continues from it"
    header, _ = headed_npz.read(tmp_path / "latest.npz")
    assert header["progress"]["update"] == 2, "no update is lost"
    assert not (tmp_path / ".lock").exists()


def test_a_network_that_gives_every_photo_the_same_face_is_reported(root, tmp_path, monkeypatch, capsys, eagerly):
    refine, losing = FaceGCN.refine, []

    def refine_to_the_mean(self, embedding, coarse, training=False, unoccluded=None):
        texture = refine(self, embedding, coarse, training, unoccluded)
        return 0.0 * texture + tf.concat([coarse.albedo] * 2, axis=-1)

    monkeypatch.setattr(FaceGCN, "refine", refine_to_the_mean)
    monkeypatch.setattr(symptoms, "EARLIEST", 0)
    monkeypatch.setattr(Symptoms, "critic", lambda self, terms: losing.append(terms["separation"]))
    result = training.train(
        configuration(root, train__updates_per_epoch=1, **FULL | {"gan__critic_steps": 1}), tmp_path
    )
    assert result["dependence"] == 0
    assert 0 <= result["saturated"] <= 1
    assert capsys.readouterr().err.count("warning: the texture network's texture is nearly the same") == 1
    assert len(losing) == 2, "one for each update"


def test_a_second_run_of_one_name_is_refused(root, tmp_path):
    with sole_user(tmp_path, "training"), pytest.raises(UserError, match="must be used by one run at a time"):
        training.train(configuration(root), tmp_path)


def test_crops_whose_masks_miss_the_face_stop_the_run_and_are_shown(root, tmp_path, capsys, eagerly):
    config = configuration(root, data__name="missed")
    source = RecordReader(configuration(root).records_path)
    with RecordWriter(config.records_path, source.shape) as writer:
        for index, name in enumerate(source.names):
            crop = source[index]
            crop[..., 3] = 0
            crop[:3, :3, 3] = 255
            writer.append(crop, name)
    save_split(config.params_dir, {"train": source.names[:6], "val": source.names[6:9], "test": source.names[9:]})
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "first_crops.png").write_text("an earlier run's")
    refused = tmp_path / "run" / "refused_crops.png"
    with pytest.raises(UserError, match=r"the masks of the training crops must show the face, got none .* in 6 crops"):
        training.train(config, tmp_path / "run")
    said = capsys.readouterr().err
    assert "6 of 6 training crops: mask and face hardly overlap (0.png, " in said
    assert said.rstrip().endswith(f"; see {refused}")
    assert refused.is_file()
    assert (tmp_path / "run" / "first_crops.png").read_text() == "an earlier run's"


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"train__seed": 5}, "train.seed: must be 2 as in the run that --restore continues, got 5"),
        ({"train__batch_size": 3}, "train.batch_size: must be 2"),
        ({"schedule__rate": "staircase"}, "schedule.rate: must be cosine"),
        ({"train__epochs": 3, "train__learning_rate": 1e-4, "loss__identity": 0.5}, None),
        ({"train__samples": 2, "train__suffix": "x"}, None),
    ],
)
def test_a_restored_run_keeps_its_order_and_says_what_else_changes(root, changes, refused, capsys):
    earlier, path = run_options(configuration(root)), Path("latest.npz")
    config = configuration(root, **changes)
    if refused is not None:
        with pytest.raises(UserError, match=re.escape(refused)):
            compare_options(config, earlier, path)
        return
    compare_options(config, json.loads(json.dumps(earlier)), path)
    said = capsys.readouterr().err
    for key in ("train.epochs 3", "train.learning_rate 0.0001", "loss.identity 0.5"):
        assert (f"continuing with {key} (so far " in said) == ("train__epochs" in changes)
    compare_options(config, None, path)
    assert "by an earlier version" in capsys.readouterr().out


@pytest.mark.parametrize("key", ["records", "split", "camera"])
def test_a_checkpoint_belongs_to_its_records_split_and_camera(tmp_path, key):
    variables: dict = {}
    belongs_to = {"face model": "m", "records": "r", "split": "s", "camera": "c"}
    checkpoints.save(tmp_path / "c.npz", variables, checkpoints.Progress(update=3), belongs_to)
    assert checkpoints.restore(tmp_path / "c.npz", variables, belongs_to).update == 3
    with pytest.raises(UserError, match=f"must belong to {key} other, got {belongs_to[key]}"):
        checkpoints.restore(tmp_path / "c.npz", variables, belongs_to | {key: "other"})
    checkpoints.save(tmp_path / "old.npz", variables, checkpoints.Progress(update=3), {"face model": "m"})
    assert checkpoints.restore(tmp_path / "old.npz", variables, belongs_to).update == 3
