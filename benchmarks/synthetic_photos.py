"""Synthetic faces as aligned photos for benchmarks, at their true points instead of a detector's."""

import numpy as np

from lib.face_image.detection import Face
from lib.synthetic.photos import SyntheticFace
from model.photos.reader import AlignedPhoto, FoundFaces, PhotoReader


def aligned_photo(reader: PhotoReader, name: str, face: SyntheticFace) -> AlignedPhoto:
    """Aligns a synthetic face at the points that an ideal detector would find."""
    return aligned_at(reader, name, face.image, face.five_points)


def aligned_at(reader: PhotoReader, name: str, image: np.ndarray, points: np.ndarray) -> AlignedPhoto:
    """Aligns a picture, uint8 [H, W, 3], at five points [5, 2]."""
    face = Face(np.zeros(4), points, 1.0)
    return reader.aligned(name, FoundFaces(image, [face]), face)
