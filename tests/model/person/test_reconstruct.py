"""Several photos of one person, and a short video, with the de-lit projection in the texture network's place."""

import csv
import dataclasses
import json
import zipfile

import numpy as np
import pytest
import skimage.data
import tensorflow as tf
import trimesh
from PIL import Image

from configs import schema
from lib.errors import UserError
from lib.face_model_files.human_head import ExtendedHead, HeadAroundFace
from lib.files.csv_files import write_csv
from lib.mesh_export.uv_chart import uncut
from model.fitting.energy import FitTargets
from model.fitting.person import PersonFitter, robust_mean, shared_slots
from model.person import reconstruct as person
from model.person.estimator import PersonEstimator, batches, spread
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.video import track as video
from model.video.frames import FrameSource, fill_gaps
from model.video.video_file import write_video
from model.whole_head.extension import HeadExtension
from tests.support.gltf.rigs import Rig
from tests.support.gltf.validator import faults
from tests.support.helpers import read_mesh
from tests.support.reconstruction_parts import SIZE, detected_once, fitters_traced_once, untrained_parts

SHOWN = 3  # photos of a person, and frames of a video that show one: steps of the fit are traced for each number


@pytest.fixture(scope="module")
def pipeline():
    return untrained_parts()


@pytest.fixture(scope="module")
def traced_once():
    with fitters_traced_once(), detected_once():
        yield


@pytest.fixture
def loaded(monkeypatch, pipeline, traced_once):
    monkeypatch.setattr("model.reconstruction.face_reconstructor.load_pipeline", lambda config: pipeline)
    monkeypatch.setattr("model.reconstruction.face_reconstructor.restore_texture_network", lambda loaded: None)
    return schema.load(overrides={"fit.steps": 10, "data.image_size": SIZE, "export.texture_size": 256})


@pytest.fixture
def unfitted(loaded):
    """For what does not depend on how well the faces fit."""
    return dataclasses.replace(loaded, fit=dataclasses.replace(loaded.fit, steps=0))


def portrait(shift=0):
    return np.ascontiguousarray(skimage.data.astronaut()[:300, 80 + shift : 380 + shift])


def test_a_misread_photo_hardly_moves_the_mean():
    vectors = np.random.default_rng(0).normal(0, 0.1, (5, 8))
    outlier = np.concatenate([vectors, np.full((1, 8), 50.0)])
    assert np.linalg.norm(robust_mean(outlier) - vectors.mean(axis=0)) < 0.5
    np.testing.assert_allclose(robust_mean(vectors[:1]), vectors[0])


@pytest.mark.parametrize("frozen", [False, True])
def test_rows_share_identity_and_albedo_alone(pipeline, frozen):
    morphable, camera = pipeline.face_gcn.morphable, pipeline.camera
    start = np.zeros([2, morphable.layout.size], np.float32)
    landmarks = morphable.posed(tf.constant(start), camera).landmarks
    fitter = PersonFitter(morphable, camera, frozen=frozen)
    targets = FitTargets(
        image=tf.constant(np.random.default_rng(1).uniform(0.3, 0.7, (2, SIZE, SIZE, 3)), tf.float32),
        alpha=tf.ones([2, SIZE, SIZE, 1]),
        points=fitter.five_points(landmarks) + tf.constant([[[2.0, 0.0]], [[-3.0, 1.0]]]),
        landmarks=landmarks,
        landmark_weight=tf.ones([2, 68]),
    )
    found = fitter.fit(targets, start, 4).coefficients
    shared = shared_slots(morphable.layout)
    np.testing.assert_array_equal(found[0, shared], found[1, shared])
    assert (np.abs(found[0, shared]).max() == 0) == frozen
    assert np.abs(found[0, ~shared] - found[1, ~shared]).max() > 1e-3


def test_every_photo_of_a_batch_has_its_share_of_the_fit():
    """A third of the joint fit, half of the batch's, and its own textures."""
    assert person.own_seconds(6.0, 3, 10.0, 2, 1.0) == 2 + 5 + 1


def test_a_person_and_the_one_photo_that_fails(tmp_path, loaded, unfitted, pipeline):
    source = tmp_path / "in" / "anna"
    source.mkdir(parents=True)
    for index in range(SHOWN):
        Image.fromarray(portrait(4 * index)).save(source / f"{index}.png")
    (source / "broken.jpg").write_bytes(b"no photo")
    assert list(person.reconstruct_people(loaded, tmp_path / "in", tmp_path / "out")) == ["anna/broken.jpg"]
    folder = tmp_path / "out" / "anna"
    vectors = [json.loads((folder / f"{i}/coefficients.json").read_text())["coefficients"] for i in range(SHOWN)]
    for name, shared in {"identity": True, "albedo": True, "angles": False, "expression": False}.items():
        assert (vectors[0][name] == vectors[1][name]) == shared, name
    vertices, triangles, colours = read_mesh(folder / "person" / "mesh.ply")
    assert vertices.shape == colours.shape == (pipeline.face_model.vertex_count, 3)
    np.testing.assert_array_equal(triangles, pipeline.face_model.triangles)
    textured = trimesh.load(folder / "person" / "mesh.obj", process=False)
    assert textured.visual.material.image.size == (256, 256)
    assert trimesh.load(folder / "person" / "mesh.glb").geometry.keys()
    assert "lit" not in (folder / "person" / "mesh.mtl").read_text()
    merged = json.loads((folder / "person/metrics.json").read_text())["psnr_merged"]
    assert set(merged) == {"anna/0", "anna/1", "anna/2"}
    assert (folder / "person/sheet.png").is_file()
    # Fewer formats another time: no mesh of this one stays behind.
    fewer = dataclasses.replace(unfitted, export=dataclasses.replace(loaded.export, formats=("ply",)))
    person.reconstruct_people(fewer, tmp_path / "in", tmp_path / "out")
    assert {path.name for path in (folder / "person").iterdir() if path.stem.startswith("mesh")} == {"mesh.ply"}


@pytest.fixture
def extended(monkeypatch, pipeline):
    """Exports continue the face by a triangle behind it, as they do the human head's by the rest of the head."""
    face, count = pipeline.face_model, pipeline.face_model.vertex_count
    corners = face.triangles[len(face.triangles) // 2]

    def more(rows, axis=0):
        return np.concatenate([rows, np.take(rows, corners, axis)], axis)

    arrays = {field.name: getattr(face, field.name) for field in dataclasses.fields(face)}
    arrays |= {name: more(arrays[name]) for name in ("mean_shape", "mean_albedo", "uv", "skin_mask", "front_mask")}
    arrays |= {name: more(arrays[name], 1) for name in ("identity_basis", "expression_basis", "albedo_basis")}
    regions = {**face.regions, "sky": np.ones(face.vertex_count), "scalp": np.zeros(face.vertex_count)}
    arrays["regions"] = {name: more(weights) for name, weights in regions.items()}
    arrays["triangles"] = np.concatenate([face.triangles, [[count, count + 1, count + 2]]]).astype(np.int32)
    arrays["mirror_index"] = np.concatenate([face.mirror_index, count + np.arange(3)]).astype(np.int32)
    arrays["mean_shape"][count:, 2] -= 1
    head = HeadAroundFace(**arrays)
    extension = HeadExtension(face, ExtendedHead(head, uncut(head.uv, head.triangles)), pipeline.camera, hair=False)
    monkeypatch.setattr(HeadExtension, "of", lambda *_: extension)
    return head


def test_a_person_is_exported_with_the_rest_of_the_head(tmp_path, unfitted, extended, pipeline):
    (tmp_path / "in").mkdir()
    Image.fromarray(portrait()).save(tmp_path / "in" / "a.png")
    assert person.reconstruct_people(unfitted, tmp_path / "in", tmp_path / "out") == {}
    vertices, triangles, _ = read_mesh(tmp_path / "out/person/mesh.ply")
    assert (len(vertices), len(triangles)) == (extended.vertex_count, len(extended.triangles))
    assert json.loads((tmp_path / "out/person/metrics.json").read_text())["psnr_merged"]["a"] > 15
    # Coefficients are the face's, whatever area exports show.
    made = [json.loads((tmp_path / "out" / name / "coefficients.json").read_text()) for name in ("a", "person")]
    assert {one["face_model"]["fingerprint"] for one in made} == {pipeline.face_model.fingerprint}
    reconstruct, layout = FaceReconstructor(unfitted, pipeline), pipeline.face_model.layout
    albedo, face = extended.mean_albedo, pipeline.face_model.mean_albedo
    frame = [reconstruct, portrait(), np.eye(2, 3), np.zeros(layout.size, np.float32)]
    np.testing.assert_array_equal(video.overlay(*frame, albedo), video.overlay(*frame, face))


def test_photos_of_equal_names_are_all_counted_and_a_photo_may_be_called_person(tmp_path, unfitted):
    for name in ("home/me.png", "work/me.png", "person.png"):
        (tmp_path / "in" / "anna" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(portrait()).save(tmp_path / "in" / "anna" / name)
    assert person.reconstruct_people(unfitted, tmp_path / "in", tmp_path / "out") == {}
    folder = tmp_path / "out" / "anna"
    counted = {"anna/home/me", "anna/work/me", "anna/person_png"}
    assert set(json.loads((folder / "person/metrics.json").read_text())["psnr_merged"]) == counted
    assert set(json.loads((folder / "person/coefficients.json").read_text())["photos"]) == counted
    assert (folder / "person_png" / "crop.png").is_file()
    assert not (folder / "person" / "crop.png").exists()


def test_photos_beside_folders_are_refused(tmp_path):
    (tmp_path / "anna" / "detections").mkdir(parents=True)
    (tmp_path / "anna" / "1.png").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    (tmp_path / ".DS_Store").write_bytes(b"")
    assert person.person_folders(tmp_path) == [tmp_path / "anna"]
    assert person.person_folders(tmp_path / "anna") == [tmp_path / "anna"]
    (tmp_path / "out" / "anna").mkdir(parents=True)
    (tmp_path / "out" / "anna" / "crop.png").write_bytes(b"")
    assert person.person_folders(tmp_path, tmp_path / "out") == [tmp_path / "anna"]
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match="side by side"):
        person.person_folders(tmp_path)


def test_a_video_with_a_gap(tmp_path, loaded):
    frames = [portrait(2 * index) for index in range(SHOWN + 1)]
    frames[2] = np.full_like(frames[2], 90)
    rate = 12.5  # other than test.frame_rate
    write_video(tmp_path / "in.mp4", frames, rate)
    rigged = dataclasses.replace(loaded, export=dataclasses.replace(loaded.export, formats=("rig", "usdz")))
    video.reconstruct_video(rigged, tmp_path / "in.mp4", tmp_path / "out")
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["bridged"] == [2]
    with np.load(tmp_path / "out/coefficients.npz") as track:
        x = track["landmarks"][..., 0].mean(axis=1)
        assert track["seen"].tolist() == [True, True, False, True]
    assert abs(x[2] - (x[1] + x[3]) / 2) < 1.0
    assert np.all(np.diff(x) < 0)  # the window moves to the right
    drawn = FrameSource(tmp_path / "out/overlay.mp4", 1.0)
    assert [frame.shape for frame in drawn] == [frames[0].shape] * 4
    assert (drawn.frame_rate, summary["frame_rate"]) == (rate, rate)
    with open(tmp_path / "out/arkit.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["frame"], row["seen"]) for row in rows[1:]] == [("1", "1"), ("2", "0"), ("3", "1")]
    assert rows[3]["seconds"] == "0.24"
    weights = np.array([[float(row[name]) for name in ("jawOpen", "eyeBlinkLeft")] for row in rows])
    assert ((weights > -0.05) & (weights < 1.05)).all()
    rig, still = (Rig.read(tmp_path / "out" / name) for name in ("rig.glb", "person/rig.glb"))
    face = rig.content["animations"][0]["samplers"][1]
    assert rig.values(face["input"])[:, 0] == pytest.approx(np.arange(4) / rate)
    played = rig.values(face["output"]).reshape(4, -1)[:, rig.names("face").index("jawOpen")]
    np.testing.assert_allclose(played, weights[:, 0], atol=1e-4)
    assert not np.any(still.mesh("face")["weights"])
    assert faults(tmp_path / "out/rig.glb", tmp_path / "out/person/rig.glb") == [[], []]
    assert {path.name for path in (tmp_path / "out").rglob("*.usdz")} == {"rig.usdz", "mesh.usdz"}
    with zipfile.ZipFile(tmp_path / "out/rig.usdz") as archive:
        assert b"blendShapeWeights.timeSamples = {0: " in archive.read("head.usda")


@pytest.mark.parametrize("content", ["text", "half a video"])
def test_what_is_no_video_is_one_line(tmp_path, content, capfd):
    if content == "text":
        (tmp_path / "a.mp4").write_text("no video")
    else:
        write_video(tmp_path / "a.mp4", [portrait()] * 8, 25.0)
        (tmp_path / "a.mp4").write_bytes((tmp_path / "a.mp4").read_bytes()[:9000])
    capfd.readouterr()
    with pytest.raises(UserError, match=r"a\.mp4: must be a video"):
        FrameSource(tmp_path / "a.mp4", 25.0)
    assert capfd.readouterr().err == ""


def test_an_overlay_that_cannot_be_written_costs_no_numbers(tmp_path, unfitted, monkeypatch):
    write_video(tmp_path / "in.mp4", [portrait()] * 3, 25.0)

    def broken(*_):
        raise UserError("overlay.mp4: OpenCV must be able to write MPEG-4")

    monkeypatch.setattr(video, "write_video", broken)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/overlay.mp4").write_bytes(b"of an earlier run")
    (tmp_path / "out/summary.json").touch()
    with pytest.raises(UserError, match="MPEG-4"):
        video.reconstruct_video(unfitted, tmp_path / "in.mp4", tmp_path / "out")
    numbers = ("coefficients.npz", "summary.json", "person/mesh.ply")
    assert all((tmp_path / "out" / name).is_file() for name in numbers)
    assert not (tmp_path / "out/overlay.mp4").exists()


def test_a_video_leaves_nothing_of_an_earlier_tracking(tmp_path, unfitted):
    write_video(tmp_path / "in.mp4", [portrait()] * 3, 25.0)
    write_csv(tmp_path / "out/pose.csv", [["frame", "seconds", "seen", "pitch"], [0, 0.0, 1, 2.0]])
    video.reconstruct_video(unfitted, tmp_path / "in.mp4", tmp_path / "out")
    assert (tmp_path / "out/arkit.csv").is_file()
    assert not (tmp_path / "out/pose.csv").exists()


def test_a_key_frame_that_vanishes_meanwhile_is_one_line(tmp_path, unfitted, monkeypatch):
    for index in range(3):
        Image.fromarray(portrait(2 * index)).save(tmp_path / f"{index}.png")
    tracked = video.track_face

    def track(*arguments):
        found = tracked(*arguments)
        (tmp_path / "1.png").unlink()
        return found

    monkeypatch.setattr(video, "track_face", track)
    with pytest.raises(UserError, match=rf"{tmp_path}: must stay as it is during the run, got a damaged or missing"):
        video.reconstruct_video(unfitted, tmp_path, tmp_path / "out")


def test_a_photo_that_is_replaced_meanwhile_fails_alone(tmp_path, unfitted, monkeypatch):
    """Its textures would be those of another picture under the old fit."""
    (tmp_path / "in").mkdir()
    for index in range(SHOWN):
        Image.fromarray(portrait(4 * index)).save(tmp_path / f"in/{index}.png")
    fitted = PersonEstimator.fit_shared

    def fit(estimator, gallery):
        Image.fromarray(portrait(40)).save(tmp_path / "in/1.png")
        return fitted(estimator, gallery)

    monkeypatch.setattr(PersonEstimator, "fit_shared", fit)
    failed = person.reconstruct_people(unfitted, tmp_path / "in", tmp_path / "out")
    assert failed == {"1.png": "must stay as it is during the run, got it replaced (run the same command again)"}
    assert not list((tmp_path / "out/1").glob("*"))
    assert (tmp_path / "out/person/mesh.obj").is_file()


def test_a_photo_whose_folder_holds_somebodys_own_files_is_left_out_before_the_fit(tmp_path, unfitted, monkeypatch):
    (tmp_path / "in").mkdir()
    for index in range(2):
        Image.fromarray(portrait(4 * index)).save(tmp_path / f"in/{index}.png")
    (tmp_path / "out/1").mkdir(parents=True)
    (tmp_path / "out/1/mesh.obj").write_bytes(b"mine")
    estimate, estimated = FaceReconstructor.initial_estimate, []

    def noted(reconstruct, photo):
        estimated.append(photo.name)
        return estimate(reconstruct, photo)

    monkeypatch.setattr(FaceReconstructor, "initial_estimate", noted)
    failed = person.reconstruct_people(unfitted, tmp_path / "in", tmp_path / "out")
    assert list(failed) == ["1.png"]
    assert "1/mesh.obj: must be an earlier result's file" in failed["1.png"]
    assert estimated == ["0.png"]
    assert (tmp_path / "out/1/mesh.obj").read_bytes() == b"mine"


def test_the_last_good_frame_stands_in_for_a_damaged_one():
    frames = [np.full((2, 2, 3), level, np.uint8) for level in range(3)]
    shown = [int(frame[0, 0, 0]) for frame in fill_gaps([None, frames[1], None, frames[2], None])]
    assert shown == [1, 1, 1, 2, 2]


def test_batches_are_bounded():
    assert list(batches(range(5), 2)) == [[0, 1], [2, 3], [4]]


def test_poses_far_apart_are_chosen():
    angles = np.zeros((20, 3))
    angles[7, 1], angles[13, 1] = 0.5, -0.6
    assert set(spread(angles, 3).tolist()) >= {7, 13}
    assert len(spread(angles[:2], 3)) == 2
