"""Journal of --mode prepare: whatever happens to a line, its photo alone is prepared again, and the user is told."""

import json

import pytest

from lib.errors import UserError
from model.preparation.journal import journal_line, read_journal, write_journal

ORIGIN = {"source": "/photos"}
# The line separator is a character of a name that ends a line for str.splitlines alone.
RECORDS = {
    photo: {"photo": photo, "key": f"{number:x}", "crops": [{"file": f"{number}.png"}], "left_out": [], "remark": ""}
    for number, photo in enumerate(["a.png", "b\u2028c.png", "d.png"])
}


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / "progress.jsonl"
    write_journal(path, ORIGIN, RECORDS.values())
    return path


def test_records_come_back_and_may_be_appended(journal, capsys):
    assert read_journal(journal, ORIGIN) == RECORDS
    later = RECORDS["a.png"] | {"key": "later"}
    with open(journal, "a", encoding="utf-8") as stream:
        stream.write(journal_line(later, ORIGIN))
    assert read_journal(journal, ORIGIN) == RECORDS | {"a.png": later}
    assert not capsys.readouterr().err
    with pytest.raises(UserError, match="must be new or hold crops of /others, got those of /photos"):
        read_journal(journal, {"source": "/others"})


def test_every_changed_byte_costs_its_line_alone(journal, capsys):
    whole = journal.read_bytes()
    line = 1
    for place, byte in enumerate(whole):
        journal.write_bytes(whole[:place] + bytes([byte ^ 1]) + whole[place + 1 :])
        found, said = read_journal(journal, ORIGIN), capsys.readouterr().err
        lost = {line, line + 1} if byte == ord("\n") else {line}
        kept = {photo: record for number, (photo, record) in enumerate(RECORDS.items(), 2) if number not in lost}
        assert found == kept, (place, whole[max(place - 20, 0) : place + 20])
        assert f"{journal}: damaged, made again (line {line}" in said
        line += byte == ord("\n")


def test_a_torn_end_is_a_photo_to_prepare(journal, capsys):
    whole = journal.read_bytes()
    for size in range(whole.index(b"\n") + 2, len(whole) - 1):
        journal.write_bytes(whole[:size])
        found, said = read_journal(journal, ORIGIN), capsys.readouterr().err
        assert found == dict(list(RECORDS.items())[: whole[: size + 1].count(b"\n") - 1]), size
        between = whole[size - 1 : size] == b"\n" or whole[size : size + 1] == b"\n"
        assert bool(said) != between


def test_a_journal_of_an_earlier_version_is_read(journal, capsys):
    lines = [json.dumps(entry) for entry in (ORIGIN, *RECORDS.values())]
    journal.write_text("\n".join(lines) + "\n")
    assert read_journal(journal, ORIGIN) == RECORDS
    journal.write_text("\n".join([*lines[:2], "torn", *lines[3:]]) + "\n")
    assert set(read_journal(journal, ORIGIN)) == {"a.png", "d.png"}
    assert "damaged, made again (line 3" in capsys.readouterr().err
    journal.write_text("\n".join(["torn", *lines[1:]]) + "\n")
    with pytest.raises(UserError, match="must be this program's journal"):
        read_journal(journal, ORIGIN)


def test_many_damaged_lines_are_one_message(journal, capsys):
    with open(journal, "a") as stream:
        stream.write("x\n" * 20)
    assert read_journal(journal, ORIGIN) == RECORDS
    (line,) = capsys.readouterr().err.splitlines()
    assert "(line 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, ...;" in line
