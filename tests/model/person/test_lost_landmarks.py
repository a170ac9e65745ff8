"""Landmarks of a person's photo that are deleted before it is read."""

from types import SimpleNamespace

import numpy as np
from PIL import Image

from configs import schema
from lib.geometry.camera import Camera
from model.person import reconstruct as person
from model.photos.reader import PhotoReader
from tests.support.golden_face import golden_face_model


def test_landmarks_that_are_deleted_meanwhile_are_missed(tmp_path, monkeypatch):
    source, reader = tmp_path / "in", PhotoReader(golden_face_model(), Camera(), 0.9)
    source.mkdir()
    Image.new("RGB", (99, 99)).save(source / "a.png")
    np.save(source / "a.npy", np.zeros([5, 2]))
    reconstructor = SimpleNamespace(export=None, reader=reader)

    def estimator(reconstruct):
        (source / "a.npy").unlink()
        return SimpleNamespace(reconstruct=reconstruct, fit_each=None)

    monkeypatch.setattr(person.FaceReconstructor, "load", lambda config: reconstructor)
    monkeypatch.setattr(person, "report_data", lambda reconstruct: {})
    monkeypatch.setattr(person, "PersonEstimator", estimator)
    monkeypatch.setattr(person.ResultFolder, "finish", lambda self, seconds=None: None)
    failed = person.reconstruct_people(schema.load(), source, tmp_path / "out")
    assert list(failed) == ["a.png"]
    assert failed["a.png"].startswith("a.npy: must stay until its photo is read, got it deleted")
