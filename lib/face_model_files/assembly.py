"""A complete face model from whatever a publisher gives: the rest is carried over from another model."""

import numpy as np

from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.face_model_files.completion import cylindrical_chart, mirror_by_position
from lib.face_model_files.correspondence import Correspondence

# dm: vertices farther from the warped source face than this are no face (back of the head, neck, shoulders).
FACE_REACH = 0.3


def assemble(
    where: str,
    name: str,
    shape: np.ndarray,
    triangles: np.ndarray,
    landmarks: np.ndarray,
    source: FaceModel,
    identity: np.ndarray | None = None,
    expression: np.ndarray | None = None,
    mean_albedo: np.ndarray | None = None,
    albedo: np.ndarray | None = None,
    uv: np.ndarray | None = None,
    expression_names: tuple[str, ...] = (),
    face_only: bool = False,
    mirror: np.ndarray | None = None,
) -> FaceModel:
    """Centres a model, finds its symmetry and fills what is None from the source.

    Args:
      where: file or folder, for messages.
      name: of the model.
      shape: [N, 3] mean face, dm, axes of `FaceModel`, plane of symmetry at x = 0.
      triangles: [F, 3] counter-clockwise from outside.
      landmarks: [68] vertices.
      source: a complete model, its albedo, regions and masks are carried over.
      identity, expression: [K, N, 3] dm for coefficients of unit variance.
      mean_albedo, albedo: [N, 3] and [K, N, 3], RGB in [0, 1].
      uv: [N, 2]; by default a cylindrical chart.
      expression_names: one for each expression, or empty.
      face_only: leaves out what is far from any face: back of the head, neck.
      mirror: [N] the vertex on the other side, by default found by position; not together with `face_only`.

    Raises:
      UserError: shapes or indices do not fit together.
    """
    if face_only:
        kept = _face_area(shape, triangles, landmarks, source)
        place = np.cumsum(kept) - 1
        triangles = place[triangles[kept[triangles].all(axis=1)]]
        landmarks, shape = place[landmarks], shape[kept]
        identity, expression, albedo = (None if b is None else b[:, kept] for b in (identity, expression, albedo))
        mean_albedo, uv = (None if a is None else a[kept] for a in (mean_albedo, uv))
    mirror = mirror_by_position(shape) if mirror is None else mirror
    shape = shape - shape.mean(axis=0)
    match = Correspondence(shape, triangles, landmarks, mirror, source)
    if expression is None and not expression_names:
        expression_names = source.expression_names
    try:
        return FaceModel(
            name=name,
            mean_shape=shape,
            identity_basis=match.carry(source.identity_basis) if identity is None else identity,
            expression_basis=match.carry(source.expression_basis) if expression is None else expression,
            mean_albedo=match.carry(source.mean_albedo) if mean_albedo is None else mean_albedo,
            albedo_basis=match.carry(source.albedo_basis) if albedo is None else albedo,
            triangles=triangles,
            landmarks=landmarks,
            skin_mask=match.mask(source.skin_mask),
            front_mask=match.mask(source.front_mask) & (match.distance < FACE_REACH),
            mirror_index=mirror,
            uv=cylindrical_chart(shape) if uv is None else uv,
            regions=match.regions(),
            expression_names=expression_names,
        )
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def _face_area(shape: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray, source: FaceModel) -> np.ndarray:
    """[N] vertices that are near the face, or landmarks, and corners of a triangle of such vertices."""
    near = Correspondence(shape, triangles, landmarks, np.arange(len(shape)), source).distance < FACE_REACH
    near[landmarks] = True
    used = np.zeros(len(shape), bool)
    used[triangles[near[triangles].all(axis=1)]] = True
    return used
