"""Nothing in the program depends on Linux: Windows' locks, console encodings, names, modules and encodings of text."""

import ast
import fcntl
import functools
import importlib.util
import io
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from configs import flags
from lib.errors import UserError
from lib.face_image.photo_io import result_names
from lib.files import file_names, locks
from tests.support.helpers import ROOT

SOURCES = [
    *ROOT.glob("*.py"),
    *(path for folder in ("lib", "model", "configs", "examples") for path in sorted((ROOT / folder).rglob("*.py"))),
]
UNIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}

CONCERNED = re.compile(rf"open\(|_text\(|^ *(import|from) ({'|'.join(sorted(UNIX_ONLY))})\b", re.MULTILINE)


def locking(descriptor: int, mode: int, count: int) -> None:
    """Windows' `msvcrt.locking`, as far as the program uses it."""
    assert (mode, count) == (2, 1)
    assert os.lseek(descriptor, 0, os.SEEK_CUR) > 1 << 20, "the contents must stay readable for other processes"
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise PermissionError(*error.args) from error


@pytest.fixture
def windows(monkeypatch):
    """The locks as Windows imports them, where open files cannot be deleted."""
    unlink = Path.unlink

    def unlink_closed(path: Path, missing_ok: bool = False) -> None:
        with os.scandir("/proc/self/fd") as entries:
            opened = {os.readlink(entry.path) for entry in entries if os.path.lexists(entry.path)}
        if str(path) in opened:
            raise PermissionError(13, "the process cannot access the file", str(path))
        unlink(path, missing_ok)

    spec = importlib.util.spec_from_file_location("locks_on_windows", locks.__file__)
    module = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "win32")
        patch.setitem(sys.modules, "fcntl", None)
        patch.setitem(sys.modules, "msvcrt", SimpleNamespace(locking=locking, LK_NBLCK=2))
        patch.setattr(Path, "unlink", unlink_closed)
        spec.loader.exec_module(module)
        yield module


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc, to know which files are open")
def test_locks_on_windows(windows, tmp_path):
    folder = tmp_path / "run"
    with windows.sole_user(folder, "training"):
        refused = pytest.raises(UserError, match=f"got training by process {os.getpid()} ")
        with refused, windows.sole_user(folder, "a test"):
            pytest.fail("it must not be entered")
        (folder / "result").touch()
    assert [path.name for path in folder.iterdir()] == ["result"]
    with windows.sole_user(folder, "a test"):
        pass


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc, to know which files are open")
def test_waiting_for_a_lock_on_windows(windows, tmp_path, monkeypatch):
    path = tmp_path / "file"
    first, second = (os.open(path, os.O_RDWR | os.O_CREAT) for _ in range(2))
    assert windows.lock(first, wait=True)
    assert not windows.lock(second, wait=False)
    monkeypatch.setattr(windows.time, "sleep", lambda _: os.close(first))
    assert windows.lock(second, wait=True)
    assert os.lseek(second, 0, os.SEEK_CUR) == 0
    os.close(second)


def test_a_console_without_the_letters_of_a_name(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="cp1252", newline="\n"))
    assert flags.run(lambda: print("写真.jpg, é"), "") == 0
    sys.stdout.flush()
    assert written.getvalue() == rb"\u5199\u771f.jpg, " + "é\n".encode("cp1252")


def test_result_folders_are_possible_on_every_system():
    wanted = {"A.jpg": "A_jpg", "a.png": "a_png", "aux.jpg": "aux_jpg", "Con.tar.png": "Con_tar_png"}
    wanted |= {"2021-05-01 12:30:05.png": "2021-05-01 12_30_05_png", "why?.jpg": "why__jpg", "com².jpg": "com²_jpg"}
    wanted |= {"lpt1.jpg": "lpt1_jpg", "dot..jpg": "dot__jpg", "end .jpg": "end _jpg", "auxiliary.jpg": "auxiliary"}
    found = result_names([Path("in", name) for name in wanted], Path("in"))
    assert {path.name: name for path, name in found.items()} == wanted
    assert all(file_names.is_portable(name) for name in wanted.values())


def test_text_files_name_their_encoding():
    """Windows' own default is not UTF-8."""
    wrong = []
    for path, node in nodes(ast.Call):
        if any(keyword.arg == "encoding" for keyword in node.keywords):
            continue
        values = [*node.args[1:], *(keyword.value for keyword in node.keywords)]
        binary = any(isinstance(value, ast.Constant) and "b" in str(value.value) for value in values)
        opened = isinstance(node.func, ast.Name) and node.func.id == "open" and not binary
        if opened or getattr(node.func, "attr", "") in ("read_text", "write_text"):
            wrong.append(f"{path}:{node.lineno}")
    assert wrong == []


def test_modules_of_unix_alone_are_imported_where_windows_has_another():
    found = {path for path, node in nodes(ast.Import) if UNIX_ONLY & {alias.name for alias in node.names}}
    found |= {path for path, node in nodes(ast.ImportFrom) if node.module in UNIX_ONLY}
    assert found == {"lib/files/locks.py", "lib/runtime/resources.py"}


def nodes(kind: type[ast.AST]) -> list[tuple[str, ast.AST]]:
    """All nodes of a kind in the program, with their files."""
    return [(path, node) for path, node in parsed() if isinstance(node, kind)]


@functools.cache
def parsed() -> list[tuple[str, ast.AST]]:
    found = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        if CONCERNED.search(text):  # parsing all files takes seconds
            name = path.relative_to(ROOT).as_posix()
            found += [(name, node) for node in ast.walk(ast.parse(text)) if hasattr(node, "lineno")]
    return found


@pytest.mark.parametrize(
    ("system", "machine", "wanted"),
    [("linux", "x86_64", True), ("linux", "aarch64", False), ("darwin", "arm64", True), ("win32", "AMD64", True)],
)
def test_the_development_requirements_can_be_installed_where_a_wheel_is_missing(system, machine, wanted):
    lines = (ROOT / "requirements-dev.txt").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("usd-core"))
    marker = Requirement(line).marker
    place = {"sys_platform": system, "platform_machine": machine}
    assert (marker is None or marker.evaluate(place)) == wanted
