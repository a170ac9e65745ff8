"""Encodes one face for the page: pictures, mesh with colours, and light.

A block of bytes holds one column after the other. Each column stores the differences between consecutive vertices,
modulo its range: first the low bytes of all vertices, then the high bytes. The block is deflated and written as base64.
Consecutive vertices are similar, so this is half the size of the plain numbers. `decode` in face_mesh.js reads it.
"""

import base64
import io
import zlib

import cv2
import numpy as np
import tensorflow as tf
from PIL import Image

from lib.face_model.face_model import FaceModel
from lib.geometry.lighting import shading
from lib.images.display import to_bytes
from lib.images.holes import feathered
from lib.mesh_export.uv_chart import UvChart
from model.report.pictures import ReportedPhoto, pictures, rendering_alpha

# WebP quality; at 90, pictures of 224 px look like the originals at a tenth of their size.
QUALITY = 90
# Largest side and WebP quality of the textures. They are most of the page: at 80 they look the same at half the bytes.
TEXTURE_SIZE, TEXTURE_QUALITY = 1024, 80
# Albedo of the ball that shows the light; darker than white, so that shading above 1 is not clipped at once.
BALL_ALBEDO = 0.6
# Colours per vertex.
COLOURS = ("coarse", "fine", "appearance")


def encode_pictures(result: ReportedPhoto) -> dict[str, str]:
    """Pictures of a `PhotoResult`: title -> WebP as base64; the background of renderings is transparent."""
    cells = pictures(result)
    mask, alpha = rendering_alpha(result), to_bytes(result.alpha[..., None])
    cells |= {
        "mask": np.concatenate([cells["photo"], alpha], axis=-1),
        **{title: feathered(cells[title], mask) for title in ("coarse", "fine")},
        **{title: to_bytes(view) for title, view in result.views.items()},
        "light": light_ball(_light(result), len(mask)),
    }
    return {title: webp(cell) for title, cell in cells.items()}


def encode_mesh(result: ReportedPhoto) -> dict:
    """The face of a `PhotoResult` as JSON values.

    Returns:
      low, high: [3] decimetres, corners of the bounding box that positions 0 and 65535 stand for.
      tops: name of the colours -> the value that 255 stands for; the appearance may exceed 1.
      block: 3 columns of 16 bits, the shape before its pose, then 3 columns of 8 bits for each of `COLOURS`.
      angles, translation: [3] pose in the photo (lib/geometry/rotation.py).
      light: [3][16] result of `light_forms`.
    """
    reconstruction = result.reconstruction
    face = reconstruction.coarse.face
    shape = np.asarray(face.shape)[0].astype(np.float64)
    low, high = shape.min(axis=0), shape.max(axis=0)
    positions = np.rint((shape - low) / np.maximum(high - low, 1e-9) * 65535).astype(np.uint16)
    colours = {
        "coarse": reconstruction.coarse.albedo,
        "fine": reconstruction.albedo,
        "appearance": reconstruction.appearance,
    }
    tops, columns = {}, list(positions.T)
    for name in COLOURS:
        colour = np.asarray(colours[name])[0]
        tops[name] = max(float(colour.max()), 1.0)
        columns += list(to_bytes(colour / tops[name]).T)
    return {
        "low": _numbers(low),
        "high": _numbers(high),
        "tops": {name: round(top, 6) for name, top in tops.items()},
        "block": encode_columns(columns),
        "angles": _numbers(np.asarray(face.coefficients.angles)[0]),
        "translation": _numbers(np.asarray(face.coefficients.translation)[0]),
        "light": [_numbers(form.ravel()) for form in light_forms(_light(result))],
    }


def encode_shared(face_model: FaceModel, chart: UvChart) -> dict:
    """What all faces of a face model share, as JSON values: numbers of vertices and triangles, triangles, chart."""
    return {
        "vertices": face_model.vertex_count,
        "triangles": len(face_model.triangles),
        "block": encode_columns(list(np.asarray(face_model.triangles).astype(np.uint32).T)),
        "chart": encode_chart(chart),
    }


def encode_textures(result: ReportedPhoto) -> dict[str, str]:
    """Textures of a `PhotoResult`, lit as in the photo and albedo: name -> WebP as base64."""
    return {
        "lit": webp(_reduced(result.textures.lit), TEXTURE_QUALITY),
        "albedo": webp(_reduced(result.textures.albedo), TEXTURE_QUALITY),
    }


def encode_chart(chart: UvChart) -> dict:
    """The texture chart that all faces share, as JSON values.

    Returns:
      vertices: M, vertices of the chart.
      block: a column of 32 bits, mesh vertex of each chart vertex, then u and v, 16 bits each: 65535 stands for 1.
      triangles: a block of 3 columns of 32 bits.
    """
    places = np.rint(chart.uv.astype(np.float64) * 65535).astype(np.uint16)
    return {
        "vertices": len(chart.vertex),
        "block": encode_columns([chart.vertex.astype(np.uint32), *places.T]),
        "triangles": encode_columns(list(chart.triangles.astype(np.uint32).T)),
    }


def encode_columns(columns: list[np.ndarray]) -> str:
    """Encodes columns [N] of uint8, uint16 or uint32 as one block."""
    parts = []
    for column in columns:
        # Unsigned differences wrap around, and so do the sums that reverse them.
        difference = np.diff(column, prepend=column.dtype.type(0)).astype(column.dtype.newbyteorder("<"))
        parts.append(np.ascontiguousarray(difference.view(np.uint8).reshape(len(column), -1).T).tobytes())
    return _base64(zlib.compress(b"".join(parts), 9))


def light_forms(light: np.ndarray) -> np.ndarray:
    """Light as quadratic forms of the normal (Ramamoorthi and Hanrahan 2001, equation 12).

    Args:
      light: [27] coefficients of lib/geometry/lighting.py.

    Returns:
      [3, 4, 4], a symmetric matrix M for each channel: shading(n) = h^T M h with h = (n, 1) for unit vectors n.
    """
    # Fitted to values of `shading`, so that only lighting.py defines the basis. Exact, because shading is quadratic.
    grid = np.stack(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 3), axis=-1).reshape(-1, 3)
    normals = np.delete(grid, len(grid) // 2, axis=0)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    values = _shading(normals, light)
    homogeneous = np.concatenate([normals, np.ones([len(normals), 1])], axis=1)
    products = np.einsum("si,sj->sij", homogeneous, homogeneous).reshape(-1, 16)
    return np.linalg.lstsq(products, values, rcond=None)[0].T.reshape(3, 4, 4)


def light_ball(light: np.ndarray, size: int) -> np.ndarray:
    """uint8 RGBA [size, size, 4]: a grey ball under the light [27], seen from the camera."""
    centres = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(centres, -centres)
    radius = np.hypot(x, y)
    shrink = 0.9  # leaves a margin
    inside = np.minimum(radius / shrink, 1.0)
    scale = inside / np.maximum(radius, 1e-9)
    normals = np.stack([x * scale, y * scale, np.sqrt(1 - inside**2)], axis=-1)
    colour = BALL_ALBEDO * _shading(normals.reshape(-1, 3), light).reshape(size, size, 3)
    coverage = np.clip((shrink - radius) * size / 2 + 0.5, 0, 1)
    return to_bytes(np.concatenate([colour, coverage[..., None]], axis=-1))


def webp(pixels: np.ndarray, quality: int = QUALITY) -> str:
    """Encodes a picture, uint8 [H, W, 3 or 4], as WebP in base64."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "WEBP", quality=quality)
    return _base64(stream.getvalue())


def _reduced(texture: np.ndarray) -> np.ndarray:
    """A texture at `TEXTURE_SIZE`, or as it is if that is smaller."""
    if len(texture) <= TEXTURE_SIZE:
        return texture
    return cv2.resize(texture, (TEXTURE_SIZE, TEXTURE_SIZE), interpolation=cv2.INTER_AREA)


def _shading(normals: np.ndarray, light: np.ndarray) -> np.ndarray:
    """[S, 3] light arriving at unit normals [S, 3]."""
    return shading(tf.constant(normals[None]), tf.constant(light[None], tf.float64))[0].numpy()


def _light(result: ReportedPhoto) -> np.ndarray:
    return np.asarray(result.reconstruction.coarse.face.coefficients.light)[0]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _numbers(values: np.ndarray) -> list[float]:
    return [round(float(value), 6) for value in values]
