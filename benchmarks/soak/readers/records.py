"""Files between photos and training: packed crops, their shards and splits, and the journals of preparing."""

import json
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image

from benchmarks.soak.readers.kinds import MADE, OPEN, Reader
from lib.files.shards import Shard
from lib.records.crop_files import BadImage, read_crop
from lib.records.packed_shards import INDEX, MANIFEST, PackedShards, pack_shard
from lib.records.packing import PngFolder
from lib.records.record_file import RecordReader
from lib.records.record_index import open_records, write_index
from lib.records.record_writer import RecordWriter
from lib.records.splits import load_split, save_split, split
from lib.synthetic import dataset
from lib.synthetic.face_set import load_or_render
from model.preparation.journal import read_journal, write_journal
from model.preparation.shards import read_shard, write_shard
from tests.support.golden_face import small_face_model
from tests.support.numbered_faces import Numbers

NAMES = [f"face_{number:06d}.png" for number in range(40)]
ORIGIN = {"source": "/photos"}
PREPARED = {
    f"{number}.jpg": {
        "photo": f"{number}.jpg", "key": f"{number:016x}", "left_out": [], "remark": "",
        "crops": [{"file": f"{number}.png", "blur": 0.25 * number, "points_in_photo": [[1.5, 2.0]] * 5}],
    }
    for number in range(6)
}  # fmt: skip


def crop(generator: np.random.Generator) -> np.ndarray:
    """A random crop with a face."""
    made = generator.integers(0, 256, (16, 16, 4), np.uint8)
    made[4:12, 4:12, 3] = 255
    return made


def write_records(folder: Path) -> None:
    """Writes face.bin with six crops."""
    generator = np.random.default_rng(0)
    with RecordWriter(folder / "face.bin", (16, 16, 4)) as writer:
        for number in range(6):
            writer.append(crop(generator), f"{number}.png")


def _read_records(folder: Path) -> Any:
    reader = RecordReader(folder / "face.bin", 16)
    return reader.names, [reader[index] for index in range(len(reader))]


def _original(folder: Path) -> None:
    """The original program's file: float32, RGB in [-1, 1], alpha in [0, 1], no header."""
    crops = np.stack([crop(np.random.default_rng(number)) for number in range(3)]) / np.float32(255)
    (folder / "old.bin").write_bytes((crops * (2, 2, 2, 1) - (1, 1, 1, 0)).astype("<f4").tobytes())


def _read_original(folder: Path) -> Any:
    reader = RecordReader(folder / "old.bin", 16)
    return [reader[index] for index in range(len(reader))]


def _pack_shards(folder: Path) -> None:
    """Two shards of six images, one of them no image, and their index."""
    generator = np.random.default_rng(0)
    (folder / "crops").mkdir()
    for number in range(5):
        Image.fromarray(crop(generator)).save(folder / "crops" / f"{number}.png")
    (folder / "crops" / "5.png").write_bytes(b"no image")
    source = PngFolder(folder / "crops", [f"{number}.png" for number in range(6)], 16)
    packed = folder / "mine.shards"
    for index in range(2):
        pack_shard(source, Shard(index, 2), packed, 1)
    write_index(packed / INDEX, PackedShards(packed).files)


def _read_shards(folder: Path) -> Any:
    shards = PackedShards(folder / "mine.shards")

    def content(index: int) -> Any:
        try:
            return shards.read(index)
        except BadImage as error:
            return str(error)

    return [(name, content(index)) for index, name in enumerate(shards.names)]


def _read_index(folder: Path) -> Any:
    records = open_records(folder / "mine.shards" / INDEX, 16)
    return records.names, [records[index] for index in range(len(records))]


def _read_journal(folder: Path) -> Any:
    """The journal's records, completed as a run would, which prepares the photos without a record."""
    return {**PREPARED, **read_journal(folder / "progress.jsonl", ORIGIN)}


def _render(folder: Path) -> list[str]:
    def renderer(_: Any, folder: Path, size: int, seed: int, key: str) -> Any:
        def render(index: int) -> None:
            generator = np.random.default_rng(index)
            dataset.write_part(folder, key, index, {
                "coefficients": generator.normal(size=9), "identity_id": np.asarray(index),
                "true_albedo": generator.random((5, 3)).astype(np.float16), "landmarks": generator.random((68, 2)),
            })  # fmt: skip
            Image.fromarray(crop(generator)).save(folder / dataset.crop_name(index))

        return render

    with mock.patch.object(dataset, "_make_renderer", renderer):
        return dataset.render_dataset(small_face_model(), folder, 4, 16, 0, 1)


def _interrupted(folder: Path) -> None:
    """Rendered crops whose truth is still in parts."""
    with mock.patch.object(dataset, "_collect"):
        _render(folder)


def _read_rendered(folder: Path) -> Any:
    names = _render(folder)
    return dataset.load_truth(folder), [read_crop(folder / name, 16) for name in names]


def _faces(folder: Path) -> Any:
    found = load_or_render(folder, {"image_size": 8, "count": 70}, 4, Numbers, (8,))
    return found.images, found.coefficients, found.identities


RECORDS = (
    Reader("records", "packed crops (`data/*.bin`)", MADE, write_records, _read_records),
    Reader("original records", "the original program's packed crops", OPEN, _original, _read_original),
    Reader("shards", f"packed shards (`<shard>{MANIFEST}` and `.bin`)", MADE, _pack_shards, _read_shards,
           "mine.shards/0*", fuzzed=False),
    Reader("index", "indices of shards", MADE, _pack_shards, _read_index, f"mine.shards/{INDEX}"),
    Reader("split", "split files (`data/params/`)", MADE,
           lambda folder: save_split(folder, split(NAMES, {"val": 0.1, "test": 0.1}, 0)),
           lambda folder: load_split(folder, NAMES)),
    Reader("journal", "journal of preparing (`progress.jsonl`)", MADE,
           lambda folder: write_journal(folder / "progress.jsonl", ORIGIN, PREPARED.values()), _read_journal),
    Reader("prepared shard", "prepared shards (`.shards/*.json`)", MADE,
           lambda folder: write_shard(folder / "0.json", ORIGIN, list(PREPARED.values())),
           lambda folder: json.dumps(read_shard(folder / "0.json"))),
    Reader("truth", "truth of synthetic crops", MADE, _render, dataset.load_truth, "truth.npz"),
    Reader("rendered", "truth of synthetic crops, finished or in parts, when rendering goes on", MADE, _interrupted,
           _read_rendered, "**/*.npz", fuzzed=False),
    Reader("faces", "faces of pre-training (`images.raw` and others)", MADE, _faces, _faces, "*/*.raw", fuzzed=False),
)  # fmt: skip
