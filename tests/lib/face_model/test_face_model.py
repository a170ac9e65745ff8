import dataclasses

import numpy as np
import pytest

from lib.errors import UserError
from lib.face_model.face_model import ExpressionPrior, FaceModel
from tests.support.golden_face import golden_face_model, small_face_model


def test_round_trip_keeps_every_field_and_the_fingerprint(tmp_path):
    model = small_face_model()
    model.save(tmp_path / "tent.npz")
    loaded = FaceModel.load(tmp_path / "tent.npz")
    assert loaded.fingerprint == model.fingerprint
    assert loaded.name == "tent"
    assert loaded.expression_names == ("smile",)
    assert loaded.regions.keys() == {"tip"}
    for name in ("mean_shape", "identity_basis", "triangles", "landmarks", "skin_mask", "mirror_index", "uv"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name))
        assert getattr(loaded, name).dtype == getattr(model, name).dtype


def test_the_expression_prior_is_kept_and_is_not_part_of_the_fingerprint(tmp_path):
    model = small_face_model()
    assert model.expression_prior is None
    model.save(tmp_path / "without.npz")
    assert FaceModel.load(tmp_path / "without.npz").expression_prior is None
    prior = ExpressionPrior(np.array([True]), np.array([0.35]))
    given = small_face_model(expression_prior=prior)
    assert given.fingerprint == model.fingerprint
    given.save(tmp_path / "with.npz")
    loaded = FaceModel.load(tmp_path / "with.npz").expression_prior
    np.testing.assert_array_equal(loaded.one_sided, [True])
    np.testing.assert_array_equal(loaded.sigma, np.float32([0.35]))
    with np.load(tmp_path / "with.npz") as file:
        half = {name: file[name] for name in file.files if name != "expression_prior/sigma"}
    np.savez(tmp_path / "half.npz", **half)
    with pytest.raises(UserError, match="must hold both expression_prior/one_sided and expression_prior/sigma"):
        FaceModel.load(tmp_path / "half.npz")
    for sigma, message in (([1.0, 1.0], r"must be \[1\], got \[2\]"), ([0.0], "positive and finite")):
        with pytest.raises(ValueError, match=f"expression_prior.sigma {message if sigma[0] else 'must be ' + message}"):
            small_face_model(expression_prior=ExpressionPrior(np.array([True]), np.array(sigma)))


def test_sizes_follow_the_arrays():
    assert small_face_model().layout.size == 2 + 1 + 2 + 33
    assert small_face_model().vertex_count == 5
    assert golden_face_model().layout.size == 257


def test_fingerprint_follows_contents_not_the_name():
    model = small_face_model()
    assert small_face_model(name="other").fingerprint == model.fingerprint
    brighter = np.array(model.mean_albedo)
    brighter[0, 0] += 1e-3
    assert small_face_model(mean_albedo=brighter).fingerprint != model.fingerprint
    assert small_face_model(regions={}).fingerprint != model.fingerprint
    assert small_face_model(expression_names=()).fingerprint != model.fingerprint


def test_a_model_may_lack_expressions_or_colours(tmp_path):
    none = np.zeros((0, 5, 3))
    still = small_face_model(expression_basis=none, expression_names=())
    grey = small_face_model(albedo_basis=none)
    assert len({small_face_model().fingerprint, still.fingerprint, grey.fingerprint}) == 3
    still.save(tmp_path / "still.npz")
    assert FaceModel.load(tmp_path / "still.npz").fingerprint == still.fingerprint


def test_fingerprint_is_that_of_the_same_model_made_on_another_processor():
    rng = np.random.default_rng(5)
    model = golden_face_model()
    model = dataclasses.replace(model, uv=rng.uniform(size=(model.vertex_count, 2)))
    names = ("mean_shape", "identity_basis", "expression_basis", "mean_albedo", "albedo_basis", "uv")
    last_bits = {name: _with_noise(getattr(model, name), 6e-8, rng) for name in names}
    assert any((last_bits[name].astype(np.float32) != getattr(model, name)).any() for name in names)
    assert dataclasses.replace(model, **last_bits).fingerprint == model.fingerprint
    for name in names:
        larger = {name: _with_noise(getattr(model, name), 1e-2, rng)}
        assert dataclasses.replace(model, **larger).fingerprint != model.fingerprint, name
    swapped = model.identity_basis[[1, 0, *range(2, len(model.identity_basis))]]
    assert dataclasses.replace(model, identity_basis=swapped).fingerprint != model.fingerprint


def _with_noise(array, relative, rng):
    return array * (1 + relative * rng.normal(size=array.shape))


def test_arrays_refuse_writes_and_leave_the_callers_alone():
    albedo = np.full((5, 3), 0.5, np.float32)
    model = small_face_model(mean_albedo=albedo)
    with pytest.raises(ValueError, match="read-only"):
        model.mean_albedo[0, 0] = 1
    albedo[0, 0] = 0.25  # the caller's own array stays writable


NOT_FINITE = np.full((5, 3), 0.5)
NOT_FINITE[2, 1] = np.nan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean_shape": np.zeros((5, 2))}, r"mean_shape must be \[N, 3\].*got \[5, 2\]"),
        ({"mean_shape": np.ones((5, 3))}, r"centred on the origin \(subtract its centroid\), got centroid \(1, 1, 1\)"),
        ({"mean_albedo": np.zeros((4, 3))}, r"mean_albedo must be \[5, 3\], got \[4, 3\]"),
        ({"mean_albedo": NOT_FINITE}, "mean_albedo must be finite everywhere, got 1 values that are not"),
        ({"identity_basis": np.zeros((2, 15))}, r"identity_basis must be \[K, 5, 3\], got \[2, 15\]"),
        ({"expression_basis": np.zeros((1, 6, 3))}, r"expression_basis must be \[K, 5, 3\], got \[1, 6, 3\]"),
        ({"albedo_basis": np.zeros((1, 5, 1))}, r"albedo_basis must be \[K, 5, 3\]"),
        ({"triangles": np.zeros((4, 4), int)}, r"triangles must be \[F, 3\]"),
        ({"triangles": np.array([[1, 2, 5]])}, r"triangles must be within 0..4 \(indices start at 0\), got 1..5"),
        ({"triangles": np.array([[0.0, 1.0, 2.0]])}, "indices must be integers, got float64"),
        ({"landmarks": np.zeros(51, int)}, r"landmarks must be \[68\], got \[51\]"),
        ({"landmarks": np.full(68, -1)}, r"landmarks must be within 0..4"),
        ({"skin_mask": np.ones(4, bool)}, r"skin_mask must be \[5\]"),
        ({"front_mask": np.ones((5, 1), bool)}, r"front_mask must be \[5\]"),
        ({"skin_mask": np.zeros(5, bool)}, "skin_mask must be true for at least one vertex, got none"),
        ({"mirror_index": np.array([1, 2, 0, 3, 4])}, "mirror_index must be an involution, got 3 vertices"),
        ({"uv": np.zeros((5, 3))}, r"uv must be \[5, 2\]"),
        ({"regions": {"lip": np.zeros(3)}}, r"regions\['lip'\] must be \[5\], got \[3\]"),
        ({"regions": {"lip": np.full(5, 2.0)}}, r"regions\['lip'\] must be within 0..1, got 2..2"),
        ({"expression_names": ("a", "b")}, "expression_names must be empty or one for each of the 1"),
    ],
)
def test_a_fault_is_named_with_what_was_expected(changes, message):
    with pytest.raises(ValueError, match=message):
        small_face_model(**changes)


def test_foreign_files_are_the_users_fault(tmp_path):
    path = tmp_path / "notes.npz"
    path.write_text("not an archive")
    with pytest.raises(UserError, match=r"notes.npz: must be a face model"):
        FaceModel.load(path)
    np.savez(path, something=np.zeros(3))
    with pytest.raises(UserError, match=r"got another \.npz file"):
        FaceModel.load(path)
    with pytest.raises(OSError, match="absent"):
        FaceModel.load(tmp_path / "absent.npz")


def test_damaged_model_files_are_named(tmp_path):
    path = tmp_path / "tent.npz"
    small_face_model().save(path)
    with np.load(path) as data:
        arrays = dict(data)
    uv = arrays.pop("uv")
    np.savez(path, **arrays)
    with pytest.raises(UserError, match="must hold uv"):
        FaceModel.load(path)
    np.savez(path, uv=uv[:3], **arrays)
    with pytest.raises(UserError, match=r"tent.npz: face model 'tent': uv must be \[5, 2\]"):
        FaceModel.load(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UserError, match="must be a face model"):
        FaceModel.load(path)
