"""The worker of test mode on photos that fail."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from configs import schema
from lib.errors import UserError
from lib.face_image.quality import Unusable
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
    outcome = worker.Worker(schema.load(), tmp_path)(Job(0, Path("a.heic"), "a.heic", "a", row=False))
    assert len(outcome.failed) == 1
    assert outcome.lost == lost
