"""The texture chart of a face model: its own, or one that is unwrapped once and stored."""

import contextlib
from pathlib import Path

import numpy as np

from lib.face_model.face_model import FaceModel
from lib.files.folders import cache_in
from lib.files.numpy_files import DamagedFile, read_npz, report_remade, write_npz
from lib.mesh_export import uv_chart

# The arrays of a chart, under their names in its file.
_ARRAYS = ("vertex", "uv", "triangles")


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
            return read_chart(path, model.triangles)
        except DamagedFile as error:
            report_remade(path, error)
    print(f"{model.name}: its texture coordinates cannot be used ({fault}); unwrapping the mesh once, into {path}")
    chart = uv_chart.unwrap(model.mean_shape, model.triangles)
    with cache_in(cache):
        write_chart(path, chart)
    return chart


def write_chart(path: Path, chart: uv_chart.UvChart) -> None:
    """Stores a chart as .npz."""
    write_npz(path, {name: getattr(chart, name) for name in _ARRAYS})


def read_chart(path: Path, triangles: np.ndarray) -> uv_chart.UvChart:
    """The chart in a file of `write_chart`; raises DamagedFile unless it is one of the mesh with these triangles."""
    chart = uv_chart.UvChart(**read_npz(path, _ARRAYS))
    with contextlib.suppress(IndexError):  # wrong indices, or arrays of another type
        if np.array_equal(chart.mesh_triangles, triangles) and chart.uv.shape == (len(chart.vertex), 2):
            return chart
    raise DamagedFile("the chart of another mesh")
