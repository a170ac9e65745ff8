"""Colours of hair and skin on the scalp, compared."""

import numpy as np

# Differences (root mean square of the log of colours) from the skin at which the scalp counts as bare and as covered.
BARE, COVERED = 0.2, 0.45
DARKEST = 0.03
# Log of the ratio of colour densities, hair to skin, of what is surely skin and surely not.
SKIN, HAIR = -1.2, -0.4
# Colours that differ this much (root mean square of the log) from the typical one count half for what is not seen: the
# shadow under a brim, a logo, or hair below a cap is not what goes on behind.
UNUSUAL = 0.3
# Exponent of the brightness of light on hair below its median: light passes through hair, so it is less dark than skin
# that turns away from the light. Divided by the light of skin, hair there would shine.
TRANSLUCENT = 0.5


def unlike_skin(colours: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """[N] how surely colours [N, 3] are not of the skin [N, 3]: 0 for skin, 1 for anything else."""
    return np.clip((apart(colours, skin) - BARE) / (COVERED - BARE), 0, 1)


def share_of_hair(odds: np.ndarray) -> np.ndarray:
    """Share of hair in [0, 1] of pixels with these odds (log) of hair to skin."""
    return np.clip((odds - SKIN) / (HAIR - SKIN), 0, 1)


def below_one(colours: np.ndarray) -> np.ndarray:
    """Colours [N, 3], at most 1; bright cloth keeps its hue."""
    return colours / np.maximum(colours.max(axis=1, keepdims=True), 1)


def typical(colours: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weights [N] with less for colours [N, 3] that differ from their median."""
    order = np.argsort(colours.mean(axis=1))
    middle = order[np.searchsorted(np.cumsum(weight[order]), 0.5 * weight.sum())]
    return weight / (1 + np.square(apart(colours, colours[middle]) / UNUSUAL))


def log_brightness(colours: np.ndarray) -> np.ndarray:
    """Log [...] of the mean over the channels of colours [..., 3]."""
    # NumPy's mean over a last axis of three is slow.
    red, green, blue = np.moveaxis(colours, -1, 0)
    return np.log(np.maximum((red + green + blue) / 3, 0) + DARKEST)


def apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Root mean square [N] of the log of the ratio of colours [N, 3]."""
    return np.sqrt(np.square(log_ratio(one, other)).mean(axis=1))


def log_ratio(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Log [N, 3] of the ratio of colours [N, 3]."""
    return np.log((np.maximum(one, 0) + DARKEST) / (np.maximum(other, 0) + DARKEST))


def light_on_hair(light: np.ndarray, hairy: np.ndarray) -> np.ndarray:
    """Light [N, 3] on hair, in one hue, and less dark than on skin where it is dark.

    Spherical harmonics that were fitted to skin say little about hues behind: white hair would turn pink there.

    Args:
      light: [N, 3] on skin.
      hairy: [N] bool, the usual scalp.
    """
    mean, brightness = light[hairy].mean(axis=0), np.maximum(light.mean(axis=1, keepdims=True), DARKEST)
    middle = np.median(brightness[hairy])
    on_hair = brightness * np.maximum(middle / brightness, 1) ** (1 - TRANSLUCENT)
    return (on_hair * (mean / max(mean.mean(), DARKEST))).astype(np.float32)
