"""ICT-FaceKit's folder as published, of any size."""

import json
from pathlib import Path

import numpy as np

from lib.face_model_files.formats.ict import Extent
from lib.face_model_files.landmark_files import nearest_vertices
from tests.support.faces import built_in_face

ROWS, COLUMNS = 9, 11
SMALL = Extent(vertices=ROWS * COLUMNS, polygons=(ROWS - 1) * (COLUMNS - 1), narrow_vertices=60, identities=3)


def polygon_lines(quads, uv, outside: int) -> str:
    """Texture coordinates and polygons; one of them has the vertex `outside`, of the back of the head."""
    return (
        "".join(f"vt {u:.6f} {v:.6f}\n" for u, v in uv)
        + "".join("f " + " ".join(f"{c + 1}/{c + 1}" for c in quad) + "\n" for quad in quads)
        + f"f 1/1 2/2 {outside + 1}/1 3/3\n"
    )


def write_obj(path: Path, vertices: np.ndarray, polygons: str) -> None:
    outside = "v 0.0 0.0 -9.0\n"  # a vertex of the back of the head, which is left out
    lines = "v %.6f %.6f %.6f\n" * len(vertices) % tuple(vertices.ravel().tolist())
    path.write_text("# a comment\n" + lines + outside + polygons)


def write_folder(folder: Path, arrays: dict) -> None:
    folder.mkdir()
    mean, quads, uv = arrays["mean_shape"].astype(np.float64), arrays["quads"], arrays["uv"]
    names = [str(name) for name in arrays["expression_names"]]
    meshes = {"generic_neutral_mesh": mean}
    meshes |= {f"identity{k:03d}": mean + mode for k, mode in enumerate(arrays["identity_basis"])}
    meshes |= {name: mean + mode for name, mode in zip(names, arrays["expression_basis"], strict=True)}
    polygons = polygon_lines(quads, uv, len(mean))
    for name, vertices in meshes.items():
        write_obj(folder / f"{name}.obj", vertices, polygons)
    landmarks = [int(vertex) for vertex in arrays["landmarks68"]]
    (folder / "vertex_indices.json").write_text(json.dumps({"expressions": names, "idx_to_landmark_verts": landmarks}))


def small_arrays() -> dict:
    rng = np.random.default_rng(0)
    y, x = np.meshgrid(np.linspace(-9, 9, ROWS), np.linspace(-7, 7, COLUMNS), indexing="ij")
    index = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    corners = [index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]]
    shape = np.stack([x, y, 10 - x**2 / 10 - y**2 / 20], axis=-1).reshape(-1, 3)
    face = built_in_face(2000)
    places = 10 * face.mean_shape[face.landmarks] + (0, 0, shape[:, 2].mean())
    return {
        "mean_shape": shape,
        "identity_basis": rng.normal(size=(3, ROWS * COLUMNS, 3)),
        "expression_basis": rng.normal(size=(2, ROWS * COLUMNS, 3)),
        "expression_names": ["jawOpen", "noseSneer_R"],
        "quads": np.stack([corner.ravel() for corner in corners], axis=-1),
        "uv": rng.uniform(size=(ROWS * COLUMNS, 2)),
        "landmarks68": nearest_vertices(shape, places),
        "mirror_index": index[:, ::-1].ravel(),
    }
