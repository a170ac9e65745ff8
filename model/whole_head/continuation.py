"""Continues what is known on the face over the rest of a whole head."""

from functools import cached_property

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import tensorflow as tf

from lib.face_model.face_model import FaceModel
from lib.mesh_export.texture_fill import edge_laplacian

# Skin known on the face fades, over about this many edges beyond it, into that expected there; its light fades faster:
# shade on the cheeks says little about the light on the back of the head.
SKIN_FADES, LIGHT_FADES = 30.0, 10.0


class Continuation:
    """Continues values of the face smoothly into those expected beyond it.

    Their difference solves the screened Laplace equation on the mesh.

    Args:
      head: the whole head; the vertices of the face come first.
      known: bool [N], vertices of the face whose values hold.
    """

    def __init__(self, head: FaceModel, known: np.ndarray):
        self._known = known
        self._laplacian = edge_laplacian(head.triangles, head.vertex_count)

    def __call__(self, values: tf.Tensor, expected: tf.Tensor, fading: float) -> tf.Tensor:
        """Values [1, N, 3] of the whole head: the face's where they hold, fading beyond into the expected ones.

        Args:
          values: [1, M, 3] of the face.
          expected: [1, N, 3] of the whole head.
          fading: `SKIN_FADES` or `LIGHT_FADES`.
        """
        wanted = expected.numpy()[0].astype(np.float64)
        difference = np.zeros_like(wanted)
        difference[: values.shape[1]] = values.numpy()[0] - wanted[: values.shape[1]]
        solve, border = self._membranes[fading]
        difference[~self._known] = solve(border @ difference[self._known])
        return tf.constant((wanted + difference)[None], tf.float32)

    def widened(self, part: np.ndarray) -> np.ndarray:
        """Bool [N], a part [N] of the vertices and their neighbours."""
        return (abs(self._laplacian) @ part > 0) | part

    @cached_property
    def _membranes(self):
        return {length: self._membrane(length) for length in (SKIN_FADES, LIGHT_FADES)}

    def _membrane(self, length: float):
        """The equation's solver, and the matrix from known values to its right side."""
        known, laplacian = self._known, self._laplacian.astype(np.float64)
        system = laplacian[~known] + scipy.sparse.identity(len(known), format="csr")[~known] / length**2
        return scipy.sparse.linalg.splu(system[:, ~known].tocsc()).solve, -system[:, known]
