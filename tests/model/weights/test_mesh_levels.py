"""Texture networks and the mesh levels they were trained on, where the last bits of the mean shape choose others."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from configs import schema
from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.mesh_sampling import build_hierarchy, save_hierarchy, simplify
from model.networks.identifiers import LEVELS
from model.pipeline import Pipeline, load_face_model, load_pipeline, load_texture_weights, restore_texture_network
from model.runs import checkpoints
from model.training.loop import train
from model.weights.texture_weights import save_texture_network
from tests.support.helpers import eager_functions
from tests.support.toy_faces import save_toy_root, toy_configuration


def nudged(model: FaceModel) -> FaceModel:
    """The model as another processor may compute it: half of the mean shape's coordinates differ in their last bit."""
    half = np.random.default_rng(0).random(model.mean_shape.shape) < 0.5
    shape = np.where(half, np.nextafter(model.mean_shape, np.float32(np.inf)), model.mean_shape)
    return dataclasses.replace(model, mean_shape=shape)


def chosen_here(model: FaceModel, config: schema.Config) -> str:
    return build_hierarchy(model.mean_shape, model.triangles, config.texture.factors).choice


def texture(pipeline: Pipeline) -> np.ndarray:
    """What the texture network makes of certain inputs."""
    network, draws = pipeline.texture_network, np.random.default_rng(0)
    embedding = draws.normal(size=(1, network.embedding_size)).astype(np.float32)
    colours = draws.uniform(size=(3, 1, network.vertex_count, 3)).astype(np.float32)
    seen = np.float32(draws.uniform(size=(1, network.vertex_count, 1)) < 0.7)
    return network(embedding, colours[0], colours[1], tf.constant(seen), 0.5 + colours[2]).numpy()


def test_the_shipped_network_brings_its_levels(monkeypatch, tmp_path):
    config = schema.load(overrides={"data.root_dir": str(tmp_path)})
    model = load_face_model(config)
    other = nudged(model)
    assert other.fingerprint == model.fingerprint
    assert chosen_here(other, config) != chosen_here(model, config)
    textures = []
    for loaded in (model, other):
        monkeypatch.setattr("model.pipeline.load_face_model", lambda _, loaded=loaded: loaded)
        pipeline = load_pipeline(config)
        assert load_texture_weights(pipeline) == ""
        textures.append(texture(pipeline))
    np.testing.assert_allclose(*textures, atol=1e-3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder of a toy model, and of a run of one epoch whose best network became the weights texture.npz."""
    folder = tmp_path_factory.mktemp("trained")
    config = toy(folder, texture__weights="", train__weights=str(folder / "texture.npz"))
    save_toy_root(config, 10)
    with eager_functions():
        train(config, config.run_dir)
    return folder


def toy(folder: Path, **options) -> schema.Config:
    small = {"train__epochs": 1, "train__batch_size": 2, "train__samples": 1, "schedule__warmup": 1}
    return toy_configuration(folder, 32, **(small | {"texture__weights": str(folder / "texture.npz")} | options))


@pytest.fixture
def moved(trained, tmp_path, monkeypatch):
    """A copy of the folder where other levels are chosen, and the choice of the first one."""
    folder = tmp_path / "moved"
    shutil.copytree(trained, folder)
    config = toy(folder)
    model = load_face_model(config)
    first = chosen_here(model, config)
    monkeypatch.setattr("lib.mesh_sampling.hierarchy.simplify", lambda v, *rest: simplify(v * [1, 1, 1.5], *rest))
    assert chosen_here(model, config) != first
    remove_levels(config)
    return folder, first


def remove_levels(config: schema.Config) -> None:
    for file in config.params_dir.glob("*.npz"):
        file.unlink()


@pytest.mark.parametrize("kept", ["best.npz", "texture.npz"])
def test_checkpoints_and_weights_bring_their_levels(moved, kept):
    folder, first = moved
    config = toy(folder)
    if kept == "texture.npz":
        shutil.rmtree(config.run_dir)
    pipeline = load_pipeline(config)
    assert config.texture_path.name == kept
    assert pipeline.signature()[LEVELS] == first
    restore_texture_network(pipeline)


def test_a_continued_run_keeps_its_levels(moved):
    folder, first = moved
    config = toy(folder, train__restore=True, train__epochs=2, texture__weights="")
    (config.run_dir / "best.npz").unlink()
    with eager_functions():
        train(config, config.run_dir)
    for name in ("latest.npz", "best.npz"):
        assert checkpoints.read_identifiers(config.run_dir / name)[LEVELS] == first


def with_level_files(folder: Path) -> schema.Config:
    """Another program's level files, which are used whatever a network brings, and do not tell their triangles."""
    config = toy(folder)
    model = load_face_model(config)
    remove_levels(config)
    save_hierarchy(config.params_dir, build_hierarchy(model.mean_shape, model.triangles, config.texture.factors))
    (config.params_dir / "hierarchy.npz").unlink()
    return config


def test_networks_of_other_levels_than_the_users_files_are_refused(moved):
    folder, first = moved
    config = with_level_files(folder)
    with pytest.raises(
        UserError, match=rf"best\.npz: .* vertices of the mesh levels .*, got {first} \(use the level f"
    ):
        restore_texture_network(load_pipeline(config))
    shutil.rmtree(config.run_dir)
    reason = load_texture_weights(load_pipeline(config))
    assert reason.startswith(f"made for vertices of the mesh levels {first}, not ")
    assert reason.endswith(", those of the level files in data/params")


def test_networks_of_the_users_level_files_need_them(moved, monkeypatch):
    folder, _ = moved
    config = with_level_files(folder)
    pipeline = load_pipeline(config)
    path, fingerprint = folder / "own.npz", pipeline.face_model.fingerprint
    save_texture_network(path, pipeline.texture_network, fingerprint, pipeline.signature(), {})
    shutil.rmtree(config.run_dir)
    config = toy(folder, texture__weights=str(path))
    assert load_texture_weights(load_pipeline(config)) == ""
    remove_levels(config)
    assert load_texture_weights(load_pipeline(config)) == "", "the same levels, chosen here"
    monkeypatch.undo()
    remove_levels(config)
    assert "vertices of the mesh levels" in load_texture_weights(load_pipeline(config))


def test_files_of_earlier_versions_have_no_levels_and_load(moved):
    folder, _ = moved
    config = toy(folder)
    pipeline = load_pipeline(config)
    signature = {name: value for name, value in pipeline.signature().items() if name != LEVELS}
    checkpoints.save(
        config.run_dir / "best.npz", {"texture": {v.path: v for v in pipeline.texture_network.weights}},
        checkpoints.Progress(), signature,
    )  # fmt: skip
    later = load_pipeline(config)
    assert later.signature()[LEVELS] != pipeline.signature()[LEVELS], "chosen here"
    restore_texture_network(later)
