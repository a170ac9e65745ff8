"""Several photos of one person, and a short video, with the de-lit projection in the texture network's place."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import skimage.data
import tensorflow as tf
from PIL import Image

from configs import schema
from lib.geometry.camera import Camera
from lib.mesh_io import read_mesh
from lib.synthetic.face_generator import build_face_model
from model import components, person, video
from model.face_gcn import FaceGCN
from model.fitting_groups import PersonFitter, robust_mean, shared_slots
from model.fitting_terms import FitTargets
from model.morphable_model import MorphableModel
from model.projection import SampledColours, projected_albedo
from model.video_frames import FrameSource, write_video
from utils import UserError

SIZE = 112


@pytest.fixture(scope="module")
def parts():
    """Components with an untrained regressor's answer: the mean face, frontal."""
    face_model, camera = build_face_model(2500), Camera((SIZE, SIZE))

    def texture(embedding, coarse, colour, visibility, shading, training=False):
        return projected_albedo(coarse, SampledColours(colour, visibility), shading)

    return SimpleNamespace(
        face_model=face_model,
        camera=camera,
        chain=FaceGCN(MorphableModel(face_model), camera, texture),
        encode=lambda crops: (tf.zeros([1, face_model.layout.size]), tf.zeros([1, 4])),
    )


@pytest.fixture
def loaded(monkeypatch, parts):
    monkeypatch.setattr(components, "load", lambda config: parts)
    monkeypatch.setattr(components, "restore_texture_network", lambda loaded: None)
    return schema.load(overrides={"fit.steps": 10, "data.image_size": SIZE})


def portrait(shift=0):
    return np.ascontiguousarray(skimage.data.astronaut()[:300, 80 + shift : 380 + shift])


def test_a_misread_photo_hardly_moves_the_mean():
    vectors = np.random.default_rng(0).normal(0, 0.1, (5, 8))
    outlier = np.concatenate([vectors, np.full((1, 8), 50.0)])
    assert np.linalg.norm(robust_mean(outlier) - vectors.mean(axis=0)) < 0.5
    np.testing.assert_allclose(robust_mean(vectors[:1]), vectors[0])


@pytest.mark.parametrize("frozen", [False, True])
def test_rows_share_identity_and_albedo_alone(parts, frozen):
    morphable, camera = parts.chain.morphable, parts.camera
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


def test_albedo_comes_from_who_saw_it():
    albedos = np.stack([np.full((4, 3), 0.4), np.full((4, 3), 0.4)])
    albedos[0, 0], albedos[1, 0] = 0.8, 0.2  # only the first photo sees this vertex
    visibility = np.array([[1.0, 1, 1, 0], [0, 1, 1, 0]])
    merged = person.merge_albedos(albedos, visibility, np.ones((2, 4)))
    assert merged[0, 0] > 0.6
    np.testing.assert_allclose(merged[3], 0.4, atol=0.1)


def test_a_brighter_photo_leaves_no_seam():
    albedo = np.random.default_rng(2).uniform(0.3, 0.6, (50, 3))
    visibility = np.ones((3, 50))
    visibility[0, :25] = 0
    merged = person.merge_albedos(np.stack([albedo * 1.3, albedo, albedo]), visibility, np.ones((3, 50)))
    np.testing.assert_allclose(merged, albedo, rtol=0.02)


def test_a_person_and_the_one_photo_that_fails(tmp_path, loaded, parts):
    source = tmp_path / "in" / "anna"
    source.mkdir(parents=True)
    for index in range(2):
        Image.fromarray(portrait(4 * index)).save(source / f"{index}.png")
    (source / "broken.jpg").write_bytes(b"no photo")
    failed = person.reconstruct_people(loaded, tmp_path / "in", tmp_path / "out")
    assert list(failed) == ["anna/broken.jpg"]
    folder = tmp_path / "out" / "anna"
    vectors = [json.loads((folder / f"{i}/coefficients.json").read_text())["coefficients"] for i in range(2)]
    assert vectors[0]["identity"] == vectors[1]["identity"]
    assert vectors[0]["albedo"] == vectors[1]["albedo"]
    assert vectors[0]["angles"] != vectors[1]["angles"]
    vertices, _, colours = read_mesh(folder / "person" / "mesh.ply")
    assert vertices.shape == colours.shape == (parts.face_model.vertex_count, 3)
    assert set(json.loads((folder / "person/metrics.json").read_text())["psnr_merged"]) == {"0.png", "1.png"}
    assert (folder / "person/sheet.png").is_file()


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
    frames = [portrait(2 * index) for index in range(6)]
    frames[3] = np.full_like(frames[3], 90)
    write_video(tmp_path / "in.mp4", frames, 25.0)
    video.reconstruct_video(loaded, tmp_path / "in.mp4", tmp_path / "out")
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["bridged"] == [3]
    with np.load(tmp_path / "out/coefficients.npz") as track:
        x = track["landmarks"][..., 0].mean(axis=1)
        assert track["seen"].tolist() == [True, True, True, False, True, True]
    assert abs(x[3] - (x[2] + x[4]) / 2) < 1.0
    assert np.all(np.diff(x) < 0)  # the window moves to the right
    drawn = list(FrameSource(tmp_path / "out/overlay.mp4", 1.0))
    assert len(drawn) == 6
    assert drawn[0].shape == frames[0].shape


def test_a_text_is_no_video(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(UserError, match=r"a\.mp4: must be a video"):
        FrameSource(tmp_path / "a.mp4", 25.0)
