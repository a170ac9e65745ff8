"""The worker of test mode on photos that fail."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from configs import schema
from lib.errors import UserError
from lib.face_image.quality import Unusable
from model.photos.errors import failure_reason
from model.reconstruction import worker
from model.reconstruction.result_folder import Job


@pytest.mark.parametrize(
    ("fault", "lost"),
    [
        (Unusable("no face", "no face found"), False),
        (UserError("a.heic: must be a photo in a supported format, got one that needs a package"), True),
        (PermissionError("Permission denied"), True),
        (MemoryError(), True),
    ],
)
def test_only_what_a_photo_lacks_itself_holds_for_the_next_run(tmp_path, monkeypatch, fault, lost):
    def fail(*_):
        raise fault

    reconstruct = SimpleNamespace(reader=SimpleNamespace(find=fail), ahead=SimpleNamespace(start=lambda work: None))
    monkeypatch.setattr(worker.FaceReconstructor, "load", lambda config: reconstruct)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "crop.png").write_text("mine")
    outcome = worker.Worker(schema.load(), tmp_path)(Job(0, Path("a.heic"), "a.heic", "a", row=False))
    assert outcome.failed == [(None, failure_reason(Path("a.heic"), fault))], "not that of its folder"
    assert outcome.lost == lost
    assert (tmp_path / "a" / "crop.png").exists()


def test_a_photo_whose_folder_is_somebody_elses_fails_before_the_work(tmp_path, monkeypatch):
    reader = SimpleNamespace(find=lambda *_: SimpleNamespace(faces=["face"]))
    reconstruct = SimpleNamespace(reader=reader, ahead=SimpleNamespace(start=lambda work: None))
    monkeypatch.setattr(worker.FaceReconstructor, "load", lambda config: reconstruct)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "crop.png").write_text("mine")
    outcome = worker.Worker(schema.load(), tmp_path)(Job(0, Path("a.png"), "a.png", "a", row=False))
    assert [reason for _, reason in outcome.failed] == [
        f"{tmp_path}/a/crop.png: must be an earlier result's file to be replaced, got another one (choose another "
        "folder, or move the file)"
    ]
    assert (tmp_path / "a" / "crop.png").read_text() == "mine"
