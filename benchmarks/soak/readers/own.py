"""Networks, checkpoints and caches that the program writes."""

import dataclasses
import functools
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.soak.readers.kinds import MADE, OPEN, Reader, shipped
from benchmarks.soak.readers.records import write_records
from configs import schema
from lib.files.json_files import write_json
from lib.mesh_sampling import load_or_build
from lib.records.record_file import RecordReader
from tests.support.meshes import wavy_grid

DATA = schema.REPOSITORY / "data"


LAYERS = {f"layer{number}": (5, 7) for number in range(3)}


def _checkpoint(folder: Path) -> None:
    from model.runs import checkpoints

    variables = {name: np.random.default_rng(number).normal(size=LAYERS[name]) for number, name in enumerate(LAYERS)}
    checkpoints.save(folder / "latest.npz", {"texture": variables}, checkpoints.Progress(2, 1, 7), {"mesh levels": "3"})


def _read_checkpoint(folder: Path) -> Any:
    import keras

    from model.runs import checkpoints

    variables = {name: keras.Variable(np.zeros(shape), dtype="float64") for name, shape in LAYERS.items()}
    progress = checkpoints.restore(folder / "latest.npz", {"texture": variables}, {})
    return progress, {name: np.asarray(variable) for name, variable in variables.items()}


@functools.cache
def _shipped_weights() -> tuple[str, dict[str, tuple[int, ...]]]:
    """Face model and shapes of the shipped regressor."""
    from model.weights.pretrained import read_metadata

    path = DATA / "weights" / "regressor.npz"
    with np.load(path) as arrays:
        shapes = {name: arrays[name].shape for name in arrays.files if name != "header"}
    scales = {f"{name}/scale" for name in shapes}
    return read_metadata(path)["face_model"], {name: s for name, s in shapes.items() if name not in scales}


def _read_weights(folder: Path) -> Any:
    from model.weights.pretrained import load_fixed, read_metadata

    face_model, shapes = _shipped_weights()
    path = folder / "regressor.npz"
    network: Any = load_fixed(path, lambda take: {name: take(name, *shapes[name]) for name in shapes}, face_model)
    return network, read_metadata(path)


def _mask_weights(folder: Path) -> Any:
    from lib.face_mesh.features import MAPS
    from model.networks.mask_decoder import SIDE
    from model.weights.mask_weights import load_mask_decoder

    generator = np.random.default_rng(0)
    maps = [generator.normal(size=(1, side, side, count)).astype(np.float32) for side, count in MAPS.values()]
    picture = generator.random((1, SIDE, SIDE, 3), np.float32)
    return np.asarray(load_mask_decoder(folder / "mask.npz")(maps, picture))


def _records(folder: Path) -> RecordReader:
    if not (folder / "records").exists():
        (folder / "records").mkdir()
        write_records(folder / "records")
    return RecordReader(folder / "records" / "face.bin")


def _encoded(folder: Path) -> Any:
    from model.input_pipeline.frozen_outputs import encode_records
    from model.networks.encoding import EncodedFaces

    def encode(crops: np.ndarray) -> EncodedFaces:
        rows = crops.reshape(len(crops), -1)[:, :9]
        return EncodedFaces(*(rows + number for number in range(len(dataclasses.fields(EncodedFaces)))))

    encoded = encode_records(_records(folder), encode, folder / "cache", "key")
    return {name: np.asarray(rows) for name, rows in vars(encoded).items()}


def _albedo_targets(folder: Path) -> Any:
    from model.input_pipeline import albedo_targets

    records, rows = _records(folder), range(4)
    albedo = np.random.default_rng(0).random((len(records), 5, 3)).astype(np.float16)
    seen = np.concatenate([albedo[rows][::-1], albedo[4:]])
    truth = {"coefficients": np.zeros((len(records), 9), np.float32), "true_albedo": albedo}
    face_model = SimpleNamespace(fingerprint="f")
    face_gcn: Any = SimpleNamespace(morphable=SimpleNamespace(face_model=face_model), camera="c")
    with mock.patch.object(albedo_targets, "albedo_targets", return_value=seen):
        return albedo_targets.cached_albedo_targets(
            folder / "cache", "key", face_gcn, records, rows, truth["coefficients"], truth
        )


def _levels(folder: Path) -> Any:
    hierarchy = load_or_build(folder, *wavy_grid(8, 8), (3, 3))
    matrices = hierarchy.adjacency + hierarchy.laplacian + hierarchy.down + hierarchy.up
    return hierarchy.hash, hierarchy.vertices, hierarchy.triangles, [matrix.toarray() for matrix in matrices]


def _landmark_points(folder: Path) -> Any:
    from model.dense_landmarks.source import read_points

    stored = read_points(folder / "built_in.npz")
    return stored.points.vertices, stored.points.barycentrics, stored.uv


def _stored_graph(folder: Path) -> Any:
    import tensorflow as tf

    from lib.runtime.stored_function import StoredFunction

    constants = {"large": tf.constant(np.arange(200.0), tf.float32)}
    function = StoredFunction("fit", lambda x: [tf.exp(-x) + constants["large"]], constants, {}, folder)
    return [tensor.numpy() for tensor in function(tf.ones([200]))]


def _read_measurements(folder: Path) -> Any:
    from model.evaluation.records import read_json

    return read_json(folder / "training.json")


OWN = (
    Reader("checkpoint", "checkpoints", MADE, _checkpoint, _read_checkpoint),
    Reader("weights", "weights (`data/weights/*.npz`)", MADE,
           shipped(DATA / "weights" / "regressor.npz", "regressor.npz"), _read_weights),
    Reader("mask weights", "weights of the mask decoder", MADE,
           shipped(DATA / "weights" / "mask.npz", "mask.npz"), _mask_weights),
    Reader("encoded", "cached outputs of the frozen networks", MADE, _encoded, _encoded, "cache/*/*", fuzzed=False),
    Reader("albedo targets", "cached albedo targets", MADE, _albedo_targets, _albedo_targets, "cache/*", fuzzed=False),
    Reader("stored graph", "stored graphs of the fit (`graph_fit_*.npz`)", MADE, _stored_graph, _stored_graph,
           fuzzed=False),
    Reader("levels", "mesh levels", MADE, _levels, _levels, fuzzed=False),
    Reader("measurements", "measurements that evaluation repeats (`training.json` and others)", OPEN,
           lambda folder: write_json(folder / "training.json", {"seconds": 61.5, "updates": 480}), _read_measurements),
    Reader("landmark points", "landmarks of a face model", MADE,
           shipped(DATA / "face_mesh" / "built_in.npz", "built_in.npz"), _landmark_points),
)  # fmt: skip
