"""Occluders drawn over the finished picture for training the mask decoder: hair, face masks, and shadows of brims."""

from dataclasses import dataclass

import cv2
import numpy as np

# Fractional bits of the coordinates that OpenCV draws.
BITS = 3


@dataclass(frozen=True)
class FaceFrame:
    """Axes of the face in the picture: `point(x, y)` is x to the right and y up from the bridge of the nose.

    Attributes:
      bridge: [2] pixels; right, up: [2] pixels per unit, a unit being about the width of a face seen from the front.
    """

    bridge: np.ndarray
    right: np.ndarray
    up: np.ndarray

    @classmethod
    def of(cls, landmarks: np.ndarray):
        """The frame of landmarks [68, 2] in pixels."""
        up = 1.3 * (landmarks[27] - landmarks[8])
        # A face in profile is narrow, but hair hangs over it all the same.
        across = landmarks[16] - landmarks[0]
        across *= max(1.0, 0.6 * np.linalg.norm(up) / max(float(np.linalg.norm(across)), 1e-6))
        return cls(landmarks[27], across, up)

    def point(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Pixels [..., 2] of face coordinates."""
        return self.bridge + np.asarray(x)[..., None] * self.right + np.asarray(y)[..., None] * self.up


def draw_locks(
    size: int, paths: list[np.ndarray], widths: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draws locks of hair, each made of strands that converge towards the tip.

    Args:
      size: side of the picture.
      paths: a path [P, 2] in pixels for each lock, from root to tip.
      widths: [L] pixels.
      generator: random numbers.

    Returns:
      Coverage [size, size] in 0..1, and brightness [size, size] of the strands around 1.
    """
    cover, bright = np.zeros((size, size), np.uint8), np.full((size, size), 128, np.uint8)
    thickness = max(1, round(size / 220))
    for path, width in zip(paths, widths, strict=True):
        aside = np.gradient(path, axis=0)[:, ::-1] * (1, -1)
        aside /= np.linalg.norm(aside, axis=1, keepdims=True) + 1e-9
        taper = 1 - generator.uniform(0.4, 1.0) * np.linspace(0, 1, len(path))[:, None] ** 2
        lightness = generator.uniform(0.75, 1.2)
        for _ in range(max(1, round(width / thickness * 1.1))):
            offset = generator.uniform(-0.5, 0.5) * width * taper + generator.normal(0, 0.03 * width)
            end = max(3, round(len(path) * generator.uniform(0.8, 1.0)))
            points = np.rint((path + aside * offset)[:end] * 2**BITS).astype(np.int32).reshape(-1, 1, 2)
            cv2.polylines(cover, [points], False, 255, thickness, cv2.LINE_AA, BITS)
            shade = int(np.clip(128 * lightness * np.exp(generator.normal(0, 0.22)), 20, 255))
            cv2.polylines(bright, [points], False, shade, thickness, cv2.LINE_AA, BITS)
    return cover.astype(np.float32) / 255, bright.astype(np.float32) / 128


def draw_fringe(size: int, frame: FaceFrame, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and brightness of a fringe that ends between forehead and cheeks."""
    count = int(generator.integers(14, 60))
    level, slant = generator.uniform(-0.2, 0.3), generator.uniform(-0.35, 0.35)
    left, right = np.sort(generator.uniform(-0.62, 0.62, 2)) if generator.random() < 0.3 else (-0.6, 0.6)
    x = generator.uniform(left, right, count)
    root = generator.uniform(0.68, 0.9) - 0.55 * x**2
    tip = level + slant * x + generator.normal(0, generator.uniform(0.01, 0.08), count)
    tip_x = x * generator.uniform(0.85, 1.05) + generator.uniform(-0.3, 0.3) + generator.normal(0, 0.03, count)
    bend = generator.uniform(-0.15, 0.15) + generator.normal(0, 0.02, count)
    paths = [_path(frame, *values) for values in zip(x, root, tip_x, np.minimum(tip, root - 0.1), bend, strict=True)]
    widths = np.linalg.norm(frame.up) * generator.uniform(0.02, generator.choice([0.05, 0.14]), count)
    return draw_locks(size, paths, widths, generator)


def draw_side_locks(size: int, frame: FaceFrame, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and brightness of hair that hangs over one temple and cheek, sometimes over an eye."""
    side, count = generator.choice([-1, 1]), int(generator.integers(4, 40))
    root = side * generator.uniform(-0.15, 0.3) + generator.normal(0, 0.06, count)
    end = side * generator.uniform(0.2, 0.55) + generator.normal(0, 0.07, count)
    height = generator.uniform(0.55, 0.8) + generator.normal(0, 0.04, count)
    low = generator.uniform(-0.9, 0.0) + generator.normal(0, 0.08, count)
    bend = side * generator.uniform(0.0, 0.4) + generator.normal(0, 0.03, count)
    paths = [_path(frame, *values) for values in zip(root, height, end, low, bend, strict=True)]
    widths = np.linalg.norm(frame.up) * generator.uniform(0.01, generator.choice([0.03, 0.1]), count)
    return draw_locks(size, paths, widths, generator)


def draw_single_strands(size: int, frame: FaceFrame, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and brightness of a few thin strands across forehead and cheeks."""
    count = int(generator.integers(2, 9))
    start = generator.uniform(-0.5, 0.5) + generator.normal(0, 0.1, count)
    end = start + generator.uniform(-0.5, 0.5) + generator.normal(0, 0.1, count)
    height, low = generator.uniform(0.5, 0.85, count), generator.uniform(-0.8, 0.2, count)
    paths = [_path(frame, *v) for v in zip(start, height, end, low, generator.normal(0, 0.12, count), strict=True)]
    return draw_locks(size, paths, np.linalg.norm(frame.up) * generator.uniform(0.004, 0.02, count), generator)


def draw_face_mask(
    size: int, landmarks: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A cloth over mouth and chin, sometimes below the nose: coverage, brightness of its folds, and colour [3]."""
    top = landmarks[generator.choice([28, 29, 30, 33])]
    first = int(generator.integers(1, 4))
    outline = np.concatenate([landmarks[first : 17 - first], [landmarks[16 - first] * 0.35 + top * 0.65], [top]])
    outline = np.concatenate([outline, [landmarks[first] * 0.35 + top * 0.65]])
    middle = landmarks[[30, 8]].mean(0)
    outline = middle + (outline - middle) * generator.uniform(1.0, 1.08)
    cover = np.zeros((size, size), np.uint8)
    cv2.fillPoly(cover, [np.rint(outline * 2**BITS).astype(np.int32).reshape(-1, 1, 2)], 255, cv2.LINE_AA, BITS)
    up = landmarks[27] - landmarks[8]
    rows, columns = np.mgrid[:size, :size].astype(np.float32) + 0.5
    height = ((columns - middle[0]) * up[0] + (rows - middle[1]) * up[1]) / (up @ up)
    folds = 1 + generator.uniform(0, 0.12) * np.sin(height * generator.uniform(15, 50) + generator.uniform(0, 6))
    white = generator.choice([0.05, 0.3, 0.6, 0.85])
    return cover.astype(np.float32) / 255, folds, np.clip(white + generator.normal(0, 0.1, 3), 0.02, 0.95)


def brim_shadow(size: int, frame: FaceFrame, generator: np.random.Generator) -> np.ndarray:
    """Factor [size, size] by which a brim darkens what is below it; the shadow ends between forehead and nose."""
    rows, columns = np.mgrid[:size, :size].astype(np.float32) + 0.5
    offset = np.stack([columns, rows], -1) - frame.bridge.astype(np.float32)
    across, up = (offset @ (axis / (axis @ axis)).astype(np.float32) for axis in (frame.right, frame.up))
    edge = generator.uniform(-0.3, 0.3) + generator.uniform(-0.3, 0.3) * across - generator.uniform(0, 0.5) * across**2
    inside = 1 / (1 + np.exp(-np.clip((up - edge) / generator.uniform(0.008, 0.05), -30, 30)))
    return 1 - generator.uniform(0.15, 0.7) * inside


def _path(frame: FaceFrame, x: float, y: float, end_x: float, end_y: float, bend: float) -> np.ndarray:
    """Path [P, 2] in pixels between two places of the face, bent sideways."""
    t = np.linspace(0, 1, 20)
    return frame.point(x + (end_x - x) * t + bend * np.sin(np.pi * t), y + (end_y - y) * t)
