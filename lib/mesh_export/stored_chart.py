"""The texture chart of a face model: its own, or one that is unwrapped once and stored."""

import contextlib
from pathlib import Path

import numpy as np

from lib.face_model.face_model import FaceModel
from lib.files.folders import cache_in
from lib.files.numpy_files import DamagedFile, read_npz, report_remade, write_npz
from lib.mesh_export import uv_chart


def load_chart(model: FaceModel, cache: Path) -> uv_chart.UvChart:
    """Loads the face model's texture chart; if its coordinates are unusable, creates a chart and stores it in `cache`.

    A damaged stored chart is made again.
    """
    fault = uv_chart.chart_fault(model.uv, model.triangles)
    if fault is None:
        return uv_chart.uncut(model.uv, model.triangles)
    path = cache / f"uv_chart_{model.fingerprint}.npz"
    if path.is_file():
        try:
            return _stored_chart(path, model.triangles)
        except DamagedFile as error:
            report_remade(path, error)
    print(f"{model.name}: its texture coordinates cannot be used ({fault}); unwrapping the mesh once, into {path}")
    chart = uv_chart.unwrap(model.mean_shape, model.triangles)
    with cache_in(cache):
        write_npz(path, {"vertex": chart.vertex, "uv": chart.uv, "triangles": chart.triangles})
    return chart


def _stored_chart(path: Path, triangles: np.ndarray) -> uv_chart.UvChart:
    """The chart in a file; raises DamagedFile unless it is one of the mesh with these triangles."""
    chart = uv_chart.UvChart(**read_npz(path, ("vertex", "uv", "triangles")))
    with contextlib.suppress(IndexError):  # wrong indices, or arrays of another type
        if np.array_equal(chart.mesh_triangles, triangles) and chart.uv.shape == (len(chart.vertex), 2):
            return chart
    raise DamagedFile("the chart of another mesh")
