"""Parts on Ray: tried again when lost, named when they stay lost; addresses without Ray end in one line."""

import importlib.util
import os
import platform
import socket
import threading
from pathlib import Path

import pytest

from lib.cluster.ray_parts import ATTEMPTS, MOST_PARTS, Job, _Run, check_paths
from lib.cluster.ray_session import check_installed, ray_session
from lib.errors import UserError
from lib.files.locks import sole_user
from lib.runtime.determinism import ONE_THREAD_NO_GPU
from tests.support.helpers import ROOT

PROGRAM = "tests.support.programs.failing_program"


@pytest.fixture(scope="module")
def ray():
    if importlib.util.find_spec("ray") is None:  # not imported here: Ray reads the environment when it is
        pytest.skip("needs requirements-cluster.txt")
    before = dict(os.environ)
    try:
        with ray_session("local", 2, {**ONE_THREAD_NO_GPU, "PYTHONPATH": str(ROOT)}) as module:
            yield module
    finally:
        os.environ.clear()
        os.environ.update(before)


def job(folder: Path, ending: str, count: int) -> Job:
    return Job(PROGRAM, [str(folder), ending], count, 1, [folder], ROOT)


def attempts(folder: Path) -> dict[str, int]:
    return {path.name: len(path.read_text().splitlines()) for path in folder.iterdir()}


def test_the_division_follows_from_the_photos_alone():
    counts = [Job("main", [], photos, 64, [], ROOT).count for photos in (1, 64, 65, 1000, 10**7)]
    assert counts == [1, 1, 2, 16, MOST_PARTS]


def test_a_killed_part_is_tried_again_in_a_process_of_one_thread(ray, tmp_path):
    _Run(ray, job(tmp_path, "once", 2)).finish_all()
    assert attempts(tmp_path) == {"0-2": 1, "1-2": 2}
    assert set((tmp_path / "1-2").read_text().splitlines()) == {f"1 -1 {os.getcwd()}"}


def test_a_part_that_always_dies_is_named_with_its_command(ray, tmp_path):
    with pytest.raises(UserError) as caught:
        _Run(ray, job(tmp_path, "always", 2)).finish_all()
    command = f"python {PROGRAM}.py {tmp_path} always --shard 1/2 (its process was killed"
    assert f"got 1 that failed {ATTEMPTS} times: {command}" in str(caught.value)
    assert attempts(tmp_path) == {"0-2": 1, "1-2": ATTEMPTS}


def test_a_part_that_its_lost_twin_still_holds_is_tried_again(ray, tmp_path):
    (tmp_path / "log").mkdir()
    _Run(ray, job(tmp_path / "log", "held", 2)).finish_all()
    assert attempts(tmp_path / "log") == {"0-2": 1, "1-2": 2}


def test_a_part_that_another_run_holds_is_tried_again_after_all_others(ray, tmp_path):
    (tmp_path / "log").mkdir()
    _Run(ray, job(tmp_path / "log", "later", 2)).finish_all()
    assert attempts(tmp_path / "log") == {"0-2": 1, "1-2": 2}


def test_a_part_that_a_living_run_holds_is_named_with_that_run(ray, tmp_path):
    (tmp_path / "log").mkdir()
    with sole_user(tmp_path / "locks", "another job"), pytest.raises(UserError) as caught:
        _Run(ray, job(tmp_path / "log", "held", 2)).finish_all()
    assert f"got another job by process {os.getpid()} on {platform.node()} (wait for it" in str(caught.value)
    assert str(caught.value).endswith("; repeat the command when the runs that hold them have ended")
    assert attempts(tmp_path / "log") == {"0-2": 1, "1-2": ATTEMPTS}


def test_a_refused_command_is_not_repeated(ray, tmp_path):
    with pytest.raises(UserError, match="shard 1/2: must be good, got bad"):
        _Run(ray, job(tmp_path, "refuses", 2)).finish_all()
    assert attempts(tmp_path)["1-2"] == 1


def test_a_full_disk_ends_the_run_instead_of_being_filled_again(ray, tmp_path):
    with pytest.raises(UserError, match=r"shard 1/2: no space left \(free space or choose another folder"):
        _Run(ray, job(tmp_path, "full", 2)).finish_all()
    assert attempts(tmp_path)["1-2"] == 1


def test_a_machine_that_lacks_a_folder_is_named(ray, tmp_path):
    check_paths(ray, [tmp_path])
    with pytest.raises(UserError, match=f"{tmp_path}/none: must be the same folder .*, got none on {platform.node()}"):
        check_paths(ray, [tmp_path, tmp_path / "none"])


def test_without_ray_the_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"got no ray \(pip install -r requirements-cluster.txt\)"):
        check_installed()


@pytest.mark.parametrize("address", ["nonsense", "host:port", "host:99999", "http://host:80", "ray://host"])
def test_an_address_of_another_form_is_refused(address, monkeypatch):
    monkeypatch.setattr("lib.cluster.ray_session.check_installed", lambda: None)
    with pytest.raises(UserError, match="must be local, auto, host:port"), ray_session(address, 1, {}):
        pass


def test_an_address_without_ray_is_refused_soon(monkeypatch):
    monkeypatch.setattr("lib.cluster.ray_session.check_installed", lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"

        def answer() -> None:
            with server.accept()[0] as connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(UserError, match="got an answer of another program"), ray_session(address, 1, {}):
            pass
    with pytest.raises(UserError, match="got Connection refused"), ray_session(address, 1, {}):
        pass
