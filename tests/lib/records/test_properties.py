"""Records and splits with whatever names, contents and damage hypothesis thinks of."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from lib.errors import UserError
from lib.files.file_names import line_fault, name_fault
from lib.records.record_file import RecordReader
from lib.records.record_writer import RecordWriter
from lib.records.splits import PARTS, load_split, save_split, split

NAMES = st.text(min_size=1, max_size=10).filter(lambda name: name_fault(name) is None)
METADATA = st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5), max_size=3)
RECORDS = arrays_of.arrays(
    np.uint8, st.tuples(st.integers(0, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
)
SHARES = st.fixed_dictionaries({"val": st.floats(0, 0.49), "test": st.floats(0, 0.49)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("records")


def write(path, records, names, metadata):
    with RecordWriter(path, records.shape[1:], metadata) as writer:
        for name, record in zip(names, records, strict=True):
            writer.append(record, name)


@given(st.data(), RECORDS, METADATA)
def test_records_come_back(folder, data, records, metadata):
    names = data.draw(st.lists(NAMES, min_size=len(records), max_size=len(records), unique=True), label="names")
    write(folder / "a.bin", records, names, metadata)
    reader = RecordReader(folder / "a.bin")
    assert reader.names == names
    assert reader.metadata == metadata
    assert len(reader) == len(records)
    assert reader.shape == records.shape[1:]
    for index, record in enumerate(records):
        np.testing.assert_array_equal(reader[index], record)
    assert reader.verify() == []


@given(st.data())
def test_no_damage_goes_unnoticed(folder, data):
    """A file that is cut, has bytes flipped or something appended is refused, or the damaged record is."""
    records = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 4), np.uint8)
    names = ["a", "b", "c"]
    write(folder / "d.bin", records, names, {"k": 1})
    original = (folder / "d.bin").read_bytes()
    start = original.index(records[0].tobytes())
    kind = data.draw(st.sampled_from(["cut", "flip", "append"]), label="kind")
    content = bytearray(original)
    if kind == "cut":
        content = content[: data.draw(st.integers(0, len(original) - 1), label="length")]
    elif kind == "append":
        content += data.draw(st.binary(min_size=1, max_size=9), label="tail")
    else:
        region = st.integers(start - 8, len(original) - 1) | st.integers(0, len(original) - 1)
        for position in data.draw(st.sets(region, min_size=1, max_size=4), label="positions"):
            content[position] ^= data.draw(st.integers(1, 255), label="bits")
    (folder / "d.bin").write_bytes(content)
    try:
        reader = RecordReader(folder / "d.bin")
    except UserError:
        return
    assert kind == "flip"
    damaged = {i for i in range(3) if content[start + 64 * i : start + 64 * (i + 1)] != records[i].tobytes()}
    assert damaged, "something was flipped, and it lay in no record"
    assert set(reader.verify()) == damaged
    for index in range(3):
        if index in damaged:
            with pytest.raises(UserError, match="must match its checksum"):
                reader[index]
        else:
            np.testing.assert_array_equal(reader[index], records[index])


@given(st.sets(NAMES, max_size=40), SHARES, st.integers(0, 2**32))
def test_a_split_is_a_partition_that_the_order_of_names_does_not_change(names, shares, seed):
    parts = split(sorted(names), shares, seed)
    assert sorted(itertools.chain(*parts.values())) == sorted(names)
    assert set(parts) == set(PARTS)
    assert split(sorted(names, reverse=True), shares, seed) == parts


@given(st.sets(NAMES, min_size=30, max_size=60), st.sets(NAMES, max_size=20), st.integers(0, 2**32))
def test_names_that_are_added_move_no_other(names, added, seed):
    shares = {"val": 0.25, "test": 0.25}
    before, after = split(names, shares, seed), split(names | added, shares, seed)
    # A part that chance left empty takes a name from another; with 30 names that is one case in 5,000.
    assume(all(len(part) > 1 for part in before.values()))
    for part in PARTS:
        assert set(before[part]) == set(after[part]) & names


@given(st.sets(NAMES, min_size=1, max_size=20), SHARES, st.integers(0, 2**32))
def test_split_files_come_back_or_are_refused_before_they_are_written(folder, names, shares, seed):
    parts = split(names, shares, seed)
    if any(line_fault(name) for name in names):
        with pytest.raises(ValueError, match="to be listed"):
            save_split(folder / "refused", parts)
        assert not (folder / "refused").exists()
    else:
        save_split(folder / "params", parts)
        assert load_split(folder / "params", names) == parts
