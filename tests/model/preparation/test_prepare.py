"""--mode prepare on a folder with everything in it: crops that create_bin.py packs, a reason for each of the rest."""

import csv
import json
import os
import shlex
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from configs import schema
from lib.errors import UserError
from lib.face_image.quality import Unusable
from lib.files.shards import Shard
from lib.records import crop_files
from lib.sidecar.photo_key import photo_key
from model.preparation import photo_folder
from model.preparation import prepare as preparation
from model.preparation.job import RETRY
from model.preparation.shards import merge_shards, prepare_shard
from model.preparation.worker import Preparer
from tests.support.helpers import csv_rows
from tests.support.photo_corpus import BAD_PHOTOS, portrait, write_bad
from tests.support.pinned import check_pinned
from tests.support.reconstruction_parts import in_this_process, preparer_loaded_once

PINNED_METHOD = "regressed face, parsed mask, 3"
PINNED = [79453.831, 138.888, -97.355, -6.277, -68.209, 261.233]


def run(source, output, **overrides):
    return preparation.prepare_folder(schema.load(overrides={"data.workers": 1} | overrides), source, output)


def left_out(output):
    return csv_rows(output / "left_out.csv")


def records(output):
    return {r["photo"]: r for r in json.loads((output / "prepared.json").read_text())["records"]}


@pytest.fixture(scope="module", autouse=True)
def own_threads():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparation, "use_one_thread", lambda hide_gpu: None)  # it would last beyond this test
        patch.setattr(preparation, "run_in_processes", in_this_process)
        yield


@pytest.fixture(scope="module")
def prepare_once_loaded():
    with preparer_loaded_once():
        yield


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, prepare_once_loaded):
    """Good photos of several kinds among every kind of bad one."""
    root = tmp_path_factory.mktemp("mixed")
    source = root / "in"
    source.mkdir()
    write_bad(source)
    good = portrait()
    (source / "a").mkdir()
    good.save(source / "a" / "same.jpg", quality=95)
    good.convert("CMYK").save(source / "a" / "same.tiff")
    # A mask and five points beside the photo, no face to detect needed.
    mask = np.zeros((300, 300), np.uint8)
    mask[80:180, 100:190] = 255
    good.save(source / "given.webp", lossless=True)
    Image.fromarray(mask).save(source / "given_mask.png")
    (source / "detections").mkdir()
    points = np.array([[122.0, 101], [167, 104], [145, 127], [124, 142], [163, 142]])
    (source / "detections" / "given.txt").write_text("".join(f"{x}\t{y}\n" for x, y in points))
    good.resize((40, 40)).save(source / "small.png")
    wide = Image.new("RGB", (700, 300))
    wide.paste(good, (0, 0))
    wide.paste(good.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (400, 0))
    wide.save(source / "two.png")
    failed = run(source, root / "out")
    return SimpleNamespace(source=source, output=root / "out", failed=failed, points=points, mask=mask)


def test_good_photos_become_crops_that_can_be_packed(mixed):
    names = crop_files.file_names(mixed.output / "crops")
    assert names == ["a__same_jpg.png", "a__same_tiff.png", "given.png", "two.png"]
    for name in names:
        crop = crop_files.read_crop(mixed.output / "crops" / name, 224)
        assert 0.1 < (crop[..., 3] > 127).mean() < 0.7


def test_each_bad_photo_has_its_line(mixed):
    assert set(mixed.failed) == {*BAD_PHOTOS, "small.png"}
    for name, words in BAD_PHOTOS.items():
        assert words in mixed.failed[name], mixed.failed[name]
    assert mixed.failed["small.png"].startswith("face too small: ")
    rows = {row["photo"]: row for row in left_out(mixed.output)}
    assert {name: row["reason"] for name, row in rows.items()} == mixed.failed
    assert rows["small.png"]["kind"] == "too small"
    assert rows["text.png"]["kind"] == "unreadable"


def test_landmarks_and_mask_beside_the_photo_are_taken(mixed):
    (crop,) = records(mixed.output)["given.webp"]["crops"]
    assert crop["landmarks_given"]
    assert crop["mask_given"]
    np.testing.assert_allclose(crop["points_in_photo"], mixed.points)
    with Image.open(mixed.output / "crops" / "given.png") as image:
        alpha = np.asarray(image)[..., 3] > 127
    rows, columns = np.nonzero(alpha)
    transform = np.array(crop["photo_to_crop"])
    corners = np.array([[100, 80], [190, 180]]) @ transform[:, :2].T + transform[:, 2]
    found = [[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]]
    np.testing.assert_allclose(found, np.clip(corners, 0, 224), atol=1.5)


def test_the_sheet_shows_every_crop_with_its_outline(mixed):
    with Image.open(mixed.output / "sheets" / "page_001.png") as image:
        sheet = np.asarray(image)
    green = (sheet == (0, 255, 0)).all(-1)
    for column in range(4):
        assert green[:, 4 + column * 180 : 180 + column * 180].sum() > 100


def test_only_what_changed_is_done_again(mixed, monkeypatch):
    done = []
    make = preparation.make_preparer

    def counted(config):
        work = make(config)
        return lambda job: done.append(job.photo) or work(job)

    monkeypatch.setattr(preparation, "make_preparer", counted)
    crops = mixed.output / "crops"
    before = {path.name: path.stat().st_mtime_ns for path in crops.iterdir()}
    # The line a killed run tears off counts as not done; nothing else is touched.
    with open(mixed.output / "progress.jsonl", "a") as stream:
        stream.write('{"photo": "two.p')
    again = {row["photo"] for row in left_out(mixed.output) if row["kind"] == "unreadable"}
    assert again == {"bomb.png", "deep/er/truncated.jpg", "empty.jpg", "text.png"}
    assert run(mixed.source, mixed.output) == mixed.failed
    assert set(done) == again, "another package or the right to read them may have made them readable"
    done.clear()
    assert {path.name: path.stat().st_mtime_ns for path in crops.iterdir()} == before
    os.utime(mixed.source / "two.png", ns=(1, 1))
    os.utime(mixed.source / "given_mask.png", ns=(1, 1))
    run(mixed.source, mixed.output)
    assert set(done) - again == {"given.webp", "two.png"}


def test_failures_that_are_not_the_photos_are_tried_again(tmp_path, prepare_once_loaded, monkeypatch):
    """Too little memory for a mask, for example; what the photo itself lacks is not looked for twice."""
    for name in ("a.png", "b.png"):
        portrait().save(tmp_path / name)
    faults = {"a.png": MemoryError(), "b.png": Unusable("mask failed", "it has 0% of the expected area")}

    def fail(self, job, file, found, face):
        raise faults[job.photo]

    with monkeypatch.context() as patch:
        patch.setattr(Preparer, "_write", fail)
        with pytest.raises(UserError, match="none of 2"):
            run(tmp_path, tmp_path / "out")
    assert [row["kind"] for row in left_out(tmp_path / "out")] == ["failed", "mask failed"]
    assert list(run(tmp_path, tmp_path / "out")) == ["b.png"]
    assert RETRY not in records(tmp_path / "out")["a.png"]


def test_a_crop_deleted_by_hand_stays_away(tmp_path, mixed):
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("two.png", "given.webp"):
        (source / name).write_bytes((mixed.source / name).read_bytes())
    run(source, output)
    (output / "crops" / "two.png").unlink()
    for _ in range(2):
        assert (run(source, output), left_out(output)[0]["reason"]) == ({}, "two.png was deleted by hand")
        assert [p.name for p in (output / "crops").iterdir()] == ["given.png"]


def test_other_crops_need_another_method(mixed):
    """The digest also follows the shipped weights, which the key holds by their own hash: new ones are pinned alone."""
    crops = [np.asarray(Image.open(mixed.output / "crops" / name)) for name in ("two.png", "given.png")]
    check_pinned(photo_folder.METHOD, np.stack(crops), PINNED_METHOD, PINNED, tolerance=4.0)


def test_crops_of_another_folder_are_not_replaced(tmp_path, mixed):
    (tmp_path / "other").mkdir()
    portrait().save(tmp_path / "other" / "a.png")
    with pytest.raises(UserError, match=r"must be new or hold crops of .*other"):
        run(tmp_path / "other", mixed.output)
    assert len(list((mixed.output / "crops").iterdir())) == 4


def test_a_killed_first_run_already_belongs_to_its_folder(tmp_path, mixed, monkeypatch):
    """Crops of a run that never came to its end are worth as much as finished ones."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.png").write_bytes((mixed.source / "two.png").read_bytes())
    with monkeypatch.context() as patch:
        patch.setattr(preparation, "write_tables", lambda *_: stop())
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "one", tmp_path / "out")
    with pytest.raises(UserError, match=r"must be new or hold crops of .*other, got those of .*one \(choose another"):
        run(tmp_path / "other", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "crops").iterdir()] == ["one.png"]
    assert run(tmp_path / "one", tmp_path / "out") == {}


def stop():
    raise KeyboardInterrupt


@pytest.mark.parametrize("line", ["[]", "{}", '{"source": "x"}\n{"photo": "a.png"}', '{"source": "x"}\n7', ""])
def test_a_journal_of_something_else_is_named(tmp_path, line):
    (tmp_path / "in").mkdir()
    portrait().save(tmp_path / "in" / "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "progress.jsonl").write_text(f"{line}\n")
    with pytest.raises(UserError, match=r"progress\.jsonl: must be this program's journal.*delete it"):
        run(tmp_path / "in", tmp_path / "out")


def test_names_that_are_not_utf_8_or_have_line_breaks_are_written_down(tmp_path, mixed, capsys):
    source = tmp_path / "in"
    source.mkdir()
    (source / "two.png").write_bytes((mixed.source / "two.png").read_bytes())
    (source / os.fsdecode(b"caf\xe9.png")).write_bytes(b"no image")
    (source / "a\nb.png").write_bytes(b"no image")
    failed = run(source, tmp_path / "out")
    assert failed.keys() == {"caf\\udce9.png", "a\\nb.png"}
    with open(tmp_path / "out" / "left_out.csv", newline="", encoding="utf-8") as stream:
        assert {row[0] for row in csv.reader(stream)} == {"photo"} | failed.keys()
    assert "caf\\udce9.png  left out: " in capsys.readouterr().out


def test_all_faces_and_crops_that_no_longer_belong(tmp_path, mixed):
    source = tmp_path / "in"
    source.mkdir()
    for name in ("two.png", "given.webp"):
        (source / name).write_bytes((mixed.source / name).read_bytes())
    output = source / "out"  # inside of the photos' folder: not taken for photos
    assert run(source, output) == {}
    assert sorted(p.name for p in (output / "crops").iterdir()) == ["given.png", "two.png"]
    (source / "given.webp").unlink()
    assert run(source, output, **{"prepare.faces": "all"}) == {}
    assert sorted(p.name for p in (output / "crops").iterdir()) == ["two_0.png", "two_1.png"]
    assert len(records(output)["two.png"]["crops"]) == 2


def test_what_was_changed_is_said_and_one_photo_is_an_input(tmp_path, capsys):
    portrait().save(tmp_path / "a.png")
    np.savetxt(tmp_path / "a.txt", [[167.0, 104], [122, 101], [145, 127], [163, 142], [124, 142]])
    portrait().save(tmp_path / "b.png")
    assert run(tmp_path / "a.png", tmp_path / "out") == {}
    assert "a.png: a.txt: landmarks had left and right exchanged" in capsys.readouterr().out
    record = records(tmp_path / "out")["a.png"]
    assert "exchanged" in record["remark"]
    assert record["crops"][0]["points_in_photo"][0] == [122, 101]
    assert list(records(tmp_path / "out")) == ["a.png"]


def test_blurred_and_no_crop_at_all(tmp_path):
    portrait().save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"none of 1 \(the first, a\.png: blurred: blur 0\.\d\d of 1, at most 0\.2"):
        run(tmp_path, tmp_path / "out", **{"prepare.max_blur": 0.2})
    assert (tmp_path / "out" / "left_out.csv").read_text().count("blurred") == 2


def test_landmarks_that_are_none_are_said_and_can_be_ignored(tmp_path):
    portrait().save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("30 40")
    with pytest.raises(UserError, match=r"a\.txt: must hold 5, 68 or 468 points.*prepare\.beside=false"):
        run(tmp_path, tmp_path / "out")
    assert run(tmp_path, tmp_path / "out", **{"prepare.beside": False}) == {}


def test_landmarks_that_are_deleted_meanwhile_are_missed(tmp_path, prepare_once_loaded, monkeypatch):
    portrait().save(tmp_path / "a.png")
    (tmp_path / "a.txt").touch()
    make = preparation.make_preparer
    monkeypatch.setattr(preparation, "make_preparer", lambda config: (tmp_path / "a.txt").unlink() or make(config))
    with pytest.raises(UserError, match=r"a\.txt: must stay until its photo is read, got it deleted"):
        run(tmp_path, tmp_path / "out")


def test_a_dangling_link_is_a_job_like_any_other(tmp_path):
    """The worker says what is wrong with it; before there was a worker, it ended the whole folder."""
    link = tmp_path / "a.png"
    link.symlink_to(tmp_path / "target.png")
    dangling = photo_key(link, "options", True, "a")
    assert dangling == photo_key(link, "options", True, "a")
    portrait().save(tmp_path / "target.png")
    assert photo_key(link, "options", True, "a") != dangling, "it is prepared once the target is there"


def test_crops_of_nested_folders_with_long_names_have_names_that_fit(tmp_path):
    names = {Path(f"{n}"): f"{'a' * 200}/{'b' * 246}{n}" for n in range(3)}
    flat = photo_folder.flat_names(names)
    assert len(set(flat.values())) == 3
    for name in flat.values():
        (tmp_path / f"{name}_17.png").touch()


def test_merged_shards_are_the_files_of_one_process(mixed, tmp_path):
    """With `mixed` as the one process: the photos, good and bad, in five parts of which one is prepared twice."""
    config, output = schema.load(overrides={"data.workers": 1}), tmp_path / "out"
    shards = [Shard(index, 5) for index in range(5)]
    for shard in (*shards[:2], *shards[3:], shards[1]):
        prepare_shard(config, mixed.source, output, shard)
    with pytest.raises(UserError, match=r"must hold all 5 shards, got 4; missing: 2 \(run .* --shard 2/5\)"):
        merge_shards(config, mixed.source, output)
    prepare_shard(config, mixed.source, output, shards[2])
    other = schema.load(overrides={"data.workers": 1, "prepare.max_blur": 0.5})
    with pytest.raises(UserError, match="made by the command that merges them, got another options or weights"):
        merge_shards(other, mixed.source, output)
    run(mixed.source, mixed.output)
    assert merge_shards(config, mixed.source, output) == run(mixed.source, mixed.output)
    for path in mixed.output.rglob("*"):
        if path.is_file() and path.name != photo_folder.JOURNAL:
            assert (output / path.relative_to(mixed.output)).read_bytes() == path.read_bytes(), path
    assert not list(tmp_path.glob("out/crops/.*"))


def test_the_next_command_can_be_copied_whatever_the_folder_is_called(capsys):
    record = {"photo": "a.jpg", "crops": [{"file": "a.png"}], "left_out": [], "remark": ""}
    config = schema.load(None, ["data.image_size=112", "data.root_dir=my root"])
    preparation.report_crops(config, Path("Anna's photos"), [record], 0, 1)
    command = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert command[4:] == ["--img_size", "112", "--root_dir", "my root", "--input", "Anna's photos/crops"]


def test_deleted_crops_that_come_back_are_counted(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(preparation, "_run", lambda *_: None)
    (tmp_path / "a.png").touch()
    photos = photo_folder.PhotoFolder(
        tmp_path, tmp_path / "out", [tmp_path / "a.png"], {tmp_path / "a.png": "a"}, "", False, {tmp_path / "a.png": ()}
    )
    for key, said in ((photos.key(tmp_path / "a.png"), ""), ("of other options", "have changed, got 1 (look through")):
        record = {"photo": "a.png", "key": key, "crops": [{"file": "a.png"}], "left_out": []}
        preparation.prepare_photos(schema.load(), photos, photos.paths, {"a.png": record}, tmp_path / "journal", {})
        assert said in (shown := capsys.readouterr().err)
        assert bool(said) == bool(shown)
