"""What the regressor's task hands to an update."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from configs import schema
from lib.face_model.coefficients import Coefficients
from lib.geometry.camera import Camera
from lib.mesh_renderer.fragments import interpolate, rasterize
from lib.synthetic.face_set import FaceSet
from model.morphable_model import MorphableModel
from model.networks.identity import build_identity_network
from model.pretraining.regressor_task import RegressorTask
from tests.support.faces import built_in_face
from tests.support.helpers import eager_functions

SIZE, FACES = 48, 8
CAMERA = Camera((SIZE, SIZE))


def drawn(model: MorphableModel, coefficients: tf.Tensor) -> np.ndarray:
    """Pictures [B, SIZE, SIZE, 4] in [0, 1] of coefficients [B, K]; alpha on the face."""
    face = model.posed(coefficients, CAMERA)
    fragments = rasterize(CAMERA.clip_coordinates(face.vertices), model.triangles, CAMERA.image_size)
    colours = interpolate(face.albedo * face.shading, model.triangles, fragments)
    return np.clip(np.concatenate([colours, fragments.mask], axis=-1), 0, 1)


def test_mirrored_pictures_show_the_mirrored_truth():
    """As pretrain.mirror is by default."""
    face_model = built_in_face(2000)
    layout, generator = face_model.layout, np.random.default_rng(0)
    truth = layout.join(
        Coefficients(
            identity=generator.normal(size=(FACES, layout.identity)),
            expression=generator.normal(size=(FACES, layout.expression)),
            albedo=np.zeros((FACES, layout.albedo)),  # its asymmetric part has no mirrored coefficients
            angles=generator.uniform(0.2, 0.4, (FACES, 3)),
            light=generator.normal(0, 0.1, (FACES, 27)),
            translation=generator.normal(0, 0.1, (FACES, 3)),
        )
    ).astype(np.float32)
    model = MorphableModel(face_model)
    faces = FaceSet(Path(), np.uint8(np.round(255 * drawn(model, tf.constant(truth)))), truth, np.arange(FACES))
    config = schema.load(
        overrides={
            "regressor.width": 4, "regressor.image_size": SIZE, "identity.width": 4, "identity.image_size": SIZE,
            "pretrain.gain": 0.0, "pretrain.pattern": 0.0, "pretrain.noise": 0.0, "pretrain.background": 0.0,
            "pretrain.boxes": 0.0, "pretrain.coarse": 0.0, "pretrain.vertices": 50,
        }
    )  # fmt: skip
    assert config.pretrain.mirror
    with eager_functions():
        identity = build_identity_network(config.identity)
        task = RegressorTask(config, faces, np.arange(FACES), face_model, CAMERA, identity)
        images, alpha, seen_truth = (values.numpy() for values in task.inputs(np.arange(FACES), (1, 2)))
    mirrored = seen_truth[:, layout.slices["angles"].start + 1] < 0
    assert 0 < mirrored.sum() < FACES
    wanted = drawn(model, tf.constant(seen_truth))
    assert np.abs(alpha - wanted[..., 3:]).mean() < 2e-3, "single pixels on edges"
    sharp = wanted[..., :3]
    for pictures, alike in ((images, True), (images[:, :, ::-1], False)):
        # A quarter of the pictures is blurred.
        off = [np.abs(pictures - some).mean(axis=(1, 2, 3)) for some in (sharp, tf.nn.avg_pool2d(sharp, 3, 1, "SAME"))]
        assert (np.min(off, axis=0) < 2e-3).all() if alike else (np.min(off, axis=0) > 0.02).all()
