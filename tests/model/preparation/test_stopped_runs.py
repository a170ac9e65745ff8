"""--mode prepare, stopped at each of its steps and run again: no crop is lost, left over or back by that."""

import itertools
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from configs import schema
from lib.face_image.quality import DELETED, KILLED
from lib.files.shards import Shard
from lib.runtime.interruption import Interrupted
from model.preparation import prepare as preparation
from model.preparation.report import crop_files
from model.preparation.shards import merge_shards, prepare_shard


class Stopped(BaseException):
    """What a killed process does not live to see."""


class Stub:
    """In the preparer's place: writes two crops, with one face a photo one, and fails at a face of those called group.

    In `killed` photos it ends as a process that is killed does: with crops, but without a record.
    """

    killed = ()

    def __init__(self, config):
        self.every = config.prepare.faces == "all"

    def __call__(self, job):
        names = [f"{job.crop.stem}{ending}.png" for ending in (("_0", "_1") if self.every else ("",))]
        for name in names:
            job.crop.with_name(name).write_bytes(b"crop")
        if job.photo in self.killed:
            return None
        retry = job.photo.startswith("group")
        left_out = [{"kind": "failed", "reason": "Permission denied"}] if retry else []
        crops = [{"file": name} for name in names]
        return {"photo": job.photo, "key": job.key, "crops": crops, "left_out": left_out, "remark": "", "retry": retry}


@pytest.fixture(autouse=True)
def stub(monkeypatch):
    monkeypatch.setattr(preparation, "make_preparer", Stub)
    monkeypatch.setattr(preparation, "write_sheets", lambda *_: 1)


@pytest.fixture
def stopped_at(monkeypatch):
    """Function that stops a function at one of its steps, and tells whether it came to that."""

    def stop(number, function, *arguments):
        passed = itertools.count()

        def step():
            if next(passed) == number:
                raise Stopped

        def stepping(function):
            def wrapped(*arguments, **options):
                step()
                result = function(*arguments, **options)
                step()
                return result

            return wrapped

        with monkeypatch.context() as patch:
            for owner, name in (
                (preparation, "write_journal"),
                (preparation, "journal_line"),
                (Path, "unlink"),
                (Stub, "__call__"),
            ):
                patch.setattr(owner, name, stepping(getattr(owner, name)))
            try:
                function(*arguments)
            except Stopped:
                return True
        return False

    return stop


def settings(faces):
    return schema.load(overrides={"data.workers": 1, "prepare.faces": faces})


def whole(folder, faces="all"):
    preparation.prepare_folder(settings(faces), folder / "in", folder / "out")


def sharded(folder, faces="all"):
    for index in range(2):
        prepare_shard(settings(faces), folder / "in", folder / "out", Shard(index, 2))
    merge_shards(settings(faces), folder / "in", folder / "out")


@pytest.fixture
def begin(tmp_path):
    """Function that restores what an earlier run left, after which a crop was deleted by hand and a photo is gone."""
    saved, folder = tmp_path / "saved", tmp_path / "folder"

    def restore():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(saved, folder)
        return folder

    (folder / "in").mkdir(parents=True)
    for name in ("gone", "group"):
        Image.new("RGB", (8, 8)).save(folder / f"in/{name}.png")
    sharded(folder)
    shutil.rmtree(folder / "out/.shards")
    (folder / "in/gone.png").unlink()
    (folder / "out/crops/group_0.png").unlink()
    folder.rename(saved)
    return restore


def found(folder):
    """The crops that are there, and what was left out of each photo."""
    records = json.loads((folder / "out/prepared.json").read_text())["records"]
    left_out = {record["photo"]: [entry["kind"] for entry in record["left_out"]] for record in records}
    return sorted(path.name for path in (folder / "out/crops").iterdir()), left_out


@pytest.mark.parametrize("run", [whole, sharded])
@pytest.mark.parametrize(
    ("faces", "crops", "left_out"),
    [("all", ["group_1.png"], ["failed", DELETED]), ("largest", ["group.png"], ["failed"])],
)
def test_a_run_that_is_stopped_anywhere_is_made_up_for(begin, stopped_at, run, faces, crops, left_out):
    """With the options of before, by which what was deleted stays deleted, and with others."""
    for number in itertools.count():
        folder = begin()
        stopped = stopped_at(number, run, folder, faces)
        run(folder, faces)
        assert found(folder) == (crops, {"group.png": left_out}), f"stopped at step {number}"
        if not stopped:
            break
    assert number > 10


def test_a_shard_that_is_given_up_takes_no_crop_with_it(begin, stopped_at):
    """Of photos that are tried again: the journal that goes on is another one, and holds their crops."""
    for number in itertools.count():
        folder = begin()
        stopped = stopped_at(number, prepare_shard, settings("all"), folder / "in", folder / "out", Shard(0, 1))
        whole(folder)
        assert "group_1.png" in found(folder)[0], f"stopped at step {number}"
        if not stopped:
            break
    assert number > 5


def test_a_stopped_run_still_knows_which_photo_killed_its_process(begin, stopped_at, monkeypatch):
    """So that it comes after all others."""
    folder = begin()
    monkeypatch.setattr(Stub, "killed", ("group.png",))
    whole(folder)
    assert found(folder) == ([], {"group.png": [KILLED, DELETED]})
    number = 0
    while stopped_at(number, whole, folder):
        assert KILLED in (folder / "out/progress.jsonl").read_text(), f"stopped at step {number}"
        number += 1


def test_a_run_told_to_stop_lists_what_it_was_to_try_again(begin, monkeypatch):
    """Its crops are still there, and would be packed."""
    folder = begin()
    whole(folder)

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Stub, "__call__", stopped)
    with pytest.raises(Interrupted) as caught:
        whole(folder)
    told = f"0 of 1 photos are prepared in {folder / 'out'}, 1 more as an earlier run left them; the same command"
    assert caught.value.advice.startswith(told)
    assert found(folder) == (["group_1.png"], {"group.png": ["failed", DELETED]})
    assert json.loads((folder / "out/prepared.json").read_text())["crops"] == 1


def test_one_photo_removes_what_a_stopped_run_left_of_the_others(begin, stopped_at):
    """And does not call it deleted by hand."""
    for number in itertools.count():
        folder = begin()
        stopped = stopped_at(number, whole, folder, "largest")
        Image.new("RGB", (8, 8)).save(folder / "in/new.png")
        preparation.prepare_folder(settings("largest"), folder / "in/new.png", folder / "out")
        records = json.loads((folder / "out/prepared.json").read_text())["records"]
        left = set(found(folder)[0]).difference(crop_files(records))
        assert left <= {"group.png"}, f"stopped at step {number}"  # which is good, and waits for its record
        assert "group_1.png was deleted" not in json.dumps(records)
        if not stopped:
            break
