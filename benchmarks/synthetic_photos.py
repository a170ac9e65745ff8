"""Synthetic faces as the photos that benchmarks reconstruct: detected without an error of the detector's own."""

import numpy as np

from lib.face_image.detection import Face
from lib.synthetic.photos import SyntheticFace
from model.photos.reader import AlignedPhoto, PhotoReader


def aligned_photo(reader: PhotoReader, name: str, face: SyntheticFace) -> AlignedPhoto:
    """A synthetic face, aligned at the points that a detector would have found."""
    return aligned_at(reader, name, face.image, face.five_points)


def aligned_at(reader: PhotoReader, name: str, image: np.ndarray, points: np.ndarray) -> AlignedPhoto:
    """A picture uint8 [H, W, 3], aligned at five points [5, 2]."""
    return reader.aligned(name, image, Face(np.zeros(4), points, 1.0))
