"""Address, limits and the end of the server."""

import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import types
import urllib.request

import pytest
from PIL import Image

import main
from configs import flags, schema
from lib.errors import UserError
from model import serving

pytest.importorskip("uvicorn", reason="needs requirements-serve.txt")
pytestmark = pytest.mark.usefixtures("signals_are_heard")


def test_a_taken_port_and_a_strange_address_are_one_line():
    from model.serving.server import listen

    with socket.create_server(("127.0.0.1", 0)) as taken:
        section = schema.load(overrides={"serve.port": taken.getsockname()[1]}).serve
        with pytest.raises(UserError, match=r"must be a free address of this computer.*serve.port=0 takes any"):
            listen(section)
    with pytest.raises(UserError, match=r"must be a free address of this computer, got 192\.0\.2\.1"):
        listen(schema.load(overrides={"serve.host": "192.0.2.1"}).serve)


def test_an_address_that_others_reach_is_pointed_out():
    from model.serving.server import address, listen

    for host, warned in (("127.0.0.1", False), ("0.0.0.0", True)):
        with listen(schema.load(overrides={"serve.host": host, "serve.port": 0}).serve) as listening:
            assert ("nobody is asked for a password" in address(listening)) == warned


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(serving.importlib.util, "find_spec", lambda name: None if name == "uvicorn" else name)
    with pytest.raises(UserError, match=r"got no uvicorn \(pip install -r requirements-serve.txt\)"):
        main.main(["--mode", "serve"])


def test_so_many_connections_are_served_at_a_time(bench):
    from model.serving.server import PageServer

    assert PageServer(types.SimpleNamespace(app=lambda: bench.app), None).config.limit_concurrency == 100


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_told_to_stop_it_leaves_nothing(tmp_path, monkeypatch, capsys, number, code):
    """The program as users run it, apart from the networks."""
    from model.serving import server

    work = types.SimpleNamespace(shared=lambda: b"{}", warm_up=lambda enter: None)
    monkeypatch.setattr(server, "FaceReconstructor", types.SimpleNamespace(load=lambda config: None))
    monkeypatch.setattr(server, "PhotoWork", lambda reconstruct, keep: work)
    monkeypatch.setattr(main, "start_tensorflow", lambda seed: None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    seen, ended = [], []

    def visit():
        while not seen and not ended:
            try:
                seen.append(urllib.request.urlopen(f"http://127.0.0.1:{port}/").status)
            except OSError:
                time.sleep(0.02)
        seen.append(len(list(tmp_path.iterdir())))
        if not ended:
            os.kill(os.getpid(), number)

    visitor = threading.Thread(target=visit)
    visitor.start()
    ended.append(flags.run(lambda: main.main(["--mode", "serve", f"serve.port={port}"]), ""))
    visitor.join()
    assert ended == [code]
    assert seen == [200, 1]
    assert list(tmp_path.iterdir()) == []
    output = capsys.readouterr()
    assert output.out.endswith(f"open http://127.0.0.1:{port}/ (Ctrl-C stops the server)\n")
    assert output.err == "\ninterrupted; photos and results are removed\n"
    assert not [thread for thread in threading.enumerate() if thread.name == "reconstruction"]
    assert "uvicorn" in sys.modules


def stopped_at_work(work, tmp_path, monkeypatch, numbers=(signal.SIGINT,)):
    """Exit code of the program if it is told to stop while a photo is in work."""
    from model.serving import server

    work.shared, work.warm_up = lambda: b"{}", lambda enter: None
    monkeypatch.setattr(server, "FaceReconstructor", types.SimpleNamespace(load=lambda config: None))
    monkeypatch.setattr(server, "PhotoWork", lambda reconstruct, keep: work)
    monkeypatch.setattr(main, "start_tensorflow", lambda seed: None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}/photos"

    def visit():
        photo, identifier = (tmp_path / "a.png").read_bytes(), None
        while not ended:
            try:
                if identifier is None:
                    identifier = json.load(urllib.request.urlopen(address, photo))["id"]
                if json.load(urllib.request.urlopen(f"{address}/{identifier}"))["state"] == "working":
                    for number in numbers:
                        os.kill(os.getpid(), number)
                    return
            except OSError:
                pass
            time.sleep(0.02)

    ended = []
    visitor = threading.Thread(target=visit)
    visitor.start()
    ended.append(flags.run(lambda: main.main(["--mode", "serve", f"serve.port={address.split(':')[2][:-7]}"]), ""))
    visitor.join()
    return ended[0]


def test_a_second_order_to_stop_leaves_nothing_either(tmp_path, monkeypatch, capsys):
    """It comes while the first waits for a photo that is in work and writes."""
    from model.serving.photo_queue import Stopped

    def work(job, progress):
        try:
            while True:
                progress.enter("fitting")
                time.sleep(0.005)
        except Stopped:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
            job.results.mkdir()
            (job.results / "mesh.glb").touch()
            raise

    assert stopped_at_work(work, tmp_path, monkeypatch) == 130
    assert list((tmp_path / "temporary").iterdir()) == []
    assert capsys.readouterr().err.endswith("\ninterrupted; photos and results are removed\n")
    assert not [thread for thread in threading.enumerate() if thread.name == "reconstruction"]


def test_a_stage_that_does_not_end_is_left_after_a_second_order(tmp_path, monkeypatch, capsys):
    """Otherwise only SIGKILL would help, which leaves the visitors' photos behind."""
    from model.serving import server

    monkeypatch.setattr(server, "LEAVING_SECONDS", 0.1)
    hangs = threading.Event()

    def work(job, progress):
        progress.enter("fitting")
        hangs.wait(60)
        return {}

    assert stopped_at_work(work, tmp_path, monkeypatch, (signal.SIGINT, signal.SIGTERM)) == 130
    assert list((tmp_path / "temporary").iterdir()) == []
    told = "\nwaits at most 0.1 s for the stage of the photo in work\n\ninterrupted; photos and results are removed\n"
    assert capsys.readouterr().err == told
    hangs.set()
    for thread in [thread for thread in threading.enumerate() if thread.name == "reconstruction"]:
        thread.join()


def test_visitors_do_not_learn_where_results_are_kept(tmp_path):
    from model.serving.server import assets

    pages = [assets(schema.load(overrides={"serve.keep": keep}).serve, b"{}", False)[""] for keep in ("", "/home/anna")]
    assert [b"also stores the results" in page for page in pages] == [False, True]
    assert b"anna" not in pages[1]
