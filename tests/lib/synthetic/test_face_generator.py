"""The built-in face model: symmetry, proportions, well-behaved triangles, and bases of a sensible scale."""

import os
import subprocess
import sys

import numpy as np
import pytest

from lib.synthetic.builtin.expressions import EXPRESSION_NAMES, FULL_STRENGTH, PARTING, SIGNED, sample_expressions
from lib.synthetic.builtin.face_generator import METHOD, build_face_model, load_face_model
from tests.support.helpers import ROOT
from tests.support.pinned import check_pinned_model

REGIONS = (
    "skin",
    "brow",
    "lips",
    "eye",
    "iris",
    "pupil",
    "lid",
    "mouth_inside",
    "teeth",
    "nostril",
    "beard",
    "cheek",
    "forehead",
    "nose",
    "under_eye",
    "hairline",
)
# Typical adults, millimetres: men's mean, women's mean, standard deviation within a sex. Rounded general knowledge.
ADULTS = {
    "outer eye corners": (91, 87, 5),
    "inner eye corners": (33, 32, 3),
    "eye opening length": (31, 30, 2),
    "face height": (122, 113, 6.5),
    "bizygomatic width": (143, 135, 7),
    "bigonial width": (120, 110, 9),
    "nose length": (52, 48, 4),
    "nose bridge": (45, 42, 4),
    "nose width": (36.5, 33, 4),
    "nose protrusion": (21, 20, 2.5),
    "mouth width": (51, 48, 4),
    "lip height": (17, 17, 3),
    "upper lip skin": (15, 13, 2.5),
    "lower face": (70, 64, 5),
}
LEFT_RIGHT = [(i, 16 - i) for i in range(8)] + [(17 + i, 26 - i) for i in range(5)] + [(31, 35), (32, 34)]
LEFT_RIGHT += [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46), (48, 54), (49, 53), (50, 52)]
LEFT_RIGHT += [(59, 55), (58, 56), (60, 64), (61, 63), (67, 65)]
MIDLINE = (8, 27, 28, 29, 30, 33, 51, 57, 62, 66)


@pytest.fixture(scope="module")
def face():
    return build_face_model()


def corner_products(vertices, triangles):
    """[..., F, 3] cross products of the edges: twice the area along the normal."""
    a, b, c = (vertices[..., triangles[:, k], :] for k in range(3))
    return np.cross(b - a, c - a)


def measure(face, vertices):
    """Lengths in millimetres of shapes [B, N, 3], each [B]."""
    marks = vertices[:, face.landmarks] * 100.0
    mean = (face.mean_shape - face.mean_shape[face.landmarks[33]]) * 100.0
    x, y = mean[:, 0], mean[:, 1]

    def between(i, j):
        return np.linalg.norm(marks[:, i] - marks[:, j], axis=-1)

    def width(where):
        return np.ptp(vertices[:, where, 0], axis=1) * 100.0

    root = np.flatnonzero((x == 0) & (y > 44) & (y < 62))
    deepest = root[np.argmin(vertices[:, root, 2], axis=1)]
    sellion = vertices[np.arange(len(vertices)), deepest, 1] * 100.0
    return {
        "outer eye corners": between(36, 45),
        "inner eye corners": between(39, 42),
        "eye opening length": 0.5 * (between(36, 39) + between(42, 45)),
        "face height": sellion - marks[:, 8, 1] + 1.0,  # the lowest point lies just below the landmark
        "bizygomatic width": width(np.abs(y - 29) < 8),
        "bigonial width": between(4, 12),
        "nose length": between(27, 33),
        "nose bridge": between(27, 30),
        "nose width": width((np.abs(y - 7) < 12) & (np.abs(x) < 24) & (face.regions["nose"] > 0.35)),
        "nose protrusion": between(30, 33),
        "mouth width": between(48, 54),
        "lip height": between(51, 57),
        "upper lip skin": between(33, 51),
        "lower face": between(33, 8),
    }


def random_shapes(face, count, expressive=True):
    generator = np.random.default_rng(3)
    identity = generator.normal(size=(count, len(face.identity_basis)))
    shapes = face.mean_shape + np.tensordot(identity, face.identity_basis, 1)
    if expressive:
        shapes = shapes + np.tensordot(sample_expressions(generator, count), face.expression_basis, 1)
    return shapes


def expression(face, *names):
    """Displacement [N, 3] in millimetres of the named units at full strength, both sides."""
    chosen = [i for i, name in enumerate(face.expression_names) if any(name.startswith(n) for n in names)]
    assert chosen
    return face.expression_basis[chosen].sum(axis=0) * (FULL_STRENGTH * 100.0)


def test_counts_and_names(face):
    assert 9500 <= face.vertex_count <= 10500
    assert face.identity_basis.shape == (60, face.vertex_count, 3)
    assert face.albedo_basis.shape == (40, face.vertex_count, 3)
    assert face.expression_basis.shape == (26, face.vertex_count, 3)
    assert face.expression_names == EXPRESSION_NAMES
    two_sided = [n for n, one in zip(EXPRESSION_NAMES, face.expression_prior.one_sided, strict=True) if not one]
    assert tuple(two_sided) == SIGNED
    rare = [n for n, sigma in zip(EXPRESSION_NAMES, face.expression_prior.sigma, strict=True) if sigma < 1]
    assert tuple(rare) == PARTING
    assert set(REGIONS) <= set(face.regions)
    assert len(np.unique(face.landmarks)) == 68
    assert set(np.unique(face.triangles)) == set(range(face.vertex_count))


def test_same_bits_for_any_number_of_threads():
    code = "from lib.synthetic.builtin.face_generator import build_face_model as b; print(b(3000).fingerprint)"
    prints = set()
    for threads in ("1", "2"):
        environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        prints.add(run.stdout.strip())
    prints.add(build_face_model(3000).fingerprint)
    assert len(prints) == 1
    assert build_face_model(3000, seed=1).fingerprint not in prints


def test_another_processors_kernels_make_the_same_model():
    code = (
        "from lib.synthetic.builtin.face_generator import build_face_model; m = build_face_model(3000);"
        "print(m.fingerprint, hash(m.identity_basis.tobytes()))"
    )
    found = set()
    for kernels in ({}, {"OPENBLAS_CORETYPE": "Prescott"}):
        environment = os.environ | kernels | {"PYTHONHASHSEED": "0"}
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        found.add(tuple(run.stdout.split()))
    if len(found) == 1:
        pytest.skip("this NumPy computes the same bits with OpenBLAS's kernels for another processor")
    assert len({fingerprint for fingerprint, _ in found}) == 1


def test_mean_and_bases_are_mirror_symmetric(face):
    mirror, flip = face.mirror_index, np.array([-1, 1, 1], np.float32)
    np.testing.assert_array_equal(face.mean_shape[mirror] * flip, face.mean_shape)
    np.testing.assert_array_equal(face.mean_albedo[mirror], face.mean_albedo)
    np.testing.assert_array_equal(face.identity_basis[:, mirror] * flip, face.identity_basis)
    np.testing.assert_allclose(face.uv[mirror], [1, 0] + face.uv * [-1, 1], atol=1e-6)
    for name, unit in zip(face.expression_names, face.expression_basis, strict=True):
        if name in SIGNED:
            continue
        other = name.replace("_left", "_RIGHT").replace("_right", "_left").replace("_RIGHT", "_right")
        partner = face.expression_basis[face.expression_names.index(other)]
        np.testing.assert_array_equal(unit[mirror] * flip, partner, err_msg=name)
    for right, left in LEFT_RIGHT:
        assert face.mirror_index[face.landmarks[right]] == face.landmarks[left]
        assert face.mean_shape[face.landmarks[right], 0] < 0
    for number in MIDLINE:
        assert face.mean_shape[face.landmarks[number], 0] == 0


def test_triangles_mirror_onto_triangles(face):
    def canonical(triangles):
        turn = np.argmin(triangles, axis=1)[:, None]
        turned = np.take_along_axis(triangles, (turn + np.arange(3)) % 3, axis=1)
        return turned[np.lexsort(turned.T)]

    mirrored = face.mirror_index[face.triangles][:, ::-1]
    np.testing.assert_array_equal(canonical(mirrored), canonical(face.triangles))


def test_triangles_face_outwards_and_have_area(face):
    products = corner_products(face.mean_shape.astype(np.float64) * 100.0, face.triangles)
    area = 0.5 * np.linalg.norm(products, axis=1)
    assert area.min() > 1e-3
    centre = face.mean_shape[face.triangles].mean(axis=1)
    outwards = centre - [0, 0, -0.8]
    visible = (face.regions["skin"][face.triangles] > 0.5).all(axis=1)
    outer = (products * outwards).sum(axis=1)[visible] > 0
    assert outer.mean() > 0.98


def test_few_triangles_flip(face):
    before = corner_products(face.mean_shape.astype(np.float64), face.triangles)
    shapes = random_shapes(face, 100)
    flipped = [((corner_products(shape, face.triangles) * before).sum(axis=1) <= 0).mean() for shape in shapes]
    assert np.mean(flipped) <= 0.001
    assert np.max(flipped) <= 0.005


def test_identity_does_not_part_the_lips(face):
    upper, lower = face.landmarks[[61, 62, 63]], face.landmarks[[67, 66, 65]]
    np.testing.assert_allclose(face.identity_basis[:, upper], face.identity_basis[:, lower], atol=1e-6)
    assert (face.mean_shape[upper, 1] - face.mean_shape[lower, 1] < 0.005).all()


def test_proportions_are_those_of_adults(face):
    lengths = measure(face, face.mean_shape[None].astype(np.float64))
    inside = {}
    for name, (men, women, spread) in ADULTS.items():
        inside[name] = min(men, women) - spread <= lengths[name][0] <= max(men, women) + spread
    outside = {name: round(float(lengths[name][0]), 1) for name in ADULTS if not inside[name]}
    assert sum(inside.values()) >= 12, outside


def test_identities_spread_like_adults(face):
    lengths = measure(face, random_shapes(face, 300, expressive=False))
    for name, (men, women, spread) in ADULTS.items():
        # Both sexes together: their spread and half the distance of their means.
        pooled = np.hypot(spread, 0.5 * (men - women))
        assert 0.4 * pooled < lengths[name].std() < 1.6 * pooled, name
    size = np.linalg.norm(face.identity_basis.reshape(60, -1), axis=1)
    assert size[0] > 5 * size[-1]
    assert size[-1] > 0
    displacement = np.sqrt((np.linalg.norm(face.identity_basis, axis=-1) ** 2).sum(axis=0).mean()) * 100
    assert 3.0 < displacement < 7.0


def test_expressions_do_what_their_names_say(face):
    marks = face.landmarks
    smile = expression(face, "smile")
    assert (smile[marks[[48, 54]], 1] > 4).all()
    assert (smile[marks[[48, 54]], 2] < -2).all()
    assert smile[marks[54], 0] > 4
    assert smile[marks[48], 0] < -4
    cheek = (face.regions["cheek"] > 0.8) & face.skin_mask
    assert (smile[cheek, 2] > 0.5).mean() > 0.8
    jaw = expression(face, "jaw_open")
    assert jaw[marks[66], 1] - jaw[marks[62], 1] < -20
    assert jaw[marks[8], 1] < -15
    assert np.abs(jaw[marks[36:48]]).max() < 0.5
    opening = (face.mean_shape[marks[[37, 38, 43, 44]], 1] - face.mean_shape[marks[[41, 40, 47, 46]], 1]) * 100
    blink = expression(face, "blink")
    left_open = opening + blink[marks[[37, 38, 43, 44]], 1] - blink[marks[[41, 40, 47, 46]], 1]
    assert (opening > 7).all()
    assert (np.abs(left_open) < 1.2).all()
    brow = expression(face, "brow_inner_raise", "brow_outer_raise")
    assert (brow[marks[17:27], 1] > 1.5).all()
    assert (expression(face, "frown")[marks[[48, 54]], 1] < -4).all()
    pucker = expression(face, "pucker")
    assert pucker[marks[54], 0] < -5
    assert pucker[marks[51], 2] > 3
    left = expression(face, "smile_left")
    assert np.linalg.norm(left[marks[54]]) > 20 * np.linalg.norm(left[marks[48]])


def test_random_expressions_pull_only():
    drawn = sample_expressions(np.random.default_rng(0), 500)
    signed = np.isin(EXPRESSION_NAMES, SIGNED)
    assert drawn.shape == (500, len(EXPRESSION_NAMES))
    assert (drawn[:, ~signed] >= 0).all()
    assert drawn.max() <= FULL_STRENGTH
    assert (drawn[:, signed] < 0).any()


def test_texture_coordinates_do_not_overlap(face):
    assert face.uv.min() >= 0
    assert face.uv.max() <= 1
    a, b, c = (face.uv[face.triangles[:, k]].astype(np.float64) for k in range(3))
    area = 0.5 * ((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0]))
    assert area.min() > 0
    # All turn the same way and together they fill exactly their outline: no place is covered twice.
    assert area.sum() == pytest.approx(np.prod(np.ptp(face.uv, axis=0)), rel=1e-5)


def test_colours_are_plausible(face):
    assert face.mean_albedo.min() >= 0
    assert face.mean_albedo.max() <= 1
    skin = face.mean_albedo[face.skin_mask].mean(axis=0)
    assert skin[0] > skin[1] > skin[2]
    assert 0.5 < skin[0] < 0.85
    assert 1.15 < skin[0] / skin[1] < 1.45
    pupil = face.mean_albedo[face.regions["pupil"] > 0.9]
    assert len(pupil) > 4
    assert pupil.max() < 0.1
    assert face.mean_albedo[face.regions["teeth"] > 0.9].mean() > 0.5
    for name in ("eye", "lips", "mouth_inside", "iris"):
        assert not (face.skin_mask & (face.regions[name] > 0.6)).any(), name
    generator = np.random.default_rng(0)
    drawn = face.mean_albedo + np.tensordot(generator.normal(size=(50, 40)), face.albedo_basis, 1)
    brightness = drawn[:, face.skin_mask].mean(axis=(1, 2))
    assert 0.06 < brightness.std() < 0.2
    assert (drawn[:, face.skin_mask] < 0).mean() < 0.01
    assert (drawn[:, face.skin_mask] > 1).mean() < 0.06


def test_front_lies_in_front(face):
    assert 0.3 < face.front_mask.mean() < 0.8
    assert face.front_mask[face.landmarks[[30, 36, 45, 51, 57, 19]]].all()
    assert not face.front_mask[face.landmarks[[0, 16]]].any()
    assert not (face.front_mask & (face.regions["mouth_inside"] > 0.5)).any()


@pytest.mark.parametrize("count", [3000, 20000, 35709])
def test_other_densities(count):
    face = build_face_model(count)
    assert abs(face.vertex_count / count - 1) < 0.05
    assert len(np.unique(face.landmarks)) == 68
    area = np.linalg.norm(corner_products(face.mean_shape.astype(np.float64) * 100, face.triangles), axis=1) / 2
    assert area.min() > 1e-4


def test_unreasonable_density_is_refused():
    with pytest.raises(ValueError, match="vertex_count must be 2000 to 200000, got 12"):
        build_face_model(12)


def test_cache_returns_what_was_built(tmp_path):
    first = load_face_model(tmp_path, vertex_count=3000)
    files = list(tmp_path.iterdir())
    again = load_face_model(tmp_path, vertex_count=3000)
    assert first.fingerprint == again.fingerprint
    assert list(tmp_path.iterdir()) == files
    load_face_model(tmp_path, vertex_count=3000, seed=4)
    assert len(list(tmp_path.iterdir())) == 2


def test_another_model_needs_another_method():
    check_pinned_model(METHOD, build_face_model(2000, seed=0), "face on a grid, 2", "fa54c032984e8bd2")
