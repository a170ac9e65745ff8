"""What the frozen networks say of every training crop, computed once and kept on disk.

Training the texture networks never changes the regressor or the identity network, so their outputs are constants of
the data: some 1.5 KB a crop with the embedded default, against two network passes in every update.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lib.numpy_files import DamagedFile, read_npz
from utils import atomic_path


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
) -> EncodedFaces:
    """Runs `encode` over all crops of a record file, or loads what it said before.

    Args:
      records: a lib.records.RecordReader of RGBA crops.
      encode: [B, H, W, 4] float32 crops in [0, 1] -> (coefficients [B, K], embeddings [B, E]).
      cache_folder: where results are kept.
      key: identifies the networks behind `encode` (a change of weights must change it).
      batch_size: crops a call.
    """
    path = Path(cache_folder) / f"encoded-{key}-{records.fingerprint}.npz"
    if path.exists():
        try:
            return EncodedFaces(**read_npz(path, ("coefficients", "embeddings")))
        except DamagedFile:
            path.unlink()  # a cache is made again, never repaired
    coefficients, embeddings = [], []
    starts = range(0, len(records), batch_size)
    for start in tqdm(starts, desc="encode crops", unit="batch", dynamic_ncols=True):
        crops = records.batch(range(start, min(start + batch_size, len(records))))
        batch_coefficients, batch_embeddings = encode(crops.astype(np.float32) / 255.0)
        coefficients.append(np.asarray(batch_coefficients, np.float32))
        embeddings.append(np.asarray(batch_embeddings, np.float32))
    encoded = EncodedFaces(np.concatenate(coefficients), np.concatenate(embeddings))
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, coefficients=encoded.coefficients, embeddings=encoded.embeddings)
    return encoded
