"""Results that `serve.keep` stores: whole or not at all, whatever happens to its disk."""

import shutil

import pytest

pytest.importorskip("uvicorn", reason="needs requirements-serve.txt")

from model.serving.photo_queue import Job
from model.serving.reconstruction import PAGE_FILES, UNFINISHED, store


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


def test_a_folder_that_is_gone_or_a_file_is_told(tmp_path, job, capsys):
    (tmp_path / "keep").write_text("a file")
    assert not store(job, tmp_path / "keep")
    assert "keep/my__face__Wq-1: not stored: " in capsys.readouterr().err
    assert (tmp_path / "keep").read_text() == "a file"
