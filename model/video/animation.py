"""Expressions of a video by ARKit's names: weights of every frame as a table, and an animated rig."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lib.face_model.face_model import FaceModel
from lib.face_model_files.arkit import arkit_weights
from lib.files.csv_files import write_csv
from model.gaze import with_gaze
from model.person.files import neutral_shape, rig_material, skin_textures
from model.person.merge import MergedSkin
from model.reconstruction.export import Exporter, rig_files

DECIMALS = 5
# First columns of tables with a row for every frame.
FRAME_COLUMNS = ("frame", "seconds", "seen")


def write_weights(
    path: Path,
    face_model: FaceModel,
    coefficients: np.ndarray,
    gaze: np.ndarray | None,
    seen: np.ndarray,
    seconds: Sequence[float],
) -> None:
    """Writes ARKit's weights of every frame; removes an earlier file if the face model has none.

    Args:
      path: the .csv file.
      face_model: model of the coefficients [T, K].
      gaze: [T, 2], see `Track`.
      seen: [T] bool, frames that show the face.
      seconds: [T] times of the frames.
    """
    weights = with_gaze(arkit_weights(face_model, face_model.layout.split(coefficients).expression), gaze)
    if not weights:
        path.unlink(missing_ok=True)
        return
    rows = np.stack(list(weights.values()), axis=1)
    numbered = [
        frame_row(frame, time, known, row)
        for frame, (time, known, row) in enumerate(zip(seconds, seen, rows, strict=True))
    ]
    write_csv(path, [[*FRAME_COLUMNS, *weights], *numbered])


def frame_row(frame: int, seconds: float, seen: bool, values: np.ndarray) -> list[float]:
    """A frame's row of a table: `FRAME_COLUMNS`, then values [D]."""
    return [frame, round(seconds, 4), int(seen), *np.round(values, DECIMALS).tolist()]


def write_animated_rig(
    folder: Path,
    export: Exporter,
    skin: MergedSkin,
    coefficients: np.ndarray,
    gaze: np.ndarray | None,
    seconds: Sequence[float],
) -> None:
    """Writes the rig of the person in a video, which moves and turns as the face does, in the formats to be exported.

    Rigs of an earlier run in other formats are removed.

    Args:
      folder: for the files.
      export: the exporter of the frames.
      skin: the person's skin, with textures.
      coefficients: [T, K]; the identity is that of the first frame.
      gaze: [T, 2], see `Track`.
      seconds: [T] times of the frames.
    """
    wanted = rig_files(folder, export.formats) if "rig" in export.formats else []
    for path in rig_files(folder, ("usdz",)):
        if path not in wanted:
            path.unlink(missing_ok=True)
    if not wanted:
        return
    first = export.morphable.layout.split(coefficients[0])
    neutral = neutral_shape(export, first.identity, skin)
    material = rig_material(export, skin_textures(export, neutral[0].numpy(), skin), first)
    looks = np.zeros([len(coefficients), 2]) if gaze is None else gaze
    motion = export.rig.motion(coefficients, looks, seconds)
    export.rig(wanted, first.identity, first.expression, looks[0], material, motion, lift=skin.lift)
