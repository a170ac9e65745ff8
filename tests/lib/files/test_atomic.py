"""Atomic files: at every moment the earlier content or the new one, never a part of either."""

import contextlib
import errno
import os
import shutil
import stat
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.errors import DiskFull, UserError
from lib.files import atomic, headed_npz, locks
from lib.files.atomic import atomic_path
from tests.support.helpers import ROOT

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


def test_the_umask_of_the_other_threads_is_left_alone(tmp_path, monkeypatch):
    before = os.umask(0o027)
    try:
        with monkeypatch.context() as patched, atomic_path(tmp_path / "a"):
            patched.setattr(os, "umask", lambda _: pytest.fail("two threads at a time would exchange their values"))
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "a").st_mode) == 0o640


WRITER = """
import os, signal, sys
from lib.files.atomic import atomic_path
with atomic_path(sys.argv[1]) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_temporary_files_of_killed_runs_go_and_those_in_use_stay(tmp_path):
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path / "killed.json")], cwd=ROOT, check=False)
    (leftover,) = tmp_path.iterdir()
    assert leftover.name.startswith(".killed-unfinished-")
    users = tmp_path / ".mine-unfinished"
    users.mkdir()
    atomic._remove_leftovers.cache_clear()
    with atomic_path(tmp_path / "in use.json") as temporary:
        assert not leftover.exists()
        atomic._remove_leftovers.cache_clear()  # as in another process
        with atomic_path(tmp_path / "other.json"):
            pass
        temporary.write_text("whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mine-unfinished", "in use.json", "other.json"]
    assert (tmp_path / "in use.json").read_text() == "whole"


def test_without_locks_the_temporary_files_of_other_processes_stay(tmp_path, monkeypatch):
    """Of those in use and of those left over, nobody can tell which is which."""

    def refused(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(locks.fcntl, "flock", refused)
    with atomic_path(tmp_path / "in use.json") as temporary:
        temporary.write_text("whole")
        atomic._remove_leftovers.cache_clear()  # as in another process
        with atomic_path(tmp_path / "other.json"):
            pass
    assert (tmp_path / "in use.json").read_text() == "whole"


@pytest.mark.parametrize(
    "name", ["x" * 250 + ".json", "é" * 125, "é" * 100 + "." + "ü" * 27, "a" + "漢" * 40 + ".b" + "é" * 60]
)
def test_names_may_be_as_long_as_the_file_system_allows(tmp_path, name):
    with atomic_path(tmp_path / name) as temporary:
        temporary.name.encode()  # whole characters: macOS and Windows refuse others
        temporary.write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_only_regular_files_are_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/null")
    for name, kind in (("pipe", "a pipe"), ("folder", "a folder"), ("device", "a device")):
        wanted = f"must be a regular file to be replaced, got .*{kind}"
        with pytest.raises(UserError, match=wanted), atomic_path(tmp_path / name):
            pytest.fail("it must not be written")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["device", "folder", "pipe"]


@pytest.mark.parametrize("target", ["disk/new/stored.bin", "link.bin"])
def test_a_link_to_a_file_that_is_yet_to_be_made_is_followed_and_a_circle_replaced(tmp_path, target):
    link = tmp_path / "link.bin"
    link.symlink_to(tmp_path / target)
    with atomic_path(link, follow=True) as temporary:
        temporary.write_text("new")
    assert link.is_symlink() == (target != "link.bin")
    assert (tmp_path / target).read_text() == "new"


@pytest.mark.parametrize("follow", [False, True])
def test_a_link_is_replaced_unless_the_user_has_named_it(tmp_path, follow):
    """The file behind it may be another run's; its name need not have the suffix by which writers choose a format."""
    (tmp_path / "shared").mkdir()
    stored, link = tmp_path / "shared" / "stored", tmp_path / "link.json"
    stored.write_text("old")
    link.symlink_to("shared/stored")
    with atomic_path(link, follow=follow) as temporary:
        assert (temporary.parent, temporary.suffix) == (stored.parent if follow else tmp_path, ".json")
        temporary.write_text("new")
    assert link.is_symlink() == follow
    assert link.read_text() == "new"
    assert stored.read_text() == ("new" if follow else "old")
    assert list(stored.parent.iterdir()) == [stored]


@pytest.mark.parametrize("folder", ["file", "file/below", "link"])
def test_a_file_in_the_place_of_the_folder_is_named(tmp_path, folder):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    wanted = rf"{tmp_path / folder.partition('/')[0]}: must be a folder, got a file or a broken link \(choose another"
    with pytest.raises(UserError, match=wanted), atomic_path(tmp_path / folder / "a.json"):
        pytest.fail("it must not be written")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_durable_file_and_its_folder_are_synchronised(tmp_path, monkeypatch):
    synchronised, fsync = [], os.fsync

    def note(handle):
        if stat.S_ISREG(os.fstat(handle).st_mode):
            os.write(handle, b"")  # Windows refuses what is open for reading alone
        synchronised.append(stat.S_IFMT(os.fstat(handle).st_mode))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", note)
    with atomic_path(tmp_path / "a"):
        pass
    assert synchronised == []
    headed_npz.write(tmp_path / "checkpoint.npz", {}, {})
    assert synchronised == [stat.S_IFREG, stat.S_IFDIR]
