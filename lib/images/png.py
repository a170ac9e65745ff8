"""Fast lossless PNG files."""

import cv2
import numpy as np

# For photos, textures and renderings, run lengths of Paeth's differences are smaller than what zlib finds at level 3,
# in half the time: 1.36 instead of 1.67 MB and 0.13 instead of 0.28 s for three textures of 1,024 texels. The level
# comes first, because it resets the strategy.
_LEVEL = (cv2.IMWRITE_PNG_COMPRESSION, 1)
_STRATEGY = (cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
_FILTER = (cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_PAETH)


def png_bytes(pixels: np.ndarray) -> bytes:
    """Encodes uint8 RGB [H, W, 3] or RGBA [H, W, 4] as a PNG file."""
    conversion = cv2.COLOR_RGBA2BGRA if pixels.shape[-1] == 4 else cv2.COLOR_RGB2BGR
    parameters = (*_LEVEL, *_STRATEGY, *_FILTER)
    done, data = cv2.imencode(".png", cv2.cvtColor(np.ascontiguousarray(pixels), conversion), parameters)
    if not done:
        raise OSError(f"a picture of {pixels.shape[1]} x {pixels.shape[0]} pixels could not be encoded as PNG")
    return data.tobytes()
