"""Test mode in several processes: the same files, killed processes named, light on one or two photos."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from configs import schema
from lib.errors import UserError
from lib.runtime.interruption import Interrupted
from model.reconstruction import folder
from model.reconstruction.result_folder import PhotoEntry, PhotoOutcome
from model.report.page import Card

# Not from tests.support, which imports TensorFlow: the processes import this module.
ROOT = Path(__file__).resolve().parents[3]
METRICS = ("psnr_coarse", "psnr_fine", "coverage", "five_point_residual_px", "five_point_residual_px_max")


class Stub:
    """In the worker's place: the first photo is slow, the others end in what their names say."""

    def __init__(self, config, output):
        self.output = output

    def __call__(self, job):
        if job.number == 0:
            time.sleep(0.5)
        name = job.path.stem
        if name.startswith("kill"):
            (self.output / job.folder / "mesh.obj").write_text("half-wri")
            os.kill(os.getpid(), signal.SIGKILL)
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
