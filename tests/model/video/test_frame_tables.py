"""Tables that grow with every frame, on a disk that fills up."""

import csv

import pytest

from lib.errors import DiskFull
from model.video.frame_tables import frame_tables
from tests.support.damage import files_of_at_most
from tests.support.reconstruction_parts import untrained_parts


def test_a_full_disk_is_told_with_the_table_and_earlier_rows_stay(tmp_path):
    pipeline = untrained_parts()

    def fill():
        with frame_tables(tmp_path, pipeline.face_model, pipeline.camera, 25.0) as tables:
            for _ in range(1000):
                tables.add(None)

    wanted = r"\.csv: must fit on its disk, got: File too large"
    with files_of_at_most(4096), pytest.raises(DiskFull, match=wanted):
        fill()
    with open(tmp_path / "pose.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["frame"] for row in rows] == [str(number) for number in range(len(rows))]
    assert len(rows) > 5
