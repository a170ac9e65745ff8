"""A video's results replace those of an earlier run, and nothing else."""

from pathlib import Path

import numpy as np
import pytest

import main
from configs import schema
from lib.errors import UserError
from lib.files.csv_files import write_csv
from lib.files.json_files import write_json
from lib.files.numpy_files import write_npz
from lib.mesh_export.gltf import Material
from lib.mesh_export.rig import write_rig
from lib.mesh_export.usdz import write_usdz
from lib.runtime.interruption import Interrupted
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.video import live, outputs, track
from model.video.animation import FRAME_COLUMNS
from model.video.outputs import OVERLAY, check_replaceable, remove_earlier
from model.video.video_file import write_video
from tests.support.gltf.sheets import NAMES, PNG, WEIGHTS, sheet


@pytest.fixture
def clip(tmp_path):
    write_video(tmp_path / "in.mp4", [np.zeros((64, 64, 3), np.uint8)] * 2, 10.0)
    return tmp_path / "in.mp4"


@pytest.mark.parametrize("mode", [["test", "--video"], ["track", "--input"]])
def test_the_video_itself_is_not_replaced(tmp_path, clip, mode, monkeypatch):
    monkeypatch.setattr(main, "start_tensorflow", lambda seed: None)
    before = (path := clip.rename(tmp_path / OVERLAY)).read_bytes()
    with pytest.raises(UserError, match=r"must not hold the video as overlay\.mp4, got it there \(choose"):
        main.main(["--mode", *mode, str(path), "--output", str(tmp_path)])
    assert path.read_bytes() == before


@pytest.mark.parametrize("run", [live.track_video, track.reconstruct_video])
def test_told_to_stop_it_says_what_the_same_command_does(tmp_path, clip, run, monkeypatch):
    def stopped(config):
        raise Interrupted(number=15)

    monkeypatch.setattr(FaceReconstructor, "load", stopped)
    with pytest.raises(Interrupted) as told:
        run(schema.load(overrides={"test.smoothing": 1.0}), clip, tmp_path / "out")
    assert (told.value.number, told.value.advice) == (15, "the same command starts again with the first frame")


@pytest.mark.parametrize("run", [live.track_video, track.reconstruct_video])
def test_a_person_of_others_is_refused_before_the_work(tmp_path, clip, run, monkeypatch):
    (tmp_path / "out" / "person").mkdir(parents=True)
    (tmp_path / "out" / "person" / "mesh.obj").write_text("mine")
    monkeypatch.setattr(FaceReconstructor, "load", lambda *_: pytest.fail("the work must not begin"))
    with pytest.raises(UserError, match=r"mesh\.obj: must be an earlier result's file to be replaced, got another"):
        run(schema.load(), clip, tmp_path / "out")


@pytest.mark.parametrize(
    "name", ["summary.json", "arkit.csv", "pose.csv", "coefficients.npz", "rig.glb", "rig.usdz", OVERLAY]
)
def test_files_of_others_are_not_replaced(tmp_path, clip, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match=f"{name}: must be an earlier run's file to be replaced, got another one"):
        check_replaceable(clip, tmp_path)


def test_an_earlier_run_is_replaced(tmp_path, clip):
    write_video(tmp_path / OVERLAY, [np.zeros((64, 64, 3), np.uint8)], 10.0)
    write_json(tmp_path / "summary.json", {"frames": 1, "frame_rate": 10.0, "damaged": [], "key_frames": []})
    for name in ("arkit.csv", "pose.csv"):
        write_csv(tmp_path / name, [[*FRAME_COLUMNS, "jawOpen"]])
    write_npz(tmp_path / "coefficients.npz", {"seen": np.ones(1)}, compress=True)
    for name, write in (("rig.glb", write_rig), ("rig.usdz", write_usdz)):
        write(tmp_path / name, [sheet("face")], NAMES, WEIGHTS, Material(PNG))
    check_replaceable(clip, tmp_path)
    check_replaceable(clip, tmp_path / "new")
    remove_earlier(tmp_path)
    assert list(tmp_path.iterdir()) == [clip]


def test_an_overlay_alone_goes_before_what_tells_it(tmp_path, clip, monkeypatch):
    """A run that is killed meanwhile leaves nothing that the next one refuses."""
    for name in ("summary.json", OVERLAY):
        (tmp_path / name).write_bytes(b"x" * (name == OVERLAY))
    unlink = Path.unlink

    def killed(path, **more):
        unlink(path, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        remove_earlier(tmp_path)
    check_replaceable(clip, tmp_path)


def test_the_last_line_counts_what_is_there():
    assert outputs.some_of(0, "without the face", 0) == "none of them without the face"
    assert outputs.some_of(3, "without the face", 2) == "3 of them without the face (2 damaged)"
