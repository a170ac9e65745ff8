"""Colour of a face beyond its albedo basis: hairs of brows, freckles, moles, lines, beard, lips and make-up.

`paint` is a function of positions on the canonical face; it is evaluated per pixel for the photo and per vertex for the
ground truth.
"""

import numpy as np

from lib.geometry.smoothstep import smoothstep
from lib.synthetic.appearance.canonical import REGIONS, CanonicalFace
from lib.synthetic.appearance.eyes import paint_eyes
from lib.synthetic.appearance.noise import mirrored, noise, spots
from lib.synthetic.appearance.sampling_priors import Moment, Person
from lib.synthetic.builtin.skin_albedo import HAEMOGLOBIN, MELANIN


def _gauss(x, centre, width):
    return np.exp(-0.5 * ((x - centre) / width) ** 2)


FIELDS = 3


def broad_fields(points: np.ndarray, person: Person) -> np.ndarray:
    """Slow variations of melanin, blood and the course of lines [P, FIELDS].

    They vary more slowly than the vertex spacing, so photos compute them at the vertices and interpolate.
    """
    both, seed = mirrored(points), person.seed
    melanin = 0.5 * noise(both, 19.0, seed + 1, 3) + 0.5 * noise(points, 11.0, seed + 2, 2)
    blood = 0.6 * noise(both, 15.0, seed + 3, 2) + 0.4 * noise(points, 8.0, seed + 4)
    wave = 2.2 * noise(both, (30.0, 30.0, 60.0), seed + 11) + 0.8 * noise(points, 13.0, seed + 12)
    return np.stack([melanin, blood, wave], axis=1)


def paint(
    face: CanonicalFace, points, albedo, regions, fields, person: Person, moment: Moment
) -> tuple[np.ndarray, np.ndarray]:
    """Adds a person's details to the coarse albedo.

    Args:
      face: the canonical face.
      points: [P, 3] float32 canonical millimetres.
      albedo: [P, 3] coarse albedo.
      regions: [P, len(REGIONS)] weights.
      fields: [P, FIELDS] from `broad_fields`.
      person: whose details.
      moment: expression lines, gaze, make-up.

    Returns:
      albedo [P, 3] float32 and gloss [P], the strength of highlights (about 1 on oily skin).
    """
    region = dict(zip(REGIONS, regions.T, strict=True))
    tissue = np.clip(1 - region["eye"] - region["mouth_inside"] - region["lash"], 0, 1)
    skin = np.clip(tissue - region["lips"] - region["nostril"], 0, 1)
    colour = np.maximum(albedo, 0.01).astype(np.float32)
    both = mirrored(points)
    colour = _mottle(colour, points, skin, fields, person)
    colour *= (1 - _lines(points, both, skin, fields[:, 2], person, moment))[:, None]
    colour = _freckles_and_moles(colour, points, both, skin, person)
    colour = _lips(colour, points, region["lips"], moment)
    colour = _make_up(colour, both, skin, moment)
    colour = _brows(colour, face, points, both, region["brow"], person)
    colour = _beard(colour, points, both, skin, person, moment)
    eye = np.flatnonzero(region["eye"] > 0.02)
    if len(eye):
        seen = paint_eyes(face, points[eye], colour[eye], person, moment)
        colour[eye] += (seen - colour[eye]) * region["eye"][eye, None]
    gloss = (
        skin * (0.35 + 0.65 * _gauss(both[:, 0], 0, 16) + 0.3 * _gauss(both[:, 1], 80, 16)) * (0.3 + 0.9 * person.oil)
    )
    gloss += region["lips"] * (0.6 + 1.2 * moment.lipstick) + 0.8 * region["teeth"]
    return np.clip(colour, 0, 1), gloss.astype(np.float32)


def _mottle(colour, points, skin, fields, person):
    """Uneven pigment and blood, and the grain of the pores."""
    pores = noise(points, 1.3, person.seed + 5, 2)
    strength = 0.02 + 0.04 * person.mottling
    exponent = (strength * fields[:, 0] * skin)[:, None] * MELANIN.astype(np.float32)
    exponent += (0.8 * strength * fields[:, 1] * skin)[:, None] * HAEMOGLOBIN.astype(np.float32)
    exponent += ((0.01 + 0.024 * person.pores) * pores * skin)[:, None]
    return colour * np.exp(-exponent)


def _lines(points, both, skin, wave, person, moment):
    """Darkness [P] of wrinkles: those of age and those that the expression folds."""
    a, y = both[:, 0], points[:, 1]
    old = smoothstep((person.age - 0.35) / 0.65)
    total = np.zeros(len(points), np.float32)
    forehead = (
        (0.16 * old + 0.20 * moment.brow_raise)
        * smoothstep((y - 66) / 8)
        * smoothstep((104 - y) / 12)
        * smoothstep((62 - a) / 25)
    )
    phase = (y + wave + 0.004 * a * a) / (8.5 + 1.5 * (person.seed % 7) / 7)
    total += forehead * _crease(phase, 0.09)
    frown = (0.14 * old + 0.24 * moment.frown) * _gauss(y, 58, 7)
    total += frown * np.exp(-(((a - 6.5 - 0.15 * wave) / 1.0) ** 2))
    crow = (0.15 * old + 0.16 * moment.smile) * smoothstep((a - 47) / 4) * smoothstep((66 - a) / 10) * _gauss(y, 36, 9)
    total += crow * _crease(np.arctan2(y - 36.5, a - 40) * 4.2 + 0.12 * wave, 0.12)
    under = (
        (0.05 + 0.15 * old) * _gauss(a, 29, 10) * np.exp(-(((y - 26.5 - 0.02 * (a - 30) ** 2 - 0.3 * wave) / 1.3) ** 2))
    )
    fold_x = 17.5 + 0.42 * np.clip(-2 - y, -4, 40)
    nasolabial = (0.03 + 0.13 * old + 0.14 * moment.smile) * smoothstep((4 - y) / 6) * smoothstep((y + 38) / 10)
    total += under + nasolabial * np.exp(-(((a - fold_x - 0.3 * wave) / 1.7) ** 2))
    marionette = 0.12 * old * smoothstep((-33 - y) / 5) * smoothstep((y + 56) / 8)
    total += marionette * np.exp(-(((a - 27.5 - 0.2 * wave) / 1.4) ** 2))
    if old > 0.1:
        total += old * 0.05 * np.maximum(noise(both, (9.0, 1.6, 9.0), person.seed + 13, 2), 0)
    return np.clip(total, 0, 0.6) * skin


def _crease(phase, width):
    """Narrow lines at every whole number."""
    return np.exp(-(((phase - np.rint(phase)) / width) ** 2))


def _freckles_and_moles(colour, points, both, skin, person):
    if person.freckles > 0.02:
        where = skin * (_gauss(both[:, 0], 22, 20) * _gauss(points[:, 1], 12, 18) + 0.25 * _gauss(points[:, 1], 85, 16))
        chosen = np.flatnonzero(where > 0.06)
        dots = spots(points[chosen], 3.4, 0.30 + 0.4 * min(1, person.freckles), (0.45, 1.2), person.seed + 21)
        dots = dots * np.clip(where[chosen] * 1.3, 0, 1) * (0.25 + 0.35 * min(person.freckles, 1.4))
        colour[chosen] *= np.exp(-dots[:, None] * (MELANIN * 1.25).astype(np.float32))
    for x, y, z, radius, darkness in person.moles:
        near = np.flatnonzero((np.abs(points - np.array([x, y, z], np.float32)) < 3 * radius).all(1))
        distance = np.linalg.norm(points[near] - np.array([x, y, z], np.float32), axis=1)
        dot = (darkness * np.exp(-((distance / radius) ** 4)) * skin[near])[:, None]
        colour[near] *= np.exp(-dot * (MELANIN * 1.3 + 0.2).astype(np.float32))
    return colour


def _lips(colour, points, lips, moment):
    chosen = np.flatnonzero(lips > 0.03)
    grain = noise(points[chosen], (0.9, 6.0, 6.0), 771, 2)
    colour[chosen] *= 1 - (0.07 * grain * lips[chosen])[:, None]
    amount = (moment.lipstick * np.clip(1.5 * lips[chosen], 0, 1))[:, None]
    colour[chosen] += (moment.lip_colour - colour[chosen]) * amount
    return colour


def _make_up(colour, both, skin, moment):
    if moment.blush > 0.02:
        cheek = moment.blush * 0.2 * _gauss(both[:, 0], 45, 12) * _gauss(both[:, 1], 8, 11) * skin
        colour *= np.exp(-cheek[:, None] * HAEMOGLOBIN.astype(np.float32))
    if moment.eye_shadow > 0.02:
        lid = moment.eye_shadow * _gauss(both[:, 0], 33, 11) * _gauss(both[:, 1], 47.5, 4.2) * skin
        colour += (moment.shadow_colour - colour) * np.clip(1.2 * lid, 0, 1)[:, None]
    if moment.liner > 0.02:
        line = (
            moment.liner
            * _gauss(both[:, 0], 33, 12)
            * _gauss(both[:, 1], 43.4 - 0.012 * (both[:, 0] - 31) ** 2, 1.0)
            * skin
        )
        colour *= (1 - 0.75 * line)[:, None]
    return colour


def _brows(colour, face, points, both, painted, person):
    """Draws single hairs that grow outwards, after removing most of the brow in the coarse albedo."""
    xs, ys = face.brow_curves
    a, y = both[:, 0], points[:, 1]
    chosen = np.flatnonzero(
        (np.abs(y - np.interp(a, xs, ys)) < 9) & (a > xs[0] - 7) & (a < xs[-1] + 7) & (points[:, 2] > -45)
    )
    if not len(chosen):
        return colour
    a, y, z = a[chosen], y[chosen], points[chosen, 2]
    colour[chosen] += (person.skin - colour[chosen]) * np.clip(0.8 * painted[chosen, None], 0, 1)
    t = (a - xs[0]) / (xs[-1] - xs[0])
    curve = np.interp(a, np.linspace(xs[0], xs[-1], 33), _smooth_curve(xs, ys))
    height = y - curve + 0.6
    thick = person.brow_thickness * (1.12 - 0.75 * np.clip(t, 0, 1) ** 1.7)
    shape = (
        np.exp(-(np.abs(height / np.maximum(thick, 0.6)) ** 2.4))
        * smoothstep((t + 0.10) / 0.16)
        * smoothstep((1.10 - t) / 0.16)
    )
    # Hairs fan from upright at the nose to lying along the tail.
    lean = 1.15 - 0.95 * np.clip(t, 0, 1)
    across = height * np.cos(lean) - a * np.sin(lean)
    along = height * np.sin(lean) + a * np.cos(lean)
    strands = noise(np.stack([across, along, 0.3 * z], 1), (0.75, 4.5, 12.0), person.seed + 31, 2)
    cover = np.clip(shape * (0.35 + 0.75 * person.brow_density) + 0.42 * strands * np.sqrt(shape) - 0.18, 0, 1)
    amount = np.clip(1.05 * cover, 0, 0.85)[:, None]
    colour[chosen] += (person.brow * (1 + 0.18 * strands[:, None]) - colour[chosen]) * amount
    return colour


def _smooth_curve(xs, ys):
    """[33] heights of a cubic fitted to five landmarks, at even steps of x: without the landmarks' corners."""
    return np.polyval(np.polyfit(xs, ys, 3), np.linspace(xs[0], xs[-1], 33))


def _beard(colour, points, both, skin, person, moment):
    style = moment.beard_style
    a, y = both[:, 0], points[:, 1]
    if not person.male or person.beard <= 0:
        return colour
    edge = 1.6 * noise(points, 5.0, person.seed + 41, 2)
    lip_top = smoothstep((-8.5 - y + 0.5 * edge) / 6) * smoothstep((31 - a) / 9) * smoothstep((y + 36) / 5)
    chin = smoothstep((-40 - y + edge) / 5) * (1 - 0.7 * _gauss(a, 14, 5) * _gauss(y, -44, 4))
    cheek_line = -16 + 0.55 * np.clip(a - 26, 0, 60) + 26 * smoothstep((a - 56) / 9)
    cheek = smoothstep((cheek_line - y + 1.5 * edge) / 14) * smoothstep((a - 24) / 7)
    moustache = lip_top * (1 - 0.55 * _gauss(a, 0, 1.8))
    everywhere = np.maximum.reduce([moustache, chin, cheek])
    goatee = np.maximum(moustache, chin * smoothstep((24 - a) / 5))
    areas = {"none": 0 * y, "stubble": everywhere, "full": everywhere, "moustache": moustache, "goatee": goatee}
    area = areas[style] * skin
    shadow = everywhere * skin * 0.16 * person.beard * (person.tone > 0.3)
    colour *= np.exp(-shadow[:, None] * np.array([1.0, 0.95, 0.8], np.float32))
    chosen = np.flatnonzero(area > 0.02)
    if not len(chosen):
        return colour
    lean = np.clip(a[chosen] / 45, 0, 1.0)
    along = y[chosen] * np.cos(lean) - a[chosen] * np.sin(lean)
    across = y[chosen] * np.sin(lean) + a[chosen] * np.cos(lean)
    field = np.stack([across, along, 0.5 * points[chosen, 2]], 1)
    if style == "stubble":
        grain = noise(field, (0.5, 1.5, 1.2), person.seed + 42, 2)
        cover = area[chosen] ** 1.2 * (0.14 + 0.26 * person.beard + 0.12 * grain)
    else:
        strands = noise(field, (0.5, 5.5, 3.0), person.seed + 43, 2)
        cover = smoothstep((area[chosen] * (1.15 + 0.4 * person.beard) - 0.25 + 0.22 * strands) / 1.15)
    target = (
        np.minimum(person.hair, person.skin * 0.7)
        * (0.85 + 0.25 * noise(field, (1.1, 9, 5), person.seed + 44))[:, None]
    )
    colour[chosen] += (target - colour[chosen]) * np.clip(cover, 0, 0.88)[:, None]
    return colour
