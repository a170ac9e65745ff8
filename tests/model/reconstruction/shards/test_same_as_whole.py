"""Shards and their merge write the files of one process, byte for byte, with a small reconstructor."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import skimage.data
from PIL import Image

from configs import schema
from lib.files.shards import FOLDER, Shard
from model.reconstruction import folder, result_folder, worker
from model.reconstruction.shards.run import merge_shards, reconstruct_shard
from tests.support.photo_corpus import portrait
from tests.support.reconstruction_parts import SIZE, detected_once, untrained_parts

COUNT = 2


@pytest.fixture(scope="module")
def small_reconstructor():
    """An untrained one, whose clock stands still: the seconds are the only numbers that differ between runs."""
    pipeline, standing = untrained_parts(), SimpleNamespace(monotonic=lambda: 0.0)
    with pytest.MonkeyPatch.context() as patch, detected_once():
        patch.setattr("model.reconstruction.face_reconstructor.load_pipeline", lambda config: pipeline)
        patch.setattr("model.reconstruction.face_reconstructor.restore_texture_network", lambda loaded: None)
        patch.setattr(folder, "use_one_thread", lambda: None)  # it would last beyond this test
        for module in (worker, result_folder):
            patch.setattr(module, "time", standing)
        yield


@pytest.fixture
def photos(tmp_path) -> Path:
    """Good photos of several kinds, with a broken file and a cup among them."""
    source, good = tmp_path / "in", portrait()
    (source / "below").mkdir(parents=True)
    two = Image.new("RGB", (700, 300))
    two.paste(good, (0, 0))
    two.paste(good.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (400, 0))
    two.save(source / "two.png")
    good.save(source / "good.png")
    good.rotate(90).save(source / "below" / "lying.png")
    Image.fromarray(skimage.data.coffee()[::2, ::2]).save(source / "cup.jpg")
    (source / "broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    return source


def files_of(output: Path) -> dict[str, bytes]:
    """The files of a run apart from those of its shards."""
    paths = [path for path in output.rglob("*") if path.is_file()]
    return {str(path.relative_to(output)): path.read_bytes() for path in paths if FOLDER not in path.parts}


def test_merged_shards_are_the_files_of_one_process(photos, tmp_path, small_reconstructor, capsys):
    options = {"fit.steps": 0, "prepare.faces": "all", "export.formats": ["obj"], "export.texture_size": 256}
    config = schema.load(overrides=options | {"data.image_size": SIZE, "data.workers": 1})
    failed = folder.reconstruct_folder(config, photos, tmp_path / "whole")
    printed = capsys.readouterr().out
    for index in (1, 0, 1):  # in any order, and one of them again
        reconstruct_shard(config, photos, tmp_path / "parts", Shard(index, COUNT))
    shards = {path.name: path.read_bytes() for path in (tmp_path / "parts" / FOLDER).iterdir()}
    assert set(shards) == {f"{Shard(index, COUNT).name}.results.jsonl" for index in range(COUNT)}
    capsys.readouterr()
    assert merge_shards(config, photos, tmp_path / "parts") == failed
    assert capsys.readouterr().out == printed.replace("whole", "parts")
    assert set(failed) == {"cup.jpg", "broken.jpg"}
    whole, parts = files_of(tmp_path / "whole"), files_of(tmp_path / "parts")
    assert {"index.html", "summary.csv", "summary.json", "failed.txt", "sheet.png"} < set(whole)
    assert "two/face_1/mesh.obj" in whole
    assert {name for name in whole.keys() | parts.keys() if whole.get(name) != parts.get(name)} == set()
