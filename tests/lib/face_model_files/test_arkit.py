"""ARKit's names: the blend shapes of each model move what they say, and add up to the face."""

import dataclasses
import functools

import numpy as np
import pytest

from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.face_model_files.arkit import ARKIT, BlendShapes, arkit_weights, prior_of_names
from lib.face_model_files.published import load_published
from lib.synthetic.builtin.expressions import FULL_STRENGTH, PARTING_SIGMA
from tests.support.faces import built_in_face, coarse_head
from tests.support.helpers import shared_file

MODELS = ("built-in", "human head", "ICT-FaceKit")
NAMED = (*MODELS, "ICT-FaceKit's names")
# ARKit's names that a model lacks.
GAZE = {f"eyeLook{way}{side}" for way in ("Down", "In", "Out", "Up") for side in ("Left", "Right")}
LACKING = {
    "human head": GAZE | {"mouthClose", "tongueOut"},
    "ICT-FaceKit": {"tongueOut"},
    "ICT-FaceKit's names": {"tongueOut"},
    "built-in": GAZE
    | {"mouthClose", "tongueOut", "jawForward", "mouthFunnel", "mouthRollLower", "mouthRollUpper", "mouthShrugUpper"}
    | {f"{name}{side}" for name in ("mouthDimple", "cheekSquint") for side in ("Left", "Right")},
}


@pytest.fixture(scope="module")
def built_in() -> FaceModel:
    return built_in_face(2000)


@functools.cache
def loaded(name: str) -> FaceModel:
    """A model with such names; ICT-FaceKit's expressions are its own, on the reference arrays."""
    if name == "built-in":
        return built_in_face(2000)
    if name == "human head":
        return coarse_head("face")
    if name == "ICT-FaceKit's names":
        return with_the_names_of_ict(built_in_face(2000))
    with np.load(shared_file("data/ict_face_model.npz")) as data:
        ict = dict(data)
    count = len(ict["mean_shape"])
    names = ict["expression_names"].tolist()
    mean = (ict["mean_shape"] - ict["mean_shape"].mean(axis=0)) / 10
    return FaceModel(
        name="ICT-FaceKit",
        expression_strength=0.25,
        mean_shape=mean,
        identity_basis=np.zeros((1, count, 3)),
        expression_basis=ict["expression_basis"] / 40,
        mean_albedo=np.zeros((count, 3)),
        albedo_basis=np.zeros((1, count, 3)),
        triangles=ict["triangles"],
        landmarks=ict["landmarks68"],
        skin_mask=np.ones(count, bool),
        front_mask=np.ones(count, bool),
        mirror_index=ict["mirror_index"],
        uv=ict["uv"],
        expression_names=tuple(names),
    )


def with_the_names_of_ict(model: FaceModel) -> FaceModel:
    """A model with random displacements under ICT-FaceKit's 53 names: ARKit's, but _L and _R for the sides."""
    names: list[str] = []
    for name in ARKIT:
        if name in ("browInnerUp", "cheekPuff"):
            names += [f"{name}_L", f"{name}_R"]
        elif name.startswith(("jaw", "mouthLeft", "mouthRight")):
            names.append(name)
        elif name != "tongueOut":
            names.append(name.replace("Left", "_L").replace("Right", "_R"))
    assert len(names) == 53
    return dataclasses.replace(
        model,
        expression_basis=np.random.default_rng(0).normal(size=(53, model.vertex_count, 3)) / 100,
        expression_names=tuple(names),
        expression_prior=prior_of_names(names),
        expression_strength=0.25,
    )


def test_the_52_names():
    assert len(set(ARKIT)) == len(ARKIT) == 52


@pytest.mark.parametrize("name", NAMED)
def test_names_are_arkits_in_its_order_then_the_models_own(name):
    names = BlendShapes.of(loaded(name)).names
    own = [found for found in names if found in ARKIT]
    assert own == [known for known in ARKIT if known not in LACKING[name]]
    assert names[: len(own)] == tuple(own)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", NAMED)
def test_blend_shapes_at_a_faces_weights_are_its_expression(name):
    model = loaded(name)
    shapes = BlendShapes.of(model)
    coefficients = np.random.default_rng(0).normal(size=len(model.expression_basis))
    wanted = np.einsum("k,knc->nc", coefficients, model.expression_basis)
    found = np.einsum("t,tnc->nc", shapes.weights(coefficients), shapes.displacements(model))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_left_is_the_subjects_left_and_each_moves_its_part_of_the_face(name):
    model = loaded(name)
    shapes = BlendShapes.of(model)
    nose = model.mean_shape[model.landmarks[30], 1]
    for shape, move in zip(shapes.names, shapes.displacements(model), strict=True):
        if shape not in ARKIT:
            continue
        length = np.linalg.norm(move, axis=1)
        centre = (length[:, None] * model.mean_shape).sum(axis=0) / length.sum()
        assert 0.02 < length.max() < 0.6, shape  # 2 to 60 mm
        if shape in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            assert np.sign((length[:, None] * move).sum(axis=0)[0]) == (1 if shape.endswith("Left") else -1), shape
        elif shape.endswith(("Left", "Right")):
            assert np.sign(centre[0]) == (1 if shape.endswith("Left") else -1), shape
        if shape.startswith(("jaw", "mouth")):
            assert centre[1] < nose, shape
        if shape.startswith(("brow", "eye")):
            assert centre[1] > nose, shape


@pytest.mark.parametrize("name", MODELS)
def test_a_blink_moves_a_lid_over_the_eye_at_weight_1(name):
    model = loaded(name)
    shapes = BlendShapes.of(model)
    move = shapes.displacements(model)[shapes.names.index("eyeBlinkLeft")]
    opening = (model.mean_shape[model.landmarks[[43, 44]]] - model.mean_shape[model.landmarks[[47, 46]]])[:, 1]
    assert 0.7 < -move[:, 1].min() / opening.mean() < 1.6


def test_two_sides_of_what_arkit_has_as_one():
    model = loaded("ICT-FaceKit's names")
    coefficients = np.zeros(len(model.expression_basis))
    coefficients[model.expression_names.index("browInnerUp_L")] = 2.0
    coefficients[model.expression_names.index("browInnerUp_R")] = 1.0
    shapes = BlendShapes.of(model)
    weights = dict(zip(shapes.names, shapes.weights(coefficients), strict=True))
    assert weights["browInnerUp"] == pytest.approx(0.25)  # a coefficient of 4 is full strength
    assert weights["browInnerUp_L"] == pytest.approx(0.25)
    assert weights["browInnerUp_R"] == pytest.approx(0.0)
    assert shapes.arkit_weights(coefficients)["browInnerUp"] == pytest.approx(0.25)


def test_sideways_units_are_two_blend_shapes(built_in):
    coefficients = np.zeros((2, len(built_in.expression_basis)))
    coefficients[:, built_in.expression_names.index("jaw_sideways")] = [1.25, -2.5]
    weights = arkit_weights(built_in, coefficients)
    np.testing.assert_allclose(weights["jawLeft"], [0.5, 0])
    np.testing.assert_allclose(weights["jawRight"], [0, 1])


@pytest.mark.parametrize("names", [(), tuple(f"lower_face_region_{k:03d}" for k in range(26))])
def test_models_without_such_names_are_refused_and_have_no_weights(built_in, names):
    model = dataclasses.replace(built_in, expression_names=names, name="GNM Head")
    with pytest.raises(UserError, match=r"got 'GNM Head' with .*names; leave rig out of --export") as caught:
        BlendShapes.of(model)
    assert "human-head" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert arkit_weights(model, np.zeros(26)) == {}


def test_weights_by_name_replace_the_face_s_own(built_in):
    shapes = BlendShapes.of(built_in)
    own = np.random.default_rng(0).normal(0, 1, len(built_in.expression_basis)).astype(np.float32)
    face = built_in.mean_shape + np.tensordot(own, built_in.expression_basis, 1)
    places = dict(zip(shapes.names, shapes.weights(own), strict=True))
    np.testing.assert_allclose(shapes.changed(built_in, face, own, places), face, atol=1e-6)
    wanted = built_in.mean_shape + 0.5 * shapes.displacements(built_in)[shapes.names.index("jawOpen")]
    changed = shapes.changed(built_in, face, own, dict.fromkeys(shapes.names, 0.0) | {"jawOpen": 0.5})
    np.testing.assert_allclose(changed, wanted, atol=1e-4)
    with pytest.raises(UserError, match=r"expressions must be of .*jawOpen.*, got jawopen"):
        shapes.changed(built_in, face, own, {"jawopen": 1.0})


@pytest.mark.parametrize("first", ["mouthSmileLeft", "mouthSmile_L"])
def test_arkits_names_count_beside_one_that_the_built_in_face_has(built_in, first):
    """At weight 1 the expression is that of the file, and nothing is split or scaled."""
    names = (first, "jawOpen", "smile", "frown")
    names += tuple(f"own_{number}" for number in range(len(names), len(built_in.expression_names)))
    model = dataclasses.replace(built_in, name="mesh", expression_names=names)
    shapes = BlendShapes.of(model)
    assert shapes.names == ("jawOpen", "mouthSmileLeft", *names[2:])
    np.testing.assert_allclose(shapes.displacements(model)[0], built_in.expression_basis[1], atol=1e-6)


@pytest.mark.parametrize(
    ("names", "strength", "wanted"),
    [
        (
            ("jaw_open", "smile", "blink", "brow_lower", "pucker", "tongueOut"),
            1 / FULL_STRENGTH,
            {"jawOpen", "mouthSmileLeft", "mouthSmileRight", "eyeBlinkLeft", "eyeBlinkRight", "browDownLeft",
             "browDownRight", "mouthPucker", "tongueOut"},
        ),
        (("jawOpen", "eyeBlink_L", "eyeBlink_R", "smile"), 1, {"jawOpen", "eyeBlinkLeft", "eyeBlinkRight", "smile"}),
        (("jawOpen", "smile"), 1, {"jawOpen", "smile"}),
    ],
)  # fmt: skip
def test_most_names_tell_whose_they_are(built_in, names, strength, wanted):
    """One name of the other vocabulary is no reason to lose the rest, and if there are as many, ARKit's are surer."""
    basis = built_in.expression_basis[: len(names)]
    model = dataclasses.replace(
        built_in, name="mesh", expression_names=names, expression_basis=basis, expression_prior=None
    )
    shapes = BlendShapes.of(model)
    assert set(shapes.names) == wanted
    assert shapes.strength == strength


def test_expressions_with_arkits_names_have_one_sign():
    """Also in ICT-FaceKit's spelling; components of other models have both."""
    names = ("jawOpen", "eyeBlink_L", "browInnerUp_R", "mouthSmileRight", "pc_0", "jaw_open", "jaw_sideways", "smile")
    prior = prior_of_names(names)
    assert prior.one_sided.tolist() == [True, True, True, True, False, True, False, False]
    np.testing.assert_allclose(prior.sigma, [1, 1, 1, 1, 1, PARTING_SIGMA, 1, 1])
    ict = prior_of_names(loaded("ICT-FaceKit").expression_names)
    assert ict.one_sided.all()
    assert prior_of_names(("lower_face_region_000", "anger")) is None
    assert prior_of_names(()) is None


@pytest.mark.parametrize("name", MODELS)
def test_the_strength_of_expressions_is_the_models_under_any_name(tmp_path, name):
    """Whoever changes a published model and saves it under a name of his own keeps rigs and weights."""
    model = loaded(name)
    dataclasses.replace(model, name="mine").save(tmp_path / "mine.npz")
    own = FaceModel.load(tmp_path / "mine.npz")
    ones = np.ones(len(model.expression_basis))
    assert arkit_weights(own, ones) == arkit_weights(model, ones)
    assert own.fingerprint == dataclasses.replace(own, expression_strength=None).fingerprint


@pytest.mark.parametrize("name", MODELS)
def test_files_of_earlier_versions_keep_their_strength(tmp_path, name):
    """They do not hold it: the model's name told it."""
    model = loaded(name)
    dataclasses.replace(model, expression_strength=None).save(tmp_path / "copy.npz")
    copy = load_published(tmp_path / "copy.npz", tmp_path)
    ones = np.ones(len(model.expression_basis))
    assert arkit_weights(copy, ones) == arkit_weights(model, ones)
    copy.save(tmp_path / "again.npz")
    assert FaceModel.load(tmp_path / "again.npz").expression_strength == model.expression_strength


@pytest.mark.parametrize("strength", [0.0, -1.0, float("nan"), float("inf")])
def test_a_strength_that_is_none_is_refused(built_in, strength):
    with pytest.raises(ValueError, match="expression_strength must be positive and finite"):
        dataclasses.replace(built_in, expression_strength=strength)


def test_two_spellings_of_one_expression_stay_two(built_in):
    """Two blend shapes of one name would be an invalid file, and one of the weights would be lost."""
    names = ("mouthSmile_L", "mouthSmileLeft", "mouthSmile_R", "browInnerUp", "browInnerUp_L", "browInnerUp_R")
    basis = built_in.expression_basis[: len(names)]
    model = dataclasses.replace(
        built_in, name="mesh", expression_names=names, expression_basis=basis, expression_prior=None
    )
    shapes = BlendShapes.of(model)
    assert sorted(shapes.names) == sorted({*names, "mouthSmileRight"} - {"mouthSmile_R"})
    values = dict(zip(shapes.names, shapes.weights(np.arange(1.0, 7)), strict=True))
    assert values == {
        "mouthSmile_L": 1, "mouthSmileLeft": 2, "mouthSmileRight": 3,
        "browInnerUp": 4, "browInnerUp_L": 5, "browInnerUp_R": 6,
    }  # fmt: skip
