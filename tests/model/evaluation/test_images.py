"""The measures of the paper's comparison: each against an independent computation, on pictures made here."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from lib.errors import UserError
from lib.face_model.coefficients import CoefficientLayout
from model.evaluation.images import OWN, ImageEvaluation
from model.metrics.images import masked_l1, structural_similarity
from model.metrics.shape import aligned_distance
from model.morphable_model import MorphableModel
from tests.support.golden_face import golden_face_model

SIZE = 32


def naive_similarity(a, b):
    """SSIM's map by its formula, channel by channel; the 11 px window is a Gaussian cut at 3.5 sigma."""

    def blur(values):
        return gaussian_filter(values, 1.5, truncate=3.5, axes=(0, 1))

    c1, c2 = 0.01**2, 0.03**2
    mean_a, mean_b = blur(a), blur(b)
    variance_a, variance_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return top / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))


def test_similarity_is_the_formulas_inside_the_mask_and_over_the_picture():
    rng = np.random.default_rng(0)
    target, image = rng.uniform(size=(2, SIZE, SIZE, 3))
    image = 0.6 * target + 0.4 * image
    mask = np.zeros((SIZE, SIZE))
    mask[8:20, 10:25] = 1
    expected = naive_similarity(image, target)
    inside, whole = structural_similarity(image, target, mask)
    assert inside == pytest.approx(expected[mask > 0].mean(), abs=1e-6)
    assert whole == pytest.approx(expected[5:-5, 5:-5].mean(), abs=1e-6)
    assert structural_similarity(target, target, mask) == (pytest.approx(1.0), pytest.approx(1.0))
    assert np.isnan(structural_similarity(image, target, 0 * mask)[0])


def test_tensorflow_computes_the_same_similarity_of_the_picture():
    """Two libraries, one definition: TensorFlow leaves the same border out."""
    rng = np.random.default_rng(1)
    target, image = rng.uniform(size=(2, SIZE, SIZE, 3)).astype(np.float32)
    expected = float(tf.image.ssim(tf.constant(image), tf.constant(target), max_val=1.0))
    assert structural_similarity(image, target, np.ones((SIZE, SIZE)))[1] == pytest.approx(expected, abs=1e-4)


def test_l1_counts_masked_pixels_alone():
    rng = np.random.default_rng(2)
    image, target = rng.uniform(size=(2, 2, 6, 6, 3)).astype(np.float32)
    mask = (rng.uniform(size=(2, 6, 6, 1)) > 0.5).astype(np.float32)
    expected = [np.abs(a - b)[m[..., 0] > 0].mean() for a, b, m in zip(image, target, mask, strict=True)]
    np.testing.assert_allclose(masked_l1(image, target, mask), expected, rtol=1e-5)
    assert np.isnan(masked_l1(image, target, 0 * mask)[0])


def test_the_shapes_error_ignores_pose_and_knows_about_scale():
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(50, 3))
    noise = rng.normal(0, 0.01, size=truth.shape)
    rotation = Rotation.from_euler("xyz", [20, -40, 10], degrees=True)
    moved = rotation.apply(truth) + [1, 2, 3]
    assert aligned_distance(moved, truth) == pytest.approx(0, abs=1e-6)
    assert aligned_distance(truth * [1, 1, -1], truth) > 10, "a mirrored face is another face"
    larger = 1.1 * moved
    # Independently: scipy's rotation between centred points, no scale.
    centred, wanted = larger - larger.mean(0), truth - truth.mean(0)
    best = Rotation.align_vectors(wanted, centred)[0]
    expected = 100 * np.linalg.norm(best.apply(centred) - wanted, axis=-1).mean()
    assert aligned_distance(larger, truth) == pytest.approx(expected, rel=1e-6)
    assert aligned_distance(larger, truth, scaled=True) == pytest.approx(0, abs=1e-6)
    rough = aligned_distance(rotation.apply(truth + noise), truth)
    assert rough == pytest.approx(100 * np.linalg.norm(noise, axis=-1).mean(), rel=0.1), "millimetres of decimetres"


def identity_of(picture):
    """An embedding that can be computed by hand: the mean colour, which `mean_colour` repeats in NumPy."""
    return tf.reduce_mean(picture, axis=(1, 2))


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.fixture
def pipeline():
    """As much of the components as measuring takes."""
    model = golden_face_model()
    section = SimpleNamespace(sheet_faces=1, networks=())
    return SimpleNamespace(
        config=SimpleNamespace(evaluate=section),
        face_model=model,
        embed=identity_of,
        face_gcn=SimpleNamespace(morphable=MorphableModel(model)),
    )


@pytest.fixture
def scene(pipeline):
    """A photo, what could be rendered of it, and the truth of its shape."""
    rng = np.random.default_rng(4)
    photo, coarse, fine = rng.uniform(size=(3, 1, SIZE, SIZE, 3)).astype(np.float32)
    fine = photo + 0.1 * (fine - 0.5)
    coarse[0, 12, 12] = [7, -3, 0.5]  # renderings may leave the range, pictures cannot
    alpha, drawn = np.zeros((2, 1, SIZE, SIZE, 1), np.float32)
    alpha[:, 5:, :20], drawn[:, :25, 4:] = 1, 1
    alpha[:, 5:8] *= 0.4  # below one half: not counted
    layout: CoefficientLayout = pipeline.face_model.layout
    truth = rng.normal(size=layout.size).astype(np.float32)
    split = layout.split(truth[None])
    shape = pipeline.face_gcn.morphable.shape(split.identity, split.expression)
    face = SimpleNamespace(landmarks=tf.zeros([1, 68, 2]), shape=shape * 1.05)
    result = SimpleNamespace(
        coarse=SimpleNamespace(rendering=tf.constant(coarse), face=face),
        rendering=tf.constant(fine),
        mask=tf.constant(drawn),
    )
    return SimpleNamespace(
        crop=tf.constant(np.concatenate([photo, alpha], -1)), result=result, truth=truth,
        photo=photo[0], coarse=coarse[0], fine=fine[0], inside=(alpha[0, ..., 0] >= 0.5) & (drawn[0, ..., 0] > 0),
    )  # fmt: skip


def test_every_column_is_what_the_protocol_says(pipeline, scene):
    row = ImageEvaluation(pipeline).add("a", scene.crop, scene.result, scene.truth)
    inside = scene.inside
    assert row["mask_share"] == pytest.approx(inside.mean())
    assert row["coverage"] == pytest.approx(inside.sum() / (24 * 20))
    for texture, rendering in (("coarse", scene.coarse), ("fine", scene.fine)):
        composite = np.where(inside[..., None], np.clip(rendering, 0, 1), scene.photo)
        error = np.abs(composite - scene.photo)
        similarity = naive_similarity(np.float64(composite), np.float64(scene.photo))
        expected = {
            "l1": error[inside].mean(),
            "psnr": -10 * np.log10((error[inside] ** 2).mean()),
            "ssim": similarity[inside].mean(),
            "l1_composite": error.mean(),
            "psnr_composite": -10 * np.log10((error**2).mean()),
            "ssim_composite": similarity[5:-5, 5:-5].mean(),
            f"identity_{OWN}": cosine(composite.mean((0, 1)), scene.photo.mean((0, 1))),
        }
        for name, value in expected.items():
            assert row[f"{texture}_{name}"] == pytest.approx(value, rel=1e-4), (texture, name)
    assert row["shape_mm"] > row["shape_scaled_mm"] == pytest.approx(0, abs=1e-3)
    assert row["mean_face_mm"] > row["mean_face_scaled_mm"] > 0


def test_expressions_are_no_errors_of_the_mean_face(pipeline, scene):
    """Its error is that of the person alone."""
    layout: CoefficientLayout = pipeline.face_model.layout
    identity = layout.split(np.arange(layout.size)).identity
    truth = np.where(np.isin(np.arange(layout.size), identity), 0, scene.truth)
    errors = ImageEvaluation(pipeline).shape(pipeline.face_model.mean_shape, truth)
    assert errors["mean_face_mm"] == pytest.approx(0, abs=1e-3)
    assert errors["mean_face_scaled_mm"] == pytest.approx(0, abs=1e-3)
    assert errors["shape_mm"] > 1, "the neutral face is another"


def test_tables_hold_every_image_and_the_means_of_what_is_known(pipeline, scene, tmp_path):
    images = ImageEvaluation(pipeline)
    first = images.add("a, b", scene.crop, scene.result, scene.truth)
    unseen = SimpleNamespace(**vars(scene.result) | {"mask": scene.result.mask * 0})
    second = images.add("sub/c", scene.crop, unseen)
    images.failed["d"] = "no face"
    summary = images.write(tmp_path)
    assert json.loads((tmp_path / "images.json").read_text()) == summary
    assert summary["images"] == 2
    assert summary["failed"] == {"d": "no face"}
    assert np.isnan(second["fine_l1"])
    assert summary["mean"]["fine_l1"] == pytest.approx(first["fine_l1"], abs=1e-5)
    assert summary["mean"]["mask_share"] == pytest.approx(first["mask_share"] / 2, abs=1e-5)
    assert summary["mean"]["shape_mm"] == pytest.approx(first["shape_mm"], abs=1e-5)
    with open(tmp_path / "images.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["image"] for row in rows] == ["a, b", "sub/c"]
    assert float(rows[0]["fine_psnr"]) == pytest.approx(first["fine_psnr"], rel=1e-5)
    assert rows[1]["shape_mm"] == "", "no truth, no number"
    with Image.open(tmp_path / "images.png") as sheet:
        assert sheet.size == (5 * SIZE, SIZE + 16), "one row is asked for"


def test_without_any_image_there_is_no_table(pipeline, tmp_path):
    images = ImageEvaluation(pipeline)
    images.failed["a"] = "no face"
    with pytest.raises(UserError, match=r"at least one image must be measured, got none \(a: no face\)"):
        images.write(tmp_path)
    assert not list(tmp_path.iterdir())
