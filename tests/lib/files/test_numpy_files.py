""".npz files: arrays come back as they were; damage is refused, and no announcement is believed."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from lib.files import headed_npz
from lib.files.numpy_files import (
    MAX_RATIO,
    SMALL,
    DamagedFile,
    check_unpacked,
    read_npy,
    read_npz,
    stored_arrays,
    write_npz,
)  # fmt: skip
from tests.support.damage import damaged

ARRAYS = st.dictionaries(
    st.sampled_from(["a", "b", "layer/kernel", "regions/lip"]),
    arrays_of.arrays(
        st.sampled_from([np.float32, np.float64, np.int32, np.uint8, np.bool_]),
        arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
    ),
    min_size=1,
    max_size=3,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("npz")


def assert_same(found: dict[str, np.ndarray], arrays: dict[str, np.ndarray]) -> None:
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@given(ARRAYS, st.booleans())
def test_arrays_come_back(folder, arrays, compress):
    write_npz(folder / "a.npz", arrays, compress)
    assert_same(read_npz(folder / "a.npz"), arrays)


def test_rows_are_read_from_where_they_lie(folder):
    numbers = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    write_npz(folder / "rows.npz", {"other": np.arange(3), "long name é": numbers})
    stored = stored_arrays(folder / "rows.npz", ["long name é"])["long name é"]
    assert stored.shape == (9, 5)
    np.testing.assert_array_equal(stored.rows(np.array([8, 0, 8])), numbers[[8, 0, 8]])


@pytest.mark.parametrize(("numbers", "compress"), [(np.ones((9, 5)), True), (np.ones((5, 9)).T, False)])
def test_only_plain_rows_are_read_from_where_they_lie(folder, numbers, compress):
    write_npz(folder / "packed.npz", {"a": numbers}, compress)
    with pytest.raises(DamagedFile, match="row after row, uncompressed"):
        stored_arrays(folder / "packed.npz", ["a"])


@given(ARRAYS, st.booleans())
def test_header_and_arrays_come_back(folder, arrays, compress):
    header = {"format": "x 1", "metadata": {"é": [1, None]}}
    headed_npz.write(folder / "h.npz", arrays, header, compress)
    found, read = headed_npz.read(folder / "h.npz")
    assert found == header
    assert_same(read, arrays)


@given(st.data(), st.booleans())
def test_a_flipped_byte_or_a_missing_end_is_refused_or_harmless(folder, data, compress):
    arrays = {"a": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.arange(12, dtype=np.int32)}
    path = folder / "d.npz"
    headed_npz.write(path, arrays, {"k": 1}, compress)
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    try:
        header, found = headed_npz.read(path)
    except DamagedFile:
        return
    # Fields of the archive that nobody reads, such as its dates, may change; the contents may not.
    assert header == {"k": 1}
    assert_same(found, arrays)


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_no_shape_is_believed_that_the_file_cannot_hold(folder, rows, columns):
    header = io.BytesIO()
    shape = (rows, columns)
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(folder / "s.npz", "w") as archive:
        archive.writestr("a.npy", header.getvalue() + bytes(64))
    if rows * columns == 16:
        assert read_npz(folder / "s.npz")["a"].shape == shape
    else:
        with pytest.raises(DamagedFile, match=r"declares .* bytes of numbers and has 64"):
            read_npz(folder / "s.npz")


@given(st.integers(0, 2**34), st.integers(0, 2**34))
def test_a_deflated_file_unpacks_to_a_bounded_size(unpacked, size):
    if unpacked <= SMALL:
        check_unpacked(unpacked, size)
    elif unpacked > MAX_RATIO * size:
        with pytest.raises(DamagedFile, match="may unpack to"):
            check_unpacked(unpacked, size)


def test_python_objects_are_never_written(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle=False"):
        write_npz(tmp_path / "a.npz", {"a": np.array([{}], object)})
    assert not list(tmp_path.iterdir())


def test_two_arrays_that_changed_places_are_noticed(tmp_path):
    arrays = {"a": np.zeros(3, np.float32), "b": np.ones(3, np.float32)}
    headed_npz.write(tmp_path / "a.npz", arrays, {})
    stored = read_npz(tmp_path / "a.npz")
    write_npz(tmp_path / "a.npz", stored | {"a": stored["b"], "b": stored["a"]})
    with pytest.raises(DamagedFile, match="is not the one that was written under this name"):
        headed_npz.read(tmp_path / "a.npz")


@pytest.mark.parametrize("kind", ["<U0", "|S0", "|V0"])
def test_numbers_without_bytes_take_no_memory(tmp_path, kind):
    npy = io.BytesIO()
    np.lib.format.write_array_header_1_0(npy, {"descr": kind, "fortran_order": False, "shape": (10**15,)})
    (tmp_path / "a.npy").write_bytes(npy.getvalue())
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", npy.getvalue())
    for read in (lambda: read_npy(tmp_path / "a.npy"), lambda: read_npz(tmp_path / "a.npz")):
        with pytest.raises(DamagedFile, match="0 bytes each"):
            read()
