"""What the page receives of a head; results that `serve.keep` stores: whole or not at all, whatever its disk does."""

import json
import shutil

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="needs requirements-serve.txt")

from configs import schema
from lib.face_model_files.arkit import ARKIT, BlendShapes
from model.gaze import NAMES, gaze_weights, look_displacements
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.serving.photo_queue import Job, Progress
from model.serving.reconstruction import NOT_KEPT, PAGE_FILES, UNFINISHED, PhotoWork, store
from tests.support.faces import coarse_head
from tests.support.photo_corpus import portrait
from tests.support.reconstruction_parts import SIZE, untrained_parts
from tests.support.report_pages import decode_columns


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    overrides = {"fit.steps": 0, "fit.landmarks": False, "data.image_size": SIZE, "export.area": "face"}
    overrides["data.root_dir"] = str(tmp_path_factory.mktemp("root"))
    return PhotoWork(FaceReconstructor(schema.load(overrides=overrides), untrained_parts(coarse_head("face"))), None)


def test_blend_shapes_arrive_with_all_their_digits(work):
    model, eyes = coarse_head("face"), work.reconstruct.export.morphable.eyes
    sent = json.loads(work.shared())["blend_shapes"]
    shapes = BlendShapes.of(model)
    own = [place for place, name in enumerate(shapes.names) if name in ARKIT]
    assert sent["names"] == [*(shapes.names[place] for place in own), *NAMES]
    moves = np.concatenate([shapes.displacements(model)[own], look_displacements(eyes)])
    columns = decode_columns(sent["block"], model.vertex_count, ["u2"] * 3 * len(moves))
    decoded = np.stack(columns).reshape(len(moves), 3, -1).transpose(0, 2, 1)
    for found, scale, move in zip(decoded, sent["scales"], moves, strict=True):
        np.testing.assert_allclose((found - 32768.0) / 32767 * scale, move, atol=0.51 * scale / 32767)
        assert np.abs(found - 32768.0).max() == 32767  # of the whole range


def test_sliders_show_where_the_eyes_look(work):
    expression = np.zeros(work.reconstruct.pipeline.face_model.layout.expression)
    for gaze in ([0.3, 0.0], [-0.1, 0.2]):
        looks = gaze_weights(np.array(gaze))
        assert work.weights(expression, np.array(gaze))[-8:] == [round(float(looks[name]), 5) for name in NAMES]
    assert work.weights(expression, None)[-8:] == [0] * 8


@pytest.fixture
def job(tmp_path):
    done = Job("Wq-1", "my <face>.png", tmp_path / "upload")
    done.results.mkdir(parents=True)
    for name in ("mesh.obj", "metrics.json", *PAGE_FILES):
        (done.results / name).write_text(name)
    return done


def test_results_are_kept_without_what_only_the_page_needs(tmp_path, job):
    (tmp_path / "keep" / UNFINISHED).mkdir(parents=True)
    (tmp_path / "keep" / UNFINISHED / "old.obj").write_text("of a killed run")
    assert store(job, tmp_path / "keep")
    (folder,) = (tmp_path / "keep").iterdir()
    assert folder.name == "my__face__Wq-1"
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "mesh.obj": "mesh.obj",
        "metrics.json": "metrics.json",
    }


def test_a_full_disk_leaves_no_half_result_and_the_visitor_keeps_his(tmp_path, job, monkeypatch, capsys):
    copy = shutil.copyfile

    def one_fits(source, target):
        if any(target.parent.iterdir()):
            target.write_text("half")
            raise OSError(28, "No space left on device")
        return copy(source, target)

    monkeypatch.setattr("model.serving.reconstruction.shutil.copyfile", one_fits)
    assert not store(job, tmp_path / "keep")
    assert list((tmp_path / "keep").iterdir()) == []
    assert len(list(job.results.iterdir())) == 2 + len(PAGE_FILES)
    (line,) = capsys.readouterr().err.splitlines()
    assert "keep/my__face__Wq-1: not stored: must fit on its disk, got: No space left on device" in line


def test_what_could_not_be_stored_is_no_remark_on_the_photo(work, tmp_path, monkeypatch, capsys):
    portrait().save(tmp_path / "me.png")
    job = Job("Wq-2", "me.png", tmp_path / "upload")
    job.folder.mkdir()
    portrait().save(job.photo)
    monkeypatch.setattr(work, "keep", tmp_path / "keep")
    (tmp_path / "keep").write_text("a file")
    facts = work(job, Progress(lambda stage: None, lambda facts: None))
    assert (facts["remark"], facts["warning"]) == ("", NOT_KEPT)
    assert "not stored" in capsys.readouterr().err


def test_a_folder_that_is_gone_or_a_file_is_told(tmp_path, job, capsys):
    (tmp_path / "keep").write_text("a file")
    assert not store(job, tmp_path / "keep")
    assert "keep/my__face__Wq-1: not stored: " in capsys.readouterr().err
    assert (tmp_path / "keep").read_text() == "a file"
