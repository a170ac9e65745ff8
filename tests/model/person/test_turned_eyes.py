"""A person whose eyes are turned, drawn over photos and frames as they were found."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from configs import schema
from lib.files.disk_list import DiskList
from model.person.files import PersonRecord, write_person
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.video.track import drawn
from tests.support.faces import coarse_head
from tests.support.reconstruction_parts import SIZE, untrained_parts

GAZE = np.array([0.5, 0.2])


@pytest.fixture(scope="module")
def reconstruct():
    """With the human head's face, which has eyeballs."""
    options = {"fit.steps": 0, "data.image_size": SIZE, "export.area": "face", "export.formats": ["ply"]}
    return FaceReconstructor(schema.load(overrides=options), untrained_parts(coarse_head("face")))


@pytest.fixture(scope="module")
def face(reconstruct):
    """Coefficients [K] and albedo [N, 3] of a person."""
    model = reconstruct.pipeline.face_model
    return np.zeros(model.layout.size, np.float32), np.float32(model.mean_albedo)


def test_a_photo_is_compared_with_the_person_who_looks_where_it_does(tmp_path, reconstruct, face):
    coefficients, albedo = face
    shown = reconstruct.draw(coefficients[None], tf.constant(albedo[None]), GAZE)
    seen, none = np.ones(len(albedo), np.float32), np.zeros(len(albedo), np.float32)
    records: DiskList[PersonRecord] = DiskList()
    records.append(
        PersonRecord(
            name="a",
            coefficients=coefficients,
            rgb=shown[..., :3],
            alpha=shown[..., 3],
            gaze=GAZE,
            albedo=albedo,
            visibility=seen,
            frontality=seen,
            lift=np.zeros(3, np.float32),
            hair=none,
            cloth=none,
            texture=None,
        )
    )
    write_person(tmp_path / "person", reconstruct, reconstruct.export, records)
    assert json.loads((tmp_path / "person/metrics.json").read_text())["psnr_merged"]["a"] > 60


def test_a_frame_is_drawn_over_with_eyes_that_look_where_its_own_do(reconstruct, face):
    coefficients, albedo = face
    track = SimpleNamespace(
        shown=[True, True], photo_to_crop=[np.eye(2, 3)] * 2, coefficients=np.stack([coefficients] * 2), gaze=None
    )
    frames = [np.zeros([SIZE, SIZE, 3], np.uint8)] * 2
    straight = list(drawn(reconstruct, frames, track, albedo))
    track.gaze = np.stack([np.zeros(2), GAZE])
    turned = list(drawn(reconstruct, frames, track, albedo))
    np.testing.assert_array_equal(turned[0], straight[0])
    expected = reconstruct.draw(coefficients[None], tf.constant(albedo[None]), GAZE)
    np.testing.assert_allclose(turned[1], np.rint(255 * expected[..., :3]), atol=1)
    assert np.abs(turned[1].astype(int) - straight[1]).max() > 50
