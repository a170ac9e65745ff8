"""Test mode in several processes: the same files, killed processes named, light on one or two photos."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import ClassVar

import pytest
from PIL import Image

from configs import schema
from lib.errors import UserError
from lib.runtime.interruption import Interrupted, signals_interrupt
from model.photos.in_hand import PhotosInHand
from model.reconstruction import folder
from model.reconstruction.result_folder import PhotoEntry, PhotoOutcome
from model.report.page import Card

# Not from tests.support, which imports TensorFlow: the processes import this module.
ROOT = Path(__file__).resolve().parents[3]
METRICS = ("psnr_coarse", "psnr_fine", "coverage", "five_point_residual_px", "five_point_residual_px_max")


class Stub:
    """In the worker's place: the first photo is slow, the others end in what their names say."""

    made: ClassVar[list[weakref.ref]] = []  # in this process

    def __init__(self, config, output):
        self.output = output
        self.made.append(weakref.ref(self))

    def __call__(self, job):
        if job.number == 0:
            time.sleep(0.5)
        name = job.path.stem
        if name.startswith("kill"):
            (self.output / job.folder).mkdir(exist_ok=True)
            (self.output / job.folder / "mesh.obj").write_text("half-wri")
            os.kill(os.getpid(), signal.SIGKILL)
        if name.startswith("stop"):
            os.kill(os.getpid(), signal.SIGTERM)
        if name.startswith("halt"):
            os.killpg(0, signal.SIGTERM)
            time.sleep(60)
        if name.startswith("full"):
            raise UserError("nothing can be written")
        if name.startswith("noface"):
            return PhotoOutcome({"mesh": {}, "camera": {}}, failed=[(None, "no face found")])
        metrics = dict.fromkeys(METRICS, float(job.number)) | {"seconds": 0.1}
        entry = PhotoEntry(job.shown, metrics, Card(job.shown, f"<article data-name={job.shown}>", metrics))
        return PhotoOutcome({"mesh": {}, "camera": {}}, [(None, entry)])


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "make_worker", Stub)

    def run(names, workers=2, **options):
        source = tmp_path / "in"
        source.mkdir()
        for name in names:
            Image.new("RGB", (8, 8)).save(source / f"{name}.png")
        config = schema.load(overrides={"data.workers": workers} | options)
        return folder.reconstruct_folder(config, source, tmp_path / "out"), tmp_path / "out"

    return run


def test_results_are_in_the_order_of_the_photos_and_a_killed_process_is_named(run, tmp_path):
    names = ["a", "b", "kill", "noface", *"pqrs"]
    (tmp_path / "out/kill").mkdir(parents=True)
    (tmp_path / "out/kill/coefficients.json").write_text('{"face_model": {}, "coefficients": {}}')
    failed, output = run(names)
    assert not any((output / "kill").iterdir())
    assert list(failed) == ["kill.png", "noface.png"]
    assert failed["kill.png"].startswith("the process that worked on it was killed")
    rows = (output / "summary.csv").read_text().splitlines()[1:]
    done = [f"{name}.png" for name in names if name not in ("kill", "noface")]
    assert [row.split(",")[0] for row in rows] == [*done, "kill.png", "noface.png"]
    text = (output / "index.html").read_text()
    places = [text.index(f"<article data-name={name}>") for name in done]
    assert places == sorted(places)


A_PROGRAM = """
import sys
from pathlib import Path
from configs import schema
from lib.runtime.interruption import signals_interrupt
from model.reconstruction import folder
from tests.model.reconstruction.test_worker_processes import Stub
if __name__ == "__main__":
    folder.make_worker = Stub
    config = schema.load(overrides={"data.workers": int(sys.argv[2])})
    with signals_interrupt():
        print(*folder.reconstruct_folder(config, Path(sys.argv[1], "in"), Path(sys.argv[1], "out")))
"""


def test_a_photo_that_ends_the_program_comes_last_in_the_next_run_and_in_a_process_of_its_own(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a", "kill", "z"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"in/{name}.png")
    command = [sys.executable, "-c", A_PROGRAM, str(tmp_path), "1"]

    def run():
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert run().returncode == -signal.SIGKILL
    for _ in range(2):  # nor does it ever end the program again
        done = run()
        assert done.stdout.splitlines()[-1] == "kill.png", done.stderr
        assert "kill.png: a process was killed at it in an earlier run; it comes last\n" in done.stderr
        assert len((tmp_path / "out/summary.csv").read_text().splitlines()) == 4
    (tmp_path / "in/kill.png").rename(tmp_path / "in/mended.png")
    assert run().returncode == 0
    assert not (tmp_path / "out" / folder.IN_HAND).exists(), "the photo of this name is gone"


@pytest.mark.parametrize("others", [[], ["a"]])
def test_photos_that_killed_processes_need_not_share_memory_with_networks_of_this_one(
    run, tmp_path, monkeypatch, others
):
    process = folder.run_in_processes
    left = []

    def counted(*given):
        left.append([made() for made in Stub.made if made() is not None])
        return process(*given)

    monkeypatch.setattr(folder, "run_in_processes", counted)
    monkeypatch.setattr(Stub, "made", [])
    monkeypatch.setattr(PhotosInHand, "has_killed", lambda self, name, photo: name == "kill")
    with contextlib.nullcontext() if others else pytest.raises(UserError):  # all photos failed
        run([*others, "kill"], workers=1)
    assert (len(Stub.made), left) == (len(others), [[]])


def test_an_order_to_stop_is_no_killing_photo(run, tmp_path):
    with signals_interrupt(), pytest.raises(Interrupted):
        run(["a", "stop", "z"], workers=1)
    assert not (tmp_path / "out" / folder.IN_HAND).exists()


def test_an_order_to_stop_all_processes_is_no_killing_photo(tmp_path):
    """As a scheduler sends it."""
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "halt", "z"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"in/{name}.png")
    command = [sys.executable, "-c", A_PROGRAM, str(tmp_path), "2"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60, start_new_session=True
    )
    assert "Interrupted" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out" / folder.IN_HAND).exists()


def test_a_photo_that_kills_one_of_several_processes_comes_last_too(run, tmp_path):
    run(["a", "kill", *"pqrs"])
    notes = PhotosInHand(tmp_path / "out" / folder.IN_HAND)
    assert notes.has_killed("kill", tmp_path / "in/kill.png")
    assert not notes.has_killed("a", tmp_path / "in/a.png")


def test_a_fault_that_is_not_a_photos_ends_the_run_with_what_is_finished(run, tmp_path):
    with pytest.raises(UserError, match="nothing can be written"):
        run([*"bcdefgh", "full"])
    assert len((tmp_path / "out" / "summary.csv").read_text().splitlines()) > 3


def test_an_interruption_reports_what_is_finished(run, tmp_path, monkeypatch):
    add = folder.ResultFolder.add_photo

    def interrupted(self, job, outcome):
        add(self, job, outcome)
        raise KeyboardInterrupt

    monkeypatch.setattr(folder.ResultFolder, "add_photo", interrupted)
    with pytest.raises(Interrupted, match="the results of 1 of 8 photos"):
        run([*"bcdefghi"])
    assert len((tmp_path / "out" / "summary.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("photos", "workers", "memory", "expected"),
    [
        (1, 8, 8, 1),
        (3, 8, 8, 1),
        (4, 8, 8, 2),
        (7, 8, 8, 3),
        (100, 8, 1, 8),  # an explicit number is kept, whatever the memory
        (100, 1, 8, 1),
        (100, 0, 3, 3),
        (0, 0, 8, 1),
    ],
)
def test_number_of_processes(monkeypatch, photos, workers, memory, expected):
    monkeypatch.setattr(folder, "affordable", lambda wanted, each: min(wanted, memory))
    config = schema.load(overrides={"data.workers": workers})
    monkeypatch.setattr(schema.Config, "workers", property(lambda self: self.data.workers or 16))
    assert folder.process_count(config, photos) == expected


def test_the_parent_does_not_import_tensorflow():
    """Three processes would then start on two cores, and the parent would take as much memory as TensorFlow."""
    modules = "main, model.reconstruction.folder, model.preparation.shards, model.reconstruction.shards.run"
    script = f"import sys, {modules}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(
    ("source", "model", "others"),
    [
        ("human-head", "human_head_face_1_0.npz", ["human_head_face_head_1_0.npz", "face_10000_0_0.npz"]),
        ("built-in", "face_10000_0_0.npz", ["face_mesh_0.npz", "human_head_face_1_0.npz"]),
        ("data/[gnm].h5", "[gnm]-0.npz", ["gnm-0.npz", "face_10000_0_0.npz", "graph_fit_0.npz", "encoded-0.npz"]),
    ],
)
def test_the_first_run_with_a_face_model_says_why_its_bar_stands_still(run, tmp_path, capsys, source, model, others):
    """Two processes, of which each would say so."""
    cache = tmp_path / "data" / "generated"
    options = {"data.root_dir": str(tmp_path), "face_model.source": source}
    first = f"first run: prepares the face model, which takes a minute or more, and keeps it in {cache}\n"
    for kept in ([], others, [model]):
        if kept:
            cache.mkdir(parents=True, exist_ok=True)
        for name in kept:
            (cache / name).touch()
        run("abcd", **options)
        assert capsys.readouterr().out.count(first) == (model not in kept)
        (tmp_path / "in").rename(tmp_path / f"before{len(kept)}")


def test_no_first_run_is_told_where_nothing_can_be_kept_or_nothing_is_made(run, tmp_path, monkeypatch, capsys):
    run("a", **{"data.root_dir": str(tmp_path), "face_model.source": "mine.npz"})
    (tmp_path / "in").rename(tmp_path / "before")
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)  # the administrator may write anywhere
    run("a", **{"data.root_dir": str(tmp_path)})
    assert "first run" not in capsys.readouterr().out
