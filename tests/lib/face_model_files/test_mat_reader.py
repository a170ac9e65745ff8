"""MATLAB 5 files: what SciPy writes is read as SciPy reads it; damaged files are refused, never followed."""

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import UserError
from lib.face_model_files.formats.mat_files import MatFile
from lib.face_model_files.formats.mat_reader import read_arrays
from lib.files import numpy_files
from lib.files.numpy_files import DamagedFile
from tests.support.damage import damaged
from tests.support.helpers import shared_file

ARRAYS = {
    "doubles": np.arange(12.0).reshape(3, 4),
    "singles": np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3),
    "bytes": np.arange(5, dtype=np.uint8)[None],
    "longs": np.array([[2**40, -1]], np.int64),
    "cube": np.arange(24, dtype=np.int16).reshape(2, 3, 4),
    "none": np.zeros((0, 3)),
    "x": np.array([[7]], np.int32),
}
OTHERS = {"text": "abc", "cell": np.array([1, "a"], dtype=object), "struct": {"a": 1}, "imaginary": np.array([[1j]])}


def write(path, compressed, **more):
    scipy.io.savemat(path, ARRAYS | more, do_compression=compressed)
    return path


@pytest.mark.parametrize("compressed", [False, True])
def test_arrays_are_read_as_scipy_reads_them(tmp_path, compressed):
    path = write(tmp_path / "a.mat", compressed, **OTHERS)
    found, programs = read_arrays(path)
    expected = scipy.io.loadmat(path)
    assert programs == []
    assert found.keys() == ARRAYS.keys()
    for name, array in found.items():
        assert array.dtype == expected[name].dtype, name
        np.testing.assert_array_equal(array, expected[name])


def test_the_published_index_files_are_read():
    path = shared_file("data/bfm_index/facemodel_info.mat")
    found, _ = read_arrays(path)
    expected = scipy.io.loadmat(path)
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name])
    assert "tri" in found


@given(st.data(), st.booleans())
def test_a_flipped_byte_or_a_missing_end_is_refused_or_read_within_bounds(tmp_path_factory, data, compressed):
    path = write(tmp_path_factory.getbasetemp() / "flip.mat", compressed)
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    try:
        found, _ = read_arrays(path)
    except DamagedFile:
        return
    assert sum(array.nbytes for array in found.values()) < 10_000


def test_a_truncated_array_that_ends_the_process_in_scipy_is_refused(tmp_path):
    whole = tmp_path / "a.mat"
    scipy.io.savemat(whole, {"a": np.arange(12.0).reshape(3, 4)})
    whole.write_bytes(whole.read_bytes()[:-17])
    with pytest.raises(UserError, match=r"a\.mat: must be a MATLAB 5 file, got .*an element of 144 bytes where 127"):
        MatFile(whole)


@pytest.mark.parametrize("content", [b"", b"x" * 127, b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + bytes(600)])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.mat: must be a MATLAB 5 file"):
        MatFile(tmp_path / "a.mat")


def test_elements_that_unpack_to_too_much_together_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(numpy_files, "SMALL", 2**20)
    monkeypatch.setattr(numpy_files, "MAX_RATIO", 1)
    many = {f"a{i}": np.zeros((2**16, 1)) for i in range(3)}  # half of what is allowed, each
    for count in (1, 3):
        scipy.io.savemat(tmp_path / "a.mat", dict(list(many.items())[:count]), do_compression=True)
        if count == 1:
            assert read_arrays(tmp_path / "a.mat")[0].keys() == {"a0"}
    with pytest.raises(DamagedFile, match="more than the 1,048,576 they may unpack to"):
        read_arrays(tmp_path / "a.mat")
