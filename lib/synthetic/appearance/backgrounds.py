"""Backgrounds of synthetic faces: walls, skies, blurred rooms and foliage."""

import cv2
import numpy as np


def sample_background(generator: np.random.Generator, size: int) -> np.ndarray:
    """Draws a background.

    Args:
      generator: source of randomness.
      size: side in pixels.

    Returns:
      [size, size, 3] float32 RGB in [0, 1].
    """
    full, size = size, max(8, size // 2)  # backgrounds are never sharp
    kind = generator.choice(["gradient", "noise", "shapes", "foliage", "stripes"], p=[0.25, 0.2, 0.3, 0.15, 0.1])
    image = _gradient(generator, size)
    if kind == "noise":
        image = image + _fractal(generator, size, 3, 5, 0.6) * np.float32(generator.uniform(0.04, 0.2))
    elif kind == "shapes":
        image = _shapes(generator, image)
    elif kind == "foliage":
        tint = np.array([0.75, 1.0, 0.6]) if generator.random() < 0.6 else generator.uniform(0.6, 1, 3)
        image = image * 0.5 + tint * (0.5 + 0.5 * _fractal(generator, size, 8, 5, 0.9)) * generator.uniform(0.2, 0.5)
        image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), size * generator.uniform(0.002, 0.02))
    elif kind == "stripes":
        image = _stripes(generator, image)
    image = image + 0.012 * generator.normal(0, 1, (size, size, 1)).astype(np.float32)
    image = cv2.resize(image.astype(np.float32), (full, full), interpolation=cv2.INTER_LINEAR)
    return np.clip(image, 0, 1)


def _colour(generator: np.random.Generator) -> np.ndarray:
    """Draws a mostly muted colour, as of walls and clothes."""
    grey = generator.beta(1.5, 1.5)
    return np.clip(grey + generator.normal(0, 0.05 + 0.13 * (generator.random() < 0.4), 3), 0.02, 0.98)


def _gradient(generator: np.random.Generator, size: int) -> np.ndarray:
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    angle = generator.uniform(0, 2 * np.pi)
    t = axis[None, :] * np.cos(angle) + axis[:, None] * np.sin(angle)
    t = 1 / (1 + np.exp(-t * generator.uniform(0.6, 3)))[..., None]
    return (
        _colour(generator) * (1 - t) + np.clip(_colour(generator) * 0.5 + 0.3 * generator.random(), 0, 1) * t
    ).astype(np.float32)


def _fractal(generator: np.random.Generator, size: int, cells: int, octaves: int, decay: float) -> np.ndarray:
    """[size, size, 3] smooth noise of about unit strength, the channels half correlated."""
    total = np.zeros((size, size, 3), np.float32)
    for octave in range(octaves):
        n = min(cells * 2**octave, size)
        layer = generator.normal(size=(n, n, 3)) * 0.25 + generator.normal(size=(n, n, 1))
        total += cv2.resize(layer.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC) * decay**octave
    return total / total.std()


def _shapes(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Adds out-of-focus boxes, discs and beams."""
    size = len(image)
    canvas = np.ascontiguousarray(image)
    for _ in range(generator.integers(4, 14)):
        colour = tuple(float(c) for c in _colour(generator) * generator.uniform(0.6, 1.3))
        x, y, w, h = generator.uniform(-0.2, 1.1, 4) * size
        if generator.random() < 0.6:
            box = cv2.boxPoints(((x, y), (0.1 * size + abs(w) * 0.6, 0.1 * size + abs(h)), generator.normal(0, 8)))
            cv2.fillConvexPoly(canvas, box.astype(np.int32), colour)
        else:
            cv2.circle(canvas, (int(x), int(y)), int(size * generator.uniform(0.03, 0.2)), colour, -1)
    return cv2.GaussianBlur(canvas, (0, 0), size * np.exp(generator.uniform(np.log(0.004), np.log(0.05))))


def _stripes(generator: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Adds stripes such as shelves, blinds and panelling."""
    size = len(image)
    axis = np.linspace(0, 1, size, dtype=np.float32)
    across = axis[None, :] if generator.random() < 0.6 else axis[:, None]
    wave = np.sin(2 * np.pi * (across * generator.uniform(3, 14) + generator.random()))
    wave = np.tanh(wave * generator.uniform(1, 6)) * np.ones((size, size), np.float32)
    image = image * (1 + generator.uniform(0.05, 0.3) * wave[..., None])
    return cv2.GaussianBlur(image.astype(np.float32), (0, 0), size * generator.uniform(0.002, 0.02))
