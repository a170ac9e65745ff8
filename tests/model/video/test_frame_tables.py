"""Tables that grow with every frame: before the first face, and on a disk that fills up."""

import numpy as np
import pytest

from lib.errors import DiskFull
from model.tracking.tracker import TrackedFace
from model.video.frame_tables import frame_tables
from tests.support.damage import files_of_at_most
from tests.support.helpers import csv_rows
from tests.support.reconstruction_parts import untrained_parts


def test_before_the_first_face_there_are_no_values(tmp_path):
    pipeline = untrained_parts()
    expression = np.zeros(pipeline.face_model.layout.expression)
    crop = np.array([[0.5, 0, 0], [0, 0.5, 0]])
    face = TrackedFace(expression, np.zeros(3), np.zeros(3), crop, gaze=np.zeros(2))
    with frame_tables(tmp_path, pipeline.face_model, pipeline.camera) as tables:
        for number, seen in enumerate((None, None, face, None)):
            tables.add(seen, number / 25)
    for name, column in (("pose.csv", "pixels_per_decimetre"), ("arkit.csv", "jawOpen")):
        rows = csv_rows(tmp_path / name)
        assert [row["seen"] for row in rows] == ["0", "0", "1", "0"]
        assert [row["seconds"] for row in rows] == ["0.0", "0.04", "0.08", "0.12"]
        assert rows[0][column] == rows[1][column] == ""
        assert set(rows[0].values()) == {"0", "0.0", ""}
        assert rows[2][column] == rows[3][column] != ""


def test_a_full_disk_is_told_with_the_table_and_earlier_rows_stay(tmp_path):
    pipeline = untrained_parts()

    def fill():
        with frame_tables(tmp_path, pipeline.face_model, pipeline.camera) as tables:
            for _ in range(1000):
                tables.add(None, 0.0)

    wanted = r"\.csv: must fit on its disk, got: File too large"
    with files_of_at_most(4096), pytest.raises(DiskFull, match=wanted):
        fill()
    rows = csv_rows(tmp_path / "pose.csv")
    assert [row["frame"] for row in rows] == [str(number) for number in range(len(rows))]
    assert len(rows) > 5
