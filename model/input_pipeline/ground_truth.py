"""Ground truth of record files that were packed from the synthetic crops of create_bin.py."""

import sys
from collections.abc import Container
from pathlib import Path

import numpy as np

from configs import schema
from lib.errors import UserError
from lib.files.file_names import printable
from lib.files.numpy_files import DamagedFile
from lib.records.crop_files import BadImage, UnreadableImage, read_crop
from lib.records.records import Records
from lib.synthetic.dataset import TRUTH, is_crop_name, load_names, load_truth
from model.runs.training_data import UNTOLD


def record_truth(config: schema.Config, records: Records, fingerprint: str) -> dict[str, np.ndarray] | None:
    """Ground truth of every record, in the order of the records; None if they are not all synthetic crops.

    If there is a truth that cannot be used, the reason is printed.

    Args:
      config: the effective configuration, which locates the synthetic crops.
      records: the packed crops.
      fingerprint: fingerprint of the face model in use.

    Returns:
      coefficients [S, K] float32, and true_albedo [S, N, 3] float16, RGB in [0, 1] including skin detail.

    Raises:
      UserError: the truth belongs to another face model, the configured camera is not that of the crops, or the disk or
        the network fails.
    """
    folder = config.crops_dir
    if not (folder / TRUTH).is_file():
        return None
    truth = load_truth(folder)
    rows = {name: row for row, name in enumerate(truth["names"].tolist())}
    if fault := _fault(records, rows, folder):
        print(f"{folder / TRUTH}: not used, {fault}", file=sys.stderr)
        return None
    config.camera.check_synthetic()
    found = str(truth["face_model"])
    if found != fingerprint:
        raise UserError(
            f"{folder / TRUTH}: must belong to the configured face model, {fingerprint}, got faces drawn from {found} "
            "(run python create_bin.py again with this configuration)"
        )
    kept = [rows[name] for name in records.names]
    # `pop`, so that the albedos of all crops are in memory no more than twice, and once afterwards.
    return {name: truth.pop(name)[kept] for name in ("coefficients", "true_albedo")}


def rendered_as(config: schema.Config, records: Records) -> str:
    """`crops_key` of create_bin.py's crops if records hold them; empty for others, `UNTOLD` if it cannot be told.

    Args:
      config: the effective configuration, which locates the synthetic crops.
      records: the packed crops.

    Raises:
      UserError: the disk or the network fails.
    """
    if not all(is_crop_name(name) for name in records.names):
        return ""
    try:
        names, key = load_names(config.crops_dir)
    except (OSError, DamagedFile):
        return UNTOLD
    return UNTOLD if _fault(records, frozenset(names), config.crops_dir) else key


def _fault(records: Records, names: Container[str], folder: Path) -> str:
    """Why records cannot be told to be the crops `names` in a folder; empty if they are."""
    foreign = next((name for name in records.names if name not in names), None)
    return _crop_fault(records, 0, folder) if foreign is None else f"{printable(foreign)} is not one of its crops"


def _crop_fault(records: Records, index: int, folder: Path) -> str:
    """Compares the pixels of one record, because other crops can have the same file names."""
    path = folder / records.names[index]
    name = printable(path.name)
    if not path.is_file():
        return f"{name} must be there to be compared, got it deleted (run python create_bin.py again)"
    try:
        same = np.array_equal(records.batch([index])[0], read_crop(path, records.shape[0]))
    except UnreadableImage as error:  # which says nothing about the crop
        raise UserError(f"{path}: {error} (run the same command again)") from error
    except BadImage as error:
        return f"{name} must be whole to be compared, got a damaged crop ({error}; run python create_bin.py again)"
    return "" if same else f"{name} is not one of its crops"
