"""Small results for the page's tests, and the other side of the page's encoding."""

import base64
import functools
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import tensorflow as tf

from lib.geometry.camera import Camera
from lib.images.display import to_bytes
from lib.mesh_export.uv_chart import rasterize_chart, uncut
from model.face_gcn import FaceGCN
from model.morphable_model import MorphableModel
from model.reconstruction.new_views import new_views
from model.report.card import render_card, shared_data
from model.report.page import Card, Report
from tests.support.faces import built_in_face

SIZE = 64
CAMERA = Camera((SIZE, SIZE))
FACE_MODEL = built_in_face(2500)
CHART = uncut(FACE_MODEL.uv, FACE_MODEL.triangles)
RASTER = rasterize_chart(CHART, 256)
SHARED = shared_data(FACE_MODEL, CHART, CAMERA)
NASTY = "<img src=x onerror=window.broken=1>.png"
# In the page: a face in sight is drawn.
DRAWN = "[...views.values()].some((view) => view.visible && view.canvas.height > 150)"


def _striped(embedding, coarse, colour, visibility, shading, training=False):
    """Stand-in for the texture network: a striped appearance, brighter than white in places, and a darker albedo."""
    stripes = tf.constant(np.sin(40 * FACE_MODEL.mean_shape[None, :, 1:2]), tf.float32)
    return tf.concat([coarse + 0.4 + 0.4 * stripes, 0.8 * coarse + 0.1 * stripes], axis=-1)


FACE_GCN = FaceGCN(MorphableModel(FACE_MODEL), CAMERA, _striped)


def raster_bytes(colours: tf.Tensor) -> np.ndarray:
    """Colours [1, N, 3] of the vertices as a texture, uint8 [T, T, 3]."""
    return to_bytes(RASTER.dilate(RASTER.interpolate(np.clip(colours[0], 0, 1))))


def photo_result(name: str, seed: int, **metrics: float) -> SimpleNamespace:
    """A result as `FaceReconstructor` returns it, of a random face in a random picture."""
    random, layout = np.random.default_rng(seed), FACE_MODEL.layout
    coefficients = np.zeros([1, layout.size], np.float32)
    coefficients[0, layout.slices["identity"]] = random.normal(size=layout.identity)
    coefficients[0, layout.slices["angles"]] = [0.1, 0.3, -0.05]
    coefficients[0, layout.slices["translation"]] = [0.05, -0.05, 0.2]
    coefficients[0, layout.slices["light"]] = random.normal(0, 0.1, 27)
    rgb = random.uniform(size=[SIZE, SIZE, 3]).astype(np.float32)
    alpha = np.ones([SIZE, SIZE], np.float32)
    crop = tf.constant(np.concatenate([rgb, alpha[..., None]], axis=-1)[None])
    result = FACE_GCN(crop, tf.constant(coefficients), tf.zeros([1, 4]))
    # In other colours than the vertices, so that pictures of one and the other differ.
    textures = SimpleNamespace(
        lit=raster_bytes(result.colour * [1, 0.7, 0.4]), albedo=raster_bytes(result.albedo * [0.4, 0.7, 1])
    )
    numbers = {
        "psnr_coarse": 20.5 + 3 * (seed % 2),
        "psnr_fine": 29.0 + seed,
        "coverage": 0.96,
        "five_point_residual_px": 0.5 / seed,
        "five_point_residual_px_max": 0.9,
        "seconds": 4.0,
    }
    return SimpleNamespace(
        photo=SimpleNamespace(name=name, rgb=rgb, alignment=SimpleNamespace(points=np.full([5, 2], SIZE / 2))),
        alpha=alpha,
        coefficients=coefficients[0],
        reconstruction=result,
        textures=textures,
        views=new_views(FACE_GCN.morphable, CHART, result, textures.lit, CAMERA),
        metrics=numbers | metrics,
    )


@functools.cache
def _rendered(number: int) -> Card:
    return render_card(photo_result(f"photo{number}.jpg", seed=number + 1), f"photo{number}")


def write_page(folder: Path, count: int, failures: Sequence[str] = ()) -> Path:
    """A page with the cards of four faces, again and again under other names."""
    report = Report(folder, title="photos")
    for i in range(count):
        card = _rendered(i % 4)
        report.add(Card(f"photo{i}.jpg", card.html.replace(f"photo{i % 4}", f"photo{i}"), card.metrics))
    for name in failures:
        report.fail(name, "no face found")
    return report.finish(SHARED)


def decode_columns(block: str, count: int, types: list) -> list[np.ndarray]:
    """The columns that `encode_columns` wrote, as page.js reads them."""
    data, columns = zlib.decompress(base64.b64decode(block)), []
    for kind in map(np.dtype, types):
        planes, data = data[: count * kind.itemsize], data[count * kind.itemsize :]
        rows = np.ascontiguousarray(np.frombuffer(planes, np.uint8).reshape(kind.itemsize, count).T)
        columns.append(np.cumsum(rows.view(kind.newbyteorder("<")).ravel(), dtype=kind))
    assert not data
    return columns
