"""One run at a time in a folder: the second is told who holds it, and a dead holder's lock is taken over."""

import errno
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lib.errors import UserError
from lib.files import locks
from lib.files.folders import UnwritableFolder
from lib.files.locks import LOCK_FILE, check_unlocked, sole_user
from tests.support.damage import files_of_at_most
from tests.support.helpers import ROOT

HOLDER = """
import sys, time
from pathlib import Path
from lib.files.locks import sole_user
with sole_user(Path(sys.argv[1]), "training"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_told_who_holds_the_folder_and_takes_over_from_the_dead(tmp_path):
    folder = tmp_path / "new" / "run"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        wanted = rf"got training by process {holder.pid} on {os.uname().nodename} "
        with pytest.raises(UserError, match=wanted), sole_user(folder, "training"):
            pytest.fail("it must not be entered")
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    assert (folder / LOCK_FILE).exists()
    with sole_user(folder, "a test"):
        assert json.loads((folder / LOCK_FILE).read_text())["pid"] == os.getpid()
    assert not list(folder.iterdir())


@pytest.fixture
def shared_folder():
    """A folder that everybody may write to, in one that everybody may enter."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        folder = Path(place, "shared")
        folder.mkdir()
        os.chmod(folder, 0o777)
        yield folder


as_another_user = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root becomes another user"
)


def as_nobody(work):
    os.seteuid(65534)
    try:
        return work()
    finally:
        os.seteuid(0)


def enter(folder):
    with sole_user(folder, "a test"):
        return (folder / LOCK_FILE).stat().st_uid


@as_another_user
def test_another_users_run_is_named_and_its_lock_taken_over_when_it_is_dead(shared_folder):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(shared_folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=rf"one run at a time, got training by process {holder.pid} "):
            as_nobody(lambda: enter(shared_folder))
        with pytest.raises(UserError, match=rf"one run at a time, got training by process {holder.pid} "):
            as_nobody(lambda: check_unlocked([shared_folder / LOCK_FILE], shared_folder))
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    as_nobody(lambda: check_unlocked([shared_folder / LOCK_FILE], shared_folder))
    assert as_nobody(lambda: enter(shared_folder)) == 65534
    assert not list(shared_folder.iterdir())


@as_another_user
def test_a_dead_lock_that_another_user_may_not_delete_is_named(shared_folder):
    (shared_folder / LOCK_FILE).touch(0o644)
    os.chmod(shared_folder, 0o1777)
    with pytest.raises(UserError, match=r"\.lock: must be deleted, got: .*another user's dead run"):
        as_nobody(lambda: enter(shared_folder))


@as_another_user
def test_a_folder_that_may_not_be_written_is_named_not_the_dead_lock_in_it(shared_folder):
    (shared_folder / LOCK_FILE).touch(0o644)
    os.chmod(shared_folder, 0o755)
    with pytest.raises(UnwritableFolder, match="must be a folder that can be written, got: Permission denied"):
        as_nobody(lambda: enter(shared_folder))


@pytest.mark.skipif(sys.platform != "linux", reason="mounts")
def test_a_dead_lock_on_a_read_only_file_system_is_no_obstacle_to_saying_so(tmp_path):
    (tmp_path / LOCK_FILE).touch()
    mounted = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,ro {tmp_path} && "
    if subprocess.run(["unshare", "-m", "sh", "-c", f"{mounted} true"], capture_output=True, check=False).returncode:
        pytest.skip("only the administrator mounts")
    held = shlex.join([sys.executable, "-c", HOLDER, str(tmp_path)])
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", mounted + held], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert "UnwritableFolder" in done.stderr.splitlines()[-1]
    assert "must be a folder that can be written, got: Read-only file system" in done.stderr.splitlines()[-1]


def test_a_folder_that_received_nothing_does_not_stay(tmp_path):
    with sole_user(tmp_path / "new", "a test"):
        pass
    with sole_user(tmp_path / "used", "a test"):
        (tmp_path / "used" / "file").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["used"]


def test_a_folder_that_its_last_user_removes_meanwhile_is_made_again(tmp_path, monkeypatch):
    folder, opened, entered = tmp_path / "run", os.open, []

    def removed_first(path, *arguments):
        if not entered:
            entered.append(path)
            folder.rmdir()
        return opened(path, *arguments)

    monkeypatch.setattr(os, "open", removed_first)
    with sole_user(folder, "a test"):
        assert (folder / LOCK_FILE).exists()


@pytest.mark.parametrize("target", ["missing/file", "missing", "victim"])
def test_a_link_in_place_of_the_lock_file_is_an_error(tmp_path, target):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / LOCK_FILE).symlink_to(tmp_path / target)
    with pytest.raises(UserError, match=r"\.lock: must be a file, got a link"), sole_user(tmp_path, "a test"):
        pytest.fail("it must not be entered")
    assert (tmp_path / "victim").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == [LOCK_FILE, "victim"]


def test_a_file_system_without_locks_is_reported_once(tmp_path, monkeypatch, capsys):
    def refused(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    locks._report_no_locks.cache_clear()
    monkeypatch.setattr(locks.fcntl, "flock", refused)
    for number in range(3):
        with sole_user(tmp_path / str(number), "a test"):
            pass
    assert capsys.readouterr().err.splitlines() == [
        "this file system has no locks (No locks available): run one command at a time here"
    ]


def test_a_full_disk_does_not_keep_a_run_from_its_lock(tmp_path):
    folder = tmp_path / "new" / "run"
    with files_of_at_most(0), sole_user(folder, "a test"):
        assert (folder / LOCK_FILE).exists()
    assert not list(tmp_path.iterdir())


def test_the_lock_ends_with_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), sole_user(tmp_path, "a test"):
        raise ZeroDivisionError
    with sole_user(tmp_path, "a test"):
        pass


@pytest.mark.parametrize("content", [b"", bytes(70), b'{"pi', b'{"pid": 1, "host": "a", "fo'])
def test_a_lock_file_torn_by_a_power_failure_is_no_obstacle(tmp_path, content):
    (tmp_path / LOCK_FILE).write_bytes(content)
    with sole_user(tmp_path, "a test"):
        assert json.loads((tmp_path / LOCK_FILE).read_bytes())["pid"] == os.getpid()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"state", b'{"pid": 1}' + bytes(5000), b'{"name": "x"}', bytes(1 << 20)])
def test_another_programs_file_of_this_name_stays(tmp_path, content):
    (tmp_path / LOCK_FILE).write_bytes(content)
    with pytest.raises(UserError, match="must be a lock file of this program"), sole_user(tmp_path, "a test"):
        pytest.fail("it must not be entered")
    assert (tmp_path / LOCK_FILE).read_bytes() == content


def test_other_folders_are_free(tmp_path):
    with sole_user(tmp_path / "a", "a test"), sole_user(tmp_path / "b", "a test"):
        pass


@pytest.mark.parametrize("name", ["file", "file/below", "link"])
def test_a_file_in_the_place_of_the_folder_is_named_and_stays(tmp_path, name):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    place = tmp_path / name.partition("/")[0]
    wanted = rf"{place}: must be a folder, got a file or a broken link \(choose another"
    with pytest.raises(UserError, match=wanted), sole_user(tmp_path / name, "a test"):
        pass
    assert (tmp_path / "file").read_text() == "mine"
