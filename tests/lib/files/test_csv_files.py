"""Tables that a spreadsheet does not run."""

import csv

import pytest

from lib.files.csv_files import cell, write_csv


@pytest.mark.parametrize("text", ["=1+1", "+cmd|'/c calc'!A0", "-x.png", "@SUM(A1)", "\t=1", "\r=1", "=-1"])
def test_formulas_are_quoted(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["a=b.png", "x", "", "-1.5", "+3e4", "-inf", -1.5, 7, None, True, "'=1"])
def test_everything_else_stays(value):
    assert cell(value) is value


def test_a_table_comes_back(tmp_path):
    rows = [["photo", "dB"], ["=evil.png", -1.5], ['a,"b"\n.png', None], ["\udc80é.png", 1]]
    write_csv(tmp_path / "t.csv", rows)
    with open(tmp_path / "t.csv", newline="", encoding="utf-8") as stream:
        read = list(csv.reader(stream))
    assert read == [["photo", "dB"], ["'=evil.png", "-1.5"], ['a,"b"\n.png', ""], ["\\udc80é.png", "1"]]
