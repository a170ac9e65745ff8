"""model/input_pipeline/albedo_targets.py."""

import numpy as np
import pytest
import tensorflow as tf

from lib.geometry.camera import Camera
from lib.records.record_file import RecordReader
from lib.records.record_writer import RecordWriter
from model.face_gcn import FaceGCN
from model.input_pipeline.albedo_targets import albedo_targets, cached_albedo_targets, seen_albedo
from model.morphable_model import MorphableModel
from tests.support.faces import built_in_face

SIZE = 96


@pytest.fixture(scope="module")
def face_gcn():
    return FaceGCN(MorphableModel(built_in_face(2000)), Camera((SIZE, SIZE)), None)


def coefficients(face_gcn, shift=0.0):
    """[1, K] the mean face turned a little, `shift` dm to the right."""
    layout = face_gcn.morphable.layout
    flat = np.zeros([1, layout.size], np.float32)
    flat[:, layout.slices["angles"]] = (0.0, 0.4, 0.0)
    flat[:, layout.slices["translation"]] = (shift, 0.0, 0.0)
    return tf.constant(flat)


def columns(face_gcn, flat):
    """[1, N] projected x, as a share of the picture."""
    face = face_gcn.morphable.posed(flat, face_gcn.camera)
    return face_gcn.camera.project(face.vertices)[..., 0] / SIZE


def test_a_displaced_vertex_learns_the_spot_that_it_sees(face_gcn):
    truth, predicted = coefficients(face_gcn), coefficients(face_gcn, 0.05)
    painted = tf.repeat(columns(face_gcn, truth)[..., None], 3, axis=-1)  # a ramp across the picture
    target = seen_albedo(face_gcn, tf.ones([1, SIZE, SIZE, 1]), predicted, truth, painted)[0, :, 0].numpy()
    places, true_places = columns(face_gcn, predicted)[0].numpy(), painted[0, :, 0].numpy()
    front = np.asarray(face_gcn.morphable.posed(predicted, face_gcn.camera).normals)[0, :, 2] > 0.5
    moved = np.abs(places - true_places)[front].min()
    assert moved > 0.01
    assert np.median(np.abs(target - places)[front]) < 0.1 * moved
    unseen = target == true_places
    assert 0.1 < unseen.mean() < 0.7  # the far side keeps the true albedo


def test_what_the_mask_hides_keeps_the_true_albedo(face_gcn):
    truth, predicted = coefficients(face_gcn), coefficients(face_gcn, 0.05)
    painted = tf.random.stateless_uniform([1, face_gcn.morphable.vertex_count, 3], (0, 1))
    target = seen_albedo(face_gcn, tf.zeros([1, SIZE, SIZE, 1]), predicted, truth, painted)
    np.testing.assert_array_equal(target, painted)


@pytest.fixture
def crops(face_gcn, tmp_path):
    """Three white crops: records, predicted coefficients and truth."""
    with RecordWriter(tmp_path / "r.bin", (SIZE, SIZE, 4)) as writer:
        for name in "abc":
            writer.append(np.full((SIZE, SIZE, 4), 255, np.uint8), name)
    count = face_gcn.morphable.vertex_count
    truth = {
        "coefficients": np.repeat(coefficients(face_gcn).numpy(), 3, axis=0),
        "true_albedo": np.random.default_rng(0).uniform(size=(3, count, 3)).astype(np.float16),
    }
    predicted = np.repeat(coefficients(face_gcn, 0.05).numpy(), 3, axis=0)
    return RecordReader(tmp_path / "r.bin", SIZE), predicted, truth


def test_only_the_used_crops_are_looked_at(face_gcn, crops):
    records, predicted, truth = crops
    true = truth["true_albedo"].copy()
    targets = albedo_targets(face_gcn, records, [0, 2], predicted, truth)
    assert targets is truth["true_albedo"], "memory holds them once"
    np.testing.assert_array_equal(targets[1], true[1])
    for index in (0, 2):
        assert (targets[index] != true[index]).mean() > 0.2


def test_targets_are_computed_once(face_gcn, crops, tmp_path, monkeypatch, capsys):
    records, predicted, truth = crops
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        targets = arguments[-1]["true_albedo"]
        targets[arguments[2]] = 0.25 * len(calls)
        return targets

    monkeypatch.setattr("model.input_pipeline.albedo_targets.albedo_targets", counted)

    def cached(key="", indices=(0, 2), predicted=predicted, truth=truth):
        own = truth | {"true_albedo": truth["true_albedo"].copy()}
        targets = cached_albedo_targets(tmp_path, key, face_gcn, records, list(indices), predicted, own)
        assert targets is own["true_albedo"], "memory holds them once"
        return targets

    first = cached()
    np.testing.assert_array_equal(cached(), first)
    assert len(calls) == 1
    assert (first[[0, 2]] == 0.25).all()
    np.testing.assert_array_equal(first[1], truth["true_albedo"][1])
    cached(key="-deterministic")
    cached(indices=(0,))
    cached(predicted=predicted + 1)
    cached(truth=truth | {"true_albedo": truth["true_albedo"] + np.float16(0.5)})
    cached(truth=truth | {"coefficients": truth["coefficients"] + 1})
    assert len(calls) == 6
    for path in tmp_path.glob("albedo_targets-*.npz"):
        path.write_bytes(path.read_bytes()[:-40])
    cached()
    assert len(calls) == 7
    assert "damaged, made again" in capsys.readouterr().err
