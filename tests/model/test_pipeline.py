"""What a pipeline adds to the frozen networks: the light of a crop, and the regressor's known errors."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from configs import schema
from lib.errors import UserError
from lib.face_model.coefficients import CoefficientLayout
from lib.files import headed_npz
from lib.geometry.camera import Camera
from lib.geometry.lighting import sh_basis
from model.face_gcn import FaceGCN
from model.face_model_source import load_face_model
from model.fitting.light import with_solved_light
from model.morphable_model import MorphableModel
from model.pipeline import Pipeline, load_identity, load_regressed_errors, load_regressor
from tests.support.faces import built_in_face
from tests.support.toy_faces import ToyFaces

SIZE = 96


def shading(model: MorphableModel, light: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Shading [N, 3] of the light in coefficients [K] on the shape of others."""
    normals = model.posed(tf.constant(coefficients[None]), Camera((SIZE, SIZE))).normals[0]
    return sh_basis(normals).numpy() @ model.layout.split(light).light.reshape(3, 9).T


@pytest.mark.parametrize("option", ["solved", "regressed"])
def test_the_light_is_solved_for_if_the_configuration_says_so(option):
    """A regressor that is right but for the light, which it misses."""
    face_model, camera = built_in_face(2500), Camera((SIZE, SIZE))
    model, sample = MorphableModel(face_model), ToyFaces(face_model, SIZE, seed=5).sample(0)
    regressed = sample.coefficients.copy()
    regressed[model.layout.slices["light"]] = 0
    pipeline = Pipeline(
        schema.load(None, [f"regressor.light={option}"]),
        face_model,
        camera,
        regressor=lambda images, training: (tf.constant(regressed[None]), tf.zeros([1, 2])),
        identity=lambda images, training: tf.zeros([1, 2]),
        texture_network=None,
        face_gcn=FaceGCN(model, camera, None),
    )
    crop = np.concatenate([sample.image, sample.alpha[..., None]], axis=-1)[None].astype(np.float32) / 255
    np.testing.assert_array_equal(pipeline.regress(crop).coefficients[0], regressed)
    encoded = pipeline.encode(crop).coefficients[0].numpy()
    if option == "regressed":
        np.testing.assert_array_equal(encoded, regressed)
        return
    before, after = (
        np.abs(shading(model, row, regressed) - shading(model, sample.coefficients, regressed)).mean()
        for row in (regressed, encoded)
    )
    assert after < 0.25 * before
    dark = model.layout.slices["light"]
    np.testing.assert_allclose(np.delete(encoded, dark), np.delete(regressed, dark), atol=1e-6)


def test_stored_light_belongs_to_its_camera():
    """The camera also decides about the light, if it is solved for."""
    model = SimpleNamespace(fingerprint="f")
    keys = {}
    for option in ("solved", "regressed"):
        config = schema.load(None, {"regressor.light": option})
        pipelines = [Pipeline(config, model, Camera(distance=d), None, None, None, None) for d in (10.0, 10.0, 11.0)]
        keys[option] = [pipeline.cache_key for pipeline in pipelines]
        assert (len(set(keys[option])), keys[option][0]) == (2 if option == "solved" else 1, keys[option][1])
        assert len({pipeline.encoder_key for pipeline in pipelines}) == 1
    assert not set(keys["solved"]) & set(keys["regressed"])


def test_a_crop_without_skin_has_plain_light():
    """Nothing is known of its light, so it is the expected one, and finite."""
    face_model, camera = built_in_face(2500), Camera((SIZE, SIZE))
    model = MorphableModel(face_model)
    coefficients = np.zeros([1, model.layout.size], np.float32)
    coefficients[:, model.layout.slices["light"]] = 0.2
    solved = with_solved_light(model, camera, tf.constant(coefficients), tf.zeros([1, SIZE, SIZE, 4]))[0].numpy()
    np.testing.assert_allclose(solved, 0, atol=1e-6)


HEAD = CoefficientLayout(120, 44, 40)


def test_the_shipped_regressor_comes_with_its_errors():
    errors = load_regressed_errors(schema.load(), HEAD)
    assert errors is not None
    assert errors.identity[0] < 0.6, "size is best known"
    assert errors.albedo[0] < 0.6, "and skin tone"
    assert 0.9 < errors.identity[-10:].mean() < 1.1, "of fine shape, nothing is"


def test_the_errors_of_other_regressors_are_unknown():
    published = schema.load(None, ["regressor.weights=data/bfm09/FaceReconModel.pb"])
    assert load_regressed_errors(published, HEAD) is None
    built_in = schema.load(None, ["regressor.weights=data/built_in/regressor.npz"])
    assert load_regressed_errors(built_in, HEAD) is None


@pytest.mark.parametrize(
    ("measured", "fault"),
    [
        ({"identity": [1.0] * 120, "albedo": [1.0] * 39}, "39"),
        ({"identity": [0.0] * 120, "albedo": [1.0] * 40}, "not positive"),
        ({"identity": [1.0] * 120, "albedo": ["x"] * 40}, "could not convert"),
        ([1.0], "list indices"),
    ],
)
def test_errors_that_cannot_be_are_refused_by_name(tmp_path, measured, fault):
    path = tmp_path / "regressor.npz"
    header = {"format": "weights-3", "face_model": "f", "metadata": {"coefficient_errors": measured}}
    headed_npz.write(path, {"kernel": np.zeros(2, np.float16)}, header)
    with pytest.raises(UserError, match=rf"regressor\.npz: coefficient_errors must be 120 positive .*{fault}"):
        load_regressed_errors(schema.load(None, [f"regressor.weights={path}"]), HEAD)


@pytest.mark.parametrize(
    ("option", "value", "trained"),
    [
        ("regressor.image_size", 128, "96"),
        ("regressor.input_range", "published", "centred"),
        ("identity.image_size", 112, "96"),
        ("identity.crop_fraction", 0.9, "0.8"),
    ],
)
def test_shipped_networks_see_what_they_were_trained_on(option, value, trained):
    config = schema.load(overrides={option: value})
    load = load_regressor if option.startswith("regressor") else load_identity
    with pytest.raises(UserError, match=rf"{option}: must be {trained}, with which .*npz was trained, got {value} "):
        load(config, load_face_model(config))


@pytest.mark.parametrize(("variant", "counts"), [("default", False), ("resnet", False), ("normal", True)])
def test_the_bottleneck_counts_in_networks_that_have_one(variant, counts):
    signatures = set()
    for size in (64, 16):
        config = schema.load(overrides={"texture.variant": variant, "texture.nz": size, "regressor.light": "regressed"})
        network = SimpleNamespace(hierarchy=SimpleNamespace(choice="c"))
        pipeline = Pipeline(config, SimpleNamespace(fingerprint="f"), Camera(), None, None, network, None)
        signatures.add(pipeline.signature()["texture network"])
    assert (len(signatures) == 2) == counts
    assert any("nz64" in signature for signature in signatures)
