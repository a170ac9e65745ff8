"""Tables of a folder's metrics."""

import csv
import json

import numpy as np

from model.report.summary import COLUMNS, write_summary


def test_the_largest_distance_is_that_of_any_point(tmp_path):
    """Of all photos, not the largest of their means."""
    numbers = dict.fromkeys(COLUMNS, 1.0)
    residuals = {"a": (2.0, 9.0), "b": (3.0, 4.0), "c": (np.nan, np.nan)}
    names = ("five_point_residual_px", "five_point_residual_px_max")
    metrics = {photo: numbers | dict(zip(names, pair, strict=True)) for photo, pair in residuals.items()}
    write_summary(tmp_path, metrics, {}, 1.0, [])
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [summary[name] for name in names] == [2.5, 9.0]
    with open(tmp_path / "summary.csv", newline="") as stream:
        assert [row[names[1]] for row in csv.DictReader(stream)] == ["9.0", "4.0", "nan"]
