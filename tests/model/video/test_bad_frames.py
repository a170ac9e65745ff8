"""Frames that fail: they are left out, and the others make the result."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from configs import schema
from lib.errors import UserError
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.tracking.stages import StageTimes
from model.tracking.tracker import TrackedFace
from model.video import face_track, live, track
from model.video.frames import FrameSource
from tests.support.photo_corpus import portrait
from tests.support.reconstruction_parts import SIZE, detected_once, untrained_parts


@pytest.fixture(scope="module")
def pipeline():
    with detected_once():
        yield untrained_parts()


@pytest.fixture
def run(tmp_path, monkeypatch, pipeline):
    """Reconstructs five frames, 1 to 5, after one that is damaged."""
    monkeypatch.setattr("model.reconstruction.face_reconstructor.load_pipeline", lambda config: pipeline)
    monkeypatch.setattr("model.reconstruction.face_reconstructor.restore_texture_network", lambda loaded: None)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/0.png").write_text("damaged")
    for number in range(1, 6):
        Image.fromarray(np.roll(np.asarray(portrait()), 3 * number, axis=1)).save(tmp_path / f"in/{number}.png")
    config = schema.load(overrides={"fit.steps": 0, "data.image_size": SIZE, "export.formats": []})

    def run():
        track.reconstruct_video(config, tmp_path / "in", tmp_path / "out")

    return run


def failing(monkeypatch, method, *names):
    """Makes a method of the reconstructor, of a photo or a draft, fail on frames."""
    original = getattr(FaceReconstructor, method)

    def call(self, given, *more):
        if getattr(given, "photo", given).name in names:
            raise ValueError(f"no {method}")
        return original(self, given, *more)

    monkeypatch.setattr(FaceReconstructor, method, call)


def test_a_run_that_ends_while_it_writes_leaves_no_earlier_motion(tmp_path, run, monkeypatch):
    run()
    names = {"overlay.mp4", "summary.json", "coefficients.npz", "arkit.csv"}
    assert names <= {path.name for path in (tmp_path / "out").iterdir()}

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(track, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()} == {"coefficients.npz"}


def test_frames_that_fail_are_bridged(tmp_path, run, monkeypatch, capsys):
    failing(monkeypatch, "initial_estimate", "frame 2")
    failing(monkeypatch, "gaze", "frame 4")
    run()
    said = capsys.readouterr()
    assert "frame 2: left out, no initial_estimate" in said.err
    assert "frame 4: left out, no gaze" in said.err
    assert "6 frames, 2 of them bridged for lack of a face; results in " in said.out
    assert "nothing is drawn on 1 frame without a face: 0\n" in said.out
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert (summary["bridged"], summary["damaged"], summary["without_face"]) == ([2, 4], [0], [0])
    assert summary["other_people"] == []
    photos = json.loads((tmp_path / "out/person/coefficients.json").read_text())["photos"]
    assert sorted(photos) == ["frame 1", "frame 3", "frame 5"]


def test_the_table_has_the_times_of_the_frames(tmp_path, run, monkeypatch):
    images = FrameSource._images
    monkeypatch.setattr(FrameSource, "_images", lambda *_: ((frame, time**2) for frame, time in images(*_)))
    run()
    with open(tmp_path / "out/arkit.csv", newline="") as stream:
        assert [float(row["seconds"]) for row in csv.DictReader(stream)] == [round((n / 25) ** 2, 4) for n in range(6)]


def test_without_any_key_frame_the_track_is_there_and_no_person_of_an_earlier_run(tmp_path, run, monkeypatch):
    (tmp_path / "out/person").mkdir(parents=True)
    (tmp_path / "out/person/mesh.obj").touch()
    failing(monkeypatch, "finish", *(f"frame {number}" for number in range(6)))
    with pytest.raises(UserError, match=r"in: at least one key frame must be reconstructed, got none of 5"):
        run()
    assert (tmp_path / "out/coefficients.npz").is_file()
    assert not any((tmp_path / "out/person").iterdir())


def test_a_video_none_of_whose_frames_can_be_fitted_is_named(run, monkeypatch):
    failing(monkeypatch, "gaze", *(f"frame {number}" for number in range(6)))
    with pytest.raises(UserError, match=r"in: at least one frame must show a face that can be fitted, got none in 6"):
        run()


def test_a_person_needs_a_key_frame():
    def fail(drafts):
        raise ValueError

    layout = SimpleNamespace(split=lambda rows: SimpleNamespace(angles=rows))
    pipeline = SimpleNamespace(face_model=SimpleNamespace(layout=layout))
    estimator = SimpleNamespace(reconstruct=SimpleNamespace(pipeline=pipeline), fit_each=fail)
    drafts = [SimpleNamespace(photo=SimpleNamespace(name=f"frame {number}")) for number in range(2)]
    gallery = SimpleNamespace(drafts=drafts, regressed=np.zeros([2, 3]))
    with pytest.raises(face_track.NoFace, match="at least one key frame must show a face that can be fitted, got none"):
        face_track.estimate_person(estimator, gallery, [0, 1])


def test_tracking_goes_on_after_a_frame_that_fails(capsys):
    def tracker(frame, seconds):
        if frame[0]:
            raise ValueError("no eyes")
        return face

    face = TrackedFace(np.zeros(3), np.zeros(3), np.zeros(3), np.eye(2, 3))
    frames = [np.array([number == 1]) for number in range(3)]
    added = []
    more = {"__iter__": lambda self: iter(frames), "seconds": [0.0, 0.05, 0.08], "ratio": np.array([2.0, 2.0])}
    source = type("Source", (), more)()
    tables = SimpleNamespace(add=lambda face, seconds: added.append((face, seconds)))
    stop = SimpleNamespace(requested=False)
    faces, damaged = live._track_frames(tracker, source, tables, StageTimes(), stop)
    assert (faces, damaged) == ([face, None, face], [])
    assert [(tracked is None, seconds) for tracked, seconds in added] == [(False, 0), (True, 0.05), (False, 0.08)]
    np.testing.assert_allclose(added[0][0].photo_to_crop, np.eye(2, 3) / 2)
    assert "frame 1: left out, no eyes" in capsys.readouterr().err
