"""Colour of the built-in face: region masks, the painted mean, and the variation between people."""

import numpy as np

from lib.geometry.smoothstep import smoothstep
from lib.synthetic.builtin.grid import (
    EYE_CENTRE,
    EYE_INNER,
    EYE_OUTER,
    MOUTH_CORNER,
    MOUTH_ROWS,
    Grid,
    bulge,
)
from lib.synthetic.builtin.surface import gauss, sigmoid

IRIS_RADIUS, PUPIL_RADIUS = 5.8, 2.1
TOOTH_GAPS = (0.0, 8.4, 15.0, 22.5)  # millimetres from the midline
# Change of log reflectance (display RGB) per unit of pigment; blue suffers most from melanin, green from blood.
MELANIN = np.array([0.68, 0.82, 0.88])
HAEMOGLOBIN = np.array([0.12, 1.0, 0.80])
MEAN_SKIN = np.array([0.715, 0.555, 0.475])
COLOURS = {
    "brow": (0.235, 0.165, 0.13),
    "lips": (0.635, 0.385, 0.36),
    "iris": (0.27, 0.185, 0.125),
    "pupil": (0.02, 0.018, 0.02),
    "sclera": (0.80, 0.775, 0.755),
    "lash": (0.13, 0.09, 0.08),
    "nostril": (0.19, 0.10, 0.085),
    "dark": (0.085, 0.03, 0.03),
    "tongue": (0.36, 0.14, 0.13),
    "gum": (0.52, 0.26, 0.25),
    "teeth": (0.83, 0.79, 0.71),
    "line": (0.36, 0.16, 0.15),
}


def region_masks(grid: Grid, position: np.ndarray) -> dict[str, np.ndarray]:
    """Soft masks of the half face.

    Args:
      grid: the half grid.
      position: [R, C, 3] its mean surface, millimetres.

    Returns:
      name -> [R, C] in [0, 1].
    """
    x, y = position[..., 0], grid.y
    row = np.arange(len(y))[:, None]
    section = grid.section[:, None]
    rows = grid.rows
    eye_open = np.minimum(1.0, 2.5 * grid.eye_taper)
    mouth_open = np.clip(4.0 * grid.mouth_taper[None, :] - 0.1, 0.0, 1.0)
    ball = np.where(section == "ball", np.clip(4 * grid.eye_taper[None, :], 0, 1), 0.0)
    eye_distance = np.hypot(x - EYE_CENTRE[0], position[..., 1] - EYE_CENTRE[1])
    iris = ball * sigmoid((IRIS_RADIUS - eye_distance) / 0.45)
    pupil = ball * sigmoid((PUPIL_RADIUS - eye_distance) / 0.4)
    lower_lip = (row >= rows["lower_lip"]) & (row <= rows["mouth"])
    lip_rows = lower_lip | ((row >= rows["upper_lip"]) & (row < rows["philtrum"]))
    lips = lip_rows * np.clip(4 * grid.mouth_taper[None, :], 0, 1)
    lips[[rows["lower_lip"], rows["philtrum"]]] = 0.5 * np.clip(4 * grid.mouth_taper, 0, 1)
    inside = ((row > rows["mouth"]) & (row < rows["upper_lip"])) * mouth_open
    teeth = np.zeros_like(y)
    for i, kind in enumerate(MOUTH_ROWS):
        if kind in ("tooth", "edge"):
            teeth[rows["mouth"] + i] = mouth_open[0] * (0.95 if kind == "tooth" else 1.0)
    brow = _brow(x, y)
    nostril = np.exp(-((((x - 6.9) / 3.2) ** 2 + ((y + 6.4) / 2.0) ** 2) ** 1.5))
    opening = bulge((grid.across - EYE_INNER + 1) / (EYE_OUTER - EYE_INNER + 2), 0.6)[None, :]
    lid = np.exp(-0.5 * (np.maximum(eye_distance - 8, 0) / 5.0) ** 2) * (1 - ball) * (y > EYE_CENTRE[1] - 9) * opening
    masks = {
        "brow": brow,
        "lips": lips,
        "eye": ball,
        "iris": iris,
        "pupil": pupil,
        "lid": lid,
        "mouth_inside": inside,
        "teeth": teeth,
        "nostril": nostril,
        "beard": np.clip(_beard(x, y, lips, inside), 0, 1),
        "cheek": gauss(x, 42, 15) * gauss(y, 2, 17),
        "forehead": sigmoid((y - 68) / 4),
        "nose": sigmoid((17 - x) / 2.5) * sigmoid((y + 10) / 2) * sigmoid((34 - y) / 5),
        "under_eye": gauss(x, 27, 10) * gauss(y, 27.5, 4) * (1 - ball),
        "hairline": sigmoid((y - (grid.y[-1] - 9.0)[None, :]) / 2.5),
        "lash": np.zeros_like(y),
    }
    for lash_row, strength in (("upper_lid", 1.0), ("crease", 0.85), ("lower_lid", 0.35)):
        masks["lash"][rows[lash_row]] = strength * eye_open
    masks["lash"][rows["lower_lid"] + 1] = 0.25 * eye_open
    blocked = np.maximum.reduce([ball, inside, lips, np.clip(1.6 * brow, 0, 1), masks["lash"], nostril])
    masks["skin"] = 1.0 - blocked
    return {name: np.clip(mask, 0.0, 1.0) for name, mask in masks.items()}


def _brow(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[R, C] mask of the brow, which follows its rows: thick near the nose, thin and lower at the tail."""
    t = (x - 11.0) / 47.0
    middle = 61.0 + 4.4 * np.sin(np.pi * np.clip(t, 0, 1) ** 1.25) - 3.6 * np.clip(t, 0, 1) ** 2
    thick = 3.8 * (1 - 0.62 * np.clip(t, 0, 1) ** 1.4) * smoothstep(t / 0.10 + 0.4)
    across = np.exp(-(np.abs((y - middle) / np.maximum(thick, 0.2)) ** 2.6))
    return across * sigmoid(t / 0.03) * sigmoid((1 - t) / 0.05)


def _beard(x: np.ndarray, y: np.ndarray, lips: np.ndarray, mouth_inside: np.ndarray) -> np.ndarray:
    """[R, C] weight of beard and sideburns; it grows neither on the lips nor in their corners' bare patches."""
    beard = sigmoid((-12 - y + 0.20 * np.maximum(x - 26, 0)) / 3.0) * (1 - lips) * (1 - mouth_inside)
    beard = np.maximum(beard, sigmoid((x - 60) / 2.5) * sigmoid((14 - y) / 6))
    beard *= 1 - 0.9 * gauss(x, 21, 4.5) * gauss(y, -44, 6) - 0.85 * sigmoid((26 - x) / 3) * gauss(y, -9, 3.2)
    beard *= 1 - 0.55 * gauss(x, 38, 12) * sigmoid((y + 26) / 5)
    return beard


def _paint(colour: np.ndarray, target, mask: np.ndarray) -> np.ndarray:
    return colour + (np.asarray(target) - colour) * mask[..., None]


def mean_albedo(grid: Grid, position: np.ndarray, masks: dict[str, np.ndarray]) -> np.ndarray:
    """[R, C, 3] RGB of the half face with painted features."""
    x, y = position[..., 0], grid.y
    redness = 0.07 * masks["cheek"] + 0.07 * masks["nose"] * sigmoid((14 - y) / 5)
    redness += 0.07 * gauss(x, 0, 16) * gauss(y, -66, 9)
    redness -= 0.05 * masks["forehead"] - 0.05 * masks["under_eye"]
    darkness = 0.08 * masks["under_eye"] + 0.05 * masks["lid"] + 0.06 * masks["beard"]
    darkness += 0.15 * gauss(x, 20.0, 1.8) * gauss(y, -1, 6) + 0.10 * gauss(x, 0, 12) * gauss(y, -50, 4)
    darkness += 0.12 * gauss(x, MOUTH_CORNER + 0.5, 2.2) * gauss(y, -32.4, 2.0)
    darkness += 0.10 * gauss(x, 15, 3) * gauss(y, 38, 5)
    darkness += 0.16 * grid.under[:, None]
    colour = MEAN_SKIN * np.exp(-redness[..., None] * HAEMOGLOBIN - darkness[..., None] * MELANIN)
    colour = _paint(colour, COLOURS["nostril"], 0.92 * masks["nostril"])
    colour = _paint(colour, COLOURS["lips"], 0.88 * masks["lips"])
    shade = np.zeros_like(y)
    for row in (grid.rows["mouth"], grid.rows["upper_lip"]):
        shade[row] = 0.85 * np.clip(3 * grid.mouth_taper, 0, 1)
    colour = _paint(colour, COLOURS["line"], shade)
    colour = _paint(colour, COLOURS["brow"], 0.80 * masks["brow"])
    distance = np.hypot(x - EYE_CENTRE[0], position[..., 1] - EYE_CENTRE[1])
    sclera = np.broadcast_to(COLOURS["sclera"], colour.shape) * (1 - 0.22 * smoothstep((distance - 7) / 8))[..., None]
    sclera = _paint(sclera, (0.72, 0.45, 0.42), 0.8 * gauss(x, EYE_INNER + 1.0, 1.6) * gauss(y, 36, 4))
    eye = _paint(sclera, COLOURS["iris"], masks["iris"])
    eye = _paint(eye, np.array(COLOURS["iris"]) * 0.45, masks["iris"] * gauss(distance, IRIS_RADIUS - 0.3, 0.8))
    eye = _paint(eye, COLOURS["pupil"], masks["pupil"])
    upper = grid.y[grid.rows["crease"]][None, :] - position[..., 1]
    eye *= (1 - 0.45 * np.exp(-0.5 * (np.clip(upper, 0, None) / 1.9) ** 2))[..., None]  # the upper lid's shadow
    colour = colour + (eye - colour) * masks["eye"][..., None]
    colour = _paint(colour, COLOURS["lash"], 0.9 * masks["lash"])
    first = grid.rows["mouth"]
    gaps = np.sum([gauss(grid.across, centre, 0.6) for centre in TOOTH_GAPS], axis=0)[:, None]
    for i, kind in enumerate(MOUTH_ROWS):
        if kind == "line":
            continue
        back = "tongue" if i < len(MOUTH_ROWS) // 2 else "dark"
        target = {"pocket": "line", "gum": "gum", "tooth": "teeth", "edge": "teeth", "dark": back}[kind]
        # Teeth lie in the shade of the lips, more so towards the corners.
        dim = 1.0 - 0.35 * (grid.across / MOUTH_CORNER).clip(0, 1)[:, None] ** 2
        if target == "teeth":
            dim = dim * (1.0 - 0.3 * np.clip(gaps, 0, 1))
        mask = masks["mouth_inside"][first + i][:, None]
        colour[first + i] += (np.asarray(COLOURS[target]) * dim - colour[first + i]) * mask
    return np.clip(colour, 0.0, 1.0)


def albedo_terms(where: np.ndarray, mean: np.ndarray, masks: dict[str, np.ndarray], seed: int) -> np.ndarray:
    """Independent changes of colour, each worth one standard deviation.

    Args:
      where: [N, 3] mean positions of the whole face, millimetres.
      mean: [N, 3] mean albedo.
      masks: name -> [N].
      seed: of the Gaussian process.

    Returns:
      [M, N, 3] RGB differences.
    """
    tissue = np.maximum(masks["skin"], 0.75 * masks["lips"]) + 0.35 * masks["brow"] + 0.5 * masks["nostril"]
    tissue = np.clip(tissue, 0, 1) * (1 - masks["mouth_inside"]) * (1 - masks["eye"])
    return np.array(_feature_terms(where, mean, masks, tissue) + _process_terms(where, mean, tissue, seed))


def _pigment(mean: np.ndarray, absorption: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """[N, 3] change of a colour [N, 3] by more of a pigment, to first order; weight [N]."""
    return -mean * absorption * weight[:, None]


def _feature_terms(
    where: np.ndarray, mean: np.ndarray, masks: dict[str, np.ndarray], tissue: np.ndarray
) -> list[np.ndarray]:
    """Colours of skin, lips, brows and eyes, each [N, 3]; `tissue` [N] is where skin and its like are."""
    x, y = np.abs(where[:, 0]), where[:, 1]

    def pigment(absorption, weight):
        return _pigment(mean, absorption, weight)

    def towards(colour, weight):
        return (np.asarray(colour) - mean) * weight[:, None]

    hair = np.clip(masks["brow"] * 1.0, 0, 1)
    return [
        pigment(MELANIN, 0.25 * tissue)
        + pigment(np.ones(3), 0.42 * hair)
        + towards((0.1, 0.07, 0.05), 0.22 * masks["iris"]),
        pigment(HAEMOGLOBIN, 0.042 * tissue),
        pigment(np.array([-0.2, 0.15, 0.9]), 0.028 * tissue),
        pigment(HAEMOGLOBIN, 0.06 * masks["cheek"] * tissue),
        pigment(HAEMOGLOBIN, 0.06 * masks["nose"] * tissue),
        pigment(MELANIN, 0.09 * masks["forehead"] * tissue),
        pigment(MELANIN + 0.2 * HAEMOGLOBIN, 0.15 * masks["under_eye"] * tissue),
        pigment(np.array([0.9, 0.95, 0.85]), 0.20 * masks["beard"] * tissue),
        pigment(HAEMOGLOBIN, 0.12 * masks["lips"]),
        pigment(np.ones(3), 0.11 * masks["lips"]),
        towards((0.62, 0.22, 0.26), 0.10 * masks["lips"]),
        pigment(np.array([0.8, 1.0, 1.1]), 0.28 * hair),
        towards((0.42, 0.31, 0.21), 0.11 * hair),
        (np.array([0.02, 0.10, 0.16]) * masks["iris"][:, None]) * (1 - masks["pupil"][:, None]),
        (np.array([0.07, 0.06, 0.02]) * masks["iris"][:, None]) * (1 - masks["pupil"][:, None]),
        (np.array([0.05, 0.05, 0.06]) * (masks["eye"] * (1 - masks["iris"]))[:, None]),
        pigment(MELANIN, 0.16 * masks["lid"] * tissue),
        towards((0.15, 0.1, 0.1), 0.12 * masks["lash"] + 0.08 * masks["lid"] * tissue),
        towards((0.16, 0.12, 0.10), 0.20 * masks["hairline"] * tissue),
        pigment(MELANIN, 0.10 * gauss(y, -20, 6) * gauss(x, 0, 24) * tissue),
        pigment(HAEMOGLOBIN, 0.06 * gauss(x, 0, 18) * gauss(y, -64, 10) * tissue),
        pigment(MELANIN, 0.08 * sigmoid((x - 52) / 5) * tissue),
        (np.array([0.05, 0.05, 0.06]) * masks["teeth"][:, None]),
        towards((0.22, 0.16, 0.12), 0.25 * gauss(y, 56.5, 2.2) * gauss(x, 30, 14) * tissue),
        towards((0.22, 0.16, 0.12), 0.22 * gauss(y, 68.5, 2.2) * gauss(x, 32, 12) * tissue),
    ]


def _process_terms(where: np.ndarray, mean: np.ndarray, tissue: np.ndarray, seed: int) -> list[np.ndarray]:
    """A Gaussian process of pigments on the skin at three lengths, by random cosines: terms [N, 3]."""
    terms = []
    generator = np.random.default_rng([seed, 202])
    for length, amplitude, count in ((55.0, 0.018, 10), (20.0, 0.018, 14), (9.0, 0.02, 16)):
        for _ in range(count):
            total = np.zeros(len(where))
            for _ in range(8):
                k = generator.normal(size=3) / length
                total += np.cos(where @ k + generator.uniform(0, 2 * np.pi))
            total *= np.sqrt(2 / 8)
            mix = generator.uniform(0.3, 1)
            spread = 2.2 * amplitude / np.sqrt(count)
            terms.append(_pigment(mean, mix * MELANIN + (1 - mix) * HAEMOGLOBIN, spread * total * tissue))
    return terms
