"""People none of whose photos can be reconstructed."""

from types import SimpleNamespace

import pytest

from configs import schema
from lib.errors import UserError
from model.person import reconstruct


def test_who_fails_leaves_nothing_of_an_earlier_run(tmp_path, monkeypatch):
    earlier = [tmp_path / "out" / name for name in ("a/mesh.obj", "person/mesh.obj", "person/sheet.png")]
    for path in (tmp_path / "in/a.png", *earlier):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def fail(estimator, written, names, sidecars):
        written.fail("a.png", "no face found")
        return []

    monkeypatch.setattr(reconstruct.FaceReconstructor, "load", lambda config: SimpleNamespace(export=None))
    for name, stand_in in {
        "PersonEstimator": lambda reconstruct: None,
        "report_data": lambda reconstruct: None,
        "_reconstruct_person": fail,
    }.items():
        monkeypatch.setattr(reconstruct, name, stand_in)
    with pytest.raises(UserError, match=r"none of 1 reconstructed \(the first, a\.png: no face found"):
        reconstruct.reconstruct_people(schema.load(), tmp_path / "in", tmp_path / "out")
    assert not any(path.exists() for path in earlier)
