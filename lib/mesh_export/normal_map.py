"""A normal map of the detail between the vertices, in tangent space as glTF wants it.

Red is the component along u (right on the texture), green along v (up: OpenGL's convention, not DirectX's), blue along
the vertex normal; 0.5 is zero. No scanner saw this relief: it is the photo's fine shading taken for it, as dark pixels
lie deep (Beeler et al., "High-Quality Single-Shot Capture of Facial Geometry", 2010, section 6). It is kept shallow.
"""

import cv2
import numpy as np

# Relief's wavelengths, as standard deviations of the two blurs, shares of the texture's side: noise, and the vertices'
# own spacing, at which the mesh knows better.
FINEST, COARSEST = 1 / 900, 1 / 120
# Depth [dm] of a pixel that is 1 darker in the logarithm than around it, and the largest difference that is believed.
DEPTH, LARGEST = 0.01, 0.15
# Luminance of linear weights (Rec. 709); close enough on encoded colours for relief.
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def detail_normals(albedo: np.ndarray, weight: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Normals [T, T, 3] in [0, 1] for an albedo texture.

    Args:
      albedo: [T, T, 3] RGB in [0, 1], row 0 at v = 1.
      weight: [T, T] in [0, 1], where the texture's detail is relief: skin that the photo shows.
      lengths: [T, T, 2] size of a texel on the surface along u and v, decimetres.
    """
    size = albedo.shape[0]
    darkness = np.log(albedo @ LUMINANCE + 0.02)
    band = _blur(darkness, FINEST * size) - _blur(darkness, COARSEST * size)
    height = DEPTH * np.clip(band, -LARGEST, LARGEST) * weight
    smallest = np.finfo(np.float32).tiny
    slope_u = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=1 / 8) / np.maximum(lengths[..., 0], smallest)
    slope_v = -cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=1 / 8) / np.maximum(lengths[..., 1], smallest)
    normals = np.stack([-slope_u, -slope_v, np.ones_like(slope_u)], axis=-1)
    normals[lengths.min(axis=-1) <= 0] = [0, 0, 1]  # outside the chart
    return normals / np.linalg.norm(normals, axis=-1, keepdims=True) / 2 + 0.5


def _blur(image: np.ndarray, deviation: float) -> np.ndarray:
    return cv2.GaussianBlur(image.astype(np.float32), (0, 0), deviation, borderType=cv2.BORDER_REPLICATE)
