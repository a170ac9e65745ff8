"""Shards that are killed, repeated or left out: nothing half-done counts, and nothing done is done again."""

import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from configs import schema
from lib.errors import UserError
from lib.files.json_files import write_json
from lib.files.shards import FOLDER, Shard
from lib.runtime.interruption import Interrupted
from model.reconstruction import folder
from model.reconstruction.result_folder import PhotoEntry, PhotoOutcome
from model.reconstruction.shards import run
from model.reconstruction.shards.records import PhotoRecord
from model.report.page import Card

METRICS = ("psnr_coarse", "psnr_fine", "coverage", "five_point_residual_px", "five_point_residual_px_max")


class Stub:
    """In the worker's place: writes a file for each photo, whose name says what it ends in."""

    def __init__(self, config, output):
        self.output = output

    def __call__(self, job):
        with open(self.output.parent / "done.txt", "a") as stream:
            stream.write(f"{job.folder}\n")
        if job.folder.startswith("kill") and not (self.output.parent / "enough memory").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        if Image.open(job.path).width == 1:
            return PhotoOutcome({"mesh": {}, "camera": {}}, failed=[(None, "no face found")])
        metrics = dict.fromkeys(METRICS, float(job.number)) | {"seconds": 0.5}
        metrics["psnr_fine"] = float("inf")
        write_json(self.output / job.folder / "metrics.json", {"at": time.monotonic_ns()})
        row = [(job.shown, np.full((8, 8, 3), job.number, np.uint8))] * 2 if job.row else None
        card = Card(job.shown, f"<article data-name={job.shown}>é\udcff", metrics)
        return PhotoOutcome({"mesh": {}, "camera": {}}, [(None, PhotoEntry(job.shown, metrics, card, row, "turned"))])


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A folder of photos, and the commands on it; `done` names what was reconstructed since it was last asked."""
    monkeypatch.setattr(folder, "make_worker", Stub)
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()

    def done() -> list[str]:
        path = tmp_path / "done.txt"
        lines = path.read_text().split() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def add(names, width=8):
        for name in names:
            Image.new("RGB", (width, 8)).save(source / f"{name}.png")

    def config(workers, **options):
        return schema.load(overrides={"data.workers": workers} | options)

    return SimpleNamespace(
        source=source,
        output=output,
        add=add,
        done=done,
        shard=lambda index, count, workers=1, **o: run.reconstruct_shard(
            config(workers, **o), source, output, Shard(index, count)
        ),
        merge=lambda **options: run.merge_shards(config(1, **options), source, output),
        whole=lambda: folder.reconstruct_folder(config(1), source, tmp_path / "whole"),
    )


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_an_interrupted_shard_goes_on_where_it_stopped(work, monkeypatch):
    work.add("abcd")
    add = run.ShardResults.add

    def interrupted(self, record):
        add(self, record)
        raise KeyboardInterrupt

    for number, photo in enumerate("ab"):
        with monkeypatch.context() as patch:
            patch.setattr(run.ShardResults, "add", interrupted)
            with pytest.raises(Interrupted) as caught:
                work.shard(0, 1)
        assert caught.value.advice == f"{number} of 4 photos of the shard are done; the same command does the others"
        assert names(work.output / FOLDER) == {"00000-of-00001.progress.jsonl"}, "it must not look finished"
        with pytest.raises(UserError, match=r"must hold finished shards to merge, got none \(run .* --shard 0/N"):
            work.merge()
        with open(work.output / FOLDER / "00000-of-00001.progress.jsonl", "ab") as stream:
            stream.write(b'{"folder": "c", "key"')  # the line of a killed process
        assert work.done() == [photo]
    work.shard(0, 1)
    assert work.done() == ["c", "d"]
    assert names(work.output / FOLDER) == {"00000-of-00001.results.jsonl"}
    assert work.merge() == {}


def test_a_repeated_shard_does_only_what_has_changed(work):
    work.add("abcd")
    work.shard(1, 2)
    work.done()
    finished = work.output / FOLDER / "00001-of-00002.results.jsonl"
    before = finished.read_bytes()
    work.shard(1, 2)
    assert (work.done(), finished.read_bytes()) == ([], before)
    (work.output / "c" / "metrics.json").unlink()
    work.shard(1, 2)
    assert work.done() == ["c"]
    work.add("d", width=9)
    work.shard(1, 2)
    assert work.done() == ["d"]
    work.shard(1, 2, **{"fit.steps": 0})
    assert work.done() == ["c", "d"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_another_face_model_in_the_same_place_makes_other_results(work, tmp_path, kind):
    work.add("ab")
    model = tmp_path / "mine.npz" if kind == "file" else tmp_path / "mine" / "template.obj"
    model.parent.mkdir(exist_ok=True)
    own = {"face_model.source": str(model if kind == "file" else model.parent)}
    for content, expected in (("one", ["a", "b"]), ("one", []), ("another", ["a", "b"])):
        model.write_text(content)
        work.shard(0, 1, **own)
        assert work.done() == expected


def test_only_files_that_the_loader_reads_tell_face_models_apart(work, tmp_path):
    """Copies of the folder on other machines may have notes of their own, or a file manager's or git's files."""
    work.add("a")
    model = tmp_path / "mine"
    read = ["template.obj", "landmarks.txt", "expressions/smile.obj", "identity/wide.obj"]
    others = ["notes.txt", ".git/config", ".obj", "Thumbs.db", "scans/raw.obj", "expressions/a.md"]
    for name in (*read, *others):
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text(name)
        work.shard(0, 1, **{"face_model.source": str(model)})
        assert work.done() == (["a"] if name in read else []), name


def test_a_shard_that_begins_again_does_not_look_finished(work, monkeypatch):
    work.add("ab")
    work.shard(0, 1)

    class Killed(Stub):
        def __call__(self, job):
            assert names(self.output / FOLDER) == {"00000-of-00001.progress.jsonl", "00000-of-00001.photos-in-hand"}
            raise UserError("stopped here")

    monkeypatch.setattr(folder, "make_worker", Killed)
    with pytest.raises(UserError, match="stopped here"):
        work.shard(0, 1, **{"fit.steps": 0})
    with pytest.raises(UserError, match="got none"):
        work.merge()
    work.done()
    work.shard(0, 1)
    assert work.done() == [], "what it had done with the first options is still there"
    assert work.merge() == {}


def test_what_is_missing_or_differs_is_named_and_nothing_is_written(work):
    work.add("abcdef")
    for index in (0, 2):
        work.shard(index, 3)
    with pytest.raises(UserError, match=r"must hold all 3 shards, got 2; missing: 1 \(run .* --shard 1/3\)"):
        work.merge()
    work.shard(1, 3, **{"fit.steps": 0})
    with pytest.raises(UserError, match=r"00001-of-00003.* made like .*00000-of-00003.*another options or weights"):
        work.merge()
    work.shard(1, 3)
    with pytest.raises(UserError, match="made by the command that merges them, got another options or weights"):
        work.merge(**{"fit.steps": 0})
    write_json(work.output / "d" / "metrics.json", {"at": "another run"})
    with pytest.raises(UserError, match=r"d\.png: must be as its shard left it, .*--shard 1/3 again"):
        work.merge()
    work.shard(1, 3)
    work.add("f", width=9)
    with pytest.raises(UserError, match=r"f\.png: must be as its shard left it, .*--shard 2/3 again"):
        work.merge()
    work.shard(2, 3)
    work.add("g")
    with pytest.raises(UserError, match="another list of photos"):
        work.merge()
    (work.source / "g.png").unlink()
    path = work.output / FOLDER / "00001-of-00003.results.jsonl"
    content = path.read_bytes()
    for damaged in (content[:-40], content.replace(b"turned", b"burned"), b"", content.split(b"\n", 2)[0] + b"\n"):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"00001-of-00003|--shard 1/3"):
            work.merge()
    assert names(work.output) == {FOLDER, *"abcdef"}
    path.write_bytes(content)
    assert work.merge() == {}
    work.shard(0, 2)
    with pytest.raises(UserError, match="must hold the shards of one division, got some of 2 and of 3"):
        work.merge()


def test_more_shards_than_photos_are_refused(work):
    work.add("ab")
    with pytest.raises(UserError, match=r"N at most the number of photos, 2, got 0/3 \(choose fewer parts\)"):
        work.shard(0, 3)
    assert not work.output.exists()


def test_a_lost_process_costs_a_photo_until_the_shard_is_repeated(work, tmp_path):
    work.add([*"abcdefg", "kill"])
    work.shard(0, 1, workers=2)
    assert sorted(work.done()) == [*"abcdefg", "kill"]
    assert list(work.merge()) == ["kill.png"]
    (tmp_path / "enough memory").touch()
    work.shard(0, 1)
    assert work.done() == ["kill"]
    assert work.merge() == {}


def test_all_photos_of_a_shard_may_fail_but_not_all_of_the_folder(work):
    work.add("ab", width=1)
    work.add("c")
    work.shard(0, 3)
    work.shard(1, 3)
    work.shard(2, 3)
    assert list(work.merge()) == ["a.png", "b.png"]
    work.add("c", width=1)
    work.shard(2, 3)
    with pytest.raises(UserError, match=r"at least one photo must show a face, got none of 3"):
        work.merge()


@pytest.mark.parametrize("rows", [2, 3, 24])
def test_the_sheet_shows_the_first_faces_of_all(work, tmp_path, monkeypatch, rows):
    """Also after one of them fails that had a row, so that a photo without one moves up."""
    monkeypatch.setattr("model.reconstruction.result_folder.SHEET_ROWS", rows)
    monkeypatch.setattr("model.reconstruction.shards.run.SHEET_ROWS", rows)
    work.add("abcdef")
    work.add("b", width=1)
    for index in range(2):
        work.shard(index, 2)
    for failing in ("", "a", "c", "d"):
        if failing:
            work.add(failing, width=1)
            work.shard(0, 2)
            work.shard(1, 2)
        work.merge()
        work.whole()
        for name in ("sheet.png", "index.html", "summary.csv"):
            assert (work.output / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_record_keeps_everything():
    pictures = [("a", np.arange(192, dtype=np.uint8).reshape(8, 8, 3)), ("", np.zeros((8, 8, 3), np.uint8))]
    metrics = {"psnr_fine": float("-inf"), "coverage": 0.1 + 0.2}
    entries = [(0, PhotoEntry("é\udcff", metrics, Card("é\udcff", "<b>\u2028", metrics), pictures, "turned"))]
    record = PhotoRecord("a/b", "key", {}, PhotoOutcome(None, entries, [(1, "no face"), (None, "x")], lost=True))
    found = PhotoRecord.from_json(record.to_json())
    assert (found.outcome.failed, found.outcome.lost, found.rows) == (record.outcome.failed, True, 1)
    ((face, entry),) = found.outcome.entries
    assert (face, entry.name, entry.metrics, entry.remark) == (0, "é\udcff", metrics, "turned")
    assert entry.card == entries[0][1].card
    for (caption, picture), (wanted, expected) in zip(entry.row, pictures, strict=True):
        assert caption == wanted
        np.testing.assert_array_equal(picture, expected)
