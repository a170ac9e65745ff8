"""--mode prepare: how many processes prepare, with how many threads, and what is left when one is killed."""

import contextlib
import json
import os
import signal

import pytest
from PIL import Image

from configs import schema
from lib.errors import UserError
from lib.face_image.quality import DELETED, KILLED
from model.preparation import prepare as preparation


def test_one_process_uses_one_thread_as_each_of_several_does(monkeypatch):
    class Called(Exception):
        pass

    def called(hide_gpu):
        assert hide_gpu
        raise Called

    monkeypatch.setattr(preparation, "use_one_thread", called)
    with pytest.raises(Called):
        preparation.make_preparer(schema.load())


@pytest.mark.parametrize(("workers", "photos", "expected"), [(8, 3, 3), (8, 100, 8), (0, 100, 3), (0, 2, 2), (0, 0, 1)])
def test_number_of_processes(monkeypatch, workers, photos, expected):
    monkeypatch.setattr(preparation, "affordable", lambda wanted, each: min(wanted, 3))
    monkeypatch.setattr(schema.Config, "workers", property(lambda self: self.data.workers or 16))
    assert preparation.process_count(schema.load(overrides={"data.workers": workers}), photos) == expected


class Stub:
    """In the preparer's place: writes a crop, or with several faces two, of which one may have failed.

    It is killed at photos called kill once their crop is there, finds no face in those called empty, and cannot write a
    third crop of those called group.
    """

    def __init__(self, config):
        self.every = config.prepare.faces == "all"

    def __call__(self, job):
        crops, left_out = [], []
        if job.photo.startswith("empty"):
            left_out.append({"kind": "no face", "reason": "no face found"})
        else:
            for ending in ("_0", "_1") if self.every else ("",):
                file = job.crop.with_stem(job.crop.stem + ending)
                file.write_bytes(b"crop")
                crops.append({"file": file.name})
        if job.photo.startswith("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if retry := job.photo.startswith("group"):
            left_out.append({"kind": "failed", "reason": "Permission denied"})
        record = {"photo": job.photo, "key": job.key, "crops": crops, "left_out": left_out}
        return record | {"remark": "", "retry": retry}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, "make_preparer", Stub)
    monkeypatch.setattr(preparation, "write_sheets", lambda *_: 1)
    (tmp_path / "in").mkdir()

    def run(*names, workers=2, strays=(), **options):
        for name in names:
            Image.new("RGB", (8, 8)).save(tmp_path / f"in/{name}.png")
        options = {f"prepare.{name}": value for name, value in options.items()} | {"data.workers": workers}
        preparation.prepare_folder(schema.load(overrides=options), tmp_path / "in", tmp_path / "out")
        records = json.loads((tmp_path / "out/prepared.json").read_text())["records"]
        crops = [crop["file"] for record in records for crop in record["crops"]]
        assert sorted(path.name for path in (tmp_path / "out/crops").iterdir()) == sorted([*crops, *strays])
        return {record["photo"]: [each["kind"] for each in record["left_out"]] for record in records}

    return run


@pytest.mark.parametrize("workers", [1, 2])
def test_a_photo_that_kills_its_process_is_left_out_and_tried_again(run, tmp_path, capsys, workers):
    left_out = run("a", "kill", "z", workers=workers)
    assert left_out == {"a.png": [], "kill.png": [KILLED], "z.png": []}
    assert "left out: 1 killed\n" in capsys.readouterr().out
    reason = "the process that worked on it was killed (too little memory? give more, or use fewer --workers)"
    assert f'kill.png,killed,"{reason}"' in (tmp_path / "out/left_out.csv").read_text()
    assert run("another", workers=workers) == left_out | {"another.png": []}
    (tmp_path / "in/kill.png").rename(tmp_path / "in/mended.png")
    assert run() == {"a.png": [], "another.png": [], "mended.png": [], "z.png": []}


def test_photos_that_kill_one_process_after_the_other_do_not_keep_out_the_rest_for_ever(run):
    """A run is given up as for lack of memory, and the next one leaves them for the end."""
    with pytest.raises(UserError, match=r"got several killed .*; repeat the command to go on"):
        run(*(f"kill{number}" for number in range(7)), workers=1)
    with contextlib.suppress(UserError):
        run("z")
    left_out = run()
    assert left_out == {f"kill{number}.png": [KILLED] for number in range(7)} | {"z.png": []}


def test_the_third_photo_in_a_row_is_recorded_too(run):
    """With nothing else left, the run ends as others do that lost photos."""
    killed = {f"kill{number}.png": [KILLED] for number in range(3)}
    assert run("a", *(name.removesuffix(".png") for name in killed), workers=1) == {"a.png": []} | killed


@pytest.mark.parametrize(("faces", "lost"), [("largest", ["empty.png"]), ("all", ["empty_0.png", "empty_12.png"])])
def test_crops_that_a_killed_run_left_without_a_record_are_not_packed(run, tmp_path, faces, lost):
    """The photo gives none any longer, perhaps by other options."""
    run("a", faces=faces)
    for name in lost:
        (tmp_path / "out/crops" / name).write_bytes(b"crop")
    assert run("empty", faces=faces) == {"a.png": [], "empty.png": ["no face"]}


def test_pngs_that_are_no_photos_crops_stay_and_are_named(run, tmp_path, capsys):
    run("a", "b")
    assert "of no photo" not in capsys.readouterr().err
    (tmp_path / "out/crops/mine.png").write_bytes(b"crop")
    (tmp_path / "out/crops/yours.PNG").write_bytes(b"crop")
    hidden = [".a-unfinished-1a2b3c4d.png", "._a.png"]  # which `create_bin.py` leaves out
    for name in hidden:
        (tmp_path / "out/crops" / name).write_bytes(b"crop")
    (tmp_path / "in/b.png").unlink()
    run(strays=["mine.png", "yours.PNG", *hidden])
    told = f"{tmp_path / 'out/crops'}: 2 PNGs of no photo: mine.png, yours.PNG (on no sheet, but"
    assert told in capsys.readouterr().err


def test_a_kill_amid_the_deletion_of_old_crops_is_not_taken_for_the_users(run, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(folder, names):
        removed(folder, names)
        raise Killed

    run("a", "b")
    removed = preparation.remove_crops
    with monkeypatch.context() as patch:
        patch.setattr(preparation, "remove_crops", killed)
        with pytest.raises(Killed):
            run(max_blur=0.1)
    assert run() == {"a.png": [], "b.png": []}


def test_a_crop_deleted_by_hand_does_not_come_back_with_a_face_that_is_tried_again(run, tmp_path, capsys):
    run("group", faces="all")
    (tmp_path / "out/crops/group_0.png").unlink()
    for _ in range(2):
        assert run(faces="all") == {"group.png": ["failed", DELETED]}
        assert [path.name for path in (tmp_path / "out/crops").iterdir()] == ["group_1.png"]
    assert "made again" not in capsys.readouterr().err
    run(faces="all", max_blur=0.9)
    assert "deleted by hand are made again where photos or options have changed, got 1" in capsys.readouterr().err
    assert len(list((tmp_path / "out/crops").iterdir())) == 2
