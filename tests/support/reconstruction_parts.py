"""Small, untrained components for tests of whole reconstructions."""

from types import SimpleNamespace

import tensorflow as tf

from lib.geometry.camera import Camera
from lib.synthetic.builtin.face_generator import build_face_model
from model.face_gcn import FaceGCN
from model.morphable_model import MorphableModel
from model.networks.encoding import EncodedFaces
from model.projection import SampledColours, projected_albedo

SIZE = 112


def untrained_parts() -> SimpleNamespace:
    """Components with an untrained regressor's answer: the mean face, frontal; the de-lit projection as texture."""
    face_model, camera = build_face_model(2500), Camera((SIZE, SIZE))

    def texture(embedding, coarse, colour, visibility, shading, training=False):
        return projected_albedo(coarse, SampledColours(colour, visibility), shading)

    return SimpleNamespace(
        face_model=face_model,
        camera=camera,
        face_gcn=FaceGCN(MorphableModel(face_model), camera, texture),
        encode=lambda crops: EncodedFaces(tf.zeros([1, face_model.layout.size]), tf.zeros([1, 2]), tf.ones([1, 2])),
        identity=SimpleNamespace(embedding_size=2),  # one person
    )
