"""Textures of a face baked from a photo: the photo's own pixels where it sees the surface, vertex colours elsewhere."""

from dataclasses import dataclass

import cv2
import numpy as np

from lib.mesh_export.uv_chart import ChartRaster

# Cosines between normal and view at which the photo's pixels stop and fully count: grazing views smear them.
LEAST_COSINE, FULL_COSINE = 0.1, 0.35
# Shares of the texture's side over which photo and vertex colours are blended, at the mask's border, which is a pixel
# or so off (1.5 mm on the built-in face), and where the face hides itself: lips and lids have no room for more.
MASK_FEATHER, HIDDEN_FEATHER = 1 / 160, 1 / 400
# What lies this far behind [dm] is hidden already this close to the outline of what is before it [px of the mask]: the
# colours of a nose that is fitted two pixels off would land on the cheek.
FAR_BEHIND, OUTLINE = 0.12, 1.5
# Seen and hidden texels of fewer than half this square's are noise of the depth test.
SPECKLE = 3
# Bounds of the photo's colour over the vertices' (at least DARKEST): what lies beyond is not detail of the skin.
DETAIL_RANGE = (0.4, 2.0)
DARKEST = 0.02
# How far the photo's difference to the model is continued beyond the photo (standard deviation, share of the texture's
# side), the weight at which it has faded by half, and the side it is computed at: it has no detail.
SPREAD, SPREAD_FLOOR, SPREAD_SIZE = 1 / 32, 0.03, 128


@dataclass(frozen=True, eq=False)
class SurfaceView:
    """A mesh as a photo shows it: its vertices as the photo's camera sees them.

    Attributes:
      points: [N, 2] in pixels of the z-buffer's image, x right, y down.
      depth: [N] distance in front of the camera.
      slack: [N] by how much a vertex may lie behind what its pixel shows and still be it.
      cosine: [N] between normal and direction to the camera.
      zbuffer: [H, W] float32 depth at every pixel, infinite in the background.
      mask: [h, w] float, 1 where colours may be read; the z-buffer's frame, at any resolution.
    """

    points: np.ndarray
    depth: np.ndarray
    slack: np.ndarray
    cosine: np.ndarray
    zbuffer: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True, eq=False)
class BakedTextures:
    """Textures of one face, row 0 at v = 1.

    Attributes:
      lit: [T, T, 3] RGB in [0, 1], as in the photo.
      albedo: [T, T, 3] RGB in [0, 1], without the light.
      weight: [T, T] share of the photo in them.
    """

    lit: np.ndarray
    albedo: np.ndarray
    weight: np.ndarray


def photo_weight(raster: ChartRaster, view: SurfaceView) -> np.ndarray:
    """Share of the photo in every texel, [T, T] float32 in [0, 1].

    A texel counts if the z-buffer shows it, the mask allows it and it faces the camera. The weight rises inwards from
    the border of the texels that the mask allows and from that of those that are seen, and with the cosine.
    """
    values = raster.interpolate(np.column_stack([view.points, view.depth, view.slack, view.cosine]))
    x, y, depth, slack, cosine = np.moveaxis(values, -1, 0)
    height, width = view.zbuffer.shape
    column = np.clip(x, 0, width - 1).astype(np.intp)
    row = np.clip(y, 0, height - 1).astype(np.intp)
    scale_x, scale_y = view.mask.shape[1] / width, view.mask.shape[0] / height
    reach = 2 * round(OUTLINE / scale_x) + 1
    around = cv2.erode(view.zbuffer, np.ones((reach, reach), np.uint8))
    seen = depth <= np.minimum(view.zbuffer[row, column], around[row, column] + FAR_BEHIND) + slack
    mask = view.mask.astype(np.float32)
    # Beyond its border a mask allows nothing.
    mask = cv2.remap(mask, x * scale_x - 0.5, y * scale_y - 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    weight = _smoothstep((cosine - LEAST_COSINE) / (FULL_COSINE - LEAST_COSINE))
    for counts, feather in ((seen, HIDDEN_FEATHER), (mask > 0.5, MASK_FEATHER)):
        # Outside the chart nothing is known and nothing must fade.
        counts = cv2.medianBlur(np.uint8(counts | ~raster.inside), SPECKLE)
        # Without any border the distance is the largest float.
        distance = np.minimum(cv2.distanceTransform(counts, cv2.DIST_L2, cv2.DIST_MASK_5), raster.size)
        weight *= _smoothstep(distance / (feather * raster.size))
    return weight * raster.inside


def sample_photo(raster: ChartRaster, pixels: np.ndarray, points: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    """The photo's colours at every texel.

    Bicubic where a texel is smaller than a pixel; where it is larger, the average of its pixels, from a pyramid of
    halved photos, the two nearest levels blended.

    Args:
      raster: of the chart.
      pixels: uint8 [h, w, 3].
      points: [N, 2] vertices in these pixels (x right, y down, pixel edges).
      footprint: [N] side of a texel in pixels, around each vertex.

    Returns:
      [T, T, 3] float32 RGB in [0, 1]; outside the photo its border, outside the chart anything.
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
    raster: ChartRaster,
    photo: np.ndarray,
    weight: np.ndarray,
    appearance: np.ndarray,
    albedo: np.ndarray,
    shading: np.ndarray,
) -> BakedTextures:
    """Textures from the photo's colours and the vertices'.

    The lit texture is the photo; where that says nothing, the albedo under the light, shifted near the border by what
    the photo differs from it there, so that no seam is left. The albedo texture is the vertices' albedo times photo
    over their appearance in the photo: what the vertices are too coarse for is added, what they already explain (light,
    shadows, highlights) is not. Where appearance is nothing but albedo under light, that is the photo divided by the
    shading.

    Args:
      raster: of the chart.
      photo: [T, T, 3] from `sample_photo`.
      weight: [T, T] from `photo_weight`.
      appearance: [N, 3] what the vertices look like in the photo, its light included, RGB in [0, 1].
      albedo: [N, 3] RGB in [0, 1] without the photo's light.
      shading: [N, 3] that light.
    """
    relit = np.clip(albedo, 0, 1) * shading
    vertices = raster.interpolate(np.clip(np.column_stack([appearance, albedo, relit]), 0, 1))
    appearance, albedo, relit = vertices[..., :3], vertices[..., 3:6], vertices[..., 6:]
    share = weight[..., None]
    detail = np.clip((photo + DARKEST) / (appearance + DARKEST), *DETAIL_RANGE)
    fill = relit + _spread(photo - relit, weight)
    lit = fill + (photo - fill) * share
    albedo = albedo * (1 + (detail - 1) * share)
    return BakedTextures(raster.dilate(np.clip(lit, 0, 1)), raster.dilate(np.clip(albedo, 0, 1)), weight)


def _spread(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted local means of [T, T, 3], continued beyond where the weight is, to fade away with distance."""
    size = values.shape[0]
    reduced = (SPREAD_SIZE, SPREAD_SIZE)
    joined = np.concatenate([values * weight[..., None], weight[..., None]], axis=-1)
    small = cv2.resize(joined, reduced, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), SPREAD * SPREAD_SIZE, borderType=cv2.BORDER_REPLICATE)
    means = small[..., :3] / (small[..., 3:] + SPREAD_FLOOR)
    return cv2.resize(means, (size, size), interpolation=cv2.INTER_CUBIC)


def _smoothstep(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)
