"""Examination of some training crops before the first update, so that bad data does not cost hours."""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.files.atomic import atomic_path
from lib.files.file_names import printable
from lib.images.contact_sheet import contact_sheet
from lib.images.display import to_bytes
from lib.records.crop_faults import crop_fault
from model.input_pipeline.batches import CropBatch
from model.training.trainer import PosedBatch, TextureTrainer

CROPS = 16  # number of crops to examine
SHEET = "first_crops.png"
REFUSED = "refused_crops.png"  # the sheet until the run begins, and of a run that does not; an earlier run's stays
# Share of the mask that the regressed face covers, and of the face that the mask covers, below which a crop is bad.
# Masks of good crops cover 0.6 to 0.95 of the face: hair, hands and glasses are left out.
COVERED = 0.3
# Largest distance of the regressed face's centre from the crop's, as a share of the side. Alignment centres faces.
OFF_CENTRE = 0.2
# Largest roll [radians]: mirrored landmarks, and photos that lie on their side, give rotated faces.
TILTED = np.pi / 3
# If more than this share of the crops have a fault, the data set is to blame.
MOST = 0.5


def look(
    trainer: TextureTrainer,
    batches_of: Callable[[Sequence[int], int], Iterator[CropBatch]],
    indices: Sequence[int],
    batch_size: int,
    names: Sequence[str],
    folder: Path,
) -> None:
    """Examines up to `CROPS` training crops, spread over all; prints those that look bad, and writes a sheet of all.

    Args:
      trainer: poses the faces.
      batches_of: yields batches of the given records and size.
      indices: the training crops, at least `batch_size`.
      batch_size: this process's batch size in training, so that its compiled functions serve here as well.
      names: of all records.
      folder: the run's folder, receives `REFUSED`: photo, mask, coarse face over the photo; `RunFolder.begin` makes it
        `SHEET`.

    Raises:
      UserError: no crop's mask shows any of the face, so there is nothing to learn.
    """
    count = max(min(CROPS, len(indices)) // batch_size, 1) * batch_size
    examined = min(count, CROPS)
    chosen = [indices[i] for i in np.linspace(0, len(indices) - 1, examined).astype(int)]
    rows: list[list[tuple[str, np.ndarray]]] = []
    faults: defaultdict[str, list[str]] = defaultdict(list)
    unseen = 0
    # Batches of more than `CROPS` are filled up by repetition.
    for posed in map(trainer.pose, batches_of(np.resize(chosen, count).tolist(), batch_size)):
        for row in range(min(batch_size, examined)):
            unseen += not np.any(posed.coarse.loss_mask[row] * posed.coarse.fragments.mask[row])
            for fault in crop_faults(posed, row):
                faults[fault].append(printable(names[chosen[len(rows)]]))
            rows.append(_tiles(posed, row))
    with atomic_path(folder / REFUSED) as path:
        contact_sheet(rows).save(path, compress_level=1)  # the default takes half a second
    sheet = folder / REFUSED
    later = "" if unseen == len(chosen) else f" ({SHEET} once the run begins)"
    for line in report(faults, len(chosen)):
        print(f"{line}; see {sheet}{later}", file=sys.stderr)
    if unseen == len(chosen):
        raise UserError(
            f"{sheet}: the masks of the training crops must show the face, got none that does in {unseen} "
            "crops (alpha must be 255 on the face and 0 elsewhere, and the face must be where --mode prepare puts it)"
        )


def crop_faults(posed: PosedBatch, row: int) -> list[str]:
    """Probable faults of a crop of a batch and of its regressed face; empty if there are none."""
    crop = np.asarray(posed.crop[row])
    fault = crop_fault(to_bytes(crop))
    found = [] if fault is None else [fault]
    alpha, mask = crop[..., 3], np.asarray(posed.coarse.fragments.mask[row, ..., 0])
    overlap = float((alpha * mask).sum())
    if overlap < COVERED * alpha.sum() or overlap < COVERED * mask.sum():
        found.append("mask and face hardly overlap")
    eyes_and_mouth = np.asarray(posed.coarse.face.landmarks[row, 36:])
    side = crop.shape[0]
    if np.abs(eyes_and_mouth.mean(axis=0) / side - 0.5).max() > OFF_CENTRE:
        found.append("the face is not in the middle (shifted landmarks?)")
    if abs(float(posed.coarse.face.coefficients.angles[row, 2])) > TILTED:
        found.append("the face is not upright (mirrored landmarks?)")
    return found


def report(faults: Mapping[str, Sequence[str]], count: int) -> Iterable[str]:
    """A line for each fault and the crops that have it."""
    for fault, names in faults.items():
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        whole = "; the training data is probably bad" if len(names) > MOST * count else ""
        yield f"warning: {len(names)} of {count} training crops: {fault} ({shown}){whole}"


def _tiles(posed: PosedBatch, row: int) -> list[tuple[str, np.ndarray]]:
    photo, alpha = np.asarray(posed.crop[row, ..., :3]), np.asarray(posed.crop[row, ..., 3:])
    mask = np.asarray(posed.coarse.fragments.mask[row])
    overlay = 0.5 * photo + 0.5 * (mask * np.asarray(posed.coarse.rendering[row]) + (1 - mask) * photo)
    return [("", to_bytes(picture)) for picture in (photo, photo * alpha, np.clip(overlay, 0, 1))]
