"""--mode prepare into the output of an earlier run: what it renews, keeps and removes."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from configs import schema
from lib.errors import UserError
from lib.face_image import photo_io
from lib.files.shards import Shard
from model.preparation import prepare as preparation
from model.preparation.photo_folder import PhotoFolder
from model.preparation.shards import merge_shards, prepare_shard
from tests.support.golden_face import golden_face_model
from tests.support.photo_corpus import portrait
from tests.support.reconstruction_parts import preparer_loaded_once


@pytest.fixture(scope="module", autouse=True)
def prepare_once_loaded():
    with preparer_loaded_once():
        yield


def run(source, output, **overrides):
    return preparation.prepare_folder(schema.load(overrides={"data.workers": 1} | overrides), source, output)


def show(folder, *names):
    """Writes photos of a face."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        portrait().save(folder / name)
    return folder


def crops(output):
    return sorted(path.name for path in (output / "crops").iterdir())


def listed(output):
    return [record["photo"] for record in json.loads((output / "prepared.json").read_text())["records"]]


def test_one_photo_is_added_to_the_crops_of_the_others(tmp_path, capsys):
    source, output = show(tmp_path / "in", "a.png", "b.png", "c.png"), tmp_path / "out"
    run(source, output)
    show(source, "x.png")
    (source / "c.png").unlink()
    capsys.readouterr()
    assert run(source / "x.png", output) == {}
    assert crops(output) == ["a.png", "b.png", "x.png"]
    assert listed(output) == ["a.png", "b.png", "x.png"]
    assert "3 crops of 3 of 3 photos, 2 of them in an earlier run" in capsys.readouterr().out
    run(source, output)
    assert "3 of them in an earlier run" in capsys.readouterr().out, "their records are kept, too"


def test_one_photo_is_merged_with_the_crops_of_the_others(tmp_path):
    source, output = show(tmp_path / "in", "a.png", "b.png"), tmp_path / "out"
    config = schema.load(overrides={"data.workers": 1})
    for index in range(2):
        prepare_shard(config, source, output, Shard(index, 2))
    show(source, "x.png")
    prepare_shard(config, source / "x.png", output, Shard(0, 1))
    assert merge_shards(config, source / "x.png", output, 1) == {}
    assert crops(output) == ["a.png", "b.png", "x.png"], "also before their own merge"
    merge_shards(config, source / "x.png", output, 1)
    run(source, output)
    run(source / "a.png", output)
    assert listed(output) == ["a.png", "b.png", "x.png"]


@pytest.mark.parametrize(("faces", "crop"), [("largest", "a__b.png"), ("all", "a__b_0.png")])
def test_the_crops_of_one_photo_do_not_replace_those_of_another(tmp_path, faces, crop):
    source, output = tmp_path / "in", tmp_path / "out"
    show(source / "a", "b.png")
    run(source, output, **{"prepare.faces": faces})
    assert crops(output) == [crop]
    show(source, "a__b.png")
    run(source / "a__b.png", output, **{"prepare.faces": faces})
    assert crops(output) == sorted([crop, crop.replace("a__b", "a__b~2")])


def test_a_photo_whose_crops_were_deleted_by_hand_has_not_failed(tmp_path):
    source, output = show(tmp_path / "in", "a.png", "b.png"), tmp_path / "out"
    assert run(source, output) == {}
    (output / "crops" / "a.png").unlink()
    for _ in range(2):
        assert run(source, output) == {}
    assert "a.png was deleted by hand" in (output / "left_out.csv").read_text()
    assert run(source / "a.png", output) == {}, "also if it is the only one that is looked at"


def test_a_crop_may_be_deleted_before_the_run_ends(tmp_path, monkeypatch):
    source, output = show(tmp_path / "in", "a.png", "b.png"), tmp_path / "out"
    write = preparation.write_tables

    def deleting(*arguments):
        (output / "crops" / "a.png").unlink()
        write(*arguments)

    monkeypatch.setattr(preparation, "write_tables", deleting)
    assert run(source, output) == {}
    assert crops(output) == ["b.png"]


def no_face(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (300, 300), "gray").save(folder / name)


def test_a_photo_that_is_added_does_not_answer_for_the_others(tmp_path, capsys):
    source, output = show(tmp_path / "in", "a.png"), tmp_path / "out"
    no_face(source, "empty.png")
    assert run(source, output).keys() == {"empty.png"}
    show(source, "x.png")
    capsys.readouterr()
    assert run(source / "x.png", output) == {}
    shown = capsys.readouterr().out
    assert "empty.png" not in shown
    assert "2 crops of 2 of 3 photos, 2 of them in an earlier run" in shown
    assert "empty.png" in (output / "left_out.csv").read_text()
    assert listed(output) == ["a.png", "empty.png", "x.png"]
    no_face(source, "y.png")
    with pytest.raises(UserError, match=r"at least one photo must show a face, got none of 1 \(the first, y\.png: "):
        run(source / "y.png", output)
    assert crops(output) == ["a.png", "x.png"]


@pytest.mark.parametrize(("most", "advice"), [(2, "the others"), (1, "the others and draws the sheets")])
def test_an_interrupted_run_has_sheets_of_what_was_done_if_it_is_little(tmp_path, monkeypatch, capsys, most, advice):
    source, output = show(tmp_path / "in", "a.png", "b.png"), tmp_path / "out"
    run(source, output)
    sheet, table = output / "sheets" / "page_001.png", output / "prepared.json"
    sheet.unlink()
    table.unlink()
    show(source, "c.png")

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(preparation, "_run", stopped)
    monkeypatch.setattr(preparation, "INTERRUPTED_SHEETS", most)
    capsys.readouterr()
    with pytest.raises(KeyboardInterrupt) as caught:
        run(source, output)
    assert caught.value.advice == f"2 of 3 photos are prepared in {output}; the same command prepares {advice}"
    assert (sheet.is_file(), table.is_file()) == (most == 2, True)
    assert ("drawing the sheets" in capsys.readouterr().err) == (most == 2)


def test_told_to_stop_again_an_interrupted_run_leaves_its_sheets_out(tmp_path, monkeypatch):
    source, output = show(tmp_path / "in", "a.png", "b.png"), tmp_path / "out"
    run(source, output)
    (output / "prepared.json").unlink()

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(preparation, "_run", stopped)
    monkeypatch.setattr(preparation, "write_sheets", stopped)
    with pytest.raises(KeyboardInterrupt) as caught:
        run(source, output)
    assert "2 of 2 photos are prepared" in caught.value.advice
    assert listed(output) == ["a.png", "b.png"]


def test_crops_of_another_face_model_are_made_again(tmp_path):
    """A face model's file that was replaced under its name."""
    source, file = show(tmp_path / "in", "a.png"), tmp_path / "face.npz"
    config = schema.load(overrides={"face_model.source": str(file)})
    model = golden_face_model()
    model.save(file)
    first = PhotoFolder.find(config, source, tmp_path / "out").options
    assert PhotoFolder.find(config, source, tmp_path / "out").options == first
    dataclasses.replace(model, mean_albedo=0.9 * model.mean_albedo).save(file)
    assert PhotoFolder.find(config, source, tmp_path / "out").options != first


def test_large_photos_are_described_in_their_own_pixels(tmp_path, monkeypatch):
    """Not in those of the smaller photo that was read."""
    source, output = show(tmp_path / "in", "a.png"), tmp_path / "out"
    run(source, output)
    first = json.loads((output / "prepared.json").read_text())["records"][0]["crops"][0]
    portrait().resize((600, 600)).save(source / "a.png")
    monkeypatch.setattr(photo_io, "WORKING_PIXELS", 100_000)
    run(source, output)
    large = json.loads((output / "prepared.json").read_text())["records"][0]["crops"][0]
    assert large["photo_size"] == [600, 600]
    np.testing.assert_allclose(large["face_width_px"], 2 * first["face_width_px"], rtol=0.03)
    np.testing.assert_allclose(large["points_in_photo"], 2 * np.array(first["points_in_photo"]), atol=4)
    transform, before = np.array(large["photo_to_crop"]), np.array(first["photo_to_crop"])
    np.testing.assert_allclose(transform[:, :2], before[:, :2] / 2, rtol=0.03, atol=0.01)
    np.testing.assert_allclose(transform[:, 2], before[:, 2], atol=5)
