"""Normal maps of detail finer than the mesh, in tangent space as in glTF.

Red is the component along u (right on the texture), blue along the vertex normal, green along the third axis, which is
orthogonal to both and on the side of v (up: OpenGL's convention, not DirectX's); 0.5 is zero. Viewers make the third
axis from the other two (glTF 2.0, section 3.7.2.1, and MikkTSpace), so where u and v are not at right angles on the
surface, it is not v's direction. The relief is not measured but inferred from the photo's fine shading: dark pixels are
assumed to be deep (Beeler et al., "High-Quality Single-Shot Capture of Facial Geometry", 2010, section 6), and the
relief is kept shallow.
"""

import cv2
import numpy as np

from lib.geometry.lengths import lengths

# Band of the relief's wavelengths, as standard deviations of two blurs in shares of the texture's side: below is noise,
# above is detail that the mesh itself represents.
FINEST, COARSEST = 1 / 900, 1 / 120
# Height [dm] per unit of log brightness relative to the surroundings, and the limit of that log difference.
HEIGHT, LARGEST = 0.01, 0.15
# Limit of the cosine between u and v: slopes of a chart that is nearly a line would be infinite.
MOST_SHEARED = 0.9
# Luminance weights for linear RGB (Rec. 709); accurate enough for encoded colours here.
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def detail_normals(albedo: np.ndarray, weight: np.ndarray, texels: np.ndarray) -> np.ndarray:
    """Computes a normal map [T, T, 3], encoded in [0, 1], from an albedo texture.

    Args:
      albedo: [T, T, 3] RGB in [0, 1], row 0 at v = 1.
      weight: [T, T] in [0, 1], strength of the relief: 1 on skin visible in the photo.
      texels: [T, T, 3] length of a texel on the surface along u and v, decimetres, and the cosine of the angle between
        these directions; 0 outside the chart.
    """
    size = albedo.shape[0]
    brightness = np.log(albedo @ LUMINANCE + 0.02)
    band = _blur(brightness, FINEST * size) - _blur(brightness, COARSEST * size)
    height = (HEIGHT * np.clip(band, -LARGEST, LARGEST) * weight).astype(np.float32)  # for OpenCV
    smallest = np.finfo(np.float32).tiny
    slope_u = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=1 / 8) / np.maximum(texels[..., 0], smallest)
    slope_v = -cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=1 / 8) / np.maximum(texels[..., 1], smallest)
    # v's direction is cosine * (u's) + sqrt(1 - cosine^2) * (the third axis), and slopes along directions likewise.
    cosine = np.clip(texels[..., 2], -MOST_SHEARED, MOST_SHEARED)
    across = (slope_v - cosine * slope_u) / np.sqrt(1 - np.square(cosine))
    normals = np.stack([-slope_u, -across, np.ones_like(slope_u)], axis=-1)
    normals[np.minimum(texels[..., 0], texels[..., 1]) <= 0] = [0, 0, 1]  # outside the chart
    return normals / lengths(normals) / 2 + 0.5


def _blur(image: np.ndarray, deviation: float) -> np.ndarray:
    return cv2.GaussianBlur(image.astype(np.float32), (0, 0), deviation, borderType=cv2.BORDER_REPLICATE)
