"""Tables that grow with every frame: their units, before the first face, and on a disk that fills up."""

import numpy as np
import pytest

from lib.errors import DiskFull
from lib.geometry.camera import Camera
from model.tracking.tracker import TrackedFace
from model.video.frame_tables import frame_tables
from tests.support.damage import files_of_at_most
from tests.support.faces import built_in_face
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


def test_a_row_of_the_pose_in_its_units(tmp_path):
    """Degrees, pixels of the frame, and the frame's pixels per decimetre, by hand."""
    face_model = built_in_face(2500)
    # 8 dm before a camera whose focal length is 1015 px: a decimetre is 126.875 px of the crop, 253.75 of the frame.
    crop = np.array([[0.5, 0.0, 10.0], [0.0, 0.5, 20.0]])
    expression = np.zeros(face_model.layout.expression)
    face = TrackedFace(expression, np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.8, 2.0]), crop, gaze=np.zeros(2))
    with frame_tables(tmp_path, face_model, Camera((224, 224))) as tables:
        tables.add(face, 0.0)
    (row,) = csv_rows(tmp_path / "pose.csv")
    assert {name: float(value) for name, value in row.items()} == pytest.approx(
        {
            "frame": 0, "seconds": 0, "seen": 1, "pitch": 5.7296, "yaw": 11.4592, "roll": 17.1887,
            "x": 305.5, "y": -19, "pixels_per_decimetre": 253.75,
        },
        abs=1e-3,
    )  # fmt: skip


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
