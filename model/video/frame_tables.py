"""Tables of a tracked face that grow with every frame."""

import contextlib
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from lib.face_model.face_model import FaceModel
from lib.face_model_files.arkit import BlendShapes, arkit_weights
from lib.files.atomic import space_for
from lib.files.csv_files import write_csv
from lib.geometry.camera import Camera
from model.gaze import still_gaze, with_gaze
from model.tracking.frame_place import place_in_frame
from model.tracking.tracker import TrackedFace
from model.video.animation import FRAME_COLUMNS, frame_row
from model.video.outputs import POSE

POSE_COLUMNS = ("pitch", "yaw", "roll", "x", "y", "pixels_per_decimetre")


class FrameTables:
    """pose.csv and arkit.csv, whose rows are on disk as soon as they are added.

    Args:
      pose: stream of pose.csv.
      weights: stream of arkit.csv; None if the face model has no expressions that ARKit names.
      model: the face model.
      camera: camera of the crops.
    """

    def __init__(self, pose: TextIO, weights: TextIO | None, model: FaceModel, camera: Camera):
        self._pose, self._weights, self._camera = pose, weights, camera
        self._shapes = None if weights is None else BlendShapes.of(model)
        self._place, self._angles = np.zeros(3), np.zeros(3)
        self._expression = np.zeros(len(model.expression_basis))
        self._gaze = still_gaze(model)
        self._count, self._known = 0, False

    def add(self, face: TrackedFace | None, seconds: float) -> None:
        """Writes the next frame's rows; a frame without the face repeats the last ones, which are empty at first.

        Args:
          face: in the frame; None if it was not found.
          seconds: time of the frame.
        """
        if face is not None:
            self._known = True
            self._place = place_in_frame(self._camera, face.translation, face.photo_to_crop)
            self._angles, self._expression, self._gaze = face.angles, face.expression, face.gaze
        pose = np.concatenate([np.degrees(self._angles), self._place[:2], np.exp(self._place[2:])])
        self._write(self._pose, seconds, face is not None, pose)
        if self._weights is not None and self._shapes is not None:
            weights = with_gaze(self._shapes.arkit_weights(self._expression), self._gaze)
            self._write(self._weights, seconds, face is not None, np.array(list(weights.values())))
        self._count += 1

    def _write(self, stream: TextIO, seconds: float, seen: bool, values: np.ndarray) -> None:
        row: list[float | str] = [*frame_row(self._count, seconds, seen, values)]
        if not self._known:
            row[len(FRAME_COLUMNS) :] = [""] * len(values)
        with space_for(stream.name):
            csv.writer(stream).writerow(row)
            stream.flush()


@contextlib.contextmanager
def frame_tables(folder: Path, model: FaceModel, camera: Camera) -> Iterator[FrameTables]:
    """Context manager with new tables in a folder, which holds none of an earlier run."""
    with contextlib.ExitStack() as files:

        def table(name: str, columns: Sequence[str]) -> TextIO:
            write_csv(folder / name, [[*FRAME_COLUMNS, *columns]])
            # Closing a file tries once more to write what did not fit.
            files.enter_context(space_for(folder / name))
            return files.enter_context(open(folder / name, "a", newline="", encoding="utf-8"))

        still = arkit_weights(model, np.zeros(len(model.expression_basis)))
        names = list(with_gaze(still, still_gaze(model)))
        weights = table("arkit.csv", names) if names else None
        yield FrameTables(table(POSE, POSE_COLUMNS), weights, model, camera)
