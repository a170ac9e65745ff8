"""Simulation of lens, sensor and compression for synthetic photos."""

import cv2
import numpy as np

from lib.geometry.reference import REFERENCE_SIZE
from lib.images.display import to_bytes


def soft_shoulder(image: np.ndarray, knee: float = 0.82) -> np.ndarray:
    """Compresses values above the knee towards 1 instead of clipping them, as film and phones do."""
    over = np.maximum(image - knee, 0)
    return np.where(image > knee, knee + (1 - knee) * (1 - np.exp(-over / (1 - knee))), np.maximum(image, 0))


def reduce(image: np.ndarray, factor: int) -> np.ndarray:
    """Averages blocks, [H f, W f, ...] to [H, W, ...], for antialiasing."""
    if factor == 1:
        return image
    height, width = image.shape[0] // factor, image.shape[1] // factor
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def develop(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Simulates a random camera.

    Args:
      image: [H, W, 3] RGB, about [0, 1].
      generator: source of randomness.

    Returns:
      uint8 [H, W, 3].
    """
    size = image.shape[0]
    cast = np.exp(generator.normal((0.02, 0.0, -0.03), 0.028))
    image = image * (cast * np.exp(generator.normal(0, 0.06)))
    gamma = np.exp(generator.normal(0.11, 0.07))
    image = np.clip(image, 0, 1) ** gamma
    grey = image.mean(-1, keepdims=True)
    image = grey + (image - grey) * np.clip(generator.normal(1.06, 0.1), 0.75, 1.3)
    # Faces in photos of the web are seldom sharp to the pixel: lens, focus, motion, scaling.
    radius = max(0.0, generator.normal(1.0, 0.4)) * size / REFERENCE_SIZE
    if generator.random() < 0.08:
        radius += generator.uniform(0.5, 1.3) * size / REFERENCE_SIZE
    if radius > 0.2:
        image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), radius)
    if generator.random() < 0.35:  # cameras sharpen
        image = image + generator.uniform(0.1, 0.5) * (image - cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.0))
    if generator.random() < 0.3:  # a small or far face, enlarged
        small = int(size * generator.uniform(0.45, 0.9))
        image = cv2.resize(image.astype(np.float32), (small, small), interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC)
    strength = abs(generator.normal(0, 0.012))
    noise = generator.normal(0, 1, image.shape).astype(np.float32)
    image = image + strength * noise * (0.4 + 0.6 * np.sqrt(np.clip(image, 0, 1)))
    pixels = to_bytes(image)
    if generator.random() < 0.7:
        pixels = _compress(pixels, int(generator.uniform(45, 97)))
    return pixels


def _compress(pixels: np.ndarray, quality: int) -> np.ndarray:
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise OSError("JPEG compression must succeed, got a failure of the codec")
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if decoded is None:
        raise OSError("JPEG data just compressed must be readable, got a failure of the codec")
    return np.ascontiguousarray(decoded[..., ::-1])
