"""Training of the mask decoder: what it refuses before the rendering, and the options of its updates."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import skimage.data

from configs import schema
from lib.errors import UserError
from lib.face_mesh.network import Square
from model.networks.mask_decoder import MaskDecoder
from model.pretraining import mask_task, mask_training
from model.pretraining.mask_task import MaskTask, mask_metrics
from model.weights.mask_weights import check_mask_replaceable, load_mask_decoder, save_mask_decoder
from model.weights.pretrained import stored_precision
from tests.support.toy_faces import save_toy_model, toy_configuration


def configured(folder, **options) -> schema.Config:
    return toy_configuration(folder, 32, mask__weights=str(folder / "mask.npz"), **options)


def test_a_batch_of_more_faces_than_there_are_is_refused_before_the_rendering(tmp_path, monkeypatch):
    config = configured(tmp_path, mask__count=32, mask__batch_size=31)
    save_toy_model(config)
    monkeypatch.setattr(mask_training, "load_or_render", lambda *_: pytest.fail("rendering must not begin"))
    with pytest.raises(UserError, match=r"mask\.batch_size: must be at most the 30 training faces, got 31"):
        mask_training.train_mask_decoder(config)


@pytest.mark.parametrize(("name", "fault"), [("mask.json", "suffix"), ("folder.npz", "a folder")])
def test_a_file_that_cannot_be_written_is_refused_before_the_rendering(tmp_path, monkeypatch, name, fault):
    config = toy_configuration(tmp_path, 32, mask__weights=str(tmp_path / name))
    (tmp_path / "folder.npz").mkdir()
    save_toy_model(config)
    monkeypatch.setattr(mask_training, "load_or_render", lambda *_: pytest.fail("rendering must not begin"))
    with pytest.raises(UserError, match=fault):
        mask_training.train_mask_decoder(config)


def test_weights_for_another_landmark_network_may_be_replaced(tmp_path):
    path = tmp_path / "mask.npz"
    save_mask_decoder(path, MaskDecoder(), {"landmark_network": "another"})
    check_mask_replaceable(path)
    with pytest.raises(UserError, match="--mode masks"):
        load_mask_decoder(path)


def test_the_updates_take_the_options_of_the_mask_decoder(tmp_path, monkeypatch):
    """Its seed may be the one of the data set, whose crops are for other networks."""
    seed = schema.load().data.synthetic_seed
    config = configured(tmp_path, mask__seed=seed, mask__batch_size=4, mask__learning_rate=0.25)
    face_model = save_toy_model(config)
    faces = type("Faces", (), {"folder": tmp_path / "faces"})
    given = []

    def note(task, section, checkpoint, belongs_to):
        given.append(section)
        raise KeyboardInterrupt

    monkeypatch.setattr(mask_training, "_squares", lambda *_: [None] * 32)
    monkeypatch.setattr(mask_training, "MaskTask", lambda *arguments: arguments)
    monkeypatch.setattr(mask_training, "run_updates", note)
    with pytest.raises(KeyboardInterrupt):
        mask_training._train(config, face_model, faces)
    wanted = dataclasses.replace(config.pretrain, seed=seed, batch_size=4, learning_rate=0.25)
    assert given == [wanted]


def test_another_landmark_network_never_continues_from_an_earlier_checkpoint(tmp_path, monkeypatch):
    """Else its finished updates, for the feature maps of the earlier network, would be written as the new decoder."""
    config = configured(tmp_path)
    face_model = save_toy_model(config)
    given = []

    def note(task, section, checkpoint, belongs_to):
        given.append((checkpoint, belongs_to["landmark network"]))
        raise KeyboardInterrupt

    monkeypatch.setattr(mask_training, "_squares", lambda *_: [None] * 32)
    monkeypatch.setattr(mask_training, "MaskTask", lambda *arguments: arguments)
    monkeypatch.setattr(mask_training, "run_updates", note)
    for installed in ("first", "second"):
        monkeypatch.setattr(mask_training, "landmark_network", lambda installed=installed: installed)
        with pytest.raises(KeyboardInterrupt):
            mask_training._train(config, face_model, SimpleNamespace(folder=tmp_path))
    (first, _), (second, _) = given
    assert first != second
    assert [network for _, network in given] == ["first", "second"]


def test_the_accuracy_is_that_of_the_stored_weights(tmp_path, monkeypatch):
    config = configured(tmp_path)
    face_model = save_toy_model(config)
    (tmp_path / "recipe.json").write_text("{}")
    task = SimpleNamespace(network=MaskDecoder(), name="mask", updates=0)
    seen = []

    def note(network, *_):
        seen.append([np.array(variable) for variable in network.weights])
        return {"iou": 0.5}

    monkeypatch.setattr(mask_training, "_squares", lambda *_: [None] * 32)
    monkeypatch.setattr(mask_training, "MaskTask", lambda *_: task)
    monkeypatch.setattr(mask_training, "run_updates", lambda *_: 0.0)
    monkeypatch.setattr(mask_training, "mask_metrics", note)
    mask_training._train(config, face_model, SimpleNamespace(folder=tmp_path))
    measured, exact = seen[0], [np.array(variable) for variable in task.network.weights]
    assert any((a != b).any() for a, b in zip(measured, exact, strict=True))
    with stored_precision(task.network):
        for variable, value in zip(task.network.weights, measured, strict=True):
            np.testing.assert_array_equal(variable, value)


def test_memory_for_feature_maps_is_bounded_without_other_faces(monkeypatch):
    monkeypatch.setattr(mask_task, "KEPT", 1)
    task = mask_task.MaskTask.__new__(mask_task.MaskTask)
    task.seed, task._examples, drawn = 3, {}, []

    def look(index, generator):
        drawn.append((index, generator.uniform()))
        return drawn[-1]

    monkeypatch.setattr(task, "_look", look)
    first = [task._example(index, 0) for index in (0, 1)]
    assert [task._example(index, 0) for index in (0, 1)] == first
    assert [index for index, _ in drawn] == [0, 1, 1]


def test_seeds_that_no_generator_takes_are_refused():
    with pytest.raises(UserError, match=r"mask\.seed: must be at most"):
        schema.load(overrides={"mask.seed": int(np.iinfo(np.uint32).max)})


@pytest.fixture(scope="module")
def task():
    """Three faces: a portrait, and its lower and left half covered by a plain colour."""
    portrait = np.ascontiguousarray(skimage.data.astronaut()[:224, 112:336])
    row, column = np.mgrid[:224, :224]
    skin = (((row - 112) / 70) ** 2 + ((column - 112) / 50) ** 2 < 1).astype(np.uint8) * 255
    pictures = []
    for covered in (row < 0, row > 130, column < 112):
        rgb = np.where(covered[..., None], (20, 90, 160), portrait)
        pictures.append(np.dstack([rgb, np.where(covered, 0, skin)]).astype(np.uint8))
    section = dataclasses.replace(schema.load().mask, batch_size=3)
    settings = dataclasses.replace(schema.load().pretrain, batch_size=3, learning_rate=0.01)
    square = Square(np.array([112.0, 112.0]), 200.0, 0.0)
    return MaskTask(section, settings, SimpleNamespace(images=np.stack(pictures)), np.arange(3), [square] * 3)


def test_updates_learn_the_masks_of_some_faces(task):
    inputs = task.unchanged(np.arange(3))
    losses = [task.update(*inputs) for _ in range(40)]
    for term in ("cross-entropy", "overlap", "total"):
        assert float(losses[-1][term]) < 0.6 * float(losses[0][term]), term


def test_the_measured_overlap_is_that_of_the_masks(task):
    rows = iter(task.unchanged(np.array([index]))[2] for index in (0, 1, 2, 0, 1, 2))
    right = mask_metrics(lambda maps, pictures: next(rows) - 0.5, task, np.arange(3), 1)
    assert right == {"faces": 3, "iou": 1.0, "iou_lowest": 1.0}
    wrong = mask_metrics(lambda maps, pictures: 0.5 - next(rows), task, np.arange(3), 1)
    assert wrong["iou"] < 0.05
