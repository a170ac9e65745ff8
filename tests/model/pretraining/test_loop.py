"""Pre-training: faces on disk, loop, weights."""

import dataclasses
import itertools
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from configs import schema
from lib.errors import UserError
from lib.geometry.camera import Camera
from lib.synthetic.face_set import FaceSet, load_or_render, recipe
from model.metrics.networks import predict
from model.networks.regressor import build_regressor
from model.pretraining import loop as pretraining
from model.pretraining.identity_task import IdentityTask
from model.pretraining.loop import BatchOrder, run_updates
from model.pretraining.losses import DirectSupervision
from model.pretraining.regressor_task import DIRECT, RegressorTask
from model.runs import checkpoints
from model.weights.pretrained import load_weights, save_weights
from tests.support.golden_face import golden_face_model
from tests.support.helpers import assert_close, eager_functions
from tests.support.numbered_faces import Numbers
from tests.support.toy_faces import ToyFaces
from utils import seed_everything

SIZE = 32


def small_config(tmp_path, **pretrain) -> schema.Config:
    overrides = {
        "regressor.width": 4, "regressor.image_size": SIZE, "regressor.weights": str(tmp_path / "regressor.npz"),
        "identity.width": 4, "identity.image_size": SIZE, "identity.weights": str(tmp_path / "identity.npz"),
        "identity.crop_fraction": 1.0, "identity.embedding": 16,
        "pretrain.count": 24, "pretrain.image_size": SIZE, "pretrain.held_out": 0.4, "pretrain.batch_size": 8,
        "pretrain.regressor_updates": 6, "pretrain.identity_updates": 6, "pretrain.checkpoint_every": 3,
        "pretrain.vertices": 50, "pretrain.weak_share": 0.25, "pretrain.mirror": False,
        "data.root_dir": str(tmp_path), "data.workers": 1,
    }  # fmt: skip
    return schema.load(overrides={**overrides, **{f"pretrain.{k}": v for k, v in pretrain.items()}})


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> FaceSet:
    face_model = golden_face_model()
    made = recipe(face_model, SIZE, 5, 24)
    folder = tmp_path_factory.mktemp("faces")
    return load_or_render(folder, made, face_model.layout.size, ToyFaces, (face_model, SIZE, 5))


@pytest.fixture
def eagerly():
    """Two updates are faster without tracing a graph first."""
    with eager_functions():
        yield


def check_numbers(faces: FaceSet, count: int) -> None:
    np.testing.assert_array_equal(faces.images[:, 3, 2, 1], np.arange(count) % 251)
    np.testing.assert_array_equal(faces.coefficients[:, 3], np.arange(count))
    np.testing.assert_array_equal(faces.identities, np.arange(count) // 2)


def test_a_killed_rendering_is_completed_not_repeated(tmp_path):
    made = {"image_size": 8, "count": 100}
    Numbers.drawn.clear()
    with pytest.raises(KeyboardInterrupt):
        load_or_render(tmp_path, made, 4, Numbers, (8, 70))
    assert Numbers.drawn == list(range(70))
    faces = load_or_render(tmp_path, made, 4, Numbers, (8,))
    assert Numbers.drawn[70:] == list(range(64, 100))
    check_numbers(faces, 100)
    load_or_render(tmp_path, made, 4, Numbers, (8,))
    assert len(Numbers.drawn) == 106


def test_two_processes_render_what_one_does(tmp_path):
    check_numbers(load_or_render(tmp_path, {"image_size": 8, "count": 70}, 4, Numbers, (8,), workers=2), 70)


def test_an_error_of_a_worker_is_the_error_of_the_run(tmp_path):
    with pytest.raises(ZeroDivisionError):
        load_or_render(tmp_path, {"image_size": 8, "count": 70}, 4, Numbers, (8, 5, ZeroDivisionError), workers=2)


def test_a_full_disk_is_noticed_before_the_rendering(tmp_path):
    with pytest.raises(UserError, match=r"MB must be free.*pretrain\.count"):
        load_or_render(tmp_path, {"image_size": 1000, "count": 10**8}, 4, Numbers, (8,))
    with pytest.raises(UserError, match=r"MB must be free.*\(lower mask\.count, or"):
        load_or_render(tmp_path, {"image_size": 1000, "count": 10**8}, 4, Numbers, (8,), count_option="mask.count")
    assert not list(tmp_path.glob("*/*"))


def test_people_are_held_out_whole_and_stay_where_they_are():
    people = np.repeat(np.arange(50), 3)
    training, held = FaceSet(None, None, None, people).split(0.3)
    assert set(training) | set(held) == set(range(150))
    assert not set(people[training]) & set(people[held])
    assert 5 <= len(set(people[held])) <= 25
    more_training, _ = FaceSet(None, None, None, np.repeat(np.arange(80), 3)).split(0.3)
    assert set(training) <= set(more_training)
    for alone in (np.zeros(5, int), np.arange(50)):  # one person; nobody twice
        with pytest.raises(UserError, match="more faces"):
            FaceSet(None, None, None, alone).split(0.3)


def test_every_pass_shows_every_face_once_in_another_order():
    batches = BatchOrder(10, 3, 1)
    first, second = (np.concatenate([batches[3 * p + i] for i in range(3)]) for p in range(2))
    assert len(set(first)) == len(set(second)) == 9
    assert list(first) != list(second)
    np.testing.assert_array_equal(BatchOrder(10, 3, 1)[4], batches[4])
    with pytest.raises(UserError, match="batch_size"):
        BatchOrder(2, 3, 1)


def test_landmarks_of_the_terms_are_the_models():
    face_model = golden_face_model()
    source = ToyFaces(face_model, SIZE, 1)
    face = source.sample(4)
    direct = DirectSupervision(face_model, source.camera, 20)
    assert_close(direct.landmarks(tf.constant(face.coefficients[None]))[0], face.landmarks, 1e-5)


@pytest.mark.parametrize(
    ("kind", "every", "seconds", "kept"), [("identity", 3, 120, 3), ("regressor", 3, 120, 3), ("identity", 100, 0, 4)]
)
def test_kill_and_resume_equals_never_stopped(tmp_path, faces, monkeypatch, kind, every, seconds, kept):
    monkeypatch.setattr(checkpoints, "SECONDS", seconds)
    config = small_config(tmp_path, weak=0.0, checkpoint_every=every)
    belongs_to = {"pre-training": "toy"}
    task = make_task(config, faces, kind)
    variables = [variable for group in task.state.values() for variable in group.values()]
    untrained = [np.asarray(variable) for variable in variables]
    run_updates(task, config.pretrain, tmp_path / "whole.npz", belongs_to)
    never_stopped = [np.asarray(variable) for variable in variables]

    for variable, value in zip(variables, untrained, strict=True):
        variable.assign(value)
    update, numbers = task.update, itertools.count()
    task.update = lambda *inputs: update(*inputs) if next(numbers) < 4 else stop()
    with pytest.raises(KeyboardInterrupt):
        run_updates(task, config.pretrain, tmp_path / "killed.npz", belongs_to)
    assert checkpoints.restore(tmp_path / "killed.npz", {}, belongs_to).update == kept
    for variable in variables:
        variable.assign(tf.ones_like(variable))  # a new process knows nothing but the checkpoint
    task.update = update
    run_updates(task, config.pretrain, tmp_path / "killed.npz", belongs_to)
    for resumed, expected in zip(variables, never_stopped, strict=True):
        np.testing.assert_array_equal(resumed, expected)
    with pytest.raises(UserError, match="must belong to"):
        run_updates(task, config.pretrain, tmp_path / "killed.npz", {"pre-training": "another"})


def test_options_of_a_networks_use_do_not_begin_another_run():
    """Hours of training would be lost."""
    faces = SimpleNamespace(folder=Path("pretrain-1"))

    def run(**options):
        return pretraining._fingerprint(schema.load(overrides=options), faces)

    used = {"regressor.light": "regressed", "regressor.mirror": False, "regressor.weights": "other.npz"}
    assert run(**used) == run()
    assert run(**{"regressor.width": 16}) != run()


def test_every_term_falls_on_eight_faces(tmp_path, faces):
    config = small_config(
        tmp_path, regressor_updates=80, learning_rate=0.005, weak=0.5, gain=0.0, noise=0.0, background=0.0, boxes=0.0
    )
    task = make_task(config, dataclasses.replace(faces, images=faces.images[:8]), "regressor", np.arange(8))
    updates = range(config.pretrain.regressor_updates)
    history = [{k: float(v) for k, v in task.update(*task.inputs(np.arange(8), (1, i))).items()} for i in updates]
    for name in ("total", *DIRECT, "weak photometric", "weak landmarks"):
        assert history[-1][name] < 0.75 * history[0][name], name


def test_a_loss_that_is_not_finite_stops_and_names_the_term(tmp_path, faces, eagerly):
    config = small_config(tmp_path, weak=0.0)
    broken = dataclasses.replace(faces, coefficients=faces.coefficients.copy())
    broken.coefficients[:, golden_face_model().layout.slices["albedo"]] = np.nan
    task = make_task(config, broken, "regressor")
    with pytest.raises(
        UserError, match="loss term 'coefficients' of the regressor must be finite, got nan at update 0"
    ):
        run_updates(task, config.pretrain, tmp_path / "checkpoint.npz", {})


def toy_pretrain(folder, regressor_updates=2, **pretrain) -> dict[str, dict]:
    """The whole command, on the golden face model and faces that are quick to draw."""
    with pytest.MonkeyPatch.context() as patch, eager_functions():
        patch.setattr(pretraining, "load_face_model", lambda config: golden_face_model())
        patch.setattr(pretraining, "SyntheticFaces", ToyFaces)
        config = small_config(folder, regressor_updates=regressor_updates, identity_updates=2, weak=0.0, **pretrain)
        return pretraining.pretrain(config)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """The folder of a finished pre-training, a copy of its weights, and what it measured."""
    folder, copy = (tmp_path_factory.mktemp(name) for name in ("pretrained", "copy"))
    measured = toy_pretrain(folder)
    return folder, shutil.copy(folder / "regressor.npz", copy), measured


def test_the_whole_command_writes_weights_that_load(pretrained):
    folder, weights, measured = pretrained
    config, face_model = small_config(folder), golden_face_model()
    assert 0.0 <= measured["identity"]["auc"] <= 1.0
    network = build_regressor(config.regressor, face_model.layout)
    metadata = load_weights(weights, network, face_model.fingerprint)
    assert metadata["held_out"] == measured["regressor"]
    assert {name: len(row) for name, row in metadata["coefficient_errors"].items()} == {
        "identity": face_model.layout.identity,
        "albedo": face_model.layout.albedo,
    }
    with pytest.raises(UserError, match=r"main\.py --mode pretrain"):
        load_weights(weights, network, "another")


@pytest.fixture
def toy_pretraining(monkeypatch):
    """The face model that `pretrain` has now, whose bases are not symmetric; a face that is drawn fails the test."""
    face_model = golden_face_model()
    monkeypatch.setattr(pretraining, "load_face_model", lambda config: face_model)
    monkeypatch.setattr(pretraining, "render_faces", lambda *_: pytest.fail("faces were rendered"))
    return face_model


@pytest.mark.parametrize(
    ("fingerprint", "width", "fault"),
    [("another", 4, "weights for another"), (None, 8, r"must be \[.*4\], got \[.*8\]")],
)
def test_weights_of_another_kind_are_never_replaced(tmp_path, toy_pretraining, fingerprint, width, fault):
    config = small_config(tmp_path)
    other = build_regressor(dataclasses.replace(config.regressor, width=width), toy_pretraining.layout)
    path = tmp_path / "regressor.npz"
    save_weights(path, other, fingerprint or toy_pretraining.fingerprint, {})
    before = path.read_bytes()
    with pytest.raises(UserError, match=rf"regressor\.npz: would be replaced.*{fault}.*regressor\.weights=FILE"):
        pretraining.pretrain(config)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"count": 8}, r"pretrain\.count: must be enough"),
        ({"batch_size": 24}, r"pretrain\.batch_size: must be at most"),
        ({"mirror": True}, r"pretrain\.mirror: the .* basis"),
        ({"initial": "resnet_v1_50.ckpt"}, r"pretrain\.initial: .* is for regressor\.depth 50"),
    ],
)
def test_what_would_stop_a_run_stops_it_before_the_rendering(tmp_path, toy_pretraining, options, fault):
    with pytest.raises(UserError, match=fault):
        pretraining.pretrain(small_config(tmp_path, **options))


def test_faces_of_another_camera_cannot_train_a_regressor(tmp_path, toy_pretraining):
    config = small_config(tmp_path)
    moved = dataclasses.replace(config, camera=dataclasses.replace(config.camera, distance=12.0))
    with pytest.raises(UserError, match=r"camera\.distance: must be 4\.53125 and 10 for synthetic faces"):
        pretraining.pretrain(moved)


def test_earlier_weights_stay_beside_those_of_another_run(pretrained, capsys):
    folder = pretrained[0]
    toy_pretrain(folder)
    toy_pretrain(folder, checkpoint_every=2)  # it continues the same run, and ends with the same weights
    assert not list(folder.glob("*.previous.npz"))
    before = (folder / "regressor.npz").read_bytes()
    capsys.readouterr()
    toy_pretrain(folder, regressor_updates=1)
    assert "regressor.previous.npz: copy of the previous weights" in capsys.readouterr().out
    assert (folder / "regressor.previous.npz").read_bytes() == before


def test_prediction_in_batches_is_prediction():
    images = np.random.default_rng(3).integers(0, 256, (40, 8, 8, 4), np.uint8)
    result = predict(lambda x, training: (tf.reduce_mean(x, axis=(1, 2)), None), images)
    assert_close(result, images[..., :3].mean(axis=(1, 2)) / 255.0, 1e-5)


def make_task(config, faces, kind: str, training: np.ndarray | None = None):
    seed_everything(1)
    training = np.arange(len(faces.images)) if training is None else training
    if kind == "identity":
        return IdentityTask(config, faces, training)
    from model.networks.identity import build_identity_network

    identity = build_identity_network(config.identity)
    face_model = golden_face_model()
    return RegressorTask(config, faces, training, face_model, Camera((SIZE, SIZE)), identity)


def stop():
    raise KeyboardInterrupt
