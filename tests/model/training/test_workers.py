"""Training by several processes, as threads and as two real ones; benchmarks/distributed_training.py has whole runs."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from lib.errors import UserError
from model.face_gcn import FaceGCN
from model.input_pipeline.batches import CropBatch
from model.losses import masked_difference
from model.morphable_model import MorphableModel
from model.networks.encoding import EncodedFaces
from model.networks.products import dense
from model.pipeline import build_camera, build_texture_network, load_hierarchy
from model.runs.checkpoints import Progress
from model.runs.processes import check_processes
from model.training.plan import loss_weights
from model.training.trainer import TextureTrainer
from model.training.workers import Workers
from tests.support.golden_face import golden_face_model
from tests.support.helpers import ROOT, eager_functions
from tests.support.toy_faces import toy_configuration
from utils import seed_everything

SIZE, BATCH, EMBEDDING = 32, 4, 8


def numbered(index: int, count: int) -> Workers:
    workers = Workers()
    workers.index, workers.count = index, count
    return workers


def test_the_parts_of_all_batches_are_the_batches():
    order, size = list(range(100, 124)), 6
    parts = [numbered(index, 3).part(order, size) for index in range(3)]
    for batch in range(4):
        joined = [crop for part in parts for crop in part[2 * batch : 2 * batch + 2]]
        assert joined == order[size * batch : size * (batch + 1)]
    assert Workers().part(order, size) == order


def test_the_rows_of_all_processes_are_the_batch():
    values = tf.reshape(tf.range(12), [6, 2])
    rows = [numbered(index, 3).rows(values) for index in range(3)]
    np.testing.assert_array_equal(tf.concat(rows, axis=0), values)
    np.testing.assert_array_equal(Workers().rows(values), values)


def test_a_batch_that_cannot_be_divided_is_refused():
    with pytest.raises(UserError, match="must be a multiple of the 3 workers, got 4"):
        numbered(0, 3).part(range(4), 4)


def test_the_mean_over_parts_is_that_of_the_batch_however_the_masks_differ():
    rng = np.random.default_rng(0)
    image, target = rng.uniform(size=(2, 4, 8, 8, 3))
    mask = np.zeros([4, 8, 8, 1])
    mask[0], mask[2, :3], mask[3, 0, 0] = 1, 1, 1
    halves = slice(0, 2), slice(2, 4)
    pixels = np.mean([mask[half].sum() for half in halves])
    terms = [masked_difference(image[half], target[half], mask[half], pixels) for half in halves]
    whole = masked_difference(image, target, mask)
    np.testing.assert_allclose(np.mean(terms), whole, rtol=1e-12)
    assert abs(np.mean([masked_difference(image[half], target[half], mask[half]) for half in halves]) - whole) > 0.01


class ThreadWorkers(Workers):
    """Processes played by threads, which must run eagerly."""

    def __init__(self, index: int, count: int, meeting: threading.Barrier, table: dict):
        self.index, self.count, self._meeting, self._table = index, count, meeting, table

    def mean(self, tensors):
        return [tf.add_n(values) / self.count for values in zip(*self._exchange(tensors), strict=True)]

    def join(self, tensors):
        return [tf.concat(values, axis=0) for values in zip(*self._exchange(tensors), strict=True)]

    def _exchange(self, tensors):
        self._table[self.index] = list(tensors)
        self._meeting.wait(60)
        values = [self._table[index] for index in range(self.count)]
        self._meeting.wait(60)
        return values


def trainers_of(folder, everyone: list[Workers], **changed) -> list[TextureTrainer]:
    """Trainers of equal networks, with all that depends on rows: dropout, hidden vertices, dense layers."""
    overrides = {"texture__drop_rate": 0.3, "train__hide": 0.5, "train__batch_size": BATCH} | changed
    config, face_model = toy_configuration(folder, SIZE, **overrides), golden_face_model()
    hierarchy, morphable = load_hierarchy(config, face_model), MorphableModel(face_model)
    trainers = []
    for workers in everyone:
        seed_everything(0)
        network = build_texture_network(config, hierarchy, EMBEDDING, face_model.mirror_index)
        face_gcn = FaceGCN(morphable, build_camera(config), network)
        parts = {"config": config, "face_model": face_model, "texture_network": network, "face_gcn": face_gcn}
        trainers.append(TextureTrainer(SimpleNamespace(**parts), workers))
    return trainers


def random_batch(trainer: TextureTrainer) -> CropBatch:
    rng, coefficients = np.random.default_rng(0), trainer.face_gcn.morphable.layout.size
    crops = rng.uniform(size=[BATCH, SIZE, SIZE, 4])
    crops[1, :, :, 3] = 0  # one half of the batch counts fewer pixels than the other
    outputs = rng.normal(0, 0.1, [BATCH, coefficients]), rng.normal(size=[BATCH, EMBEDDING]), np.zeros([BATCH, 0])
    crop, *encoded = (tf.constant(values, tf.float32) for values in (crops, *outputs))
    return CropBatch(crop, EncodedFaces(*encoded))


def state_of(trainer: TextureTrainer) -> dict[str, np.ndarray]:
    state = trainer.state()
    return {f"{group}/{name}": np.array(value) for group in state for name, value in state[group].items()}


def update(
    trainer: TextureTrainer, batch: CropBatch, weights: dict[str, float], rate: float = 1e-3
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """The trainer's state, and the loss terms, after an update by its rows of the batch."""
    rows, encoded = trainer.workers.rows, batch.encoded
    outputs = map(rows, (encoded.coefficients, encoded.features, encoded.identity_embedding))
    posed = trainer.pose(CropBatch(rows(batch.crop), EncodedFaces(*outputs)))
    terms = trainer.update(posed, weights, rate, (0, 0))
    return state_of(trainer), terms


def test_two_processes_make_the_update_of_one(tmp_path, monkeypatch):
    monkeypatch.setattr(dense, "LEAST_ENTRIES", 200)
    meeting, table = threading.Barrier(2), {}
    trainers = trainers_of(tmp_path, [Workers(), *(ThreadWorkers(index, 2, meeting, table) for index in range(2))])
    batch = random_batch(trainers[0])
    weights = loss_weights(toy_configuration(tmp_path, SIZE, loss__identity=0), Progress(), 10)
    with eager_functions():
        one, terms = update(trainers[0], batch, weights)
        with ThreadPoolExecutor(2) as pool:
            (first, first_terms), (second, second_terms) = pool.map(update, trainers[1:], [batch] * 2, [weights] * 2)
    assert first_terms == second_terms == pytest.approx(terms, rel=1e-5)
    for name, value in one.items():
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
        if name.endswith("momentum"):  # a tenth of the gradient; weights follow its sign alone, which rounding can turn
            np.testing.assert_allclose(first[name], value, atol=1e-5 * np.abs(value).max(), err_msg=name)


@pytest.mark.parametrize("group", ["texture", "critic"])
def test_the_update_is_made_at_the_given_rate(tmp_path, monkeypatch, group):
    monkeypatch.setattr(dense, "LEAST_ENTRIES", 200)  # of both kinds: in the graph, and in place
    rates, steps = (0.0, 1e-3, 2e-3), []
    trainers = trainers_of(tmp_path, [Workers()] * len(rates), gan__enabled=True)
    batch = random_batch(trainers[0])
    for trainer, rate in zip(trainers, rates, strict=True):
        before = {"texture": trainer.network, "critic": trainer.critic}[group].trainable_variables
        start = [np.array(variable) for variable in before]
        with eager_functions():
            posed = trainer.pose(batch)
            if group == "texture":
                trainer.update(posed, {"coarse": 1.0, "weight_decay": 1e-3}, rate, (0, 0))
            else:
                trainer.update_critic(posed, 0.3, rate)
        steps.append([np.array(variable) - was for variable, was in zip(before, start, strict=True)])
    none, once, twice = steps
    assert not any(step.any() for step in none)
    assert max(np.abs(step).max() for step in once) > 5e-4
    for small, large in zip(once, twice, strict=True):
        np.testing.assert_allclose(large, 2 * small, atol=2e-6)


@pytest.mark.parametrize("hide", [0.0, 1.0])
def test_hidden_vertices_are_neither_seen_nor_counted(tmp_path, monkeypatch, hide):
    (trainer,), given = trainers_of(tmp_path, [Workers()], train__hide=hide), []
    refine, terms = trainer.face_gcn.refine, trainer.face_gcn.terms

    def refined(*arrays, training, unoccluded):
        given.append(unoccluded)
        return refine(*arrays, training=training, unoccluded=unoccluded)

    def measured(result, crop, embedding, true_albedo, unoccluded, mean):
        given.append(unoccluded)
        return terms(result, crop, embedding, true_albedo, unoccluded, mean)

    monkeypatch.setattr(trainer.face_gcn, "refine", refined)
    monkeypatch.setattr(trainer.face_gcn, "terms", measured)
    with eager_functions():
        update(trainer, random_batch(trainer), {"coarse": 1.0})
    seen, counted = given
    if not hide:
        assert seen is counted is None
        return
    assert seen.shape == (BATCH, trainer.points.shape[0], 1)
    assert (seen.numpy().min(axis=(1, 2)) == 0).all()  # of every face
    np.testing.assert_array_equal(seen, counted)


def test_two_real_processes():
    """Sums, hashes and the loss of a process over TensorFlow's collective operations."""
    command = [sys.executable, "-m", "tests.support.programs.connected_workers"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    worker = f"worker 1 ({found['addresses'][1]})"
    assert found["chief"]
    assert found["mean"] == [[[1.5, 1.5]], 15]
    assert found["join"] == [[[1, 1], [2, 2]], [[1], [2]]]
    assert found["any"] == [False, True]
    assert found["same"] == ""
    assert found["other"].startswith(f"{worker}: must train with the chief's train.seed, got another (")
    assert found["lost"].startswith(f"all 2 processes must stay connected, got no answer from {worker} (")
    assert found["lost"].endswith("start all again: the advice)")


def test_a_critic_is_refused_with_several_processes(tmp_path):
    with pytest.raises(UserError, match=r"gan\.enabled: must be false with 2 processes, got true"):
        check_processes(toy_configuration(tmp_path, SIZE, gan__enabled=True, train__batch_size=2), 2)
