"""One photo with the default configuration and the shipped networks: each part of the method has its effect."""

import dataclasses

import numpy as np
import pytest
import skimage.data
import tensorflow as tf

from lib.face_mesh.groups import LIPS
from lib.face_model_files.human_head import ExtendedHead
from model.dense_landmarks.source import surface_points
from model.reconstruction import face_reconstructor
from model.reconstruction.draft import rgba
from model.reconstruction.face_reconstructor import FaceReconstructor

PORTRAIT = np.ascontiguousarray(skimage.data.astronaut())


@pytest.fixture(scope="module")
def reconstructor():
    # A run that nobody trains, so that the texture network is the shipped one.
    return FaceReconstructor.load(overrides={"train.suffix": "never", "export.texture_size": 256})


@pytest.fixture(scope="module")
def case(reconstructor):
    """The fitted draft of the portrait, and the photo around its face."""
    found = reconstructor.reader.find_in_array(PORTRAIT, "photo", 1)
    photo, region = reconstructor.reader.with_region("photo", found, found.faces[0])
    return reconstructor.fit([reconstructor.initial_estimate(photo)], reconstructor.fitter)[0], region


@pytest.fixture(scope="module")
def result(reconstructor, case):
    return reconstructor.finish(*case)


def lips_px(reconstructor, draft) -> float:
    """Mean distance of the lips' points of a draft from those that the network found."""
    pipeline = reconstructor.pipeline
    posed = pipeline.face_gcn.morphable.posed(tf.constant(draft.coefficients[None]), pipeline.camera)
    places = surface_points(reconstructor.config, pipeline.face_model).on(posed.vertices[0].numpy())
    fitted = pipeline.camera.project(tf.constant(places[None], tf.float32))[0].numpy()
    return float(np.linalg.norm(fitted - draft.mesh, axis=1)[list(LIPS)].mean())


def test_it_is_a_whole_head_that_looks_like_the_photo(reconstructor, result):
    metrics = result.metrics
    assert metrics["psnr_fine"] > 33
    assert metrics["psnr_fine"] > metrics["psnr_coarse"] + 10
    assert metrics["five_point_residual_px"] < 3
    assert metrics["coverage"] > 0.95
    config = reconstructor.config
    head = ExtendedHead.load(config.generated_dir, "face", "head", config.face_model.vertex_count).model
    assert len(result.vertices) == head.vertex_count > reconstructor.pipeline.face_model.vertex_count


def test_the_fit_follows_the_landmarks_and_the_lips_once_more(monkeypatch, reconstructor, case):
    draft, _ = case
    assert lips_px(reconstructor, draft) < 1.2
    start = reconstructor.initial_estimate(draft.photo)
    placed = dataclasses.replace(draft, coefficients=start.regressed)
    assert lips_px(reconstructor, start) < 0.7 * lips_px(reconstructor, placed)
    monkeypatch.setattr(face_reconstructor, "with_refined_lips", lambda moved, fit: moved)
    (unrefined,) = reconstructor.fit([start], reconstructor.fitter)
    assert lips_px(reconstructor, draft) < 0.97 * lips_px(reconstructor, unrefined)


def test_who_it_is_decides_the_texture(reconstructor, case, result):
    draft, region = case
    nobody = reconstructor.finish(dataclasses.replace(draft, embedding=-draft.embedding), region)
    assert np.abs(nobody.albedo - result.albedo).mean() > 1e-3


def test_the_eyes_look_where_the_photos_do(reconstructor, case, result):
    draft, region = case
    assert result.gaze is not None
    ahead = reconstructor.finish(dataclasses.replace(draft, irises=None), region)
    assert ahead.gaze is None
    eyes = reconstructor.pipeline.face_model.regions["eye"] > 0.5
    moved = np.linalg.norm((result.vertices - ahead.vertices)[: len(eyes)], axis=1)
    assert moved[eyes].max() > 1e-3
    assert np.abs(result.albedo - ahead.albedo)[: len(eyes)][eyes].max() > 0


def test_without_a_fit_only_the_light_is_not_the_regressors(monkeypatch, reconstructor, case):
    draft, _ = case
    monkeypatch.setattr(reconstructor, "steps", 0)
    pipeline = reconstructor.pipeline
    light = pipeline.face_model.layout.slices["light"]
    found = reconstructor.initial_estimate(draft.photo).coefficients
    regressed = pipeline.regress(rgba(draft.photo.rgb, draft.alpha)).coefficients[0].numpy()
    assert np.abs(found[light] - regressed[light]).max() > 0.05
    np.testing.assert_allclose(np.delete(found, light), np.delete(regressed, light), atol=1e-5)
