"""What the frozen networks say of every training crop, computed once and kept on disk.

Training the texture networks never changes the regressor or the identity network, so their outputs are constants of
the data: some 1.5 KB a crop with the embedded default, against two network passes in every update.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lib.files.numpy_files import DamagedFile, read_npz, write_npz

_ARRAYS = ("coefficients", "embeddings")


@dataclasses.dataclass(frozen=True)
class EncodedFaces:
    """Coefficients [S, K] and image embeddings [S, E] of S crops, in the order of the record file."""

    coefficients: np.ndarray
    embeddings: np.ndarray


def encode_records(
    records,
    encode: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    cache_folder: Path,
    key: str,
    batch_size: int = 16,
    part_size: int = 1024,
) -> EncodedFaces:
    """Runs `encode` over all crops of a record file, or loads what it said before.

    Results are kept in parts, so that a killed run goes on with the part it was in.

    Args:
      records: a lib.records.RecordReader of RGBA crops.
      encode: [B, H, W, 4] float32 crops in [0, 1] -> (coefficients [B, K], embeddings [B, E]).
      cache_folder: where results are kept.
      key: identifies the networks behind `encode` (a change of weights must change it).
      batch_size: crops a call.
      part_size: crops a file.
    """
    folder = Path(cache_folder) / f"encoded-{key}-{records.fingerprint}"
    encoded: dict[str, np.ndarray] = {}
    with tqdm(desc="encode crops", total=len(records), unit="crop", dynamic_ncols=True) as bar:
        for start in range(0, len(records), part_size):
            indices = range(start, min(start + part_size, len(records)))
            path = folder / f"{start:09d}-{part_size}.npz"
            part = _kept(path)
            if part is None:
                part = _encode(records, indices, encode, batch_size, bar)
                write_npz(path, part)
            else:
                bar.update(len(indices))
            for name, rows in part.items():
                if name not in encoded:
                    encoded[name] = np.empty([len(records), rows.shape[1]], np.float32)
                encoded[name][indices.start : indices.stop] = rows
    return EncodedFaces(**encoded)


def _kept(path: Path) -> dict[str, np.ndarray] | None:
    try:
        return read_npz(path, _ARRAYS)
    except (FileNotFoundError, DamagedFile):
        return None  # a cache is made again, never repaired


def _encode(records, indices: range, encode: Callable, batch_size: int, bar: tqdm) -> dict[str, np.ndarray]:
    found = []
    for start in range(indices.start, indices.stop, batch_size):
        crops = records.batch(range(start, min(start + batch_size, indices.stop)))
        found.append([np.asarray(array, np.float32) for array in encode(crops.astype(np.float32) / 255.0)])
        bar.update(len(crops))
    return {name: np.concatenate(rows) for name, rows in zip(_ARRAYS, zip(*found, strict=True), strict=True)}
