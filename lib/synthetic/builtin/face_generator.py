"""The built-in face model: a procedurally generated human face."""

import hashlib
from pathlib import Path

import numpy as np

from lib.face_model.face_model import FaceModel
from lib.geometry.lengths import MILLIMETRES
from lib.synthetic.builtin import expressions, grid, identity_basis, landmarks, skin_albedo, surface

# Part of the cache key: increase the number when a change makes the same arguments give a different model.
METHOD = "face on a grid, 2"
IDENTITY_COUNT = 60
ALBEDO_COUNT = 40
DEFAULT_CACHE = Path(__file__).resolve().parents[3] / "data" / "generated"


def _whole(half: np.ndarray, mirrored: np.ndarray | None = None) -> np.ndarray:
    """[R, C, ...] half -> [R (2C - 1), ...] whole face, row by row from x < 0 to x > 0."""
    other = half if mirrored is None else mirrored
    full = np.concatenate([other[:, :0:-1], half], axis=1)
    return full.reshape(-1, *half.shape[2:])


def _flip(half: np.ndarray) -> np.ndarray:
    """Displacements or positions of the mirror image."""
    return half * np.array([-1.0, 1.0, 1.0])


def _triangles(rows: int, half_columns: int) -> np.ndarray:
    """[F, 3] two triangles per cell, cut the mirrored way on the two halves, counter-clockwise from outside."""
    columns = 2 * half_columns - 1
    r, c = np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij")
    a = (r * columns + c).ravel()
    b, d = a + 1, a + columns
    e = d + 1
    right = (c >= half_columns - 1).ravel()[:, None]
    first = np.where(right, np.stack([a, b, d], -1), np.stack([a, b, e], -1))
    second = np.where(right, np.stack([b, e, d], -1), np.stack([a, e, d], -1))
    return np.stack([first, second], axis=1).reshape(-1, 3).astype(np.int32)


def _texture_coordinates(position: np.ndarray) -> np.ndarray:
    """[R (2C - 1), 2]: rows and columns of the grid spread by their mean distance, so cells never overlap."""
    across = np.linalg.norm(np.diff(position, axis=1), axis=-1).mean(axis=0)
    along = np.linalg.norm(np.diff(position, axis=0), axis=-1).mean(axis=1)
    u = np.concatenate([[0.0], np.cumsum(np.maximum(across, 0.25))])
    v = np.concatenate([[0.0], np.cumsum(np.maximum(along, 0.25))])
    u = 0.5 + 0.498 * u / u[-1]
    v = 0.002 + 0.996 * v / v[-1]
    full_u = np.concatenate([1.0 - u[:0:-1], u])
    return np.stack(np.broadcast_arrays(full_u[None, :], v[:, None]), axis=-1).reshape(-1, 2)


def _expression_basis(half_grid: grid.Grid, position: np.ndarray) -> np.ndarray:
    """[Ke, N, 3] millimetres for a coefficient of 1."""
    basis = []
    x = position[..., 0]
    # A side's muscles reach a little across the midline; the two sides add up to the symmetric movement.
    near = surface.sigmoid(x / 4.0)[..., None]
    far = 1.0 - near
    units = expressions.expression_displacements(half_grid, position)
    for name in expressions.EXPRESSION_NAMES:
        move, kind = units[name]
        if kind == "even":
            move = move.copy()
            move[:, 0, 0] = 0.0
            whole = _whole(move, _flip(move))
        elif kind == "odd":
            whole = _whole(move, move)
        elif kind == "left":
            whole = _whole(move * near, _flip(move * far))
        else:
            whole = _whole(move * far, _flip(move * near))
        basis.append(whole / expressions.FULL_STRENGTH)
    return np.array(basis)


def _centre(half: np.ndarray) -> np.ndarray:
    """Centroid of the whole face."""
    centroid = _whole(half).mean(axis=0)
    centroid[0] = 0.0
    return centroid


def build_face_model(vertex_count: int = 10000, seed: int = 0) -> FaceModel:
    """Generates the face model; the same arguments give bit-identical results.

    Args:
      vertex_count: desired number of vertices, 2,000 to 200,000; met to within a few per cent.
      seed: seed of the random part of the bases; the mean face does not depend on it.

    Returns:
      The model: 60 identity, 26 expression and 40 albedo coefficients, all of unit variance.

    Raises:
      ValueError: vertex_count out of range.
    """
    half_grid = grid.build_grid(vertex_count)
    half = surface.build_surface(half_grid)
    row_count, column_count = half.shape[:2]
    columns = 2 * column_count - 1
    half_masks = skin_albedo.region_masks(half_grid, half)
    masks = {name: _whole(mask) for name, mask in half_masks.items()}
    colour = _whole(skin_albedo.mean_albedo(half_grid, half, half_masks))

    identity = identity_basis.identity_components(half_grid, half, IDENTITY_COUNT, seed)
    identity = np.array([_whole(component, _flip(component)) for component in identity])
    whole = _whole(half, _flip(half))
    terms = skin_albedo.albedo_terms(whole, colour, masks, seed)
    weights = np.ones(whole.size)
    albedo = identity_basis.principal_components(terms.reshape(len(terms), -1), ALBEDO_COUNT, weights)

    index = np.arange(row_count * columns).reshape(row_count, columns)
    marks = np.zeros(68, np.int32)
    for (right, left), (row, column) in landmarks.half_landmarks(half_grid, half).items():
        marks[right] = index[row, column_count - 1 - column]
        marks[left] = index[row, column_count - 1 + column]
    x, z = whole[:, 0], whole[:, 2]
    under = np.broadcast_to(half_grid.under[:, None], half.shape[:2])
    covered = np.maximum(masks["mouth_inside"], masks["hairline"])
    front = (covered < 0.5) & (np.abs(x) < 60) & (z > -42) & (_whole(under) == 0)
    mean = (whole - _centre(half)) / MILLIMETRES
    return FaceModel(
        name="built-in face",
        mean_shape=mean.astype(np.float32),
        identity_basis=(identity / MILLIMETRES).astype(np.float32),
        expression_basis=(_expression_basis(half_grid, half) / MILLIMETRES).astype(np.float32),
        mean_albedo=colour.astype(np.float32),
        albedo_basis=albedo.reshape(ALBEDO_COUNT, -1, 3).astype(np.float32),
        triangles=_triangles(row_count, column_count),
        landmarks=marks,
        skin_mask=masks["skin"] > 0.5,
        front_mask=front,
        mirror_index=index[:, ::-1].ravel().astype(np.int32),
        uv=_texture_coordinates(half).astype(np.float32),
        regions={name: mask.astype(np.float32) for name, mask in masks.items()},
        expression_names=expressions.EXPRESSION_NAMES,
        expression_prior=expressions.expression_prior(expressions.EXPRESSION_NAMES),
    )


def load_face_model(cache_dir=None, vertex_count: int = 10000, seed: int = 0) -> FaceModel:
    """Loads the built-in model from the cache; builds and stores it if missing.

    Args:
      cache_dir: folder of the cache; `data/generated` of the checkout by default.
      vertex_count: see `build_face_model`.
      seed: see `build_face_model`.

    Raises:
      OSError: the cache can be neither read nor written.
    """
    folder = DEFAULT_CACHE if cache_dir is None else Path(cache_dir)
    path = folder / f"face_{vertex_count}_{seed}_{hashlib.sha256(METHOD.encode()).hexdigest()[:16]}.npz"
    return FaceModel.cached(path, lambda: build_face_model(vertex_count, seed))
