"""Colours of image files in sRGB: an embedded ICC profile, e.g. Display P3 of phones, is applied."""

import functools
import io

import numpy as np
from PIL import Image, ImageCms

# Colour spaces of profiles -> the modes of the images that they describe, and the mode in which LittleCMS takes them.
_SPACES = {
    "RGB ": (("RGB", "RGBA", "P", "PA", "1", "L", "LA"), "RGB"),
    "GRAY": (("1", "L", "LA"), "L"),
    "CMYK": (("CMYK",), "CMYK"),
}
# A profile that moves no value by more than this is sRGB itself, of which there are many, rounded differently.
_ROUNDING = 2
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Converts an image to RGB, or RGBA if it has transparency, in sRGB.

    Without a profile, values count as sRGB; so they do if the profile is damaged or for images of another kind, as in
    other programs: the picture is whole, only its colours are uncertain. Alpha and the colours below it stay.

    Args:
      image: of any mode that Pillow converts to RGB.
      profile: the file's ICC profile, if any.
    """
    plain = image.convert("RGBA" if image.has_transparency_data else "RGB")
    transform = _to_srgb(profile, image.mode) if isinstance(profile, bytes) and profile else None
    if transform is None:
        return plain
    # Pillow warns of palettes with transparency unless they are converted to RGBA first.
    values = (image if image.mode in ("L", "CMYK") else plain).convert(transform.input_mode)
    colours = ImageCms.applyTransform(values, transform)
    assert colours is not None, "None is returned by changes in place only"
    if plain.mode == "RGBA":
        colours.putalpha(plain.getchannel("A"))
    return colours


@functools.lru_cache(maxsize=8)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The transform of a profile for images of a mode; None if values stay as they are."""
    try:
        opened = ImageCms.getOpenProfile(io.BytesIO(profile))
        modes, taken = _SPACES.get(opened.profile.xcolor_space, ((), ""))
        if mode not in modes:
            return None
        srgb = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(opened, ImageCms.ImageCmsProfile(srgb), taken, "RGB", _INTENT, _FLAGS)
    except ImageCms.PyCMSError:  # a damaged profile
        return None
    return None if taken != "CMYK" and _is_identity(transform) else transform


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """True if a transform of RGB or grey values changes none of them by more than rounding does."""
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(len(steps), -1, 3)
    given = Image.fromarray(colours if transform.input_mode == "RGB" else np.arange(256, dtype=np.uint8)[None])
    changed = ImageCms.applyTransform(given, transform)
    difference = np.asarray(changed, int) - np.asarray(given.convert("RGB"), int)
    return bool(np.abs(difference).max() <= _ROUNDING)
