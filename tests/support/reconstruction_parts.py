"""Small, untrained components for tests of whole reconstructions; what is slow in them, done once for equal inputs."""

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from lib.face_image.cascade import Cascade
from lib.face_mesh.surface_points import SurfacePoints
from lib.face_model.face_model import FaceModel
from lib.geometry.camera import Camera
from lib.runtime.worker_pool import Outcome, run_in_processes
from model.dense_landmarks import source
from model.face_gcn import FaceGCN
from model.fitting.fitter import Fitter
from model.fitting.person import PersonFitter
from model.morphable_model import MorphableModel
from model.networks.encoding import EncodedFaces
from model.person import estimator
from model.preparation import prepare
from model.projection import SampledColours, projected_albedo
from model.reconstruction import face_reconstructor
from tests.support.faces import built_in_face

SIZE = 112

# What the detector found in all tests of this process; few photos are shown in many of them.
_FOUND: dict[tuple, tuple[np.ndarray, ...]] = {}


def untrained_parts(face_model: FaceModel | None = None) -> SimpleNamespace:
    """Components with an untrained regressor's answer: the mean face, frontal; the de-lit projection as texture.

    Args:
      face_model: the built-in face by default.
    """
    face_model, camera = face_model or built_in_face(2500), Camera((SIZE, SIZE))

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


@contextlib.contextmanager
def detected_once() -> Iterator[None]:
    """Within, the detector's cascade sees each picture once, and a face model's 468 points are looked up once."""
    detect, look_up = Cascade.detect, source.at_texture_coordinates
    points: dict[int, tuple[FaceModel, np.ndarray, SurfacePoints]] = {}

    def detected(self: Cascade, image: np.ndarray, smallest: int) -> tuple[np.ndarray, ...]:
        key = (image.shape, hashlib.sha256(image.tobytes()).digest(), smallest)
        if key not in _FOUND:
            _FOUND[key] = detect(self, image, smallest)
        return tuple(array.copy() for array in _FOUND[key])

    def looked_up(face_model: FaceModel, uv: np.ndarray) -> SurfacePoints:
        known = points.get(id(face_model))
        if known is None or not np.array_equal(known[1], uv):
            known = points[id(face_model)] = face_model, uv.copy(), look_up(face_model, uv)
        return known[2]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cascade, "detect", detected)
        patch.setattr(source, "at_texture_coordinates", looked_up)
        yield


@contextlib.contextmanager
def preparer_loaded_once() -> Iterator[None]:
    """Within, photos are prepared by networks that are loaded and traced once for all runs with the same options."""
    with pytest.MonkeyPatch.context() as patch, detected_once():
        patch.setattr(prepare, "use_one_thread", lambda hide_gpu: None)  # it would last beyond this test
        patch.setattr(prepare, "make_preparer", functools.cache(prepare.make_preparer))
        patch.setattr(prepare, "run_in_processes", in_this_process)
        yield


def in_this_process(
    jobs: Iterable[Any], make: Callable[..., Callable[[Any], Any]], arguments: tuple, workers: int
) -> Iterator[Outcome]:
    """In the place of `run_in_processes` with one process, which would load all networks again."""
    if workers > 1:
        yield from run_in_processes(jobs, make, arguments, workers)
        return
    function = make(*arguments)
    for job in jobs:
        yield Outcome(job, function(job))
