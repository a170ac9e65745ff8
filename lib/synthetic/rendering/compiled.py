"""NumPy wrappers of the project's geometry: traced graphs, because eager operators cost more than such small maths."""

import functools

import numpy as np
import tensorflow as tf

from lib.geometry import lighting
from lib.geometry.camera import Camera
from lib.geometry.normals import incident_triangles, vertex_normals
from lib.geometry.rotation import rotation_matrix

_INCIDENCE: dict[bytes, np.ndarray] = {}
# Maximum number of topologies per process: a face model's and the few shapes of hair; glasses have analytic normals.
_INCIDENCE_LIMIT = 32


@functools.cache
def _traced(function, *signature):
    """A graph for any number of points."""
    return tf.function(
        function, input_signature=[tf.TensorSpec(shape, dtype) for shape, dtype in signature], autograph=False
    )


def sh_basis(normals: np.ndarray) -> np.ndarray:
    """`lighting.sh_basis` for [N, 3] -> [N, 9] float64."""
    call = _traced(lighting.sh_basis, ((None, 3), tf.float64))
    return call(np.asarray(normals, np.float64)).numpy()


def shading(normals: np.ndarray, light: np.ndarray) -> np.ndarray:
    """`lighting.shading` for one face: [N, 3], [27] -> [N, 3] float32."""
    call = _traced(lighting.shading, ((1, None, 3), tf.float32), ((1, 27), tf.float32))
    return call(np.asarray(normals, np.float32)[None], np.asarray(light, np.float32)[None]).numpy()[0]


def normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """`normals.vertex_normals` for one mesh: [N, 3], [F, 3] -> [N, 3] float32."""
    key = triangles.tobytes() + len(vertices).to_bytes(8, "little")
    if key not in _INCIDENCE:
        if len(_INCIDENCE) >= _INCIDENCE_LIMIT:
            _INCIDENCE.clear()
        _INCIDENCE[key] = incident_triangles(triangles, len(vertices))
    incidence = _INCIDENCE[key]
    integers = ((None, 3), tf.int32), ((None, incidence.shape[1]), tf.int32)
    call = _traced(vertex_normals, ((1, None, 3), tf.float32), *integers)
    return call(np.asarray(vertices, np.float32)[None], triangles, incidence).numpy()[0]


def rotation(angles: np.ndarray) -> np.ndarray:
    """`rotation.rotation_matrix` for one face: [3] -> [3, 3] float64."""
    call = _traced(rotation_matrix, ((1, 3), tf.float64))
    return call(np.asarray(angles, np.float64)[None]).numpy()[0]


@functools.cache
def _projection(camera: Camera):
    return tf.function(camera.project, input_signature=[tf.TensorSpec((None, 3), tf.float64)], autograph=False)


def project(camera: Camera, points: np.ndarray) -> np.ndarray:
    """`Camera.project`: [M, 3] -> [M, 2] float64."""
    return _projection(camera)(np.asarray(points, np.float64)).numpy()


@functools.cache
def _clip_space(camera: Camera):
    return tf.function(
        camera.clip_coordinates, input_signature=[tf.TensorSpec((1, None, 3), tf.float32)], autograph=False
    )


def clip_coordinates(camera: Camera, points: np.ndarray) -> np.ndarray:
    """`Camera.clip_coordinates`: [N, 3] -> [1, N, 4] float32."""
    return _clip_space(camera)(np.asarray(points, np.float32)[None]).numpy()
