"""A disk without space: one line that names the file, exit code 2, earlier files as they were."""

import numpy as np
import pytest

from configs import flags
from lib.errors import DiskFull
from lib.files.atomic import atomic_path, space_for
from lib.files.disk_list import DiskList
from tests.support.damage import files_of_at_most
from tests.support.programs.one_line import one_line


@pytest.fixture
def limited():
    """The disk is full for every file beyond 64 kB."""
    with files_of_at_most(2**16):
        yield


def test_a_full_disk_is_told_with_the_file(tmp_path, capsys):
    path = tmp_path / "a.bin"
    path.write_bytes(b"earlier")

    def program(_):
        with atomic_path(path) as temporary, open("/dev/full", "wb") as stream:
            temporary.write_bytes(b"half")
            stream.write(bytes(2**16))

    line = one_line(program, [], capsys)
    assert f"{path}: must fit on its disk, got: No space left on device" in line
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"earlier"]


def test_what_lies_in_the_folder_for_temporary_files_is_told_too(limited):
    spill = DiskList()
    spill.append("small")
    with pytest.raises(DiskFull, match="must fit"):
        spill.append(np.random.default_rng(0).bytes(2**17))
    assert list(spill) == ["small"]


def test_other_faults_of_the_system_pass(tmp_path):
    with pytest.raises(IsADirectoryError), space_for(tmp_path):
        tmp_path.read_bytes()
    assert flags.run(tmp_path.read_bytes, "") == 2
