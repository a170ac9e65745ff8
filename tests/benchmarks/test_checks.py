"""Benchmarks that judge results: what they refuse, leave out, count, and end with."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import detector_check, judges, provenance, rigs, tracking, viewer_check
from configs import schema
from lib.errors import UserError
from tests.support.gltf import validator


@pytest.fixture
def made(monkeypatch):
    """Test mode and the judges' networks, replaced; the commands of test mode that were run."""
    commands = []

    def run(command):
        commands.append(command)
        output = judges.Path(command[5])
        for name in ("a/portrait", "b/portrait"):
            (output / name).mkdir(parents=True)
            (output / name / "coefficients.json").write_text("{}")
        (output / "summary.json").write_text('{"seconds_per_photo": 1.0}')
        return 0

    monkeypatch.setattr(judges.program, "main", run)
    for name in ("load_face_model", "Recogniser", "surface_points"):
        monkeypatch.setattr(judges, name, lambda *_: None)
    monkeypatch.setattr(judges.Result, "read", lambda folder: folder)
    monkeypatch.setattr(judges, "judge_photo", lambda folder, *_: {"folder": folder.parent.name})
    monkeypatch.setattr(judges, "summarise", lambda photos: {})
    return commands


def test_photos_of_one_name_in_two_folders_are_judged_apart(made, tmp_path):
    photos = judges.judge(tmp_path, tmp_path / "results", [])["photos"]
    assert photos == {"a/portrait": {"folder": "a"}, "b/portrait": {"folder": "b"}}


def test_results_are_used_again_for_the_same_photos_and_options_only(made, tmp_path):
    (source := tmp_path / "photos").mkdir()
    for _ in range(2):
        judges.judge(source, tmp_path / "results", ["fit.steps=3"])
    assert len(made) == 1
    for folder, options in ((source, []), (tmp_path / "others", ["fit.steps=3"])):
        with pytest.raises(UserError, match="must hold the results of"):
            judges.judge(folder, tmp_path / "results", options)
    (tmp_path / "results" / judges.MADE_BY).unlink()
    with pytest.raises(UserError, match="got None"):
        judges.judge(source, tmp_path / "results", ["fit.steps=3"])


def test_results_of_other_photos_networks_or_code_are_not_judged_as_todays(made, tmp_path, monkeypatch):
    (source := tmp_path / "photos").mkdir()
    (source / "a.png").write_bytes(b"one")
    options = [f"data.root_dir={tmp_path}", "texture.weights=other.npz"]
    judges.judge(source, tmp_path / "results", options)
    best = schema.load(None, options).run_dir / "best.npz"
    best.parent.mkdir(parents=True)
    best.write_bytes(b"trained meanwhile")
    with pytest.raises(UserError, match=r"must hold the results of networks \w+, got \w+ \(choose"):
        judges.judge(source, tmp_path / "results", options)
    best.unlink()
    (source / "a.png").write_bytes(b"two")
    with pytest.raises(UserError, match="must hold the results of files"):
        judges.judge(source, tmp_path / "results", options)
    (source / "a.png").write_bytes(b"one")
    monkeypatch.setattr(provenance, "code_version", lambda: "another")
    with pytest.raises(UserError, match="must hold the results of code another"):
        judges.judge(source, tmp_path / "results", options)
    assert len(made) == 1


def test_a_clip_shorter_than_the_frames_to_compare_is_compared_as_a_whole(tmp_path, monkeypatch):
    motion = tracking.Motion(np.zeros((5, 4)), np.zeros((5, 68, 2)), None)
    described, fitted = [], []
    reconstruct = SimpleNamespace(pipeline=SimpleNamespace(face_model=None))
    monkeypatch.setattr(tracking.FaceReconstructor, "load", lambda config: reconstruct)
    monkeypatch.setattr(tracking, "synthetic", lambda *_: (tmp_path, motion))
    monkeypatch.setattr(tracking, "FrameSource", lambda *_: None)
    monkeypatch.setattr(tracking, "track", lambda *_: (motion, np.ones(5, bool)))

    def fit(config, reconstruct, frames, count):
        fitted.append(count)
        return motion.some(np.arange(count)), np.ones(count, bool)

    monkeypatch.setattr(tracking, "fit_as_video", fit)
    monkeypatch.setattr(tracking, "describe", lambda model, *parts: described.append(parts))
    monkeypatch.setattr(sys, "argv", ["tracking", "--frames", "5"])
    tracking.main()
    assert fitted == [5]
    assert [len(true.landmarks) for _, true, _ in described] == [5, 5, 5]


def test_rigs_are_counted_and_earlier_results_refused(tmp_path, monkeypatch, capsys):
    output, faces = tmp_path / "out", {"reconstructed": 2}

    def reconstruct(config, source, folder):
        folder.mkdir()
        (folder / "rig.glb").touch()
        (folder / "summary.json").write_text(json.dumps(faces))
        return {}

    monkeypatch.setattr("model.reconstruction.folder.reconstruct_folder", reconstruct)
    monkeypatch.setattr(validator, "messages", lambda *paths: [[] for _ in paths])
    command = ["--input", str(tmp_path), "--output", str(output)]
    assert rigs.main(command) == 1
    assert "1 rigs of 2 faces" in capsys.readouterr().out
    assert rigs.main(command) == 2
    assert "must be empty or new" in capsys.readouterr().err
    faces["reconstructed"] = 1
    assert rigs.main([*command[:3], str(tmp_path / "new")]) == 0

    def missing(*paths):
        raise validator.Missing("needs node")

    monkeypatch.setattr(validator, "messages", missing)
    assert rigs.main([*command[:3], str(tmp_path / "third")]) == 2
    assert not (tmp_path / "third").exists()


BROWSER = f"""#!{sys.executable}
import json, sys, urllib.parse, urllib.request
page = sys.argv[-1]
def ask(path, body=None):
    return urllib.request.urlopen(urllib.request.Request(page + path, data=body)).read()
for job in json.loads(ask("jobs")):
    assert ask(job["glb"].lstrip("/")) == b"mesh"
    ask("result/" + urllib.parse.quote(job["name"], safe=""), b"data:image/png;base64," + b"%PNG%")
ask("result/done", b"")
"""


def test_the_viewer_draws_photos_whose_names_have_blanks_and_signs(tmp_path):
    folder = tmp_path / "results" / "a photo#1 50%"
    folder.mkdir(parents=True)
    for name in ("mesh.glb", "mesh_lit.glb"):
        (folder / name).write_bytes(b"mesh")
    pose = {"rotation": np.eye(3).tolist(), "translation": [0, 0, 0]}
    content = {"camera": {"focal_length": 100, "distance": 10}, "crop_size": 8, "pose": pose}
    (folder / "coefficients.json").write_text(json.dumps(content))
    browser = tmp_path / "browser"
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
    browser.write_text(BROWSER.replace("%PNG%", pixel))
    browser.chmod(0o755)
    arguments = SimpleNamespace(three=tmp_path, results=tmp_path / "results", chromium=str(browser), seconds=20)
    drawn = viewer_check.draw(viewer_check.jobs_of(folder), arguments)
    assert f"{folder.name}-photo" in drawn
    assert len(drawn) == 7
    assert "encodeURIComponent(name)" in viewer_check.PAGE


@pytest.mark.parametrize(("found", "code"), [(0, 0), (4, 0), (5, 1)])
def test_controls_fail_if_faces_without_features_are_found(monkeypatch, found, code):
    monkeypatch.setattr(detector_check, "load_face_model", lambda config: None)
    for name in ("flat_albedo", "featureless_shape"):
        monkeypatch.setattr(detector_check, name, lambda *_: None)
    finding = SimpleNamespace(confidence=1.0, errors=np.zeros(5))
    monkeypatch.setattr(detector_check, "check", lambda *_: ([], [finding] * found + [None] * (100 - found)))
    assert detector_check.main(["--controls", "--count", "100"]) == code
