"""--mode track on a short clip, with the de-lit projection in the texture network's place."""

import dataclasses
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from configs import schema
from lib.errors import DiskFull, UserError
from lib.files.csv_files import write_csv
from lib.runtime.interruption import Interrupted
from model.dense_landmarks.source import SHIPPED, at_texture_coordinates, read_points
from model.video import live, track
from model.video.face_track import naming
from model.video.frames import FrameSource
from model.video.video_file import write_video
from tests.support.faces import coarse_head
from tests.support.gltf.rigs import Rig
from tests.support.helpers import csv_rows
from tests.support.photo_corpus import portrait
from tests.support.reconstruction_parts import SIZE, detected_once, untrained_parts

RATE = 12.5  # other than test.frame_rate


@pytest.fixture(scope="module")
def pipeline():
    with detected_once():
        yield untrained_parts()


@pytest.fixture
def config(monkeypatch, pipeline):
    monkeypatch.setattr("model.reconstruction.face_reconstructor.load_pipeline", lambda config: pipeline)
    monkeypatch.setattr("model.reconstruction.face_reconstructor.restore_texture_network", lambda loaded: None)
    return schema.load(
        overrides={
            "fit.steps": 0,
            "data.image_size": SIZE,
            "export.texture_size": 256,
            "export.formats": ["rig"],
        }
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A portrait that moves to the right, and is hidden in frames 8 to 10."""
    photo = np.asarray(portrait())
    frames = [np.roll(photo, 3 * index, axis=1) for index in range(16)]
    for index in (8, 9, 10):
        frames[index] = np.full_like(photo, 90)
    path = tmp_path_factory.mktemp("clip") / "in.mp4"
    write_video(path, frames, RATE)
    return path


def test_a_face_is_tracked_through_a_clip(tmp_path, config, clip):
    live.track_video(config, clip, tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["frames"], summary["without_face"], summary["damaged"]) == (16, [8, 9, 10], [])
    # Every 0.25 s.
    assert sorted(summary["key_frames"]) == ["frame 0", "frame 12", "frame 15", "frame 3", "frame 6"]
    assert summary["frame_rate"] == RATE
    assert summary["frames_per_second"] > 0
    times = summary["milliseconds"]
    assert times.keys() == {"read", "landmarks", "fit", "write", "delay"}
    assert all(0 < figures["median"] <= figures["95th_percentile"] for figures in times.values())
    assert times["delay"]["median"] >= times["landmarks"]["median"]
    pose, weights = csv_rows(tmp_path / "pose.csv"), csv_rows(tmp_path / "arkit.csv")
    assert [row["seen"] for row in pose] == [row["seen"] for row in weights] == ["1"] * 8 + ["0"] * 3 + ["1"] * 5
    moved = np.diff([float(row["x"]) for row in pose])
    assert np.median(moved[3:7]) == pytest.approx(3, abs=1)
    assert moved[8] == moved[9] == 0
    assert abs(float(pose[4]["yaw"])) < 20
    assert {"jawOpen", "eyeBlinkLeft"} <= weights[0].keys()
    with np.load(tmp_path / "coefficients.npz") as arrays:
        assert arrays["landmarks"].shape == (16, 68, 2)
        x = arrays["landmarks"][:, :, 0].mean(axis=1)
        np.testing.assert_allclose(np.diff(x[11:]), 3, atol=2)
        assert arrays["seen"].sum() == 13
    rig = Rig.read(tmp_path / "rig.glb")
    face = rig.content["animations"][0]["samplers"][1]
    np.testing.assert_allclose(rig.values(face["input"])[:, 0], np.arange(16) / RATE, atol=1e-6)
    assert [float(row["seconds"]) for row in pose] == [round(frame / RATE, 4) for frame in range(16)]
    overlay = FrameSource(tmp_path / "overlay.mp4", 1.0)
    assert (len(list(overlay)), overlay.frame_rate) == (16, RATE)
    assert (tmp_path / "person/rig.glb").is_file()


@pytest.mark.parametrize("run", [live.track_video, track.reconstruct_video])
def test_eyeballs_look_where_the_person_looks(tmp_path, clip, run, monkeypatch):
    head, shipped = untrained_parts(coarse_head("face")), read_points(SHIPPED["human head"]).uv
    # Which is near enough: to calibrate the coarse head takes half a minute.
    points = at_texture_coordinates(head.face_model, shipped)
    monkeypatch.setattr("model.reconstruction.face_reconstructor.surface_points", lambda *_: points)
    monkeypatch.setattr("model.reconstruction.face_reconstructor.load_pipeline", lambda config: head)
    monkeypatch.setattr("model.reconstruction.face_reconstructor.restore_texture_network", lambda loaded: None)
    overrides = {"fit.steps": 0, "data.image_size": SIZE, "export.texture_size": 256, "export.formats": ["rig"]}
    config = schema.load(overrides=overrides | {"export.area": "face", "data.root_dir": str(tmp_path)})
    write_video(tmp_path / "in.mp4", list(FrameSource(clip, 1.0))[:3], RATE)
    with detected_once():
        run(config, tmp_path / "in.mp4", tmp_path / "out")
    looks = [
        [float(row[name]) for name in row if name.startswith("eyeLook")] for row in csv_rows(tmp_path / "out/arkit.csv")
    ]
    assert np.shape(looks) == (3, 8)
    rig = Rig.read(tmp_path / "out/rig.glb")
    moving = {rig.content["nodes"][one["target"]["node"]]["name"] for one in rig.content["animations"][0]["channels"]}
    assert {"eyeLeft", "eyeRight"} <= moving
    if run is live.track_video:  # the other does not look for the irises of faces that it does not fit
        assert np.max(looks) > 0.05


def test_told_to_stop_it_keeps_the_frames_before(tmp_path, config, clip, monkeypatch):
    add = live.FrameTables.add

    def stopping(tables, face, seconds):
        add(tables, face, seconds)
        if len(csv_rows(tmp_path / "pose.csv")) == 5:
            assert not any((tmp_path / name).exists() for name in earlier)
            os.kill(os.getpid(), signal.SIGTERM)

    earlier = ("rig.glb", "overlay.mp4", "summary.json", "coefficients.npz")
    for name in earlier:
        (tmp_path / name).touch()
    monkeypatch.setattr(live.FrameTables, "add", stopping)
    plain = dataclasses.replace(config, export=dataclasses.replace(config.export, formats=()))
    with pytest.raises(Interrupted, match=f"the first 5 frames are in {tmp_path}, without overlay.mp4") as stopped:
        live.track_video(plain, clip, tmp_path)
    assert stopped.value.number == signal.SIGTERM
    assert not (tmp_path / "rig.glb").exists()
    assert json.loads((tmp_path / "summary.json").read_text())["frames"] == 5
    assert len(csv_rows(tmp_path / "arkit.csv")) == 5
    assert not (tmp_path / "overlay.mp4").exists()


def test_a_run_that_fails_leaves_no_tables_of_an_earlier_one(tmp_path, config, clip, monkeypatch):
    def full(*_):
        raise DiskFull("mesh.obj: must fit on its disk")

    monkeypatch.setattr(live, "write_person", full)
    for name in ("pose.csv", "arkit.csv"):
        write_csv(tmp_path / name, [["frame", "seconds", "seen"]])
    with pytest.raises(DiskFull):
        live.track_video(config, clip, tmp_path)
    assert not [path.name for path in tmp_path.iterdir() if path.is_file()]


def test_a_clip_without_a_face_is_one_line(tmp_path, config):
    write_video(tmp_path / "in.mp4", [np.full((120, 120, 3), 90, np.uint8)] * 3, RATE)
    with pytest.raises(UserError, match=r"in\.mp4: at least one frame must show a face, got none in 3"):
        live.track_video(config, tmp_path / "in.mp4", tmp_path / "out")


def test_a_clip_without_a_face_that_can_be_tracked_is_named():
    wanted = r"in\.mp4: at least one frame must show a face that can be tracked, got none in 3"
    with pytest.raises(UserError, match=wanted), naming(Path("in.mp4")):
        live._joined(None, None, [None] * 3, {})
