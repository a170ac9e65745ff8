"""Storage of a hierarchy as a folder of .npz files, named as in the original program; no pickle.

    adjacencyI.npz, laplaciansI.npz       I = 0..S      SciPy sparse matrices (scipy.sparse.save_npz)
    downsamp_transI.npz, upsamp_transI.npz  I = 0..S-1  the same
    hierarchy.npz                         hash of mesh and settings, digest of the matrices, vertices and triangles

The original program's folders lack hierarchy.npz. They load (CSC matrices are converted to CSR) if their finest
adjacency matches the mesh; they are never written to.
"""

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from lib.errors import UserError
from lib.files.atomic import atomic_path
from lib.files.folders import cache_in
from lib.files.numpy_files import read_npz, write_npz
from lib.mesh_sampling.graph import adjacency_matrix
from lib.mesh_sampling.hierarchy import MeshHierarchy, Step, build_hierarchy, check_factors, check_mesh, mesh_hash

_HEADER = "hierarchy.npz"
_MATRICES = {
    "adjacency": "adjacency",
    "laplacian": "laplacians",
    "down": "downsamp_trans",
    "up": "upsamp_trans",
}
_FORMATS = {"csr": scipy.sparse.csr_matrix, "csc": scipy.sparse.csc_matrix, "coo": scipy.sparse.coo_matrix}
_DAMAGED = (KeyError, ValueError, TypeError, OverflowError, OSError, AttributeError)


def save_hierarchy(path: str | os.PathLike, hierarchy: MeshHierarchy) -> None:
    """Writes or replaces the files in a folder.

    Raises:
      UserError: the folder holds matrices of another program.
    """
    folder = Path(path)
    if _is_foreign(folder):
        raise UserError(f"{folder}: must not hold another program's matrices, got some (choose another folder)")
    header: dict[str, Any] = {"hash": np.array(hierarchy.hash), "content": np.array(_content_digest(hierarchy))}
    header |= {f"vertices{i}": array for i, array in enumerate(hierarchy.vertices)}
    header |= {f"triangles{i}": array for i, array in enumerate(hierarchy.triangles) if array is not None}
    # The header is written first: until all its matrices exist, loading finds an incomplete folder of this program.
    write_npz(folder / _HEADER, header, compress=True)
    for field, stem in _MATRICES.items():
        for i, matrix in enumerate(getattr(hierarchy, field)):
            with atomic_path(folder / f"{stem}{i}.npz") as temporary:
                scipy.sparse.save_npz(temporary, matrix)


def load_hierarchy(
    path: str | os.PathLike,
    vertices: np.ndarray,
    triangles: np.ndarray,
    factors: Sequence[float] = (4, 4, 4, 4),
) -> MeshHierarchy:
    """Reads a folder written by `save_hierarchy` or by the original program.

    Args:
      path: the folder.
      vertices: [N, 3], triangles: [F, 3], factors: inputs from which the hierarchy must have been built.

    Raises:
      UserError: the folder is missing, damaged, or was built from another mesh or with other factors.
    """
    vertices, triangles = check_mesh(vertices, triangles)
    factors, folder = check_factors(factors), Path(path)
    if _is_foreign(folder):
        return _load_original(folder, vertices, triangles, factors)
    if not (folder / _HEADER).is_file():
        raise UserError(f"{folder}: must hold a mesh hierarchy ({_HEADER}), got none (build it first)")
    try:
        header = read_npz(folder / _HEADER)
        found, content = str(header["hash"]), str(header["content"])
    except _DAMAGED as error:
        raise UserError(f"{folder / _HEADER}: must be a mesh hierarchy, got a damaged file ({error})") from error
    if found != mesh_hash(vertices, triangles, factors):
        raise UserError(f"{folder}: must belong to this mesh and these factors, got files made from others (delete it)")
    matrices = _read_matrices(folder, len(factors), len(vertices))
    levels = range(len(factors) + 1)
    if missing := [f"vertices{i}" for i in levels if f"vertices{i}" not in header]:
        raise UserError(f"{folder / _HEADER}: must hold {missing[0]}, got a file without (delete the folder)")
    hierarchy = MeshHierarchy(
        vertices=tuple(header[f"vertices{i}"] for i in levels),
        triangles=tuple(header.get(f"triangles{i}") for i in levels),
        factors=factors,
        hash=found,
        **matrices,
    )
    if content != _content_digest(hierarchy):
        raise UserError(f"{folder}: the matrices must match their digest in {_HEADER}, got others (delete the folder)")
    return hierarchy


def load_or_build(
    path: str | os.PathLike,
    vertices: np.ndarray,
    triangles: np.ndarray,
    factors: Sequence[float] = (4, 4, 4, 4),
    steps: Sequence[Step] | None = None,
) -> MeshHierarchy:
    """Loads a folder if it matches the mesh and the settings; otherwise builds the hierarchy and writes the folder.

    Stale and damaged files of this program are replaced, with one line on stderr.

    Levels given by `steps` (see `build_hierarchy`) are built and not stored: the folder keeps those that networks
    without levels of their own were trained on. The original program's files are loaded nevertheless.

    Raises:
      UserError: the folder is the original program's and does not match; it is left unchanged.
    """
    folder = Path(path)
    if _is_foreign(folder):
        return load_hierarchy(folder, vertices, triangles, factors)
    if steps is not None:
        return build_hierarchy(vertices, triangles, factors, steps)
    if (folder / _HEADER).is_file():
        try:
            return load_hierarchy(folder, vertices, triangles, factors)
        except UserError as reason:
            print(f"the mesh levels are made again ({reason})", file=sys.stderr)
    hierarchy = build_hierarchy(vertices, triangles, factors)
    with cache_in(folder):
        save_hierarchy(folder, hierarchy)
    return hierarchy


def _load_original(folder: Path, vertices, triangles, factors) -> MeshHierarchy:
    matrices = _read_matrices(folder, len(factors), len(vertices))
    if (folder / f"{_MATRICES['laplacian']}{len(factors) + 1}.npz").exists():
        raise UserError(f"{folder}: must hold {len(factors) + 1} mesh levels, got more (change the number of factors)")
    expected = adjacency_matrix(triangles, len(vertices))
    finest = matrices["adjacency"][0]
    if finest.shape != expected.shape or abs(expected - finest).nnz:
        raise UserError(f"{folder}: adjacency0.npz must match this mesh's triangles, got another mesh's")
    level_vertices = [vertices]
    for down in matrices["down"]:
        level_vertices.append((down @ level_vertices[-1]).astype(np.float32))
    return MeshHierarchy(
        vertices=tuple(level_vertices),
        triangles=(triangles,) + (None,) * len(factors),
        factors=factors,
        hash=_matrix_digest(matrices),
        **matrices,
    )


def _is_foreign(folder: Path) -> bool:
    return (folder / f"{_MATRICES['laplacian']}0.npz").is_file() and not (folder / _HEADER).is_file()


def _read_matrices(folder: Path, steps: int, most: int) -> dict[str, tuple[scipy.sparse.csr_matrix, ...]]:
    """Reads all matrices in a folder and checks that their sizes are consistent and at most `most`, the mesh's."""
    counts = {"adjacency": steps + 1, "laplacian": steps + 1, "down": steps, "up": steps}
    matrices = {
        field: tuple(_read_matrix(folder / f"{_MATRICES[field]}{i}.npz", most) for i in range(count))
        for field, count in counts.items()
    }
    sizes = [matrix.shape[0] for matrix in matrices["laplacian"]]
    for i in range(steps + 1):
        _check_shape(folder, f"adjacency{i}", matrices["adjacency"][i], (sizes[i], sizes[i]))
        _check_shape(folder, f"laplacians{i}", matrices["laplacian"][i], (sizes[i], sizes[i]))
    for i in range(steps):
        _check_shape(folder, f"downsamp_trans{i}", matrices["down"][i], (sizes[i + 1], sizes[i]))
        _check_shape(folder, f"upsamp_trans{i}", matrices["up"][i], (sizes[i], sizes[i + 1]))
    return matrices


def _read_matrix(path: Path, most: int) -> scipy.sparse.csr_matrix:
    try:
        matrix = _csr_matrix(path, read_npz(path), most)
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path}: must be a matrix of the mesh hierarchy, got no such file") from error
    except _DAMAGED as error:
        raise UserError(
            f"{path}: must be a matrix saved by scipy.sparse.save_npz (pickled objects are not read), got {error}"
        ) from error
    matrix.sum_duplicates()
    return matrix


def _csr_matrix(path: Path, arrays: dict[str, np.ndarray], most: int) -> scipy.sparse.csr_matrix:
    """The matrix in the arrays of `scipy.sparse.save_npz`; raises ValueError or KeyError unless they are one.

    Rows take memory whether they hold numbers or not, so that the shape is compared with the mesh first.

    SciPy's own reader does not check the indices, and its products read beyond the arrays if they are wrong.
    """
    kind = arrays["format"].item()
    kind = kind.decode("ascii", "replace") if isinstance(kind, bytes) else kind
    if kind not in _FORMATS:
        raise ValueError(f"a matrix of format {kind!r} ({', '.join(_FORMATS)} are read)")
    shape = tuple(int(n) for n in arrays["shape"])
    if max(shape) > most:
        raise UserError(f"{path}: must match this mesh's {most} vertices, got {list(shape)} (another mesh's?)")
    parts: tuple[np.ndarray, tuple[np.ndarray, np.ndarray]] | tuple[np.ndarray, np.ndarray, np.ndarray]
    if kind == "coo":
        parts = (arrays["data"], (arrays["row"], arrays["col"]))
    else:
        parts = (arrays["data"], arrays["indices"], arrays["indptr"])
    matrix = _FORMATS[kind](parts, shape=shape)
    if kind != "coo":  # whose constructor checks them
        matrix.check_format(full_check=True)
    return scipy.sparse.csr_matrix(matrix, dtype=np.float32)


def _check_shape(folder: Path, name: str, matrix, expected: tuple[int, int]) -> None:
    if matrix.shape != expected:
        raise UserError(f"{folder / name}.npz: must be {list(expected)}, got {list(matrix.shape)} (mixed-up files)")


def _content_digest(hierarchy: MeshHierarchy) -> str:
    return _matrix_digest({field: getattr(hierarchy, field) for field in _MATRICES})


def _matrix_digest(matrices: dict[str, tuple[scipy.sparse.csr_matrix, ...]]) -> str:
    digest = hashlib.sha256()
    for field in _MATRICES:
        for matrix in matrices[field]:
            digest.update(f"{field} {matrix.shape}".encode())
            digest.update(np.ascontiguousarray(matrix.indptr, "<i4").tobytes())
            digest.update(np.ascontiguousarray(matrix.indices, "<i4").tobytes())
            digest.update(np.ascontiguousarray(matrix.data, "<f4").tobytes())
    return digest.hexdigest()
