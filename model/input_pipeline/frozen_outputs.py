"""Cached outputs of the frozen networks for every training crop.

Training the texture networks does not change the regressor or the identity network, so their outputs for each crop are
computed once: about 1.5 KB per crop with the shipped networks, instead of two network passes in every update.
"""

import dataclasses
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lib.files.numpy_files import DamagedFile, read_npz, report_remade, write_npz
from lib.records.records import Records
from model.networks.encoding import EncodedFaces

# Arrays of a cache file. Files of earlier versions hold other arrays and are rewritten.
_ARRAYS = tuple(field.name for field in dataclasses.fields(EncodedFaces))


def encode_records(
    records: Records,
    encode: Callable[[np.ndarray], EncodedFaces],
    cache_folder: Path,
    key: str,
    batch_size: int = 16,
    part_size: int = 1024,
    needed: Collection[int] | None = None,
) -> EncodedFaces:
    """Runs `encode` over all crops of a record file, or loads its earlier results.

    Results are stored in parts, so that an interrupted run resumes with the first missing part. A damaged part is
    reported and computed again. If only some crops are needed, only those of missing parts are computed, and not
    stored.

    Args:
      records: S RGBA crops.
      encode: [B, H, W, 4] float32 crops in [0, 1] -> the networks' outputs.
      cache_folder: folder of the results.
      key: identifies the networks behind `encode`; it must change when their weights do.
      batch_size: crops per call.
      part_size: crops per file.
      needed: indices of the crops whose outputs will be used; None for all.

    Returns:
      float32 arrays of S rows, in the order of the records; NaN where they are not needed.
    """
    folder = Path(cache_folder) / f"encoded-{key}-{records.fingerprint}"
    encoded: dict[str, np.ndarray] = {}
    wanted = frozenset(range(len(records)) if needed is None else needed)
    with tqdm(desc="encode crops", total=len(wanted), unit="crop", dynamic_ncols=True) as bar:
        for start in range(0, len(records), part_size):
            indices = range(start, min(start + part_size, len(records)))
            rows = [index for index in indices if index in wanted]
            if not rows:
                continue
            path = folder / f"{start:09d}-{part_size}.npz"
            part = _kept(path, len(indices))
            if part is not None:
                part = {name: values[[row - start for row in rows]] for name, values in part.items()}
                bar.update(len(rows))
            else:
                part = _encode(records, rows, encode, batch_size, bar)
                if len(rows) == len(indices):
                    write_npz(path, part)
            for name, values in part.items():
                if name not in encoded:
                    encoded[name] = np.full([len(records), values.shape[1]], np.nan, np.float32)
                encoded[name][rows] = values
    return EncodedFaces(**encoded)


def _kept(path: Path, count: int) -> dict[str, np.ndarray] | None:
    """The `count` rows in a cache file; None if it is missing, or damaged, which is reported."""
    if not path.is_file():
        return None
    try:
        part = read_npz(path, _ARRAYS)
        for name, rows in part.items():
            if rows.ndim != 2 or len(rows) != count or rows.dtype != np.float32:
                raise DamagedFile(f"'{name}' is {rows.dtype} {list(rows.shape)} where {count} rows are expected")
            if not np.isfinite(rows).all():
                raise DamagedFile(f"'{name}' is not finite")
    except DamagedFile as error:
        report_remade(path, error)
        return None
    return part


def _encode(
    records: Records,
    indices: Sequence[int],
    encode: Callable[[np.ndarray], EncodedFaces],
    batch_size: int,
    bar: tqdm,
) -> dict[str, np.ndarray]:
    found: list[EncodedFaces] = []
    for start in range(0, len(indices), batch_size):
        crops = records.batch(indices[start : start + batch_size])
        found.append(encode(crops.astype(np.float32) / 255.0))
        bar.update(len(crops))
    return {name: _rows([getattr(outputs, name) for outputs in found]) for name in _ARRAYS}


def _rows(batches: Sequence) -> np.ndarray:
    return np.concatenate([np.asarray(batch, np.float32) for batch in batches])
