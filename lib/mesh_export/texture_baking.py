"""Baking of face textures: pixels of the photo where the surface is visible in it, vertex colours elsewhere."""

from dataclasses import dataclass

import cv2
import numpy as np

from lib.geometry.reference import REFERENCE_SIZE
from lib.geometry.smoothstep import smoothstep
from lib.mesh_export.texture_fill import SkinChart, at_vertices, membrane
from lib.mesh_export.uv_chart import ChartRaster
from lib.runtime.compilation import compiled

# Cosines between normal and view at which the photo's weight is 0 and 1: pixels are smeared in grazing views, and an
# outline that is fitted two pixels off puts background on the cheek.
LEAST_COSINE, FULL_COSINE = 0.2, 0.55
# Distances from the border of the mask at which the photo's weight is 0 and 1, in pixels of a crop of REFERENCE_SIZE:
# what is smeared along an outline is the most visible error of a turned face.
LEAST_DEPTH, FULL_DEPTH = 1.5, 8.0
# Width of the blend at self-occlusions, as a share of the texture's side; lips and lids allow no more.
HIDDEN_FEATHER = 1 / 400
# Surfaces this far behind [dm] an occluding outline count as hidden within this distance [px of a crop of
# REFERENCE_SIZE] of it: otherwise, colours of a nose that is fitted two pixels off would land on the cheek.
FAR_BEHIND, OUTLINE = 0.12, 1.5
# Side of the square over which visible and hidden texels are majority-filtered, to remove noise of the depth test.
SPECKLE = 3
# Bounds of the ratio of photo to vertex colour (at least DARKEST); larger differences are not detail of the skin.
DETAIL_RANGE = (0.4, 2.0)
DARKEST = 0.02
# Side at which the photo is read at the vertices: a texel there is about as large as the mesh's triangles.
COARSE_SIZE = 128
# Limit of the mirrored detail, log of the ratio: more is a shadow or a highlight of the other side.
LARGEST_MIRRORED = 0.35


@dataclass(frozen=True, eq=False)
class SurfaceView:
    """A mesh as seen by the photo's camera.

    Attributes:
      points: [N, 2] in pixels of the z-buffer, x right, y down.
      depth: [N] distance in front of the camera.
      slack: [N] tolerance of the depth test: distance behind the z-buffer at which a vertex still counts as visible.
      cosine: [N] between normal and direction to the camera.
      zbuffer: [H, W] float32 depth of every pixel, infinite in the background.
      mask: [h, w] float, 1 where colours may be read; covers the z-buffer's image, at any resolution.
      reference_pixel: side of a pixel of a crop of REFERENCE_SIZE in pixels of the z-buffer.
    """

    points: np.ndarray
    depth: np.ndarray
    slack: np.ndarray
    cosine: np.ndarray
    zbuffer: np.ndarray
    mask: np.ndarray
    reference_pixel: float


@dataclass(frozen=True, eq=False)
class BakedTextures:
    """Textures of one face, row 0 at v = 1.

    Attributes:
      lit: [T, T, 3] RGB in [0, 1], with the photo's light.
      albedo: [T, T, 3] RGB in [0, 1], without light.
      weight: [T, T] weight of the photo.
    """

    lit: np.ndarray
    albedo: np.ndarray
    weight: np.ndarray


def photo_weight(raster: ChartRaster, view: SurfaceView) -> np.ndarray:
    """Weight of the photo at every texel, [T, T] float32 in [0, 1].

    The weight is positive where a texel passes the depth test, is inside the mask and faces the camera. It increases
    with the distance from the borders of the mask and of the visible area, and with the cosine.
    """
    values = raster.interpolate(np.column_stack([view.points, view.depth, view.slack, view.cosine]))
    x, y, depth, slack, cosine = np.moveaxis(values, -1, 0)
    height, width = view.zbuffer.shape
    column = np.clip(x, 0, width - 1).astype(np.intp)
    row = np.clip(y, 0, height - 1).astype(np.intp)
    scale_x, scale_y = view.mask.shape[1] / width, view.mask.shape[0] / height
    reach = 2 * round(OUTLINE * view.reference_pixel) + 1
    around = cv2.erode(view.zbuffer, np.ones((reach, reach), np.uint8))
    seen = depth <= np.minimum(view.zbuffer[row, column], around[row, column] + FAR_BEHIND) + slack
    trusted = inside_mask(view.mask, view.reference_pixel * scale_y)
    # The mask is 0 outside its image.
    trusted = cv2.remap(trusted, x * scale_x - 0.5, y * scale_y - 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    # Texels outside the chart must not cause fading.
    counts = cv2.medianBlur(np.uint8(seen | ~raster.inside), SPECKLE)
    # If there is no border, the distance is the largest float.
    distance = np.minimum(cv2.distanceTransform(counts, cv2.DIST_L2, cv2.DIST_MASK_5), raster.size)
    weight = smoothstep((cosine - LEAST_COSINE) / (FULL_COSINE - LEAST_COSINE))
    weight *= trusted * smoothstep(distance / (HIDDEN_FEATHER * raster.size))
    return weight * raster.inside


def inside_mask(mask: np.ndarray, reference_pixel: float | None = None) -> np.ndarray:
    """Weights [h, w] float32 of a mask's pixels: 0 at its border and outside, 1 well inside.

    Args:
      mask: [h, w], 1 inside.
      reference_pixel: side of a pixel of a crop of REFERENCE_SIZE in pixels of the mask; by default, the mask is that
        of a crop.
    """
    pixel = len(mask) / REFERENCE_SIZE if reference_pixel is None else reference_pixel
    counts = np.pad(np.uint8(mask > 0.5), 1)
    distance = cv2.distanceTransform(counts, cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1] / pixel
    return smoothstep((distance - LEAST_DEPTH) / (FULL_DEPTH - LEAST_DEPTH)).astype(np.float32)


def sample_photo(raster: ChartRaster, pixels: np.ndarray, points: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """Samples the photo at every texel.

    Texels smaller than a pixel are interpolated bicubically. Larger ones average their pixels, by blending the two
    nearest levels of an image pyramid.

    Args:
      raster: raster of the chart.
      pixels: uint8 [h, w, 3], the photo.
      points: [N, 2] vertices in pixels of the photo (x right, y down, pixel edges).
      footprint: [N] side of a texel in pixels at each vertex.

    Returns:
      [T, T, 3] float32 RGB in [0, 1]; border colours outside the photo, undefined outside the chart.
    """
    values = raster.interpolate(np.column_stack([points, np.log2(np.maximum(footprint, 1.0))]))
    x, y, level = np.moveaxis(values, -1, 0)
    deepest = int(np.ceil(level.max()))
    total = np.zeros((raster.size, raster.size, 3), np.float32)
    height, width = pixels.shape[:2]
    for step in range(deepest + 1):
        scale_x, scale_y = pixels.shape[1] / width, pixels.shape[0] / height
        share = np.maximum(1 - np.abs(level - step), 0)
        if share.any():
            sampled = cv2.remap(
                pixels, x * scale_x - 0.5, y * scale_y - 0.5, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )
            total += sampled * share[..., None]
        if step < deepest:
            half = [max((side + 1) // 2, 1) for side in pixels.shape[1::-1]]
            pixels = cv2.resize(pixels, half, interpolation=cv2.INTER_AREA)
    return total / 255


def blend(
    skin: SkinChart,
    photo: np.ndarray,
    weight: np.ndarray,
    appearance: np.ndarray,
    albedo: np.ndarray,
    shading: np.ndarray,
    mirrored: np.ndarray | None = None,
    grain: np.ndarray | None = None,
) -> BakedTextures:
    """Blends the photo's colours and the vertex colours into textures.

    The lit texture is the photo where it is visible and the shaded albedo elsewhere, times two factors: the photo's
    ratio to the shaded albedo, continued smoothly over the mesh, which avoids a seam; and the detail of the mirrored
    side, where the photo shows that. The albedo texture is the vertex albedo times the ratio of photo to vertex
    appearance, of this side or the mirrored one. This adds detail finer than the vertices, but not light, shadows and
    highlights, which the appearance already explains. If the appearance is just the shaded albedo, the result is the
    photo divided by the shading.

    Args:
      skin: chart of the mesh.
      photo: [T, T, 3] from `sample_photo`.
      weight: [T, T] from `photo_weight`.
      appearance: [N, 3] colours of the vertices in the photo, including its light, RGB in [0, 1].
      albedo: [N, 3] RGB in [0, 1] without light.
      shading: [N, 3] the photo's light at the vertices.
      mirrored: [N] in [0, 1], share of the mirrored side's detail that a vertex takes; 1 by default.
      grain: [T, T] log of the brightness of detail for places that neither side shows; none by default.
    """
    raster = skin.raster
    mirrored = np.ones(len(albedo)) if mirrored is None else mirrored
    relit = np.clip(np.clip(albedo, 0, 1) * shading, 0, 1)
    colours = np.clip(np.column_stack([appearance, albedo]), 0, 1)
    vertices = raster.interpolate(np.column_stack([colours, relit, mirrored]))
    ratio = np.zeros((raster.size, raster.size, 3), np.float32)
    _log_ratio(photo, vertices, weight, ratio)
    smooth = raster.interpolate(_continued(skin, ratio, weight))
    own = np.zeros((raster.size, raster.size, 6), np.float32)
    _detail(photo, vertices, weight, ratio, smooth, own)
    lit, albedo = np.zeros_like(ratio), np.zeros_like(ratio)
    hidden = np.zeros_like(weight) if grain is None else _where_hidden(skin, grain, weight, vertices[..., 9])
    _compose(photo, vertices, weight, smooth, own, skin.mirrored(own), hidden, lit, albedo)
    return BakedTextures(raster.dilate(lit), raster.dilate(albedo), weight)


@compiled(nogil=True)
def _log_ratio(photo, vertices, weight, ratio):
    """Fills in the log of photo over relit albedo (channels 6 to 8 of `vertices`) where the photo counts."""
    for row in range(weight.shape[0]):
        for column in range(weight.shape[1]):
            if weight[row, column] > 0:
                for k in range(3):
                    relit = vertices[row, column, 6 + k] + DARKEST
                    ratio[row, column, k] = np.log((photo[row, column, k] + DARKEST) / relit)


@compiled(nogil=True)
def _detail(photo, vertices, weight, ratio, smooth, own):
    """Fills in the weighted detail of the lit texture (0 to 2) and of the albedo (3 to 5)."""
    for row in range(weight.shape[0]):
        for column in range(weight.shape[1]):
            share = weight[row, column]
            if share > 0:
                for k in range(3):
                    beyond = ratio[row, column, k] - smooth[row, column, k]
                    own[row, column, k] = share * min(max(beyond, -LARGEST_MIRRORED), LARGEST_MIRRORED)
                    detail = (photo[row, column, k] + DARKEST) / (vertices[row, column, k] + DARKEST)
                    own[row, column, 3 + k] = share * (min(max(detail, DETAIL_RANGE[0]), DETAIL_RANGE[1]) - 1)


@compiled(nogil=True)
def _compose(photo, vertices, weight, smooth, own, mirrored, grain, lit, albedo):
    """Fills in both textures from the photo, grain and both sides' detail (mirrored share: channel 9 of `vertices`)."""
    for row in range(weight.shape[0]):
        for column in range(weight.shape[1]):
            share, alike = weight[row, column], vertices[row, column, 9]
            relit, painted = lit[row, column], albedo[row, column]
            for k in range(3):
                detail = np.exp(smooth[row, column, k] + mirrored[row, column, k] * alike)
                relit[k] = max((vertices[row, column, 6 + k] + DARKEST) * detail - DARKEST, 0)
                factor = 1 + own[row, column, 3 + k] + mirrored[row, column, 3 + k] * alike * (1 - share)
                painted[k] = vertices[row, column, 3 + k] * factor
            _add_grain(relit, grain[row, column])
            _add_grain(painted, grain[row, column])
            for k in range(3):
                # The photo is undefined where it has no share.
                colour = relit[k] + (photo[row, column, k] - relit[k]) * share if share > 0 else relit[k]
                relit[k], painted[k] = min(max(colour, 0), 1), min(max(painted[k], 0), 1)


@compiled(nogil=True)
def _add_grain(colour, log_brightness):
    """Changes the brightness of a colour [3] in place: towards black, or towards white as a highlight does."""
    factor = np.exp(log_brightness)
    mean = (colour[0] + colour[1] + colour[2]) / 3
    for k in range(3):
        colour[k] = colour[k] * factor if factor < 1 else colour[k] + (factor - 1) * mean


def _where_hidden(skin: SkinChart, grain: np.ndarray, weight: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Grain [T, T] float32, less where the photo shows this side or the mirrored one."""
    shown_by_other = skin.mirrored(weight[..., None])[..., 0] * mirrored
    return (grain * (1 - weight) * (1 - shown_by_other)).astype(np.float32)


def _continued(skin: SkinChart, values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Membrane [N, 3] through the values [T, T, 3] of visible texels; the mean of those in each part of one colour."""
    # The square keeps texels near the border, which may be smeared, from deciding what lies beyond it.
    weight = np.square(weight)[..., None]
    joined = np.concatenate([values * weight, weight], axis=-1)
    small = cv2.resize(joined, (COARSE_SIZE, COARSE_SIZE), interpolation=cv2.INTER_AREA)
    read = at_vertices(skin.chart, cv2.GaussianBlur(small, (0, 0), 1.0), len(skin.skin))
    mass = np.maximum(read[:, 3:], np.finfo(np.float32).tiny)
    continued = membrane(skin.laplacian, read[:, :3] / mass, read[:, 3] * skin.skin)
    for part, texels in zip(skin.parts.T, skin.part_texels, strict=True):
        share = weight[texels]
        if share.sum() > 0:
            continued += part[:, None] * ((share * values[texels]).sum(axis=0) / share.sum() - continued)
    return continued
