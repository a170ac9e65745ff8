"""People none of whose photos can be reconstructed."""

from types import SimpleNamespace

import pytest

from configs import schema
from lib.errors import UserError
from model.person import reconstruct


@pytest.fixture
def people(tmp_path, monkeypatch):
    """The run over a folder of one person's photos, a.png; takes the stand-in for the work on them."""

    def run(reconstruct_person):
        monkeypatch.setattr(reconstruct.FaceReconstructor, "load", lambda config: SimpleNamespace(export=None))
        for name, stand_in in {
            "PersonEstimator": lambda reconstruct: None,
            "report_data": lambda reconstruct: None,
            "_reconstruct_person": reconstruct_person,
        }.items():
            monkeypatch.setattr(reconstruct, name, stand_in)
        return reconstruct.reconstruct_people(schema.load(), tmp_path / "in", tmp_path / "out")

    return run


def test_who_cannot_be_merged_is_told_apart_from_the_photos(tmp_path, monkeypatch, people, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.png").touch()
    counted = []

    def write_person(folder, *_):
        for name in ("mesh.obj", "sheet.png"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        raise ValueError("no skin")

    def done(estimator, written, names, sidecars):
        written.metrics["a.png"] = {}
        return ["record"]

    monkeypatch.setattr(reconstruct, "write_person", write_person)
    monkeypatch.setattr(reconstruct.ResultFolder, "finish", lambda self: counted.append((self.metrics, self.failed)))
    assert people(done) == {"person": "no skin"}
    assert counted == [({"a.png": {}}, {})]
    assert not any((tmp_path / "out/person").iterdir())
    assert "person: not merged, no skin" in capsys.readouterr().err


def test_a_folder_with_somebodys_own_files_is_refused_before_the_work(tmp_path, people):
    for path, content in ((tmp_path / "in/a.png", b""), (tmp_path / "out/person/mesh.obj", b"mine")):
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    began = []
    with pytest.raises(UserError, match=r"person/mesh\.obj: must be an earlier result's file to be replaced"):
        people(lambda *_: began.append(_))
    assert not began
    assert (tmp_path / "out/person/mesh.obj").read_bytes() == b"mine"


def test_who_fails_leaves_nothing_of_an_earlier_run(tmp_path, people):
    earlier = [tmp_path / "out" / name for name in ("a/mesh.obj", "person/mesh.obj", "person/sheet.png")]
    for path in (tmp_path / "in/a.png", *earlier):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def fail(estimator, written, names, sidecars):
        assert not any((tmp_path / "out/person").iterdir())  # so that a run that is stopped leaves none either
        written.fail("a.png", "no face found")
        return []

    with pytest.raises(UserError, match=r"none of 1 reconstructed \(the first, a\.png: no face found"):
        people(fail)
    assert not any(path.exists() for path in earlier)
