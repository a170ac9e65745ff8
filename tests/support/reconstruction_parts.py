"""Small, untrained components for tests of whole reconstructions, and steps of the fit traced once."""

import contextlib
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import tensorflow as tf

from lib.geometry.camera import Camera
from model.face_gcn import FaceGCN
from model.fitting.fitter import Fitter
from model.fitting.person import PersonFitter
from model.morphable_model import MorphableModel
from model.networks.encoding import EncodedFaces
from model.person import estimator
from model.projection import SampledColours, projected_albedo
from model.reconstruction import face_reconstructor
from tests.support.faces import built_in_face

SIZE = 112


def untrained_parts() -> SimpleNamespace:
    """Components with an untrained regressor's answer: the mean face, frontal; the de-lit projection as texture."""
    face_model, camera = built_in_face(2500), Camera((SIZE, SIZE))

    def texture(embedding, coarse, colour, visibility, shading, training=False):
        return projected_albedo(coarse, SampledColours(colour, visibility), shading)

    return SimpleNamespace(
        face_model=face_model,
        camera=camera,
        face_gcn=FaceGCN(MorphableModel(face_model), camera, texture),
        regress=lambda crops: EncodedFaces(tf.zeros([1, face_model.layout.size]), tf.zeros([1, 2]), tf.ones([1, 2])),
        regressed_errors=None,
        with_light=lambda coefficients, crops: tf.convert_to_tensor(coefficients),
        identity=SimpleNamespace(embedding_size=2),  # one person
    )


@contextlib.contextmanager
def fitters_traced_once():
    """Within, fitters with equal arguments are one object, whose steps are traced once for all tests of a module."""
    made: dict[tuple, Fitter] = {}

    def once(kind: type[Fitter]) -> Callable[..., Fitter]:
        def make(model: MorphableModel, camera: Camera, *settings, **more) -> Fitter:
            key = (kind, id(model), camera, repr(settings), repr(more))
            if key not in made:
                made[key] = kind(model, camera, *settings, **more)
            return made[key]

        return make

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(face_reconstructor, "Fitter", once(Fitter))
        patch.setattr(estimator, "PersonFitter", once(PersonFitter))
        yield
