"""Runs from trained weights on crops whose true albedo is unknown: the network keeps the albedo that it has."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from configs import schema
from lib.files import headed_npz
from lib.records.record_index import open_records
from model.input_pipeline.batches import CropBatch
from model.pipeline import load_pipeline, load_texture_weights
from model.runs import checkpoints
from model.training.loop import train
from model.training.trainer import TextureTrainer
from model.weights.texture_weights import save_texture_network
from tests.support.helpers import eager_functions
from tests.support.toy_faces import save_toy_root, toy_configuration

SIZE = 32


def configured(folder: Path, **options) -> schema.Config:
    small = {"train__epochs": 1, "train__batch_size": 2, "train__samples": 1, "schedule__warmup": 1}
    return toy_configuration(folder, SIZE, **(small | {"texture__weights": str(folder / "texture.npz")} | options))


@pytest.fixture
def root(tmp_path):
    """Ten toy crops without truth, and weights whose albedo differs from their appearance."""
    save_toy_root(configured(tmp_path), 10)
    pipeline = load_pipeline(configured(tmp_path))
    draws = np.random.default_rng(0)
    for variable in pipeline.texture_network.weights:
        variable.assign(variable + draws.normal(0, 0.02, variable.shape))
    model = pipeline.face_model.fingerprint
    save_texture_network(tmp_path / "texture.npz", pipeline.texture_network, model, pipeline.signature(), {})
    return tmp_path


def stored(path: Path, group: str) -> dict[str, np.ndarray]:
    arrays = headed_npz.read_group(path, f"{group}/")
    return {name.removeprefix(f"{group}/"): array for name, array in arrays.items()}


def test_a_run_from_weights_keeps_their_albedo_and_so_does_its_continuation(root, capsys):
    config = configured(root)
    pipeline = load_pipeline(config)
    load_texture_weights(pipeline)
    weights = {variable.path: np.array(variable) for variable in pipeline.texture_network.weights}
    latest = config.run_dir / "latest.npz"
    with eager_functions():
        train(config, config.run_dir)
        assert "the true albedo of these crops is unknown: the network keeps the albedo that it has" in (
            capsys.readouterr().out
        )
        for _ in range(2):
            for name, value in stored(latest, "texture_start").items():
                np.testing.assert_array_equal(value, weights[name])
            assert any((value != weights[name]).any() for name, value in stored(latest, "texture").items())
            assert checkpoints.read_options(latest)["keeps_albedo"]
            (root / "texture.npz").unlink(missing_ok=True)  # the checkpoint does not need it
            epochs = checkpoints.read_options(latest)["train.epochs"] + 1
            train(configured(root, train__restore=True, train__epochs=epochs), config.run_dir)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"texture__weights": ""}, "takes the appearance"),
        ({"loss__albedo": 0.0}, ""),
        ({"texture__intrinsic": False}, ""),
    ],
)  # fmt: skip
def test_other_runs_have_nothing_to_keep(root, capsys, options, said):
    config = configured(root, **options)
    with eager_functions():
        train(config, config.run_dir)
    out = capsys.readouterr().out
    assert said in out
    assert ("true albedo" in out) == bool(said)
    assert not stored(config.run_dir / "latest.npz", "texture_start")
    assert not checkpoints.read_options(config.run_dir / "latest.npz")["keeps_albedo"]


def test_the_albedo_stays_while_the_appearance_learns(root):
    """Without the kept target, the albedo would follow the appearance."""
    config = configured(root, train__hide=0.0)
    moved = {}
    for keep in (True, False):
        pipeline = load_pipeline(config)
        load_texture_weights(pipeline)
        trainer = TextureTrainer(pipeline, keep_albedo=keep)
        batch = some_batch(config, pipeline)
        first = textures(trainer, batch)
        with eager_functions():
            terms = [
                trainer.update(trainer.pose(batch), {"render": 1.0, "albedo": 1.0}, 3e-3, (0, update))
                for update in range(12)
            ]
        assert (terms[0]["albedo"] == 0) == keep, "nothing has moved yet"
        moved[keep] = [np.abs(now - then).mean() for now, then in zip(textures(trainer, batch), first, strict=True)]
        assert terms[-1]["render"] < 0.9 * terms[0]["render"]
    assert moved[True][1] < 0.5 * moved[False][1]


def some_batch(config: schema.Config, pipeline) -> CropBatch:
    records = open_records(config.records_path, SIZE)
    crops = tf.constant(records.batch([0, 1]), tf.float32) / 255
    return CropBatch(crops, pipeline.encode(crops.numpy()))


def textures(trainer: TextureTrainer, batch: CropBatch) -> list[np.ndarray]:
    """The network's own appearance and albedo."""
    with eager_functions():
        coarse = trainer.pose(batch).coarse
        texture = trainer.face_gcn.refine(batch.encoded.embedding, coarse, training=True)
    return [part.numpy() for part in tf.split(texture, 2, axis=-1)]
