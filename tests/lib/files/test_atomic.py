"""Atomic files: at every moment the earlier content or the new one, never a part of either."""

import contextlib
import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import DiskFull
from lib.files.atomic import atomic_path

# The chunks of a file, and what happens to its writer after them: an error, a full disk, an interruption or nothing.
FAILURES = st.sampled_from([None, ValueError("bug"), OSError(28, "No space left on device"), KeyboardInterrupt()])
WRITES = st.lists(st.tuples(st.lists(st.binary(max_size=20), max_size=4), FAILURES), max_size=6)


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    return tmp_path_factory.mktemp("atomic")


@given(WRITES, st.sampled_from(["a.json", "no suffix", ".hidden.npz", "é" * 20]))
def test_the_last_write_that_ended_is_what_stands_there(parent, writes, name):
    path = parent / "new" / name
    shutil.rmtree(path.parent, ignore_errors=True)
    last = None
    for chunks, failure in writes:
        wanted = DiskFull if isinstance(failure, OSError) else type(failure)
        with contextlib.nullcontext() if failure is None else pytest.raises(wanted), atomic_path(path) as temporary:
            assert temporary.suffix == path.suffix
            with open(temporary, "wb") as stream:
                for chunk in chunks:
                    stream.write(chunk)
                    stream.flush()
                    assert (path.read_bytes() if path.exists() else None) == last
                if failure is not None:
                    raise failure
        if failure is None:
            last = b"".join(chunks)
        assert (path.read_bytes() if path.exists() else None) == last
        assert [p.name for p in path.parent.iterdir() if p != path] == [], "no temporary file is left"


def test_the_file_gets_the_rights_of_any_other(tmp_path):
    with atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("x")
    (tmp_path / "b").write_text("x")
    assert os.stat(tmp_path / "a").st_mode == os.stat(tmp_path / "b").st_mode
