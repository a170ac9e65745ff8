"""Random contents reach every file of a parser."""

import pytest

from benchmarks.soak import fuzzing
from benchmarks.soak.readers import READERS
from benchmarks.soak.readers.kinds import OPEN, Reader
from lib.errors import UserError


def two_files(read) -> Reader:
    def make(folder):
        for name in ("a.bin", "b.bin"):
            (folder / name).write_bytes(b"whole" * 9)

    return Reader("two", "trials", OPEN, make, read)


def test_each_file_is_fuzzed_beside_whole_others(tmp_path, monkeypatch):
    seen = []

    def read(folder):
        seen.append([(folder / name).read_bytes() == b"whole" * 9 for name in ("a.bin", "b.bin")])

    monkeypatch.setattr(fuzzing, "READERS", [two_files(read)])
    fuzzing.explore("two", str(tmp_path), 30, 0)
    assert [False, True] in seen
    assert [True, False] in seen
    assert [False, False] not in seen


def test_a_fault_behind_the_second_file_is_found(tmp_path, monkeypatch):
    def read(folder):
        if (folder / "b.bin").read_bytes() != b"whole" * 9:
            raise KeyError("index")
        raise UserError("a.bin: must be whole")

    monkeypatch.setattr(fuzzing, "READERS", [two_files(read)])
    with pytest.raises(AssertionError, match=r"b\.bin: KeyError"):
        fuzzing.explore("two", str(tmp_path), 30, 0)


@pytest.mark.parametrize("name", fuzzing.INSTRUMENTED)
def test_guided_fuzzing_has_a_file_that_is_small_enough(tmp_path, name):
    (reader,) = (reader for reader in READERS if reader.name == name)
    reader.make(tmp_path)
    sizes = {path.name: path.stat().st_size for path in fuzzing.targets_of(reader, tmp_path)}
    assert min(sizes.values()) <= fuzzing.LARGEST, sizes
    assert (max(sizes.values()) > fuzzing.LARGEST) == (name == "surrey"), "the page names those that are too large"
