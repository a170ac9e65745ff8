"""Assembly of complete face models from published parts; missing parts are transferred from another model."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lib.errors import UserError
from lib.face_model.face_model import LANDMARKS, FaceModel
from lib.face_model_files.completion import cylindrical_chart, mirror_by_position
from lib.face_model_files.correspondence import find_correspondence
from lib.face_model_files.landmark_files import FILE

# Maximum distance [dm] of face vertices from the warped source face; beyond are the back of the head, neck, shoulders.
FACE_REACH = 0.3


@dataclass(frozen=True)
class PublishedModel:
    """The published parts of a face model; None marks a missing part.

    Attributes:
      where: file or folder, for error messages.
      name: of the model.
      shape: [N, 3] mean face, dm, axes as in `FaceModel`, plane of symmetry at x = 0.
      triangles: [F, 3] counter-clockwise from outside.
      landmarks: [68] vertices.
      identity, expression: [K, N, 3] dm for coefficients of unit variance.
      mean_albedo, albedo: [N, 3] and [K, N, 3], RGB in [0, 1].
      uv: [N, 2].
      expression_names: one for each expression, or empty.
      expression_strength: as in `FaceModel`.
      mirror: [N] mirrored vertex of each vertex.
      marks: file of the landmarks, for error messages; None if they are in `where`.
    """

    where: str
    name: str
    shape: np.ndarray
    triangles: np.ndarray
    landmarks: np.ndarray
    identity: np.ndarray | None = None
    expression: np.ndarray | None = None
    mean_albedo: np.ndarray | None = None
    albedo: np.ndarray | None = None
    uv: np.ndarray | None = None
    expression_names: tuple[str, ...] = ()
    expression_strength: float | None = None
    mirror: np.ndarray | None = None
    marks: Path | None = None

    @property
    def landmarks_from(self) -> object:
        """The file that messages about landmarks name."""
        return self.marks or self.where


def assemble(published: PublishedModel, source: FaceModel) -> FaceModel:
    """Centres a model, computes missing mirror indices and texture chart, and transfers the rest from the source.

    Args:
      published: the model.
      source: a complete model; regions and masks always come from it.

    Raises:
      UserError: shapes or indices are inconsistent.
    """
    mirror = mirror_by_position(published.shape) if published.mirror is None else published.mirror
    shape = published.shape - published.shape.mean(axis=0)
    match = find_correspondence(
        published.landmarks_from, shape, published.triangles, published.landmarks, mirror, source
    )

    def given_or_carried(given: np.ndarray | None, of_source: np.ndarray) -> np.ndarray:
        return match.carry(of_source) if given is None else given

    names = published.expression_names
    if published.expression is None and not names:
        names = source.expression_names
    try:
        return FaceModel(
            name=published.name,
            mean_shape=shape,
            identity_basis=given_or_carried(published.identity, source.identity_basis),
            expression_basis=given_or_carried(published.expression, source.expression_basis),
            mean_albedo=given_or_carried(published.mean_albedo, source.mean_albedo),
            albedo_basis=given_or_carried(published.albedo, source.albedo_basis),
            triangles=published.triangles,
            landmarks=published.landmarks,
            skin_mask=match.mask(source.skin_mask),
            front_mask=match.mask(source.front_mask) & (match.distance < FACE_REACH),
            mirror_index=mirror,
            uv=cylindrical_chart(shape) if published.uv is None else published.uv,
            regions=match.regions(),
            expression_names=names,
            expression_strength=published.expression_strength,
        )
    except ValueError as error:
        raise UserError(f"{published.where}: {error}") from error


def face_only(head: PublishedModel, source: FaceModel) -> PublishedModel:
    """Cuts a head model to its face: drops vertices far from the source's face (back of the head, neck, shoulders).

    Raises:
      UserError: a landmark is on a dropped vertex.
    """
    if head.mirror is not None:
        raise ValueError("mirror must be None for a model that is cut to its face, got indices over the whole head")
    kept = _face_area(head, source)
    if not kept[head.landmarks].all():
        number = int(np.flatnonzero(~kept[head.landmarks])[0])
        vertex = head.landmarks[number]
        raise UserError(
            f"{head.landmarks_from}: landmarks must lie on the face, got landmark {number} on vertex {vertex}, which "
            f"is not part of it (correct them, or put all {LANDMARKS} into {FILE} in its folder)"
        )
    new_index = np.cumsum(kept) - 1

    def vertices(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[kept]

    def components(basis: np.ndarray | None) -> np.ndarray | None:
        return None if basis is None else basis[:, kept]

    return replace(
        head,
        shape=head.shape[kept],
        triangles=new_index[head.triangles[kept[head.triangles].all(axis=1)]],
        landmarks=new_index[head.landmarks],
        identity=components(head.identity),
        expression=components(head.expression),
        mean_albedo=vertices(head.mean_albedo),
        albedo=components(head.albedo),
        uv=vertices(head.uv),
    )


def _face_area(head: PublishedModel, source: FaceModel) -> np.ndarray:
    """[N] bool: vertices near the face, or landmarks, that are corners of a triangle of such vertices."""
    no_mirror = np.arange(len(head.shape))
    match = find_correspondence(head.landmarks_from, head.shape, head.triangles, head.landmarks, no_mirror, source)
    near = match.distance < FACE_REACH
    near[head.landmarks] = True
    used = np.zeros(len(head.shape), bool)
    used[head.triangles[near[head.triangles].all(axis=1)]] = True
    return used
