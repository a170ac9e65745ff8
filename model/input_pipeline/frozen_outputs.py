"""Cached outputs of the frozen networks for every training crop.

Training the texture networks does not change the regressor or the identity network, so their outputs for each crop are
computed once: about 2.5 KB per crop with the shipped networks, 16 KB with the paper's, instead of two network passes in
every update. They stay in the files of the cache, and each batch reads its own.
"""

import dataclasses
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lib.files.numpy_files import DamagedFile, StoredArray, read_npz, report_remade, stored_arrays, write_npz
from lib.records.records import Records
from model.input_pipeline.stored_rows import StoredRows
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
      `StoredRows` of S rows, in the order of the records; NaN where they are neither needed nor stored.
    """
    folder = Path(cache_folder) / f"encoded-{key}-{records.fingerprint}"
    parts: dict[str, dict[int, StoredArray | np.ndarray]] = {name: {} for name in _ARRAYS}
    wanted = frozenset(range(len(records)) if needed is None else needed)
    with tqdm(desc="encode crops", total=len(wanted), unit="crop", dynamic_ncols=True) as bar:
        for start in range(0, len(records), part_size):
            indices = range(start, min(start + part_size, len(records)))
            rows = [index for index in indices if index in wanted]
            if not rows:
                continue
            path = folder / f"{start:09d}-{part_size}.npz"
            stored = _kept(path, len(indices))
            if stored is not None:
                bar.update(len(rows))
            else:
                computed = _encode(records, rows, encode, batch_size, bar)
                if len(rows) == len(indices):
                    write_npz(path, computed)
                    stored = stored_arrays(path, _ARRAYS)
            for name, by_start in parts.items():
                by_start[start] = _spread(computed[name], rows, indices) if stored is None else stored[name]
    return EncodedFaces(**{name: StoredRows(len(records), part_size, found) for name, found in parts.items()})


def _kept(path: Path, count: int) -> dict[str, StoredArray] | None:
    """The `count` rows in a cache file; None if it is missing, or damaged, which is reported."""
    if not path.is_file():
        return None
    try:
        for name, rows in read_npz(path, _ARRAYS).items():
            if rows.ndim != 2 or len(rows) != count or rows.dtype != np.float32:
                raise DamagedFile(f"'{name}' is {rows.dtype} {list(rows.shape)} where {count} rows are expected")
            if not np.isfinite(rows).all():
                raise DamagedFile(f"'{name}' is not finite")
        return stored_arrays(path, _ARRAYS)
    except DamagedFile as error:
        report_remade(path, error)
        return None


def _spread(values: np.ndarray, rows: Sequence[int], indices: range) -> np.ndarray:
    """The values of `rows` among those of a whole part, NaN elsewhere."""
    part = np.full([len(indices), values.shape[1]], np.nan, np.float32)
    part[[row - indices.start for row in rows]] = values
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
