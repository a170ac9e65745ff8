"""What the printed table of an evaluation shows."""

import pytest

from model.evaluation.tables import print_report
from model.evaluation.textures import COLUMNS, KINDS


@pytest.mark.parametrize("names", [["default"], ["default", "normal"]])
def test_the_table_has_rows_of_runs_only_if_there_are_several(tmp_path, capsys, names):
    """The only run's would repeat the row of the fine texture."""
    metrics = dict.fromkeys(("regressor", "detector", "identity", "photos")) | {"faces": 1, "split": "test"}
    metrics["textures"] = {column: dict.fromkeys(KINDS, 1.0) for column in COLUMNS}
    metrics["variants"] = {name: dict.fromkeys(COLUMNS, 1.0) for name in names}
    print_report(metrics, [], tmp_path)
    said = capsys.readouterr().out.splitlines()
    runs = [line.split()[0] for line in said if line.startswith(("default", "normal"))]
    assert runs == (names if len(names) > 1 else [])
    assert ("  fine, by every run (default is the one above):" in said) == (len(names) > 1)
