"""Training crops of the mask decoder: randomly changed squares of synthetic photos, with the share of skin per cell."""

import cv2
import numpy as np

from lib.face_mesh.network import SIDE, Square
from lib.images.display import to_bytes
from lib.synthetic.photos import SyntheticFaces
from lib.synthetic.rendering.scene import PhotoSettings
from model.networks.mask_decoder import SIDE as OUTPUT_SIDE

# Photos with the mask decoder's occluders, one of each person. Change the number with every change of these occluders.
COVERS = "covers 1"
# Random changes of the square: shift and spread of the log size, in shares of its side; angle (radians).
SHIFT, ZOOM, ANGLE = 0.03, 0.06, 0.12


def make_faces(face_model, image_size: int, seed: int) -> SyntheticFaces:
    """The source of the photos, for `lib.synthetic.face_set.load_or_render`."""
    # The masks are averaged over cells of several pixels, which makes supersampling superfluous.
    settings = PhotoSettings(photos_per_identity=1, supersampling=1, occluders=False, covers=True)
    return SyntheticFaces(face_model, image_size, seed, settings)


def random_crop(
    image: np.ndarray, square: Square, generator: np.random.Generator | None
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts a face out of a photo, uint8 [192, 192, 3], with the share of skin [96, 96] in each cell.

    Args:
      image: uint8 [H, W, 4] RGBA.
      square: the face's.
      generator: of the changes; None: no changes.
    """
    if generator is not None:
        square = Square(
            square.centre + square.side * generator.normal(0, SHIFT, 2),
            square.side * float(np.exp(generator.normal(0, ZOOM))),
            square.angle + generator.normal(0, ANGLE),
        )
    pixels, skin = (square.cut(np.ascontiguousarray(part), SIDE) for part in (image[..., :3], image[..., [3, 3, 3]]))
    share = cv2.resize(skin[..., 0], (OUTPUT_SIDE, OUTPUT_SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    if generator is None:
        return pixels, share
    if generator.random() < 0.5:
        pixels, share = pixels[:, ::-1], share[:, ::-1]
    return _developed(np.ascontiguousarray(pixels), generator), np.ascontiguousarray(share)


def _developed(pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Changes exposure, colours and sharpness as other cameras and editors would."""
    values = pixels.astype(np.float32) / 255
    values = values ** np.float32(np.exp(generator.normal(0, 0.25)))
    values = values * np.exp(generator.normal(0, 0.08, 3)).astype(np.float32)
    grey = values.mean(-1, keepdims=True)
    saturation = 0.0 if generator.random() < 0.07 else np.exp(generator.normal(0, 0.3))
    values = grey + (values - grey) * np.float32(saturation)
    middle = generator.uniform(0.3, 0.7)
    values = middle + (values - middle) * np.float32(np.exp(generator.normal(0, 0.2)))
    if generator.random() < 0.3:
        values = cv2.GaussianBlur(values, (0, 0), generator.uniform(0.3, 1.8))
    if generator.random() < 0.5:
        values = values + generator.normal(0, generator.uniform(0, 0.04), values.shape).astype(np.float32)
    return to_bytes(values)
