"""The human head as a face model: complete, symmetric, usable for photos and by the mesh hierarchy."""

import dataclasses

import numpy as np
import pytest

from configs import schema
from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.face_model_files import human_head
from lib.face_model_files.human_head import ExtendedHead, level_for
from lib.human_head import shipped
from lib.human_head.shipped import SHIPPED, HumanHead
from lib.human_head.surface import build_surface
from lib.mesh_export.stored_chart import write_chart
from lib.mesh_export.uv_chart import chart_fault
from lib.mesh_sampling.hierarchy import build_hierarchy
from lib.synthetic.appearance.face_units import FULL, sample_face_units
from lib.synthetic.photos import PhotoSettings, SyntheticFaces
from model import face_model_source
from model.networks.mirroring import mirror_matrix
from tests.support.faces import built_in_face, coarse_head, extended_head


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return coarse_head("face")


def test_model_is_complete(model):
    assert model.layout.identity == 120
    assert model.expression_prior.one_sided.all()
    for region in ("eye", "iris", "pupil", "lips", "teeth", "mouth_inside", "nostril", "brow", "beard", "skin"):
        assert model.regions[region].max() > 0.5, region
    assert 0.35 < model.front_mask.mean() < 0.8
    assert chart_fault(model.uv, model.triangles) is None


@pytest.fixture(scope="module")
def extended() -> ExtendedHead:
    return extended_head()


def test_the_extended_head_begins_with_the_faces_vertices(model, extended):
    head, count = extended.model, model.vertex_count
    apart = np.linalg.norm(head.mean_shape[:count] - model.mean_shape, axis=1)
    moved = apart > 1e-5
    assert 0.01 < moved.mean() < 0.1  # the straightened border
    assert apart.max() < 0.25  # the quads of this coarse mesh are a centimetre wide
    np.testing.assert_allclose(head.identity_basis[:, :count][:, ~moved], model.identity_basis[:, ~moved], atol=1e-6)
    np.testing.assert_array_equal(head.landmarks, model.landmarks)
    assert np.ptp(head.mean_shape[:, 2]) > 1.6 * np.ptp(model.mean_shape[:, 2])
    assert not mirror_matrix(head)[1]


def test_the_extended_head_has_one_skin_and_a_chart_that_favours_the_face(model, extended):
    head, chart = extended.model, extended.chart
    np.testing.assert_array_equal(chart.mesh_triangles, head.triangles)
    assert chart_fault(chart.uv, chart.triangles) is None
    # Only the face's own vertices may be split along seams of the chart.
    beyond = head.mean_shape[model.vertex_count :]
    assert len(np.unique(np.round(beyond, 5), axis=0)) == len(beyond)
    assert len(chart.vertex) > head.vertex_count

    def share(uv, vertices):
        return np.prod(np.ptp(uv[vertices], axis=0))

    front = np.flatnonzero(np.isin(chart.vertex, np.flatnonzero(model.front_mask & (model.regions["skin"] > 0.9))))
    whole = coarse_head("head")
    assert share(chart.uv, front) > 2.5 * share(whole.uv, front)


def test_the_jaw_hides_the_sky_from_the_neck(extended):
    head = extended.model
    sky, chin = head.regions["sky"], head.mean_shape[head.landmarks[8]]
    forehead = (head.mean_shape[:, 1] > 0.7) & (head.mean_shape[:, 2] > -0.4) & (head.regions["skin"] > 0.5)
    below = head.mean_shape - chin
    throat = (np.abs(below[:, 0]) < 0.25) & (below[:, 1] < -0.15) & (below[:, 1] > -0.4) & (below[:, 2] > -0.9)
    assert forehead.sum() > 20
    assert throat.sum() > 10
    assert sky[forehead].mean() > 0.85
    assert sky[throat].mean() < sky[forehead].mean() - 0.08


def test_the_extended_head_is_built_once(tmp_path, monkeypatch, extended, capsys):
    monkeypatch.setattr(human_head, "load_built_in", lambda _: None)
    monkeypatch.setattr(ExtendedHead, "build", lambda *_: extended)
    first = ExtendedHead.load(tmp_path, "face", "head", 2900)
    monkeypatch.setattr(ExtendedHead, "build", None)
    again = ExtendedHead.load(tmp_path, "face", "head", 2900)
    assert again.model.fingerprint == first.model.fingerprint
    np.testing.assert_array_equal(again.chart.uv, extended.chart.uv)
    (damaged,) = tmp_path.glob("*.chart.npz")
    monkeypatch.setattr(ExtendedHead, "build", lambda *_: extended)
    other = dataclasses.replace(extended.chart, triangles=extended.chart.triangles[::-1])
    for damage in (
        lambda: damaged.write_bytes(damaged.read_bytes()[:1000]),
        lambda: write_chart(damaged, other),
    ):
        damage()
        ExtendedHead.load(tmp_path, "face", "head", 2900)
        assert damaged.name in capsys.readouterr().err
        again = ExtendedHead.load(tmp_path, "face", "head", 2900)
        np.testing.assert_array_equal(again.chart.triangles, extended.chart.triangles)
        assert not capsys.readouterr().err


def test_bases_are_symmetric(model):
    assert not mirror_matrix(model)[1]


def test_colours_are_in_their_places(model):
    tone = model.mean_albedo
    pupil, white, skin = (tone[model.regions[name] > 0.9] for name in ("pupil", "eye", "skin"))
    assert pupil.mean() < 0.05
    assert white.max() > 0.7
    assert (skin[:, 0] > skin[:, 2]).all()


def test_file_keeps_people_and_fingerprint(model, tmp_path):
    model.save(tmp_path / "model.npz")
    read = FaceModel.load(tmp_path / "model.npz")
    assert read.fingerprint == model.fingerprint
    assert set(read.people) == set(model.people)
    without = dataclasses.replace(model, people={})
    assert without.fingerprint != model.fingerprint


def test_photos_show_people_of_the_mixture(model):
    faces = SyntheticFaces(model, 64, 3, PhotoSettings(photos_per_identity=1))
    people = [faces.person(number) for number in range(60)]
    assert 15 < sum(person.male for person in people) < 45
    spread = np.std([person.identity for person in people], axis=0).mean()
    assert 0.8 < spread < 1.2
    face = faces.sample(0)
    assert (face.alpha == 255).mean() > 0.15
    np.testing.assert_array_equal(faces.sample(0).image, face.image)


def test_random_expressions_are_one_sided_and_mouths_mostly_closed(model):
    generator = np.random.default_rng(0)
    drawn = np.array([sample_face_units(generator) for _ in range(400)])
    assert drawn.min() >= 0
    assert drawn.max() <= FULL
    jaw = drawn[:, model.expression_names.index("jawOpen")]
    assert 0.02 < (jaw > 0).mean() < 0.4


def test_mesh_levels_can_be_built(model):
    levels = build_hierarchy(model.mean_shape, model.triangles, (4, 4, 4, 4)).level_sizes
    assert levels[-1] < model.vertex_count / 100


def test_densities():
    assert [level_for(count) for count in (2000, 10_000, 40_000, 140_000)] == [0, 1, 2, 3]
    assert [level_for(count) for count in human_head.COUNTS] == [0, 1, 2, 3]
    assert level_for(schema.load().face_model.vertex_count) == 1, "whose networks are shipped"


@pytest.mark.parametrize("level", range(3))
def test_each_density_has_as_many_vertices_as_the_choice_assumes(level):
    assert build_surface(HumanHead.load(SHIPPED), "face", level).matrix.shape[0] == human_head.COUNTS[level]


def test_configuration_selects_the_head(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(face_model_source, "load_human_head", lambda *arguments: asked.append(arguments))
    overrides = ["face_model.source=human-head", "face_model.area=ears", f"data.root_dir={tmp_path}"]
    face_model_source.load_face_model(schema.load(overrides=overrides))
    assert asked == [(tmp_path / "data" / "generated", "ears", 10_000)]


def test_model_is_built_once(monkeypatch, tmp_path):
    small = built_in_face(2000)
    monkeypatch.setattr(human_head, "load_built_in", lambda _: small)
    first = human_head.load_human_head(tmp_path, "face", 2500)
    monkeypatch.setattr(human_head, "human_head_model", None)
    assert human_head.load_human_head(tmp_path, "face", 2500).fingerprint == first.fingerprint


def test_an_area_cut_beside_the_ears_gets_no_neck(model):
    head, source = HumanHead.load(SHIPPED), built_in_face(2000)
    extended = ExtendedHead.build(head, source, "face", "ears", 0)
    whole = human_head.human_head_model(head, source, "ears", 0)
    np.testing.assert_array_equal(extended.chart.mesh_triangles, extended.model.triangles)
    assert model.vertex_count < extended.model.vertex_count <= whole.vertex_count
    np.testing.assert_allclose(np.ptp(extended.model.mean_shape, axis=0), np.ptp(whole.mean_shape, axis=0), atol=1e-5)


def test_a_missing_shipped_file_is_told_with_what_to_do(monkeypatch, tmp_path):
    """Its bytes are part of the cache's key, so they are read before the head is."""
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path / "human_head.npz")
    for load in (human_head.load_human_head, lambda folder: ExtendedHead.load(folder, "face", "head")):
        with pytest.raises(
            UserError, match=r"must be the human head .* \(`git checkout -- .*human_head\.npz` restores"
        ):
            load(tmp_path)
